"""What a change does to a workflow, and what a summary leaves of one: pure rules that every store follows."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, structs

from workflow_manager.model import Job, Workflow, WorkflowChange, WorkflowDefinition, WorkflowStatus

RANK = {
    WorkflowStatus.QUEUED: 0,
    WorkflowStatus.RUNNING: 1,
    WorkflowStatus.SUCCEEDED: 2,
    WorkflowStatus.FAILED: 2,
    WorkflowStatus.CANCELLED: 2,
}
"""A status may follow one of a lower rank only."""

_PLAIN_FIELDS = tuple(name for name in WorkflowChange.__struct_fields__ if not name.endswith("_retry"))


def changed(workflow: Workflow, change: WorkflowChange) -> Workflow | None:
    """The workflow after the change, or None if its status refuses the change whole (WorkflowStore.change_workflow)."""
    if change.status is not UNSET and RANK[change.status] <= RANK[workflow.status]:
        return None
    fields: dict[str, Any] = {name: value for name in _PLAIN_FIELDS if (value := getattr(change, name)) is not UNSET}
    retries = workflow.retries or []
    if change.add_retry is not UNSET and change.add_retry not in retries:
        fields["retries"] = [*retries, change.add_retry]
    if change.remove_retry is not UNSET and change.remove_retry in retries:
        fields["retries"] = [each for each in retries if each != change.remove_retry]
    return structs.replace(workflow, **fields)


def summary(workflow: Workflow) -> Workflow:
    """The workflow without what may be big: state machine, input, output and jobs, the last job's payloads included."""
    return structs.replace(
        workflow,
        workflow_definition=definition_summary(workflow.workflow_definition),
        input="",
        output="",
        jobs=None,
        last_job=job_summary(workflow.last_job),
    )


def job_summary(job: Job | None) -> Job | None:
    return None if job is None else structs.replace(job, input="", output="")


def definition_summary(definition: WorkflowDefinition) -> WorkflowDefinition:
    return structs.replace(definition, state_machine=None)
