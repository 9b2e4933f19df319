"""The learned parser: a small network and the lexicon of what it answers with."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pyg_sgm.text.learned.anaphora import resolved_clauses
from pyg_sgm.text.learned.builder import GraphBuilder, Lexicon, Segment
from pyg_sgm.text.learned.network import HEAD, CaptionNetwork, Pairs, WordBatch
from pyg_sgm.text.learned.passive import with_doers
from pyg_sgm.text.learned.wording import Clause, plain_clauses
from pyg_sgm.text.negation import take_out_denied
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.synonyms import DETERMINERS, POSSESSIVES, PREPOSITIONS
from pyg_sgm.text.word_lists import AUXILIARIES
from pyg_sgm.text.words import LONGEST, split_words, verb_lemma

WEIGHTS = Path(__file__).parents[1] / "weights"
ALONE = 0.3
BUDGET = 1 << 18  # pairs of objects times words that are scored together


class LearnedParser:
    """Parses captions with a :class:`CaptionNetwork`.

    Args:
        network (CaptionNetwork): The network, in evaluation mode.
        lexicon (Lexicon): Its words and predicates.
    """

    def __init__(self, network: CaptionNetwork, lexicon: Lexicon) -> None:
        self.network = network
        self.lexicon = lexicon
        self._index = {word: at for at, word in enumerate(lexicon.words)}

    @classmethod
    def load(cls, folder: Path = WEIGHTS) -> "LearnedParser":
        """Reads ``parser.safetensors``: the weights, and the lexicon in its metadata.

        Args:
            folder (Path, optional): Folder of the file. (default: that of the shipped weights)
        """
        with safe_open(folder / "parser.safetensors", framework="pt") as file:
            lexicon = Lexicon(**json.loads(file.metadata()["lexicon"]))
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        scales = {
            name: stored.pop(f"{name}.scale") for name in list(stored) if f"{name}.scale" in stored
        }
        weights = {name: weight.float() * scales.get(name, 1) for name, weight in stored.items()}
        network = CaptionNetwork(
            len(lexicon.words),
            weights["word.weight"].size(0),
            len(lexicon.predicates),
            channels=weights["encoder.weight_hh_l0"].size(1),
        )
        network.load_state_dict(weights)
        return cls(network.eval(), lexicon)

    def save(self, folder: Path) -> None:
        """Writes the file that :meth:`load` reads: matrices in 8 bits, each row with its scale.

        Args:
            folder (Path): Folder of the file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        weights = {}
        for name, weight in self.network.state_dict().items():
            if weight.dim() == 2:
                scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-6) / 127
                weights[f"{name}.scale"] = scale
                weight = (weight / scale).round().to(torch.int8)
            weights[name] = weight.contiguous()
        metadata = {"lexicon": json.dumps(asdict(self.lexicon))}
        save_file(weights, folder / "parser.safetensors", metadata)

    def parse_batch(self, captions: Sequence[str], batch_size: int = 256) -> list[ParsedCaption]:
        """Parses captions; equal length side by side, answers in the order given.

        Args:
            captions (list of str): The captions.
            batch_size (int, optional): How many are read at once. (default: :obj:`256`)
        """
        split = [split_words(caption) for caption in captions]
        clauses = [plain_clauses(words, gaps) for words, gaps in split]
        parses = self._read(captions, split, clauses, batch_size)
        # What pronouns stand for is chosen among the objects of the first reading.
        again = {
            at: resolved
            for at, (words, gaps) in enumerate(split)
            if (resolved := resolved_clauses(words, gaps, parses[at])) is not None
        }
        some = self._read(
            [captions[at] for at in again],
            [split[at] for at in again],
            list(again.values()),
            batch_size,
        )
        for at, parsed in zip(again, some, strict=True):
            parses[at] = parsed
        return [take_out_denied(with_doers(parsed)) for parsed in parses]

    def _read(
        self,
        captions: Sequence[str],
        split: Sequence[tuple[list[str], list[int]]],
        clauses: Sequence[list[Clause]],
        batch_size: int,
    ) -> list[ParsedCaption]:
        segments = [
            segment
            for at, parts in enumerate(clauses)
            for clause in parts
            for segment in _segments(at, clause)
        ]
        segments.sort(key=lambda segment: len(segment.words))
        builders = [GraphBuilder(words) for words, _ in split]
        for start in range(0, len(segments), batch_size):
            self._parse_segments(segments[start : start + batch_size], builders)
        return [b.build(caption) for b, caption in zip(builders, captions, strict=True)]

    @torch.inference_mode()
    @torch.autocast("cpu", enabled=False)  # captions are the same whatever a model is run in
    def _parse_segments(self, segments: list[Segment], builders: list[GraphBuilder]) -> None:
        words = [segment.words for segment in segments]
        batch = WordBatch.collate(words, [segment.gaps for segment in segments], self._index)
        x, mask = self.network(batch)
        objects = self.network.mark_object(x).argmax(dim=2) * mask
        bare = ~(objects == HEAD).any(dim=1, keepdim=True)
        for row, at in ((batch.word == 0) & mask & bare).nonzero().tolist():
            if _ends_noun_phrase(words[row], at):  # nouns that are unknown or misspelt
                objects[row, at] = HEAD
        attributes = self.network.mark_attribute(x).argmax(dim=2) * mask
        for segment, o, a in zip(segments, objects.tolist(), attributes.tolist(), strict=True):
            builders[segment.caption].add_nodes(segment, o, a, self.lexicon)
        pairs = (objects == HEAD).sum(dim=1).square()
        for rows in _chunks(pairs.tolist(), x.size(1)):
            self._join_nodes(
                segments[rows], x[rows], mask[rows], objects[rows], attributes[rows], builders
            )

    def _join_nodes(
        self,
        segments: list[Segment],
        x: Tensor,
        mask: Tensor,
        objects: Tensor,
        attributes: Tensor,
        builders: list[GraphBuilder],
    ) -> None:
        network = self.network
        object_heads, attribute_heads = objects == HEAD, attributes == HEAD
        of_object = Pairs.between(attribute_heads, object_heads)
        described = network.describe(x, mask, object_heads, of_object)
        between = Pairs.between(object_heads, object_heads, itself=True)
        feature, predicate = network.relate(x, mask, object_heads, between)
        found = _choose(predicate, between, x.size(1))
        related = found.nonzero().squeeze(1)
        edges = between[related]
        verbs = network.find_verbs(x, mask, feature[related], edges).argmax(dim=1)

        for (row, at), group in groupby(
            zip(of_object.tolist(), described.tolist(), strict=True), key=lambda edge: edge[0][:2]
        ):
            likely = sorted(((logit, target) for (*_, target), logit in group), reverse=True)
            chosen = [target for logit, target in likely if logit > 0] or [likely[0][1]]
            builders[segments[row].caption].add_attribute(segments[row], at, chosen)
        for (row, source, target), name, verb in zip(
            edges.tolist(), found[related].tolist(), verbs.tolist(), strict=True
        ):
            builders[segments[row].caption].add_relation(
                segments[row], source, target, self.lexicon.predicates[name], verb
            )


def _ends_noun_phrase(words: Sequence[str], at: int) -> bool:
    """Whether an unknown word follows an article and comes before the end of a noun phrase."""
    after = words[at + 1] if at + 1 < len(words) else "and"
    ends = after in PREPOSITIONS | AUXILIARIES | {"and"} or verb_lemma(after) != after
    return at > 0 and words[at - 1] in DETERMINERS | POSSESSIVES and ends


def _chunks(pairs: Sequence[int], length: int) -> Iterator[slice]:
    """Consecutive rows whose pairs, padded to as many per row, times words stay within BUDGET."""
    start, most = 0, 0
    for row, count in enumerate(pairs):
        most = max(most, count)
        if row > start and (row + 1 - start) * most * length > BUDGET:
            yield slice(start, row)
            start, most = row, count
    yield slice(start, len(pairs))


def _choose(predicate: Tensor, pairs: Pairs, length: int) -> Tensor:
    """The class of each pair ``[pairs]``: the likeliest, but nothing is left alone without need.

    A preposition may hang on several words ("rides a horse on the beach"): then "no relation" is
    the likeliest for each pair, and yet some relation is likely. An object that has none though the
    chance of that is below ALONE gets the best of its pairs.
    """
    probability = predicate.softmax(dim=1)
    found = probability.argmax(dim=1)
    best, best_class = probability[:, 1:].max(dim=1)
    ends = torch.cat([pairs.source, pairs.target]) + length * pairs.row.repeat(2)
    words = torch.zeros(int(ends.max()) + 1 if len(ends) else 0)
    alone = words.index_add(0, ends, probability[:, 0].log().repeat(2)).exp() < ALONE
    alone &= words.index_add(0, ends, found.clamp(max=1).float().repeat(2)) == 0
    best_of_word = words.scatter_reduce(0, ends, best.repeat(2), "amax")
    added = alone[ends] & (best.repeat(2) == best_of_word[ends])
    return torch.where(added.view(2, -1).any(dim=0), best_class + 1, found)


def _segments(caption: int, clause: Clause) -> Iterator[Segment]:
    """Cuts clauses that are very long into pieces."""
    for start in range(0, len(clause), LONGEST):
        part = clause[start : start + LONGEST]
        yield Segment(
            caption,
            [token.word for token in part],
            [0, *(token.gap for token in part[1:])],
            [token.at for token in part],
            frozenset(at for at, token in enumerate(part) if token.mutual),
        )
