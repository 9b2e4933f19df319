import asyncio
import threading

import pytest

pytest.importorskip("fastapi")

import torch

from pyg_sgm.serve.batches import Batches, Busy


def test_what_comes_together_is_asked_together() -> None:
    calls: list[tuple[list[int], str]] = []

    def answer(questions: list[int], options: str) -> list[str]:
        calls.append((questions, options))
        assert torch.get_num_threads() == 1
        return [f"{options}{question}" for question in questions]

    async def ask() -> list[str]:
        async with Batches(answer, window=0.05) as batches:
            return await asyncio.gather(*(batches.ask(i, "ab"[i % 2]) for i in range(6)))

    assert asyncio.run(ask()) == ["a0", "b1", "a2", "b3", "a4", "b5"]
    assert sorted(calls) == [([0, 2, 4], "a"), ([1, 3, 5], "b")]


def test_one_that_fails_fails_alone() -> None:
    def answer(questions: list[int], options: None) -> list[int]:
        if 2 in questions:
            raise ValueError("not two")
        return questions

    async def ask() -> list[object]:
        async with Batches(answer, window=0.05) as batches:
            asked = [batches.ask(i, None) for i in range(4)]
            return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(ask())
    assert [found[0], found[1], found[3]] == [0, 1, 3]
    assert isinstance(found[2], ValueError)


def test_too_many_are_refused_and_who_left_is_not_answered() -> None:
    busy, go_on, seen = threading.Event(), threading.Event(), []

    def answer(questions: list[int], options: None) -> list[int]:
        busy.set()
        go_on.wait(20)
        seen.extend(questions)
        return questions

    async def ask() -> None:
        async with Batches(answer, window=0.0, waiting=2) as batches:
            first = asyncio.create_task(batches.ask(0, None))
            while not busy.is_set():
                await asyncio.sleep(0.01)
            later = [asyncio.create_task(batches.ask(i, None)) for i in (1, 2)]
            await asyncio.sleep(0.01)
            assert batches.num_waiting == 2
            with pytest.raises(Busy):
                await batches.ask(3, None)
            later[0].cancel()
            await asyncio.sleep(0.01)
            go_on.set()
            assert (await first, await later[1]) == (0, 2)

    asyncio.run(ask())
    assert seen == [0, 2]


def test_it_ends_when_all_are_answered() -> None:
    async def ask() -> int:
        async with Batches(lambda questions, options: questions, window=0.05) as batches:
            task = asyncio.create_task(batches.ask(7, None))
            await asyncio.sleep(0)
        return await task

    assert asyncio.run(ask()) == 7
