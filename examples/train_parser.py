"""Trains the learned caption parser on FACTUAL and writes its weights.

    python examples/train_parser.py --root DATA --out pyg_sgm/text/weights

DATA holds ``train.csv.gz`` and ``dev.csv`` with the columns ``caption`` and ``scene_graph``, and
optionally word vectors (``--vectors``, GloVe text, 100 numbers a word). One caption in twenty of
the training file is held out: every choice is made on these, dev.csv is scored once at the end.
"""

import argparse
import csv
import gzip
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import simplemma
import torch
from torch import Tensor
from torch.nn import functional as F

from pyg_sgm.data import read_scene_graph
from pyg_sgm.metrics.parser import parser_f1, plain_words
from pyg_sgm.text._learned import LearnedParser, Lexicon
from pyg_sgm.text._lists import words as word_set
from pyg_sgm.text._network import HEAD, INSIDE, CaptionNetwork, Pairs, WordBatch
from pyg_sgm.text._words import split_words, verb_lemma

# A predicate that begins with one of these is a class of its own; any other is a verb and a rest.
PREPOSITIONS = word_set(
    "on in with under behind next beside near at above inside by between against over around "
    "across along to for from outside beyond alongside close of off onto into through below "
    "beneath among front top have within upon away out toward towards up down past"
)
JOINED = 0.2  # share of the training captions that are joined in pairs
NUMBERS = {
    **{"2": ("two", "both", "pair of", "couple of", "pair"), "3": ("three",), "4": ("four",)},
    **{"5": ("five",), "6": ("six",), "7": ("seven",), "8": ("eight",), "9": ("nine",)},
    **{"10": ("ten",), "12": ("twelve", "dozen")},
}


@cache
def lemma(word: str) -> str:
    return simplemma.lemmatize(word, lang="en")


def normalise(phrase: str) -> str:
    return " ".join(lemma(word) for word in plain_words(phrase).split())


@cache
def key(phrase: str) -> str:
    """What phrases are aligned by: lemmas without spaces, so that "surf board" is "surfboard"."""
    return normalise(phrase).replace(" ", "")


def read_csv(path: Path) -> list[tuple[str, dict]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        return [
            (row["caption"], read_scene_graph(row["scene_graph"])) for row in csv.DictReader(file)
        ]


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
        self.renamed: dict[str, Counter] = {"object": Counter(), "attribute": Counter()}
        self.unmatched: Counter = Counter()
        self.word_count: Counter = Counter()

    def spans(self, words: list[str], phrase: str) -> list[tuple[int, int]]:
        wanted = {
            key(phrase),
            *self.aliases.get(key(phrase), ()),
            *map(key, NUMBERS.get(phrase, ())),
        }
        found = [
            (start, end)
            for start in range(len(words))
            for end in range(start + 1, min(start + 5, len(words)) + 1)
            if key(" ".join(words[start:end])) in wanted
        ]
        return found

    def align(self, caption: str, graph: dict) -> Example:
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
            if {verb_lemma(word), word, lemma(word)} & {verb_lemma(first), first}
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
        total: Counter = Counter()
        best: dict[str, tuple[int, str]] = {}
        for (phrase, name), count in self.renamed[kind].items():
            total[phrase] += count
            best[phrase] = max(best.get(phrase, (0, "")), (count, name))
        return {
            phrase: name
            for phrase, (count, name) in sorted(best.items())
            if count >= 3 and 2 * count > total[phrase] and normalise(name) != normalise(phrase)
        }


def build_lexicon(
    examples: list[Example], aligner: Aligner, vectors: dict[str, Tensor]
) -> tuple[Lexicon, Tensor, int]:
    """The strings behind the network's numbers, the word vectors, and how many are trained."""
    count = Counter(word for example in examples for word in example.words)
    trained = ["<unk>", *sorted(word for word, n in count.items() if n >= 3)]
    words = trained + sorted(set(vectors) - set(trained))
    predicates = Counter(name for e in examples for name, _ in e.relations.values())
    lexicon = Lexicon(
        words=words,
        predicates=["", *(name for name, n in predicates.most_common() if n >= 3)],
        object_names=aligner.renames("object"),
        attribute_names=aligner.renames("attribute"),
    )
    table = torch.stack([vectors.get(word, torch.zeros(100)) for word in words])
    return lexicon, table, len(trained)


def targets(examples: list[Example], length: int) -> tuple[Tensor, Tensor]:
    """Marks of objects and attributes ``[batch, length]``, -100 where there is no word."""
    marks = torch.full((2, len(examples), length), -100)
    for row, example in enumerate(examples):
        marks[:, row, : len(example.words)] = 0
        for kind, spans in enumerate((example.object_spans, example.attribute_spans)):
            for start, end in spans:
                marks[kind, row, start : end - 1] = INSIDE
            for _, end in spans:
                marks[kind, row, end - 1] = HEAD
    return marks[0], marks[1]


def loss(
    network: CaptionNetwork, examples: list[Example], batch: WordBatch, classes: dict
) -> Tensor:
    x, mask = network(batch)
    objects, attributes = targets(examples, x.size(1))
    total = F.cross_entropy(
        network.mark_object(x).flatten(0, 1), objects.flatten(), reduction="sum"
    ) + F.cross_entropy(
        network.mark_attribute(x).flatten(0, 1), attributes.flatten(), reduction="sum"
    )
    pairs = Pairs.between(attributes == HEAD, objects == HEAD)
    if len(pairs.row):
        truth = torch.tensor([float((a, o) in examples[r].describes) for r, a, o in triples(pairs)])
        total = total + F.binary_cross_entropy_with_logits(
            network.describe(x, mask, objects == HEAD, pairs), truth, reduction="sum"
        )
    pairs = Pairs.between(objects == HEAD, objects == HEAD, itself=True)
    if len(pairs.row):
        found = [examples[r].relations.get((s, t)) for r, s, t in triples(pairs)]
        truth = torch.tensor([classes.get(f[0], -100) if f else 0 for f in found])
        verb_truth = torch.tensor([f[1] if f and f[1] >= 0 else -100 for f in found])
        predicate, verb = network.relate(x, mask, objects == HEAD, pairs)
        total = total + F.cross_entropy(predicate, truth, reduction="sum", label_smoothing=0.02)
        total = total + F.cross_entropy(verb, verb_truth, reduction="sum", ignore_index=-100)
    return total / len(examples)


def triples(pairs: Pairs) -> list[tuple[int, int, int]]:
    return list(zip(pairs.row.tolist(), pairs.source.tolist(), pairs.target.tolist(), strict=True))


def join(first: Example, second: Example) -> Example:
    """Two captions as one sentence, for the training captions are short."""
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


def batches(examples: list[Example], size: int, joined: float) -> list[list[Example]]:
    """Shuffled batches of captions of about the same length, a share of them joined in pairs."""
    examples = random.sample(examples, len(examples))
    pairs = int(joined * len(examples) / 2)
    examples = [
        *(join(*examples[2 * at : 2 * at + 2]) for at in range(pairs)),
        *examples[2 * pairs :],
    ]
    order = sorted(examples, key=lambda e: len(e.words) + random.random() * 2)
    out = [order[start : start + size] for start in range(0, len(order), size)]
    random.shuffle(out)
    return out


def evaluate(parser: LearnedParser, rows: list[tuple[str, dict]]) -> str:
    predicted = [parsed.to_dict() for parsed in parser.parse_batch([c for c, _ in rows])]
    score = parser_f1(predicted, [graph for _, graph in rows], normalise)
    kinds = ("objects", "attributes", "relations", "all")
    figures = ", ".join(f"{kind} {getattr(score, kind).f1:.4f}" for kind in kinds)
    return f"{figures}, exact {score.exact:.4f}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--epochs", type=int, default=14)
    arguments.add_argument("--batch-size", type=int, default=128)
    arguments.add_argument("--channels", type=int, default=192)
    arguments.add_argument("--lr", type=float, default=2e-3)
    arguments.add_argument("--seed", type=int, default=0)
    args = arguments.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    rows = read_csv(args.root / "train.csv.gz")
    held_out = rows[::20]
    train = [row for at, row in enumerate(rows) if at % 20]
    aligner = Aligner()
    for row in train:
        aligner.align(*row)
    aligner.learn_aliases()
    examples = [example for row in train if (example := aligner.align(*row)).words]
    vectors = {}
    if args.vectors:
        with gzip.open(args.vectors, "rt", encoding="utf-8") as file:
            for line in file:
                word, *numbers = line.split()
                vectors[word] = torch.tensor([float(number) for number in numbers])
    lexicon, table, num_trained = build_lexicon(examples, aligner, vectors)
    counts = len(examples), len(lexicon.words), len(lexicon.predicates)
    print("{} captions, {} words, {} predicates".format(*counts))

    network = CaptionNetwork(
        len(lexicon.words), num_trained, len(lexicon.predicates), args.channels
    )
    network.vector.weight.data.copy_(table)
    index = {word: at for at, word in enumerate(lexicon.words)}
    classes = {name: at for at, name in enumerate(lexicon.predicates)}
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, weight_decay=1e-2)
    # One batch more for rounding; joining only makes fewer.
    steps = args.epochs * (len(examples) // args.batch_size + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    start = time.perf_counter()
    for epoch in range(args.epochs):
        network.train()
        total, seen = 0.0, 0
        for chunk in batches(examples, args.batch_size, JOINED):
            batch = WordBatch.collate([e.words for e in chunk], [e.gaps for e in chunk], index)
            value = loss(network, chunk, batch, classes)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            total += value.item() * len(chunk)
            seen += len(chunk)
        parser = LearnedParser(average.module.eval(), lexicon)
        print(
            f"epoch {epoch + 1}: loss {total / seen:.3f}, "
            f"{time.perf_counter() - start:.0f} s, held out: {evaluate(parser, held_out)}",
            flush=True,
        )
    parser.save(args.out)
    print("dev:", evaluate(LearnedParser.load(args.out), read_csv(args.root / "dev.csv")))


if __name__ == "__main__":
    main()
