"""The draft of one step: reads an execution that it never changes, and gathers the Effects.

Transitions (states.py, tasks.py, children.py, outcomes.py) are functions over a Draft. A frame is copied when it is first
touched, so that a step that fails, or whose batch is rolled back, has changed nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from workflow_manager.asl.program import Env, MapState, ParallelState, Program, State, TaskState
from workflow_manager.engine.core.data import Data
from workflow_manager.engine.core.frames import Children, Execution, Frame, MapRunWait
from workflow_manager.engine.core.stimuli import Effects
from workflow_manager.engine.core.tokens import task_token
from workflow_manager.stepfunctions.history import HistoryEvent

NOT_TRUNCATED = {"truncated": False}


@dataclass(frozen=True, slots=True)
class Limits:
    """AWS's quotas, which a deployment may lift. Sizes in bytes of UTF-8."""

    payload_bytes: int = 262_144
    history_events: int = 25_000
    map_concurrency: int = 40
    transitions_per_step: int = 2_000


@dataclass(frozen=True, slots=True)
class StepEnv:
    """Where a step takes from what a pure function cannot know. ``now`` is fixed for the step."""

    now: float
    uuid: Callable[[], str]
    random: Callable[[], float]
    region: str = "us-east-1"
    limits: Limits = Limits()


class HistoryLimitReached(Exception):
    """The execution has as many events as it may have; caught by ``step``."""


class Given(NamedTuple):
    """A frame that was given up, and what it had then: children, items, a Map Run."""

    frame: Frame
    children: Children | None
    items: list[Any] | None
    map_run: MapRunWait | None


class Draft:
    __slots__ = (
        "budget",
        "effects",
        "env",
        "events",
        "execution",
        "failing",
        "last_event",
        "next_frame",
        "now",
        "program",
        "ready",
    )

    def __init__(self, program: Program, execution: Execution, env: StepEnv) -> None:
        self.program = program
        self.execution = execution
        self.env = env
        self.now = env.now
        self.effects = Effects()
        self.events = self.effects.events
        self.last_event = execution.last_event
        self.next_frame = execution.next_frame
        self.ready: deque[Frame] = deque()
        self.failing: dict[int, Given] = {}
        """Frames given up by the failure on its way up, as they were: a redrive needs them if nothing handles it."""
        self.budget = env.limits.transitions_per_step

    # ------------------------------------------------------------------ frames

    def find(self, frame_id: int) -> Frame | None:
        """The frame as this step sees it; for reading."""
        frames = self.effects.frames
        return frames[frame_id] if frame_id in frames else self.execution.frames.get(frame_id)

    def frame(self, frame_id: int) -> Frame:
        frame = self.find(frame_id)
        assert frame is not None, frame_id
        return frame

    def touch(self, frame_id: int) -> Frame:
        """The frame, for changing."""
        frame = self.effects.frames.get(frame_id)
        if frame is None:
            frame = self.effects.frames[frame_id] = self.execution.frames[frame_id].copy()
        return frame

    def add(self, frame: Frame) -> None:
        self.effects.frames[frame.id] = frame

    def drop(self, frame_id: int) -> None:
        if frame_id in self.execution.frames:
            self.effects.frames[frame_id] = None
        else:
            self.effects.frames.pop(frame_id, None)
            for key in [key for key in self.effects.timers if key[0] == frame_id]:
                del self.effects.timers[key]
            self.effects.asides.pop(frame_id, None)

    # ------------------------------------------------------------------ history

    def emit(self, previous: int, event_type: str, details: dict[str, Any] | None = None) -> int:
        """Append an event; answer its id."""
        event_id = self.last_event + 1
        if event_id >= self.env.limits.history_events:
            raise HistoryLimitReached
        self.last_event = event_id
        self.events.append(HistoryEvent(event_id, previous, self.now, event_type, details))
        return event_id

    # ------------------------------------------------------------------ expressions

    def state(self, frame: Frame) -> State:
        return self.program.graphs[frame.graph].states[frame.state]

    def variables(self, frame: Frame) -> dict[str, Any]:
        """What the frame's expressions see: its own variables over those of the frames around it."""
        chain = []
        at: Frame | None = frame
        while at is not None:
            if at.variables:
                chain.append(at.variables)
            at = self.find(at.parent) if at.parent >= 0 else None
        if not chain:
            return {}
        if len(chain) == 1:
            return chain[0]
        merged: dict[str, Any] = {}
        for variables in reversed(chain):
            merged.update(variables)
        return merged

    def expressions(self, frame: Frame, **extra: Any) -> Env:
        """The Env of a frame's expressions; ``extra`` goes into the context object."""
        env = Env(
            lambda: self.context(frame) | extra,
            self.variables(frame),
            uuid=self.env.uuid,
            random=self.env.random,
            now=lambda: self.now,
        )
        env.input, env.given = frame.input.value, frame.input
        return env

    def context(self, frame: Frame) -> dict[str, Any]:
        """The context object (SFN developer guide, "Accessing execution data from the Context object")."""
        execution = self.execution
        context: dict[str, Any] = {
            "Execution": {
                "Id": execution.arn,
                "Input": execution.input.value,
                "StartTime": iso(execution.start_date),
                "Name": execution.name,
                "RoleArn": execution.role_arn,
            },
            "StateMachine": {"Id": execution.machine_arn, "Name": execution.machine_name},
            "State": {
                "Name": frame.state,
                "EnteredTime": iso(frame.entered_at),
            },
        }
        if execution.redrive_count is not None:
            context["Execution"]["RedriveCount"] = execution.redrive_count
        if execution.redrive_date is not None:
            context["Execution"]["RedriveTime"] = iso(execution.redrive_date)
        if isinstance(self.state(frame), TaskState | ParallelState | MapState):
            context["State"]["RetryCount"] = frame.retry_count
        item = self.item(frame)
        if item is not None:
            context["Map"] = {"Item": item}
        if frame.task is not None and _waits(self.state(frame)):
            context["Task"] = {"Token": self.token(frame)}
        return context

    def item(self, frame: Frame) -> dict[str, Any] | None:
        """Index, value and source of the Map iteration that the frame is, or is in."""
        at: Frame | None = frame
        while at is not None and at.parent >= 0:
            parent = self.frame(at.parent)
            if parent.items is not None:
                return map_item(at.index, parent.items[at.index])
            at = parent
        return None

    def token(self, frame: Frame) -> str:
        assert frame.task is not None
        return task_token(self.execution.id, frame.id, frame.task.scheduled_event, frame.task.nonce)


def map_item(index: int, value: Any) -> dict[str, Any]:
    """``$$.Map.Item`` of an inline Map, whose items are always data of the state."""
    return {"Index": index, "Value": value, "Source": "STATE_DATA"}


def entered(name: str, data: Data) -> dict[str, Any]:
    return {"name": name, "input": data.text, "inputDetails": NOT_TRUNCATED}


def iso(seconds: float) -> str:
    """A time as the context object writes it: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _waits(state: State) -> bool:
    """Only when a Task waits for more than its call has the context object a Task (recorded from AWS)."""
    return isinstance(state, TaskState) and state.resource.pattern != "request_response"
