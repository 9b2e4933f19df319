"""Who holds parts of something, and answers questions about them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol


class Keeper(Protocol):
    """Holds parts of something."""

    def answer(self, part: int, question: Any) -> Any:
        """The answer to a question about a part.

        Args:
            part (int): Number of the part.
            question (Any): The question.
        """


class Keepers(Protocol):
    """Keepers, each with parts of its own."""

    def ask(
        self, parts: Iterable[int], question: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        """Asks about parts; gives the number of each with the answer, in any order.

        Args:
            parts (list of int): Numbers of the parts.
            question (callable): The question about a part. It is called when the keeper of the part
                is free, so it may depend on answers that came before.
        """


class OneKeeper:
    """A keeper in this process, which answers one question after the other.

    Args:
        keeper (Keeper): The keeper.

    Example:
        >>> class Words:
        ...     def answer(self, part, question):
        ...         return ("a dog", "a cat")[part].count(question)
        >>> list(OneKeeper(Words()).ask([0, 1], lambda part: "a"))
        [(0, 1), (1, 2)]
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def ask(
        self, parts: Iterable[int], question: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        """See :meth:`Keepers.ask`.

        Args:
            parts (list of int): See there.
            question (callable): See there.
        """
        for part in parts:
            yield part, self._keeper.answer(part, question(part))
