import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.cli import main
from pyg_sgm.cli._app import console
from pyg_sgm.cli.search import _table
from pyg_sgm.data import ImageRecord, image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.retrieval import (
    Candidate,
    SceneGraphMatcher,
    search_images,
    search_similar,
    search_texts,
)
from pyg_sgm.training import Recipe
from pyg_sgm.viz import draw_found_images, draw_found_texts

WORDS = ("dog", "cat", "horse", "man", "tree", "car")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> SceneGraphDataset:
    from matplotlib.image import imsave

    folder = tmp_path_factory.mktemp("photos")
    images, texts = [], []
    for i, word in enumerate(WORDS):
        file = folder / f"{i}.png"
        imsave(file, np.random.default_rng(i).random((20, 30 - 4 * i, 3)))
        images.append(image_record([word], [[0, 0, 0.5, 1]], id=file.name, file=file))
        texts += [text_record(f"a {word}", [word]), text_record(f"this {word} is here", [word])]
    return SceneGraphDataset(images, texts, [i // 2 for i in range(len(texts))])


@pytest.fixture(scope="module")
def matcher(photos: SceneGraphDataset) -> SceneGraphMatcher:
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6, normalize=True)
    return matcher.fit(photos, recipe=Recipe(epochs=1), progress=False)


def test_texts(photos: SceneGraphDataset, matcher: SceneGraphMatcher) -> None:
    queries = [photos.texts[2], text_record("a blue dog", ["dog"], [("dog", "blue")])]
    first, second = search_images(matcher, queries, photos, k=4)
    scores = matcher.score(photos, queries)  # [num_images, 2]
    for found, column in ((first, scores[:, 0]), (second, scores[:, 1])):
        assert [one.rank for one in found[:4]] == [1, 2, 3, 4]
        for one in found:
            assert one.id == photos.image_ids[one.index]
            assert one.score == float(column[one.index])
            assert one.rank == 1 + int((column > one.score).sum())
    # Image 1 is that of the first text: it is there, whatever its place.
    assert [one.index for one in first if one.relevant] == [1]
    assert len(first) == (4 if first[-1].rank == 4 else 5)
    assert {one.previous_rank for one in first} == {None}
    assert {one.relevant for one in second} == {None}  # no caption of the data
    for one in second:
        assert one.previous_rank == 1 + int((scores[:, 0] > scores[one.index, 0]).sum())


def test_images(photos: SceneGraphDataset, matcher: SceneGraphMatcher) -> None:
    (found,) = search_texts(matcher, [3], photos, k=12)
    assert {one.index for one in found if one.relevant} == {6, 7}
    (found,) = search_texts(matcher, [3], photos, k=1)
    scores = matcher.score(photos.select_images([3]), photos)[0]
    assert found[-1].relevant
    assert found[-1].rank == 1 + int((scores > scores[6:8].max()).sum())


def test_similar_images(photos: SceneGraphDataset, matcher: SceneGraphMatcher) -> None:
    other = image_record(["cat"], [[0, 0, 0.5, 1]], id="elsewhere.png")
    known, unknown = search_similar(matcher, [photos.images[1], other], photos, k=3)
    assert 1 not in {one.index for one in known}
    assert [one.rank for one in known] == [1, 2, 3]
    assert unknown[0].index == 1  # the same graph
    scores = [one.score for one in unknown]
    assert scores == sorted(scores, reverse=True)


def strings(figure: object) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]  # type: ignore[attr-defined]


def candidates(ids: Sequence[str], **more: object) -> list[Candidate]:
    return [Candidate(i, id, 0.5, 1 + i, **more) for i, id in enumerate(ids)]  # type: ignore[arg-type]


def test_a_sheet_of_texts(photos: SceneGraphDataset, tmp_path: Path) -> None:
    text = text_record("a man rides a dog", relations=[("man", "ride", "dog")])
    found = [Candidate(i, f"{i}.png", 0.5, 1 + i, False, 3 - i) for i in range(3)]
    found.append(Candidate(4, "4.png", 0.1, 9, True))
    figure = draw_found_images([text, text], [found, found], photos, tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    shown = strings(figure)
    assert shown.count("a man rides a dog") == 2
    assert any("man ride dog" in line for line in shown)
    assert {"up from 3", "the same place", "down from 1"} <= set(shown)
    assert {"0.png", "1.png", "2.png", "its own image 4.png is at 9"} <= set(shown)
    photo = figure.axes[1]
    assert photo.images
    box = photo.get_position()
    width, height = figure.get_size_inches()
    assert box.width * width / (box.height * height) == pytest.approx(30 / 20)  # undistorted


def test_long_names_keep_their_ends(photos: SceneGraphDataset) -> None:
    found = candidates(["holiday/2019/summer/IMG_20190714_123456.png"])
    shown = strings(draw_found_images([photos.texts[0]], [found], photos))
    assert "holiday/2…0190714_123456.png" in shown


def test_a_sheet_of_similar_images(photos: SceneGraphDataset) -> None:
    figure = draw_found_images([photos.images[5]], [candidates(["0.png", "1.png"])], photos)
    shown = strings(figure)
    assert {"the query", "0.png", "1.png"} <= set(shown)
    assert shown.count("5.png") == 2  # above the row, and below the photo
    assert len(figure.axes) == 4


def test_dollars_are_no_formulas(photos: SceneGraphDataset, tmp_path: Path) -> None:
    text = text_record(r"only $5_ and $\frac$")
    figure = draw_found_images([text], [candidates(["0.png"])], photos, tmp_path / "sheet.png")
    assert text.caption in strings(figure)


def test_photos_wrap(photos: SceneGraphDataset) -> None:
    figure = draw_found_images([photos.texts[0]], [candidates(photos.image_ids)], photos)
    first, *_, sixth = (axes.get_position() for axes in figure.axes[1:])
    assert sixth.y1 < first.y0
    assert sixth.y0 > 0


def test_a_sheet_of_images(photos: SceneGraphDataset) -> None:
    found = candidates(photos.text_ids[:4])
    shown = strings(draw_found_texts([photos.images[0]], [found], photos))
    assert {"a dog", "this cat is here", "3   0.500", "0.png"} <= set(shown)


def test_hard_cases(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("no image")
    images = [ImageRecord("x" * 60, []), ImageRecord("7", [], file=tmp_path / "note.jpg")]
    long, empty = text_record(" ".join(["word"] * 300)), text_record("")
    data = SceneGraphDataset(images, [long], [0])
    draw_found_images([long, empty], [candidates(["x" * 60]), []], data)
    draw_found_texts([images[0]] * 2, [candidates([""]), []], data)
    for draw in (draw_found_images, draw_found_texts):
        with pytest.raises(ValueError, match="no query"):
            draw([], [], data)
    with pytest.raises(ValueError, match=r"note.jpg"):
        draw_found_images([empty], [[Candidate(1, "7", 0.0, 1)]], data)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"
    small = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "1"]
    run, sheet = tmp_path / "run", tmp_path / "sheet.png"
    main(["train", "sgm", "--data", data, "--out", str(run), *small])
    capsys.readouterr()
    command = ["search", str(run), "--data", data]
    texts = ["--text", "a dog chasing a cat", "--text", "a cat chasing a dog"]
    main([*command, *texts, "--top", "3", "--out", str(sheet)])
    shown = capsys.readouterr().out
    assert "dog chase cat" in shown
    assert "cat chase dog" in shown
    assert "first text" in shown
    assert "Searched 12 images of the split test; the model was trained on none of these" in shown
    assert sheet.read_bytes().startswith(b"\x89PNG")
    main([*command, "--image", "test-000003", "--top", "24"])
    assert capsys.readouterr().out.count("* ") == 2
    main([*command, "--similar-to", "test-000003", "--top", "2", "--out", str(sheet)])
    assert capsys.readouterr().out.count("test-0000") == 3
    for wrong, message in (
        ([], "give --text, --image or --similar-to"),
        (["--text", "a", "--image", "b"], "only one of them"),
        (["--image", "b"], "no 'b' among 12 images"),
        (["--similar-to", "b"], "'b' is no file, and no image of the data"),
        (["--text", "a", "--top", "0"], "--top"),
    ):
        with pytest.raises(SystemExit):
            main([*command, *wrong])
        assert message in capsys.readouterr().err

    main([*command, *texts, "--json", "-"])
    found = json.loads(capsys.readouterr().out)
    assert found["searched"] == {"images": 12, "split": "test", "trained_on": 0}
    assert [one["text"] for one in found["queries"]] == texts[1::2]
    assert found["queries"][0]["graph"] == ["dog", "cat", "dog chase cat"]
    assert [one["rank"] for one in found["queries"][1]["answers"]] == [1, 2, 3, 4, 5]
    main([*command, "--image", "test-000003", "--json", str(tmp_path / "found.json")])
    (query,) = json.loads((tmp_path / "found.json").read_text())["queries"]
    assert query["image"] == "test-000003"
    assert query["answers"][0].keys() >= {"caption", "score", "rank", "relevant", "id", "index"}


def test_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a very long name of a photo, " * 12 + "1.jpg"
    console.print(_table(candidates([name]), None))
    assert name in capsys.readouterr().out


def test_names_that_are_not_utf8(
    photos: SceneGraphDataset, matcher: SceneGraphMatcher, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    images = [*photos.images[:5], replace(photos.images[5], id=odd)]
    dataset = SceneGraphDataset(images, photos.texts, photos.image_of_text)
    found = search_images(matcher, [dataset.texts[0]], dataset, k=6)
    assert odd in {one.id for one in found[0]}
    figure = draw_found_images([dataset.texts[0]], found, dataset, tmp_path / "sheet.png")
    shown = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert "caf\\udce9.png" in shown
    draw_found_texts([images[5]], search_texts(matcher, [5], dataset, k=2), dataset)
    console.print(_table(found[0], None))
