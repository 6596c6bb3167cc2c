"""The loop of every worker: poll, run, report, for several tasks at once, with heartbeats, until told to stop.

Threads, because what is beneath blocks: boto3 in its requests and a command in its pipes. One thread is one slot: it polls,
runs the task it gets and reports what came of it, so a worker never takes more than it can do, and nothing is shared between
slots but the flag to stop and the set of tasks in hand. What runs a task is a callable, ``run(task) -> Outcome``.

What holds: a task that was received is reported, or known to be gone, or (after ``report_seconds``, or at the end of a
shutdown while the endpoint is away) logged as lost. Step Functions retries those it was told have been terminated.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from workflow_manager.worker.backoff import LONGEST_SECONDS, Backoff
from workflow_manager.worker.limits import cut_cause, cut_error
from workflow_manager.worker.outcome import ErrorName, Failure, Outcome, Success
from workflow_manager.worker.service import ActivityGone, ActivityService, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.task import Gone, Signalled, Task

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that stop a worker; all others it is sent are only passed on to its tasks."""

LAST_REPORT_SECONDS = 4.0
"""How long results are sent again once the worker was told to stop: with the grace period, below the usual 30 s to SIGKILL."""

EMPTY_POLL_SECONDS = 1.0
"""A poll that ends sooner, without a task, was no long poll: an endpoint that answers so is not to be asked in a tight loop."""

Run = Callable[[Task], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    concurrency: int = 1
    heartbeat_seconds: float = 20.0
    report_seconds: float = 900.0
    last_report_seconds: float = LAST_REPORT_SECONDS
    longest_backoff_seconds: float = LONGEST_SECONDS


class Worker:
    """``run_until_stopped`` blocks; ``signal`` is called from other threads. One use per worker."""

    def __init__(
        self,
        service: ActivityService,
        run: Run,
        settings: LoopSettings,
        *,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._service = service
        self._run = run
        self._settings = settings
        self._log = log
        self._monotonic = monotonic
        self._jitter = jitter
        self._stopping = threading.Event()
        self._stopped_at = 0.0
        self._lock = threading.Lock()
        self._tasks: set[Task] = set()
        self._lost = 0

    def run_until_stopped(self) -> bool:
        """Register the activity and do its tasks until a signal stops the worker; answer whether no result was lost.

        Raises Refused when the activity cannot be registered.
        """
        self._register()
        slots = [
            threading.Thread(target=self._slot, name=f"slot-{number}", daemon=True)
            for number in range(self._settings.concurrency)
        ]
        for slot in slots:
            slot.start()
        self._stopping.wait()
        self._service.close_polls()
        for slot in slots:
            slot.join()
        self._log.info("worker stopped", lost_results=self._lost)
        return self._lost == 0

    def signal(self, number: int) -> None:
        """Pass a signal on to the tasks in hand; stop if it is one to stop at."""
        with self._lock:
            if number in STOPPING and not self._stopping.is_set():
                self._log.info("stopping", signal=signal.Signals(number).name, tasks=len(self._tasks))
                self._stopped_at = self._monotonic()
                self._stopping.set()
            tasks = list(self._tasks)
        for task in tasks:
            task.interrupt(Signalled(number))

    def _register(self) -> None:
        backoff = self._backoff()
        while not self._stopping.is_set():
            try:
                self._service.register()
            except Refused:
                raise
            except ServiceError as error:
                self._log.warning("cannot register the activity yet", reason=str(error))
                self._stopping.wait(backoff.next_seconds())
            else:
                self._log.info("polling", concurrency=self._settings.concurrency)
                return

    def _slot(self) -> None:
        backoff = self._backoff()
        failing = False
        while not self._stopping.is_set():
            started = self._monotonic()
            try:
                task = self._service.poll()
            except Exception as error:  # noqa: BLE001 - a slot that died would be capacity lost without a word
                if self._stopping.is_set():
                    return
                log = self._log.debug if failing else self._log.warning  # once per outage
                log("polling fails; trying again", reason=str(error) or repr(error))
                failing = True
                self._stopping.wait(backoff.next_seconds())
                if isinstance(error, ActivityGone):
                    self._register_again()
                continue
            if failing:
                self._log.info("polling works again")
                failing = False
            if task is not None:
                backoff.reset()
                self._do(task)
            elif self._monotonic() - started < EMPTY_POLL_SECONDS:
                self._stopping.wait(backoff.next_seconds())
            else:
                backoff.reset()

    def _register_again(self) -> None:
        try:
            self._service.register()
        except ServiceError as error:
            self._log.warning("the activity is gone and cannot be registered", reason=str(error))

    def _do(self, task: Task) -> None:
        log = self._log.bind(execution=task.execution_name)
        with self._lock:
            self._tasks.add(task)
            stopping = self._stopping.is_set()
        started = self._monotonic()
        try:
            with self._heartbeats(task, log):
                if stopping:
                    outcome: Outcome = Failure(
                        ErrorName.COMMAND_TERMINATED, "the worker was told to stop before it began with the task"
                    )
                else:
                    log.info("task started")
                    outcome = self._run_safely(task, log)
                self._report(task, outcome, log, started)
        finally:
            with self._lock:
                self._tasks.discard(task)

    def _run_safely(self, task: Task, log: FilteringBoundLogger) -> Outcome:
        try:
            return self._run(task)
        except Exception as error:
            log.exception("running the task failed within the worker")
            return Failure(ErrorName.UNKNOWN, f"the worker failed: {error!r}")

    @contextlib.contextmanager
    def _heartbeats(self, task: Task, log: FilteringBoundLogger) -> Iterator[None]:
        """Send heartbeats while the block runs: through reporting too, which may take long when the endpoint is away."""
        done = threading.Event()
        beats = threading.Thread(target=self._beat, args=(task, log, done), name="heartbeat", daemon=True)
        beats.start()
        try:
            yield
        finally:
            done.set()

    def _beat(self, task: Task, log: FilteringBoundLogger, done: threading.Event) -> None:
        interval = self._settings.heartbeat_seconds
        backoff = self._backoff()
        wait = interval
        while not done.wait(wait):
            try:
                self._service.heartbeat(task)
            except TaskGone as error:
                if not done.is_set():  # else it is gone because its result has been reported meanwhile
                    log.warning("the task is not waited for any more; stopping it", reason=str(error))
                    task.interrupt(Gone())
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the next beat may get through
                log.warning("a heartbeat failed", reason=str(error) or repr(error))
                wait = min(interval, backoff.next_seconds())
            else:
                backoff.reset()
                wait = interval

    def _report(self, task: Task, outcome: Outcome, log: FilteringBoundLogger, started: float) -> None:
        """Send the outcome until it is accepted or the task is gone, within a bound that shrinks when the worker stops."""
        log = log.bind(seconds=round(self._monotonic() - started, 3))
        backoff = self._backoff()
        finished = self._monotonic()
        while not task.gone:
            try:
                self._send(task, outcome)
            except TaskGone as error:
                log.warning("the task is not waited for any more; its result is dropped", reason=str(error))
                return
            except Exception as error:  # noqa: BLE001 - a result is worth every attempt
                reason = str(error) or repr(error)
                if isinstance(error, Invalid) and isinstance(outcome, Success):
                    outcome = Failure(ErrorName.TASK_OUTPUT_NOT_JSON, f"the output was refused: {reason}")
                    continue
                left = self._report_ends(finished) - self._monotonic()
                if left <= 0:
                    self._lose(log, reason)
                    return
                log.warning("the task's result could not be reported; trying again", reason=reason)
                task.wait_until_gone(min(backoff.next_seconds(), left))
            else:
                if isinstance(outcome, Success):
                    log.info("task succeeded")
                else:
                    log.info("task failed", error=cut_error(outcome.error))
                return
        log.info("task stopped; nothing to report")

    def _report_ends(self, finished: float) -> float:
        ends = finished + self._settings.report_seconds
        if not self._stopping.is_set():
            return ends
        return min(ends, max(finished, self._stopped_at) + self._settings.last_report_seconds)

    def _lose(self, log: FilteringBoundLogger, reason: str) -> None:
        log.error("the task's result could not be reported and is lost", reason=reason)
        with self._lock:
            self._lost += 1

    def _send(self, task: Task, outcome: Outcome) -> None:
        match outcome:
            case Success(output):
                self._service.succeed(task, output)
            case Failure(error, cause):
                self._service.fail(task, cut_error(error), cut_cause(cause))

    def _backoff(self) -> Backoff:
        return Backoff(longest_seconds=self._settings.longest_backoff_seconds, jitter=self._jitter)
