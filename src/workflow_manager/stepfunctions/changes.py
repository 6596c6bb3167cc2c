"""How executions tell that they have changed: what a StepFunctions implementation offers beyond the API's operations.

On AWS the same facts travel as "Step Functions Execution Status Change" events; the embedded engine pushes them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct


class StatusChange(Struct, frozen=True, kw_only=True):
    """An execution's new status, with the names of the API's DescribeExecution. Times in seconds since the epoch.

    ``complete`` is false when whoever tells leaves out the output or why it failed: the execution itself has to be asked.
    """

    execution_arn: str
    state_machine_arn: str
    name: str
    status: Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    start_date: float | None
    stop_date: float | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    complete: bool = True


Listener: TypeAlias = Callable[[Sequence[StatusChange]], Awaitable[None]]
"""Takes changes in the order they happened. When it returns they are dealt with and never delivered again; when it raises,
or the process dies, they are delivered again. So each may come more than once."""


class ExecutionChanges(Protocol):
    def subscribe(self, listener: Listener, /) -> None:
        """Deliver status changes of executions whose state machine is tagged ``application: workflow-manager``."""
        ...

    async def changed(self, execution_arn: str, last_event_id: int, timeout_seconds: float, /) -> None:
        """Return when the history has an event after ``last_event_id``, or after the timeout, whichever comes first."""
        ...
