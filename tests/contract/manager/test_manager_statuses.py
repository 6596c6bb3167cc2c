"""queued -> running -> succeeded | failed | cancelled: told by executions, or looked up on reading; final ones stay."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from manager_world import ARNS, DONE, ECHO, FAILING, WAITING, World

from workflow_manager.manager.updates import NEVER_BEGAN
from workflow_manager.model import UNSET_TIME, JobStatus, Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import BackendUnavailable, InvalidRequest, StorageUnavailable, WorkflowNotFound
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.changes import StatusChange


def final(workflow: Workflow) -> bool:
    return workflow.status.final


def told(workflow: Workflow, status: Any, machine: str = "ns--d--0--echo", **fields: Any) -> StatusChange:
    return StatusChange(
        execution_arn=ARNS.execution(machine, workflow.id),
        state_machine_arn=ARNS.state_machine(machine),
        name=workflow.id,
        status=status,
        start_date=1.0,
        stop_date=None if status == "RUNNING" else 2.0,
        **fields,
    )


@pytest.mark.parametrize(
    ("machine", "status", "reason", "resolved"),
    [
        pytest.param(DONE, WorkflowStatus.SUCCEEDED, "", True, id="success is resolved by itself"),
        pytest.param(FAILING, WorkflowStatus.FAILED, "why\nE", False, id="a failure waits for a person"),
    ],
)
async def test_the_end_is_told(world: World, machine: Any, status: WorkflowStatus, reason: str, resolved: bool) -> None:
    workflow = await world.stored(await world.run(machine), until=final)

    assert (workflow.status, workflow.status_reason, workflow.resolved_by_user) == (status, reason, resolved)
    assert workflow.stopped_at.timestamp() == world.clock.now()
    assert (workflow.output != "") == (status is WorkflowStatus.SUCCEEDED)


@pytest.mark.parametrize(
    ("machine", "status"), [(DONE, WorkflowStatus.SUCCEEDED), (FAILING, WorkflowStatus.FAILED), (WAITING, "running")]
)
async def test_the_end_is_looked_up(untold: World, machine: Any, status: WorkflowStatus) -> None:
    started = await untold.run(machine)
    before = await untold.store.workflow(started.id)

    workflow = await untold.manager.workflow(started.id)

    assert before.status is WorkflowStatus.QUEUED
    assert workflow.status == status
    assert (await untold.store.workflow(started.id)).status == status


async def test_running_is_told(world: World) -> None:
    workflow = await world.stored(await world.run(WAITING), until=lambda each: each.status is WorkflowStatus.RUNNING)

    assert workflow.stopped_at == UNSET_TIME


async def test_a_timeout_is_a_failure(world: World) -> None:
    workflow = await world.run({**ECHO, "TimeoutSeconds": 7})
    await world.stored(workflow, until=lambda each: each.status is WorkflowStatus.RUNNING)
    world.clock.advance(8)

    found = await world.ended(workflow)

    assert (found.status, found.status_reason) == (WorkflowStatus.FAILED, "Workflow timed out")
    assert [(job.status, job.status_reason) for job in found.jobs or ()] == [(JobStatus.FAILED, "Workflow timed out")]


async def test_a_failure_comes_with_the_job_that_failed(world: World) -> None:
    workflow = await world.run(ECHO)
    await world.fail(cause="1\n2\n3\n4")

    found = await world.stored(workflow, until=final)

    assert found.status_reason == "2\n3\n4\nE"
    assert found.last_job is not None
    assert (found.last_job.state, found.last_job.status_reason) == ("echo", "2\n3\n4\nE")
    assert (await world.manager.workflow(workflow.id)).jobs == [found.last_job]


async def test_success_has_no_last_job(world: World) -> None:
    assert (await world.finished(DONE)).last_job is None


async def test_a_failure_is_told_even_when_its_history_cannot_be_read(world: World) -> None:
    world.stepfunctions.errors["get_execution_history"] = [errors.ThrottlingException("slow down")]

    found = await world.stored(await world.run(FAILING), until=final)

    assert (found.status, found.last_job) == (WorkflowStatus.FAILED, None)


async def test_jobs_come_with_one_workflow_and_not_with_lists(world: World) -> None:
    workflow = await world.finished(DONE)

    assert [job.state for job in (await world.manager.workflow(workflow.id)).jobs or ()] == ["done"]
    assert (await world.manager.workflow(workflow.id, fetch_history=True)).jobs == workflow.jobs
    assert [each.jobs for each in (await world.manager.workflows(WorkflowQuery())).items] == [None]
    assert (await world.store.workflow(workflow.id)).jobs is None


async def test_jobs_of_a_workflow_under_way(world: World) -> None:
    workflow = await world.run(ECHO)
    await world.task(worker="somebody")

    (job,) = (await world.manager.workflow(workflow.id)).jobs or ()

    assert (job.state, job.status, job.container) == ("echo", JobStatus.RUNNING, "somebody")


async def test_jobs_at_every_depth_with_their_attempts(world: World) -> None:
    task = {"Type": "Task", "Resource": "echo", "Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}], "End": True}
    branch = {
        "StartAt": "map",
        "States": {
            "map": {"Type": "Map", "Iterator": {"StartAt": "t", "States": {"t": task}}, "ItemsPath": "$.n", "End": True}
        },
    }
    machine = {"StartAt": "fork", "States": {"fork": {"Type": "Parallel", "Branches": [branch, DONE], "End": True}}}
    workflow = await world.run(machine, input='{"n": [1, 2]}')
    for _ in range(2):
        await world.fail(cause="first try")
    world.clock.advance(2)
    for _ in range(2):
        await world.succeed()

    found = (await world.ended(workflow)).jobs or []

    assert [(job.state, job.status) for job in found if job.state == "t"] == [("t", JobStatus.SUCCEEDED)] * 2
    assert sorted(job.input for job in found if job.state == "t") == ["1", "2"]
    assert [[attempt.reason for attempt in job.attempts or ()] for job in found if job.state == "t"] == [
        ["first try\nE"]
    ] * 2
    assert [job.state for job in found].count("done") == 1


@pytest.mark.parametrize(
    "order",
    list(itertools.permutations(["RUNNING", "FAILED", "SUCCEEDED"])),
    ids="-".join,
)
async def test_final_statuses_stay_in_whatever_order_changes_come(untold: World, order: tuple[str, ...]) -> None:
    workflow = await untold.run(ECHO)
    first_final = next(status for status in order if status != "RUNNING")

    for status in order:
        await untold.manager.on_status_changes([told(workflow, status, error="E" if status == "FAILED" else None)])
        await untold.manager.on_status_changes([told(workflow, status)])  # each may come twice

    found = await untold.manager.workflow(workflow.id)
    assert found.status.upper() == first_final
    assert found.stopped_at == datetime.fromtimestamp(2, UTC)


async def test_many_changes_at_once(untold: World) -> None:
    await untold.define(ECHO)
    workflows = [await untold.run() for _ in range(50)]

    await untold.manager.on_status_changes(
        [told(workflow, status) for status in ("RUNNING", "SUCCEEDED") for workflow in workflows]
    )

    assert {(await untold.store.workflow(each.id)).status for each in workflows} == {WorkflowStatus.SUCCEEDED}


async def test_executions_that_are_no_workflows_are_passed_over(untold: World) -> None:
    workflow = await untold.run(ECHO)
    stranger = Workflow(
        id="stranger",
        created_at=UNSET_TIME,
        last_updated=UNSET_TIME,
        namespace="ns",
        workflow_definition=workflow.workflow_definition,
    )

    await untold.manager.on_status_changes([told(stranger, "FAILED"), told(workflow, "SUCCEEDED")])

    assert (await untold.store.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


async def test_a_child_execution_that_has_its_parents_name_is_not_the_parent(world: World) -> None:
    await world.define(FAILING, name="child")
    await world.run(definition_name="child")
    machine = {
        "StartAt": "start",
        "States": {
            "start": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution",
                "Parameters": {
                    "StateMachineArn": ARNS.state_machine("ns--child--0--fail"),
                    "Name.$": "$._EXECUTION_NAME",
                },
                "Next": "work",
            },
            "work": {"Type": "Task", "Resource": "echo", "End": True},
        },
    }
    workflow = await world.run(machine)
    await world.task()
    child = await world.backend.describe_execution(
        t.DescribeExecutionInput(execution_arn=ARNS.execution("ns--child--0--fail", workflow.id))
    )

    await world.manager.on_status_changes([told(workflow, "FAILED", machine="ns--child--0--fail")])

    assert child.status == "FAILED"
    assert (await world.manager.workflow(workflow.id)).status is WorkflowStatus.RUNNING


async def test_a_change_that_cannot_be_stored_is_asked_for_again(untold: World) -> None:
    """The others of the batch are stored all the same."""
    first, second = await untold.run(ECHO), await untold.run()
    untold.stepfunctions.errors["get_execution_history"] = [errors.ServiceUnavailable("disk full")]
    changes = [told(first, "FAILED"), told(second, "SUCCEEDED")]

    with pytest.raises(StorageUnavailable, match="disk full"):
        await untold.manager.on_status_changes(changes)
    assert (await untold.store.workflow(first.id)).status is WorkflowStatus.QUEUED
    assert (await untold.store.workflow(second.id)).status is WorkflowStatus.SUCCEEDED

    await untold.manager.on_status_changes(changes)
    assert (await untold.store.workflow(first.id)).status is WorkflowStatus.FAILED


@pytest.mark.parametrize("order", list(itertools.permutations(["RUNNING", "RUNNING", "SUCCEEDED"])), ids="-".join)
async def test_an_end_stands_wherever_in_a_batch_it_is(untold: World, order: tuple[str, ...]) -> None:
    """Queues deliver in any order: what goes on after the end went on before it."""
    workflow = await untold.run(ECHO)

    outcomes = await untold.manager.apply_status_changes([told(workflow, status) for status in order])

    assert outcomes == [None] * 3
    assert (await untold.store.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


async def test_each_change_has_its_outcome(untold: World) -> None:
    first, second = await untold.run(ECHO), await untold.run()
    untold.stepfunctions.errors["get_execution_history"] = [errors.ServiceUnavailable("disk full")]
    changes = [told(first, "RUNNING"), told(second, "SUCCEEDED"), told(first, "FAILED")]

    outcomes = await untold.manager.apply_status_changes(changes)

    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable, type(None), StorageUnavailable]
    assert (await untold.store.workflow(first.id)).status is WorkflowStatus.QUEUED


@pytest.mark.parametrize(
    ("machine", "status"), [(DONE, "SUCCEEDED"), (FAILING, "FAILED")], ids=["an output", "why it failed"]
)
async def test_what_a_message_leaves_out_is_asked_for(untold: World, machine: Any, status: str) -> None:
    workflow = await untold.run(machine)
    name = f"ns--d--0--{machine['StartAt']}"

    outcomes = await untold.manager.apply_status_changes([told(workflow, status, machine=name, complete=False)])

    found = await untold.store.workflow(workflow.id)
    assert outcomes == [None]
    assert (found.status.upper(), found.output != "", found.status_reason) == (
        status,
        status == "SUCCEEDED",
        "why\nE" if status == "FAILED" else "",
    )
    untold.stepfunctions.calls.clear()
    await untold.manager.apply_status_changes([told(workflow, status, machine=name, complete=False)])
    assert untold.stepfunctions.calls == []  # what is final is not asked about


async def test_what_cannot_be_asked_for_is_told_again(untold: World) -> None:
    workflow = await untold.run(DONE)
    untold.stepfunctions.errors["describe_execution"] = [errors.ThrottlingException("slow down")]

    change = told(workflow, "SUCCEEDED", machine="ns--d--0--done", complete=False)
    outcomes = await untold.manager.apply_status_changes([change])

    assert [type(outcome) for outcome in outcomes] == [BackendUnavailable]
    assert (await untold.store.workflow(workflow.id)).status is WorkflowStatus.QUEUED


async def test_what_is_kept_no_longer_stands_as_it_was_told(untold: World) -> None:
    workflow = await untold.run(ECHO)
    untold.stepfunctions.errors["describe_execution"] = [errors.ExecutionDoesNotExist("gone")]

    await untold.manager.apply_status_changes([told(workflow, "SUCCEEDED", complete=False)])

    found = await untold.store.workflow(workflow.id)
    assert (found.status, found.output) == (WorkflowStatus.SUCCEEDED, "")


async def never_begun(world: World) -> Workflow:
    """A workflow that was saved before a crash, and whose execution was not started."""
    workflow = await world.run(DONE)
    lost = Workflow(
        id="lost",
        created_at=workflow.created_at,
        last_updated=workflow.created_at,
        namespace="ns",
        workflow_definition=workflow.workflow_definition,
    )
    await world.store.save_workflow(lost)
    return lost


@pytest.mark.parametrize(("seconds", "status"), [(299, WorkflowStatus.QUEUED), (300, WorkflowStatus.FAILED)])
async def test_a_workflow_without_an_execution_fails_after_five_minutes(
    world: World, seconds: float, status: WorkflowStatus
) -> None:
    lost = await never_begun(world)
    world.clock.advance(seconds)

    found = await world.manager.workflow(lost.id)

    assert (found.status, found.jobs) == (status, [])
    assert found.status_reason == (NEVER_BEGAN if status is WorkflowStatus.FAILED else "")


async def test_a_backend_that_cannot_be_reached_fails_no_workflow(untold: World) -> None:
    workflow = await untold.run(DONE)
    untold.clock.advance(301)
    untold.stepfunctions.errors["describe_execution"] = [errors.ThrottlingException("slow down")]

    with pytest.raises(BackendUnavailable):
        await untold.manager.workflow(workflow.id)

    assert (await untold.manager.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


async def test_an_unknown_workflow(world: World) -> None:
    with pytest.raises(WorkflowNotFound, match=r"^nobody$"):
        await world.manager.workflow("nobody")


@pytest.mark.parametrize("limit", [0, -1, 10_001])
async def test_pages_have_a_size(world: World, limit: int) -> None:
    with pytest.raises(InvalidRequest, match=f"^limit is {limit}; "):
        await world.manager.workflows(WorkflowQuery(limit=limit))
