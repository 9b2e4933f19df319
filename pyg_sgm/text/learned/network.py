"""The network of the learned parser: marks on words, edges between marked words."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch_geometric.utils import to_dense_batch

# Marks of a word: outside, inside a phrase before its head, head (last word of the phrase).
OUTSIDE, INSIDE, HEAD = 0, 1, 2
NUM_AFFIXES, NUM_BUCKETS = 6, 2048
MAX_DISTANCE, MAX_OBJECTS = 12, 4


@lru_cache(maxsize=65536)
def affixes(word: str) -> tuple[int, ...]:
    """Hash buckets of a word's first two and three and last one to four letters."""
    parts = (word[:2] + "-", word[:3] + "-", *("-" + word[-n:] for n in range(1, 5)))
    return tuple(zlib.crc32(part.encode()) % NUM_BUCKETS for part in parts)


@dataclass(frozen=True)
class WordBatch:
    """Captions as numbers, padded at the end.

    Attributes:
        word: Row of each word in the embedding table, 0 for unknown ``[batch, length]``.
        affix: Hash buckets of each word ``[batch, length, NUM_AFFIXES]``.
        gap: What parts a word from the one before, see ``split_words`` ``[batch, length]``.
        length: Words of each caption ``[batch]``.
    """

    word: Tensor
    affix: Tensor
    gap: Tensor
    length: Tensor

    @classmethod
    def collate(
        cls, words: Sequence[list[str]], gaps: Sequence[list[int]], index: dict[str, int]
    ) -> "WordBatch":
        length = torch.tensor([len(caption) for caption in words])
        longest = int(length.max())
        pad = [longest - len(caption) for caption in words]
        no_affix = (0,) * NUM_AFFIXES
        return cls(
            torch.tensor(
                [[index.get(w, 0) for w in c] + [0] * p for c, p in zip(words, pad, strict=True)]
            ),
            torch.tensor(
                [[affixes(w) for w in c] + [no_affix] * p for c, p in zip(words, pad, strict=True)]
            ),
            torch.tensor([list(g) + [0] * p for g, p in zip(gaps, pad, strict=True)]),
            length,
        )


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs of words: ``row`` of the batch, ``source`` and ``target`` word."""

    row: Tensor
    source: Tensor
    target: Tensor

    @classmethod
    def between(cls, source: Tensor, target: Tensor, itself: bool = False) -> "Pairs":
        """All pairs of a word marked in ``source`` and one in ``target`` ``[batch, length]``."""
        both = source.unsqueeze(2) & target.unsqueeze(1)  # [batch, length, length]
        if not itself:
            both.diagonal(dim1=1, dim2=2).fill_(False)
        return cls(*both.nonzero(as_tuple=True))

    def __getitem__(self, chosen: Tensor) -> "Pairs":
        return Pairs(self.row[chosen], self.source[chosen], self.target[chosen])

    def tolist(self) -> list[tuple[int, int, int]]:
        """Row, source and target of every pair."""
        columns = (self.row.tolist(), self.source.tolist(), self.target.tolist())
        return list(zip(*columns, strict=True))


class PairEncoder(nn.Module):
    """A feature for a pair of words.

    It knows both words, how many words and how many objects lie between them, and reads the rest of
    the caption by attention.
    """

    def __init__(self, in_channels: int, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.source = nn.Linear(in_channels, channels)
        self.target = nn.Linear(in_channels, channels)
        self.distance = nn.Embedding(2 * MAX_DISTANCE + 1, channels)
        self.objects_between = nn.Embedding(2 * MAX_OBJECTS + 1, channels)
        self.key = nn.Linear(in_channels, channels)
        self.value = nn.Linear(in_channels, channels)
        self.is_object = nn.Embedding(2, channels)
        self.position = nn.Embedding(2 * MAX_DISTANCE + 1, 2 * heads)
        self.join = nn.Linear(2 * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, objects: Tensor, pairs: Pairs) -> Tensor:
        row, source, target = pairs.row, pairs.source, pairs.target
        count = objects.cumsum(dim=1)
        query = (
            _projected(self.source, x, row, source)
            + _projected(self.target, x, row, target)
            + self.distance(_bounded(target - source, MAX_DISTANCE))
            + self.objects_between(_bounded(count[row, target] - count[row, source], MAX_OBJECTS))
        )
        query = self.dropout(torch.relu(query))  # [pairs, channels]
        key = (self.key(x) + self.is_object(objects.long())).unflatten(2, (self.heads, -1))
        value = self.value(x).unflatten(2, (self.heads, -1))
        # Pairs side by side per caption: no pair needs a copy of its caption's words.
        side, there = to_dense_batch(query, row, batch_size=len(x))
        score = torch.einsum("bphc,blhc->bphl", side.unflatten(2, (self.heads, -1)), key)[there]
        score = score / math.sqrt(key.size(3))
        at = torch.arange(x.size(1), device=x.device)
        offset = _bounded(at - at.unsqueeze(1), MAX_DISTANCE)
        for bias, end in zip(self.position.weight.t().chunk(2), (source, target), strict=True):
            score = score + bias[:, offset].transpose(0, 1)[end]  # [length, heads, length] by end
        weight = score.masked_fill(~mask[row].unsqueeze(1), -1e9).softmax(dim=2)
        weight, _ = to_dense_batch(weight, row, batch_size=len(x))
        context = torch.einsum("bphl,blhc->bphc", weight, value).flatten(2)[there]
        of_query, of_context = self.join.weight.chunk(2, dim=1)
        joined = F.linear(query, of_query, self.join.bias).addmm_(context, of_context.t())
        feature: Tensor = self.dropout(torch.relu(joined))
        return feature


def _projected(linear: nn.Linear, x: Tensor, row: Tensor, at: Tensor) -> Tensor:
    """States of some words ``[len(row), channels]``, each word multiplied once, and no other."""
    words, place = (row * x.size(1) + at).unique(return_inverse=True)
    out: Tensor = linear(x.flatten(0, 1)[words])[place]
    return out


def _bounded(offset: Tensor, limit: int) -> Tensor:
    """Offsets as rows of an embedding table, far ones all alike."""
    return offset.clamp(-limit, limit) + limit


class CaptionNetwork(nn.Module):
    """Bidirectional LSTM over words; marks for every word, scores for pairs of marked words.

    Args:
        num_words (int): Rows of the table of word vectors, the unknown word's included.
        num_trained (int): The first rows of that table that also have a trained embedding.
        num_predicates (int): Classes of a relation, "no relation" (class 0) included.
        channels (int, optional): Size of the recurrent state of one direction. (default:
            :obj:`192`)
        dropout (float, optional): Dropout on embeddings, states and pair features. (default:
            :obj:`0.3`)
    """

    def __init__(
        self,
        num_words: int,
        num_trained: int,
        num_predicates: int,
        channels: int = 192,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.num_trained = num_trained
        self.vector = nn.Embedding(num_words, 100)
        self.vector.weight.requires_grad_(False)
        self.word = nn.Embedding(num_trained, 64)
        self.affix = nn.EmbeddingBag(NUM_AFFIXES * NUM_BUCKETS, 32, mode="sum")
        self.gap = nn.Embedding(3, 4)
        self.encoder = nn.LSTM(
            200, channels, num_layers=2, batch_first=True, bidirectional=True, dropout=dropout
        )
        width = 2 * channels
        self.mark_object = nn.Linear(width, 3)
        self.mark_attribute = nn.Linear(width, 3)
        self.describes = PairEncoder(width, 64, 2, dropout)
        self.describes_out = nn.Linear(64, 1)
        self.relation = PairEncoder(width, channels, 4, dropout)
        self.predicate = nn.Linear(channels, num_predicates)
        self.verb_query = nn.Linear(channels, channels)
        self.verb_key = nn.Linear(width, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """States of the words ``[batch, length, 2 * channels]`` and where there is a word.

        Args:
            batch (WordBatch): The words of captions.
        """
        word = batch.word
        trained = torch.where(word < self.num_trained, word, 0)
        if self.training:  # rare words are learned from their letters and vectors
            trained = trained.masked_fill(torch.rand(word.shape) < 0.15, 0)
        offset = torch.arange(NUM_AFFIXES, device=word.device) * NUM_BUCKETS
        affix = self.affix((batch.affix + offset).flatten(0, 1)).view(*word.shape, -1)
        x = torch.cat([self.vector(word), self.word(trained), affix, self.gap(batch.gap)], dim=2)
        packed = pack_padded_sequence(
            self.dropout(x), batch.length, batch_first=True, enforce_sorted=False
        )
        x, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        mask = torch.arange(x.size(1), device=x.device) < batch.length.unsqueeze(1)
        return self.dropout(x), mask

    def describe(self, x: Tensor, mask: Tensor, objects: Tensor, pairs: Pairs) -> Tensor:
        """Logit of "the source is an attribute of the target" ``[pairs]``.

        Args:
            x (Tensor): States of the words, ``[batch, length, 2 * channels]``.
            mask (Tensor): Where there is a word, ``[batch, length]``.
            objects (Tensor): Which words are heads of objects, ``[batch, length]``.
            pairs (Pairs): Sources and targets.
        """
        logit: Tensor = self.describes_out(self.describes(x, mask, objects, pairs))
        return logit.squeeze(1)

    def relate(
        self, x: Tensor, mask: Tensor, objects: Tensor, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """Features of pairs ``[pairs, channels]`` and logits of their predicate
        ``[pairs, predicates]``.

        Args:
            x (Tensor): States of the words, ``[batch, length, 2 * channels]``.
            mask (Tensor): Where there is a word, ``[batch, length]``.
            objects (Tensor): Which words are heads of objects, ``[batch, length]``.
            pairs (Pairs): Sources and targets.
        """
        feature = self.relation(x, mask, objects, pairs)
        return feature, self.predicate(feature)

    def find_verbs(self, x: Tensor, mask: Tensor, feature: Tensor, pairs: Pairs) -> Tensor:
        """Logits of the word that is the verb of each pair's predicate ``[pairs, length]``.

        Args:
            x (Tensor): States of the words, ``[batch, length, 2 * channels]``.
            mask (Tensor): Where there is a word, ``[batch, length]``.
            feature (Tensor): What :meth:`relate` gives, ``[pairs, channels]``.
            pairs (Pairs): Sources and targets.
        """
        query = self.verb_query(feature) / math.sqrt(feature.size(1))
        # Queries meet the weight of the keys, not words: there are fewer of them.
        key = self.verb_key
        side, there = to_dense_batch(query @ key.weight, pairs.row, batch_size=len(x))
        verb = torch.einsum("bpc,blc->bpl", side, x)[there] + (query @ key.bias).unsqueeze(1)
        return verb.masked_fill(~mask[pairs.row], -1e9)
