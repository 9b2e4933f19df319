"""What runs tasks, and the processes of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Protocol, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Pool(Protocol):
    """Runs independent tasks."""

    def run(self, work: Callable[..., T], tasks: Iterable[S], *shared: Any) -> Iterator[T]:
        """Results of all tasks as they are done, in any order.

        Few tasks are taken ahead, so that what gives them need not hold them all. The first error
        of a task is raised, and what has not begun is given up.

        Args:
            work (callable): A function that can be imported by its name; it may be called again
                for a task whose worker died.
            tasks (list of S): What it is called with.
            *shared: What else it is called with, the same for all tasks: it is sent once.
        """


class SerialPool:
    """This process, one task after the other.

    Example:
        >>> list(SerialPool().run(pow, [2, 3], 2))
        [4, 9]
    """

    def run(self, work: Callable[..., T], tasks: Iterable[S], *shared: Any) -> Iterator[T]:
        """See :meth:`Pool.run`.

        Args:
            work (callable): See there.
            tasks (list of S): See there.
            *shared: See there.
        """
        for task in tasks:
            yield work(task, *shared)


class LocalPool:
    """Processes of this machine, one thread of torch each.

    Args:
        workers (int, optional): Number of processes. (default: one per core)

    Raises:
        ValueError: If there is less than one.

    Example:
        >>> pool = LocalPool(workers=1)
        >>> sorted(pool.run(abs, [-3, 1, -2]))
        [1, 2, 3]
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers: at least 1, got {workers}")
        self.workers = workers or os.cpu_count() or 1

    def run(self, work: Callable[..., T], tasks: Iterable[S], *shared: Any) -> Iterator[T]:
        """See :meth:`Pool.run`.

        Args:
            work (callable): See there.
            tasks (list of S): See there.
            *shared: See there.

        Raises:
            RuntimeError: If a process was killed.
        """
        rest = iter(tasks)
        # A fork would copy the locks of threads that it does not have.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(
            self.workers, context, initializer=_begin, initargs=(work, shared)
        )
        waiting: set[Future[T]] = set()
        try:
            while True:
                ahead = 2 * self.workers - len(waiting)
                waiting |= {executor.submit(_call, task) for task in islice(rest, ahead)}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError("a process was killed; what is done is kept") from error
        finally:
            executor.shutdown(cancel_futures=True)


_WORK: list[Any] = []  # of a process: what it calls, and with what


def _begin(work: Callable[..., Any], shared: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    _WORK[:] = work, shared


def _call(task: Any) -> Any:
    work, shared = _WORK
    return work(task, *shared)
