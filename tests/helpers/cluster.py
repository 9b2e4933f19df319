"""A Ray cluster of several nodes on this machine, for tests that kill parts of it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TASKS, ACTORS = "ray::_call", "ray::_Keeping"


@contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """A head without cores, and so many nodes of one core."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Workers import the package and its tests as this process does.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [before])])
    head = {
        "num_cpus": 0,
        "include_dashboard": False,
        "object_store_memory": 100 * 2**20,
        # That a node is gone is known after two seconds, not half a minute.
        "_system_config": {
            "health_check_initial_delay_ms": 1000,
            "health_check_period_ms": 500,
            "health_check_timeout_ms": 2000,
            "health_check_failure_threshold": 4,
        },
    }
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            made.add_node(num_cpus=1, object_store_memory=100 * 2**20)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextmanager
def killing(times: int, every: float, what: str = TASKS) -> Iterator[list[int]]:
    """Kills a process of Ray on this machine that runs a task, or is an actor, so many times, so
    many seconds apart; gives the numbers of those that it has killed."""
    done, killed = threading.Event(), []

    def kill() -> None:
        while len(killed) < times and not done.wait(every):
            for pid in workers(what)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def workers(what: str) -> list[int]:
    """Processes of Ray on this machine that run tasks, or are actors."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().startswith(what.encode()):
                found.append(int(path.parent.name))
    return found


def parent(pid: int) -> int | None:
    """The process that started another; :obj:`None` if that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
