import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

import pyg_sgm
from pyg_sgm.cli import main
from pyg_sgm.cli._data import open_part
from pyg_sgm.datasets import open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher

WORLD = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"
SMALL = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "2"]


def train(out: Path, *more: str) -> None:
    main(["train", "sgm", "--data", WORLD, "--out", str(out), *SMALL, *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sgm"
    train(out)
    return out


def fails(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """The one line on stderr with which a command fails."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(tokens)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("pyg-sgm: ")
    assert error.count("\n") == 1
    return error


def test_train(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = json.loads((run / "run.json").read_text())["recipe"]
    assert recipe["epochs"] == 2
    assert recipe["options"]["dim"] == 8
    matcher = SceneGraphMatcher.from_pretrained(run)
    assert matcher.model is not None
    assert matcher.model.config["dim"] == 8


def test_evaluate(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(run), "--data", WORLD, "--json", str(tmp_path / "metrics.json")])
    shown = capsys.readouterr().out
    assert "R@1" in shown
    assert "text to image" in shown
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.pop("unit") == "fraction"
    assert set(metrics) == {"i2t", "t2i", "rsum"}
    for side in ("i2t", "t2i"):
        assert set(metrics[side]) == {"r1", "r5", "r10", "medr"}
    parts = [metrics[side][key] for side in ("i2t", "t2i") for key in ("r1", "r5", "r10")]
    assert metrics["rsum"] == pytest.approx(sum(parts))
    assert f"rsum {100 * metrics['rsum']:.1f}" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_evaluate_the_dev_part(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(run), "--data", WORLD, "--split", "train", "--dev-every", "5"])
    assert "3 images, 6 texts" in capsys.readouterr().out


def test_data_of_the_training(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("evaluate", "probe"):
        main([command, str(run)])
        assert "3 images, 6 texts, held out in training" in capsys.readouterr().out
    main(["evaluate", str(run), "--split", "test"])
    assert "12 images, 24 texts  " in capsys.readouterr().out
    main(["evaluate", str(run), "--split", "train"])
    assert "12 images, 24 texts, 9 of the images trained on" in capsys.readouterr().out
    main(["explain", str(run), "--image", "train-000001", "--text", "a [/b] dog"])
    assert "a [/b] dog" in capsys.readouterr().out
    SceneGraphMatcher.from_pretrained(run).save_pretrained(tmp_path / "saved")
    assert "give --data" in fails(capsys, "evaluate", str(tmp_path / "saved"))


def test_explain(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["explain", str(run), "--data", WORLD, "--image", "test-000001"]
    picture = tmp_path / "match.png"
    text = ["--text", "a dog chasing a cat"]
    main([*common, *text, "--triplet", "cat, flee, dog", "--out", str(picture)])
    shown = capsys.readouterr().out
    assert "cat flee dog" in shown
    assert "score" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["match.png"]
    main([*common, *text])
    assert "dog chase cat" in capsys.readouterr().out  # parsed


def test_a_caption_of_the_data_has_its_triplets(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyg_sgm.datasets import open_dataset

    text = next(t for t in open_dataset(WORLD, "test").texts if t.relations)
    s, phrase, o = text.relations[0]
    image = ["--image", "test-000000", "--text", text.caption]
    main(["explain", str(run), "--data", WORLD, *image])
    assert f"{text.objects[s]} {phrase} {text.objects[o]}" in capsys.readouterr().out


def test_resume_and_overwrite(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sgm"
    train(out)
    before = (out / "model.safetensors").read_bytes()
    assert before == (run / "model.safetensors").read_bytes()  # same seed, same weights
    command = ["train", "sgm", "--data", WORLD, "--out", str(out), *SMALL]
    assert "holds a run already" in fails(capsys, *command)
    train(out, "--resume")
    assert (out / "model.safetensors").read_bytes() == before
    assert "started with seed" in fails(capsys, *command, "--resume", "--seed", "1")
    train(out, "--overwrite", "--seed", "1")
    assert (out / "model.safetensors").read_bytes() != before


def test_config_file_beneath_the_flags(tmp_path: Path) -> None:
    config = tmp_path / "sgm.yaml"
    config.write_text(
        f"data: {WORLD}\nout: {tmp_path / 'run'}\nset: [dim=8, hidden=8, embed=6]\n"
        "epochs: 5\ndev-split: dev\nloss: triplet\n"
    )
    main(["train", "sgm", "--config", str(config), "--epochs", "1"])
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert (recipe["epochs"], recipe["loss"]) == (1, "triplet")


def test_bad_config_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "sgm.yaml"
    command = ["train", "sgm", "--data", WORLD, "--out", str(tmp_path / "x"), "--config"]
    assert "sgm.yaml" in fails(capsys, *command, str(config))
    for content in ("epoch: 3", "epochs: many", "- 1", "a: [", "lr: {a: 1}"):
        config.write_text(content)
        fails(capsys, *command, str(config))
    assert not (tmp_path / "x").exists()


TRAIN = f"train sgm --data {WORLD} --out x"
EVALUATE = f"evaluate RUN --data {WORLD}"
EXPLAIN = f"explain RUN --data {WORLD} --image test-000000 --text a"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train", "model"),
        (f"train clip --data {WORLD} --out x", "no model 'clip'"),
        ("train sgm --data coco --out x", "no dataset 'coco'"),
        ("train sgm --data flickr30k-sgm:/nowhere --out x", "nowhere"),
        (f"{TRAIN} --set dim", "NAME=VALUE"),
        (f"{TRAIN} --set depth=1", "depth"),
        (f"{TRAIN} --recipe fast", "fast"),
        (f"{TRAIN} --epochs 0", "epochs"),
        (f"{TRAIN} --epochs two", "epochs"),
        (f"{TRAIN} --lr nan", "lr"),
        (f"{TRAIN} --dev-every 1", "at least 2"),
        (f"{TRAIN} --dev-every 5 --dev-split dev", "exclude each other"),
        (f"{TRAIN} --dev-split train", "12 images of it would be trained on too"),
        (f"{TRAIN} --word-vectors /no/file", "/no/file"),
        (f"evaluate /nowhere --data {WORLD}", "no such folder"),
        (f"{EVALUATE} --split weekend", "weekend"),
        (f"{EVALUATE} --json /no/folder/m.json", "no folder"),
        (f"{EVALUATE} --speed 9", "--speed"),
        (f"explain RUN --data {WORLD} --image 7.jpg --text a", "7.jpg"),
        (f"{EXPLAIN} --triplet man,ride", "subject,predicate,object"),
        (f"{EXPLAIN} --out match.wav", "unknown format"),
        ("dance", "dance"),
    ],
)
def test_mistakes_are_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    tokens = [str(run) if token == "RUN" else token for token in line.split()]
    assert message.lower() in fails(capsys, *tokens).lower()
    assert not Path("x").exists()


def test_what_was_not_closed_is_no_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Wherever in the process it was left open: it is noticed at any time.
    def check(path: Path | None) -> None:
        warnings.warn("unclosed file", ResourceWarning, stacklevel=1)
        warnings.warn("this matters", UserWarning, stacklevel=1)
        raise ValueError("a mistake")

    monkeypatch.setattr("pyg_sgm.cli.search.check_out", check)
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            main(["search", str(tmp_path), "--text", "a dog"])
    assert capsys.readouterr().err == "pyg-sgm: warning: this matters\npyg-sgm: a mistake\n"


def test_pickles_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    assert "never read" in fails(capsys, "evaluate", str(tmp_path), "--data", WORLD)


@pytest.mark.parametrize("tokens", [["--help"], ["train", "--help"], ["explain", "--help"]])
def test_help(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(tokens)
    assert "Usage: pyg-sgm" in capsys.readouterr().out


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "pyg_sgm", "evaluate", "/nowhere", "--data", "scene-world"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "pyg-sgm: /nowhere: there is no such folder of a training run\n"
    assert pyg_sgm.__version__


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.strip() == pyg_sgm.__version__


@pytest.mark.parametrize(
    "line", ["--help", "train --help", "train sgm --epoch 3", "search --tops 3"]
)
def test_help_and_mistyped_flags_do_not_import_torch(line: str) -> None:
    script = f"""if True:
        import sys
        from pyg_sgm.cli import main
        try:
            main({line.split()!r})
        except SystemExit:
            pass
        sys.exit("torch" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_results_on_the_standard_output(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(run)])
    capsys.readouterr()
    main(["evaluate", str(run), "--json", "-"])
    assert json.loads(capsys.readouterr().out)["unit"] == "fraction"
    main(["probe", str(run), "--json", "-"])
    assert json.loads(capsys.readouterr().out)["chance"] == 0.5


def test_folds(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", str(run), "--data", WORLD, "--folds", "3", "--json", "-"])
    found = json.loads(capsys.readouterr().out)
    dataset = open_dataset(WORLD, "test")
    matcher = SceneGraphMatcher.from_pretrained(run)
    parts = [matcher.evaluate(dataset.select_images(range(i, i + 4))) for i in (0, 4, 8)]
    assert found["rsum"] == pytest.approx(sum(part["rsum"] for part in parts) / 3)
    assert found["first_fold"] == parts[0]
    main(["evaluate", str(run), "--data", WORLD, "--folds", "3"])
    printed = capsys.readouterr().out
    assert "12 images, 24 texts, mean of 3 folds" in printed
    assert "the first fold alone" in printed
    assert printed.count("rsum") == 2
    assert "--folds" in fails(capsys, "evaluate", str(run), "--folds", "0")
    assert "3 images cannot make 5" in fails(capsys, "evaluate", str(run), "--folds", "5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lr: [0.1", "not YAML"),
        ("- lr", "flags and their values"),
        ("lr: fast", "lr"),
        ("a: 1\n\ttabs: 2", "not YAML"),
    ],
)
def test_broken_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(content)
    error = fails(
        capsys,
        *["train", "sgm", "--out"],
        str(tmp_path / "run"),
        "--data",
        WORLD,
        "--config",
        str(config),
    )
    assert message in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--devices 0", "devices must be at least 1"),
        ("--accelerator quantum", "quantum"),
        ("--precision fp16", "fp16"),
        ("--set dim=-4", "dim"),
    ],
)
def test_mistakes_of_training_leave_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, message: str
) -> None:
    out = tmp_path / "run"
    error = fails(capsys, "train", "sgm", "--data", WORLD, "--out", str(out), *flags.split())
    assert message in error
    assert not out.exists()


def test_only_the_difference_and_the_flag_are_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = ["train", "sgm", "--data", WORLD, "--out", str(run), *SMALL]
    error = fails(capsys, *tokens)
    assert "--resume" in error
    assert "--overwrite" in error
    error = fails(capsys, *tokens, "--resume", "--lr", "0.5")
    assert "recipe.lr = 0.002" in error
    assert "images_per_batch" not in error


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = """if True:
        import sys
        sys.modules["cyclopts"] = None
        from pyg_sgm.cli import main
        main(["--help"])
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "pyg-sgm: the command line needs more: pip install pyg_sgm[train]\n"


def captioned(folder: Path, names: list[str]) -> list[str]:
    """Small photos with captions, and the flags that name them."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    rows = ["image,caption"]
    for number, name in enumerate(names):
        Image.new("RGB", (32, 24), (number * 9 % 256, 80, 160)).save(photos / name)
        rows += [f"{name},a box number {number}", f"{name},a wall"]
    (folder / "captions.csv").write_text("\n".join(rows))
    return ["--data", f"images:{photos}", "--captions", str(folder / "captions.csv")]


@pytest.mark.slow
@pytest.mark.filterwarnings("always:::pyg_sgm")
def test_held_out_images_are_known_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number:02d}.png" for number in range(10)]
    data = captioned(tmp_path, names)
    out = tmp_path / "run"
    same = ["train", "sgm", *data, "--out", str(out), *SMALL, "--dev-split", "dev"]
    assert "10 images of it would be trained on too" in fails(capsys, *same)
    assert not out.exists()
    main(["train", "sgm", *data, "--out", str(out), *SMALL])
    assert json.loads((out / "run.json").read_text())["held_out_images"] == ["00.png", "05.png"]

    captioned(tmp_path, ["00a.png", *names])  # of every five, others would be taken now
    capsys.readouterr()
    main(["evaluate", str(out)])
    shown = capsys.readouterr()
    assert "2 images, 4 texts, held out in training" in shown.out
    assert "the data had 10 images in training and have 11 now" in shown.err
    taken, _ = open_part(None, None, None, out, None, SceneGraphMatcher.from_pretrained(out))
    assert taken.image_ids == ["00.png", "05.png"]

    (tmp_path / "photos" / "00a.png").unlink()
    (tmp_path / "photos" / "05.png").unlink()
    captioned(tmp_path, [name for name in names if name != "05.png"])
    main(["evaluate", str(out)])
    shown = capsys.readouterr()
    assert "1 image, 2 texts, held out in training" in shown.out
    assert "1 of 2 images that the training held out are no longer" in shown.err


@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_held_out_photos_that_cannot_be_read_do_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = captioned(tmp_path, [f"{number:02d}.png" for number in range(40)])
    (tmp_path / "photos" / "00.png").write_text("no image")  # one of the 20 that are held out
    main(["train", "vse", *data, "--epochs", "1", "--dev-every", "2", "--out", f"{tmp_path}/run"])
    shown = capsys.readouterr().out
    assert "19 images, 38 texts, 1 image that cannot be read" in shown
    assert "No calibration, which needs 20 images" in shown


@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_no_held_out_photo_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = captioned(tmp_path, [f"{number}.png" for number in range(4)])
    (tmp_path / "photos" / "0.png").write_text("no image")
    error = fails(capsys, "train", "vse", *data, "--out", str(tmp_path / "run"))
    assert "none of 1 image held out can be read: hold out others" in error


def test_photos_with_other_captions_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captioned(tmp_path, [f"{number}.png" for number in range(6)])
    first, second = (f"captions:{tmp_path}/{name}.csv,images={tmp_path}/photos" for name in "ab")
    rows = (tmp_path / "captions.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join(rows[:9]))  # of four photos
    (tmp_path / "b.csv").write_text("\n".join(rows[:1] + rows[5:]))  # two of these, two others
    run = tmp_path / "run"
    main(["train", "vse", "--data", first, "--epochs", "1", "--dev-every", "0", "--out", str(run)])
    main(["evaluate", str(run), "--data", second])
    assert "4 images, 8 texts, 2 of the images trained on" in capsys.readouterr().out
    assert not list(run.glob("graphs-*.sg"))


def test_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = captioned(tmp_path, ["a.png", "b.png"])
    with (tmp_path / "captions.csv").open("a") as file:
        file.write("\nabsent.png,a caption without an image")
    error = fails(capsys, "train", "sgm", *data, "--out", str(tmp_path / "run"), "--strict")
    assert "absent.png" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("default")
def test_records_that_are_left_out_are_listed(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    (tmp_path / "p").mkdir()
    for i in range(12):
        Image.new("RGB", (24, 16), (20 * i, 0, 0)).save(tmp_path / "p" / f"{i:02d}.png")
    rows = [f"{i:02d}.png,a red wall {i}" for i in range(12)]
    (tmp_path / "c.csv").write_text("\n".join(["image,caption", *rows, "00.png,", "x.png,a dog"]))
    out = tmp_path / "run"
    flags = ["--data", f"images:{tmp_path / 'p'}", "--captions", f"{tmp_path / 'c.csv'}"]
    flags += ["--out", f"{out}", "--epochs", "1", "--set", "dim=8", "--set", "embed=4"]
    main(["train", "vse", *flags])
    lines = (out / "skipped_records.jsonl").read_text().splitlines()
    left_out = [json.loads(line) for line in lines]
    assert [row["id"] for row in left_out] == ["00.png#1", "x.png#0"]
    assert "c.csv: line 14: caption: empty" in left_out[0]["reason"]
    assert "there is no image 'x.png'" in left_out[1]["reason"]
