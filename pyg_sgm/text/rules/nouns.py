"""Objects and attributes read off a dependency tree."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyg_sgm.text.parsed_caption import Span, object_label
from pyg_sgm.text.word_lists import EMPTY, MATERIALS, MEASURES, NUMBERS, PLACES, VAGUE
from pyg_sgm.text.words import verb_lemma

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token


def is_noun(token: "Token") -> bool:
    return token.tag_.startswith("NN")


def is_verb(token: "Token") -> bool:
    return token.tag_.startswith("VB")


def children_by(token: "Token", *deps: str) -> Iterator["Token"]:
    return (child for child in token.children if child.dep_ in deps)


class NounReading:
    """The objects of one caption and their attributes.

    Args:
        doc (Doc): The parsed caption.
        words (list of str): Its words.
        gaps (list of int): What parts each word from the one before, see ``split_words``.
    """

    def __init__(self, doc: "Doc", words: list[str], gaps: list[int]) -> None:
        self.words = words
        self.word_at: list[int] = []  # word index of every token, -1 for punctuation
        for at, gap in enumerate(gaps):
            self.word_at += [-1, at] if gap else [at]
        self.doc = doc
        self.objects: dict[int, tuple[str, Span]] = {}  # by token index of the head
        self.attributes: dict[tuple[int, str], Span] = {}

    def _span(self, tokens: Iterable["Token"]) -> Span:
        return tuple(sorted({self.word_at[t.i] for t in tokens if self.word_at[t.i] >= 0}))

    # Objects

    def _is_object(self, token: "Token") -> bool:
        if token.lower_ in VAGUE or self.word_at[token.i] < 0:
            return False
        if token.dep_ == "ROOT" and not is_noun(token):
            # A caption that is one noun phrase, its head taken for a verb: "building at a corner".
            before = [t for t in self.doc[: token.i] if t.dep_ != "punct"]
            bare = token.tag_ in ("VB", "VBP", "VBZ", "VBG", "RB", "JJ", "UH", "FW")
            modified = all(t.dep_ in ("det", "amod", "nummod", "compound") for t in before)
            return bare and modified and verb_lemma(token.lower_) not in ("be", "have")
        if not is_noun(token) or token.dep_ in ("compound", "nmod", "npadvmod"):
            return False
        if token.lower_ in MEASURES and self._measured(token) is not None:
            return False
        return not self._is_place(token)

    def _is_place(self, token: "Token") -> bool:
        """Whether a noun is part of a predicate, as "top" in "on top of"."""
        return token.lower_ in PLACES and token.dep_ == "pobj"

    def _measured(self, token: "Token") -> "Token | None":
        """The noun that a measure is of: "birds" for "group" in "a group of birds"."""
        for of in children_by(token, "prep"):
            if of.lower_ == "of":
                return next(children_by(of, "pobj"), None)
        return None

    def _add_object(self, token: "Token") -> None:
        phrase = [t for t in children_by(token, "compound") if not self._modifies(t)]
        phrase = [t for t in phrase if t.i < token.i and self.word_at[t.i] >= 0]
        # Only an unbroken run of words right before the head is part of the name.
        start = token.i
        while start and self.doc[start - 1] in phrase:
            start -= 1
        tokens = list(self.doc[start : token.i + 1])
        self.objects[token.i] = object_label([t.lower_ for t in tokens]), self._span(tokens)

    def _modifies(self, token: "Token") -> bool:
        return token.lower_ in MATERIALS or token.tag_.startswith("JJ")

    def _resolve(self, token: "Token") -> list["Token"]:
        """Objects that a noun or pronoun stands for, those joined to it by "and" included."""
        if token.tag_ in ("WDT", "WP") or token.lower_ in ("that", "which", "who"):
            clause = token.head
            while clause.dep_ not in ("relcl", "ROOT"):
                clause = clause.head
            return self._resolve(clause.head) if clause.dep_ == "relcl" else []
        if token.tag_ in ("PRP", "PRP$"):
            return self._antecedent(token)
        found = [token] if token.i in self.objects else []
        if not found and (measured := self._measured(token)) is not None:
            found = self._resolve(measured)
        for joined in children_by(token, "conj"):
            if not is_verb(joined):
                found += self._resolve(joined)
        return found

    def _joined(self, noun: "Token") -> list["Token"]:
        """A noun and those before it that share what follows: "dogs and cats on a sofa"."""
        head = noun.head
        if noun.dep_ != "conj" or head.dep_ == "pobj" or any(children_by(head, "prep", "acl")):
            return [noun]
        return [*(self._joined(head) if head.i in self.objects else []), noun]

    def _antecedent(self, pronoun: "Token") -> list["Token"]:
        """The first object before a pronoun that agrees with it."""
        plural = pronoun.lower_ in ("they", "them", "their", "themselves")
        person = pronoun.lower_ in ("he", "him", "his", "she", "her", "himself", "herself")
        before = [self.doc[at] for at in sorted(self.objects) if at < pronoun.i]
        before = [t for t in before if t.dep_ != "pobj" or not person]
        if plural:
            before = [t for t in before if t.tag_.endswith("S")] or before
        if pronoun.tag_ == "PRP$":
            before = [t for t in before if t != pronoun.head]
        return before[:1]

    # Attributes

    def _add_attribute(self, owner: "Token", words: list["Token"]) -> None:
        if self._span(words):
            name = " ".join(NUMBERS.get(t.lower_, t.lower_) for t in words)
            self.attributes.setdefault((owner.i, name), self._span(words))

    def _describe(self, noun: "Token") -> None:
        in_name = set(self.objects[noun.i][1])
        for child in noun.children:
            if self.word_at[child.i] in in_name:
                continue
            if child.dep_ in ("amod", "nmod", "compound") and child.lower_ not in EMPTY:
                self._add_quality(noun, child)
            elif child.dep_ == "nummod" or (child.tag_ == "CD" and child.i < noun.i):
                if child.lower_ not in ("one", "1"):
                    self._add_attribute(noun, [child])
            elif child.lower_ == "both":
                self._add_attribute(noun, [child])
        if noun.dep_ == "pobj" and noun.head.lower_ == "of":
            measure = noun.head.head
            if measure.lower_ in ("pair", "couple"):
                self.attributes[noun.i, "2"] = self._span([measure, noun.head])
            elif measure.lower_ in MEASURES:
                for child in children_by(measure, "amod"):
                    self._add_quality(noun, child)
                if measure.lower_ == "group":
                    self._add_attribute(noun, [measure, noun.head])

    def _add_quality(self, owner: "Token", quality: "Token") -> None:
        """An adjective with the words that shade it ("dark green"), and those joined by "and"."""
        shades = [t for t in children_by(quality, "advmod", "npadvmod") if t.i < quality.i]
        shades = [t for t in shades if t.lower_ not in ("very", "so", "also", "too", "really")]
        for apart in children_by(quality, "amod", "compound"):
            if apart.lower_ in ("dark", "light", "bright"):
                shades.append(apart)
            elif apart.lower_ not in EMPTY:
                self._add_attribute(owner, [apart])
        before = self.doc[max(quality.i - 1, 0)]
        if not shades and before.lower_ in ("dark", "light", "bright") and before.head == owner:
            shades = [before]
            self.attributes.pop((owner.i, before.lower_), None)
        self._add_attribute(owner, [*shades, quality])
        for joined in children_by(quality, "conj"):
            if not is_verb(joined) or joined.tag_ == "VBN":
                self._add_quality(owner, joined)
