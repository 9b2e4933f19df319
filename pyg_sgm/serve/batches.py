"""Searches that come at almost the same time go through the index together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

Question = TypeVar("Question")
Options = TypeVar("Options", bound=Hashable)
Answer = TypeVar("Answer")


class Busy(RuntimeError):
    """More questions wait than will be answered soon."""


@dataclass
class _Asked(Generic[Question, Options, Answer]):
    question: Question
    options: Options
    answer: asyncio.Future[Answer]


class Batches(Generic[Question, Options, Answer]):
    """Collects questions for a few milliseconds and answers those of equal options in one call, on
    one thread of its own, where torch computes with one thread.

    A question that fails alone fails alone: the others of its batch are asked again without it.

    Args:
        answer (callable): Takes questions and their options and gives an answer to each.
        window (float, optional): Seconds that the first question waits for others. (default:
            :obj:`0.002`)
        most (int, optional): Questions of one call. (default: :obj:`32`)
        waiting (int, optional): Questions that may wait; one more is refused. (default:
            :obj:`512`)

    Example:
        >>> async def ask_two():
        ...     async with Batches(lambda numbers, by: [n * by for n in numbers]) as batches:
        ...         return await asyncio.gather(batches.ask(2, 10), batches.ask(3, 10))
        >>> asyncio.run(ask_two())
        [20, 30]
    """

    def __init__(
        self,
        answer: Callable[[list[Question], Options], Sequence[Answer]],
        window: float = 0.002,
        most: int = 32,
        waiting: int = 512,
    ) -> None:
        self._answer, self._window, self._most = answer, window, most
        self._queue: asyncio.Queue[_Asked[Question, Options, Answer]] = asyncio.Queue(waiting)
        self.thread = ThreadPoolExecutor(
            1, "search", initializer=torch.set_num_threads, initargs=(1,)
        )
        self.sizes: Callable[[int], None] = lambda size: None

    async def __aenter__(self) -> Batches[Question, Options, Answer]:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._queue.join()
        self._task.cancel()
        self.thread.shutdown()

    @property
    def num_waiting(self) -> int:
        """Questions that wait."""
        return self._queue.qsize()

    async def ask(self, question: Question, options: Options) -> Answer:
        """The answer to one question.

        Args:
            question (Question): The question.
            options (Options): What it shares with others that it may be asked with.

        Raises:
            Busy: If too many wait.
        """
        asked = _Asked(question, options, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(asked)
        except asyncio.QueueFull:
            raise Busy("too many searches wait") from None
        return await asked.answer

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(self._window)
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            groups: dict[Options, list[_Asked[Question, Options, Answer]]] = defaultdict(list)
            for asked in batch:
                if not asked.answer.cancelled():  # who asked is gone
                    groups[asked.options].append(asked)
            for group in groups.values():
                await self._settle(group)
            for _ in batch:
                self._queue.task_done()

    async def _settle(self, group: list[_Asked[Question, Options, Answer]]) -> None:
        questions = [asked.question for asked in group]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(
                self.thread, self._answer, questions, group[0].options
            )
            self.sizes(len(group))
        except Exception as error:
            if len(group) > 1:
                for asked in group:
                    await self._settle([asked])
            elif not group[0].answer.done():
                group[0].answer.set_exception(error)
            return
        for asked, answer in zip(group, answers, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(answer)
