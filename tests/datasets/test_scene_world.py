from collections import Counter

import numpy as np
import pytest
import torch

from pyg_sgm.data import tokenize, validate
from pyg_sgm.datasets import SceneWorld, open_dataset
from pyg_sgm.datasets.scene_world import KINDS
from pyg_sgm.datasets.scene_world.words import ACTIONS, AGENTS


@pytest.fixture(scope="module")
def world() -> SceneWorld:
    return SceneWorld(
        "train", num_images=400, captions_per_image=3, seed=1, missed=0, label_noise=0
    )


def test_counts_and_vocabularies_of_splits(world: SceneWorld) -> None:
    assert len(world.images) == 400
    assert world.num_texts == 1200
    test = SceneWorld("test", num_images=10, seed=1)
    assert test.vocabularies() == world.vocabularies()
    assert not set(test.captions) & set(world.captions[:30])


def test_same_seed_same_world(world: SceneWorld) -> None:
    again = SceneWorld(
        "train", num_images=400, captions_per_image=3, seed=1, missed=0, label_noise=0
    )
    assert again.captions == world.captions
    assert torch.equal(again.features["object"].rows[:5], world.features["object"].rows[:5])
    assert SceneWorld(num_images=4, seed=2).captions != SceneWorld(num_images=4, seed=3).captions


def test_every_graph_is_valid_and_every_word_known(world: SceneWorld) -> None:
    vocabularies = world.vocabularies()
    pairs = world.encode(vocabularies)
    for i in range(0, 400, 7):
        validate(pairs.images[i], vocabularies)
        validate(pairs.texts[i], vocabularies)
        assert (pairs.texts[i]["word"].token > 0).all()
        assert (pairs.texts[i]["relation"].token > 0).all()
        assert (pairs.images[i]["relation"].label > 0).all()
    assert all(tokenize(text.caption) == list(text.words) for text in world.texts)


def test_spans_point_at_the_words(world: SceneWorld) -> None:
    for text in world.texts:
        assert text.spans is not None
        for phrase, (position,) in zip(text.objects, text.spans["object"], strict=True):
            assert text.words[position][:2] == phrase[:2]
        for (_, phrase), (position,) in zip(text.attributes, text.spans["attribute"], strict=True):
            assert text.words[position] == phrase


def test_captions_are_true_of_their_image(world: SceneWorld) -> None:
    label_of = {noun: label for label, nouns in AGENTS.items() for noun, _ in nouns}
    predicate_of = {verb.lemma: name for name, verbs in ACTIONS.items() for verb in verbs}
    for text, i in zip(world.texts, world.image_of_text.tolist(), strict=True):
        image = world.images[i]
        s, lemma, o = text.relations[0]
        told = (label_of[text.objects[s]], predicate_of[lemma], label_of[text.objects[o]])
        assert told in {(image.objects[a], p, image.objects[b]) for a, p, b in image.relations}


def test_twins_share_objects_and_differ(world: SceneWorld) -> None:
    for start in range(0, 40, 4):
        first, swapped, other, recoloured = world.images[start : start + 4]
        assert Counter(first.objects) == Counter(swapped.objects) == Counter(other.objects)
        assert Counter(first.objects) == Counter(recoloured.objects)

        def actions(image: object) -> set[tuple[str, str, str]]:
            return {
                (image.objects[s], p, image.objects[o])  # type: ignore[attr-defined]
                for s, p, o in image.relations  # type: ignore[attr-defined]
                if p in ACTIONS
            }

        assert actions(first) != actions(swapped)
        assert actions(first) != actions(other)


@pytest.mark.parametrize("kind", KINDS)
def test_hard_negatives(world: SceneWorld, kind: str) -> None:
    negatives = world.hard_negatives(kind)
    data = negatives.dataset
    assert len(negatives) > 800
    assert torch.equal(data.image_of_text[::2], data.image_of_text[1::2])
    differing = Counter()
    for true, false in zip(data.texts[::2], data.texts[1::2], strict=True):
        assert true.caption != false.caption
        if kind == "swapped_relation":
            assert Counter(true.words) == Counter(false.words)
            assert true.relations[0][1] == false.relations[0][1]
        differing[len(Counter(true.words) - Counter(false.words))] += 1
    if kind == "replaced_predicate":
        assert set(differing) == {1}
    if kind == "replaced_attribute":  # an article may change with the adjective
        assert set(differing) <= {1, 2}


def test_accuracy_counts_ties_half(world: SceneWorld) -> None:
    negatives = world.hard_negatives("swapped_relation")
    scores = torch.zeros(negatives.dataset.num_texts)
    assert negatives.accuracy(scores) == 0.5
    scores[::2] = 1
    assert negatives.accuracy(scores) == 1.0
    matrix = torch.zeros(len(negatives.dataset.images), len(scores))
    matrix[:, 1::2] = 1
    assert negatives.accuracy(matrix) == 0.0
    with pytest.raises(ValueError, match="NaN"):
        negatives.accuracy(scores * float("nan"))
    with pytest.raises(ValueError, match="expected scores"):
        negatives.accuracy(scores[:-1])


def test_objects_do_not_tell_who_acts() -> None:
    """A linear guess of the subject from all that objects carry stays at chance."""
    world = SceneWorld(num_images=3000, captions_per_image=0, label_noise=0, missed=0)
    x = world.features["object"]
    rows, targets = [], []
    random = np.random.default_rng(0)
    for i, image in enumerate(world.images):
        for s, p, o in image.relations:
            if p in ACTIONS and image.objects[s] in AGENTS and image.objects[o] in AGENTS:
                start = int(x.spans.start[i])
                both = [
                    np.concatenate([image.boxes[n], x.rows[start + n].numpy(), [n]])  # type: ignore[index]
                    for n in (s, o)
                ]
                sign = 1 if random.random() < 0.5 else -1
                rows.append(sign * (both[0] - both[1]))
                targets.append(sign)
                break
    design, target = np.array(rows), np.array(targets)
    half = len(design) // 2
    weight = np.linalg.lstsq(design[:half], target[:half], rcond=None)[0]
    right = (np.sign(design[half:] @ weight) == target[half:]).mean()
    assert abs(right - 0.5) < 0.05


def test_distractors_and_no_features() -> None:
    world = SceneWorld(num_images=20, distractors=(15, 15), feature_dim=0, captions_per_image=1)
    assert all(len(image.objects) >= 18 for image in world.images)
    assert "x" not in world.encode(world.vocabularies()).images[0]["object"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"split": "tests"},
        {"num_images": 0},
        {"captions_per_image": -1},
        {"missed": 2.0},
        {"distractors": (3, 1)},
    ],
)
def test_bad_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match="SceneWorld"):
        SceneWorld(**arguments)


def test_open_dataset() -> None:
    world = open_dataset("scene-world:num_images=6,distractors=2-2,feature_noise=0.1", "test")
    assert len(world.images) == 6
    assert world.image_ids[0].startswith("test")
    for spec in ("scene-world:size=3", "scene-world:seed=x", "nothing", "flickr30k-sgm:"):
        with pytest.raises(ValueError, match=spec.split(":")[0]):
            open_dataset(spec, "train")
