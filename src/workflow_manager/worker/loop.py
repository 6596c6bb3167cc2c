"""The loop of every worker: poll, run, report, for several tasks at once, with heartbeats, until told to stop.

Threads, because what is beneath blocks: boto3 in its requests and a command in its pipes. One thread is one slot: it polls,
runs the task it gets and reports what came of it, so a worker never takes more than it can do, and nothing is shared between
slots but the flag to stop, the set of tasks in hand, and the turns to poll (polling.py). What runs a task is a callable,
``run(task) -> Outcome``. A slot's thread begins when all others are at work, so that there are never more than are needed.

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
from workflow_manager.worker.observer import Observer
from workflow_manager.worker.outcome import ErrorName, Failure, Outcome, Success
from workflow_manager.worker.polling import Room, Turns
from workflow_manager.worker.service import ActivityGone, ActivityService, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.task import Gone, Signalled, Task, TimedOut

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that stop a worker; all others it is sent are only passed on to its tasks."""

LAST_REPORT_SECONDS = 4.0
"""How long results are sent again once the worker was told to stop: with the grace period, below the usual 30 s to SIGKILL."""

EMPTY_POLL_SECONDS = 1.0
"""A poll that ends sooner, without a task, was no long poll: an endpoint that answers so is not to be asked in a tight loop."""

LEFT_BEHIND_SECONDS = 0.5
"""How often a thread that was left behind is looked at."""

Run = Callable[[Task], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """``timeout_seconds``: a task that takes longer is interrupted by TimedOut; ``activity`` is for who observes."""

    activity: str = ""
    concurrency: int = 1
    timeout_seconds: float | None = None
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
        room: Room | None = None,
        observer: Observer | None = None,
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
        self._room = room or Room(settings.concurrency)
        self._turns = Turns(settings.concurrency, self._room)
        self._observer = observer or Observer()
        self._slots: list[threading.Thread] = []
        self._idle = 0  # slots without a task

    def run_until_stopped(self) -> bool:
        """Register the activity and do its tasks until a signal stops the worker; answer whether no result was lost.

        Raises Refused when the activity cannot be registered.
        """
        self._register()
        if not self._stopping.is_set():
            self._observer.registered(self._settings.activity)
            self._add_slot()
        self._stopping.wait()
        self._turns.end()
        self._service.close_polls()
        for slot in self._slots:  # none is added any more
            slot.join()
        self._log.info("worker stopped", lost_results=self._lost)
        return self._lost == 0

    @property
    def tasks_in_hand(self) -> int:
        return len(self._tasks)

    def _add_slot(self) -> None:
        """Begin a slot, unless there are enough, or the worker stops."""
        with self._lock:
            if self._idle or len(self._slots) >= self._settings.concurrency or self._stopping.is_set():
                return
            slot = threading.Thread(target=self._slot, name=f"slot-{len(self._slots)}", daemon=True)
            self._slots.append(slot)
            self._idle += 1
            slot.start()

    def signal(self, number: int) -> None:
        """Pass a signal on to the tasks in hand; stop if it is one to stop at."""
        with self._lock:
            if number in STOPPING and not self._stopping.is_set():
                self._log.info("stopping", signal=signal.Signals(number).name, tasks=len(self._tasks))
                self._stopped_at = self._monotonic()
                self._stopping.set()
                self._observer.stopping()
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
        while self._turns.begin():
            started = self._monotonic()
            task: Task | None = None
            try:
                task = self._service.poll()
            except Exception as error:  # noqa: BLE001 - a slot that died would be capacity lost without a word
                if self._stopping.is_set():
                    return
                self._observer.polled(self._settings.activity, "failed")
                log = self._log.debug if failing else self._log.warning  # once per outage
                log("polling fails; trying again", reason=str(error) or repr(error))
                failing = True
                self._stopping.wait(backoff.next_seconds())
                if isinstance(error, ActivityGone):
                    self._register_again()
                continue
            finally:
                self._turns.finish(found=task is not None)
            self._observer.polled(self._settings.activity, "empty" if task is None else "task")
            if failing:
                self._log.info("polling works again")
                failing = False
            if task is not None:
                backoff.reset()
                self._at_work(task)
            elif self._monotonic() - started < EMPTY_POLL_SECONDS:
                self._stopping.wait(backoff.next_seconds())
            else:
                backoff.reset()

    def _at_work(self, task: Task) -> None:
        with self._lock:
            self._idle -= 1
        self._add_slot()
        try:
            self._do(task)
        finally:
            with self._lock:
                self._idle += 1

    def _register_again(self) -> None:
        try:
            self._service.register()
        except ServiceError as error:
            self._log.warning("the activity is gone and cannot be registered", reason=str(error))

    def _do(self, task: Task) -> None:
        told = {"state": task.state, "attempt": task.attempt}
        log = self._log.bind(execution=task.execution_name, **{name: value for name, value in told.items() if value})
        with self._lock:
            self._tasks.add(task)
            stopping = self._stopping.is_set()
        self._observer.began(self._settings.activity)
        started = self._monotonic()
        ended = "lost"
        try:
            with self._heartbeats(task, log):
                self._room.take(self._stopping)
                try:
                    if stopping or self._stopping.is_set():
                        outcome: Outcome = Failure(
                            ErrorName.COMMAND_TERMINATED, "the worker was told to stop before it began with the task"
                        )
                    else:
                        log.info("task started")
                        with self._time_limit(task):
                            outcome = self._run_safely(task, log)
                    ended = self._report(task, outcome, log, started)
                    self._outlive(task)
                finally:
                    self._room.give_back()
        finally:
            with self._lock:
                self._tasks.discard(task)
            self._observer.ended(self._settings.activity, ended, self._monotonic() - started)

    def _outlive(self, task: Task) -> None:
        """Keep the slot while a thread that could not be stopped still works on a task that is done with."""
        while task.left_behind is not None and task.left_behind.is_alive() and not self._stopping.is_set():
            task.left_behind.join(LEFT_BEHIND_SECONDS)

    @contextlib.contextmanager
    def _time_limit(self, task: Task) -> Iterator[None]:
        seconds = self._settings.timeout_seconds
        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds, task.interrupt, (TimedOut(seconds),))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

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
                self._observer.beat(self._settings.activity, accepted=False)
                if not done.is_set():  # else it is gone because its result has been reported meanwhile
                    log.warning("the task is not waited for any more; stopping it", reason=str(error))
                    task.interrupt(Gone())
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the next beat may get through
                self._observer.beat(self._settings.activity, accepted=False)
                log.warning("a heartbeat failed", reason=str(error) or repr(error))
                wait = min(interval, backoff.next_seconds())
            else:
                self._observer.beat(self._settings.activity, accepted=True)
                backoff.reset()
                wait = interval

    def _report(self, task: Task, outcome: Outcome, log: FilteringBoundLogger, started: float) -> str:
        """Send the outcome until it is accepted or the task is gone, within a bound that shrinks when the worker stops.

        Answers what became of the task, in the words of an Observer.
        """
        log = log.bind(seconds=round(self._monotonic() - started, 3))
        backoff = self._backoff()
        finished = self._monotonic()
        while not task.gone:
            try:
                self._send(task, outcome)
            except TaskGone as error:
                log.warning("the task is not waited for any more; its result is dropped", reason=str(error))
                return "gone"
            except Exception as error:  # noqa: BLE001 - a result is worth every attempt
                reason = str(error) or repr(error)
                if isinstance(error, Invalid) and isinstance(outcome, Success):
                    outcome = Failure(ErrorName.TASK_OUTPUT_NOT_JSON, f"the output was refused: {reason}")
                    continue
                left = self._report_ends(finished) - self._monotonic()
                if left <= 0:
                    self._lose(log, reason)
                    return "lost"
                log.warning("the task's result could not be reported; trying again", reason=reason)
                task.wait_until_gone(min(backoff.next_seconds(), left))
            else:
                if isinstance(outcome, Success):
                    log.info("task succeeded")
                    return "succeeded"
                log.info("task failed", error=cut_error(outcome.error))
                return "terminated" if outcome.error == ErrorName.COMMAND_TERMINATED else "failed"
        log.info("task stopped; nothing to report")
        return "gone"

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
