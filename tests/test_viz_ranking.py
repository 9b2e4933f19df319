from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.cli import main
from pyg_sgm.data import ImageRecord, image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.retrieval import Answer, Answered, SceneGraphMatcher, answer_images, answer_texts
from pyg_sgm.training import Recipe
from pyg_sgm.viz import draw_answers

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
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    return matcher.fit(photos, recipe=Recipe(epochs=1), progress=False)


def test_texts(photos: SceneGraphDataset, matcher: SceneGraphMatcher) -> None:
    queries = [photos.texts[2], text_record("a blue dog", ["dog"], [("dog", "blue")])]
    first, second = answer_texts(matcher, photos, queries, k=4)
    scores = matcher.score(photos, queries)  # [num_images, 2]
    for answered, column in ((first, scores[:, 0]), (second, scores[:, 1])):
        assert [answer.rank for answer in answered.answers] == [1, 2, 3, 4]
        for answer in answered.answers:
            i = photos.image_ids.index(answer.record.id)
            assert answer.score == pytest.approx(float(column[i]), abs=1e-5)
            assert answer.rank == 1 + int((column > column[i]).sum())
    assert first.truth == 1 + int((scores[:, 0] > scores[1, 0]).sum())
    assert [answer.before for answer in first.answers] == [None] * 4
    assert second.truth is None  # no caption of the data
    for answer in second.answers:
        i = photos.image_ids.index(answer.record.id)
        assert answer.before == 1 + int((scores[:, 0] > scores[i, 0]).sum())


def test_images(photos: SceneGraphDataset, matcher: SceneGraphMatcher) -> None:
    (found,) = answer_images(matcher, photos, [3], k=12)
    assert found.query is photos.images[3]
    right = [answer.record for answer in found.answers if answer.right]
    assert {id(record) for record in right} == {id(photos.texts[6]), id(photos.texts[7])}
    assert found.truth == min(answer.rank for answer in found.answers if answer.right)


def strings(figure: object) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]  # type: ignore[attr-defined]


def test_a_sheet_of_texts(photos: SceneGraphDataset, tmp_path: Path) -> None:
    text = text_record("a man rides a dog", relations=[("man", "ride", "dog")])
    answers = [Answer(image, 1 + i, 0.5, False, 3 - i) for i, image in enumerate(photos.images)]
    answered = Answered(text, answers[:3], 9)
    figure = draw_answers([answered, answered], tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    shown = strings(figure)
    assert shown.count("a man rides a dog") == 2
    assert any("man ride dog" in line for line in shown)
    assert {"up from 3", "the same place", "down from 1", "its own image is at 9"} <= set(shown)
    photo = figure.axes[1]
    assert photo.images
    box = photo.get_position()
    width, height = figure.get_size_inches()
    assert box.width * width / (box.height * height) == pytest.approx(30 / 20)  # undistorted


def test_dollars_are_no_formulas(photos: SceneGraphDataset, tmp_path: Path) -> None:
    text = text_record(r"only $5_ and $\frac$")
    answered = Answered(text, [Answer(photos.images[0], 1, 0.5, False)], None)
    assert text.caption in strings(draw_answers([answered], tmp_path / "sheet.png"))


def test_photos_wrap(photos: SceneGraphDataset) -> None:
    answers = [Answer(image, 1 + i, 0.5, False) for i, image in enumerate(photos.images)]
    figure = draw_answers([Answered(photos.texts[0], answers, None)])
    first, *_, sixth = (axes.get_position() for axes in figure.axes[1:])
    assert sixth.y1 < first.y0
    assert sixth.y0 > 0


def test_a_sheet_of_images(photos: SceneGraphDataset) -> None:
    answers = [Answer(text, 1 + i, 0.5, i == 2) for i, text in enumerate(photos.texts[:4])]
    shown = strings(draw_answers([Answered(photos.images[0], answers, 3)]))
    assert {"a dog", "this cat is here", "3   0.500"} <= set(shown)


def test_hard_cases(tmp_path: Path) -> None:
    bare = ImageRecord("x" * 60, [])
    long = text_record(" ".join(["word"] * 300))
    empty = text_record("")
    draw_answers([Answered(long, [Answer(bare, 1, 0.0, True)], 1), Answered(empty, [], None)])
    draw_answers([Answered(bare, [Answer(long, 1, 0.0, True)], 1), Answered(bare, [], None)])
    with pytest.raises(ValueError, match="no query"):
        draw_answers([])
    (tmp_path / "note.jpg").write_text("no image")
    broken = ImageRecord("7", [], file=tmp_path / "note.jpg")
    with pytest.raises(ValueError, match=r"note.jpg"):
        draw_answers([Answered(empty, [Answer(broken, 1, 0.0, True)], 1)])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"
    small = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "1"]
    run, sheet = tmp_path / "run", tmp_path / "sheet.png"
    main(["train", "sgm", "--data", data, "--out", str(run), *small])
    capsys.readouterr()
    command = ["rank", str(run), "--data", data]
    texts = ["--text", "a dog chasing a cat", "--text", "a cat chasing a dog"]
    main([*command, *texts, "--top", "3", "--out", str(sheet)])
    shown = capsys.readouterr().out
    assert "dog chase cat" in shown
    assert "cat chase dog" in shown
    assert "first text" in shown
    assert sheet.read_bytes().startswith(b"\x89PNG")
    main([*command, "--image", "test-000003", "--top", "24"])
    assert capsys.readouterr().out.count("* ") == 2
    for wrong, message in (
        ([], "give --text, or --image"),
        (["--text", "a", "--image", "b"], "give --text, or --image"),
        (["--image", "b"], "no 'b' among 12 images"),
        (["--text", "a", "--top", "0"], "--top"),
    ):
        with pytest.raises(SystemExit):
            main([*command, *wrong])
        assert message in capsys.readouterr().err
