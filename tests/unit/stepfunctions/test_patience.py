"""Deadlines of waiting tasks, kept by one timer."""

from __future__ import annotations

import asyncio

import pytest

from workflow_manager.stepfunctions.patience import Patience


async def wait(patience: Patience, event: asyncio.Event) -> str:
    task = patience.begin()
    try:
        await event.wait()
    except asyncio.CancelledError:
        if not patience.ran_out(task):
            raise
        return "ran out"
    finally:
        patience.end(task)
    return "came"


async def test_a_wait_ends_at_its_deadline() -> None:
    assert await wait(Patience(0.01), asyncio.Event()) == "ran out"


async def test_waits_after_a_deadline_have_their_own() -> None:
    patience = Patience(0.01)

    assert [await wait(patience, asyncio.Event()) for _ in range(3)] == ["ran out"] * 3


async def test_a_task_goes_on_after_its_deadline() -> None:
    """The cancellation is used up: what the task awaits next is not cancelled."""
    patience = Patience(0.01)

    async def go_on() -> bool:
        await wait(patience, asyncio.Event())
        await asyncio.sleep(0.05)
        return True

    assert await asyncio.create_task(go_on())


async def test_what_comes_in_time_is_not_disturbed() -> None:
    patience, event = Patience(0.02), asyncio.Event()
    event.set()

    assert await wait(patience, event) == "came"
    await asyncio.sleep(0.05)  # the sweep finds nothing to end


async def test_a_cancellation_by_others_passes() -> None:
    patience = Patience(60)
    waiting = asyncio.create_task(wait(patience, asyncio.Event()))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancellation_by_others_at_the_deadline_passes() -> None:
    patience = Patience(0.0)
    waiting = asyncio.create_task(wait(patience, asyncio.Event()))
    await asyncio.sleep(0)

    patience._sweep(asyncio.get_running_loop())
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
