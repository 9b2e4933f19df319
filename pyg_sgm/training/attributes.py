"""Attributes of objects learned from captions: which object an adjective is said of, and how it
looks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_sgm.data import ImageRecord, Ragged, TextRecord
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.text.synonyms import SAME_NOUN, is_number
from pyg_sgm.text.word_lists import ANIMALS, FEMALE, MALE, PEOPLE, words
from pyg_sgm.text.words import noun_lemma
from pyg_sgm.vision.attributes import AttributeHead

LEAST_COUNT = 25  # objects that are called so
PRIOR = 5  # objects of any label that are counted with those of each
EPOCHS, BATCH, LR, WEIGHT_DECAY, DROPOUT = 15, 128, 1e-3, 1.0, 0.5

# Names of the things that detectors know beside the names of captions.
_WORN = words(
    "shirt jacket coat dress skirt shorts pants suit uniform outfit costume clothes clothing "
    "sweater hoodie vest robe top swimsuit bikini wetsuit trunks"
)
_PERSONS = (PEOPLE | MALE | FEMALE) - ANIMALS

Said = dict[tuple[int, int], set[str]]  # adjectives of an object of an image


def said_of_objects(
    images: Sequence[ImageRecord], texts: Sequence[TextRecord], image_of_text: Sequence[int]
) -> Said:
    """The adjectives that captions say of the objects of their images.

    A noun of a caption is the object that has its name, as label or as attribute (several names of
    one thing are attributes), else a person or clothing, if it is one; of several the most visible,
    by area and score.

    Args:
        images (list of ImageRecord): Images with graphs.
        texts (list of TextRecord): Their captions with graphs.
        image_of_text (list of int): Image of every text.

    Returns:
        By image and object, the adjectives: single words, no numbers.

    Example:
        >>> from pyg_sgm.data import image_record, text_record
        >>> image = image_record(["person", "dog"], [[0, 0, 0.4, 1], [0.5, 0.5, 0.9, 0.9]])
        >>> text = text_record(
        ...     "a tall man with two wet puppies",
        ...     objects=["man", "puppies"], attributes=[(0, "tall"), (1, "two"), (1, "wet")],
        ... )
        >>> said_of_objects([image], [text], [0])
        {(0, 0): {'tall'}, (0, 1): {'wet'}}
    """
    said: Said = defaultdict(set)
    objects_of: dict[int, dict[str, int]] = {}
    for text, image in zip(texts, image_of_text, strict=True):
        for noun, word in text.attributes:
            if not word.isalpha() or is_number(word):
                continue
            if image not in objects_of:
                objects_of[image] = _by_name(images[image])
            name = _name(text.objects[noun])
            wider = "person" if name in _PERSONS else "clothing" if name in _WORN else name
            found = objects_of[image].get(name, objects_of[image].get(wider))
            if found is not None:
                said[image, found].add(word)
    return dict(said)


def learn_attributes(
    images: Sequence[ImageRecord],
    features: Mapping[str, Ragged],
    texts: Sequence[TextRecord],
    image_of_text: Sequence[int],
    num_words: int,
    seed: int = 0,
) -> AttributeHead:
    """A head that names objects as captions do, learned from those objects of which they say
    anything (:func:`said_of_objects`).

    Args:
        images (list of ImageRecord): Images with graphs.
        features (dict): Their region features by node type.
        texts (list of TextRecord): Their captions with graphs.
        image_of_text (list of int): Image of every text.
        num_words (int): How many adjectives: the most frequent ones, of those that are said of 25
            objects or more; of equally frequent ones the first by name.
        seed (int, optional): Of the order of the objects, and of dropout. (default: :obj:`0`)

    Raises:
        ValueError: If there are no region features, or no such adjective.
    """
    if "object" not in features:
        raise ValueError("attribute_words: there are no region features to learn attributes from")
    said = said_of_objects(images, texts, image_of_text)
    count = Counter(word for words in said.values() for word in words)
    often = (word for word, n in count.items() if n >= LEAST_COUNT)
    frequent = sorted(often, key=lambda word: (-count[word], word))
    words = sorted(frequent[:num_words])
    if not words:
        raise ValueError(
            f"attribute_words: no adjective of the captions is said of {LEAST_COUNT} objects"
        )
    index = {word: at for at, word in enumerate(words)}
    said = {place: kept for place, own in said.items() if (kept := own & index.keys())}
    truth = torch.zeros(len(said), len(words))
    for row, own in enumerate(said.values()):
        truth[row, [index[word] for word in own]] = 1
    labels = [images[image].objects[i] for image, i in said]
    start = features["object"].spans.start
    x = features["object"].rows[torch.tensor([int(start[image]) + i for image, i in said])].float()
    head = AttributeHead(words, sorted(set(labels)), x.mean(dim=0), x.std(dim=0) + 1e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _fit(head, x, head.label_index(labels), truth)
    return head.eval()


def _fit(head: AttributeHead, x: Tensor, label: Tensor, truth: Tensor) -> None:
    """Starts from how often a label is called what, and learns what features add."""
    overall = truth.mean(dim=0)
    count = head.of_label.weight.new_zeros(head.of_label.weight.shape).index_add_(0, label, truth)
    total = label.bincount(minlength=len(count))[:, None]
    often = (count + PRIOR * overall) / (total + PRIOR)
    head.of_label.weight.data.copy_(often.clamp(1e-4, 1 - 1e-4).logit())
    groups = [
        {"params": head.of_features.parameters(), "weight_decay": WEIGHT_DECAY},
        {"params": head.of_label.parameters(), "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            seen = head.mean + F.dropout(x[rows] - head.mean, DROPOUT)
            value = F.binary_cross_entropy_with_logits(head(seen, label[rows]), truth[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()


def _name(phrase: str) -> str:
    noun = noun_lemma(phrase.split()[-1])
    return SAME_NOUN.get(noun, noun)


def _by_name(image: ImageRecord) -> dict[str, int]:
    """The most visible object of each name in an image."""
    scores = image.scores.get("object")
    visible = np.ones(len(image.objects)) if scores is None else np.asarray(scores)
    if image.boxes is not None:
        visible = visible * (image.boxes[:, 2:] - image.boxes[:, :2]).prod(axis=1)
    names = [(label, i) for i, label in enumerate(image.objects) if label != UNKNOWN]
    names += [(word, i) for i, word in image.attributes if image.objects[i] != UNKNOWN]
    best: dict[str, int] = {}
    for label, i in names:
        name = _name(label)
        if name not in best or visible[i] > visible[best[name]]:
            best[name] = i
    return best
