"""Several workers of one process, and what one worker does beside its tasks: time limits, slots, threads left behind."""

from __future__ import annotations

import signal
import threading
import time
from queue import SimpleQueue
from typing import Any

import pytest
from worker_fakes import PATIENCE, FakeActivity, logger

from workflow_manager.worker.loop import LoopSettings, Worker
from workflow_manager.worker.observer import Observer
from workflow_manager.worker.outcome import Failure, Outcome, Success
from workflow_manager.worker.polling import Room
from workflow_manager.worker.service import Refused
from workflow_manager.worker.task import Interruption, Task, TimedOut
from workflow_manager.worker.team import Team


def worker(
    of: FakeActivity, run: Any, room: Room | None = None, observer: Observer | None = None, **settings: Any
) -> Worker:
    defaults = {"heartbeat_seconds": 600.0, "longest_backoff_seconds": 0.001}
    return Worker(of, run, LoopSettings(**(defaults | settings)), log=logger()[0], room=room, observer=observer)


class Running:
    def __init__(self, team: Team | Worker) -> None:
        self.team = team
        self.results: list[bool | BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.results.append(self.team.run_until_stopped())
        except BaseException as error:  # noqa: BLE001 - handed on
            self.results.append(error)

    def stop(self) -> bool | BaseException:
        self.team.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> bool | BaseException:
        self.thread.join(PATIENCE)
        assert self.results, "it has not stopped"
        return self.results[0]


def test_a_signal_stops_all_of_a_team() -> None:
    activities = [FakeActivity(), FakeActivity()]
    running = Running(Team([worker(each, lambda task: Success(task.input)) for each in activities]))
    for activity in activities:
        activity.offer("t", '{"x":1}')
        assert activity.reports.get(timeout=PATIENCE) == ("succeeded", "t", '{"x":1}')

    assert running.stop() is True


def test_a_team_of_which_one_is_refused_stops() -> None:
    good, bad = FakeActivity(), FakeActivity()
    bad.fail_always("register", Refused("no permission"))
    running = Running(Team([worker(each, lambda _: Success("{}")) for each in (good, bad)]))

    assert isinstance(running.wait(), Refused)


def test_workers_share_their_room() -> None:
    """One task at a time for both of them: the second begins when the first has ended."""
    first, second, room = FakeActivity(), FakeActivity(), Room(1)
    begun: SimpleQueue[str] = SimpleQueue()
    go = {"a": threading.Event(), "b": threading.Event()}

    def run(name: str) -> Any:
        def do(_: Task) -> Outcome:
            begun.put(name)
            assert go[name].wait(PATIENCE)
            return Success("{}")

        return do

    running = Running(Team([worker(first, run("a"), room), worker(second, run("b"), room)]))
    assert second.idle.acquire(timeout=PATIENCE)  # its poll is under way already
    first.offer("a")
    assert begun.get(timeout=PATIENCE) == "a"
    second.offer("b")
    time.sleep(0.05)
    assert begun.empty()
    go["a"].set()
    assert begun.get(timeout=PATIENCE) == "b"
    go["b"].set()
    second.reports.get(timeout=PATIENCE)

    assert running.stop() is True


def test_slots_begin_as_they_are_needed() -> None:
    activity, go, most = FakeActivity(), threading.Event(), 0
    begun: SimpleQueue[None] = SimpleQueue()

    def run(_: Task) -> Outcome:
        begun.put(None)
        assert go.wait(PATIENCE)
        return Success("{}")

    made = worker(activity, run, concurrency=3)
    running = Running(made)
    for number in range(5):
        activity.offer(str(number))
    for _ in range(3):
        begun.get(timeout=PATIENCE)
    most = made.tasks_in_hand
    go.set()
    for _ in range(5):
        activity.reports.get(timeout=PATIENCE)

    assert most == 3
    assert running.stop() is True


def test_a_task_that_takes_too_long_is_interrupted() -> None:
    activity = FakeActivity()
    interruptions: SimpleQueue[Interruption] = SimpleQueue()

    def run(task: Task) -> Outcome:
        task.subscribe(interruptions.put)
        return Failure("States.Timeout", str(interruptions.get(timeout=PATIENCE)))

    running = Running(worker(activity, run, timeout_seconds=0.02))
    activity.offer("t")

    assert activity.reports.get(timeout=PATIENCE) == ("failed", "t", "States.Timeout", str(TimedOut(0.02)))
    assert running.stop() is True


def test_a_slot_is_not_free_while_a_thread_still_works() -> None:
    """What a task left behind holds its slot, though the task is reported."""
    activity, go = FakeActivity(), threading.Event()

    def run(task: Task) -> Outcome:
        if task.token == "deaf":
            task.left_behind = threading.Thread(target=go.wait, daemon=True)
            task.left_behind.start()
        return Success("{}")

    running = Running(worker(activity, run))
    activity.offer("deaf")
    activity.offer("next")
    assert activity.reports.get(timeout=PATIENCE)[1] == "deaf"
    time.sleep(0.05)
    assert activity.reports.empty()
    go.set()

    assert activity.reports.get(timeout=PATIENCE)[1] == "next"
    assert running.stop() is True


class Heard(Observer):
    def __init__(self) -> None:
        self.told: SimpleQueue[tuple[Any, ...]] = SimpleQueue()

    def polled(self, activity: str, result: Any) -> None:
        self.told.put(("polled", activity, result))

    def began(self, activity: str) -> None:
        self.told.put(("began", activity))

    def ended(self, activity: str, outcome: str, seconds: float) -> None:
        self.told.put(("ended", activity, outcome, seconds >= 0))

    def registered(self, activity: str) -> None:
        self.told.put(("registered", activity))

    def stopping(self) -> None:
        self.told.put(("stopping",))


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [
        (Success("{}"), "succeeded"),
        (Failure("E", ""), "failed"),
        (Failure("sfncli.CommandTerminated", ""), "terminated"),
    ],
)
def test_an_observer_hears_what_happens(outcome: Outcome, ended: str) -> None:
    activity, heard = FakeActivity(), Heard()
    running = Running(worker(activity, lambda _: outcome, observer=heard, activity="ns--a"))
    activity.offer("t")
    told = [heard.told.get(timeout=PATIENCE) for _ in range(4)]
    running.stop()

    assert told == [
        ("registered", "ns--a"), ("polled", "ns--a", "task"), ("began", "ns--a"), ("ended", "ns--a", ended, True),
    ]  # fmt: skip
    assert heard.told.get(timeout=PATIENCE) == ("stopping",)
