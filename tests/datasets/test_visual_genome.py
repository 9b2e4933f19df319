import json
from pathlib import Path

import pytest

from pyg_sgm.datasets import open_dataset
from pyg_sgm.datasets._files.fields import read_json_list


def thing(number: int, name: str, *box: int) -> dict:
    x, y, w, h = box
    return {"object_id": number, "x": x, "y": y, "w": w, "h": h, "names": [name], "synsets": []}


def relation(number: int, subject: int, predicate: str, target: int) -> dict:
    ends = {"subject_id": subject, "object_id": target}
    return {"relationship_id": number, "predicate": predicate, **ends, "synsets": []}


GRAPHS = [
    {
        "image_id": 7,
        "objects": [
            thing(70, "Man ", 0, 0, 50, 80),
            thing(71, "horse", 20, -4, 90, 100),
            thing(72, "dot", 30, 30, 0, 5),
        ],
        "relationships": [
            relation(1, 70, "RIDES", 71),
            relation(2, 70, "has", 72),
            relation(3, 99, "on", 71),
        ],
    },
    {"image_id": 8, "objects": [], "relationships": []},
]
ATTRIBUTES = [
    {
        "image_id": 7,
        "attributes": [
            {**thing(71, "horse", 20, 0, 80, 90), "attributes": ["Brown", "brown", "big"]},
            thing(70, "man", 0, 0, 50, 80),
            {**thing(99, "cat", 0, 0, 1, 1), "attributes": ["lost"]},
        ],
    }
]


def write(root: Path, name: str, content: object) -> None:
    (root / f"{name}.json").write_text(json.dumps(content))


def test_graphs(tmp_path: Path) -> None:
    write(tmp_path, "scene_graphs", GRAPHS)
    write(tmp_path, "attributes", ATTRIBUTES)
    write(tmp_path, "image_data", [{"image_id": 7, "width": 100, "height": 160, "url": ""}])
    data = open_dataset(f"visual-genome:{tmp_path}", "train")
    first, second = data.images
    assert first.id == "7"
    assert first.objects == ["man", "horse"]
    assert first.relations == [(0, "rides", 1)]
    assert first.attributes == [(1, "brown"), (1, "big")]
    assert first.boxes is not None
    assert first.boxes.tolist() == [[0, 0, 0.5, 0.5], [0.2, 0, 1, 0.6]]
    assert (second.id, second.objects, data.num_texts) == ("8", [], 0)


def test_sizes_from_boxes(tmp_path: Path) -> None:
    write(tmp_path, "scene_graphs", GRAPHS)
    image = open_dataset(f"visual-genome:{tmp_path}", "train").images[0]
    assert image.size == (110, 96)
    assert image.attributes == []


def test_with_the_text_graphs_of_factual(tmp_path: Path) -> None:
    write(tmp_path, "scene_graphs", GRAPHS)
    image = pytest.importorskip("PIL.Image")
    for number in (7, 8):
        image.new("RGB", (200, 120)).save(tmp_path / f"{number}.jpg")
    rows = 'image_id,caption,scene_graph\n7,man rides a horse,"( man , ride , horse )"\n8,snow,\n'
    (tmp_path / "c.csv").write_text(rows)
    spec = f"visual-genome:{tmp_path},images={tmp_path},captions={tmp_path / 'c.csv'}"
    data = open_dataset(spec, "train")
    assert data.images[0].file == tmp_path / "7.jpg"
    assert data.images[0].size == (200, 120)
    assert data.texts[0].relations == [(0, "ride", 1)]
    assert data.image_of_text.tolist() == [0, 1]


def test_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "scene_graphs", GRAPHS)
    path = tmp_path / "scene_graphs.json"
    text = path.read_text()
    for size in (1, 7, len(text)):
        monkeypatch.setattr("pyg_sgm.datasets._files.fields._CHUNK", size)
        assert list(read_json_list(path)) == GRAPHS
    for broken in (
        text[:-1],
        text[:-20],
        text.replace(":", "", 1),
        "",
        "[3]",
        "[}",
        "[{" * 9999,
        '[{"a": ' + "9" * 9999,
    ):
        path.write_text(broken)
        with pytest.raises(ValueError, match=r"scene_graphs.json"):
            list(read_json_list(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a list"),
        ([], "empty"),
        ([{"image_id": 7, "objects": [], "relationships": []}] * 2, r"\[1\]: image 7 occurs twice"),
    ],
)
def test_bad_files(tmp_path: Path, content: object, message: str) -> None:
    write(tmp_path, "scene_graphs", content)
    with pytest.raises(ValueError, match=f"scene_graphs.json: {message}"):
        open_dataset(f"visual-genome:{tmp_path}", "train")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"objects": [], "relationships": []}, "image_id is missing"),
        ({"image_id": "7", "objects": [], "relationships": []}, "image_id: expected a whole"),
        ({"image_id": 1, "relationships": []}, "objects is missing"),
        ({"image_id": 1, "objects": []}, "relationships is missing"),
        ({**GRAPHS[0], "objects": [3]}, r"objects\[0\]: expected an object"),
        ({**GRAPHS[0], "objects": [{"names": [1]}]}, r"objects\[0\]: names: expected a str"),
        (
            {**GRAPHS[0], "objects": [{**thing(1, "a", 0, 0, 1, 1), "w": None}]},
            r"objects\[0\]: w: expected a number",
        ),
        (
            {**GRAPHS[0], "objects": [{**thing(1, "a", 0, 0, 1, 1), "x": float("nan")}]},
            "x, y, w, h: NaN",
        ),
        (
            {**GRAPHS[0], "objects": [{**thing(1, "a", 0, 0, 1, 1), "object_id": None}]},
            r"objects\[0\]: object_id: expected a whole number",
        ),
        ({**GRAPHS[0], "relationships": [{}]}, r"relationships\[0\]: predicate is missing"),
        (
            {**GRAPHS[0], "relationships": [{**relation(1, 70, "on", 71), "object_id": 0.5}]},
            r"relationships\[0\]: object_id: expected a whole number",
        ),
    ],
)
def test_an_image_that_cannot_be_used(tmp_path: Path, entry: dict, message: str) -> None:
    write(tmp_path, "scene_graphs", [GRAPHS[1], entry])
    with pytest.raises(ValueError, match=rf"scene_graphs.json: \[1\]: {message}"):
        open_dataset(f"visual-genome:{tmp_path}", "train", strict=True)
    with pytest.warns(UserWarning, match=rf"1 record .*scene_graphs.json: \[1\]: {message}"):
        data = open_dataset(f"visual-genome:{tmp_path}", "train")
    assert data.image_ids == ["8"]


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("attributes", {"image_id": 7}, "attributes is missing"),
        ("attributes", {"image_id": 7, "attributes": [{}]}, "object_id is missing"),
        (
            "attributes",
            {"image_id": 7, "attributes": [{"object_id": 71, "attributes": "red"}]},
            "attributes: expected a list",
        ),
        ("image_data", {"image_id": 7, "width": 100}, "height is missing"),
        ("image_data", {"image_id": 7, "width": 100, "height": -1}, "expected a positive"),
    ],
)
def test_attributes_and_sizes_that_cannot_be_used(
    tmp_path: Path, name: str, entry: dict, message: str
) -> None:
    write(tmp_path, "scene_graphs", GRAPHS)
    write(tmp_path, name, [entry])
    with pytest.warns(UserWarning, match=rf"left out: '{name}.json \[0\]'; .*{message}"):
        data = open_dataset(f"visual-genome:{tmp_path}", "train")
    assert data.images[0].attributes == []
    assert data.images[0].size == (110, 96)
