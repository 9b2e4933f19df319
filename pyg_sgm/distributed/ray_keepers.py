"""Keepers that are actors of a Ray cluster."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pyg_sgm.distributed.keepers import Keeper
from pyg_sgm.distributed.ray_pool import open_ray

RETRIES = 2  # of a question whose keeper died, by Ray itself
AGAIN = 60.0  # seconds in which a keeper that cannot be reached is asked again
PATIENCE = 300.0  # seconds without any answer, after which keepers are given up


class RayKeepers:
    """Actors of a Ray cluster (extra ``ray``), one for each core that it has, at most one for each
    part. One whose worker or node dies is started again elsewhere and asked once more.

    Args:
        address (str): See :class:`RayPool`.
        names (list of str): What each part is called, for messages.
        kind (type): Class of the keepers; it is found by its name on all nodes.
        *arguments: What each of them is made with.

    Raises:
        ImportError: If Ray is not installed.
        ConnectionError: If there is no cluster at the address.
    """

    def __init__(
        self, address: str, names: Sequence[str], kind: Callable[..., Keeper], *arguments: Any
    ) -> None:
        self._ray = ray = open_ray(address)
        self._names = names
        # What an actor is made with would be lost with the node that made it, so that it could not
        # be started again elsewhere: it comes with each question, as the name of what lies in the
        # object store as long as it is named.
        self._made = [ray.put((kind, *arguments))]
        # An actor needs a core to be put on a node, and none to stay there.
        remote = ray.remote(
            max_restarts=-1, max_task_retries=RETRIES, scheduling_strategy="SPREAD"
        )(_Keeping)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._actors = [remote.remote() for _ in range(min(cores, len(names)))]

    def ask(
        self, parts: Iterable[int], question: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        """See :meth:`Keepers.ask`.

        Args:
            parts (list of int): See there.
            question (callable): See there.

        Raises:
            RuntimeError: Naming the part, if its keeper died again and again or does not answer.
        """
        waiting: list[deque[int]] = [deque() for _ in self._actors]
        for part in parts:
            waiting[part % len(self._actors)].append(part)
        asked: dict[Any, int] = {}

        def ask_next(number: int) -> None:
            if waiting[number]:
                part = waiting[number].popleft()
                reference = self._actors[number].answer.remote(self._made, part, question(part))
                asked[reference] = part

        for number in range(len(self._actors)):
            ask_next(number)
        last = time.monotonic()
        failed: dict[int, float] = {}
        while asked:
            left = last + PATIENCE - time.monotonic()
            answered, _ = self._ray.wait(list(asked), timeout=max(left, 0))
            if not answered:
                late = ", ".join(self._names[part] for part in asked.values())
                raise RuntimeError(f"no answer within {PATIENCE:.0f} seconds from {late}")
            part = asked.pop(answered[0])
            number = part % len(self._actors)
            try:
                answer = self._answer(answered[0], part)
            except self._ray.exceptions.ActorUnavailableError as error:
                # That a node is gone is known after a while; then its actors are elsewhere.
                if time.monotonic() - failed.setdefault(part, time.monotonic()) >= AGAIN:
                    raise self._given_up(part, error) from error
                time.sleep(0.5)
                waiting[number].appendleft(part)
            else:
                yield part, answer
                last = time.monotonic()
            ask_next(number)

    def _answer(self, reference: Any, part: int) -> Any:
        """What a keeper answered, or the error it raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.ActorUnavailableError:
            raise
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise self._given_up(part, error) from error

    def _given_up(self, part: int, error: Exception) -> RuntimeError:
        said = str(error).strip().split("\n")[0]
        return RuntimeError(f"{self._names[part]}: no answer from its keeper: {said}")


class _Keeping:
    """A keeper in its actor, made when it is first asked."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None

    def answer(self, made: list[Any], part: int, question: Any) -> Any:
        if self._keeper is None:
            import ray

            ((kind, *arguments),) = ray.get(made)
            if "torch" in sys.modules:  # what keeps words alone need not wait for it
                sys.modules["torch"].set_num_threads(1)
            self._keeper = kind(*arguments)
        return self._keeper.answer(part, question)
