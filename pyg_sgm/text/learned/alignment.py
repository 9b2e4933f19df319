"""Captions and their graphs as marks and edges of words: what the learned parser is taught."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from pyg_sgm.metrics.parser import lemmatized_words
from pyg_sgm.text.word_lists import NUMBERS
from pyg_sgm.text.word_lists import words as word_set
from pyg_sgm.text.words import split_words, verb_lemma

# A predicate that begins with one of these is a class of its own; any other is a verb and a rest.
PREPOSITIONS = word_set(
    "on in with under behind next beside near at above inside by between against over around "
    "across along to for from outside beyond alongside close of off onto into through below "
    "beneath among front top have within upon away out toward towards up down past"
)
# What captions say for the numbers of graphs: "2" is "two", "both", "pair of".
WORDS_OF_NUMBER: dict[str, list[str]] = defaultdict(list, {"2": ["pair of", "couple of", "pair"]})
for _word, _number in NUMBERS.items():
    WORDS_OF_NUMBER[_number].append(_word)


@cache
def key(phrase: str) -> str:
    """What phrases are aligned by: lemmas without spaces, so that "surf board" is "surfboard"."""
    return lemmatized_words(phrase).replace(" ", "")


@dataclass
class Example:
    """A caption and its graph as marks and edges of its words."""

    words: list[str]
    gaps: list[int]
    object_spans: set[tuple[int, int]] = field(default_factory=set)
    attribute_spans: set[tuple[int, int]] = field(default_factory=set)
    describes: set[tuple[int, int]] = field(default_factory=set)  # (attribute head, object head)
    relations: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)


class Aligner:
    """Finds the words of a caption that the parts of its graph stand for."""

    def __init__(self) -> None:
        self.aliases: dict[str, set[str]] = {}  # key of a label -> keys of words that mean it
        self.renamed: dict[str, Counter[tuple[str, str]]] = {
            "object": Counter(),
            "attribute": Counter(),
        }
        self.unmatched: Counter[tuple[str, str]] = Counter()
        self.word_count: Counter[str] = Counter()

    def spans(self, words: list[str], phrase: str) -> list[tuple[int, int]]:
        wanted = {
            key(phrase),
            *self.aliases.get(key(phrase), ()),
            *map(key, WORDS_OF_NUMBER.get(phrase, ())),
        }
        found = [
            (start, end)
            for start in range(len(words))
            for end in range(start + 1, min(start + 5, len(words)) + 1)
            if key(" ".join(words[start:end])) in wanted
        ]
        return found

    def align(self, caption: str, graph: Mapping[str, Any]) -> Example:
        words, gaps = split_words(caption)
        example = Example(words, gaps)
        names = {
            name
            for name in (
                *graph["objects"],
                *(o for o, _ in graph["attributes"]),
                *(o for s, _, t in graph["relations"] for o in (s, t)),
            )
        }
        spans = {name: self.spans(words, name) for name in names}
        taken = {w for found in spans.values() for start, end in found for w in range(start, end)}
        for word in set(words):
            self.word_count[word] += 1
        missed = [name for name in names if not spans[name]]
        missed += [a for _, a in graph["attributes"] if not self.spans(words, a)]
        for name in missed:
            for at, word in enumerate(words):
                if at not in taken:
                    self.unmatched[word, key(name)] += 1
        used: set[tuple[int, int]] = set()

        for subject, predicate, target in graph["relations"]:
            best = None
            for s in spans[subject]:
                for t in spans[target]:
                    if s[1] == t[1] and "other" not in words:  # "facing each other"
                        continue
                    verb = self.verb(words, predicate, s[1] - 1, t[1] - 1)
                    near = verb if verb >= 0 else (s[1] + t[1]) // 2
                    cost = abs(s[1] - 1 - near) + abs(t[1] - 1 - near)
                    if best is None or cost < best[0]:
                        best = cost, s, t, verb
            if best:
                _, s, t, verb = best
                used |= {s, t}
                rest = predicate.split()[1:]
                template = " ".join(["V", *rest]) if verb >= 0 else predicate
                example.relations[s[1] - 1, t[1] - 1] = template, verb
        for name, attribute in graph["attributes"]:
            choices = [
                (abs(o[1] - a[1]) + (0 if o in used else 0.5), o, a)
                for o in spans[name]
                for a in self.spans(words, attribute)
                if o[1] != a[1]
            ]
            if choices:
                _, o, a = min(choices)
                used.add(o)
                example.attribute_spans.add(a)
                example.describes.add((a[1] - 1, o[1] - 1))
                self.renamed["attribute"][" ".join(words[slice(*a)]), attribute] += 1
            elif spans[name] and not used & set(spans[name]):
                used.add(spans[name][0])
        for name in names:
            if spans[name] and not used & set(spans[name]):
                used.add(spans[name][0])
            for span in set(spans[name]) & used:
                self.renamed["object"][" ".join(words[slice(*span)]), name] += 1
        example.object_spans = used
        return example

    @staticmethod
    def verb(words: list[str], predicate: str, source: int, target: int) -> int:
        """Word that the verb of a predicate is a form of, the nearest to both ends; -1 if none."""
        first = predicate.split()[0]
        if first in PREPOSITIONS:
            return -1
        places = [
            (abs(at - source) + abs(at - target), at)
            for at, word in enumerate(words)
            if {verb_lemma(word), word, lemmatized_words(word)} & {verb_lemma(first), first}
            and at not in (source, target)
        ]
        return min(places)[1] if places else -1

    def learn_aliases(self) -> None:
        """Words that stand for a label they share no letters with, such as "guy" for "person"."""
        for (word, label), count in self.unmatched.items():
            if count >= 5 and count >= 0.4 * self.word_count[word]:
                self.aliases.setdefault(label, set()).add(key(word))
        self.renamed = {"object": Counter(), "attribute": Counter()}

    def renames(self, kind: str) -> dict[str, str]:
        """Phrases of captions that the graphs usually call something else."""
        total: Counter[str] = Counter()
        best: dict[str, tuple[int, str]] = {}
        for (phrase, name), count in self.renamed[kind].items():
            total[phrase] += count
            best[phrase] = max(best.get(phrase, (0, "")), (count, name))
        return {
            phrase: name
            for phrase, (count, name) in sorted(best.items())
            if count >= 3
            and 2 * count > total[phrase]
            and lemmatized_words(name) != lemmatized_words(phrase)
        }


def join(first: Example, second: Example, random: Random) -> Example:
    """Two captions as one sentence, for the training captions are short.

    Args:
        first (Example): A caption with its graph.
        second (Example): Another one.
        random (Random): Chooses the word between them.
    """
    link = random.choice([["and"], ["while"], ["as"], []])
    gaps = [random.choice([0, 1]), 0] if link else [1]
    start = len(first.words) + len(link)

    def moved(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
        return {(a + start, b + start) for a, b in pairs}

    return Example(
        first.words + link + second.words,
        first.gaps + gaps + second.gaps[1:],
        first.object_spans | moved(second.object_spans),
        first.attribute_spans | moved(second.attribute_spans),
        first.describes | moved(second.describes),
        first.relations
        | {
            (s + start, o + start): (name, verb + start if verb >= 0 else -1)
            for (s, o), (name, verb) in second.relations.items()
        },
    )
