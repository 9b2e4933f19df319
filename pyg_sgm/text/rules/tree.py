"""A scene graph read off a dependency tree: its relations, on top of the nouns."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyg_sgm.text.parsed_caption import ParsedCaption, Span
from pyg_sgm.text.rules.nouns import NounReading, children_by, is_noun, is_verb
from pyg_sgm.text.word_lists import CONTAINERS, KEEPING, MEASURES, TURNED
from pyg_sgm.text.words import verb_lemma

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token


class TreeReading(NounReading):
    """One caption: the tree, and the nodes found in it so far."""

    def __init__(self, doc: "Doc", words: list[str], gaps: list[int]) -> None:
        super().__init__(doc, words, gaps)
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
            elif is_noun(token) and token.lower_ in MEASURES:
                self._read_prepositions(token, self._resolve(token), [])
            elif is_verb(token) and token.dep_ not in ("aux", "auxpass", "amod", "compound"):
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

    def _add_relations(
        self,
        subjects: Iterable["Token"],
        predicate: list["Token"],
        targets: Iterable["Token"],
        name: str = "",
    ) -> None:
        words = [verb_lemma(t.lower_) if is_verb(t) else t.lower_ for t in predicate]
        name = name or " ".join(words)
        targets = list(targets)
        for subject in subjects:
            for target in targets:
                if subject.i != target.i:
                    self.relations.setdefault((subject.i, name, target.i), self._span(predicate))

    def _read_possession(self, noun: "Token") -> None:
        for owner in children_by(noun, "poss"):
            self._add_relations(self._resolve(owner), [], [noun], "have")

    def _read_prepositions(
        self, head: "Token", subjects: list["Token"], verb: list["Token"]
    ) -> None:
        """Relations by the prepositions under ``head``; ``verb`` begins their predicate."""
        for word in head.children:
            if word.dep_ in ("prep", "agent", "dative") or (
                word.dep_ in ("prt", "advmod") and any(children_by(word, "prep", "pcomp"))
            ):
                joined = [
                    t for t in children_by(head, "conj") if t.i in self.objects and t.i < word.i
                ]
                self._read_preposition(word, [*subjects, *joined], verb)

    def _read_preposition(
        self, word: "Token", subjects: list["Token"], verb: list["Token"]
    ) -> None:
        predicate = [*verb, word]
        if word.lower_ == "of" and not verb:
            if word.head.lower_ in MEASURES:
                return
            for target in children_by(word, "pobj"):
                inside = CONTAINERS.get(word.head.lower_, "have")
                self._add_relations(self._resolve(target), [word], subjects, inside)
            return
        if verb and self._is_turned(verb[-1], word):
            for target in children_by(word, "pobj"):
                self._add_relations(self._resolve(target), verb, subjects)
            return
        if word.lower_ in ("like", "as", "during", "while"):
            return
        for target in children_by(word, "pobj"):
            if self._is_place(target):
                self._read_place(target, subjects, predicate)
            else:
                self._add_relations(subjects, predicate, self._resolve(target))
        clause = verb[0] if verb else word.head
        if clause.dep_ == "relcl" and not any(children_by(word, "pobj", "pcomp", "prep")):
            self._add_relations(subjects, predicate, self._resolve(clause.head))
        for further in children_by(word, "prep", "pcomp"):  # "out of", "next to", "in between"
            self._read_preposition(further, subjects, predicate)
        for joined in children_by(word, "conj"):
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
        sides = [t for t in children_by(place, "amod", "det") if t.lower_ in ("left", "right")]
        if sides or place.lower_ in ("left", "right"):
            sides = [*(t for t in children_by(place, "det") if t.lower_ == "the"), *sides]
        before = [*predicate, *sides, place]
        found = False
        for of in children_by(place, "prep"):
            for target in children_by(of, "pobj"):
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
        own = list(children_by(verb, "nsubj", "nsubjpass", "csubj"))
        if own:
            return [t for subject in own for t in self._resolve(subject)]
        head = verb.head
        if verb.dep_ in ("acl", "relcl"):
            return self._joined(head) if head.i in self.objects else self._resolve(head)
        if verb.dep_ in ("conj", "xcomp", "advcl", "ccomp", "dep") and head != verb:
            return self._subjects(head) if is_verb(head) else self._resolve(head)
        if any(children_by(verb, "expl")):
            return [t for thing in children_by(verb, "attr") for t in self._resolve(thing)]
        if verb.dep_ == "pcomp":
            return self._resolve(head.head) if not is_verb(head.head) else self._subjects(head.head)
        if verb.dep_ == "ROOT":  # a noun that spaCy hangs elsewhere: "bed spread on bed"
            before = [self.doc[at] for at in sorted(self.objects) if at < verb.i]
            return before[:1]
        return []

    def _verb_words(self, verb: "Token") -> list["Token"]:
        words = [verb, *children_by(verb, "prt")]
        if verb.dep_ == "xcomp" and is_verb(verb.head) and verb.head.lower_ not in ("is", "are"):
            to = [t for t in children_by(verb, "aux") if t.lower_ == "to"]
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
        objects = [t for child in children_by(verb, "dobj", "attr") for t in self._resolve(child)]
        passive = any(children_by(verb, "nsubjpass")) or (verb.dep_ == "acl" and verb.tag_ == "VBN")
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
        idle = len(self.relations) == before and not any(children_by(verb, "dobj", "xcomp"))
        if idle and verb.tag_ in ("VBG", "VBN"):
            for subject in subjects:
                self._add_attribute(subject, words)
        for complement in children_by(verb, "acomp", "oprd"):
            for subject in subjects:
                self._add_quality(subject, complement)

    def _read_gap(self, verb: "Token", subjects: list["Token"], words: list["Token"]) -> None:
        """ "the kite a man is flying": what the clause is about is the object of its verb."""
        about = self._resolve(verb.head)
        if not set(subjects) & set(about):
            self._add_relations(subjects, words, about)

    def _read_clothes(self, verb: "Token", subjects: list["Token"]) -> None:
        for word in children_by(verb, "prep"):
            for target in children_by(word, "pobj"):
                self._add_relations(subjects, [verb, word], self._resolve(target), "wear")

    def _read_copula(self, verb: "Token", subjects: list["Token"]) -> None:
        there = any(children_by(verb, "expl"))
        self._read_prepositions(verb, subjects, [])
        for quality in children_by(verb, "acomp", "oprd"):
            before = len(self.relations)
            for word in children_by(quality, "prep"):
                if quality.lower_ == "full":
                    for target in children_by(word, "pobj"):
                        self._add_relations(
                            subjects, [quality, word], self._resolve(target), "have"
                        )
                else:
                    self._read_preposition(word, subjects, [quality])
            for subject in subjects if len(self.relations) == before else ():
                self._add_quality(subject, quality)
        for thing in children_by(verb, "attr") if not there else ():
            for subject in subjects:
                if thing.i in self.objects and subject.i != thing.i:
                    self._add_attribute(subject, [thing])
