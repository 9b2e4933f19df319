"""Relations between the objects of an image, from their labels and boxes."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.data.vectors import word_vectors
from pyg_sgm.data.vocabulary import UNKNOWN, Vocabulary
from pyg_sgm.io import digest
from pyg_sgm.vision.relations.network import RelationNetwork
from pyg_sgm.vision.relations.pairs import (
    PairScores,
    best_pairs,
    checked_boxes,
    checked_features,
    flat_scores,
    ordered_pairs,
)

WEIGHTS = Path(__file__).parents[1] / "weights" / "relations.safetensors"
Relation = tuple[int, str, int, float]
_MOST_PAIRED = 64  # objects of an image; the number of pairs grows with their square
_PAIRS = 16_384  # that the network sees at once


class RelationHead:
    r"""Predicts the relations of an image from labels and boxes of its objects.

    The confidence of (subject, predicate, object) is the probability that the pair is related,
    times that of its likeliest predicate, times the scores of both objects where they are given.

    Only objects that the head knows a word vector of (:attr:`labels`) have relations: a region
    without a label (``<unk>``, as those of a grid) or with an unknown one has none, for what is
    between a region and anything is geometry that says little, and would crowd out real pairs.
    :meth:`extended` teaches it more labels.

    Args:
        network (RelationNetwork): The network.
        labels (list of str): The labels that have a word vector; the first of them are those with a
            vector of their own in the network.
        vectors (Tensor): Word vectors ``[len(labels), vector_channels]``.
        predicates (list of str): The predicates by class.

    Example:
        >>> head = RelationHead.load()
        >>> boxes = [[0.3, 0.1, 0.7, 0.7], [0.2, 0.4, 0.8, 1.0], [0, 0, 1, 1]]
        >>> relations = head.relations([["man", "horse", "<unk>"]], [boxes])
        >>> [relation[:3] for relation in relations[0]]
        [(0, 'on', 1), (1, 'next to', 0)]
    """

    def __init__(
        self,
        network: RelationNetwork,
        labels: Sequence[str],
        vectors: Tensor,
        predicates: Sequence[str],
    ) -> None:
        self.network = network
        self.labels = list(labels)
        self.vectors = vectors
        self.predicates = list(predicates)
        self._index = {label: at for at, label in enumerate(self.labels, start=1)}
        self._table = torch.cat([vectors.new_zeros(1, vectors.size(1)), vectors])

    @classmethod
    def load(cls, path: str | os.PathLike[str] = WEIGHTS) -> "RelationHead":
        """Reads a file of :meth:`save`.

        Args:
            path (str or PathLike, optional): The file. (default: the weights of the library,
                trained on Visual Genome)

        Raises:
            ValueError: Naming the file, if it is not one of a relation head.
        """
        try:
            with safe_open(path, framework="pt") as file:
                lists = json.loads(file.metadata()["relations"])
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            vectors = weights.pop("vectors")
            network = RelationNetwork(
                num_labels=weights["own.weight"].size(0),
                num_predicates=len(lists["predicates"]),
                vector_channels=vectors.size(1),
                channels=weights["hidden.weight"].size(0),
                feature_channels=weights["feature.weight"].size(1) // 2
                if "feature.weight" in weights
                else 0,
            )
            network.load_state_dict(weights)
            return cls(network.eval(), lists["labels"], vectors, lists["predicates"])
        except (SafetensorError, KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
            raise ValueError(f"{os.fspath(path)}: no relation head ({error})") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes weights and word vectors in half precision, the names in the metadata.

        Args:
            path (str or PathLike): The file.
        """
        weights = {name: w.half().contiguous() for name, w in self.network.state_dict().items()}
        weights["vectors"] = self.vectors.half().contiguous()
        lists = {"labels": self.labels, "predicates": self.predicates}
        save_file(weights, path, {"relations": json.dumps(lists)})

    @property
    def fingerprint(self) -> str:
        """Tells heads apart by what they answer, for caches of their relations."""
        names = json.dumps([self.labels, self.predicates])
        return digest([names, self.vectors, *self.network.state_dict().values()])

    def extended(self, labels: Sequence[str], path: str | os.PathLike[str]) -> "RelationHead":
        """A head that knows more labels, by their word vectors.

        Args:
            labels (list of str): The labels; of several words the mean is taken. Those known
                already, and those without a vector in the file, are passed over.
            path (str or PathLike): File of word vectors of the length the head was trained with
                (:func:`pyg_sgm.data.read_word_vectors`).

        Raises:
            ValueError: Naming the file, if it is not one or has vectors of another length.
        """
        plain = dict.fromkeys(_plain(label) for label in labels)
        new = [label for label in plain if label not in self._index and label != UNKNOWN]
        vectors, found = word_vectors(Vocabulary(new), path)
        if vectors.size(1) != self.vectors.size(1):
            lengths = (
                f"expected word vectors of length {self.vectors.size(1)}, got {vectors.size(1)}"
            )
            raise ValueError(f"{os.fspath(path)}: {lengths}")
        names = [label for label, has in zip(new, found[1:].tolist(), strict=True) if has]
        vectors = torch.cat([self.vectors, vectors[found]])
        return RelationHead(self.network, self.labels + names, vectors, self.predicates)

    @renamed_arguments(limit="max_relations")
    def relations(
        self,
        labels: Sequence[Sequence[str]],
        boxes: Sequence[ArrayLike],
        scores: Sequence[ArrayLike] | None = None,
        features: Sequence[ArrayLike] | None = None,
        max_relations: int = 25,
    ) -> list[list[Relation]]:
        """The best relations of each image, at most one per pair of objects.

        Of more than 64 objects that the head knows, those of the best scores are paired.

        Args:
            labels (list of list of str): Labels of the objects of each image.
            boxes (list): Their boxes x1, y1, x2, y2 in ``[0, 1]``, ``[num_objects, 4]`` per image.
            scores (list, optional): Their confidence, ``[num_objects]`` per image. (default: 1
                each)
            features (list, optional): Region features, ``[num_objects, feature_channels]`` per
                image, for a network that was trained with them. (default: :obj:`None`)
            max_relations (int, optional): Most relations per image. (default: :obj:`25`)

        Returns:
            For each image (subject index, predicate, object index, confidence), best first.

        Raises:
            ValueError: Naming image and field, for boxes that are empty, outside or not finite, or
                lists that are not one per object.
        """
        scored = None if scores is None else flat_scores(labels, scores)
        out: list[list[Relation]] = [[] for _ in labels]
        for pairs in self._score(labels, boxes, features, scored, _MOST_PAIRED):
            best, predicate = pairs.predicate.max(dim=1)
            confidence = pairs.related * best
            if scored is not None:
                score, start = scored
                begin = start[pairs.image]
                confidence *= score[begin + pairs.subject] * score[begin + pairs.object]
            chosen = best_pairs(confidence, pairs.image, max_relations)
            columns = (pairs.image, pairs.subject, predicate, pairs.object, confidence)
            for image, s, name, o, value in zip(
                *(c[chosen].tolist() for c in columns), strict=True
            ):
                out[image].append((s, self.predicates[name], o, value))
        return out

    def pair_scores(
        self,
        labels: Sequence[Sequence[str]],
        boxes: Sequence[ArrayLike],
        features: Sequence[ArrayLike] | None = None,
    ) -> PairScores:
        """All probabilities of all ordered pairs.

        Args:
            labels (list of list of str): See :meth:`relations`.
            boxes (list): See :meth:`relations`.
            features (list, optional): See :meth:`relations`. (default: :obj:`None`)

        Raises:
            ValueError: As :meth:`relations`.
        """
        parts = list(self._score(labels, boxes, features))
        if not parts:
            none = torch.zeros(0, dtype=torch.long)
            return PairScores(
                none, none, none, torch.zeros(0, len(self.predicates)), torch.zeros(0)
            )
        return PairScores(
            *(torch.cat(column) for column in zip(*map(_columns, parts), strict=True))
        )

    @torch.inference_mode()
    def _score(
        self,
        labels: Sequence[Sequence[str]],
        boxes: Sequence[ArrayLike],
        features: Sequence[ArrayLike] | None,
        scored: tuple[Tensor, Tensor] | None = None,
        most: int | None = None,
    ) -> Iterator[PairScores]:
        """Groups of images with pairs, about as many pairs each as the network sees at once.

        At most the ``most`` objects of the best scores are paired in an image.
        """
        lists = {"boxes": boxes} | ({} if features is None else {"features": features})
        for name, values in lists.items():
            if len(values) != len(labels):
                raise ValueError(
                    f"{name}: expected one per image, {len(labels)}, got {len(values)}"
                )
        group: list[tuple[int, list[int], Tensor, Tensor]] = []
        num_pairs = 0
        for image, (names, box) in enumerate(zip(labels, boxes, strict=True)):
            index = [self._index.get(_plain(name), 0) for name in names]
            known = torch.tensor([at for at, i in enumerate(index) if i], dtype=torch.long)
            checked = checked_boxes(box, len(names), image)
            if most is not None and len(known) > most:
                if scored is not None:
                    own = scored[0][scored[1][image] + known]
                    known = known[own.argsort(descending=True, stable=True)]
                known = known[:most].sort().values
            if len(known) > 1:
                group.append((image, index, known, checked))
                num_pairs += len(known) * (len(known) - 1)
            if num_pairs >= _PAIRS:
                yield self._group(group, features)
                group, num_pairs = [], 0
        if group:
            yield self._group(group, features)

    def _group(
        self,
        group: list[tuple[int, list[int], Tensor, Tensor]],
        features: Sequence[ArrayLike] | None,
    ) -> PairScores:
        place = torch.cat([known for *_, known, _ in group])  # of an object in its image
        label = torch.cat([torch.tensor(index)[known] for _, index, known, _ in group])
        boxes = torch.cat([box[known] for *_, known, box in group])
        size = torch.tensor([len(known) for *_, known, _ in group])
        image, subject, other = ordered_pairs(size)
        rows = None
        if features is not None and self.network.feature is not None:
            wanted = self.network.feature.in_features // 2
            rows = torch.cat(
                [
                    checked_features(features[at], len(i), wanted, at)[known]
                    for at, i, known, _ in group
                ]
            )
        x = self.network.embed(
            label * (label < self.network.own.num_embeddings), self._table[label]
        )
        parts = [
            self.network(x, boxes, s, o, rows)
            for s, o in zip(subject.split(_PAIRS), other.split(_PAIRS), strict=True)
        ]
        logits, related = (torch.cat(column) for column in zip(*parts, strict=True))
        number = torch.tensor([at for at, *_ in group])
        return PairScores(
            number[image], place[subject], place[other], logits.softmax(dim=1), related.sigmoid()
        )


def _columns(scores: PairScores) -> tuple[Tensor, ...]:
    return scores.image, scores.subject, scores.object, scores.predicate, scores.related


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().lower()
