"""Captions of the synthetic world: a plan says what a caption tells, rendering puts it in words."""

from dataclasses import dataclass, replace
from random import Random

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.datasets.scene_world.words import (
    ACTIONS,
    ADJECTIVES,
    COLORS,
    NOUNS,
    PLACES,
    SIZES,
    Verb,
)


@dataclass(frozen=True)
class Entity:
    """One or two equal objects of a scene: label, attribute labels, how many."""

    label: str
    attributes: tuple[str, ...]
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """What is true of an image.

    Args:
        entities (tuple): Two agents that act on one another, then a thing, then distractors.
        subject (int): 0 or 1, the agent that acts.
        action (str): A key of ``ACTIONS``.
        placed (int): 0 or 1, the agent whose place is known.
        place (str): A key of ``PLACES``: where that agent is, seen from the thing.
    """

    entities: tuple[Entity, ...]
    subject: int
    action: str
    placed: int
    place: str


@dataclass(frozen=True)
class Mention:
    """How a caption first calls an entity: its noun, the adjectives before it and their count."""

    singular: str
    plural: str
    adjectives: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Plan:
    """What a caption tells and how.

    Args:
        mentions (tuple): The two agents and the thing.
        subject (int): 0 or 1, the agent that the caption says acts.
        verb (Verb): The verb for the action.
        form (str): A key of ``FORMS``.
        placed (int): The agent that a second clause places, or :obj:`None` for no such clause.
        place (str): The phrase of that clause.
    """

    mentions: tuple[Mention, Mention, Mention]
    subject: int
    verb: Verb
    form: str
    placed: int | None
    place: str


# first and second are the noun phrases in their order in the sentence; be agrees with the first.
FORMS = {
    "progressive": "first be gerund second",
    "present": "first third second",
    "passive": "first be being participle by second",
    "short passive": "first be participle by second",
    "presented": "there be first gerund second",
    "photo": "a photo of first gerund second",
}
FUNCTION_WORDS = sorted(
    {word for form in FORMS.values() for word in form.split()}
    - {"first", "second", "be", "gerund", "third", "participle"}
    | {"a", "an", "the", "two", "is", "are", "and", "to"}
)


def plan_caption(scene: Scene, random: Random) -> Plan:
    """Chooses words for a scene; every caption tells the action, about half tell the place."""
    first, second, thing = (_mention(entity, random) for entity in scene.entities[:3])
    return Plan(
        mentions=(first, second, thing),
        subject=scene.subject,
        verb=random.choice(ACTIONS[scene.action]),
        form=random.choice(list(FORMS)),
        placed=scene.placed if random.random() < 0.5 else None,
        place=random.choice(PLACES[scene.place]),
    )


def swap_relation(plan: Plan) -> Plan | None:
    """The same words with subject and object exchanged; none if the verb would have to agree."""
    if plan.mentions[0].count != plan.mentions[1].count:
        return None
    return replace(plan, subject=1 - plan.subject)


def replace_predicate(plan: Plan, random: Random) -> Plan:
    """The caption with another action."""
    others = [verbs for verbs in ACTIONS.values() if plan.verb not in verbs]
    return replace(plan, verb=random.choice(random.choice(others)))


def replace_attribute(plan: Plan, random: Random) -> Plan | None:
    """The caption with another color or size of one agent; none if it names no such attribute."""
    places = [(i, j) for i in (0, 1) for j in range(len(plan.mentions[i].adjectives))]
    if not places:
        return None
    i, j = random.choice(places)
    mention = plan.mentions[i]
    kind = COLORS if mention.adjectives[j] in COLORS else SIZES
    others = [
        word for words in kind.values() if mention.adjectives[j] not in words for word in words
    ]
    adjectives = (*mention.adjectives[:j], random.choice(others), *mention.adjectives[j + 1 :])
    mentions = list(plan.mentions)
    mentions[i] = replace(mention, adjectives=adjectives)
    return replace(plan, mentions=(mentions[0], mentions[1], mentions[2]))


def render(plan: Plan, id: str) -> TextRecord:
    """The caption and its graph: objects, attributes, relations, each spanning its words."""
    words: list[str] = []
    objects: list[str] = []
    attributes: list[tuple[int, str]] = []
    spans: dict[str, list[list[int]]] = {"object": [], "relation": [], "attribute": []}
    node_of: dict[int, int] = {}  # mention -> object node

    def say_mention(index: int) -> None:
        mention = plan.mentions[index]
        noun = mention.plural if mention.count > 1 else mention.singular
        if index in node_of:
            words.extend(("the", noun))
            return
        node_of[index] = len(objects)
        objects.append(mention.singular)
        start = len(words) + 1
        if mention.count > 1:
            words.append("two")
        else:
            words.append("an" if (*mention.adjectives, noun)[0][0] in "aeiou" else "a")
        for position, adjective in enumerate(mention.adjectives, start):
            attributes.append((node_of[index], adjective))
            spans["attribute"].append([position])
        words.extend((*mention.adjectives, noun))
        spans["object"].append([len(words) - 1])

    passive = "passive" in plan.form
    order = (plan.subject, 1 - plan.subject)[:: -1 if passive else 1]
    plural = plan.mentions[order[0]].count > 1
    for slot in FORMS[plan.form].split():
        if slot in ("first", "second"):
            say_mention(order[slot == "second"])
        elif slot == "be":
            words.append("are" if plural else "is")
        elif slot in ("gerund", "third", "participle"):
            spans["relation"].append([len(words)])
            bare = slot == "third" and plural
            words.append(plan.verb.lemma if bare else getattr(plan.verb, slot))
        else:
            words.append(slot)
    relations = [(node_of[plan.subject], plan.verb.lemma, node_of[1 - plan.subject])]
    if plan.placed is not None:
        words.append("and")
        say_mention(plan.placed)
        words.append("are" if plan.mentions[plan.placed].count > 1 else "is")
        if plan.place in ("left of", "right of"):
            words.extend(("to", "the"))
        place = plan.place.split()
        spans["relation"].append(list(range(len(words), len(words) + len(place))))
        words.extend(place)
        say_mention(2)
        relations.append((node_of[plan.placed], plan.place, node_of[2]))
    return text_record(words, objects, attributes, relations, spans, id)


def lexicon() -> list[str]:
    """Every word that captions and their graphs may use."""
    words = set(FUNCTION_WORDS)
    words.update(form for nouns in NOUNS.values() for pair in nouns for form in pair)
    words.update(word for group in ADJECTIVES.values() for word in group)
    words.update(form for verbs in ACTIONS.values() for verb in verbs for form in verb)
    words.update(word for group in PLACES.values() for phrase in group for word in phrase.split())
    return sorted(words)


def _mention(entity: Entity, random: Random) -> Mention:
    singular, plural = random.choice(NOUNS[entity.label])
    adjectives = tuple(
        random.choice(ADJECTIVES[attribute])
        for attribute in entity.attributes
        if random.random() < 0.7
    )
    return Mention(singular, plural, adjectives, entity.count)
