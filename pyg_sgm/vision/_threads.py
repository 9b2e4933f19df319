"""Images side by side, each network with one thread."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

_lock = threading.Lock()
_running = 0  # calls of `in_threads` that have begun and not ended
_threads = 1  # of torch, before the first of them


def in_threads(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results in the order of the items, of which a few are taken ahead.

    The number of torch's threads is 1 meanwhile, in the whole process: work on different items
    shares nothing, and need not wait for each other. It is as before when the last of several calls
    at once has ended.

    Args:
        work (callable): What is done with an item.
        items (list of T): The items.
        workers (int): Number of threads.
    """
    waiting: deque[Future[R]] = deque()
    with _one_torch_thread(), ThreadPoolExecutor(workers, initializer=_set_one) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:  # bounds memory
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    global _running, _threads
    with _lock:
        if not _running:
            _threads = torch.get_num_threads()
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            # Of this thread, and of those that begin from now on.
            torch.set_num_threads(_threads)


def _set_one() -> None:
    torch.set_num_threads(1)
