"""Three small runs of version 0.1.0 still open, and score as they did.

``sgm``, ``hoad`` and ``vse`` were trained by that version with their default recipes, at small
sizes, on ``scene-world:num_images=16,captions_per_image=2,feature_dim=4``. ``records.json`` holds
graphs of another split as they were then, so that nothing here depends on how scenes are drawn;
``scores.json`` holds what each model made of them.
"""

import json
import platform
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import Ragged, Spans, image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.retrieval import SceneGraphMatcher

HERE = Path(__file__).parent
MODELS = ("sgm", "hoad", "vse")


def open_records(path: Path = HERE / "records.json") -> SceneGraphDataset:
    data = json.loads(path.read_text())
    parts = [image.pop("features") for image in data["images"]]
    features = {}
    for node in ("object", "relation"):
        rows = [row for part in parts for row in part[node]]
        counts = torch.tensor([len(part[node]) for part in parts])
        features[node] = Ragged(torch.tensor(rows), Spans.packed(counts))
    image_of_text = [text.pop("image") for text in data["texts"]]
    return SceneGraphDataset(
        [image_record(**image) for image in data["images"]],
        [text_record(**text) for text in data["texts"]],
        image_of_text,
        features=features,
    )


def setting() -> dict[str, str]:
    """What the last bit of a product of matrices depends on, at one thread."""
    cpu = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "cpu": cpu, "machine": platform.machine()}


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("one_thread")
def test_scores_stay(name: str) -> None:
    expected = json.loads((HERE / "scores.json").read_text())
    rows = [[float.fromhex(value) for value in row] for row in expected["scores"][name]]
    data = open_records()
    scores = SceneGraphMatcher.from_pretrained(HERE / name).score(data, data)
    if setting() == expected["made_with"]:
        assert scores.tolist() == rows  # to the last bit
    else:  # other kernels add up in another order
        torch.testing.assert_close(scores, torch.tensor(rows), atol=1e-6, rtol=0)
    assert scores.std() > 0.01


def test_the_run_of_sgm_has_its_checkpoint() -> None:
    from pyg_sgm.training.run_dir import LAST, read_checkpoint

    state = read_checkpoint(HERE / "sgm" / LAST)
    weights = {name.removeprefix("model.") for name in state["state_dict"]}
    opened = SceneGraphMatcher.from_pretrained(HERE / "sgm").model
    assert opened is not None
    assert weights - {"loss.log_scale"} == set(opened.state_dict())
