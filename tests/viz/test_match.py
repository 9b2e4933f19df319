import sys
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.data import ImageRecord, TextRecord, image_record, text_record
from pyg_sgm.models.explanation import Match
from pyg_sgm.retrieval import Explanation
from pyg_sgm.viz import draw_match

BOXES = [[0.1, 0.2, 0.4, 0.9], [0.5, 0.5, 0.9, 0.9]]


def explanation(
    words: int = 5, boxes: bool = True, size: tuple[float, float] | None = (640.0, 480.0)
) -> Explanation:
    image = image_record(["man", "horse"], BOXES if boxes else None, [(0, "riding", 1)])
    image = ImageRecord("1.jpg", image.objects, image.boxes, image.relations, size=size)
    caption = " ".join(f"word{i}" for i in range(words))
    text = text_record(caption, relations=[("man", "ride", "horse")])
    matches = [
        Match("object", "word", i, word, "object", i % 2, "man", 0.9 - 0.01 * i, 1 / words)
        for i, word in enumerate(text.words)
    ]
    relation = ("relation", 0, "man riding horse", 0.8, 1.0)
    matches.append(Match("relation", "triplet", 0, "man ride horse", *relation))  # type: ignore[arg-type]
    return Explanation(image, text, {"object": 0.7, "relation": 0.8}, matches)


def texts(figure: object) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]  # type: ignore[attr-defined]


def test_everything_is_named() -> None:
    shown = texts(draw_match(explanation()))
    assert {"man", "horse", "riding", "word0", "word4"} <= set(shown)
    assert "man ride horse  0.80" in shown


def test_predicates_of_a_pair_share_a_label_and_lines_are_few() -> None:
    match = explanation(words=40)
    image = ImageRecord("1", ["man", "<unk>"], np.array(BOXES), [(0, "on", 1), (1, "under", 0)])
    triplets = [
        Match("relation", "triplet", i, "a b c", "relation", i, "x", 0.8, 0.5) for i in (0, 1)
    ]
    words = [m for m in match.matches if m.text_kind == "word"]
    figure = draw_match(Explanation(image, match.text, {"object": 0.5}, words + triplets))
    assert texts(figure).count("on, under") == 1
    assert "bottom right" in texts(figure)  # where the region without a name is
    assert len(figure.axes[0].lines) == 12 + 2


def test_what_adds_nothing_has_no_line_and_what_has_no_name_no_label() -> None:
    match = explanation()
    relations = [(0, "<unk>", 1), (1, "under", 0)]
    image = ImageRecord("1", ["man", "horse"], np.array(BOXES), relations)
    of_words = [m for m in match.matches if m.text_kind == "word"]
    unnamed = Match("relation", "triplet", 0, "a b c", "relation", 0, "x", 0.8, 0.5, 0.6)
    nothing = Match("relation", "triplet", 1, "d e f", "relation", 1, "x", -0.002, 0.5, 0.001)
    assert unnamed.contribution == pytest.approx(0.3)

    def drawn(*triplets: Match) -> tuple[list[str], int]:
        matches = [*of_words, *triplets]
        figure = draw_match(Explanation(image, match.text, {"object": 0.5}, matches))
        arrows = [patch for patch in figure.axes[0].patches if "Arrow" in type(patch).__name__]
        assert len(figure.axes[0].lines) == len(of_words) + len(arrows)
        return texts(figure), len(arrows)

    shown, arrows = drawn(unnamed, nothing)
    assert arrows == 1
    assert {"a b c  0.80", "d e f  0.00"} <= set(shown)
    assert not {"<unk>", "under", ""} & set(shown)
    assert drawn(nothing)[1] == 0  # though it is the strongest of the triplets


def test_words_stay_in_the_picture() -> None:
    figure = draw_match(explanation(words=500))
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    assert all(low <= text.get_position()[0] <= high for text in axes.texts)
    assert "…" in texts(figure)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files(tmp_path: Path, suffix: str) -> None:
    draw_match(explanation(), tmp_path / f"match.{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"match.{suffix}"]


def test_pixels(tmp_path: Path) -> None:
    from matplotlib.image import imsave

    pixels = np.random.default_rng(0).random((30, 40, 3))
    imsave(tmp_path / "photo.png", pixels)
    for image in (pixels, tmp_path / "photo.png", str(tmp_path / "photo.png")):
        assert draw_match(explanation(), image=image).axes[0].images


def test_the_file_of_the_record(tmp_path: Path) -> None:
    from dataclasses import replace

    from matplotlib.image import imsave

    imsave(tmp_path / "photo.png", np.zeros((30, 40, 3)))
    match = explanation()
    match = replace(match, image=replace(match.image, file=tmp_path / "photo.png"))
    assert draw_match(match).axes[0].images[0].get_array().shape == (30, 40, 3)
    other = np.zeros((5, 5, 3))
    assert draw_match(match, image=other).axes[0].images[0].get_array().shape == (5, 5, 3)


def test_without_boxes_sizes_or_matches() -> None:
    draw_match(explanation(boxes=False, size=None))
    image = image_record([], np.zeros((0, 4)))
    text: TextRecord = text_record("")
    draw_match(Explanation(image, text, {"object": 0.0}, []))


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no image")
    with pytest.raises(ValueError, match=r"note.png: .*no image"):
        draw_match(explanation(), image=tmp_path / "note.png")
    with pytest.raises(FileNotFoundError):
        draw_match(explanation(), image=tmp_path / "none.png")
    with pytest.raises(ValueError, match="expected an array"):
        draw_match(explanation(), image=np.zeros(3))
    with pytest.raises(ValueError, match=r"match.wav: unknown format"):
        draw_match(explanation(), tmp_path / "match.wav")
    with pytest.raises(ValueError, match="there is no folder"):
        draw_match(explanation(), tmp_path / "none" / "match.png")


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[viz\]"):
        draw_match(explanation())
