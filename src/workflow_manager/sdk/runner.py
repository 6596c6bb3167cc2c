"""Doing tasks by calling functions: in a thread of their own, in an event loop, or in a process of their own.

``FunctionRunner.run`` is what a worker's loop calls for every task, in the slot's thread. Like a command's runner it waits on a
mailbox into which come the function's end and every interruption of the task.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.sdk.context import Context
from workflow_manager.sdk.conversion import Convert
from workflow_manager.sdk.functions import TaskFunction, call, call_async
from workflow_manager.sdk.processes import Processes
from workflow_manager.worker.loop import STOPPING
from workflow_manager.worker.outcome import ErrorName, Failure, Outcome, Success
from workflow_manager.worker.service import ActivityService, ServiceError
from workflow_manager.worker.task import Gone, Interruption, Signalled, Task, TimedOut

CANCELLED_SECONDS = 1.0
"""How long an async function may take to end once it is cancelled."""


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome`` is None when the function was cancelled."""

    outcome: Outcome | None


Mailbox = SimpleQueue[Ended | Interruption]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRunner:
    """Runs one function. ``grace_seconds`` is how long it may go on once it should end.

    ``loop`` is where async functions run; it is called for when the first of them does.
    """

    function: TaskFunction
    service: ActivityService
    grace_seconds: float
    log: Any
    loop: Callable[[], BackgroundLoop]
    processes: Processes | None = None
    convert: Convert = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "convert", self.function.converter())

    def run(self, task: Task) -> Outcome:
        told = {"execution": task.execution_name, "state": task.state, "attempt": task.attempt}
        context = Context(
            task=self.function.name,
            workflow_id=task.execution_name,
            state=task.state,
            attempt=task.attempt,
            logger=self.log.bind(**{name: value for name, value in told.items() if value is not None}),
            beat=lambda: self._beat(task),
        )
        mailbox: Mailbox = SimpleQueue()
        if self.processes is not None:
            return self._in_process(task, context, mailbox, self.processes)
        if self.function.is_async:
            return self._in_loop(task, context, mailbox)
        return self._in_thread(task, context, mailbox)

    def _in_thread(self, task: Task, context: Context, mailbox: Mailbox) -> Outcome:
        def work() -> None:
            mailbox.put(Ended(call(self.function, self.convert, task.input, context)))

        thread = threading.Thread(target=work, name=f"task-{self.function.name}", daemon=True)
        thread.start()

        def leave() -> None:
            task.left_behind = thread

        return self._wait(task, context, mailbox, lambda _: None, leave)

    def _in_loop(self, task: Task, context: Context, mailbox: Mailbox) -> Outcome:
        def ended(future: Future[Outcome]) -> None:
            mailbox.put(Ended(None if future.cancelled() else future.result()))

        future = self.loop().submit(call_async(self.function, self.convert, task.input, context))
        future.add_done_callback(ended)

        def cancel(why: Interruption) -> None:
            if not isinstance(why, Signalled):  # a worker that stops lets it finish, as long as there is time
                future.cancel()

        def leave() -> None:
            future.cancel()
            _next(mailbox, time.monotonic() + CANCELLED_SECONDS)

        return self._wait(task, context, mailbox, cancel, leave)

    def _in_process(self, task: Task, context: Context, mailbox: Mailbox, processes: Processes) -> Outcome:
        child = processes.take()

        def work() -> None:
            mailbox.put(Ended(child.run(self.function, task.input, context)))

        threading.Thread(target=work, name=f"task-{self.function.name}", daemon=True).start()
        try:
            return self._wait(task, context, mailbox, lambda _: child.cancel(), child.kill)
        finally:
            processes.give_back(child)

    def _wait(
        self,
        task: Task,
        context: Context,
        mailbox: Mailbox,
        cancel: Callable[[Interruption], None],
        leave: Callable[[], None],
    ) -> Outcome:
        """Wait for the function's end. ``cancel`` is told of every interruption; ``leave`` gives up on the function."""
        task.subscribe(mailbox.put)
        deadline: float | None = None
        stopped: Failure | None = None
        while True:
            message = _next(mailbox, deadline)
            match message:
                case None:
                    leave()
                    assert stopped is not None
                    return stopped
                case Ended(None):
                    return stopped or Failure(ErrorName.COMMAND_TERMINATED, "the function was cancelled")
                case Ended(Success() as outcome):
                    return outcome
                case Ended(Failure() as outcome):
                    return outcome if stopped is None else Failure(stopped.error, outcome.cause or stopped.cause)
                case Signalled(number) if number not in STOPPING:
                    continue
                case Signalled(signal.SIGINT) if deadline is not None:
                    deadline = time.monotonic()  # a second Ctrl-C: a person does not want to wait
                case Gone() | TimedOut() | Signalled():
                    stopped = stopped or self._stopped(message)
                    context.cancellation.set()
                    cancel(message)
                    deadline = deadline or time.monotonic() + self.grace_seconds

    def _stopped(self, why: Interruption) -> Failure:
        match why:
            case TimedOut(seconds):
                return Failure(
                    ErrorName.TIMED_OUT, f"the task {self.function.name!r} took longer than its {seconds:g} seconds"
                )
            case _:
                return Failure(
                    ErrorName.COMMAND_TERMINATED, "the worker was told to stop, and the function did not finish"
                )

    def _beat(self, task: Task) -> None:
        try:
            self.service.heartbeat(task)
        except ServiceError as error:  # the regular ones go on, and deal with a task that is gone
            self.log.warning("a heartbeat failed", reason=str(error))


def _next(mailbox: Mailbox, deadline: float | None) -> Ended | Interruption | None:
    """The next message, or None when there is none by the deadline."""
    try:
        return mailbox.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
    except Empty:
        return None
