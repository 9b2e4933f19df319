"""Graphs of texts as sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.data.records import node_phrases, phrase_words

Kind = Literal["object", "attribute", "relation"]


def check_node(text: TextRecord, kind: Kind, index: int) -> None:
    """Checks that a text has a node.

    Args:
        text (TextRecord): The text.
        kind (Kind): What the node is.
        index (int): Which of its kind.

    Raises:
        ValueError: If it has not.
    """
    count = len(node_phrases(text)[kind])
    if not 0 <= index < count:
        raise ValueError(f"there is no {kind} {index} among {count}")


def excluded(text: TextRecord, kind: Kind, index: int) -> TextRecord:
    """What a node says, as a text of its own that may be excluded.

    Args:
        text (TextRecord): The text.
        kind (Kind): What the node is.
        index (int): Which of its kind.

    Raises:
        ValueError: If there is no such node.

    Example:
        >>> text = text_record("a man in a black hat", attributes=[("hat", "black")])
        >>> excluded(text, "attribute", 0).caption
        'black hat'
    """
    check_node(text, kind, index)
    if kind == "object":
        name = text.objects[index]
        return text_record(name, objects=[name])
    if kind == "attribute":
        owner, phrase = text.attributes[index]
        name = text.objects[owner]
        return text_record(f"{phrase} {name}", attributes=[(name, phrase)])
    s, phrase, o = text.relations[index]
    ends = [text.objects[s], text.objects[o]]
    caption = f"{ends[0]} {phrase} {ends[1]}"
    return text_record(caption, objects=ends, relations=[(0, phrase, 1)])


def said_anew(text: TextRecord) -> TextRecord:
    """The graph of a text as a sentence of its own: its relations one after the other, then what
    has none.

    Args:
        text (TextRecord): The text.

    Example:
        >>> triplets = [("dog", "chase", "cat"), ("dog", "wear", "hat"), ("hat", "on", "head")]
        >>> said_anew(text_record("", relations=triplets, attributes=[("hat", "red")])).caption
        'dog chase cat and wear red hat on head'
    """
    words: list[str] = []
    spans: dict[str, list[list[int]]] = {
        node: [[] for _ in phrases] for node, phrases in node_phrases(text).items()
    }

    def say(node: str, index: int, phrase: str) -> None:
        said = phrase_words(phrase)
        spans[node][index] = spans[node][index] or [*range(len(words), len(words) + len(said))]
        words.extend(said)

    def say_object(index: int) -> None:
        for i, (owner, phrase) in enumerate(text.attributes):
            if owner == index and not spans["attribute"][i]:
                say("attribute", i, phrase)
        say("object", index, text.objects[index])

    last: tuple[int, int] | None = None  # subject and object of the relation before
    for i, (s, phrase, o) in enumerate(text.relations):
        if last is None or s != last[1]:
            words.extend(("and",) if last else ())
            if last is None or s != last[0]:
                say_object(s)
        say("relation", i, phrase)
        say_object(o)
        last = (s, o)
    for i in range(len(text.objects)):
        if not spans["object"][i]:
            words.extend(("and",) if words else ())
            say_object(i)
    return replace(text, caption=" ".join(words), words=words, spans=spans)
