"""Time, handed in: the system's clock in production, a virtual one in tests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def wait(self, until: float | None, woken: asyncio.Event) -> None:
        """Return when the time is ``until`` (None: never), or ``woken`` is set, whichever comes first."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    async def wait(self, until: float | None, woken: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), None if until is None else max(0.0, until - time.time()))


class VirtualClock:
    """Time that passes only when it is told to: for tests, where a Wait of a month must not take one."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def wait(self, until: float | None, woken: asyncio.Event) -> None:
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (until if until is not None else float("inf"), reached)
        self._waiting.append(entry)
        waking: asyncio.Future[Any] = asyncio.ensure_future(woken.wait())
        try:
            if entry[0] > self._now:
                await asyncio.wait([reached, waking], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.remove(entry)
            waking.cancel()

    def advance(self, seconds: float) -> None:
        """Let time pass; whoever waited for it is woken."""
        self._now += seconds
        for until, reached in self._waiting:
            if until <= self._now and not reached.done():
                reached.set_result(None)

    def next_deadline(self) -> float | None:
        """The earliest time that someone waits for."""
        return min((until for until, _ in self._waiting if until != float("inf")), default=None)
