"""Blocking work in a bounded number of threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from workflow_manager.integrations.threads import Threads


async def test_what_work_returns_and_raises() -> None:
    threads = Threads(1, "test")

    assert await threads.run(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    assert await threads.run(lambda: 2) == 2, "a failure leaves its place to the next"


async def test_exits_and_interrupts_are_errors_of_the_work() -> None:
    def ends() -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        await Threads(1, "test").run(ends)


async def test_work_that_nobody_waits_for_counts_until_it_is_done() -> None:
    threads, go, begun = Threads(1, "test"), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)

    first = asyncio.create_task(threads.run(work))
    await asyncio.to_thread(begun.wait, 5)
    first.cancel()
    second = asyncio.create_task(threads.run(lambda: "second"))
    await asyncio.sleep(0.01)
    assert not second.done()

    go.set()
    assert await second == "second"
    assert first.cancelled()
