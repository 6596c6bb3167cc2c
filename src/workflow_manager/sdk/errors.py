"""What an application meets: faults of definitions, workflows that did not succeed, and failures that tasks choose themselves."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from workflow_manager.model import Job, Workflow, WorkflowStatus
from workflow_manager.model.errors import WfmError


class Fault(Struct, frozen=True, kw_only=True):
    """One fault of a definition. ``place`` says in which file, ``location`` is a JSON pointer into the definition."""

    place: str
    code: str
    message: str
    location: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.location or '/'}: {self.message} ({self.code})"


class DefinitionsRefused(WfmError):
    """Definitions cannot be used; ``faults`` has every fault of every one, and the message lists them, a line each."""

    code = "InvalidWorkflowDefinition"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class CannotOpen(WfmError):
    """The application's backend cannot be opened as it is configured; the message says why and what to do."""

    code = "CannotOpen"


class WorkflowDidNotSucceed(WfmError):
    """A workflow has ended without a result. ``workflow`` is all that is known of it, ``job`` the one that failed, if any."""

    code = "WorkflowDidNotSucceed"

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.job: Job | None = workflow.last_job
        how = "was cancelled" if workflow.status is WorkflowStatus.CANCELLED else "failed"
        at = f" in the state {self.job.state!r}" if self.job is not None and self.job.state else ""
        why = f": {workflow.status_reason}" if workflow.status_reason else ""
        super().__init__(f"workflow {workflow.id} ({workflow.workflow_definition.name}) {how}{at}{why}")


class WorkflowFailed(WorkflowDidNotSucceed):
    code = "WorkflowFailed"


class WorkflowCancelled(WorkflowDidNotSucceed):
    code = "WorkflowCancelled"


class TaskFailed(Exception):
    """Raise this in a task to fail it with an error name of your own, such as ``Billing.CardDeclined``.

    Every other exception fails the task with the name of its class, and its traceback as the cause.
    """

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class InvalidTaskInput(Exception):
    """A task's input is not what its function takes; the message has the JSON path to what is wrong."""


class InvalidTaskOutput(Exception):
    """What a function returned cannot be written as JSON."""
