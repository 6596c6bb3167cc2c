"""When a workflow may be resumed, and what it is resumed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from workflow_manager.manager.graphs import starting_at
from workflow_manager.model import Job, JobStatus, Workflow, WorkflowDefinition
from workflow_manager.model.errors import ResumeNotAllowed
from workflow_manager.stepfunctions.history import HistoryEvent

_NEVER_STARTED = (JobStatus.CREATED, JobStatus.QUEUED)
_WITH_JOBS = {"Task", "Choice", "Succeed"}


def check_finished(workflow: Workflow) -> None:
    """Raises ResumeNotAllowed."""
    if not workflow.status.final:
        raise ResumeNotAllowed(f"Workflow {workflow.id} active: {workflow.status}; resume it when it has finished")


def check_descendant(workflow: Workflow, descendant: Workflow) -> None:
    """Raises ResumeNotAllowed."""
    if not descendant.status.final:
        raise ResumeNotAllowed(
            f"Workflow {workflow.id} has an active descendant: {descendant.id} is {descendant.status}; "
            "resume it when that has finished"
        )


def top_level_state(definition: WorkflowDefinition, name: str) -> dict[str, Any]:
    """Raises ResumeNotAllowed."""
    state = _top_level(definition).get(name)
    if not isinstance(state, dict):
        raise ResumeNotAllowed(
            f"Invalid StartAt: {name!r} is no state of {definition.name}@{definition.version}; "
            "name one at the top level of its state machine"
        )
    return state


def _top_level(definition: WorkflowDefinition) -> dict[str, Any]:
    declared = (definition.state_machine or {}).get("States")
    return declared if isinstance(declared, dict) else {}


def failed_state(workflow: Workflow, history: Sequence[HistoryEvent], *, recorded: bool) -> tuple[str, str]:
    """The top-level state that a workflow ended in, and the input that it had, as JSON. Raises ResumeNotAllowed.

    ``recorded``: whether it will be resumed with that input, which then has to be an object.

    One top-level state runs at a time, so it is the one that was entered last, whatever failed within it. A Fail state only says
    that something has failed: then it is the state before.
    """
    states = _top_level(workflow.workflow_definition)
    for event in reversed(history):
        if not event.type.endswith("StateEntered") or event.details is None:
            continue
        name = event.details.get("name", "")
        state = states.get(name)
        if isinstance(state, dict) and state.get("Type") != "Fail":
            text = str(event.details.get("input", ""))
            return name, _an_object(workflow, name, text) if recorded else text
    raise ResumeNotAllowed(f"No state ran in Workflow {workflow.id}; submit a new workflow instead")


def has_jobs(workflow: Workflow, start_at: str) -> bool:
    """Whether the input of a top-level state is that of its job. Raises ResumeNotAllowed."""
    return top_level_state(workflow.workflow_definition, start_at).get("Type") in _WITH_JOBS


def recorded_input(workflow: Workflow, start_at: str, jobs: Sequence[Job], history: Sequence[HistoryEvent]) -> str:
    """The input, as JSON, that a top-level state ran with. Raises ResumeNotAllowed when it did not run.

    A Task, Choice or Succeed: that of its job; the last job if it is this state's, else the first in history. Any
    other state: that of the event with which it was first entered.
    """
    if has_jobs(workflow, start_at):
        recorded = _of_its_job(workflow, start_at, jobs)
    else:
        recorded = _entered_with(workflow, start_at, history)
    return _an_object(workflow, start_at, recorded)


def _an_object(workflow: Workflow, state: str, recorded: str) -> str:
    if not recorded.lstrip().startswith("{"):  # an execution's input has to take _EXECUTION_NAME
        raise ResumeNotAllowed(
            f"The input of State {state} in Workflow {workflow.id} was not a JSON object, which the input of a workflow "
            "has to be; resume from an earlier state, or give an input"
        )
    return recorded


def _of_its_job(workflow: Workflow, start_at: str, jobs: Sequence[Job]) -> str:
    runs = [job for job in jobs if job.state == start_at]
    if not runs:
        raise ResumeNotAllowed(
            f"No Job found for State {start_at} in Workflow {workflow.id}; resume from a state that ran"
        )
    last = workflow.last_job or jobs[-1]
    job = last if last.state == start_at else runs[0]
    if job.status in _NEVER_STARTED:
        raise ResumeNotAllowed(
            f"Job {job.id} for State {start_at} was not started for Workflow {workflow.id}; resume from a state that ran"
        )
    return job.input


def _entered_with(workflow: Workflow, state: str, history: Sequence[HistoryEvent]) -> str:
    for event in history:
        if event.type.endswith("StateEntered") and event.details is not None and event.details.get("name") == state:
            return str(event.details.get("input", ""))
    raise ResumeNotAllowed(f"State {state} did not run in Workflow {workflow.id}; resume from a state that ran")


def definition_from(definition: WorkflowDefinition, start_at: str) -> WorkflowDefinition:
    """The same name and version, begun at another state, without the states that cannot be reached from there."""
    return structs.replace(definition, state_machine=starting_at(definition.state_machine or {}, start_at))
