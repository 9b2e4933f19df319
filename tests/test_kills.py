"""A few of the kills of ``kills.py``, which tries all."""

import os
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)
pytest.importorskip("PIL")
pytest.importorskip("lightning")

from tests.kills import TASKS, try_task

SOME = {"training": 13, "overwrite": 23, "resume": 17, "photos": 29, "extraction": 7, "saving": 5}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_killed_before_a_change_of_the_disk(name: str, tmp_path: Path) -> None:
    kills, wrong = try_task(name, tmp_path, SOME.get(name, 1), first=2)
    assert kills > 1
    assert wrong == []
