import pytest
import torch

from pyg_sgm.data import Ragged, Spans, image_record, text_record
from pyg_sgm.datasets import Labels, SceneGraphDataset

BOX = [[0.0, 0.0, 1.0, 1.0]]


def make(**arguments: object) -> SceneGraphDataset:
    known = {
        "images": [image_record(["dog"], BOX, id="b"), image_record([], id="a")],
        "texts": [
            text_record("a dog", id="0"),
            text_record("a cat", relations=[("cat", "sits on", "mat")], id="1"),
            text_record("", id="2"),
        ],
        "image_of_text": [1, 0, 1],
    }
    return SceneGraphDataset(**(known | arguments))  # type: ignore[arg-type]


def test_vocabularies_have_captions_phrases_and_known_labels() -> None:
    labels = Labels(objects=["zebra"], predicates=["on"], attributes=["red"], words=["rare"])
    data = make(labels=labels)
    vocabularies = data.vocabularies()
    assert vocabularies.words.words == (
        "<unk>", "a", "cat", "dog", "mat", "on", "rare", "sits",
    )  # fmt: skip
    assert vocabularies.objects.words == ("<unk>", "dog", "zebra")
    assert data.vocabularies(min_count=2).words.words == ("<unk>", "a", "cat", "rare")
    assert data.select_images([1]).vocabularies().objects.words == ("<unk>", "zebra")


def test_boxes_are_left_out_unless_every_image_has_them() -> None:
    data = make()
    assert "box" not in data.encode(data.vocabularies()).images[0]["object"]
    data = make(images=[image_record(["dog"], BOX, id="b"), image_record([], [], id="a")])
    assert data.encode(data.vocabularies()).images[0]["object"].box.tolist() == BOX


def test_select_keeps_texts_and_features_with_their_image() -> None:
    features = {"object": Ragged(torch.ones(1, 3), Spans.packed(torch.tensor([1, 0])))}
    data = make(features=features).select_images([1, 0])
    assert data.image_ids == ["a", "b"]
    assert data.text_ids == ["0", "1", "2"]
    assert data.image_of_text.tolist() == [0, 1, 0]
    pairs = data.encode(data.vocabularies())
    assert pairs.images[0]["object"].x.shape == (0, 3)
    assert pairs.images[1]["object"].x.shape == (1, 3)
    assert data.select_images([1]).image_of_text.tolist() == [0]
    empty = data.select_images([])
    assert (len(empty), len(empty.encode(data.vocabularies()).images)) == (0, 0)


def test_split_is_by_sorted_id() -> None:
    images = [image_record([], id=f"{i:02d}") for i in (3, 1, 4, 0, 2)]
    data = make(images=images, texts=[], image_of_text=[])
    train, dev = data.split_every(2)
    assert dev.image_ids == ["00", "02", "04"]
    assert train.image_ids == ["01", "03"]


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="text '1' has no image"):
        make(image_of_text=[0, 2, 0])
    with pytest.raises(ValueError, match="one index for each of 3 texts"):
        make(image_of_text=[0])
    with pytest.raises(ValueError, match="same id"):
        make(images=[image_record([], id="a")] * 2)
    for count, message in (([1], "features of 1 graphs for 2"), ([0, 1], "'b'.*0 rows")):
        ragged = Ragged(torch.ones(1, 3), Spans.packed(torch.tensor(count)))
        data = make(features={"object": ragged})
        with pytest.raises(ValueError, match=message):
            data.encode(data.vocabularies())
    bad = Ragged(torch.full((1, 3), float("nan")), Spans.packed(torch.tensor([1, 0])))
    data = make(features={"object": bad})
    with pytest.raises(ValueError, match=r"image 'b': object\.x: NaN"):
        data.encode(data.vocabularies())
