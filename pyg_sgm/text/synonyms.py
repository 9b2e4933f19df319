"""Which words may stand for which without changing what a caption says."""

from collections.abc import Sequence

from pyg_sgm.data.records import phrase_words
from pyg_sgm.text.word_lists import FEMALE, MALE, NUMBERS, PEOPLE, pairs, words
from pyg_sgm.text.words import noun_lemma, verb_lemma

DETERMINERS = words("a an the another some one this that these those each") | NUMBERS.keys()
POSSESSIVES = words("his her their its my your our 's whose")
PLURALS = words("people police cattle")  # that are their own lemma
AGREEING = words("is are was were has have does do")
PREPOSITIONS = words(
    "in on at with of from by near under over behind above below beside between inside outside "
    "through across along alongside around against down up into onto off toward towards to next "
    "left right atop among beneath past amid underneath within beyond about for out"
)
# What may stand before a noun phrase without a determiner; anything else could be part of it.
BEFORE_NOUNS = PREPOSITIONS | words("and while is are was were as but or")
# Relations that hold in both directions, by whole phrase and by how they end.
MUTUAL = {
    *("and", "or", "with", "by", "between", "along with", "together with", "opposite", "against"),
    *("meet", "kiss", "hug", "embrace", "fight", "fight with", "wrestle", "wrestle with", "face"),
    *("talk to", "talk with", "speak to", "speak with", "chat with", "dance with", "touch"),
    *("hold hand with", "shake hand with", "race", "play with", "among", "around"),
}
MUTUAL_ENDS = ("near", "next to", "beside", "alongside", "close to", "together", "beside of")
# Predicates that captions use for the same thing: none replaces another of its line.
SAME_PREDICATE = tuple(
    frozenset(line.split())
    for line in (
        "in on at inside within into onto across through over along down up around by with atop",
        "in wear dress with",
        "with have hold carry grab catch bring of",
        "on atop above over onto ride sit",
        "near beside by next alongside at against around close front outside",
        "near beside by next alongside at against around close behind",
        "under below beneath underneath",
        "chase pursue follow run race",
        "watch observe look see view face",
        "walk run go move jog stroll hike race cross play",
        "swim splash wade play jump",
        "jump leap hop fly dive",
        "stand wait pose look",
        "climb scale",
    )
)
# Attributes that exclude one another; synonyms are joined by a stroke.
EXCLUSIVE = tuple(
    tuple(frozenset(group.split("|")) for group in line.split())
    for line in (
        "red|maroon blue|navy|teal|turquoise green|teal|olive|turquoise yellow|gold|golden|"
        "blond|blonde black white|cream|beige brown|tan|beige|khaki|brunette orange|golden|tan "
        "pink|magenta purple|violet|lavender gray|grey|silver",
        "small|little|tiny large|big|huge|giant",
        "young|little|small old|elderly|older|aged",
        "wooden|wood metal|steel|iron brick stone|rock|rocky plastic glass leather",
        "1|one 2|two|both 3|three 4|four 5|five 6|six 7|seven 8|eight 9|nine 10|ten",
    )
)
# Words and prepositions of which each may stand for the other.
_SAME_WORDS = (
    "child|kid", "children|kids", "bicycle|bike", "bicycles|bikes", "sofa|couch", "sofas|couches",
    "airplane|plane", "airplanes|planes", "ocean|sea", "television|tv", "large|big", "small|little",
    "gray|grey", "beside|next to", "near|close to", "under|beneath", "above|over",
    "on top of|atop", "rock|stone", "rocks|stones", "picture|photo", "pictures|photos",
)  # fmt: skip
REWORDINGS: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
for _line in _SAME_WORDS:
    _phrases = [tuple(phrase.split()) for phrase in _line.split("|")]
    REWORDINGS |= {one: [other for other in _phrases if other != one] for one in _phrases}
# One name for nouns of the same thing.
SAME_NOUN = pairs(
    "kid:child bike:bicycle couch:sofa airplane:plane aircraft:plane tv:television puppy:dog "
    "doggy:dog kitten:cat street:road roadway:road stone:rock boulder:rock photo:picture auto:car "
    "automobile:car sidewalk:pavement lawn:grass forest:tree woods:tree ocean:water sea:water "
    "lake:water river:water pond:water pool:water beach:sand tshirt:shirt t-shirt:shirt "
    "blouse:shirt jersey:shirt jacket:coat cap:hat helmet:hat sunglasses:glass eyeglasses:glass "
    "trousers:pants jeans:pants football:ball basketball:ball baseball:ball"
)
PERSON = "person"
# Nearly everything that a photo shows has these, said or not.
EVERYWHERE = words("hand head face hair eye arm leg foot air ground background view")
COLORS = frozenset[str]().union(*EXCLUSIVE[0])


def meaning(noun: str) -> str:
    """One name for nouns that stand for the same thing; all persons are one."""
    name = SAME_NOUN.get(noun_lemma(noun), noun_lemma(noun))
    return PERSON if name in PEOPLE or name in MALE or name in FEMALE else name


def is_absent(thing: str, said: set[str]) -> bool:
    """Whether a thing is none of the meanings that are said of an image, nor what nearly every
    photo shows."""
    meant = meaning(thing.split()[-1])
    return meant not in said and meant not in EVERYWHERE


def is_mutual(predicate: str) -> bool:
    return predicate in MUTUAL or predicate.endswith(MUTUAL_ENDS)


def is_plural(noun: str) -> bool:
    return noun in PLURALS or noun != noun_lemma(noun)


def verb_form(word: str) -> str:
    """How the first word of a predicate is inflected."""
    if word in PREPOSITIONS:
        return "preposition"
    if verb_lemma(word) == word:
        return "bare"
    return next((end for end in ("ing", "s") if word.endswith(end)), "ed")


def is_number(attribute: str) -> bool:
    """Whether an attribute is a number, as digits or as a word."""
    return any(attribute in group for group in EXCLUSIVE[-1])


def sorts(attribute: str) -> set[int]:
    """The sorts that an attribute belongs to, as indices of :data:`EXCLUSIVE`."""
    return {i for i, groups in enumerate(EXCLUSIVE) if any(attribute in group for group in groups)}


def same_attribute(one: str, other: str) -> bool:
    return one == other or any(
        one in group and other in group for groups in EXCLUSIVE for group in groups
    )


def same_predicate(one: str, other: str) -> bool:
    """Whether two predicates may hold of the same two things: they share a verb, or where one of
    them has none, a preposition, or synonyms of these."""
    first, second = phrase_words(one), phrase_words(other)
    if first[0] in PREPOSITIONS or second[0] in PREPOSITIONS:
        left, right = _content(first), _content(second)
    else:
        left, right = {first[0]}, {second[0]}
    return bool(left & right) or any(left & same and right & same for same in SAME_PREDICATE)


def _content(predicate: Sequence[str]) -> set[str]:
    """Words of a predicate without those that only join others ("left of", "in front of")."""
    if "front" in predicate:
        return {"front"}
    return set(predicate) - {"of", "to", "the"} or set(predicate)
