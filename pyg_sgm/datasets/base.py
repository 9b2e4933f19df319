"""What every dataset is: images and texts as strings, and which belongs to which."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from pyg_sgm.data import (
    ImageRecord,
    PairedGraphs,
    Ragged,
    TextRecord,
    Vocabularies,
    Vocabulary,
    pack_images,
    pack_texts,
)
from pyg_sgm.data.records import node_phrases, phrase_words
from pyg_sgm.datasets._files.skipped import SkippedRecord
from pyg_sgm.io import counted


@dataclass(frozen=True)
class Labels:
    """What a dataset knows beforehand, beyond what it contains: its vocabularies have all of it.

    Args:
        objects (list of str, optional): Object labels of image graphs. (default: :obj:`()`)
        predicates (list of str, optional): Predicate labels of image graphs. (default: :obj:`()`)
        attributes (list of str, optional): Attribute labels of image graphs. (default: :obj:`()`)
        words (list of str, optional): Words of texts. (default: :obj:`()`)
    """

    objects: Sequence[str] = ()
    predicates: Sequence[str] = ()
    attributes: Sequence[str] = ()
    words: Sequence[str] = ()


class SceneGraphDataset:
    """Images and texts with their graphs in strings, before any vocabulary.

    Its length is the number of images; an item is an image with its texts.

    Args:
        images (list of ImageRecord): One record per image, with distinct ids.
        texts (list of TextRecord): One record per text.
        image_of_text (Tensor or list of int): Index of each text's image, ``[num_texts]``.
        labels (Labels, optional): Labels that vocabularies must contain whether they occur or not.
            (default: none)
        features (dict, optional): Region features of the images by node type, ``{"object" |
            "relation": Ragged}``. (default: none)
        skipped (list of SkippedRecord, optional): What a reader left out, see
            :class:`SkippedRecord`. (default: none)

    Raises:
        ValueError: If two images have the same id or a text has no image.

    Example:
        >>> from pyg_sgm.data import image_record, text_record
        >>> data = SceneGraphDataset(
        ...     images=[image_record(["dog"], [[0, 0, 1, 1]], id="1.jpg")],
        ...     texts=[text_record("a dog", id="1#0"), text_record("an animal", id="1#1")],
        ...     image_of_text=[0, 0],
        ... )
        >>> vocabularies = data.vocabularies()
        >>> vocabularies.words.words
        ('<unk>', 'a', 'an', 'animal', 'dog')
        >>> data.num_images, data.num_texts, len(data.encode(vocabularies))
        (1, 2, 2)
        >>> image, texts = data[0]
        >>> image.id, [text.caption for text in texts]
        ('1.jpg', ['a dog', 'an animal'])
    """

    def __init__(
        self,
        images: Sequence[ImageRecord],
        texts: Sequence[TextRecord],
        image_of_text: Tensor | Sequence[int],
        labels: Labels | None = None,
        features: Mapping[str, Ragged] | None = None,
        *,
        skipped: Sequence[SkippedRecord] = (),
    ) -> None:
        self.images = list(images)
        self.texts = list(texts)
        self.image_of_text = torch.as_tensor(image_of_text, dtype=torch.long)
        self.labels = labels or Labels()
        self.features = dict(features or {})
        self.skipped = list(skipped)
        first: dict[str, ImageRecord] = {}
        for image in self.images:
            if image.id in first:
                files = "" if image.file is None else f": {first[image.id].file}, {image.file}"
                raise ValueError(f"two images have the same id {image.id!r}{files}")
            first[image.id] = image
        if self.image_of_text.shape != (len(self.texts),):
            raise ValueError(
                f"image_of_text: expected one index for each of {len(self.texts)} texts"
            )
        bad = (self.image_of_text < 0) | (self.image_of_text >= len(self.images))
        if bad.any():
            raise ValueError(f"text {self.texts[int(bad.nonzero()[0])].id!r} has no image")

    @property
    def image_ids(self) -> list[str]:
        """Name of each image."""
        return [image.id for image in self.images]

    @property
    def text_ids(self) -> list[str]:
        """Name of each text."""
        return [text.id for text in self.texts]

    @property
    def captions(self) -> list[str]:
        """Each text as written."""
        return [text.caption for text in self.texts]

    @property
    def num_images(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def num_texts(self) -> int:
        """Number of texts."""
        return len(self.texts)

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: int) -> tuple[ImageRecord, list[TextRecord]]:
        texts = self._texts_of_images[index]
        return self.images[index], [self.texts[i] for i in texts]

    def __iter__(self) -> Iterator[tuple[ImageRecord, list[TextRecord]]]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def _texts_of_images(self) -> list[list[int]]:
        texts: list[list[int]] = [[] for _ in self.images]
        for text, image in enumerate(self.image_of_text.tolist()):
            texts[image].append(text)
        return texts

    def replace(self, **changes: Any) -> "SceneGraphDataset":
        """The dataset with some of the arguments of its class changed.

        Args:
            **changes: ``images``, ``texts``, ``image_of_text``, ``labels`` or ``features``.

        Raises:
            ValueError: As the class itself.

        Example:
            >>> from pyg_sgm.data import image_record
            >>> data = SceneGraphDataset([image_record(id="1.jpg")], [], [])
            >>> data.replace(images=[image_record(["dog"], id="1.jpg")]).images[0].objects
            ['dog']
        """
        same = ("images", "texts", "image_of_text", "labels", "features", "skipped")
        return SceneGraphDataset(**{name: getattr(self, name) for name in same} | changes)

    def vocabularies(self, min_count: int = 1) -> Vocabularies:
        """The vocabularies of this dataset.

        Args:
            min_count (int, optional): Words of captions and of text-graph phrases that occur less
                often are left out (default: :obj:`1`). Labels of image graphs are all kept.
        """
        counts = Counter(chain.from_iterable(_words(text) for text in self.texts))
        words = {word for word, n in counts.items() if n >= min_count} | set(self.labels.words)
        objects = chain.from_iterable(image.objects for image in self.images)
        predicates = (p for image in self.images for _, p, _ in image.relations)
        attributes = (label for image in self.images for _, label in image.attributes)
        return Vocabularies(
            Vocabulary.build(words),
            Vocabulary.build(chain(self.labels.objects, objects)),
            Vocabulary.build(chain(self.labels.predicates, predicates)),
            Vocabulary.build(chain(self.labels.attributes, attributes)),
        )

    def encode(
        self,
        vocabularies: Vocabularies,
        word_features: Callable[[Sequence[TextRecord]], Ragged] | None = None,
        label_features: Callable[[Sequence[ImageRecord]], dict[str, Ragged]] | None = None,
    ) -> PairedGraphs:
        """The graphs as tensors; words and labels outside the vocabularies become index 0.

        Args:
            vocabularies (Vocabularies): Words and labels to indices.
            word_features (callable, optional): Gives the features of the words of texts, such as
                :func:`pyg_sgm.text.word_features` with its encoder. (default: :obj:`None`, tokens
                alone)
            label_features (callable, optional): Gives the features of the labels of images, such as
                :func:`pyg_sgm.text.label_features` with its encoder. (default: :obj:`None`, none)

        Raises:
            ValueError: If features do not fit the number of objects, relations or words.
        """
        words = {} if word_features is None else {"word": word_features(self.texts)}
        labels = None if label_features is None else label_features(self.images)
        return PairedGraphs(
            pack_images(self.images, vocabularies, self.features, labels),
            pack_texts(self.texts, vocabularies.words, words),
            self.image_of_text,
        )

    def select_images(self, index: Iterable[int]) -> "SceneGraphDataset":
        """The given images, in that order, and their texts in the order they have here.

        Args:
            index (list of int): Positions of the images.

        Raises:
            ValueError: If an index occurs twice or is not there.
        """
        index = torch.as_tensor(list(index), dtype=torch.long)
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < len(self.images)):
            raise ValueError(f"select_images: an index outside 0 ... {len(self.images) - 1}")
        if len(index.unique()) < len(index):
            raise ValueError("select_images: an index occurs twice")
        new = torch.full((len(self.images),), -1)
        new[index] = torch.arange(len(index))
        kept = new[self.image_of_text] >= 0
        return self.replace(
            images=[self.images[i] for i in index.tolist()],
            texts=[text for text, keep in zip(self.texts, kept.tolist(), strict=True) if keep],
            image_of_text=new[self.image_of_text][kept],
            features={node: ragged.select(index) for node, ragged in self.features.items()},
        )

    def split_every(self, n: int) -> tuple["SceneGraphDataset", "SceneGraphDataset"]:
        """Splits by sorted image id: positions that are multiples of ``n`` are dev.

        Args:
            n (int): At least 2.

        Returns:
            The train part and the dev part.

        Raises:
            ValueError: If ``n`` is less than 2.
        """
        if n < 2:
            raise ValueError(f"split_every: n must be at least 2, got {n}")
        order = sorted(range(len(self.images)), key=lambda i: self.images[i].id)
        train = [i for position, i in enumerate(order) if position % n]
        return self.select_images(train), self.select_images(order[::n])

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({counted(self.num_images, 'image')}, {counted(self.num_texts, 'text')})"


def _words(text: TextRecord) -> Iterable[str]:
    yield from text.words
    for phrases in node_phrases(text).values():
        for phrase in phrases:
            yield from phrase_words(phrase)
