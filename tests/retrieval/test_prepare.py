import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

Image = pytest.importorskip("PIL.Image")

from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.datasets import ImageFolder, SceneWorld  # noqa: E402
from pyg_sgm.retrieval import SceneGraphMatcher, with_graphs  # noqa: E402
from pyg_sgm.training import Recipe  # noqa: E402
from pyg_sgm.vision import Extractor, RegionFeatures, open_detector  # noqa: E402
from pyg_sgm.vision.description import open_described  # noqa: E402

NAMES = [f"{i}.png" for i in range(8)]
SMALL = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "1"]


def open_small(detector: str = "grid") -> Extractor:
    """An extractor with a network that is there without any package."""
    torch.manual_seed(0)
    features = RegionFeatures(nn.Conv2d(3, 5, 8, stride=8), size=32)
    return Extractor(open_detector(detector), features, options={"detector": detector})


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("pyg_sgm.retrieval.prepare", "pyg_sgm.vision.description", "pyg_sgm.cli._data"):
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
    assert len(with_graphs(data.select_images([1]), folder)) == 2
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
def test_broken_images_are_left_out_with_their_texts(
    data: ImageFolder, tmp_path: Path, kept: bool
) -> None:
    (tmp_path / "photos" / "3.png").write_text("no image")
    (tmp_path / "photos" / "5.png").write_bytes(b"")
    folder = tmp_path / "graphs.sg" if kept else None
    with pytest.warns(UserWarning, match=r"2 of 8 images cannot be read .*'3.png'") as told:
        made = with_graphs(data, folder)
    assert made.image_ids == [name for name in NAMES if name[0] not in "35"]
    assert len(made) == 12
    assert not any("3.png" in caption for caption in made.captions)
    assert ("skipped.jsonl" in str(told[0].message)) == kept
    with pytest.raises(ValueError, match="1 of 1 images cannot be read"):
        with_graphs(data.select_images([3]), folder)


def test_the_extractor_of_a_folder_is_made_again(data: ImageFolder, tmp_path: Path) -> None:
    file, folder = tmp_path / "found.jsonl", tmp_path / "graphs.sg"
    detector = detections(file, "dog")
    first = with_graphs(data.select_images([0, 1]), folder, open_small(detector))
    assert first.images[0].objects[-1] == "dog"
    assert "dog" in first.labels.objects
    assert with_graphs(data, folder).images[7].objects[-1] == "dog"
    with pytest.raises(ValueError, match=r"graphs.sg: the graphs were made with detector"):
        with_graphs(data, folder, open_small())
    file.rename(tmp_path / "moved.jsonl")
    with pytest.raises(FileNotFoundError, match=r"made with .*found.jsonl.*--detector"):
        with_graphs(data, folder)


def test_open_described(tmp_path: Path) -> None:
    made = {"key": open_small().fingerprint, "options": {"detector": "grid"}}
    assert open_described(made, "here").fingerprint == made["key"]
    other = detections(tmp_path / "found.jsonl", "dog")
    with pytest.raises(ValueError, match="here: the graphs were made with detector 'grid 3', not"):
        open_described(made, "here", other)
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
    assert opened.rank(files[2], texts)[0].score == pytest.approx(float(expected[2].max()))
    assert opened.explain(files[2], texts[0]).image.file == files[2]
    assert opened.evaluate(data) == matcher.evaluate(data)
    opened.save_pretrained(tmp_path / "copy")
    assert SceneGraphMatcher.from_pretrained(tmp_path / "copy").made_by == matcher.made_by

    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(ValueError, match=r"x.png: cut short or no image"):
        opened.score([tmp_path / "x.png"], texts)
    with pytest.raises(ValueError, match="a file occurs twice"):
        opened.score([files[0], files[0]], texts)
    with pytest.raises(ValueError, match="the graphs were made with detector"):
        opened.extractor = open_small(detections(tmp_path / "found.jsonl", "dog"))


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
    main(["rank", str(run), "--text", "a dog", "--top", "2"])
    main(["explain", str(run), *words, "--image", "2.png", "--text", "a dog"])

    capsys.readouterr()
    file.rename(tmp_path / "moved.jsonl")
    moved = f"grid+file:{tmp_path / 'moved.jsonl'}"
    main(["evaluate", str(run), *words, "--detector", moved])
    for more, message in (
        (words, "found.jsonl, which is not there"),
        ([*words, "--detector", "grid"], "the graphs were made with detector"),
        (words[:2], "has no captions: give --captions"),
        (words[2:], "--captions without --data"),
    ):
        with pytest.raises(SystemExit):
            main(["evaluate", str(run), *more])
        assert message in capsys.readouterr().err


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
