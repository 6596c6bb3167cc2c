"""An execution is a tree of frames; this is what one looks like, in memory and as a row.

A frame is one sequential run of states: the root, a Parallel branch, a Map iteration. It stands in a state, in a phase:

    READY     to enter ``state`` (or, after a retry, to do its work again)
    WAITING   for the timer of a Wait state
    RETRYING  for the timer of a retrier
    TASK      for the outcome of ``task``
    CHILDREN  for the frames below it
    MAP_RUN   for the end of ``map_run``, whose children are executions of their own
    PENDING   a Map iteration or branch that has not started
    DONE      ended well; ``output`` is kept until its parent gathers it
    FAILED    a Map iteration that failed and was tolerated
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec

from workflow_manager.engine.core import packing
from workflow_manager.engine.core.data import Data

ROOT = 0
"""The id of the root frame."""


class Phase(IntEnum):
    READY = 0
    WAITING = 1
    RETRYING = 2
    TASK = 3
    CHILDREN = 4
    DONE = 5
    FAILED = 6
    MAP_RUN = 7


class TaskWait(msgspec.Struct, array_like=True):
    """What a frame in phase TASK waits for.

    ``scheduled_event`` and ``nonce`` make the task token; ``started`` is false while an activity task is in its queue.
    ``timeout_seconds`` and ``heartbeat_seconds`` count from the start; ``heartbeat_at`` is when the last one came.
    ``submitted``: the call was made, and the job or callback is awaited. ``child``: ARN of the execution of a ``.sync``.
    """

    scheduled_event: int
    nonce: str
    activity: str | None = None
    started: bool = False
    timeout_seconds: float | None = None
    heartbeat_seconds: float | None = None
    started_at: float = 0.0
    heartbeat_at: float = 0.0
    submitted: bool = False
    child: str | None = None


class MapRunWait(msgspec.Struct, frozen=True, array_like=True):
    """What a frame in phase MAP_RUN waits for: the id in the Map Run's ARN, and that of the event that began it last.

    That event is MapRunStarted or, when the run has been redriven, MapRunRedriven.
    """

    event: int
    run_id: str
    redrives: int = 0


class Children(msgspec.Struct, array_like=True):
    """The frames below a Parallel or Map: ``first`` to ``first + length - 1``, in order.

    ``started`` of them have been put to work; the others (of a Map with MaxConcurrency) do not exist yet.
    """

    first: int
    length: int
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    max_concurrency: int = 0
    tolerated_count: float | None = None
    tolerated_percentage: float | None = None
    last_success: int = 0  # event id


class Frame:
    """See the module. ``last_event`` is the predecessor of the frame's next event; ``before_entry`` that of its entry."""

    __slots__ = (
        "assigned",
        "before_entry",
        "children",
        "due",
        "entered_at",
        "entered_event",
        "graph",
        "id",
        "index",
        "input",
        "items",
        "last_event",
        "map_run",
        "output",
        "parent",
        "phase",
        "retries",
        "retry_count",
        "state",
        "task",
        "variables",
    )

    def __init__(self, id: int, parent: int, graph: int, state: str, input: Data) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.parent = parent
        self.graph = graph
        self.state = state
        self.input = input
        self.phase = Phase.READY
        self.index = 0
        self.entered_event = 0
        self.entered_at = 0.0
        self.before_entry = 0
        self.assigned: dict[str, Any] | None = None  # by the state the frame is leaving; never stored
        self.last_event = 0
        self.variables: dict[str, Any] | None = None
        self.retries: list[int] | None = None
        self.retry_count = 0
        self.due = 0.0
        self.task: TaskWait | None = None
        self.children: Children | None = None
        self.map_run: MapRunWait | None = None
        self.output: Data | None = None
        self.items: list[Any] | None = None  # of a Map; kept beside the row, see aside()

    def copy(self) -> Frame:
        """A copy that may be changed without changing this one; what it refers to is replaced, never changed."""
        new = Frame.__new__(Frame)
        for name in Frame.__slots__:
            setattr(new, name, getattr(self, name))
        if self.children is not None:
            new.children = msgspec.structs.replace(self.children)
        if self.task is not None:
            new.task = msgspec.structs.replace(self.task)
        if self.retries is not None:
            new.retries = self.retries[:]
        return new


class Execution:
    """A live execution as the step sees it. ``frames`` is the tree; the step never changes it, it answers Effects.

    ``parent``: who waits for its end, by execution, frame and event. A child of a Map Run has a ``map_run``, its number; its
    ``parent`` says which one it is of how many items: (number of the Map Run, index, items). ``graph``: where it starts in its
    program. ``express``: it has no history, and ends after five minutes.
    """

    __slots__ = (
        "arn",
        "definition",
        "express",
        "frames",
        "graph",
        "id",
        "input",
        "last_event",
        "machine_arn",
        "machine_name",
        "map_run",
        "name",
        "next_frame",
        "parent",
        "redrive_count",
        "redrive_date",
        "role_arn",
        "start_date",
        "timeout_at",
    )

    def __init__(
        self,
        id: int,  # noqa: A002 - the field's name
        arn: str,
        name: str,
        machine_arn: str,
        machine_name: str,
        role_arn: str,
        definition: int,
        start_date: float,
        input: Data,  # noqa: A002 - the field's name
        parent: tuple[int, int, int] | None = None,
        *,
        graph: int = 0,
        map_run: int | None = None,
        express: bool = False,
    ) -> None:
        self.id = id
        self.arn = arn
        self.name = name
        self.machine_arn = machine_arn
        self.machine_name = machine_name
        self.role_arn = role_arn
        self.definition = definition
        self.start_date = start_date
        self.input = input
        self.parent = parent
        self.graph = graph
        self.map_run = map_run
        self.express = express
        self.last_event = 0
        self.next_frame = 1
        self.timeout_at: float | None = None
        self.redrive_count: int | None = 0  # None of an Express execution, which has none
        self.redrive_date: float | None = None
        self.frames: dict[int, Frame] = {}


# ---------------------------------------------------------------------------------------------- rows


class _Row(msgspec.Struct, array_like=True):
    """A frame's row. ``input`` is None where it is kept beside the row (``aside``), as for a Parallel or Map at work."""

    parent: int
    graph: int
    state: str
    phase: int
    index: int
    entered_event: int
    entered_at: float
    before_entry: int
    last_event: int
    input: str | None
    variables: dict[str, Any] | None = None
    retries: list[int] | None = None
    retry_count: int = 0
    due: float = 0.0
    task: TaskWait | None = None
    children: Children | None = None
    output: str | None = None
    # of the execution; kept in the root's row, which every step writes
    execution_last_event: int = 0
    execution_next_frame: int = 0
    map_run: MapRunWait | None = None


_unpack = packing.unpacker(_Row).decode
_unpack_aside = packing.unpacker(tuple[str, Any]).decode


def pack(frame: Frame, last_event: int, next_frame: int, kept: Callable[[str], str] | None = None) -> bytes:
    """The row of a frame: small, whatever the size of a Map's input. ``kept``: what to write in place of a text."""
    text = None if is_kept_aside(frame) or frame.phase is Phase.DONE else frame.input.text
    output = frame.output.text if frame.output is not None else None
    if kept is not None:
        text = kept(text) if text is not None else None
        output = kept(output) if output is not None else None
    done = frame.phase is Phase.DONE
    return packing.pack(
        _Row(
            frame.parent,
            frame.graph,
            frame.state,
            int(frame.phase),
            frame.index,
            frame.entered_event,
            frame.entered_at,
            frame.before_entry,
            frame.last_event,
            text,
            None if done else frame.variables,
            frame.retries,
            frame.retry_count,
            frame.due,
            frame.task,
            frame.children,
            output,
            last_event if frame.id == ROOT else 0,
            next_frame if frame.id == ROOT else 0,
            frame.map_run,
        )
    )


def is_kept_aside(frame: Frame) -> bool:
    """Whether the frame's input is in its aside, and not in its row."""
    return frame.children is not None or frame.map_run is not None


def pack_aside(frame: Frame, kept: Callable[[str], str] | None = None) -> bytes:
    """What is written once when a Parallel or Map starts its children: its input and, of a Map, its items."""
    text = frame.input.text
    return packing.pack([kept(text) if kept is not None else text, frame.items])


def unpack(
    execution: Execution, frame_id: int, body: bytes, aside: bytes | None, text_of: Callable[[str], str] = str
) -> Frame:
    """The frame of a row. ``text_of``: the text that was written, or that what was written refers to."""
    row = _unpack(body)
    text, items = _unpack_aside(aside) if aside is not None else (row.input, None)
    text = text_of(text) if text is not None else None
    frame = Frame(frame_id, row.parent, row.graph, row.state, Data(text=text if text is not None else "null"))
    frame.phase = Phase(row.phase)
    frame.index = row.index
    frame.entered_event = row.entered_event
    frame.entered_at = row.entered_at
    frame.before_entry = row.before_entry
    frame.last_event = row.last_event
    frame.variables = row.variables
    frame.retries = row.retries
    frame.retry_count = row.retry_count
    frame.due = row.due
    frame.task = row.task
    frame.children = row.children
    frame.map_run = row.map_run
    frame.output = Data(text=text_of(row.output)) if row.output is not None else None
    frame.items = items
    if frame_id == ROOT:
        execution.last_event = row.execution_last_event
        execution.next_frame = row.execution_next_frame
    return frame
