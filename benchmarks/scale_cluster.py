"""Ray clusters on this machine for scale.py and for tests, of which parts may be killed."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TASKS, ACTORS = b"ray::_call", b"ray::_Keeping"
STORE = 200 * 2**20  # bytes of the object store of a node


@contextmanager
def cluster(nodes: int, *, head_cores: int = 0, store: int = STORE) -> Iterator[Any]:
    """A head, and so many nodes of one core."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(HERE), str(HERE.parent), *filter(None, [before])]
    )
    head = {
        "num_cpus": head_cores,
        "include_dashboard": False,
        "object_store_memory": store,
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
            add_node(made, store=store)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ["PYTHONPATH"] = before or ""


def add_node(made: Any, *, cores: int = 1, store: int = STORE) -> Any:
    """One more node of a cluster."""
    return made.add_node(num_cpus=cores, object_store_memory=store)


class Killer(threading.Thread):
    """Kills busy workers or actors of a cluster with SIGKILL, and each fifth time a node, which
    :meth:`replace` replaces."""

    def __init__(self, made: Any, what: bytes, kills: int, every: float) -> None:
        super().__init__(daemon=True)
        self.made, self.what, self.kills, self.every = made, what, kills, every
        self.killed: Counter[str] = Counter()
        self._extra: Any = add_node(made)
        self._random = random.Random(0)
        self._done = threading.Event()

    def run(self) -> None:
        while self.killed.total() < self.kills and not self._done.wait(self.every):
            if self.killed.total() % 5 == 4:
                if self._extra is not None:
                    self.made.remove_node(self._extra, allow_graceful=False)
                    self._extra = None
                    self.killed["node"] += 1
                continue
            busy = processes(self.what)
            if busy:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(busy), signal.SIGKILL)
                    self.killed["worker" if self.what == TASKS else "actor"] += 1

    def replace(self) -> None:
        """Adds a node where one was killed; Ray does that in the main thread alone."""
        if self._extra is None:
            self._extra = add_node(self.made)

    def stop(self) -> None:
        self._done.set()
        self.join()
        if self._extra is not None:
            self.made.remove_node(self._extra, allow_graceful=False)


def processes(what: bytes) -> list[int]:
    """Processes of Ray on this machine that run tasks, or are actors."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().startswith(what):
                found.append(int(path.parent.name))
    return found
