import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pyg_sgm.data import Vocabularies, Vocabulary
from pyg_sgm.models.serialization import load_model, save_model
from tests.helpers.training import saved_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", saved_model())
    return tmp_path / "model"


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_round_trip(folder: Path) -> None:
    before, after = saved_model(), load_model(folder)
    assert after.name == "sgm"
    assert after.vocabularies == before.vocabularies
    assert after.model.config == before.model.config
    assert not after.model.training
    for (name, a), b in zip(
        before.model.state_dict().items(), after.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocabularies.json",
    ]


def test_loading_leaves_the_random_numbers(folder: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_model(folder)
    assert torch.equal(torch.rand(1), expected)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        load_model(tmp_path / "none")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocabularies.json"])
def test_missing_and_cut_files(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 2):
        (folder / name).write_bytes(content[:size])
        with pytest.raises(ValueError, match=name):
            load_model(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        load_model(folder)


class Evil:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("/tmp/this_must_never_be_made"),))


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".joblib"])
def test_pickles_are_refused(folder: Path, suffix: str) -> None:
    weights = folder / "model.safetensors"
    weights.unlink()
    with open(folder / f"pytorch_model{suffix}", "wb") as file:
        pickle.dump(Evil(), file)
    with pytest.raises(ValueError, match="pickles are never read"):
        load_model(folder)
    with pytest.raises(ValueError, match="pickles are never read"):
        load_model(folder / f"pytorch_model{suffix}")
    (folder / f"pytorch_model{suffix}").rename(weights)
    with pytest.raises(ValueError, match="pickles are never read"):
        load_model(folder)
    torch.save({"w": torch.zeros(1)}, weights)
    with pytest.raises(ValueError, match="pickles are never read"):
        load_model(folder)
    assert not Path("/tmp/this_must_never_be_made").exists()


def test_another_architecture(folder: Path) -> None:
    other = json.loads((folder / "config.json").read_text())["options"] | {"dim": 16}
    change(folder / "config.json", options=other)
    with pytest.raises(ValueError, match=r"model.safetensors: weights of another architecture"):
        load_model(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "other"}, "no model of pyg_sgm"),
        ({"version": 2}, "version 2"),
        ({"model": "resnet"}, "model 'resnet'"),
        ({"sizes": {"words": 3}}, "sizes"),
        ({"sizes": [1]}, "sizes"),
        ({"options": [1]}, "options"),
        ({"options": {"depth": 3}}, "depth"),
        ({"options": {"variant": "none"}}, "variant"),
        ({"options": {"dim": -4}}, "config.json: options: dim must be a whole number"),
        ({"options": {"dim": 8.5}}, "config.json: options: dim must be a whole number"),
        ({"options": {"num_layers": 10**9}}, "config.json: options: num_layers must lie in"),
    ],
)
def test_wrong_config(folder: Path, values: dict, message: str) -> None:
    change(folder / "config.json", **values)
    with pytest.raises(ValueError, match=message):
        load_model(folder)


@pytest.mark.parametrize("dim", [10**6, 10**9, 10**15, 10**18])
def test_sizes_are_compared_with_the_header_first(folder: Path, dim: int) -> None:
    options = json.loads((folder / "config.json").read_text())["options"]
    change(folder / "config.json", options={**options, "hidden": dim})
    with pytest.raises(ValueError, match=r"config\.json: options|another architecture"):
        load_model(folder)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["fusion.lin.weight"][2, 1] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors: fusion\.lin\.weight holds NaN"):
        load_model(folder)


def test_half_precision_weights_are_opened_in_float32(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({k: v.half() for k, v in weights.items()}, folder / "model.safetensors")
    for name, value in load_model(folder).model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, weights[name].half().float())


def test_opening_in_threads_leaves_the_random_numbers(folder: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(load_model, [folder] * 24))
    assert torch.equal(torch.get_rng_state(), before)
    first = opened[0].model.state_dict()
    for saved in opened[1:]:
        for name, value in saved.model.state_dict().items():
            assert torch.equal(value, first[name])


def test_options_of_version_0_1(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    options = config["options"]
    options["share_labels"] = options.pop("shared_label_projection")
    options["both_ways"] = options.pop("bidirectional")
    change(folder / "config.json", options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_model(folder).model.config == saved_model().model.config


def test_other_vocabularies(folder: Path) -> None:
    v = load_model(folder).vocabularies
    Vocabularies(Vocabulary(["dog"]), v.objects, v.predicates, v.attributes).save(folder)
    with pytest.raises(ValueError, match=r"vocabularies.json: 2 words"):
        load_model(folder)


def test_a_failed_save_leaves_the_old(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("pyg_sgm.models.serialization.write_tensors", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(folder, saved_model(seed=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
