"""Attention of HOAD in words and pictures."""

from pathlib import Path

import pytest
import torch

from pyg_sgm.cli import main
from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models.explanation import graph_nodes
from pyg_sgm.retrieval import Attention, SceneGraphMatcher
from pyg_sgm.training import Recipe

TINY = {"dim": 8, "hidden": 8, "embed": 8, "num_perspectives": 4}
WORLD = "scene-world:num_images=8,captions_per_image=2,feature_dim=0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = SceneWorld("train", num_images=8, captions_per_image=2, feature_dim=0)
    folder = tmp_path_factory.mktemp("run")
    matcher = SceneGraphMatcher("hoad", **TINY)
    matcher.fit(world, recipe=Recipe(epochs=1), progress=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("node_types", ["o", "or", "ora"])
def test_every_node_has_its_name(node_types: str) -> None:
    world = SceneWorld("train", num_images=6, captions_per_image=2, feature_dim=0)
    matcher = SceneGraphMatcher("hoad", node_types=node_types, **TINY)
    matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
    for j, i in enumerate(world.image_of_text.tolist()):
        image, text = world.images[i], world.texts[j]
        attention = matcher.explain(image, text)
        assert isinstance(attention, Attention)
        expected = [*image.objects]
        if "r" in node_types:
            expected += [
                f"{image.objects[s]} {p} {image.objects[o]}" for s, p, o in image.relations
            ]
        names = [node.name for node in attention.image_nodes]
        assert names[: len(expected)] == expected
        assert attention.weights.shape == (len(attention.text_nodes), len(names))
        assert attention.image_weights.shape == (len(names),)
        described = {i for i, _ in image.attributes} if "a" in node_types else set()
        assert len(names) == len(expected) + len(described)
        score = matcher.score([image], [text])
        assert attention.score == pytest.approx(float(score), abs=1e-6)


def test_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    world = SceneWorld("test", num_images=8, captions_per_image=2, feature_dim=0)
    picture = tmp_path / "attention.png"
    data = ["--data", WORLD, "--split", "test"]
    pair = ["--image", world.image_ids[0], "--text", world.captions[0]]
    main(["explain", str(run), *data, *pair, "--out", str(picture)])
    assert picture.stat().st_size > 1000
    assert "distraction" in capsys.readouterr().out
    figures = tmp_path / "metrics.json"
    main(["evaluate", str(run), *data, "--rerank", "distraction", "--json", str(figures)])
    assert capsys.readouterr().out.count("rsum") == 2
    assert '"first"' in figures.read_text()


def test_pictures(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from pyg_sgm.viz import draw_attention, draw_reranking

    matcher = SceneGraphMatcher.from_pretrained(run)
    world = SceneWorld("test", num_images=2, captions_per_image=1, feature_dim=0)
    attention = matcher.explain(world.images[0], world.texts[0])
    assert isinstance(attention, Attention)
    figure = draw_attention(attention, tmp_path / "a.svg", torch.rand(48, 64, 3).numpy())
    kinds = {node.kind for node in attention.image_nodes}
    assert len(figure.axes) == len(kinds) + 1
    assert len(figure.axes[-1].patches) == min(24, len(attention.image_nodes))
    nothing = matcher.explain(world.images[0], "nothing that is known")
    assert isinstance(nothing, Attention)
    assert nothing.image_distraction_vector.sum() == 0
    draw_attention(nothing, tmp_path / "nothing.png")

    before, after = [("a", 0.5), ("b", 0.4)], [("b", 0.6), ("a", 0.5)]
    draw_reranking("a query", before, after, ["b"], tmp_path / "rank.png")
    photos = {"a": torch.rand(30, 60, 3).numpy(), "b": torch.rand(60, 30, 3).numpy()}
    (axes,) = draw_reranking("a query", before, after, ["b"], photos=photos).axes
    assert len(axes.images) == 4
    for photo in axes.images:  # undistorted, within their row
        height, width = photo.get_array().shape[:2]
        left, right, bottom, top = photo.get_extent()
        (x0, y0), (x1, y1) = axes.transData.transform([(left, bottom), (right, top)])
        assert (x1 - x0) / (y1 - y0) == pytest.approx(width / height)
        assert top - bottom < 1
    with pytest.raises(ValueError, match="different references"):
        draw_reranking("a query", before, [("c", 0.5), ("b", 0.4)], [])
    with pytest.raises(ValueError, match="unknown format"):
        draw_attention(attention, tmp_path / "a.xyz")


def test_each_kind_is_colored_on_its_own_scale() -> None:
    colormaps = pytest.importorskip("matplotlib").colormaps
    from pyg_sgm.viz import draw_attention

    image = image_record(
        ["man", "horse"], [[0.1, 0.1, 0.3, 0.3], [0.4, 0.4, 0.6, 0.6]], [(0, "riding", 1)]
    )
    text = text_record("a man", objects=["man"])
    votes = torch.tensor([[0.9, 0.3, 0.1]])  # of both objects and of the relation
    even = torch.full((3,), 1 / 3)
    nodes = graph_nodes(image), graph_nodes(text)
    figure = draw_attention(Attention(image, text, *nodes, votes, even, torch.ones(1), 0.5))
    filled = [
        [patch.get_facecolor()[:3] for patch in axes.patches if patch.get_fill()]
        for axes in figure.axes[:2]
    ]
    strongest = colormaps["YlOrRd"](1.0)[:3]
    assert filled[0] == [colormaps["YlOrRd"](1 / 3)[:3], strongest]
    assert filled[1] == [strongest]
