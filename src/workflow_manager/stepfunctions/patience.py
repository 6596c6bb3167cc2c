"""How long slow clients are waited for: a deadline per task, kept by one timer.

``asyncio.timeout`` makes and drops a timer each time, which is half of what the wire adds to a request. Here a deadline is an
entry in a table that is looked through once a second while it has entries, so it is met up to a second late.
"""

from __future__ import annotations

import asyncio

SWEEP_SECONDS = 1.0


class Patience:
    """Cancels tasks that have been waiting for more than ``seconds``. Belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadlines: dict[asyncio.Task[object], float] = {}
        self._sweeping = False

    def begin(self) -> asyncio.Task[object]:
        """The current task waits from now on, until ``end``, which must follow."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._deadlines[task] = loop.time() + self.seconds
        if not self._sweeping:
            self._sweep_later(loop)
        return task

    def ran_out(self, task: asyncio.Task[object]) -> bool:
        """Whether the CancelledError that this task has met comes from its deadline alone, and so ends here."""
        return task not in self._deadlines and task.uncancel() == 0

    def end(self, task: asyncio.Task[object]) -> None:
        self._deadlines.pop(task, None)

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = True
        loop.call_later(min(SWEEP_SECONDS, self.seconds), self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[task]
            task.cancel()
        self._sweeping = False
        if self._deadlines:
            self._sweep_later(loop)
