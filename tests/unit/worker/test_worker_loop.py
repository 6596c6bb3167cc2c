"""The loop: polling, reporting, heartbeats and stopping, over an activity in memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from queue import Queue, SimpleQueue
from typing import Any

import pytest
from worker_fakes import PATIENCE, FakeActivity, logger

from workflow_manager.worker.limits import MAX_CAUSE, MAX_ERROR
from workflow_manager.worker.loop import LoopSettings, Worker
from workflow_manager.worker.outcome import Failure, Outcome, Success
from workflow_manager.worker.service import ActivityGone, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.task import Gone, Interruption, Signalled, Task

NEVER = 600.0


class Time:
    """A monotonic clock: with ``step``, every look at it is that many seconds later than the one before."""

    def __init__(self, step: float = 0.0) -> None:
        self._now = 0.0
        self._step = step
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self._now += self._step
            return self._now


class Loop:
    """A worker in a thread over a fake activity."""

    def __init__(
        self,
        run: Callable[[Task], Outcome],
        activity: FakeActivity,
        time: Time,
        jitter: Callable[[], float],
        **settings: Any,
    ) -> None:
        log, self.log = logger()
        defaults = {"heartbeat_seconds": NEVER, "longest_backoff_seconds": 0.001}
        self.worker = Worker(
            activity, run, LoopSettings(**(defaults | settings)), log=log, monotonic=time, jitter=jitter
        )
        self._results: list[bool] = []
        self._thread = threading.Thread(
            target=lambda: self._results.append(self.worker.run_until_stopped()), daemon=True
        )
        self._thread.start()

    def stop(self, number: int = signal.SIGTERM) -> bool:
        self.worker.signal(number)
        return self.wait()

    def wait(self) -> bool:
        self._thread.join(PATIENCE)
        assert self._results, "the worker has not stopped"
        return self._results[0]

    def events(self, level: str) -> list[str]:
        return [entry["event"] for entry in self.log.entries if entry["log_level"] == level]


class Handing:
    """A ``run`` whose tasks the test finishes itself."""

    def __init__(self) -> None:
        self.started: Queue[Task] = Queue()
        self.interruptions: Queue[Interruption] = Queue()
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()

    def __call__(self, task: Task) -> Outcome:
        task.subscribe(self.interruptions.put)
        self.started.put(task)
        return self._outcomes.get(timeout=PATIENCE)

    def begun(self) -> Task:
        return self.started.get(timeout=PATIENCE)

    def finish(self, outcome: Outcome | None = None) -> None:
        self._outcomes.put(outcome or Success("{}"))


Start = Callable[..., Loop]


@pytest.fixture
def activity() -> FakeActivity:
    return FakeActivity()


@pytest.fixture
def start(activity: FakeActivity) -> Iterator[Start]:
    """Start a loop; it is stopped at the end, whatever the test has done."""
    loops: list[Loop] = []

    def start_loop(
        run: Callable[[Task], Outcome],
        time: Time | None = None,
        jitter: Callable[[], float] = lambda: 0.0,
        **settings: Any,
    ) -> Loop:
        loops.append(Loop(run, activity, time or Time(), jitter, **settings))
        return loops[-1]

    yield start_loop
    for loop in loops:
        loop.worker.signal(signal.SIGTERM)


def report(activity: FakeActivity) -> tuple[str, ...]:
    return activity.reports.get(timeout=PATIENCE)


def echo(task: Task) -> Outcome:
    return Success(task.input)


@pytest.mark.parametrize(
    ("outcome", "reported"),
    [
        pytest.param(Success('{"a":1}'), ("succeeded", "t", '{"a":1}'), id="success"),
        pytest.param(Failure("E", "c"), ("failed", "t", "E", "c"), id="failure"),
        pytest.param(
            Failure("e" * 300, "x" + "c" * MAX_CAUSE),
            ("failed", "t", "e" * MAX_ERROR, "c" * MAX_CAUSE),
            id="texts are cut to their limits",
        ),
    ],
)
def test_the_outcome_of_a_task_is_reported(
    activity: FakeActivity, start: Start, outcome: Outcome, reported: tuple[str, ...]
) -> None:
    loop = start(lambda _: outcome)
    activity.offer("t")

    assert report(activity) == reported
    assert loop.stop() is True


def test_tasks_follow_each_other_without_a_pause(activity: FakeActivity, start: Start) -> None:
    for number in range(200):
        activity.offer(f"t{number}", f'{{"n":{number}}}')
    loop = start(echo, longest_backoff_seconds=NEVER)

    assert [report(activity) for _ in range(200)] == [("succeeded", f"t{n}", f'{{"n":{n}}}') for n in range(200)]
    assert loop.stop() is True


def test_as_many_tasks_run_at_once_as_there_are_slots(activity: FakeActivity, start: Start) -> None:
    run = Handing()
    loop = start(run, concurrency=3)
    for number in range(4):
        activity.offer(f"t{number}")

    assert {run.begun().token for _ in range(3)} == {"t0", "t1", "t2"}
    assert run.started.empty()
    run.finish()
    assert run.begun().token == "t3"
    for _ in range(3):
        run.finish()
    assert {report(activity)[1] for _ in range(4)} == {"t0", "t1", "t2", "t3"}
    assert loop.stop() is True


def test_a_fault_in_running_fails_the_task(activity: FakeActivity, start: Start) -> None:
    def run(_: Task) -> Outcome:
        raise RuntimeError("a fault")

    start(run)
    activity.offer("t")

    assert report(activity) == ("failed", "t", "sfncli.Unknown", "the worker failed: RuntimeError('a fault')")


class TestEndpointAway:
    def test_registering_waits_for_the_endpoint(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("register", ServiceError("refused"), ServiceError("refused"))
        loop = start(echo)
        activity.offer("t")

        assert report(activity)[:2] == ("succeeded", "t")
        assert activity.calls["register"] == 3
        assert loop.stop() is True

    def test_a_worker_that_waits_for_the_endpoint_can_be_stopped(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_always("register", ServiceError("refused"))
        loop = start(echo, longest_backoff_seconds=NEVER)

        assert loop.stop() is True
        assert activity.calls["poll"] == 0

    def test_a_registration_that_is_refused_ends_the_worker(self, activity: FakeActivity) -> None:
        activity.fail_next("register", Refused("InvalidName: no"))
        worker = Worker(activity, echo, LoopSettings(), log=logger()[0])

        with pytest.raises(Refused, match="InvalidName"):
            worker.run_until_stopped()

    @pytest.mark.parametrize(
        "error",
        [ServiceError("away"), Refused("AccessDenied"), RuntimeError("a fault")],
        ids=["away", "refused", "fault"],
    )
    def test_polling_survives_errors_and_says_so_once(
        self, activity: FakeActivity, start: Start, error: Exception
    ) -> None:
        activity.fail_next("poll", error, error, error)
        loop = start(echo)
        activity.offer("t")

        assert report(activity)[:2] == ("succeeded", "t")
        assert loop.stop() is True
        assert loop.events("warning") == ["polling fails; trying again"]
        assert "polling works again" in loop.events("info")

    def test_an_activity_that_is_gone_is_registered_again(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("poll", ActivityGone("gone"), ActivityGone("gone"))
        loop = start(echo)
        activity.offer("t")

        assert report(activity)[:2] == ("succeeded", "t")
        assert activity.calls["register"] == 3
        assert loop.stop() is True

    def test_polls_that_end_at_once_are_not_repeated_in_a_tight_loop(
        self, activity: FakeActivity, start: Start
    ) -> None:
        start(echo, jitter=lambda: 1e6)  # which makes the wait after the first poll endless
        activity.end_poll()

        assert activity.idle.acquire(timeout=PATIENCE)
        assert not activity.idle.acquire(timeout=0.05)

    def test_long_polls_are_repeated_at_once(self, activity: FakeActivity, start: Start) -> None:
        start(echo, Time(step=60.0), longest_backoff_seconds=NEVER)
        for _ in range(50):
            activity.end_poll()

        assert all(activity.idle.acquire(timeout=PATIENCE) for _ in range(50))


class TestReporting:
    @pytest.mark.parametrize("outcome", [Success("{}"), Failure("E", "c")], ids=["success", "failure"])
    def test_a_result_is_sent_again_until_it_is_accepted(
        self, activity: FakeActivity, start: Start, outcome: Outcome
    ) -> None:
        method = "succeed" if isinstance(outcome, Success) else "fail"
        activity.fail_next(method, ServiceError("away"), Refused("ExpiredToken"), RuntimeError("a fault"))
        loop = start(lambda _: outcome)
        activity.offer("t")

        assert report(activity)[1] == "t"
        assert activity.calls[method] == 4
        assert loop.stop() is True

    def test_a_result_nobody_waits_for_is_dropped(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("succeed", ServiceError("away"), TaskGone("TaskTimedOut"))
        loop = start(echo)
        activity.offer("t1")
        activity.offer("t2")

        assert report(activity)[1] == "t2"
        assert loop.stop() is True

    def test_an_output_that_is_refused_fails_the_task(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("succeed", Invalid("ValidationException: too long"))
        start(echo)
        activity.offer("t")

        assert report(activity) == (
            "failed", "t", "sfncli.TaskOutputNotJSON", "the output was refused: ValidationException: too long",
        )  # fmt: skip

    def test_a_result_is_given_up_after_a_while(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_always("succeed", ServiceError("away"))
        loop = start(echo, Time(step=60.0), report_seconds=300.0)
        activity.offer("t")
        while "the task's result could not be reported and is lost" not in loop.events("error"):
            assert activity.idle.acquire(timeout=PATIENCE)  # the slot polls again once it has given up

        assert 2 <= activity.calls["succeed"] <= 6
        assert loop.stop() is False

    def test_a_worker_that_stops_gives_up_sooner(self, activity: FakeActivity, start: Start) -> None:
        run = Handing()
        activity.fail_always("succeed", ServiceError("away"))
        loop = start(run, Time(step=1.0), report_seconds=1e9, last_report_seconds=4.0)
        activity.offer("t")
        run.begun()
        loop.worker.signal(signal.SIGTERM)
        run.finish()

        assert loop.wait() is False
        assert activity.calls["succeed"] <= 5


class TestHeartbeats:
    def test_they_are_sent_while_a_task_runs(self, activity: FakeActivity, start: Start) -> None:
        run = Handing()
        start(run, heartbeat_seconds=0.001)
        activity.offer("t")
        run.begun()

        assert [activity.beats.get(timeout=PATIENCE) for _ in range(3)] == ["t", "t", "t"]
        run.finish()
        assert report(activity)[0] == "succeeded"

    def test_they_are_sent_while_a_result_cannot_be_reported(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_always("succeed", ServiceError("away"))
        start(echo, heartbeat_seconds=0.001)
        activity.offer("t")

        assert activity.beats.get(timeout=PATIENCE) == "t"

    def test_errors_do_not_end_them(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("heartbeat", ServiceError("away"), RuntimeError("a fault"))
        run = Handing()
        start(run, heartbeat_seconds=0.001)
        activity.offer("t")
        run.begun()

        assert activity.beats.get(timeout=PATIENCE) == "t"
        run.finish()

    def test_a_failed_one_is_repeated_sooner_than_the_interval(self, activity: FakeActivity, start: Start) -> None:
        """So that one lost request does not cost the task its heartbeat timeout."""
        activity.fail_next("heartbeat", ServiceError("away"))
        backed_off = threading.Event()
        run = Handing()
        start(run, jitter=lambda: float(backed_off.set() is not None), heartbeat_seconds=0.02)
        activity.offer("t")
        run.begun()

        assert activity.beats.get(timeout=PATIENCE) == "t"
        assert backed_off.is_set()
        run.finish()

    def test_a_task_that_is_gone_is_interrupted_and_not_reported(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_next("heartbeat", TaskGone("TaskTimedOut"))
        run = Handing()
        loop = start(run, heartbeat_seconds=0.001)
        activity.offer("t1")
        run.begun()
        assert run.interruptions.get(timeout=PATIENCE) == Gone()
        run.finish(Failure("sfncli.CommandTerminated", ""))
        activity.offer("t2")
        run.begun()
        run.finish()

        assert report(activity) == ("succeeded", "t2", "{}")
        assert loop.stop() is True
        assert activity.calls["fail"] == 0

    def test_a_result_is_not_sent_again_once_the_task_is_gone(self, activity: FakeActivity, start: Start) -> None:
        activity.fail_always("succeed", ServiceError("away"))
        activity.fail_next("heartbeat", TaskGone("TaskTimedOut"))
        loop = start(echo, heartbeat_seconds=0.001, longest_backoff_seconds=NEVER)
        activity.offer("t")
        activity.idle.acquire(timeout=PATIENCE)

        assert activity.idle.acquire(timeout=PATIENCE)  # the slot is free again
        assert loop.stop() is True


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_an_idle_worker_stops_at_once(self, activity: FakeActivity, start: Start, number: int) -> None:
        loop = start(echo, concurrency=3)
        assert activity.idle.acquire(timeout=PATIENCE)

        assert loop.stop(number) is True
        assert activity.calls["close_polls"] == 1
        assert activity.calls["poll"] == 1  # nothing is to be done, so one of the three slots asks

    def test_tasks_in_hand_get_the_signal_and_are_reported(self, activity: FakeActivity, start: Start) -> None:
        run = Handing()
        loop = start(run)
        activity.offer("t")
        run.begun()
        loop.worker.signal(signal.SIGTERM)

        assert run.interruptions.get(timeout=PATIENCE) == Signalled(signal.SIGTERM)
        run.finish(Failure("sfncli.CommandTerminated", "c"))
        assert report(activity) == ("failed", "t", "sfncli.CommandTerminated", "c")
        assert loop.wait() is True

    def test_further_signals_reach_the_tasks_too(self, activity: FakeActivity, start: Start) -> None:
        run = Handing()
        loop = start(run)
        activity.offer("t")
        run.begun()
        for _ in range(2):
            loop.worker.signal(signal.SIGINT)
            assert run.interruptions.get(timeout=PATIENCE) == Signalled(signal.SIGINT)
        run.finish()

        assert loop.wait() is True

    def test_other_signals_are_passed_on_only(self, activity: FakeActivity, start: Start) -> None:
        run = Handing()
        loop = start(run)
        activity.offer("t1")
        run.begun()
        loop.worker.signal(signal.SIGUSR1)
        assert run.interruptions.get(timeout=PATIENCE) == Signalled(signal.SIGUSR1)
        run.finish()
        activity.offer("t2")
        run.begun()
        run.finish()

        assert [report(activity)[1] for _ in range(2)] == ["t1", "t2"]
        assert loop.stop() is True

    def test_a_task_that_arrives_while_stopping_is_given_back(self, activity: FakeActivity, start: Start) -> None:
        """It is failed with the error that definitions retry, rather than lost with the poll."""
        loop = start(echo)
        assert activity.idle.acquire(timeout=PATIENCE)
        activity.close_polls = lambda: activity.offer("late") and None  # type: ignore[method-assign]

        assert loop.stop() is True
        assert report(activity) == (
            "failed", "late", "sfncli.CommandTerminated", "the worker was told to stop before it began with the task",
        )  # fmt: skip


def test_logs_name_the_execution_and_hold_neither_input_nor_output(activity: FakeActivity, start: Start) -> None:
    activity.fail_next("succeed", ServiceError("away"))
    loop = start(lambda _: Success('{"o":"secret"}'))
    activity.offer("t", '{"_EXECUTION_NAME":"w1","i":"secret"}')
    report(activity)
    loop.stop()
    start_entry = next(entry for entry in loop.log.entries if entry["event"] == "task started")

    assert start_entry["execution"] == "w1"
    assert "secret" not in str(loop.log.entries)
