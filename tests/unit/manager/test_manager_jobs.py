"""Jobs are derived from history: for Task, Choice and Succeed states, at every depth, by way of previousEventId."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.jobs import ABORTED_BESIDE, jobs, last_job
from workflow_manager.model import (
    UNSET_TIME,
    Job,
    JobAttempt,
    JobStatus,
    StateResource,
    StateResourceType,
    Workflow,
    WorkflowDefinition,
)
from workflow_manager.stepfunctions.history import HistoryEvent

DEFINED = datetime(2024, 1, 1, tzinfo=UTC)
STATES = {
    "echo": {"Type": "Task", "Resource": "echo"},
    "call": {"Type": "Task", "Resource": "lambda:f"},
    "glue": {"Type": "Task", "Resource": "glue:j"},
    "arn": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage"},
    "fork": {"Type": "Parallel", "Branches": [{"States": {"deep": {"Type": "Task", "Resource": "deep"}}}]},
}
WORKFLOW = Workflow(
    id="w",
    created_at=DEFINED,
    last_updated=DEFINED,
    namespace="ns",
    workflow_definition=WorkflowDefinition(
        id="d", name="d", created_at=DEFINED, state_machine={"StartAt": "echo", "States": STATES}
    ),
)


def at(event_id: int) -> datetime:
    """In these histories an event's second is its id."""
    return datetime.fromtimestamp(event_id, UTC)


def history(*events: tuple[int, int, str] | tuple[int, int, str, dict[str, Any]]) -> list[HistoryEvent]:
    """Events of (id, previous id, type) or (id, previous id, type, details)."""
    return [HistoryEvent(number, previous, float(number), *rest) for number, previous, *rest in events]


def entered(event_id: int, previous: int, name: str, kind: str = "Task") -> tuple[int, int, str, dict[str, Any]]:
    return (event_id, previous, f"{kind}StateEntered", {"name": name, "input": f'"{event_id}"'})


def brief(found: Sequence[Job]) -> list[tuple[str, str, JobStatus, str]]:
    return [(job.id, job.state, job.status, job.status_reason) for job in found]


ECHO = StateResource(name="echo", namespace="ns", last_updated=DEFINED)
STARTED = ((1, 0, "ExecutionStarted"), entered(2, 0, "echo"), (3, 2, "ActivityScheduled"))
RUNNING = (*STARTED, (4, 3, "ActivityStarted", {"workerName": "worker-1"}))
FAILURE = {"error": "E", "cause": "1\n2\n3\n4"}


def test_a_task_that_succeeds() -> None:
    events = history(
        *RUNNING,
        (5, 4, "ActivitySucceeded", {"output": '"r"'}),
        (6, 5, "TaskStateExited", {"name": "echo", "output": '"out"'}),
        (7, 6, "ExecutionSucceeded"),
    )

    assert jobs(events, WORKFLOW) == [
        Job(
            id="2",
            state="echo",
            status=JobStatus.SUCCEEDED,
            created_at=at(2),
            started_at=at(4),
            stopped_at=at(5),
            input='"2"',
            output='"out"',
            container="worker-1",
            state_resource=ECHO,
            attempts=[],
        )
    ]


@pytest.mark.parametrize(
    ("count", "status"),
    [
        pytest.param(2, JobStatus.CREATED, id="entered"),
        pytest.param(3, JobStatus.QUEUED, id="waiting for a worker"),
        pytest.param(4, JobStatus.RUNNING, id="a worker has it"),
    ],
)
def test_a_task_under_way(count: int, status: JobStatus) -> None:
    (job,) = jobs(history(*RUNNING[:count]), WORKFLOW)

    assert (job.id, job.status, job.stopped_at) == ("2", status, UNSET_TIME)
    assert job.started_at == (at(4) if status is JobStatus.RUNNING else UNSET_TIME)


def test_a_retry_renumbers_the_job_and_keeps_the_earlier_tries() -> None:
    events = history(
        *RUNNING,
        (5, 4, "ActivityFailed", FAILURE),
        (6, 5, "ActivityScheduled"),
        (7, 6, "ActivityStarted", {"workerName": "worker-2"}),
        (8, 7, "ActivityTimedOut", {"error": "States.Timeout"}),
        (9, 8, "ActivityScheduled"),
    )

    assert jobs(events, WORKFLOW) == [
        Job(
            id="9",
            state="echo",
            status=JobStatus.QUEUED,
            created_at=at(9),
            input='"2"',
            state_resource=ECHO,
            attempts=[
                JobAttempt(created_at=at(2), started_at=at(4), stopped_at=at(5), reason="2\n3\n4\nE"),
                JobAttempt(created_at=at(6), started_at=at(7), stopped_at=at(8), reason="States.Timeout"),
            ],
        )
    ]


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        pytest.param((5, 4, "ActivityFailed", FAILURE), "2\n3\n4\nE", id="the last three lines, then the error"),
        pytest.param((5, 4, "ActivityTimedOut", {"error": "States.Timeout"}), "States.Timeout", id="timeout"),
        pytest.param((5, 3, "ActivityScheduleFailed", {"error": "E"}), "E", id="never scheduled"),
        pytest.param((5, 3, "LambdaFunctionScheduleFailed", {"error": "E"}), "E", id="function never scheduled"),
        pytest.param((5, 3, "LambdaFunctionStartFailed", {"error": "E"}), "E", id="function never started"),
        pytest.param((5, 4, "LambdaFunctionFailed", {"error": "E"}), "E", id="function failed"),
        pytest.param((5, 4, "LambdaFunctionTimedOut", {"error": "E"}), "E", id="function timed out"),
        pytest.param((5, 3, "TaskStartFailed", {"error": "E"}), "E", id="integration never started"),
        pytest.param((5, 4, "TaskSubmitFailed", {"error": "E"}), "E", id="integration never submitted"),
        pytest.param((5, 4, "TaskFailed", {"error": "E"}), "E", id="integration failed"),
        pytest.param((5, 4, "TaskTimedOut", {"error": "E"}), "E", id="integration timed out"),
    ],
)
def test_a_task_that_fails(failed: tuple[int, int, str, dict[str, Any]], reason: str) -> None:
    events = history(*RUNNING, failed, (6, 5, "ExecutionFailed", {"error": "E"}))

    assert brief(jobs(events, WORKFLOW)) == [("2", "echo", JobStatus.FAILED, reason)]


@pytest.mark.parametrize("kind", ["LambdaFunction", "Task"])
def test_functions_and_integrations_are_jobs_alike(kind: str) -> None:
    events = history(
        (1, 0, "ExecutionStarted"),
        entered(2, 0, "call"),
        (3, 2, f"{kind}Scheduled"),
        (4, 3, f"{kind}Started"),
        (5, 4, "TaskSubmitted" if kind == "Task" else "Noted"),
        (6, 5, f"{kind}Succeeded", {"output": "1"}),
        (7, 6, "TaskStateExited", {"name": "call", "output": "1"}),
    )
    (job,) = jobs(events, WORKFLOW)

    assert (job.status, job.started_at, job.stopped_at) == (JobStatus.SUCCEEDED, at(4), at(6))


def test_a_failure_that_is_caught_stays_a_failed_job() -> None:
    events = history(
        *RUNNING,
        (5, 4, "ActivityFailed", FAILURE),
        (6, 5, "TaskStateExited", {"name": "echo", "output": "{}"}),
        entered(7, 6, "done", "Succeed"),
        (8, 7, "SucceedStateExited", {"name": "done", "output": "{}"}),
    )

    assert brief(jobs(events, WORKFLOW)) == [
        ("2", "echo", JobStatus.FAILED, "2\n3\n4\nE"),
        ("7", "done", JobStatus.SUCCEEDED, ""),
    ]


def test_choice_and_succeed_start_at_once_and_other_states_are_no_jobs() -> None:
    kinds = ["Pass", "Choice", "Wait", "Map", "Parallel", "Fail", "Succeed"]
    events = history(
        *(
            event
            for first, kind in zip(range(2, 99, 2), kinds, strict=False)
            for event in (
                entered(first, first - 1, kind, kind),
                (first + 1, first, f"{kind}StateExited", {"name": kind, "output": "{}"}),
            )
        )
    )
    found = jobs(events, WORKFLOW)

    assert brief(found) == [
        ("4", "Choice", JobStatus.SUCCEEDED, ""),
        ("14", "Succeed", JobStatus.SUCCEEDED, ""),
    ]
    assert [(job.started_at - job.created_at, job.output) for job in found] == [(timedelta(0), "{}")] * 2
    assert all(job.state_resource is None for job in found)


@pytest.mark.parametrize(
    ("state", "resource"),
    [
        pytest.param("echo", ECHO, id="activity"),
        pytest.param("deep", StateResource(name="deep", namespace="ns", last_updated=DEFINED), id="within a Parallel"),
        pytest.param(
            "call",
            StateResource(name="f", namespace="ns", type=StateResourceType.LAMBDA_FUNCTION_ARN, last_updated=DEFINED),
            id="function",
        ),
        pytest.param(
            "glue",
            StateResource(name="j", namespace="ns", type=StateResourceType.GLUE_JOB, last_updated=DEFINED),
            id="Glue job",
        ),
        pytest.param(
            "arn",
            StateResource(
                name="arn:aws:states:::sqs:sendMessage",
                namespace="ns",
                uri="arn:aws:states:::sqs:sendMessage",
                last_updated=DEFINED,
            ),
            id="an ARN",
        ),
        pytest.param("unknown", None, id="a state that the definition lacks"),
    ],
)
def test_what_a_job_runs_on(state: str, resource: StateResource | None) -> None:
    (job,) = jobs(history(entered(2, 0, state)), WORKFLOW)

    assert job.state_resource == resource


def test_branches_interleave_and_each_event_finds_its_job() -> None:
    events = history(
        (1, 0, "ExecutionStarted"),
        entered(2, 0, "fork", "Parallel"),
        (3, 2, "ParallelStateStarted"),
        entered(4, 3, "echo"),
        entered(5, 3, "call"),
        (6, 4, "ActivityScheduled"),
        (7, 5, "LambdaFunctionScheduled"),
        (8, 7, "LambdaFunctionStarted"),
        (9, 6, "ActivityStarted", {"workerName": "w"}),
        (10, 8, "LambdaFunctionFailed", FAILURE),
        (11, 9, "ActivitySucceeded", {"output": "1"}),
        (12, 10, "LambdaFunctionScheduled"),
        (13, 11, "TaskStateExited", {"name": "echo", "output": "1"}),
    )
    found = jobs(events, WORKFLOW)

    assert brief(found) == [("4", "echo", JobStatus.SUCCEEDED, ""), ("12", "call", JobStatus.QUEUED, "")]
    assert [job.container for job in found] == ["w", ""]


def test_iterations_of_one_state_are_jobs_of_their_own() -> None:
    """The second iteration starts at an event of the first one's job, which is over by then."""
    events = history(
        entered(2, 0, "map", "Map"),
        (3, 2, "MapStateStarted", {"length": 2}),
        (4, 3, "MapIterationStarted", {"name": "map", "index": 0}),
        entered(5, 4, "echo"),
        (6, 5, "ActivityScheduled"),
        (7, 6, "ActivityStarted"),
        (8, 7, "ActivitySucceeded", {"output": "1"}),
        (9, 8, "TaskStateExited", {"name": "echo", "output": "1"}),
        (10, 9, "MapIterationSucceeded", {"name": "map", "index": 0}),
        (11, 9, "MapIterationStarted", {"name": "map", "index": 1}),
        entered(12, 11, "echo"),
        (13, 12, "ActivityScheduled"),
        (14, 13, "ActivityFailed", {"error": "E"}),
        (15, 14, "MapIterationFailed", {"name": "map", "index": 1}),
        (16, 14, "MapStateFailed"),
        (17, 16, "ExecutionFailed", {"error": "E"}),
    )

    assert brief(jobs(events, WORKFLOW)) == [
        ("5", "echo", JobStatus.SUCCEEDED, ""),
        ("12", "echo", JobStatus.FAILED, "E"),
    ]
    assert last_job(events, WORKFLOW) == jobs(events, WORKFLOW)[1]


BESIDE = (
    (1, 0, "ExecutionStarted"),
    entered(2, 0, "fork", "Parallel"),
    (3, 2, "ParallelStateStarted"),
    entered(4, 3, "echo"),
    entered(5, 3, "call"),
    (6, 4, "ActivityScheduled"),
    (7, 5, "LambdaFunctionScheduled"),
)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        pytest.param(
            [(8, 0, "ExecutionAborted", {"error": "X", "cause": "wrong data"})],
            [(JobStatus.ABORTED_BY_USER, "wrong data")] * 2,
            id="a person stopped the execution",
        ),
        pytest.param(
            [(8, 6, "TaskStateAborted"), (9, 7, "TaskStateAborted"), (10, 9, "ExecutionAborted", {"cause": "why"})],
            [(JobStatus.ABORTED_BY_USER, "why")] * 2,
            id="and the states were told so first",
        ),
        pytest.param([(8, 0, "ExecutionAborted")], [(JobStatus.ABORTED_BY_USER, "")] * 2, id="without a reason"),
        pytest.param(
            [(8, 0, "ExecutionTimedOut")], [(JobStatus.FAILED, "Workflow timed out")] * 2, id="the execution timed out"
        ),
        pytest.param(
            [
                (8, 7, "LambdaFunctionFailed", FAILURE),
                (9, 8, "ParallelStateFailed"),
                (10, 9, "ExecutionFailed", FAILURE),
            ],
            [(JobStatus.FAILED, ABORTED_BESIDE), (JobStatus.FAILED, "2\n3\n4\nE")],
            id="the other branch failed",
        ),
        pytest.param(
            [
                (8, 7, "LambdaFunctionFailed", FAILURE),
                (9, 6, "TaskStateAborted"),
                (10, 8, "ParallelStateFailed"),
                (11, 10, "ParallelStateExited", {"name": "fork", "output": "{}"}),
                (12, 0, "ExecutionAborted", {"cause": "later"}),
            ],
            [(JobStatus.FAILED, ABORTED_BESIDE), (JobStatus.FAILED, "2\n3\n4\nE")],
            id="the other branch failed long before a person stopped the execution",
        ),
    ],
)
def test_jobs_end_with_their_execution(
    ending: list[tuple[int, int, str, dict[str, Any]]], expected: list[tuple[JobStatus, str]]
) -> None:
    found = jobs(history(*BESIDE, *ending), WORKFLOW)

    assert [(job.status, job.status_reason) for job in found] == expected
    assert all(job.stopped_at >= at(8) for job in found)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [entered(2, 0, "choose", "Choice"), (3, 2, "ExecutionFailed", {"error": "States.NoChoiceMatched"})],
            ("2", "choose", JobStatus.FAILED, "States.NoChoiceMatched"),
            id="a Choice without a match",
        ),
        pytest.param(
            [entered(2, 0, "echo"), (3, 2, "ExecutionFailed", {"error": "States.Runtime", "cause": "c"})],
            ("2", "echo", JobStatus.FAILED, "c\nStates.Runtime"),
            id="a Task whose Parameters cannot be made",
        ),
        pytest.param(
            [
                entered(2, 0, "echo"),
                (3, 2, "ActivityScheduled"),
                (4, 3, "ActivitySucceeded", {"output": "1"}),
                (5, 4, "ExecutionFailed", {"error": "States.Runtime"}),
            ],
            ("2", "echo", JobStatus.FAILED, "States.Runtime"),
            id="a Task whose output cannot be made of its result",
        ),
        pytest.param(
            [
                entered(2, 0, "before"),
                (3, 2, "ActivityScheduled"),
                (4, 3, "ActivitySucceeded"),
                (5, 4, "TaskStateExited", {"name": "before", "output": "1"}),
                entered(6, 5, "echo"),
                (7, 5, "EvaluationFailed", {"state": "echo", "error": "States.QueryEvaluationError", "cause": "c"}),
                (8, 7, "ExecutionFailed", {"error": "States.QueryEvaluationError", "cause": "c"}),
            ],
            ("6", "echo", JobStatus.FAILED, "c\nStates.QueryEvaluationError"),
            id="a JSONata expression, whose event follows the one before its state",
        ),
        pytest.param(
            [
                entered(2, 0, "choose", "Choice"),
                (3, 2, "ParallelStateFailed"),
                (4, 3, "ParallelStateExited", {"name": "fork", "output": "{}"}),
            ],
            ("2", "choose", JobStatus.FAILED, ""),
            id="inside a Parallel that is caught",
        ),
    ],
)
def test_states_that_fail_by_themselves(events: list[Any], expected: tuple[str, str, JobStatus, str]) -> None:
    found = brief(jobs(history(*events), WORKFLOW))

    assert found[-1] == expected
    assert all(status is JobStatus.SUCCEEDED for _, _, status, _ in found[:-1])


def test_a_redriven_execution_retries_the_job_that_ended_it() -> None:
    events = history(
        *RUNNING,
        (5, 4, "ActivityFailed", FAILURE),
        (6, 5, "ExecutionFailed", FAILURE),
        (7, 6, "ExecutionRedriven"),
        (8, 7, "ActivityScheduled"),
    )
    (job,) = jobs(events, WORKFLOW)

    assert (job.id, job.status, len(job.attempts or [])) == ("8", JobStatus.QUEUED, 1)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], None, id="no history"),
        pytest.param([(1, 0, "ExecutionStarted"), entered(2, 0, "p", "Pass")], None, id="no jobs"),
        pytest.param(
            [*BESIDE, (8, 6, "ActivityFailed", FAILURE), (9, 8, "ParallelStateFailed"), (10, 9, "ExecutionFailed")],
            "4",
            id="the one that ended the execution, though another was entered later",
        ),
        pytest.param([*BESIDE, (8, 0, "ExecutionTimedOut")], "5", id="else the one entered last"),
        pytest.param(
            [
                *RUNNING,
                (5, 4, "ActivitySucceeded"),
                (6, 5, "TaskStateExited", {"name": "echo", "output": "1"}),
                entered(7, 6, "choose", "Choice"),
                (8, 7, "ChoiceStateExited", {"name": "choose", "output": "1"}),
                entered(9, 8, "fail", "Fail"),
                (10, 9, "ExecutionFailed", {"error": "E"}),
            ],
            "7",
            id="also before a Fail state",
        ),
    ],
)
def test_the_last_job(events: list[Any], expected: str | None) -> None:
    found = last_job(history(*events), WORKFLOW)

    assert (found and found.id) == expected


TYPES = [
    *(
        f"{kind}State{end}"
        for kind in ("Task", "Choice", "Succeed", "Parallel")
        for end in ("Entered", "Exited", "Aborted")
    ),
    *(f"Activity{end}" for end in ("Scheduled", "Started", "Succeeded", "Failed", "TimedOut", "ScheduleFailed")),
    *(f"Execution{end}" for end in ("Aborted", "Failed", "TimedOut", "Redriven", "Succeeded")),
    *("EvaluationFailed", "ParallelStateFailed", "MapIterationFailed", "MapStateFailed", "SomethingNew"),
]
details = st.none() | st.fixed_dictionaries(
    {}, optional={name: st.text(max_size=3) for name in ("name", "state", "input", "output", "error", "cause")}
)


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 30), details), max_size=30))
def test_any_history_has_jobs(drawn: list[tuple[str, int, dict[str, Any] | None]]) -> None:
    """Also one that no execution writes: ids are told apart, and what has ended has a time."""
    events = [
        HistoryEvent(number, min(previous, number - 1), float(number), kind, found)
        for number, (kind, previous, found) in enumerate(drawn, 1)
    ]
    found = jobs(events, WORKFLOW)

    assert len({job.id for job in found}) == len(found)
    assert len(found) == sum(
        kind in ("TaskStateEntered", "ChoiceStateEntered", "SucceedStateEntered") for kind, *_ in drawn
    )
    for job in found:
        ended = job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.ABORTED_BY_USER)
        assert ended == (job.stopped_at is not UNSET_TIME)
        assert (job.name, job.queue) == ("", "")
    if drawn and drawn[-1][0] in ("ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"):
        assert all(job.stopped_at is not UNSET_TIME for job in found)
