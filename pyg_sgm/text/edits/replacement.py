"""Other predicates, attributes and objects in place of those of a caption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, fit_article, is_run, noun_phrase, written
from pyg_sgm.text.parsed_caption import Span
from pyg_sgm.text.synonyms import (
    DETERMINERS,
    is_absent,
    is_plural,
    meaning,
    same_attribute,
    same_predicate,
    sorts,
    verb_form,
)

FREQUENT = 2  # times at least that the texts have a replacement where it comes to stand


class Replacements(ABC):
    """What may stand for nodes of texts.

    Args:
        located (list of Located): All texts.
    """

    def __init__(self, located: Sequence[Located]) -> None:
        # Place -> (words, label) -> how often.
        self._seen: dict[str, Counter[tuple[tuple[str, ...], str]]] = defaultdict(Counter)
        for it in located:
            for i in self.nodes(it):
                for place in self._places(it, i):
                    self._seen[place][self._words(it, i), self._label(it, i)] += 1

    @abstractmethod
    def nodes(self, it: Located) -> list[int]:
        """Nodes whose words can be replaced."""

    @abstractmethod
    def said(self, it: Located) -> set[str]:
        """What a text says, in all words that mean it."""

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
        fit_article(said, first)
        spans = text.spans and {
            kind: [
                range(first, first + len(new))
                if set(row) == set(span)
                else [at + longer if at > span[-1] else min(at, last) for at in row]
                for row in rows
            ]
            for kind, rows in text.spans.items()
        }
        return self._written(it, node, label, said, spans=spans)

    def _words(self, it: Located, node: int) -> tuple[str, ...]:
        return tuple(it.text.words[at] for at in self._spans(it)[node])

    @abstractmethod
    def _spans(self, it: Located) -> list[Span]: ...

    @abstractmethod
    def _label(self, it: Located, node: int) -> str: ...

    @abstractmethod
    def _places(self, it: Located, node: int) -> list[str]:
        """Where a node stands, in words."""

    @abstractmethod
    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        """Whether new words keep the sentence whole and mean something else."""

    @abstractmethod
    def _holds(self, label: str, said: set[str]) -> bool:
        """Whether a label is said of an image."""

    @abstractmethod
    def _written(
        self, it: Located, node: int, label: str, said: Sequence[str], **changes: object
    ) -> TextRecord:
        """The text in other words, with another label for a node."""


class Predicates(Replacements):
    """Other predicates of the same object."""

    def nodes(self, it: Located) -> list[int]:
        spans = it.relations
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
        return {label for _, label, _ in it.text.relations}

    def _spans(self, it: Located) -> list[Span]:
        return it.relations

    def _label(self, it: Located, node: int) -> str:
        return it.text.relations[node][1]

    def _places(self, it: Located, node: int) -> list[str]:
        return [it.text.objects[it.text.relations[node][2]]]

    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        return verb_form(old[0]) == verb_form(new[0]) and not same_predicate(label, other)

    def _holds(self, label: str, said: set[str]) -> bool:
        return any(same_predicate(label, other) for other in said)

    def _written(
        self, it: Located, node: int, label: str, said: Sequence[str], **changes: object
    ) -> TextRecord:
        relations = [
            (s, label if found == it.relations[node] else predicate, o)
            for (s, predicate, o), found in zip(it.text.relations, it.relations, strict=True)
        ]
        return written(it.text, said, relations=relations, **changes)


class Attributes(Replacements):
    """Other attributes of one sort, of the same noun."""

    def nodes(self, it: Located) -> list[int]:
        return [
            i
            for i, span in enumerate(it.attributes)
            if len(span) == 1 and sorts(self._label(it, i))
        ]

    def said(self, it: Located) -> set[str]:
        return {label for _, label in it.text.attributes} | set(it.text.words)

    def _spans(self, it: Located) -> list[Span]:
        return it.attributes

    def _label(self, it: Located, node: int) -> str:
        return it.text.attributes[node][1]

    def _places(self, it: Located, node: int) -> list[str]:
        return [it.text.objects[it.text.attributes[node][0]]]

    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        return bool(sorts(label) & sorts(other)) and not same_attribute(label, other)

    def _holds(self, label: str, said: set[str]) -> bool:
        return any(same_attribute(label, other) for other in said)

    def _written(
        self, it: Located, node: int, label: str, said: Sequence[str], **changes: object
    ) -> TextRecord:
        attributes = [
            (owner, label if found == it.attributes[node] else name)
            for (owner, name), found in zip(it.text.attributes, it.attributes, strict=True)
        ]
        return written(it.text, said, attributes=attributes, **changes)


class Objects(Replacements):
    """Other objects before or behind the same predicates, with a determiner as the old one or
    without."""

    def nodes(self, it: Located) -> list[int]:
        return [i for i in range(len(it.objects)) if noun_phrase(it, i) is not None]

    def said(self, it: Located) -> set[str]:
        return {meaning(word) for word in it.text.words}

    def _spans(self, it: Located) -> list[Span]:
        return it.objects

    def _label(self, it: Located, node: int) -> str:
        return it.text.objects[node]

    def _places(self, it: Located, node: int) -> list[str]:
        # "of" is a part of a name: "group of men".
        relations = [(s, label, o) for s, label, o in it.text.relations if label != "of"]
        phrase = noun_phrase(it, node)
        assert phrase is not None  # of nodes()
        here = "the _" if it.text.words[phrase[0]] in DETERMINERS else "_"
        before = [f"{here} {label}" for s, label, _ in relations if s == node]
        return before + [f"{label} {here}" for _, label, o in relations if o == node]

    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        return is_plural(old[-1]) == is_plural(new[-1])

    def _holds(self, label: str, said: set[str]) -> bool:
        return not is_absent(label, said)

    def _written(
        self, it: Located, node: int, label: str, said: Sequence[str], **changes: object
    ) -> TextRecord:
        objects = [label if i == node else name for i, name in enumerate(it.text.objects)]
        return written(it.text, said, objects=objects, **changes)
