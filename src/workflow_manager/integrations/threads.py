"""Blocking work in threads: a bounded number at once, and none that keeps the process from ending.

(An executor's threads are waited for when the interpreter ends, and a call of a service or function may take long.)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """``limit``: how many work at once; more wait. One that nobody waits for any more still counts until it is done."""

    def __init__(self, limit: int, name: str) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def finish(set_outcome: Callable[[Any], None], outcome: Any) -> None:
            self._slots.release()
            if not done.done():
                set_outcome(outcome)

        def thread() -> None:
            set_outcome: Callable[[Any], None]
            try:
                outcome: Any = work()
                set_outcome = done.set_result
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                outcome = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
                set_outcome = done.set_exception
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(finish, set_outcome, outcome)

        try:
            threading.Thread(target=thread, name=self._name, daemon=True).start()
        except RuntimeError:
            self._slots.release()
            raise
        return await done
