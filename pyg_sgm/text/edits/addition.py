"""Captions that say one thing too many."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, noun_phrase
from pyg_sgm.text.edits.parts import Detail, details, short_text, with_detail
from pyg_sgm.text.edits.replacement import FREQUENT
from pyg_sgm.text.synonyms import is_absent, meaning
from pyg_sgm.text.words import noun_lemma


class Additions:
    """What is said of objects in some texts and wrong in others.

    Args:
        located (list of Located): All texts.
        image_of_text (list of int): Image of every text.
    """

    def __init__(self, located: Sequence[Located], image_of_text: Sequence[int]) -> None:
        self._details: dict[str, Counter[Detail]] = defaultdict(Counter)  # by noun of the subject
        self._phrases: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._together: dict[str, Counter[str]] = defaultdict(Counter)  # objects of one text
        self._said: dict[int, set[str]] = defaultdict(set)
        for image, it in zip(image_of_text, located, strict=True):
            self._said[image] |= {meaning(word) for word in it.text.words}
            for s, detail in details(it):
                self._details[noun_lemma(it.text.objects[s])][detail] += 1
            labels = dict.fromkeys(it.text.objects)  # a set has another order in each process
            for label in labels:
                self._together[label].update(other for other in labels if other != label)
            for node, label in enumerate(it.text.objects):
                phrase = noun_phrase(it, node)
                if phrase is None or phrase[1] - phrase[0] != len(it.objects[node]) + 1:
                    continue
                words = tuple(it.text.words[phrase[0] : phrase[1]])
                if words[0] in ("a", "an"):  # one of its kind, for "with a dog nearby"
                    self._phrases[label][words] += 1

    def half_truth(
        self, it: Located, image: int, random: Random
    ) -> tuple[TextRecord, TextRecord] | None:
        """A short true text, and the same with a wrong detail of its subject."""
        shorts = [
            cut for r in range(len(it.text.relations)) if (cut := short_text(it, r)) is not None
        ]
        random.shuffle(shorts)
        for short, subject, at in shorts:
            counts = {
                detail: count
                for detail, count in self._details[noun_lemma(short.objects[subject])].items()
                if count >= FREQUENT and is_absent(detail.target, self._said[image])
            }
            if counts:
                (detail,) = random.choices(list(counts), list(counts.values()))
                return short, with_detail(short, subject, at, detail)
        return None

    def added_object(self, it: Located, image: int, random: Random) -> TextRecord | None:
        """The text with an object more, "with a dog nearby", which goes with one of its own in
        other texts."""
        if not it.text.objects:
            return None
        counts: Counter[str] = Counter()
        for label in dict.fromkeys(it.text.objects):
            counts.update(self._together[label])
        absent = {
            label: count
            for label, count in counts.items()
            if count >= FREQUENT and self._phrases[label] and is_absent(label, self._said[image])
        }
        if not absent:
            return None
        (label,) = random.choices(list(absent), list(absent.values()))
        ((phrase, _),) = self._phrases[label].most_common(1)
        size = len(phrase)
        head = tuple(range(size - len(label.split()) + 1, size + 1))
        detail = Detail(("with", *phrase, "nearby"), "with", label, head, (0,))
        return with_detail(it.text, 0, len(it.text.words), detail)
