"""The workers of a Ray cluster."""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")
RETRIES = 10  # of a task whose worker or node died: one that kills its worker each time must end


class RayPool:
    """The workers of a Ray cluster, one core each (extra ``ray``). A task whose worker or node dies
    is run again elsewhere.

    Args:
        address (str, optional): Of a running cluster; ``"auto"`` finds the one that this machine
            belongs to, ``"local"`` starts one on it. (default: :obj:`"auto"`)

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
    """

    def __init__(self, address: str = "auto") -> None:
        ray = open_ray(address)
        self.address = address
        self._ray = ray

    def run(self, work: Callable[..., T], tasks: Iterable[S], *shared: Any) -> Iterator[T]:
        """See :meth:`Pool.run`.

        Args:
            work (callable): See there; it is found by its name on all nodes.
            tasks (list of S): See there.
            *shared: See there; it lies in the object store, where a node takes it from once.

        Raises:
            RuntimeError: If a task's workers died again and again.
        """
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
        function, *same = map(ray.put, (work, *shared))
        rest = iter(tasks)
        waiting: list[Any] = []
        try:
            while True:
                # Nodes come and go.
                ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(waiting)
                new = islice(rest, max(0, ahead))
                waiting += [remote.remote(function, task, *same) for task in new]
                if not waiting:
                    return
                done, waiting = ray.wait(waiting)
                for result in done:
                    yield _result(ray, result)
        finally:
            for result in waiting:
                ray.cancel(result, force=True)


def open_ray(address: str) -> Any:
    """The module of Ray, connected with a cluster.

    Args:
        address (str): See :class:`RayPool`.

    Raises:
        ImportError: See there.
        ConnectionError: See there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Its coming default: what runs on no card sees the cards that there are.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError("a cluster needs more: pip install pyg_sgm[ray]") from error
    if not ray.is_initialized():
        own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        host, _, port = address.rpartition("//")[2].rpartition(":")
        try:
            if host and port.isdecimal():  # Ray itself would wait for many minutes
                socket.create_connection((host.strip("[]"), int(port)), 10).close()
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (OSError, OverflowError, ValueError) as error:
            raise ConnectionError(
                f"no Ray cluster at {address!r}; `ray start --head` starts one"
            ) from error
    return ray


def _call(work: Callable[..., T], task: Any, *shared: Any) -> T:
    return work(task, *shared)


def _result(ray: Any, reference: Any) -> Any:
    """What a task returned, or the error it raised."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise RuntimeError(
            f"a task was given up after its workers died {RETRIES + 1} times; what is done is kept"
        ) from error
