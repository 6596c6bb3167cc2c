"""Steps an execution in memory, as the engine's shell does, without a database: for tests of the pure core."""

from __future__ import annotations

import itertools
import json
from typing import Any

from workflow_manager.asl import compile as compile_definition
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.draft import Limits, StepEnv
from workflow_manager.engine.core.frames import ROOT, Execution, Frame, pack, pack_aside, unpack
from workflow_manager.engine.core.step import step
from workflow_manager.engine.core.stimuli import (
    Effects,
    MapRunStart,
    Outcome,
    Redrive,
    Start,
    Stimulus,
    TaskCall,
    TaskSucceeded,
    TimerFired,
)
from workflow_manager.stepfunctions.history import HistoryEvent

ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:a"


class Stepped:
    """One execution: its history so far, its timers, the calls it wants made, its outcome."""

    def __init__(
        self, definition: dict[str, Any], value: Any = None, *, limits: Limits | None = None, random: float = 0.5
    ) -> None:
        self.program = compile_definition(json.dumps(definition))
        self.now = 1_000.0
        self._limits = limits or Limits()
        self._random = random
        self._uuids = itertools.count(1)
        self.execution = Execution(
            1, "arn:e", "e", "arn:m", "m", "arn:role", 1, self.now, Data({} if value is None else value)
        )
        self.history: list[HistoryEvent] = []
        self.timers: dict[tuple[int, str], float] = {}
        self.calls: list[TaskCall] = []
        self.map_runs: list[MapRunStart] = []
        self.outcome: Outcome | None = None
        self.rows: dict[int, bytes] = {}
        self.asides: dict[int, bytes] = {}
        self.remains: dict[int, bytes] = {}
        self.remaining_asides: dict[int, bytes] = {}

    def env(self) -> StepEnv:
        return StepEnv(self.now, lambda: f"uuid-{next(self._uuids)}", lambda: self._random, limits=self._limits)

    def decide(self, stimulus: Stimulus) -> Effects:
        """The effects, without applying them."""
        return step(self.program, self.execution, stimulus, self.env())

    def take(self, stimulus: Stimulus) -> Effects:
        effects = self.decide(stimulus)
        self.history += effects.events
        self.calls += effects.calls
        self.map_runs += effects.map_runs
        self.execution.last_event = effects.last_event
        self.execution.next_frame = effects.next_frame
        for frame_id, frame in effects.frames.items():
            if frame is None:
                del self.execution.frames[frame_id]
                del self.rows[frame_id]
            else:
                self.execution.frames[frame_id] = frame
                self.rows[frame_id] = self.pack(frame)
        if ROOT in self.execution.frames and effects.events:
            self.rows[ROOT] = self.pack(self.execution.frames[ROOT])
        for frame_id, aside in effects.asides.items():
            if aside is None:
                self.asides.pop(frame_id, None)
            else:
                self.asides[frame_id] = pack_aside(aside)
        for key, due in effects.timers.items():
            if due is None:
                self.timers.pop(key, None)
            else:
                self.timers[key] = due
        if effects.outcome is not None:
            self.outcome = effects.outcome
            for kept in (self.execution.frames, self.rows, self.asides, self.timers):
                kept.clear()
            self.remains = {i: self.pack(frame) for i, frame in effects.remains.items()}
            self.remaining_asides = {
                i: pack_aside(frame) for i, frame in effects.remains.items() if frame.children is not None
            }
        return effects

    def pack(self, frame: Frame) -> bytes:
        return pack(frame, self.execution.last_event, self.execution.next_frame)

    def start(self) -> Stepped:
        self.take(Start())
        return self

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and fire what is due, oldest first."""
        until = self.now + seconds
        while self.timers and min(self.timers.values()) <= until:
            (frame, kind), self.now = min(self.timers.items(), key=lambda item: item[1])
            del self.timers[frame, kind]
            self.take(TimerFired(frame, kind))  # type: ignore[arg-type]
        self.now = until

    def reload(self) -> None:
        """What a restart does: nothing is known but the rows, which come in the order of their ids."""
        self.execution.last_event, self.execution.next_frame = 0, 1
        self.execution.frames = {
            i: unpack(self.execution, i, body, self.asides.get(i)) for i, body in sorted(self.rows.items())
        }

    def redrive(self) -> Stepped:
        """Redrive the execution, which is known by the rows that remained of it only."""
        assert self.outcome is not None
        self.outcome = None
        self.calls.clear()
        self.execution.redrive_count = (self.execution.redrive_count or 0) + 1
        self.execution.redrive_date = self.now
        self.rows, self.asides = self.remains, self.remaining_asides
        self.reload()
        self.take(Redrive())
        return self

    def finish(self, output: str = "{}") -> None:
        """Have every task that is wanted succeed, and let the time pass that is waited for, until the execution ends."""
        while self.outcome is None:
            waiting = [f for f in self.execution.frames.values() if f.task is not None]
            for frame in waiting:
                assert frame.task is not None
                self.take(TaskSucceeded(frame.id, frame.task.scheduled_event, output))
            if not waiting:
                self.pass_time(max(0.0, min(self.timers.values()) - self.now))

    def take_map_runs(self) -> list[MapRunStart]:
        """The Map Runs that were asked for since this was last called."""
        asked, self.map_runs = self.map_runs, []
        return asked

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.history]

    @property
    def output(self) -> Any:
        assert self.outcome is not None
        return json.loads(self.outcome.output) if self.outcome.output is not None else None


def frozen(frame: Frame) -> tuple[Any, ...]:
    """All that a frame holds, for comparing before and after."""
    plain = (repr(getattr(frame, name)) for name in Frame.__slots__ if name not in {"input", "output"})
    return (*plain, frame.input.text, frame.output.text if frame.output is not None else None)


def machine(states: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition that starts at the first of its states."""
    return {"StartAt": next(iter(states)), "States": states, **fields}


def task(resource: str = ACTIVITY, **fields: Any) -> dict[str, Any]:
    """A Task that ends its machine, unless it has a Next."""
    return {"Type": "Task", "Resource": resource, **({} if "Next" in fields else {"End": True}), **fields}


def events(run: Stepped, since: int = 0) -> list[tuple[int, int, str]]:
    """The history after an event, as (id, previousEventId, type)."""
    return [(event.id, event.previous_event_id, event.type) for event in run.history[since:]]
