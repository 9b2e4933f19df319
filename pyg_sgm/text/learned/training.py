"""Training of the learned parser on captions with graphs, such as FACTUAL."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pyg_sgm.metrics.parser import ParserScore, lemmatized_words, parser_f1
from pyg_sgm.text.learned.alignment import Aligner, Example, join
from pyg_sgm.text.learned.builder import Lexicon
from pyg_sgm.text.learned.inference import LearnedParser
from pyg_sgm.text.learned.network import HEAD, INSIDE, CaptionNetwork, Pairs, WordBatch

JOINED = 0.2  # share of the training captions that are joined in pairs

Row = tuple[str, Mapping[str, Any]]  # a caption and its graph


def train_parser(
    rows: Sequence[Row],
    vectors: Mapping[str, Tensor] | None = None,
    *,
    epochs: int = 14,
    batch_size: int = 128,
    channels: int = 192,
    lr: float = 2e-3,
    seed: int = 0,
    on_epoch: Callable[[LearnedParser, int, float], object] | None = None,
) -> LearnedParser:
    """Trains a caption parser.

    The words that the parts of a graph stand for are found by their lemmas; words that a graph
    regularly calls something else ("guy", "person") are learned from the captions. The weights are
    an average over the training.

    Args:
        rows (list of Row): Captions and their graphs, mappings with the lists ``objects``,
            ``attributes`` and ``relations`` as :func:`~pyg_sgm.data.read_scene_graph` returns them.
        vectors (dict, optional): Word vectors of 100 numbers; they are not trained. (default: none)
        epochs (int, optional): Passes over the captions. (default: :obj:`14`)
        batch_size (int, optional): Captions per step. (default: :obj:`128`)
        channels (int, optional): Size of the recurrent state of one direction. (default:
            :obj:`192`)
        lr (float, optional): Highest learning rate of the one-cycle schedule. (default:
            :obj:`2e-3`)
        seed (int, optional): Of weights, order and dropout. (default: :obj:`0`)
        on_epoch (callable, optional): Called after every epoch with the parser, the epoch (from 1)
            and the mean loss. (default: :obj:`None`)

    Raises:
        ImportError: If simplemma is missing.
        ValueError: If no caption has a word.
    """
    aligner = Aligner()
    for row in rows:
        aligner.align(*row)
    aligner.learn_aliases()
    examples = [example for row in rows if (example := aligner.align(*row)).words]
    if not examples:
        raise ValueError("rows: no caption has a word")
    lexicon, table, num_trained = build_lexicon(examples, aligner, vectors or {})
    index = {word: at for at, word in enumerate(lexicon.words)}
    classes = {name: at for at, name in enumerate(lexicon.predicates)}
    shuffle = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = CaptionNetwork(len(lexicon.words), num_trained, len(lexicon.predicates), channels)
        network.vector.weight.data.copy_(table)
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=1e-2)
        # One batch more for rounding; joining only makes fewer.
        steps = epochs * (len(examples) // batch_size + 1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.1)
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.998))
        for epoch in range(epochs):
            network.train()
            total, seen = 0.0, 0
            for chunk in batches(examples, batch_size, JOINED, shuffle):
                batch = WordBatch.collate([e.words for e in chunk], [e.gaps for e in chunk], index)
                value = parser_loss(network, chunk, batch, classes)
                optimizer.zero_grad()
                value.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()
                schedule.step()
                average.update_parameters(network)
                total += value.item() * len(chunk)
                seen += len(chunk)
            parser = LearnedParser(cast(CaptionNetwork, average.module).eval(), lexicon)
            if on_epoch is not None:
                on_epoch(parser, epoch + 1, total / seen)
    return parser


def score_parser(parser: LearnedParser, rows: Sequence[Row]) -> ParserScore:
    """Tuple F1 of a parser, with lemmatized words.

    Args:
        parser (LearnedParser): The parser.
        rows (list of Row): Captions and their true graphs.

    Raises:
        ImportError: If simplemma is missing.
        ValueError: If there are no rows.
    """
    predicted = [parsed.to_dict() for parsed in parser.parse_batch([c for c, _ in rows])]
    return parser_f1(predicted, [graph for _, graph in rows], lemmatized_words)


def build_lexicon(
    examples: Sequence[Example], aligner: Aligner, vectors: Mapping[str, Tensor]
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


def parser_loss(
    network: CaptionNetwork, examples: list[Example], batch: WordBatch, classes: Mapping[str, int]
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
        truth = torch.tensor([float((a, o) in examples[r].describes) for r, a, o in pairs.tolist()])
        total = total + F.binary_cross_entropy_with_logits(
            network.describe(x, mask, objects == HEAD, pairs), truth, reduction="sum"
        )
    pairs = Pairs.between(objects == HEAD, objects == HEAD, itself=True)
    if len(pairs.row):
        found = [examples[r].relations.get((s, t)) for r, s, t in pairs.tolist()]
        truth = torch.tensor([classes.get(f[0], -100) if f else 0 for f in found])
        verb_truth = torch.tensor([f[1] if f and f[1] >= 0 else -100 for f in found])
        feature, predicate = network.relate(x, mask, objects == HEAD, pairs)
        verb = network.find_verbs(x, mask, feature, pairs)
        total = total + F.cross_entropy(predicate, truth, reduction="sum", label_smoothing=0.02)
        total = total + F.cross_entropy(verb, verb_truth, reduction="sum", ignore_index=-100)
    return total / len(examples)


def batches(
    examples: Sequence[Example], size: int, joined: float, shuffle: random.Random
) -> list[list[Example]]:
    """Shuffled batches of captions of about the same length, a share of them joined in pairs."""
    examples = shuffle.sample(examples, len(examples))
    pairs = int(joined * len(examples) / 2)
    examples = [
        *(join(examples[2 * at], examples[2 * at + 1], shuffle) for at in range(pairs)),
        *examples[2 * pairs :],
    ]
    order = sorted(examples, key=lambda e: len(e.words) + shuffle.random() * 2)
    out = [order[start : start + size] for start in range(0, len(order), size)]
    shuffle.shuffle(out)
    return out
