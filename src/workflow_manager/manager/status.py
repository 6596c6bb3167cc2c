"""What an execution's status makes of its workflow.

    queued -> running -> succeeded | failed | cancelled

Final statuses stay; the store's conditional write sees to that, in whatever order changes arrive.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, structs

from workflow_manager.manager.reasons import TIMED_OUT, failure_reason
from workflow_manager.manager.times import moment
from workflow_manager.model import WorkflowChange, WorkflowStatus
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.types import DescribeExecutionOutput

CANCELLED_ERROR = "workflow-manager.Cancelled"
"""The error that an execution is stopped with when its workflow is cancelled; the cause is the person's reason."""

STATUSES = {
    "RUNNING": WorkflowStatus.RUNNING,
    "PENDING_REDRIVE": WorkflowStatus.RUNNING,
    "SUCCEEDED": WorkflowStatus.SUCCEEDED,
    "FAILED": WorkflowStatus.FAILED,
    "TIMED_OUT": WorkflowStatus.FAILED,
    "ABORTED": WorkflowStatus.CANCELLED,
}
"""HTTP contract, section 7."""


def workflow_change(execution: StatusChange | DescribeExecutionOutput, now: datetime) -> WorkflowChange:
    """The change of the workflow that says what its execution says. Success and cancellation are resolved by themselves."""
    status = STATUSES[execution.status]
    change = WorkflowChange(status=status, last_updated=now)
    if not status.final:
        return change
    change = structs.replace(change, stopped_at=moment(execution.stop_date) if execution.stop_date is not None else now)
    match execution.status:
        case "SUCCEEDED":
            return structs.replace(change, output=execution.output or "", resolved_by_user=True)
        case "ABORTED":
            reason = execution.cause or (execution.error if execution.error != CANCELLED_ERROR else "")
            return structs.replace(change, status_reason=reason or UNSET, resolved_by_user=True)
        case "TIMED_OUT":
            return structs.replace(change, status_reason=TIMED_OUT)
        case _:
            return structs.replace(change, status_reason=failure_reason(execution.error, execution.cause))
