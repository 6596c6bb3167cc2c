"""Steps an execution in memory, as the engine's shell does, without a database: for tests of the pure core."""

from __future__ import annotations

import itertools
import json
from typing import Any

from workflow_manager.asl import compile as compile_definition
from workflow_manager.engine.data import Data
from workflow_manager.engine.draft import Limits, StepEnv
from workflow_manager.engine.frames import Execution, Frame, pack, pack_aside, unpack
from workflow_manager.engine.step import step
from workflow_manager.engine.stimuli import Effects, Outcome, Start, Stimulus, TaskCall, TimerFired
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
        self.outcome: Outcome | None = None

    def env(self) -> StepEnv:
        return StepEnv(self.now, lambda: f"uuid-{next(self._uuids)}", lambda: self._random, limits=self._limits)

    def decide(self, stimulus: Stimulus) -> Effects:
        """The effects, without applying them."""
        return step(self.program, self.execution, stimulus, self.env())

    def take(self, stimulus: Stimulus) -> Effects:
        effects = self.decide(stimulus)
        self.history += effects.events
        self.calls += effects.calls
        self.execution.last_event = effects.last_event
        self.execution.next_frame = effects.next_frame
        for frame_id, frame in effects.frames.items():
            if frame is None:
                del self.execution.frames[frame_id]
            else:
                self.execution.frames[frame_id] = frame
        for key, due in effects.timers.items():
            if due is None:
                self.timers.pop(key, None)
            else:
                self.timers[key] = due
        if effects.outcome is not None:
            self.outcome = effects.outcome
            self.execution.frames.clear()
            self.timers.clear()
        return effects

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
        """What a restart does: frames become rows, rows become frames."""
        frames = self.execution.frames
        rows = {
            i: (pack(f, self.execution.last_event, self.execution.next_frame), f.children is not None, f)
            for i, f in frames.items()
        }
        self.execution.frames = {
            i: unpack(self.execution, i, body, pack_aside(f) if has_aside else None)
            for i, (body, has_aside, f) in rows.items()
        }

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
