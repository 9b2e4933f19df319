"""Tasks on processes of this machine and on a cluster, of which parts are killed."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pyg_sgm.distributed import LocalPool, Pool, RayPool, ray_pool
from tests.helpers.cluster import add_node, killing

ray = pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(params=["local", "ray"])
def pool(request: pytest.FixtureRequest, nodes: Any) -> Pool:
    return LocalPool(workers=1) if request.param == "local" else RayPool(nodes.address)


def root(x: float) -> float:
    if x < 0:
        raise ValueError(f"no root of {x}")
    return x**0.5


def power(x: float, exponent: int, more: float) -> float:
    return x**exponent + more


def dies_once(task: tuple[Path, int]) -> int:
    """Kills its process when it is called for the first time."""
    folder, number = task
    try:
        (folder / str(number)).touch(exist_ok=False)
    except FileExistsError:
        return number
    os.kill(os.getpid(), signal.SIGKILL)
    return -1


def dies(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def slow_square(x: int) -> int:
    time.sleep(0.2)
    return x * x


def test_results_of_all_tasks(pool: Pool) -> None:
    assert sorted(pool.run(root, [1.0, 4.0, 9.0] * 10)) == [1.0] * 10 + [2.0] * 10 + [3.0] * 10
    assert list(pool.run(root, [])) == []


def test_what_all_tasks_share(pool: Pool) -> None:
    assert sorted(pool.run(power, [1.0, 2.0, 3.0], 2, 10.0)) == [11.0, 14.0, 19.0]


def test_few_tasks_are_taken_ahead(pool: Pool) -> None:
    taken: list[float] = []

    def tasks() -> Iterator[float]:
        for i in range(1000):
            taken.append(i)
            yield float(i)

    with closing(pool.run(root, tasks())) as results:  # type: ignore[type-var]
        next(results)
    assert len(taken) < 20


def test_the_error_of_a_task_is_raised(pool: Pool) -> None:
    with pytest.raises(ValueError, match=r"^no root of -4.0$"):
        list(pool.run(root, [1.0, -4.0, 9.0]))


def test_a_task_whose_worker_dies_is_run_again(nodes: Any, tmp_path: Path) -> None:
    tasks = [(tmp_path, number) for number in range(3)]
    assert sorted(RayPool(nodes.address).run(dies_once, tasks)) == list(range(3))


def test_a_process_that_is_killed_ends_a_local_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a process was killed"):
        list(LocalPool(workers=1).run(dies_once, [(tmp_path, 0)]))


def test_a_task_that_always_kills_its_worker_is_given_up(
    nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pool, "RETRIES", 2)
    with pytest.raises(RuntimeError, match="given up after its workers died 3 times"):
        list(RayPool(nodes.address).run(dies, [0]))


def test_a_node_that_goes_takes_no_task_with_it(nodes: Any) -> None:
    extra = add_node(nodes)
    nodes.wait_for_nodes()
    results = RayPool(nodes.address).run(slow_square, range(30))
    first = [next(results) for _ in range(4)]
    nodes.remove_node(extra, allow_graceful=False)
    assert sorted([*first, *results]) == [i * i for i in range(30)]


def test_workers_killed_at_any_time(nodes: Any) -> None:
    with killing(times=3, every=0.8) as killed:
        results = sorted(RayPool(nodes.address).run(slow_square, range(30)))
    assert results == [i * i for i in range(30)]
    assert len(killed) > 1


def test_number_of_processes() -> None:
    with pytest.raises(ValueError, match="workers: at least 1, got 0"):
        LocalPool(workers=0)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "[::1]:9", "127.0.0.1:99999", "no-such-host:9"])
def test_nobody_at_the_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConnectionError, match=re.escape(f"no Ray cluster at {address!r}")):
        ray_pool.open_ray(address)
