import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

Image = pytest.importorskip("PIL.Image")

from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.data import image_record, text_record  # noqa: E402
from pyg_sgm.datasets import ImageFolder, SceneGraphDataset, SceneWorld  # noqa: E402
from pyg_sgm.io import to_path  # noqa: E402
from pyg_sgm.retrieval import (  # noqa: E402
    SceneGraphMatcher,
    with_graphs,
    with_known_images,
    with_parses,
)
from pyg_sgm.retrieval.prepare import extractor_of  # noqa: E402
from pyg_sgm.training import Recipe  # noqa: E402
from pyg_sgm.vision import Extractor, RegionFeatures, open_detector  # noqa: E402
from pyg_sgm.vision.description import open_described  # noqa: E402
from pyg_sgm.vision.store import read_header  # noqa: E402
from tests.helpers.stores import put_files  # noqa: E402

NAMES = [f"{i}.png" for i in range(8)]
SMALL = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "1"]


def open_small(detector: str = "grid") -> Extractor:
    """An extractor with a network that is there without any package."""
    torch.manual_seed(0)
    features = RegionFeatures(nn.Conv2d(3, 5, 8, stride=8), size=32)
    return Extractor(open_detector(detector), features, options={"detector": detector})


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("pyg_sgm.retrieval.prepare", "pyg_sgm.vision.description", "pyg_sgm.vision"):
        monkeypatch.setattr(f"{place}.open_extractor", open_small)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in NAMES:
        pixels = random.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    rows = "".join(f"{name},A dog of {name}\n{name},Snow .\n" for name in NAMES)
    (tmp_path / "captions.csv").write_text("image,caption\n" + rows)
    return folder


@pytest.fixture
def data(photos: Path) -> ImageFolder:
    return ImageFolder(photos, photos.parent / "captions.csv")


def detections(path: Path, label: str) -> str:
    """Name of a detector from a file."""
    row = {"boxes": [[0, 0, 0.5, 0.5]], "labels": [label], "normalised": True}
    path.write_text("".join(json.dumps({"image": name, **row}) + "\n" for name in NAMES))
    return f"grid+file:{path}"


def test_in_memory_and_in_a_folder(data: ImageFolder, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    in_memory = with_graphs(data, progress=lambda *counts: done.append(counts))
    in_folder = with_graphs(data, tmp_path / "graphs.sg")
    assert done[-1] == (8, 8)
    for made in (in_memory, in_folder):
        assert made.image_ids == data.image_ids
        assert made.images[3].file == data.images[3].file
        assert made.images[3].size == (30, 20)
        assert made.captions == data.captions
        assert made.image_of_text.equal(data.image_of_text)
        assert with_graphs(made) is made
    a, b = (d.encode(d.vocabularies()).images.batch([5, 2]) for d in (in_memory, in_folder))
    assert a["object"].x.shape == (20, 5)
    assert a["object"].x.equal(b["object"].x)
    torch.testing.assert_close(a["object"].box, b["object"].box)


def test_graphs_are_made_once(data: ImageFolder, tmp_path: Path) -> None:
    folder = tmp_path / "graphs.sg"
    with_graphs(data.select_images([4, 1]), folder)
    shards = {path: path.stat().st_mtime_ns for path in folder.glob("0*")}
    assert with_graphs(data.select_images([1]), folder).image_ids == [NAMES[1]]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("0*")} == shards
    assert with_graphs(data, folder).image_ids == NAMES


def test_other_files_are_left_alone(data: ImageFolder, photos: Path) -> None:
    with pytest.raises(ValueError, match="photos holds files that are no graphs"):
        with_graphs(data, photos)
    assert len(list(photos.iterdir())) == len(NAMES)


def test_graphs_that_are_there_stay() -> None:
    world = SceneWorld("train", num_images=2, captions_per_image=1)
    assert with_graphs(world) is world


@pytest.mark.parametrize("kept", [True, False])
def test_broken_images_keep_their_places(data: ImageFolder, tmp_path: Path, kept: bool) -> None:
    (tmp_path / "photos" / "3.png").write_text("no image")
    (tmp_path / "photos" / "5.png").write_bytes(b"")
    folder = tmp_path / "graphs.sg" if kept else None
    with pytest.warns(
        UserWarning, match=r"2 of 8 images cannot be read .*'3.png'.*'5.png'"
    ) as told:
        made = with_graphs(data, folder)
    assert ("skipped.jsonl" in str(told[0].message)) == kept
    assert made.image_ids == NAMES
    assert made.captions == data.captions
    assert [image.id for image in made.images if not image.has_graph] == ["3.png", "5.png"]
    assert with_graphs(made) is made  # said once
    known = with_known_images(made)
    assert known.image_ids == [name for name in NAMES if name[0] not in "35"]
    assert not any("3.png" in caption for caption in known.captions)
    assert len(known.captions) == 12
    with pytest.raises(ValueError, match=r"none of 2 images can be read: .*3.png: cut short"):
        with_graphs(data.select_images([3, 5]), folder)
    with pytest.raises(ValueError, match=r"3.png: cut short or no image"):
        with_graphs(data.select_images([3]), folder)


def test_scores_are_those_of_what_was_passed_in(data: ImageFolder, tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(data, recipe=Recipe(epochs=1), progress=False)
    files = [image.file for image in data.images]
    texts = ["a dog runs", "snow"]
    whole = matcher.score(data, texts)
    (tmp_path / "photos" / "3.png").write_text("no image")
    broken = torch.tensor([i == 3 for i in range(8)])
    for images in (data, files):
        with pytest.warns(UserWarning, match="1 of 8 images cannot be read"):
            encoded = matcher.encode_images(images)
        scores = matcher.score(encoded, texts)
        assert scores.shape == (8, 2)
        torch.testing.assert_close(scores[~broken], whole[~broken])
        assert (scores[3] == -torch.inf).all()
        found = matcher.search_images(texts[0], encoded, k=8)
        assert sorted(one.index for one in found) == [0, 1, 2, 4, 5, 6, 7]
        for one in found:
            assert one.score == pytest.approx(float(scores[one.index, 0]), abs=1e-5)
        assert all(Path(one.id).name == NAMES[one.index] for one in found)
        pairs = matcher.score_pairs(encoded, [texts[0]] * 8, torch.arange(8))
        torch.testing.assert_close(pairs, scores[:, 0])
        for wrong in ([0], [0] * 7 + [8], [-1] * 8, [0.5] * 8):
            with pytest.raises(ValueError, match="image_of_text: expected"):
                matcher.score_pairs(encoded, [texts[0]] * 8, torch.tensor(wrong))
    with pytest.warns(UserWarning, match="1 of 8"):
        metrics = matcher.evaluate(data)
    assert metrics == matcher.evaluate(data.select_images([0, 1, 2, 4, 5, 6, 7]))
    with pytest.warns(UserWarning, match="1 of 8"):
        assert SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6).fit(
            data, data, Recipe(epochs=1), progress=False
        )
    with pytest.raises(ValueError, match=r"3.png: cut short"):
        matcher.search_texts(files[3], texts)
    with pytest.raises(ValueError, match=r"3.png: cut short"):
        matcher.explain(files[3], texts[0])


def test_one_known_graph_among_files(data: ImageFolder) -> None:
    """Record by record, for images and for texts; an empty graph is known."""
    detected = with_graphs(data)
    known = image_record(["dog"], [[0, 0, 0.5, 1]], id="2.png", file=data.images[2].file)
    empty = image_record([], [], id="6.png", file=data.images[6].file)
    images = [*data.images]
    images[2], images[6] = known, empty
    texts = [*data.texts]
    texts[4] = text_record(texts[4].caption, objects=["zebra"], id=texts[4].id)
    texts[5] = text_record(texts[5].caption, objects=[], id=texts[5].id)
    mixed = SceneGraphDataset(images, texts, data.image_of_text)
    made = with_parses(with_graphs(mixed))
    assert made.images[2].objects == ["dog"]
    assert list(made.images[6].objects) == []
    for i in (0, 1, 3, 4, 5, 7):
        assert len(made.images[i].objects) == 10  # of the grid
    assert list(made.texts[4].objects) == ["zebra"]
    assert list(made.texts[5].objects) == []
    assert list(made.texts[6].objects) == ["dog"]
    a, b = (each.encode(detected.vocabularies()).images for each in (made, detected))
    for i in (0, 1, 3, 4, 5, 7):
        assert a.batch([i])["object"].x.equal(b.batch([i])["object"].x)
    whole = b.batch([2])["object"]
    features = made.encode(made.vocabularies()).images.batch([2])["object"].x
    assert features.shape == (1, whole.x.size(1))  # taken at the box that was given
    assert torch.isfinite(features).all()


def test_graphs_that_cannot_have_features(data: ImageFolder) -> None:
    for image, lacks in (
        (image_record(["dog"], [[0, 0, 1, 1]], id="2.png"), "without file"),
        (image_record(["dog"], id="2.png", file=data.images[2].file), "without boxes"),
    ):
        images = [*data.images]
        images[2] = image
        with pytest.raises(ValueError, match=f"image '2.png': .*{lacks}"):
            with_graphs(SceneGraphDataset(images, data.texts, data.image_of_text))


def test_files_that_cannot_be_read_beside_graphs(data: ImageFolder, tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(data, recipe=Recipe(epochs=1), progress=False)
    (tmp_path / "bad.png").touch()
    bad = image_record(id="bad.png", file=tmp_path / "bad.png")
    known = with_graphs(data)
    alone = matcher.score(known.select_images([0]), ["a dog"])
    with pytest.warns(UserWarning, match="1 of 2 images cannot be read"):
        scores = matcher.score([known.images[0], bad], ["a dog"])
    torch.testing.assert_close(scores, torch.cat([alone, torch.tensor([[-torch.inf]])]))
    mixed = known.replace(images=[*known.images[:7], replace(bad, id=known.images[7].id)])
    with pytest.warns(UserWarning, match="1 of 8 images cannot be read"):
        assert matcher.score(mixed, ["a dog"]).isinf().flatten().tolist() == [False] * 7 + [True]


def test_pixels_in_memory(data: ImageFolder) -> None:
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(data, recipe=Recipe(epochs=1), progress=False)
    files = [image.file for image in data.images if image.file is not None]
    opened = [Image.open(file) for file in files]
    arrays = [np.asarray(image) for image in opened]
    expected = matcher.score(files, ["a dog"])
    for images in (opened, arrays, iter(arrays), [files[0], opened[1], *arrays[2:]]):
        assert torch.equal(matcher.score(images, ["a dog"]), expected)
    twice = matcher.score([files[1], files[0], files[1]], ["a dog"])
    torch.testing.assert_close(twice, expected[[1, 0, 1]])
    assert matcher.encode_images(arrays[:2]).ids == ["image 0", "image 1"]
    assert matcher.encode_images(opened[:1]).ids == [str(files[0])]
    # Other images of the same name.
    changed = Image.open(files[0])
    changed.paste((0, 0, 0), (0, 0, 15, 20))
    blank = matcher.score(changed, ["a dog"])
    expected_two = torch.cat([expected[:1], blank])
    torch.testing.assert_close(matcher.score([opened[0], changed], ["a dog"]), expected_two)
    nameless = [image_record(file=file) for file in files[:2]]
    torch.testing.assert_close(matcher.score(nameless, ["a dog"]), expected[:2])
    (best,) = matcher.search_texts(arrays[3], ["a dog"])
    assert best.score == pytest.approx(float(expected[3, 0]))
    (best,) = matcher.search_similar(opened[3], files, k=1)
    assert matcher.explain(arrays[3], "a dog").image.file is None
    with pytest.raises(ValueError, match="image 0: expected an array uint8"):
        matcher.score(arrays[0] / 255, ["a dog"])


def test_the_extractor_of_a_folder_is_made_again(data: ImageFolder, tmp_path: Path) -> None:
    file, folder = tmp_path / "found.jsonl", tmp_path / "graphs.sg"
    detector = detections(file, "dog")
    first = with_graphs(data.select_images([0, 1]), folder, open_small(detector))
    assert first.images[0].objects[-1] == "dog"
    assert "dog" in first.labels.objects
    some = data.select_images([0, 1])
    file.rename(tmp_path / "moved.jsonl")  # nothing is opened for graphs that are there
    assert with_graphs(some, folder).images[1].objects[-1] == "dog"
    # A file of somebody else may name any detector: it is given again.
    with pytest.raises(ValueError, match=r"graphs.sg: .*found.jsonl.*give it again \(--detector"):
        with_graphs(data, folder)
    made = read_header(folder)
    with pytest.raises(FileNotFoundError, match=r"found.jsonl"):
        open_described(made, f"{folder}", {"detector": detector})
    moved = open_described(made, f"{folder}", {"detector": f"grid+file:{tmp_path / 'moved.jsonl'}"})
    assert with_graphs(data, folder, moved).images[7].objects[-1] == "dog"
    with pytest.raises(ValueError, match=r"graphs.sg: the graphs were made with detector"):
        with_graphs(data, folder, open_small())
    with_graphs(data, tmp_path / "grid.sg", open_small())
    (tmp_path / "grid.sg" / "000000.json").unlink()
    assert len(with_graphs(data, tmp_path / "grid.sg").images[7].objects) == 10  # shipped


def test_open_described(tmp_path: Path) -> None:
    made = {"key": open_small().fingerprint, "options": {"detector": "grid"}}
    assert open_described(made, "here").fingerprint == made["key"]
    other = detections(tmp_path / "found.jsonl", "dog")
    with pytest.raises(ValueError, match="here: the graphs were made with detector 'grid 3', not"):
        open_described(made, "here", {"detector": other})
    for options, message in (
        (None, "an extractor of your own"),
        ({"detektor": "grid"}, "no options of an extractor"),
    ):
        with pytest.raises(ValueError, match=f"here: .*{message}"):
            open_described({**made, "options": options}, "here")


def test_a_matcher_remembers_its_extractor(data: ImageFolder, tmp_path: Path) -> None:
    run = tmp_path / "run"
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(data, recipe=Recipe(epochs=1), out=run, progress=False)
    opened = SceneGraphMatcher.from_pretrained(run)
    files = [image.file for image in data.images if image.file is not None]
    texts = ["a dog runs", "snow"]
    expected = matcher.score(with_graphs(data, run / "graphs.sg"), texts)
    for images in (data, files, [str(file) for file in files]):
        assert opened.score(images, texts).equal(expected)  # type: ignore[arg-type]
    assert opened.search_texts(files[2], texts)[0].score == pytest.approx(float(expected[2].max()))
    assert opened.explain(files[2], texts[0]).image.file == files[2]
    assert opened.evaluate(data) == matcher.evaluate(data)
    opened.save_pretrained(tmp_path / "copy")
    assert SceneGraphMatcher.from_pretrained(tmp_path / "copy").made_by == matcher.made_by

    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(ValueError, match=r"x.png: cut short or no image"):
        opened.score([tmp_path / "x.png"], texts)
    with pytest.raises(ValueError, match="the graphs were made with detector"):
        opened.extractor = open_small(detections(tmp_path / "found.jsonl", "dog"))
    world = SceneWorld("train", num_images=4, captions_per_image=1, feature_dim=0)
    opened.fit(world, epochs=1, progress=False)
    assert opened.made_by is None


def test_a_matcher_of_graphs_takes_no_files(photos: Path) -> None:
    world = SceneWorld("train", num_images=4, captions_per_image=1, feature_dim=0)
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
    assert matcher.made_by is None
    with pytest.raises(ValueError, match="trained on graphs that came without pixels"):
        matcher.score([photos / "1.png"], ["a dog"])


def test_commands(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, shared = tmp_path / "run", tmp_path / "shared.sg"
    file = tmp_path / "found.jsonl"
    detector = detections(file, "dog")
    words = ["--data", f"images:{photos}", "--captions", str(tmp_path / "captions.csv")]
    asked = ["--graphs", str(shared), "--detector", detector]
    main(["train", "sgm", *words, "--out", str(run), "--dev-every", "4", *asked, *SMALL])
    assert not (run / "graphs.sg").exists()
    assert json.loads((run / "run.json").read_text())["graphs"] == str(shared.resolve())
    main(["evaluate", str(run), *words, "--dev-every", "4"])
    assert "2 images, 4 texts" in capsys.readouterr().out
    main(["evaluate", str(run)])
    assert "2 images, 4 texts, held out in training" in capsys.readouterr().out
    main(["search", str(run), "--text", "a dog", "--top", "2"])
    main(["explain", str(run), *words, "--image", "2.png", "--text", "a dog"])

    capsys.readouterr()
    file.rename(tmp_path / "moved.jsonl")
    moved = f"grid+file:{tmp_path / 'moved.jsonl'}"
    main(["evaluate", str(run), *words])
    image = photos / "3.png"
    image.write_bytes(image.read_bytes() + b" ")  # so that its graph is made again
    for more, message in (
        (words, "found.jsonl', which is not opened because a file says so: give it again"),
        ([*words, "--detector", "grid"], "the graphs were made with detector"),
        (words[:2], "has no captions: give --captions"),
        (words[2:], "--captions without --data"),
    ):
        with pytest.raises(SystemExit):
            main(["evaluate", str(run), *more])
        assert message in capsys.readouterr().err
    main(["evaluate", str(run), *words, "--detector", moved])


def test_graphs_of_other_photos_stay_apart(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photos of another folder may have the same names as those of the training."""
    run, captions = tmp_path / "run", f"captions={tmp_path / 'captions.csv'}"
    data = f"images:{photos},{captions}"
    main(["train", "sgm", "--data", data, "--out", str(run), "--dev-every", "4", *SMALL])
    own = sorted(path.name for path in (run / "graphs.sg").iterdir())
    other = tmp_path / "other"
    other.mkdir()
    for name in NAMES[:3]:
        pixels = np.random.default_rng(7).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(other / name)
    capsys.readouterr()
    search = ["search", str(run), "--text", "a dog", "--top", "2"]
    for _ in range(2):
        main([*search, "--data", f"images:{other}"])
        assert "Searched 3 images of the split test; the model was trained on none of these" in (
            capsys.readouterr().out
        )
    assert sorted(path.name for path in (run / "graphs.sg").iterdir()) == own
    (apart,) = run.glob("graphs-*.sg")
    assert len(list(apart.glob("0*.json"))) == 1  # made once
    main(["search", str(run), "--similar-to", str(photos / "3.png"), "--top", "8"])
    shown = capsys.readouterr().out
    assert shown.count(".png") == 8  # the query, and the seven others
    for name in ([], ["--data", f"images:{photos}"], ["--data", data, "--split", "train"]):
        main([*search, *name])
        shown = capsys.readouterr().out
        assert "Searched 8 images" in shown
        assert "the model was trained on 6 of these" in shown
    assert len(list(run.glob("graphs-*.sg"))) == 1


def test_explain_a_file(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    data = f"images:{photos},captions={tmp_path / 'captions.csv'}"
    main(["train", "sgm", "--data", data, "--out", str(run), "--dev-every", "4", *SMALL])
    before = sorted(run.rglob("*"))
    file = tmp_path / "mine.png"
    (photos / "2.png").rename(file)
    shutil.rmtree(tmp_path / "photos")  # the data are not needed
    capsys.readouterr()
    explain = ["explain", str(run), "--image", str(file)]
    main([*explain, "--text", "a dog", "--text", "snow", "--json", "-"])
    first, second = json.loads(capsys.readouterr().out)
    scores = SceneGraphMatcher.from_pretrained(run).score([file], ["a dog", "snow"])[0]
    assert [first["score"], second["score"]] == pytest.approx(scores.tolist(), abs=1e-5)
    assert first["image"] == str(file)
    assert [match["text_name"] for match in first["matches"]][:2] == ["a", "dog"]
    assert sum(first["levels"].values()) == pytest.approx(first["score"])
    main([*explain, "--text", "a dog", "--text", "snow"])
    shown = capsys.readouterr().out
    assert str(file) in shown  # above the scores
    picture = tmp_path / "match.png"
    main([*explain, "--text", "a dog", "--out", str(picture)])
    assert picture.stat().st_size > 1000
    assert sorted(run.rglob("*")) == before  # nothing is kept of a photo
    with pytest.raises(SystemExit):
        main([*explain, "--text", "a", "--text", "b", "--out", str(picture)])
    assert "give one --text" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["vse", "hoad", "scan", "dvsa", "vsrn"])
def test_every_model_explains_what_it_can(
    model: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    small = ["--set", "dim=8", "--set", "embed=6", "--epochs", "1", "--dev-every", "0"]
    # Features of a network without training are large.
    small += ["--lr", "1e-6", *(["--set", "num_layers=1"] if model == "vsrn" else [])]
    data = f"images:{photos},captions={tmp_path / 'captions.csv'}"
    main(["train", model, "--data", data, "--out", str(run), *small])
    capsys.readouterr()
    pair = ["--image", str(photos / "1.png"), "--text", "a brown dog in the snow"]
    main(["explain", str(run), *pair, "--out", str(tmp_path / "it.png")])
    shown = capsys.readouterr().out
    assert "a brown dog in the snow" in shown
    assert "score" in shown
    whole = "compares graphs as wholes: nothing local to show" in shown
    assert whole == (model in ("vse", "vsrn"))
    assert (tmp_path / "it.png").stat().st_size > 1000
    main(["explain", str(run), *pair, "--json", "-"])
    (told,) = json.loads(capsys.readouterr().out)
    matcher = SceneGraphMatcher.from_pretrained(run)
    assert told["score"] == pytest.approx(float(matcher.score(pair[1], pair[3])), abs=1e-5)


def test_an_overwritten_run_has_graphs_of_its_own(photos: Path, tmp_path: Path) -> None:
    run, shared = tmp_path / "run", tmp_path / "shared.sg"
    data = ["--data", f"images:{photos},captions={tmp_path / 'captions.csv'}"]
    words = ["train", "sgm", *data, "--out", str(run), "--dev-every", "4", *SMALL]
    main([*words, "--graphs", str(shared)])
    main([*words, "--overwrite"])
    assert (run / "graphs.sg").is_dir()
    assert "graphs" not in json.loads((run / "run.json").read_text())
    main([*words, "--overwrite", "--graphs", str(shared)])
    shared.rename(tmp_path / "moved.sg")
    with pytest.raises(SystemExit):
        main(["evaluate", str(run)])
    main(["evaluate", str(run), "--graphs", str(tmp_path / "moved.sg")])


@pytest.mark.filterwarnings("default:1 of 8 images")
def test_warnings_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "1.png").write_text("no image")
    words = ["--data", f"images:{photos},captions={tmp_path / 'captions.csv'}"]
    main(["train", "sgm", *words, "--out", str(tmp_path / "run"), "--dev-every", "0", *SMALL])
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if line.startswith("pyg-sgm: warning: 1 of 8 images")]


def test_photos_and_graphs_at_an_address(photos: Path, store: str) -> None:
    put_files(photos, f"{store}/photos")
    expected = with_graphs(ImageFolder(photos))
    folder = f"{store}/graphs.sg"
    for _ in range(2):  # made, and opened
        found = with_graphs(ImageFolder(f"{store}/photos"), folder)
        assert found.image_ids == expected.image_ids
        assert [str(image.file) for image in found.images] == [
            str(to_path(f"{store}/photos") / id) for id in expected.image_ids
        ]
        for node, part in expected.features.items():
            every = torch.arange(len(expected.images))
            rows, own = (x.rows[x.select(every).spans.rows()] for x in (part, found.features[node]))
            assert torch.equal(rows, own)
    assert extractor_of(folder).fingerprint == extractor_of(None).fingerprint


def test_a_run_on_photos_and_graphs_at_an_address(
    photos: Path, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_files(photos, f"{store}/photos")
    captions = tmp_path / "captions.csv"
    flags = ["--captions", str(captions), "--dev-every", "4", *SMALL, "--seed", "0"]
    tables = []
    for name, folder in (("here", str(photos)), ("far", f"{store}/photos")):
        graphs = str(tmp_path / "g.sg") if name == "here" else f"{store}/g.sg"
        run = str(tmp_path / name)
        main(
            [
                "train",
                "--model",
                "sgm",
                "--data",
                f"images:{folder}",
                "--out",
                run,
                "--graphs",
                graphs,
                *flags,
            ]
        )
        capsys.readouterr()
        main(["evaluate", run])
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    assert json.loads((tmp_path / "far" / "run.json").read_text())["graphs"] == f"{store}/g.sg"
    matcher = SceneGraphMatcher.from_pretrained(tmp_path / "far")
    one = f"{store}/photos/{NAMES[0]}"
    scores = matcher.score([one, to_path(one), photos / NAMES[0]], ["a dog"])
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])
