"""Other predicates, attributes and objects in place of those of a caption."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, is_run, noun_phrase, written
from pyg_sgm.text.parsed_caption import Span
from pyg_sgm.text.synonyms import (
    DETERMINERS,
    EVERYWHERE,
    is_plural,
    meaning,
    same_attribute,
    same_predicate,
    sorts,
    verb_form,
)

FREQUENT = 2  # times at least that the texts have a replacement where it comes to stand
Node = Literal["relation", "attribute", "object"]


class Replacements:
    """What may stand for the predicates, attributes or objects of texts.

    Args:
        located (list of Located): All texts.
        node (str): What is replaced.
    """

    def __init__(self, located: Sequence[Located], node: Node) -> None:
        self.node = node
        # Place -> (words, label) -> how often.
        self._seen: dict[str, Counter[tuple[tuple[str, ...], str]]] = defaultdict(Counter)
        for it in located:
            for i in self.nodes(it):
                for place in self._places(it, i):
                    self._seen[place][self._words(it, i), self._label(it, i)] += 1

    def nodes(self, it: Located) -> list[int]:
        """Relations, attributes or objects whose words can be replaced."""
        spans = self._spans(it)
        if self.node == "object":
            return [i for i in range(len(spans)) if noun_phrase(it, i) is not None]
        if self.node == "attribute":
            return [
                i for i, span in enumerate(spans) if len(span) == 1 and sorts(self._label(it, i))
            ]
        return [
            i
            for i, span in enumerate(spans)
            # Relations may share words, if all of them: "people and dogs sit on grass".
            if is_run(span)
            and self._label(it, i) != "of"  # part of a name: "group of men"
            and all(r == span or not set(r) & set(span) for r in spans)
            and not DETERMINERS & set(it.text.words[span[0] - 1 : span[0]])  # "to the left of"
        ]

    def said(self, it: Located) -> set[str]:
        """What a text says, in all words that mean it."""
        if self.node == "attribute":
            return {label for _, label in it.text.attributes} | set(it.text.words)
        if self.node == "object":
            return {meaning(word) for word in it.text.words}
        return {label for _, label, _ in it.text.relations}

    def of(self, it: Located, node: int, said: set[str]) -> dict[tuple[tuple[str, ...], str], int]:
        """Frequent words and labels in place of a node's, none of which is said of the image."""
        label, old = self._label(it, node), self._words(it, node)
        seen: Counter[tuple[tuple[str, ...], str]] = Counter()
        for place in self._places(it, node):
            seen.update(self._seen[place])
        return {
            (new, other): count
            for (new, other), count in seen.items()
            if count >= FREQUENT
            and self._fits(old, label, new, other)
            and not self._holds(other, said)
        }

    def apply(self, it: Located, node: int, new: tuple[str, ...], label: str) -> TextRecord:
        """The text with other words for a node."""
        text, span = it.text, self._spans(it)[node]
        first, longer = span[0], len(new) - len(span)
        last = first + len(new) - 1
        said = [*text.words[:first], *new, *text.words[span[-1] + 1 :]]
        if first and said[first - 1] in ("a", "an"):
            said[first - 1] = "an" if new[0][0] in "aeiou" else "a"
        spans = text.spans and {
            kind: [
                range(first, first + len(new))
                if set(row) == set(span)
                else [at + longer if at > span[-1] else min(at, last) for at in row]
                for row in rows
            ]
            for kind, rows in text.spans.items()
        }
        if self.node == "attribute":
            attributes = [
                (owner, label if found == span else name)
                for (owner, name), found in zip(text.attributes, it.attributes, strict=True)
            ]
            return written(text, said, attributes=attributes, spans=spans)
        if self.node == "object":
            objects = [label if i == node else name for i, name in enumerate(text.objects)]
            return written(text, said, objects=objects, spans=spans)
        relations = [
            (s, label if found == span else predicate, o)
            for (s, predicate, o), found in zip(text.relations, it.relations, strict=True)
        ]
        return written(text, said, relations=relations, spans=spans)

    def _spans(self, it: Located) -> list[Span]:
        return {"relation": it.relations, "attribute": it.attributes, "object": it.objects}[
            self.node
        ]

    def _words(self, it: Located, node: int) -> tuple[str, ...]:
        return tuple(it.text.words[at] for at in self._spans(it)[node])

    def _label(self, it: Located, node: int) -> str:
        if self.node == "object":
            return it.text.objects[node]
        return (
            it.text.relations[node][1] if self.node == "relation" else it.text.attributes[node][1]
        )

    def _places(self, it: Located, node: int) -> list[str]:
        """Where a node stands: a predicate before its object, an attribute before its owner, an
        object before or behind its predicates, with a determiner or without."""
        text = it.text
        if self.node == "relation":
            return [text.objects[text.relations[node][2]]]
        if self.node == "attribute":
            return [text.objects[text.attributes[node][0]]]
        # "of" is a part of a name: "group of men".
        relations = [(s, label, o) for s, label, o in text.relations if label != "of"]
        phrase = noun_phrase(it, node)
        assert phrase is not None  # of nodes()
        here = "the _" if text.words[phrase[0]] in DETERMINERS else "_"
        before = [f"{here} {label}" for s, label, _ in relations if s == node]
        return before + [f"{label} {here}" for _, label, o in relations if o == node]

    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        """Whether new words keep the sentence whole and mean something else."""
        if self.node == "attribute":
            return bool(sorts(label) & sorts(other)) and not same_attribute(label, other)
        if self.node == "object":
            return is_plural(old[-1]) == is_plural(new[-1])
        return verb_form(old[0]) == verb_form(new[0]) and not same_predicate(label, other)

    def _holds(self, label: str, said: set[str]) -> bool:
        if self.node == "object":
            meant = meaning(label.split()[-1])
            return meant in said or meant in EVERYWHERE
        same = same_attribute if self.node == "attribute" else same_predicate
        return any(same(label, other) for other in said)
