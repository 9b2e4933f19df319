"""A short run of the fuzzer; ``make fuzz`` is the long one."""

import pytest

pytest.importorskip("PIL")
from tests.fuzz.fuzz import FINDINGS, fuzz


def test_every_reader_answers() -> None:
    results = list(fuzz(range(500), seed=1))
    assert [result for result in results if result.kind in FINDINGS] == []
    assert {"accepted", "refused"} == {result.kind for result in results}
