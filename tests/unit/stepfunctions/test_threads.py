"""Blocking calls in a bounded number of threads, with a bounded number that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from workflow_manager.threads import NoThread, Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(2, 3, "test")
    yield threads
    threads.shutdown(wait=True)


async def test_results_and_errors_come_through(threads: Threads) -> None:
    assert await threads.run(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert threads.inside == 0


async def test_what_is_more_than_runs_and_waits_is_refused_at_once(threads: Threads) -> None:
    go_on = threading.Event()
    taken = [asyncio.ensure_future(threads.run(go_on.wait)) for _ in range(5)]
    await asyncio.sleep(0)

    with pytest.raises(NoThread, match=r"^3 calls wait for one of 2 threads already$"):
        await threads.run(go_on.wait)

    assert threads.inside == 5
    go_on.set()
    assert await asyncio.gather(*taken) == [True] * 5
    assert await threads.run(lambda: "and then there is room") == "and then there is room"


async def test_a_call_that_was_given_up_is_not_begun_but_keeps_its_place_until_then(threads: Threads) -> None:
    """Callers that come and give up cannot make the queue longer than it may be."""
    go_on, begun = threading.Event(), []
    running = [asyncio.ensure_future(threads.run(go_on.wait)) for _ in range(2)]
    waiting = [asyncio.ensure_future(threads.run(lambda: begun.append(1))) for _ in range(3)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    with pytest.raises(NoThread):
        await threads.run(go_on.wait)

    go_on.set()
    await asyncio.gather(*running)
    assert await threads.run(lambda: "room") == "room"
    assert begun == []


async def test_shutting_down_refuses_what_waits_and_what_comes() -> None:
    threads, go_on = Threads(1, 5, "test"), threading.Event()
    running = asyncio.ensure_future(threads.run(go_on.wait))
    waiting = asyncio.ensure_future(threads.run(go_on.wait))
    await asyncio.sleep(0)

    threads.shutdown(wait=False)

    with pytest.raises(NoThread, match=r"^the server stops$"):
        await waiting
    with pytest.raises(NoThread, match=r"^the server stops$"):
        await threads.run(go_on.wait)
    go_on.set()
    assert await running
