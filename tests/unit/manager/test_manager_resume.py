"""When a workflow may be resumed, and with which input."""

from datetime import UTC, datetime
from typing import Any

import pytest

from workflow_manager.manager import resume
from workflow_manager.model import Job, JobStatus, Workflow, WorkflowDefinition, WorkflowStatus
from workflow_manager.model.errors import ResumeNotAllowed
from workflow_manager.stepfunctions.history import HistoryEvent

NOW = datetime(2024, 1, 1, tzinfo=UTC)
STATES = {
    "pass": {"Type": "Pass", "Next": "task"},
    "task": {"Type": "Task", "Resource": "echo", "Next": "fork"},
    "fork": {"Type": "Parallel", "Branches": [{"States": {"inner": {"Type": "Task"}}}], "Next": "never"},
    "never": {"Type": "Pass", "End": True},
}


def workflow(**fields: Any) -> Workflow:
    definition = WorkflowDefinition(
        id="d", name="name", version=3, created_at=NOW, state_machine={"StartAt": "pass", "States": STATES}
    )
    return Workflow(id="w", created_at=NOW, last_updated=NOW, namespace="ns", workflow_definition=definition, **fields)


def entered(event_id: int, name: str, text: str, kind: str = "Pass") -> HistoryEvent:
    return HistoryEvent(event_id, 0, 0.0, f"{kind}StateEntered", {"name": name, "input": f'{{"{text}":0}}'})


def job(state: str, text: str, status: JobStatus = JobStatus.SUCCEEDED) -> Job:
    return Job(id=text, state=state, input=f'{{"{text}":0}}', status=status)


@pytest.mark.parametrize("status", list(WorkflowStatus))
def test_only_finished_workflows(status: WorkflowStatus) -> None:
    if status.final:
        resume.check_finished(workflow(status=status))
        resume.check_descendant(workflow(), workflow(status=status))
    else:
        with pytest.raises(ResumeNotAllowed, match=f"^Workflow w active: {status}"):
            resume.check_finished(workflow(status=status))
        with pytest.raises(ResumeNotAllowed, match="active descendant"):
            resume.check_descendant(workflow(), workflow(status=status))


@pytest.mark.parametrize("start_at", ["nowhere", "", "inner"])
def test_only_top_level_states(start_at: str) -> None:
    with pytest.raises(
        ResumeNotAllowed, match=r"^Invalid StartAt: .* is no state of name@3; name one at the top level"
    ):
        resume.recorded_input(workflow(), start_at, [job("inner", "1")], [])


@pytest.mark.parametrize(
    ("jobs", "last_job", "expected"),
    [
        pytest.param([job("task", "1")], None, "1", id="its job's input"),
        pytest.param([job("task", "1"), job("task", "2")], None, "2", id="the last job, if it is this state's"),
        pytest.param(
            [job("task", "1"), job("task", "2"), job("inner", "3")], None, "1", id="the first in history otherwise"
        ),
        pytest.param(
            [job("task", "1"), job("task", "2"), job("inner", "3")], job("task", "2"), "2", id="the stored last job"
        ),
        pytest.param([job("task", "1", JobStatus.ABORTED_BY_USER)], None, "1", id="however it ended"),
    ],
)
def test_the_input_of_a_task(jobs: list[Job], last_job: Job | None, expected: str) -> None:
    assert resume.recorded_input(workflow(last_job=last_job), "task", jobs, []) == f'{{"{expected}":0}}'


@pytest.mark.parametrize(
    ("jobs", "reason"),
    [
        pytest.param([], "^No Job found for State task", id="no job"),
        pytest.param([job("inner", "1")], "^No Job found for State task", id="jobs of others"),
        pytest.param([job("task", "1", JobStatus.QUEUED)], "^Job 1 for State task was not started", id="never started"),
        pytest.param([job("task", "1", JobStatus.CREATED)], "^Job 1 for State task was not started", id="nor queued"),
    ],
)
def test_a_task_that_did_not_run(jobs: list[Job], reason: str) -> None:
    with pytest.raises(ResumeNotAllowed, match=reason):
        resume.recorded_input(workflow(), "task", jobs, [])


def test_the_input_of_a_state_without_jobs_is_in_history() -> None:
    history = [entered(2, "pass", "1"), entered(3, "fork", "2", "Parallel"), entered(9, "fork", "3", "Parallel")]

    assert resume.recorded_input(workflow(), "fork", [], history) == '{"2":0}'
    with pytest.raises(ResumeNotAllowed, match=r"^State never did not run"):
        resume.recorded_input(workflow(), "never", [], history)


@pytest.mark.parametrize("text", ["[1]", "1", '"{}"', "null"])
def test_an_input_that_a_workflow_cannot_have(text: str) -> None:
    job = Job(id="1", state="task", input=text, status=JobStatus.FAILED)

    with pytest.raises(ResumeNotAllowed, match="was not a JSON object"):
        resume.recorded_input(workflow(), "task", [job], [])


def test_the_definition_of_a_resumed_workflow() -> None:
    original = workflow().workflow_definition

    resumed = resume.definition_from(original, "fork")

    assert (resumed.name, resumed.version) == ("name", 3)
    assert resumed.state_machine == {"StartAt": "fork", "States": {name: STATES[name] for name in ("fork", "never")}}
    assert original.state_machine == {"StartAt": "pass", "States": STATES}
