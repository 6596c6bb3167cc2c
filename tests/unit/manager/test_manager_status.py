"""What an execution's status makes of its workflow (HTTP contract, section 7)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from workflow_manager.manager.reasons import failure_reason
from workflow_manager.manager.status import CANCELLED_ERROR, workflow_change
from workflow_manager.model import WorkflowChange, WorkflowStatus
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.types import DescribeExecutionOutput

NOW = datetime(2024, 1, 2, tzinfo=UTC)
STOPPED = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({"status": "RUNNING"}, WorkflowChange(status=WorkflowStatus.RUNNING), id="running"),
        pytest.param(
            {"status": "SUCCEEDED", "output": '{"a":1}'},
            WorkflowChange(
                status=WorkflowStatus.SUCCEEDED, stopped_at=STOPPED, output='{"a":1}', resolved_by_user=True
            ),
            id="success has an output and is resolved",
        ),
        pytest.param(
            {"status": "FAILED", "error": "E", "cause": "one\ntwo"},
            WorkflowChange(status=WorkflowStatus.FAILED, stopped_at=STOPPED, status_reason="one\ntwo\nE"),
            id="a failure has a reason and waits for a person",
        ),
        pytest.param(
            {"status": "FAILED"},
            WorkflowChange(status=WorkflowStatus.FAILED, stopped_at=STOPPED, status_reason=""),
            id="a failure without a reason",
        ),
        pytest.param(
            {"status": "TIMED_OUT", "error": "States.Timeout"},
            WorkflowChange(status=WorkflowStatus.FAILED, stopped_at=STOPPED, status_reason="Workflow timed out"),
            id="a timeout is a failure",
        ),
        pytest.param(
            {"status": "ABORTED", "error": CANCELLED_ERROR, "cause": "wrong data"},
            WorkflowChange(
                status=WorkflowStatus.CANCELLED, stopped_at=STOPPED, status_reason="wrong data", resolved_by_user=True
            ),
            id="cancelled with a reason",
        ),
        pytest.param(
            {"status": "ABORTED", "error": CANCELLED_ERROR},
            WorkflowChange(status=WorkflowStatus.CANCELLED, stopped_at=STOPPED, resolved_by_user=True),
            id="cancelled: the stored reason stays",
        ),
        pytest.param(
            {"status": "ABORTED", "error": "By.Hand"},
            WorkflowChange(
                status=WorkflowStatus.CANCELLED, stopped_at=STOPPED, status_reason="By.Hand", resolved_by_user=True
            ),
            id="stopped through Step Functions itself",
        ),
    ],
)
def test_changes(told: dict[str, Any], expected: WorkflowChange) -> None:
    stop_date = None if told["status"] == "RUNNING" else STOPPED.timestamp()
    change = StatusChange(
        execution_arn="e", state_machine_arn="m", name="id", start_date=0.0, stop_date=stop_date, **told
    )
    described = DescribeExecutionOutput(
        execution_arn="e", state_machine_arn="m", name="id", start_date=0.0, stop_date=stop_date, **told
    )

    assert workflow_change(change, NOW) == workflow_change(described, NOW)
    assert {**fields(workflow_change(change, NOW))} == {**fields(expected), "last_updated": NOW}


def fields(change: WorkflowChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__struct_fields__}


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        pytest.param("E", "1\n2\n3\n4\n", "2\n3\n4\nE", id="the last three lines, then the error"),
        pytest.param("E", None, "E", id="no cause"),
        pytest.param(None, "cause", "cause", id="no error"),
        pytest.param(None, None, "", id="neither"),
        pytest.param("", "  \n ", "", id="blank"),
    ],
)
def test_reasons(error: str | None, cause: str | None, reason: str) -> None:
    assert failure_reason(error, cause) == reason
