"""A Map Run: what is known of it, how its children are counted, and when it has failed. Pure; map_runs.py acts.

    RUNNING    items are read, children are started and end
    STOPPING   it has failed or was left: children that run are being stopped
    WRITING    the results are being written
    ENDED      whoever waited has been told; children that failed, and items that were never started, are kept

Source: SFN developer guide, "Using Map state in Distributed mode", "Setting failure thresholds for Distributed Map states".
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import msgspec

from workflow_manager.engine.core.stimuli import Batcher

TOLERANCE_EXCEEDED = "States.ExceedToleratedFailureThreshold"
TOLERANCE_CAUSE = "The specified tolerated failure threshold was exceeded"
ENDINGS = {"SUCCEEDED": "succeeded", "FAILED": "failed", "TIMED_OUT": "timed_out", "ABORTED": "aborted"}
"""Status of a child that has ended -> what counts it."""


class Phase(IntEnum):
    RUNNING = 0
    STOPPING = 1
    WRITING = 2
    ENDED = 3


class Counts(msgspec.Struct, array_like=True):
    """How many children, or how many items in them, are where (API reference, MapRunExecutionCounts)."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    aborted: int = 0
    results_written: int = 0
    pending_redrive: int = 0
    failures_not_redrivable: int = 0

    @property
    def total(self) -> int:
        return self.pending + self.running + self.succeeded + self.unsuccessful + self.pending_redrive

    @property
    def unsuccessful(self) -> int:
        return self.failed + self.timed_out + self.aborted

    def move(self, start: str, end: str, number: int) -> None:
        setattr(self, start, getattr(self, start) - number)
        setattr(self, end, getattr(self, end) + number)

    def begin_again(self) -> None:
        """Those that did not succeed wait to be redriven, and nothing counts as written."""
        self.pending_redrive += self.unsuccessful
        self.failed = self.timed_out = self.aborted = self.failures_not_redrivable = self.results_written = 0


class Spec(msgspec.Struct, array_like=True):
    """What a Map Run reads, how it batches and where it writes: as MapRunStart has it, and never changed."""

    reader: dict[str, Any] | None = None
    batcher: Batcher | None = None
    writer: dict[str, Any] | None = None


class MapRun(msgspec.Struct, kw_only=True):
    """``id`` is its number here, ``run_id`` the one in its ARN. ``execution``, ``frame`` and ``event`` say who waits for it.

    ``read`` items have been taken from the source into ``map_item``; ``all_read`` when there are no more. ``children`` have
    been made of them so far, started or not. ``error`` and ``cause`` say why it fails, once it does.

    ``redriven_to``: children with a row up to this id have been looked at by the last redrive. ``again``: it was redriven
    while it was being stopped, and goes on when it has been.
    """

    id: int
    execution: int
    frame: int
    event: int
    machine: int
    machine_name: str
    execution_arn: str
    label: str
    run_id: str
    definition: int
    role_arn: str
    graph: int
    state: str
    entered_event: int
    express: bool
    start: float
    stop: float | None = None
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "ABORTED"] = "RUNNING"
    phase: Phase = Phase.RUNNING
    max_concurrency: int = 0
    tolerated_count: int | None = None
    tolerated_percentage: float | None = None
    spec: Spec = msgspec.field(default_factory=Spec)
    read: int = 0
    all_read: bool = False
    children: int = 0
    executions: Counts = msgspec.field(default_factory=Counts)
    items: Counts = msgspec.field(default_factory=Counts)
    error: str | None = None
    cause: str | None = None
    redrives: int = 0
    redrive_date: float | None = None
    redriven_to: int = 0
    again: bool = False

    @property
    def writes(self) -> bool:
        return self.spec.writer is not None and bool(self.spec.writer["writes"])

    def moved(self, start: str, end: str, items: int) -> None:
        """A child with so many items goes from one count to another."""
        self.executions.move(start, end, 1)
        self.items.move(start, end, items)

    def room(self, most: int) -> int:
        """How many more children may be started now; ``most`` run at once where MaxConcurrency says nothing."""
        return min(self.max_concurrency or most, most) - self.executions.running

    def intolerable(self) -> bool:
        """Whether more items have failed than may.

        Where no threshold is set, none may fail. A percentage is one of all the items, so it says nothing before they are read.
        """
        failed, count, percentage = self.items.unsuccessful, self.tolerated_count, self.tolerated_percentage
        if not failed:
            return False
        if count is None and percentage is None:
            return True
        if count is not None and failed > count:
            return True
        return percentage is not None and self.all_read and failed * 100 > percentage * self.items.total

    @property
    def waiting(self) -> int:
        """How many children have yet to be started or redriven."""
        return self.executions.pending + self.executions.pending_redrive

    def begin_again(self) -> None:
        self.phase = Phase.RUNNING
        self.again = False
        self.redriven_to = 0
        self.executions.begin_again()
        self.items.begin_again()

    def fail(self, error: str | None, cause: str | None) -> None:
        """The first reason stands."""
        if self.phase is Phase.RUNNING:
            self.phase, self.error, self.cause = Phase.STOPPING, error, cause
            self.status = "FAILED"


def child_name(run: int, run_id: str, index: int) -> str:
    """The name of a child: in the form of a UUID, from the child's index to the run's number, with the run's own id between.

    It is the same whenever this child is started, so that none can be started twice; it tells the run by itself; and names
    grow, so that a hundred thousand of them append to an index rather than touching all of it.
    """
    return f"{index:08x}-{run_id[9:13]}-5{run_id[15:18]}-a{run_id[20:23]}-{run:012x}"


def run_of(name: str) -> int | None:
    """The number of the Map Run that has a child of this name; None when none could."""
    try:
        return int(name[24:], 16) if len(name) == 36 else None
    except ValueError:
        return None
