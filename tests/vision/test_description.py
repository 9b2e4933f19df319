"""Saved descriptions of extractors, those of earlier versions included."""

import json
from pathlib import Path

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
