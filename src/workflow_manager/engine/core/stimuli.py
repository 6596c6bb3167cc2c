"""What can happen to an execution, and what a step decides about it. Both are plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from workflow_manager.asl.program import TaskResource
from workflow_manager.engine.core.frames import Frame
from workflow_manager.stepfunctions.history import HistoryEvent


@dataclass(frozen=True, slots=True)
class Start:
    """The execution begins. The ARNs are those of the version and the alias it was started by, where there are such."""

    version_arn: str | None = None
    alias_arn: str | None = None

    @property
    def arns(self) -> dict[str, str]:
        """As the ExecutionStarted event tells them."""
        told = {"stateMachineAliasArn": self.alias_arn, "stateMachineVersionArn": self.version_arn}
        return {name: arn for name, arn in told.items() if arn is not None}


@dataclass(frozen=True, slots=True)
class Continue:
    """The step before stopped at its bound on transitions; go on where frames are ready."""


TimerKind: TypeAlias = Literal["wait", "retry", "timeout", "heartbeat", "execution", "continue"]


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer of a frame (or of the whole execution) is due. One that nobody waits for any more changes nothing."""

    frame: int
    kind: TimerKind


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """An activity task was handed to a poller."""

    frame: int
    scheduled_event: int
    worker_name: str | None = None


@dataclass(frozen=True, slots=True)
class TaskSubmitted:
    """The call of a ``.sync`` or ``.waitForTaskToken`` integration was made; its job or callback is awaited."""

    frame: int
    scheduled_event: int
    output: str
    child: str | None = None


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    frame: int
    scheduled_event: int
    output: str


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """``submitting``: the call itself failed before the job or callback was awaited."""

    frame: int
    scheduled_event: int
    error: str | None
    cause: str | None
    submitting: bool = False


@dataclass(frozen=True, slots=True)
class TaskHeartbeat:
    frame: int
    scheduled_event: int


@dataclass(frozen=True, slots=True)
class MapRunEnded:
    """A distributed Map's run is over. ``output`` None: it succeeded, and what came of it is too large to be passed on."""

    frame: int
    event: int
    status: Literal["SUCCEEDED", "FAILED"]
    output: str | None = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """StopExecution."""

    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Redrive:
    """RedriveExecution: what did not succeed runs again. The execution has its ``redrive_count`` already."""


Stimulus: TypeAlias = (
    Start
    | Continue
    | TimerFired
    | TaskStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskHeartbeat
    | MapRunEnded
    | Stop
    | Redrive
)


@dataclass(frozen=True, slots=True)
class TaskCall:
    """A task to carry out after the step: hand it to an activity's pollers, or call an integration.

    ``role_arn``: the role that the state's Credentials name.
    """

    frame: int
    scheduled_event: int
    resource: TaskResource
    arguments: str
    token: str
    role_arn: str | None = None


class Batcher(msgspec.Struct):
    """An ItemBatcher whose numbers are known. ``batch_input``: the text of BatchInput, None where there is none.

    A batch is full when it has ``most_items``, or when one more item made its text (BatchInput included) longer than
    ``most_bytes`` of UTF-8.
    """

    most_items: int | None = None
    most_bytes: int = 262_144
    batch_input: str | None = None

    @property
    def frame(self) -> tuple[str, str]:
        """What stands before and after the items."""
        return '{"Items":[', "]}" if self.batch_input is None else f'],"BatchInput":{self.batch_input}}}'


@dataclass(slots=True)
class MapRunStart:
    """A Map Run to begin after the step. What a frame's row has (its items, its input) is not repeated here.

    ``event`` is the id of MapRunStarted; ``graph`` where the children start. ``reader``: action, arguments, config and
    max_items (0: no bound) of an ItemReader; ``writer``: arguments, whether it ``writes`` objects, transformation and
    output_type of a ResultWriter.
    """

    frame: int
    event: int
    run_id: str
    label: str
    state: str
    entered_event: int
    graph: int
    express: bool
    max_concurrency: int
    tolerated_count: int | None
    tolerated_percentage: float | None
    reader: dict[str, Any] | None
    batcher: Batcher | None
    writer: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class MapRunRedrive:
    """A Map Run to go on after the step: children that did not succeed run again. ``event`` is the id of MapRunRedriven."""

    event: int
    run_id: str
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the execution ended."""

    status: Literal["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    output: str | None = None
    error: str | None = None
    cause: str | None = None


@dataclass(slots=True)
class Effects:
    """What one step decided; all of it is written in one transaction, or none of it.

    ``frames``: rows to write; None to delete. ``asides``: frames whose input and items are to be kept beside their row;
    None to delete what is there.
    ``timers``: (frame, kind) -> due in seconds since the epoch, None to delete. ``calls``: tasks to carry out.
    ``withdrawn``: tasks that nobody waits for any more, with the child execution to stop, if there is one.
    ``map_runs``: Map Runs to begin; ``redriven_map_runs``: to go on; ``left_map_runs``: run ids of those that nobody waits
    for any more.
    ``continues``: the bound on transitions was reached; a Continue must follow.
    ``remains``: of an execution that ended otherwise than well, the frames that a redrive begins with.
    """

    events: list[HistoryEvent] = field(default_factory=list)
    frames: dict[int, Frame | None] = field(default_factory=dict)
    asides: dict[int, Frame | None] = field(default_factory=dict)
    timers: dict[tuple[int, str], float | None] = field(default_factory=dict)
    calls: list[TaskCall] = field(default_factory=list)
    withdrawn: list[tuple[int, Any]] = field(default_factory=list)
    map_runs: list[MapRunStart] = field(default_factory=list)
    redriven_map_runs: list[MapRunRedrive] = field(default_factory=list)
    left_map_runs: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    continues: bool = False
    remains: dict[int, Frame] = field(default_factory=dict)
    last_event: int = 0
    next_frame: int = 1
