"""Blocking calls from an event loop: a bounded number of threads, and a bounded number of calls that wait for one.

More than that is refused at once. A queue without a bound only makes every caller wait for what nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from workflow_manager.deadline import begin_call

T = TypeVar("T")

ENDING = "the server stops"


class NoThread(Exception):
    """The call was not begun, and never will be. The message says why: too many wait, or the threads are being ended."""


class Threads:
    """Runs at most ``threads`` calls at a time, with at most ``queue`` more waiting."""

    def __init__(self, threads: int, queue: int, name: str) -> None:
        self._threads = threads
        self._queue = queue
        self._executor = ThreadPoolExecutor(threads, name)
        self._lock = threading.Lock()
        self._inside = 0

    @property
    def inside(self) -> int:
        """How many calls run or wait."""
        return self._inside

    async def run(self, call: Callable[[], T]) -> T:
        """What the call returns or raises. A caller that gives up takes along a call that has not begun.

        Raises NoThread, with nothing done.
        """
        with self._lock:
            if self._inside >= self._threads + self._queue:
                raise NoThread(f"{self._queue} calls wait for one of {self._threads} threads already")
            self._inside += 1
        outcome: Future[T] = Future()
        try:
            # in the caller's context: its request's id is in what a thread logs, its span is the parent of the call's
            carrying_out = self._executor.submit(copy_context().run, self._carry_out, outcome, call)
        except RuntimeError:  # the executor's, once it was shut down
            self._leave()
            raise NoThread(ENDING) from None
        carrying_out.add_done_callback(lambda done: _drop(outcome) if done.cancelled() else None)
        return await asyncio.wrap_future(outcome)

    def shutdown(self, *, wait: bool) -> None:
        """Take no more calls; those that wait are refused, and those that run are waited for if so told."""
        self._executor.shutdown(wait=wait, cancel_futures=True)

    def _carry_out(self, outcome: Future[T], call: Callable[[], T]) -> None:
        # a call that was given up counts until a thread has come to it: the executor holds it as long
        if not outcome.set_running_or_notify_cancel():
            self._leave()
            return
        begin_call()
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self._leave()  # first: who is told that a call has ended finds room for another
            outcome.set_exception(error)
        else:
            self._leave()
            outcome.set_result(result)

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1


def _drop(outcome: Future[T]) -> None:
    if outcome.set_running_or_notify_cancel():
        outcome.set_exception(NoThread(ENDING))
