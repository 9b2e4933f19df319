"""A scene graph read off a dependency tree."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyg_sgm.text._lists import (
    CONTAINERS,
    EMPTY,
    KEEPING,
    MATERIALS,
    MEASURES,
    NUMBERS,
    PLACES,
    TURNED,
    VAGUE,
)
from pyg_sgm.text._parsed import ParsedCaption, Span, object_label
from pyg_sgm.text._words import verb_lemma

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token


def _is_noun(token: "Token") -> bool:
    return token.tag_.startswith("NN")


def _is_verb(token: "Token") -> bool:
    return token.tag_.startswith("VB")


def _children(token: "Token", *deps: str) -> Iterator["Token"]:
    return (child for child in token.children if child.dep_ in deps)


class TreeReading:
    """One caption: the tree, and the nodes found in it so far."""

    def __init__(self, doc: "Doc", words: list[str], gaps: list[int]) -> None:
        self.words = words
        self.word_at: list[int] = []  # word index of every token, -1 for punctuation
        for at, gap in enumerate(gaps):
            self.word_at += [-1, at] if gap else [at]
        self.doc = doc
        self.objects: dict[int, tuple[str, Span]] = {}  # by token index of the head
        self.attributes: dict[tuple[int, str], Span] = {}
        self.relations: dict[tuple[int, str, int], Span] = {}
        self.subjects: dict[int, list[Token]] = {}

    def parsed(self, caption: str) -> ParsedCaption:
        for token in self.doc:
            if self._is_object(token):
                self._add_object(token)
        for token in self.doc:
            if token.i in self.objects:
                self._describe(token)
                self._read_prepositions(token, self._joined(token), [])
                self._read_possession(token)
            elif _is_noun(token) and token.lower_ in MEASURES:
                self._read_prepositions(token, self._resolve(token), [])
            elif _is_verb(token) and token.dep_ not in ("aux", "auxpass", "amod", "compound"):
                self._read_verb(token)
        number = {head: at for at, head in enumerate(sorted(self.objects))}
        nodes = [self.objects[head] for head in sorted(self.objects)]
        attributes = sorted(self.attributes.items())
        relations = sorted(self.relations.items())
        return ParsedCaption(
            caption,
            tuple(self.words),
            tuple(name for name, _ in nodes),
            tuple((number[o], attribute) for (o, attribute), _ in attributes),
            tuple((number[s], predicate, number[o]) for (s, predicate, o), _ in relations),
            tuple(span for _, span in nodes),
            tuple(span for _, span in attributes),
            tuple(span for _, span in relations),
        )

    def _span(self, tokens: Iterable["Token"]) -> Span:
        return tuple(sorted({self.word_at[t.i] for t in tokens if self.word_at[t.i] >= 0}))

    # Objects

    def _is_object(self, token: "Token") -> bool:
        if token.lower_ in VAGUE or self.word_at[token.i] < 0:
            return False
        if token.dep_ == "ROOT" and not _is_noun(token):
            # A caption that is one noun phrase, its head taken for a verb: "building at a corner".
            before = [t for t in self.doc[: token.i] if t.dep_ != "punct"]
            bare = token.tag_ in ("VB", "VBP", "VBZ", "VBG", "RB", "JJ", "UH", "FW")
            modified = all(t.dep_ in ("det", "amod", "nummod", "compound") for t in before)
            return bare and modified and verb_lemma(token.lower_) not in ("be", "have")
        if not _is_noun(token) or token.dep_ in ("compound", "nmod", "npadvmod"):
            return False
        if token.lower_ in MEASURES and self._measured(token) is not None:
            return False
        return not self._is_place(token)

    def _is_place(self, token: "Token") -> bool:
        """Whether a noun is part of a predicate, as "top" in "on top of"."""
        return token.lower_ in PLACES and token.dep_ == "pobj"

    def _measured(self, token: "Token") -> "Token | None":
        """The noun that a measure is of: "birds" for "group" in "a group of birds"."""
        for of in _children(token, "prep"):
            if of.lower_ == "of":
                return next(_children(of, "pobj"), None)
        return None

    def _add_object(self, token: "Token") -> None:
        phrase = [t for t in _children(token, "compound") if not self._modifies(t)]
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
        for joined in _children(token, "conj", "appos"):
            if joined.dep_ == "conj" and not _is_verb(joined):
                found += self._resolve(joined)
        return found

    def _joined(self, noun: "Token") -> list["Token"]:
        """A noun and those before it that share what follows: "dogs and cats on a sofa"."""
        head = noun.head
        if noun.dep_ != "conj" or head.dep_ == "pobj" or any(_children(head, "prep", "acl")):
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
                for child in _children(measure, "amod"):
                    self._add_quality(noun, child)
                if measure.lower_ == "group":
                    self._add_attribute(noun, [measure, noun.head])

    def _add_quality(self, owner: "Token", quality: "Token") -> None:
        """An adjective with the words that shade it ("dark green"), and those joined by "and"."""
        shades = [t for t in _children(quality, "advmod", "npadvmod") if t.i < quality.i]
        shades = [t for t in shades if t.lower_ not in ("very", "so", "also", "too", "really")]
        for apart in _children(quality, "amod", "compound"):
            if apart.lower_ in ("dark", "light", "bright"):
                shades.append(apart)
            elif apart.lower_ not in EMPTY:
                self._add_attribute(owner, [apart])
        before = self.doc[max(quality.i - 1, 0)]
        if not shades and before.lower_ in ("dark", "light", "bright") and before.head == owner:
            shades = [before]
            self.attributes.pop((owner.i, before.lower_), None)
        words = [*shades, quality]
        self._add_attribute(owner, words)
        for joined in _children(quality, "conj"):
            if not _is_verb(joined) or joined.tag_ == "VBN":
                self._add_quality(owner, joined)

    # Relations

    def _add_relations(
        self,
        subjects: Iterable["Token"],
        predicate: list["Token"],
        targets: Iterable["Token"],
        name: str = "",
    ) -> None:
        words = [verb_lemma(t.lower_) if _is_verb(t) else t.lower_ for t in predicate]
        name = name or " ".join(words)
        targets = list(targets)
        for subject in subjects:
            for target in targets:
                if subject.i != target.i:
                    self.relations.setdefault((subject.i, name, target.i), self._span(predicate))

    def _read_possession(self, noun: "Token") -> None:
        for owner in _children(noun, "poss"):
            self._add_relations(self._resolve(owner), [], [noun], "have")

    def _read_prepositions(
        self, head: "Token", subjects: list["Token"], verb: list["Token"]
    ) -> None:
        """Relations by the prepositions under ``head``; ``verb`` begins their predicate."""
        for word in head.children:
            if word.dep_ in ("prep", "agent", "dative") or (
                word.dep_ in ("prt", "advmod") and any(_children(word, "prep", "pcomp"))
            ):
                joined = [
                    t for t in _children(head, "conj") if t.i in self.objects and t.i < word.i
                ]
                self._read_preposition(word, [*subjects, *joined], verb)

    def _read_preposition(
        self, word: "Token", subjects: list["Token"], verb: list["Token"]
    ) -> None:
        predicate = [*verb, word]
        if word.lower_ == "of" and not verb:
            if word.head.lower_ in MEASURES:
                return
            for target in _children(word, "pobj"):
                inside = CONTAINERS.get(word.head.lower_, "have")
                self._add_relations(self._resolve(target), [word], subjects, inside)
            return
        if verb and self._is_turned(verb[-1], word):
            for target in _children(word, "pobj"):
                self._add_relations(self._resolve(target), verb, subjects)
            return
        if word.lower_ in ("like", "as", "during", "while"):
            return
        for target in _children(word, "pobj"):
            if self._is_place(target):
                self._read_place(target, subjects, predicate)
            else:
                self._add_relations(subjects, predicate, self._resolve(target))
        clause = verb[0] if verb else word.head
        if clause.dep_ == "relcl" and not any(_children(word, "pobj", "pcomp", "prep")):
            self._add_relations(subjects, predicate, self._resolve(clause.head))
        for further in _children(word, "prep", "pcomp"):  # "out of", "next to", "in between"
            self._read_preposition(further, subjects, predicate)
        for joined in _children(word, "conj"):
            if joined.tag_ == "IN":
                self._read_preposition(joined, subjects, verb)

    def _is_turned(self, verb: "Token", word: "Token") -> bool:
        """Whether a passive's preposition names the doer."""
        if word.dep_ == "agent":
            return verb.lower_ not in ("parked", "seated")
        return verb.lower_ in TURNED and word.lower_ in ("with", "in", "by")

    def _read_place(
        self, place: "Token", subjects: list["Token"], predicate: list["Token"]
    ) -> None:
        """ "on the left side of the road": preposition, what shades the place, the place, "of"."""
        sides = [t for t in _children(place, "amod", "det") if t.lower_ in ("left", "right")]
        if sides or place.lower_ in ("left", "right"):
            sides = [*(t for t in _children(place, "det") if t.lower_ == "the"), *sides]
        before = [*predicate, *sides, place]
        found = False
        for of in _children(place, "prep"):
            for target in _children(of, "pobj"):
                found = True
                self._add_relations(subjects, [*before, of], self._resolve(target))
        for subject in subjects if not found else ():
            self._add_attribute(subject, before)

    # Verbs

    def _subjects(self, verb: "Token") -> list["Token"]:
        """Who does what a verb says: its own subject, or the one it shares with its governor."""
        if verb.i not in self.subjects:
            self.subjects[verb.i] = []  # a tree has no cycles, but "it" may lead back here
            self.subjects[verb.i] = self._find_subjects(verb)
        return self.subjects[verb.i]

    def _find_subjects(self, verb: "Token") -> list["Token"]:
        own = list(_children(verb, "nsubj", "nsubjpass", "csubj"))
        if own:
            return [t for subject in own for t in self._resolve(subject)]
        head = verb.head
        if verb.dep_ in ("acl", "relcl"):
            return self._joined(head) if head.i in self.objects else self._resolve(head)
        if verb.dep_ in ("conj", "xcomp", "advcl", "ccomp", "dep") and head != verb:
            return self._subjects(head) if _is_verb(head) else self._resolve(head)
        if any(_children(verb, "expl")):
            return [t for thing in _children(verb, "attr") for t in self._resolve(thing)]
        if verb.dep_ == "pcomp":
            return (
                self._resolve(head.head) if not _is_verb(head.head) else self._subjects(head.head)
            )
        if verb.dep_ == "ROOT":  # a noun that spaCy hangs elsewhere: "bed spread on bed"
            before = [self.doc[at] for at in sorted(self.objects) if at < verb.i]
            return before[:1]
        return []

    def _verb_words(self, verb: "Token") -> list["Token"]:
        words = [verb, *_children(verb, "prt")]
        if verb.dep_ == "xcomp" and _is_verb(verb.head) and verb.head.lower_ not in ("is", "are"):
            to = [t for t in _children(verb, "aux") if t.lower_ == "to"]
            return [*self._verb_words(verb.head), *to, *words]
        return words

    def _read_verb(self, verb: "Token") -> None:
        subjects = self._subjects(verb)
        lemma = verb_lemma(verb.lower_)
        if lemma == "be":
            self._read_copula(verb, subjects)
            return
        before = len(self.relations)
        words = self._verb_words(verb)
        objects = [t for child in _children(verb, "dobj", "attr") for t in self._resolve(child)]
        passive = any(_children(verb, "nsubjpass")) or (verb.dep_ == "acl" and verb.tag_ == "VBN")
        if lemma == "dress" and passive:
            self._read_clothes(verb, subjects)
            return
        if passive or not objects:
            self._read_prepositions(verb, subjects, words)
        elif lemma in KEEPING:
            self._read_prepositions(verb, objects, [])
        else:
            self._read_prepositions(verb, subjects, words)
        self._add_relations(subjects, words, objects)
        if verb.dep_ == "relcl" and len(self.relations) == before and subjects:
            self._read_gap(verb, subjects, words)
        idle = len(self.relations) == before and not any(_children(verb, "dobj", "xcomp"))
        if idle and verb.tag_ in ("VBG", "VBN"):
            for subject in subjects:
                self._add_attribute(subject, words)
        for complement in _children(verb, "acomp", "oprd"):
            for subject in subjects:
                self._add_quality(subject, complement)

    def _read_gap(self, verb: "Token", subjects: list["Token"], words: list["Token"]) -> None:
        """ "the kite a man is flying": what the clause is about is the object of its verb."""
        about = self._resolve(verb.head)
        if not set(subjects) & set(about):
            self._add_relations(subjects, words, about)

    def _read_clothes(self, verb: "Token", subjects: list["Token"]) -> None:
        for word in _children(verb, "prep"):
            for target in _children(word, "pobj"):
                self._add_relations(subjects, [verb, word], self._resolve(target), "wear")

    def _read_copula(self, verb: "Token", subjects: list["Token"]) -> None:
        there = any(_children(verb, "expl"))
        self._read_prepositions(verb, subjects, [])
        for quality in _children(verb, "acomp", "oprd"):
            before = len(self.relations)
            for word in _children(quality, "prep"):
                if quality.lower_ == "full":
                    for target in _children(word, "pobj"):
                        self._add_relations(
                            subjects, [quality, word], self._resolve(target), "have"
                        )
                else:
                    self._read_preposition(word, subjects, [quality])
            for subject in subjects if len(self.relations) == before else ():
                self._add_quality(subject, quality)
        for thing in _children(verb, "attr") if not there else ():
            for subject in subjects:
                if thing.i in self.objects and subject.i != thing.i:
                    self._add_attribute(subject, [thing])
