"""A Ray cluster of several nodes on this machine, for tests that kill parts of it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.scale_cluster import ACTORS, TASKS, add_node, cluster, processes

__all__ = ["ACTORS", "TASKS", "add_node", "cluster", "killing", "parent", "processes"]


@contextmanager
def killing(times: int, every: float, what: bytes = TASKS) -> Iterator[list[int]]:
    """Kills a process of Ray on this machine that runs a task, or is an actor, so many times, so
    many seconds apart; gives the numbers of those that it has killed."""
    done, killed = threading.Event(), []

    def kill() -> None:
        while len(killed) < times and not done.wait(every):
            for pid in processes(what)[:1]:
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


def parent(pid: int) -> int | None:
    """The process that started another; :obj:`None` if that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
