"""A synthetic world in which matching needs relations."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import TextRecord
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.scene_world.captions import (
    Plan,
    Scene,
    lexicon,
    plan_caption,
    render,
    replace_attribute,
    replace_predicate,
    swap_relation,
)
from pyg_sgm.datasets.scene_world.images import detect, features_of, twins
from pyg_sgm.datasets.scene_world.words import ATTRIBUTES, OBJECTS, PREDICATES
from pyg_sgm.metrics import pair_accuracy

SPLITS = ("train", "dev", "test")
KINDS = ("swapped_relation", "replaced_predicate", "replaced_attribute")


class SceneWorld(SceneGraphDataset):
    """Synthetic scenes with captions, drawn from a seed; nothing is downloaded.

    A scene has two agents, of which one acts on the other (``dog chasing cat``), a thing near
    one of them (``cat left of bench``), and distracting objects. Scenes come in groups of four
    twins with the same objects: the first, one with subject and object of the action exchanged,
    one with another action, one with another color of one agent. Objects, boxes and their
    features say nothing about who acts, so a model that is blind to relations cannot tell the
    first two apart.

    What the "detector" sees of a scene is noisy: labels may be wrong, relations missed or
    invented, attributes missed, features perturbed. Captions vary in nouns, verbs, voice, number,
    and in how much they mention, and come with their triplets and attributes.

    Args:
        split (str, optional): ``"train"``, ``"dev"`` (or ``"val"``) or ``"test"``: different scenes
            of the same world, with the same vocabularies. (default: :obj:`"train"`)
        num_images (int, optional): Number of images. (default: :obj:`1000`)
        captions_per_image (int, optional): Captions of each. (default: :obj:`5`)
        seed (int, optional): Seed of the world and of its scenes. (default: :obj:`0`)
        feature_dim (int, optional): Width of the region features of objects and relations, sums of
            a fixed direction for each label and attribute and of noise; 0 for none. (default:
            :obj:`64`)
        feature_noise (float, optional): Standard deviation of that noise, where each direction has
            unit variance in every coordinate. (default: :obj:`0.5`)
        label_noise (float, optional): Share of objects and relations with a random label. (default:
            :obj:`0.02`)
        missed (float, optional): Share of relations and attributes that are missed. (default:
            :obj:`0.02`)
        invented (int, optional): Largest number of invented relations per image; they never join
            the two agents. (default: :obj:`2`)
        distractors (tuple, optional): Least and largest number of further objects per image,
            unrelated to the others and of other labels than the agents. (default: :obj:`(0, 3)`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> world = SceneWorld(num_images=8, captions_per_image=2)
        >>> world
        SceneWorld(8 images, 16 texts)
        >>> negatives = world.hard_negatives("swapped_relation")
        >>> true, false = negatives.dataset.captions[:2]
        >>> true != false and sorted(true.split()) == sorted(false.split())
        True
    """

    def __init__(
        self,
        split: str = "train",
        *,
        num_images: int = 1000,
        captions_per_image: int = 5,
        seed: int = 0,
        feature_dim: int = 64,
        feature_noise: float = 0.5,
        label_noise: float = 0.02,
        missed: float = 0.02,
        invented: int = 2,
        distractors: tuple[int, int] = (0, 3),
    ) -> None:
        split = "dev" if split == "val" else split
        if split not in SPLITS:
            raise ValueError(f"SceneWorld: split must be one of {SPLITS}, got {split!r}")
        if num_images < 1:
            raise ValueError(f"SceneWorld: num_images must be at least 1, got {num_images}")
        if min(captions_per_image, feature_dim, feature_noise, invented) < 0:
            raise ValueError("SceneWorld: numbers and sizes must not be negative")
        if not (0 <= label_noise <= 1 and 0 <= missed <= 1):
            raise ValueError("SceneWorld: label_noise and missed must lie in [0, 1]")
        if not 0 <= distractors[0] <= distractors[1]:
            raise ValueError(f"SceneWorld: distractors must be (low, high), got {distractors}")
        self.seed = seed
        random = Random(f"{seed}/{split}")
        scenes: list[Scene] = []
        while len(scenes) < num_images:
            scenes.extend(twins(random, distractors))
        del scenes[num_images:]
        seen = [
            detect(scene, f"{split}-{i:06d}", random, label_noise, missed, invented)
            for i, scene in enumerate(scenes)
        ]
        self._plans = [plan_caption(s, random) for s in scenes for _ in range(captions_per_image)]
        image_of_text = torch.arange(num_images).repeat_interleave(captions_per_image)
        images = [image for image, _ in seen]
        texts = [
            render(plan, f"{images[i].id}#{j % captions_per_image}")
            for j, (plan, i) in enumerate(zip(self._plans, image_of_text.tolist(), strict=True))
        ]
        features = {}
        if feature_dim:
            noise = np.random.default_rng([seed, SPLITS.index(split)])
            features = features_of(
                [parts for _, parts in seen], feature_dim, feature_noise, seed, noise
            )
        labels = Labels(OBJECTS, PREDICATES, ATTRIBUTES, lexicon())
        super().__init__(images, texts, image_of_text, labels, features)

    def hard_negatives(self, kind: str) -> "HardNegatives":
        """Every caption that allows it, paired with a false one of the same image.

        Args:
            kind (str): ``"swapped_relation"``: the same words, subject and object exchanged;
                ``"replaced_predicate"``: another action; ``"replaced_attribute"``: another color or
                size of an agent.

        Raises:
            ValueError: If there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"hard_negatives: kind must be one of {KINDS}, got {kind!r}")
        random = Random(f"{self.seed}/{kind}")
        texts: list[TextRecord] = []
        image_of_text: list[int] = []
        for plan, text, image in zip(
            self._plans, self.texts, self.image_of_text.tolist(), strict=True
        ):
            twin = _falsify(plan, kind, random)
            if twin is not None:
                texts.extend((text, render(twin, f"{text.id}/{kind}")))
                image_of_text.extend((image, image))
        dataset = SceneGraphDataset(self.images, texts, image_of_text, self.labels, self.features)
        return HardNegatives(kind, dataset.select_images(sorted(set(image_of_text))))


@dataclass(frozen=True)
class HardNegatives:
    """Pairs of a true and a false caption of the same image.

    Args:
        kind (str): What the false captions got wrong; see :meth:`SceneWorld.hard_negatives`.
        dataset (SceneGraphDataset): The images that have a pair, and texts in the order true,
            false, true, ...
    """

    kind: str
    dataset: SceneGraphDataset

    def __len__(self) -> int:
        """Number of pairs."""
        return self.dataset.num_texts // 2

    def accuracy(self, scores: Tensor) -> float:
        """Share of pairs whose true caption scores higher with the image; a tie counts half.

        Args:
            scores (Tensor): Either all scores ``[num_images, num_texts]``, or those of each text
                with its own image, ``[num_texts]``.

        Raises:
            ValueError: If a score is NaN or their shape does not fit.
        """
        count = self.dataset.num_texts
        if scores.shape == (len(self.dataset.images), count):
            scores = scores[self.dataset.image_of_text.to(scores.device), torch.arange(count)]
        if scores.shape != (count,):
            raise ValueError(f"accuracy: expected scores of {count} texts, got {scores.shape}")
        return pair_accuracy(scores[::2], scores[1::2])


def _falsify(plan: Plan, kind: str, random: Random) -> Plan | None:
    if kind == "swapped_relation":
        return swap_relation(plan)
    if kind == "replaced_predicate":
        return replace_predicate(plan, random)
    return replace_attribute(plan, random)
