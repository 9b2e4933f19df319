import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch_geometric.data import Batch, HeteroData

from pyg_sgm.data import GraphCollection, Ragged, Vocabularies, Vocabulary
from pyg_sgm.data.storage import FORMAT
from tests.helpers.graphs import VOCABULARIES, images, same, texts


@pytest.fixture(params=[images, texts])
def graphs(request: pytest.FixtureRequest) -> list[HeteroData]:
    return request.param()


def test_items_are_the_graphs(graphs: list[HeteroData]) -> None:
    collection = GraphCollection.from_graphs(graphs)
    assert len(collection) == 5
    for i, graph in enumerate(graphs):
        assert same(collection[i], graph)
        assert collection[i].id == graph.id
    assert collection[-1].id == graphs[-1].id
    with pytest.raises(IndexError):
        collection[5]


@pytest.mark.parametrize("index", [[3, 0, 0, 4], [1], [1, 1], [2, 1, 0]])
def test_batch_is_the_batch_of_pyg(graphs: list[HeteroData], index: list[int]) -> None:
    ours = GraphCollection.from_graphs(graphs).batch(torch.tensor(index))
    theirs = Batch.from_data_list([graphs[i] for i in index])
    assert ours.num_graphs == len(index)
    assert ours.id == [graphs[i].id for i in index]
    for node in theirs.node_types:
        for name, value in theirs[node].items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(ours[node][name], value), (node, name)
        assert ours[node].num_nodes == theirs[node].num_nodes
    for edge in theirs.edge_types:
        assert torch.equal(ours[edge].edge_index, theirs[edge].edge_index)


def test_batch_of_all_and_of_none(graphs: list[HeteroData]) -> None:
    collection = GraphCollection.from_graphs(graphs)
    assert collection.batch().num_graphs == 5
    empty = collection.batch([])
    assert empty.num_graphs == 0
    assert empty["object"].ptr.tolist() == [0]
    assert empty["object", "subject_of", "relation"].edge_index.shape == (2, 0)


def test_select_shares_storage(graphs: list[HeteroData]) -> None:
    collection = GraphCollection.from_graphs(graphs)
    part = collection.select([4, 0]).select(torch.tensor([1, 0, 1]))
    assert part.ids == [graphs[i].id for i in (0, 4, 0)]
    assert same(part[1], graphs[4])
    field = ("object", "label")
    assert part.fields[field].rows is collection.fields[field].rows


def test_save_and_load(graphs: list[HeteroData], tmp_path: Path) -> None:
    collection = GraphCollection.from_graphs(graphs).select([4, 0, 1, 1])
    collection.save(tmp_path / "c.safetensors")
    loaded = GraphCollection.load(tmp_path / "c.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    assert loaded.ids == collection.ids
    for i in range(4):
        assert same(loaded[i], collection[i])
    assert getattr(loaded[0], "width", None) == getattr(collection[0], "width", None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_half_precision_are_loaded(dtype: torch.dtype, tmp_path: Path) -> None:
    graph = images()[0]
    graph["object"].x = torch.randn(graph["object"].num_nodes, 3).to(dtype)
    GraphCollection.from_graphs([graph]).save(tmp_path / "c.safetensors")
    loaded = GraphCollection.load(tmp_path / "c.safetensors")
    assert torch.equal(loaded[0]["object"].x, graph["object"].x.float())


def test_mixed_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match="image and text"):
        GraphCollection.from_graphs([images()[0], texts()[0]])
    with pytest.raises(ValueError, match="no graphs"):
        GraphCollection.from_graphs([])
    one, other = images()[:2]
    del other["object"].x
    with pytest.raises(ValueError, match=r"graph 1 \(image 1\): fields that only some.*object x"):
        GraphCollection.from_graphs([one, other])
    other = images()[3]
    other["object"].x = other["object"].x[:, :3]
    with pytest.raises(ValueError, match="width"):
        GraphCollection.from_graphs([one, other])
    other["object"].box = other["object"].box + 5
    with pytest.raises(ValueError, match="outside the image"):
        GraphCollection.from_graphs([one, other])


def test_cut_short_or_pickled_files(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    GraphCollection.from_graphs(images()).save(path)
    whole = path.read_bytes()
    bad = [b"", whole[:5], whole[:300], whole[:-10], pickle.dumps({"a": 1}), b"{}", b"\x00" * 100]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"c\.safetensors.*pickles are never read"):
            GraphCollection.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a graph collection"):
        GraphCollection.load(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("nodes/object", lambda t: t[:-1], "expected"),
        ("nodes/object", lambda t: t + 1, "expected 18 rows"),
        ("nodes/object", lambda t: t.float(), "expected counts"),
        ("rows/object/label", lambda t: t[:-1], "expected 13 rows"),
        ("rows/object/label", lambda t: t - 9, "outside the vocabulary"),
        ("rows/object/box", lambda t: t * 0, "empty"),
        ("rows/object/score", lambda t: t * float("nan"), "NaN"),
        ("rows/object,subject_of,relation/edge_index", lambda t: t + 9, "not there"),
        ("rows/relation,has_object,object/edge_index", lambda t: t.flip(1), "not there|one edge"),
        ("ids", lambda t: t[:-1], "lengths do not fit"),
        ("size/width", lambda t: t[:-1], "width"),
        ("id_lengths", None, "id_lengths is missing"),
        ("rows/object/label", None, "object.label is missing"),
    ],
)
def test_inconsistent_files(tmp_path: Path, key: str, change: object, message: str) -> None:
    path = tmp_path / "c.safetensors"
    GraphCollection.from_graphs(images()).save(path)
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    if change is None:
        del tensors[key]
    else:
        tensors[key] = change(tensors[key]).contiguous()  # type: ignore[operator]
    save_file(tensors, path, metadata=FORMAT)
    with pytest.raises(ValueError, match=message) as error:
        GraphCollection.load(path)
    assert "c.safetensors" in str(error.value)


def test_features_of_a_file_are_checked_when_read(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    collection = GraphCollection.from_graphs(images())
    x = collection.fields["object", "x"]
    rows = x.rows[torch.arange(13)].clone()
    rows[6, 2] = float("nan")
    collection.fields["object", "x"] = Ragged(rows, x.spans)
    collection.save(path)
    loaded = GraphCollection.load(path)
    assert loaded.batch([0, 1, 2])["object"].x.shape == (5, 5)
    with pytest.raises(ValueError, match=r"c\.safetensors: object\.x: NaN or infinity in row 6"):
        loaded.batch([0, 3])


class Recorder:
    """Rows that remember which were asked for."""

    def __init__(self) -> None:
        self.shape = (13, 2)
        self.asked: list[int] = []

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        self.asked.extend(index.tolist())
        return torch.zeros(len(index), 2)


def test_only_rows_of_the_batch_are_read() -> None:
    collection = GraphCollection.from_graphs(images())
    recorder = Recorder()
    spans = collection.fields["object", "x"].spans
    collection.fields["object", "x"] = Ragged(recorder, spans)
    collection.select([4, 2, 3]).batch([1])
    assert recorder.asked == [4]


def test_labels_outside_a_vocabulary_are_named() -> None:
    for graphs in (images(), texts()):
        collection = GraphCollection.from_graphs(graphs)
        assert collection.check(VOCABULARIES) is collection
    few = Vocabularies(VOCABULARIES.words, Vocabulary([]), VOCABULARIES.predicates, Vocabulary([]))
    with pytest.raises(ValueError, match=r"graph 1 \('image 3'\): object.label: .* has 1 words"):
        GraphCollection.from_graphs(images()).select([1, 3]).check(few)
    short = replace(VOCABULARIES, words=Vocabulary(["a", "dog"]))
    with pytest.raises(ValueError, match=r"graph 3 \('3'\): attribute.label: an index outside"):
        GraphCollection.from_graphs(texts()).check(short)


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    names = [os.fsdecode(b"caf\xe9.jpg"), "\ud800", "a\nb\u2028", "", "\u00fc"]
    collection = GraphCollection.from_graphs(images())
    collection.ids = names
    collection.save(tmp_path / "c.safetensors")
    assert GraphCollection.load(tmp_path / "c.safetensors").ids == names
