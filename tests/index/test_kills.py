"""A few of the kills of ``killed.py``."""

from pathlib import Path

import pytest

pytest.importorskip("lancedb")

from tests.index.killed import kill


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    killed, done, wrong = kill(tmp_path, kills=4)
    assert not wrong
    assert killed.total() == 4
    assert done > 0
