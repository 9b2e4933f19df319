import gzip
from pathlib import Path

import pytest

from pyg_sgm.datasets import open_dataset

ROWS = """image_id,region_id,caption,scene_graph
7,1,white stove in a kitchen,"( stove , is , white ) , ( stove , in , kitchen )"
9,2,a dog,( dog )
7,3,a pan,
"""


@pytest.mark.parametrize("zipped", [False, True])
def test_graphs(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / ("dev.csv.gz" if zipped else "dev.csv")
    path.write_bytes(gzip.compress(ROWS.encode()) if zipped else ROWS.encode())
    data = open_dataset(f"factual:{path}", "dev")
    assert data.image_ids == ["7", "9"]
    assert data.image_of_text.tolist() == [0, 1, 0]
    assert data.text_ids == ["7#0", "9#0", "7#1"]
    first, second, third = data.texts
    assert list(first.objects) == ["stove", "kitchen"]
    assert list(first.attributes) == [(0, "white")]
    assert list(first.relations) == [(0, "in", 1)]
    assert list(second.objects) == ["dog"]
    assert list(third.objects) == []
    assert third.has_graph
    assert not any(image.has_graph for image in data.images)


def test_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "dev.csv"
    path.write_text(ROWS + '9,4,a dog,"( dog , is , ! )"\n')
    with pytest.raises(ValueError, match=r"dev.csv: line 5: .* attribute: .* has no word"):
        open_dataset(f"factual:{path}", "dev", strict=True)
    with pytest.warns(UserWarning, match="left out: '9#1'; .*has no word"):
        assert open_dataset(f"factual:{path}", "dev").text_ids == ["7#0", "9#0", "7#1"]
    path.write_text(ROWS)
    (tmp_path / "9.jpg").touch()
    spec = f"factual:{path},images={tmp_path}"
    with pytest.raises(ValueError, match=r"dev.csv: line 2: there is no image .*7.jpg"):
        open_dataset(spec, "dev", strict=True)
    with pytest.warns(UserWarning, match="2 records .*left out: '7#0', '7#1'"):
        assert open_dataset(spec, "dev").image_ids == ["9"]
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(ROWS.encode())[:40])
    with pytest.raises(ValueError, match=r"cut.csv.gz: cut short"):
        open_dataset(f"factual:{tmp_path / 'cut.csv.gz'}", "dev")
