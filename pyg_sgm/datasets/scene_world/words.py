"""What exists in the synthetic world, and how captions call it."""

from typing import NamedTuple


class Verb(NamedTuple):
    """One way to say a predicate: lemma (the phrase of the text graph) and inflected forms."""

    lemma: str
    gerund: str
    third: str
    participle: str


def _verb(lemma: str, gerund: str = "", third: str = "", participle: str = "") -> Verb:
    return Verb(lemma, gerund or lemma + "ing", third or lemma + "s", participle or lemma + "ed")


# Label of an agent: the nouns that captions use, (singular, plural).
AGENTS: dict[str, list[tuple[str, str]]] = {
    "dog": [("dog", "dogs"), ("puppy", "puppies")],
    "cat": [("cat", "cats"), ("kitten", "kittens")],
    "horse": [("horse", "horses"), ("pony", "ponies")],
    "man": [("man", "men"), ("guy", "guys")],
    "woman": [("woman", "women"), ("lady", "ladies")],
    "boy": [("boy", "boys"), ("lad", "lads")],
    "girl": [("girl", "girls")],
    "cow": [("cow", "cows")],
    "sheep": [("sheep", "sheep"), ("lamb", "lambs")],
    "bear": [("bear", "bears")],
    "bird": [("bird", "birds")],
    "robot": [("robot", "robots"), ("android", "androids")],
}
THINGS: dict[str, list[tuple[str, str]]] = {
    "car": [("car", "cars"), ("automobile", "automobiles")],
    "bike": [("bike", "bikes"), ("bicycle", "bicycles")],
    "bench": [("bench", "benches")],
    "tree": [("tree", "trees")],
    "ball": [("ball", "balls")],
    "box": [("box", "boxes"), ("crate", "crates")],
    "table": [("table", "tables"), ("desk", "desks")],
    "boat": [("boat", "boats"), ("ship", "ships")],
    "kite": [("kite", "kites")],
    "umbrella": [("umbrella", "umbrellas")],
    "fence": [("fence", "fences")],
    "lamp": [("lamp", "lamps")],
}
COLORS: dict[str, list[str]] = {
    name: [name] for name in ("red", "blue", "green", "yellow", "black", "white", "brown", "orange")
}
SIZES: dict[str, list[str]] = {"small": ["small", "little"], "large": ["large", "big"]}

# Between two agents: either may be the subject, and boxes say nothing about which is.
ACTIONS: dict[str, list[Verb]] = {
    "chasing": [
        _verb("chase", "chasing", participle="chased"),
        _verb("pursue", "pursuing", participle="pursued"),
    ],
    "following": [_verb("follow"), _verb("trail")],
    "watching": [
        _verb("watch", third="watches"),
        _verb("observe", "observing", participle="observed"),
    ],
    "pushing": [
        _verb("push", third="pushes"),
        _verb("shove", "shoving", participle="shoved"),
    ],
    "pulling": [_verb("pull"), _verb("drag", "dragging", participle="dragged")],
    "feeding": [_verb("feed", participle="fed")],
    "washing": [_verb("wash", third="washes"), _verb("clean")],
    "greeting": [_verb("greet"), _verb("welcome", "welcoming", participle="welcomed")],
    "leading": [_verb("lead", participle="led"), _verb("guide", "guiding", participle="guided")],
    "lifting": [_verb("lift"), _verb("raise", "raising", participle="raised")],
}
# Between an agent and a thing: how captions say it. The first four hold for the boxes too.
PLACES: dict[str, list[str]] = {
    "left of": ["left of"],
    "right of": ["right of"],
    "above": ["above", "over"],
    "below": ["below", "under"],
    "near": ["near", "next to"],
    "behind": ["behind"],
    "in front of": ["in front of"],
}

OBJECTS = [*AGENTS, *THINGS]
PREDICATES = [*ACTIONS, *PLACES]
ATTRIBUTES = [*COLORS, *SIZES]
NOUNS = AGENTS | THINGS
ADJECTIVES = COLORS | SIZES
