"""Documents: which fields are on the wire, under which names, and which are left out (HTTP contract, field omission)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager import model
from workflow_manager.api import documents

AT = datetime(2017, 10, 25, 18, 11, 3, 350_999, tzinfo=UTC)
WRITTEN = "2017-10-25T18:11:03.350Z"
UNSET = "0001-01-01T00:00:00.000Z"
MACHINE = {
    "StartAt": "a",
    "TimeoutSeconds": 0,
    "States": {"a": {"Type": "Pass", "End": False, "Comment": "", "Result": None, "x-own": [{}, []]}},
}


def wire(document: object) -> dict:
    return json.loads(documents.encode(document))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(model.UNSET_TIME, UNSET, id="a time that has not come"),
        pytest.param(AT, WRITTEN, id="three decimals, the rest cut off"),
        pytest.param(AT.replace(microsecond=0), "2017-10-25T18:11:03.000Z", id="three decimals, also when zero"),
    ],
)
def test_timestamp(at: datetime, text: str) -> None:
    assert documents.timestamp(at) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_timestamps_read_back_to_the_millisecond(at: datetime) -> None:
    text = documents.timestamp(at)

    assert len(text) == len(WRITTEN)
    assert timedelta(0) <= at - datetime.fromisoformat(text) < timedelta(milliseconds=1)


def test_a_bare_definition_leaves_out_what_is_empty() -> None:
    definition = model.WorkflowDefinition(id="d", name="n", created_at=AT)

    assert wire(documents.workflow_definition(definition)) == {
        "id": "d",
        "name": "n",
        "createdAt": WRITTEN,
        "manager": "step-functions",
    }


def test_a_full_definition_keeps_its_state_machine_untouched() -> None:
    definition = model.WorkflowDefinition(
        id="d", name="n", version=2, created_at=AT, state_machine=MACHINE, default_tags={"a": ""}
    )

    document = wire(documents.workflow_definition(definition))

    assert document == {
        "id": "d",
        "name": "n",
        "version": 2,
        "createdAt": WRITTEN,
        "manager": "step-functions",
        "stateMachine": MACHINE,
        "defaultTags": {"a": ""},
    }
    assert list(document["stateMachine"]["States"]["a"]) == ["Type", "End", "Comment", "Result", "x-own"]


def test_a_bare_workflow_has_its_times_jobs_and_retries() -> None:
    assert wire(documents.workflow(bare_workflow())) == {
        "id": "w",
        "createdAt": WRITTEN,
        "lastUpdated": WRITTEN,
        "stoppedAt": UNSET,
        "status": "queued",
        "namespace": "ns",
        "queue": "default",
        "input": "{}",
        "workflowDefinition": {"id": "d", "name": "n", "createdAt": WRITTEN, "manager": "step-functions"},
        "jobs": None,
        "retries": None,
    }


def test_a_full_workflow() -> None:
    assert wire(documents.workflow(full_workflow())) == {
        "id": "w",
        "createdAt": WRITTEN,
        "lastUpdated": WRITTEN,
        "stoppedAt": WRITTEN,
        "status": "failed",
        "statusReason": "boom",
        "namespace": "ns",
        "queue": "q",
        "input": '{"a": 1}',
        "output": '{"b": 2}',
        "tags": {"team": "billing"},
        "workflowDefinition": {
            "id": "d",
            "name": "n",
            "version": 1,
            "createdAt": WRITTEN,
            "manager": "step-functions",
            "stateMachine": MACHINE,
        },
        "jobs": [BARE_JOB],
        "lastJob": BARE_JOB,
        "retryFor": "v",
        "retries": ["x"],
        "resolvedByUser": True,
    }


def test_a_summary_leaves_out_what_can_be_large() -> None:
    full = wire(documents.workflow(full_workflow()))
    summary = wire(documents.workflow(full_workflow(), summary=True))

    assert full.keys() - summary.keys() == {"input", "output", "lastJob"}
    assert summary["jobs"] is None
    assert full["workflowDefinition"].keys() - summary["workflowDefinition"].keys() == {"stateMachine"}


BARE_JOB = {
    "id": "2",
    "status": "created",
    "createdAt": UNSET,
    "startedAt": UNSET,
    "stoppedAt": UNSET,
    "attempts": None,
}


def test_a_bare_job_has_its_times_and_attempts() -> None:
    assert wire(documents.job(model.Job(id="2"))) == BARE_JOB


def test_a_full_job() -> None:
    job = model.Job(
        id="2",
        state="s",
        status=model.JobStatus.ABORTED_BY_USER,
        status_reason="r",
        created_at=AT,
        started_at=AT,
        stopped_at=AT,
        input="{}",
        output="[]",
        container="worker",
        name="n",
        queue="q",
        state_resource=model.StateResource(name="s", namespace="ns"),
        attempts=[
            model.JobAttempt(),
            model.JobAttempt(reason="r", exit_code=3, container_instance_arn="c", task_arn="t"),
        ],
    )

    times = {"createdAt": UNSET, "startedAt": UNSET, "stoppedAt": UNSET}
    assert wire(documents.job(job)) == {
        "id": "2",
        "state": "s",
        "status": "aborted_by_user",
        "statusReason": "r",
        "createdAt": WRITTEN,
        "startedAt": WRITTEN,
        "stoppedAt": WRITTEN,
        "input": "{}",
        "output": "[]",
        "container": "worker",
        "name": "n",
        "queue": "q",
        "stateResource": {"name": "s", "namespace": "ns", "type": "ActivityARN", "lastUpdated": UNSET},
        "attempts": [
            times,
            {**times, "reason": "r", "exitCode": 3, "containerInstanceARN": "c", "taskARN": "t"},
        ],
    }


@pytest.mark.parametrize("empty", ["jobs", "retries"])
def test_an_empty_list_is_no_null(empty: str) -> None:
    workflow = model.Workflow(
        id="w",
        created_at=AT,
        last_updated=AT,
        namespace="ns",
        workflow_definition=model.WorkflowDefinition(id="d", name="n", created_at=AT),
        **{empty: []},
    )

    assert wire(documents.workflow(workflow))[empty] == []


def bare_workflow() -> model.Workflow:
    return model.Workflow(
        id="w",
        created_at=AT,
        last_updated=AT,
        namespace="ns",
        workflow_definition=model.WorkflowDefinition(id="d", name="n", created_at=AT),
    )


def full_workflow() -> model.Workflow:
    return model.Workflow(
        id="w",
        created_at=AT,
        last_updated=AT,
        stopped_at=AT,
        status=model.WorkflowStatus.FAILED,
        status_reason="boom",
        namespace="ns",
        queue="q",
        input='{"a": 1}',
        output='{"b": 2}',
        tags={"team": "billing"},
        workflow_definition=model.WorkflowDefinition(id="d", name="n", version=1, created_at=AT, state_machine=MACHINE),
        jobs=[model.Job(id="2")],
        last_job=model.Job(id="2"),
        retry_for="v",
        retries=["x"],
        resolved_by_user=True,
    )
