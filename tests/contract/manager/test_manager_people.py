"""What people do to workflows: cancel, resolve, resume."""

import asyncio
from typing import Any

import msgspec
import pytest
from manager_world import ARNS, DONE, ECHO, FAILING, WAITING, World

from workflow_manager.model import JobStatus, NewWorkflowDefinition, Resumption, Workflow, WorkflowStatus
from workflow_manager.model.errors import (
    CancellationNotAllowed,
    InvalidRequest,
    ResumeNotAllowed,
    StorageUnavailable,
    WorkflowAlreadyResolved,
    WorkflowDefinitionNotFound,
    WorkflowNotFound,
)
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t

# ---------------------------------------------------------------------- cancel


async def test_cancelling(told_or_not: World) -> None:
    world = told_or_not
    workflow = await world.run(ECHO)
    await world.task()

    await world.manager.cancel(workflow.id, "wrong data")

    stored = await world.store.workflow(workflow.id)
    assert (stored.status_reason, stored.resolved_by_user) == ("wrong data", True)
    found = await world.ended(workflow)
    assert (found.status, found.status_reason) == (WorkflowStatus.CANCELLED, "wrong data")
    assert [(job.status, job.status_reason) for job in found.jobs or ()] == [(JobStatus.ABORTED_BY_USER, "wrong data")]
    execution = await world.backend.describe_execution(
        t.DescribeExecutionInput(execution_arn=ARNS.execution("ns--d--0--echo", workflow.id))
    )
    assert (execution.status, execution.error, execution.cause) == (
        "ABORTED",
        "workflow-manager.Cancelled",
        "wrong data",
    )


async def test_cancelling_again_is_no_error(world: World) -> None:
    workflow = await world.run(WAITING)
    await world.manager.cancel(workflow.id, "first")
    await world.manager.cancel(workflow.id, "first")
    await world.ended(workflow)

    await world.manager.cancel(workflow.id, "late")

    assert (await world.manager.workflow(workflow.id)).status_reason == "first"


@pytest.mark.parametrize(("machine", "status"), [(DONE, "succeeded"), (FAILING, "failed")])
async def test_what_has_ended_cannot_be_cancelled(world: World, machine: Any, status: str) -> None:
    workflow = await world.run(machine)

    with pytest.raises(CancellationNotAllowed) as refused:
        await world.manager.cancel(workflow.id, "late")

    assert refused.value.message == f"Cancellation not allowed. Workflow {workflow.id} is {status}"
    assert (await world.manager.workflow(workflow.id)).status_reason in ("", "why\nE")


async def test_a_very_long_reason_is_cut_to_what_step_functions_takes(world: World) -> None:
    workflow = await world.run(WAITING)

    await world.manager.cancel(workflow.id, "x" * 40_000)

    assert len((await world.ended(workflow)).status_reason) == 32_768


async def test_without_a_reason(world: World) -> None:
    workflow = await world.run(WAITING)
    await world.manager.cancel(workflow.id, "")

    assert (await world.ended(workflow)).status_reason == ""


async def test_a_workflow_whose_execution_never_began_is_cancelled_at_once(world: World) -> None:
    workflow = await world.run(WAITING)
    await world.store.delete_workflow(workflow.id)
    lost = msgspec.structs.replace(workflow, id="lost", jobs=None)
    await world.store.save_workflow(lost)

    await world.manager.cancel("lost", "why")

    found = await world.store.workflow("lost")
    assert (found.status, found.status_reason, found.resolved_by_user) == (WorkflowStatus.CANCELLED, "why", True)


async def test_a_cancellation_that_could_not_be_made_changes_nothing(world: World) -> None:
    workflow = await world.run(WAITING)
    world.stepfunctions.errors["stop_execution"] = [errors.ServiceUnavailable("disk full")]

    with pytest.raises(StorageUnavailable):
        await world.manager.cancel(workflow.id, "why")

    found = await world.manager.workflow(workflow.id)
    assert (found.status, found.status_reason, found.resolved_by_user) == (WorkflowStatus.RUNNING, "", False)


# ---------------------------------------------------------------------- resolve


async def test_a_failure_is_resolved_once(world: World) -> None:
    workflow = await world.finished(FAILING)

    await world.manager.resolve(workflow.id)

    assert (await world.manager.workflow(workflow.id)).resolved_by_user
    with pytest.raises(WorkflowAlreadyResolved, match=f"^workflow {workflow.id} already resolved$"):
        await world.manager.resolve(workflow.id)


async def test_success_and_cancellation_resolve_themselves(untold: World) -> None:
    done = await untold.run(DONE)
    await untold.define(WAITING, name="w")
    cancelled = await untold.run(definition_name="w")
    await untold.manager.cancel(cancelled.id, "why")

    for workflow in (done, cancelled):
        with pytest.raises(WorkflowAlreadyResolved):
            await untold.manager.resolve(workflow.id)


async def test_an_unfinished_workflow_can_be_resolved(world: World) -> None:
    workflow = await world.run(WAITING)

    await world.manager.resolve(workflow.id)

    found = await world.manager.workflow(workflow.id)
    assert (found.status, found.resolved_by_user) == (WorkflowStatus.RUNNING, True)


@pytest.mark.parametrize("operation", ["resolve", "cancel", "resume"])
async def test_unknown_workflows(world: World, operation: str) -> None:
    arguments = [] if operation == "resolve" else ["x"]

    with pytest.raises(WorkflowNotFound, match=r"^nobody$"):
        await getattr(world.manager, operation)("nobody", *arguments)


# ---------------------------------------------------------------------- resume

STEPS: dict[str, Any] = {
    "StartAt": "first",
    "States": {
        "first": {"Type": "Task", "Resource": "first", "Next": "shape"},
        "shape": {"Type": "Pass", "Result": {"n": 1}, "ResultPath": "$.shaped", "Next": "second"},
        "second": {
            "Type": "Task",
            "Resource": "second",
            "Catch": [{"ErrorEquals": ["Caught"], "Next": "tidy"}],
            "End": True,
        },
        "tidy": {"Type": "Pass", "End": True},
    },
}


async def failed_in_second(world: World, **fields: Any) -> Workflow:
    await world.define(STEPS, name="d", default_tags={"team": "a"})
    workflow = await world.run(**fields)
    await world.succeed("ns--first")
    await world.fail("ns--second")
    return await world.ended(workflow)


GIVES_UP: dict[str, Any] = {
    "StartAt": "first",
    "States": {
        "first": {"Type": "Pass", "Next": "second"},
        "second": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.ok", "IsPresent": True, "Next": "tidy"}],
            "Default": "give up",
        },
        "give up": {"Type": "Fail", "Error": "GaveUp"},
        "tidy": {"Type": "Pass", "End": True},
    },
}
"""Fails without a Task, which not every backend of these tests can carry out."""


async def test_resuming_from_the_state_that_failed(world: World) -> None:
    original = await failed_in_second(world, queue="q", tags={"k": "v"}, input='{"a": 1}')

    resumed = await world.manager.resume(original.id, "second")

    given = await world.succeed("ns--second")
    assert given == {"a": 1, "shaped": {"n": 1}, "_EXECUTION_NAME": resumed.id}
    found = await world.ended(resumed)
    assert found.status is WorkflowStatus.SUCCEEDED
    assert (resumed.status, resumed.jobs, resumed.retries) == (WorkflowStatus.QUEUED, [], [])
    assert (found.retry_for, found.namespace, found.queue) == (original.id, "ns", "q")
    assert found.tags == {"team": "a", "k": "v"}
    assert (await world.manager.workflow(original.id)).retries == [resumed.id]
    definition = found.workflow_definition
    assert (definition.name, definition.version) == ("d", 0)
    assert definition.state_machine == {
        "StartAt": "second",
        "States": {name: STEPS["States"][name] for name in ("second", "tidy")},
    }


async def test_resuming_from_a_state_that_has_no_jobs(world: World) -> None:
    original = await failed_in_second(world, input='{"a": 1}')

    resumed = await world.manager.resume(original.id, "shape")

    assert msgspec.json.decode(resumed.input)["a"] == 1
    assert (await world.succeed("ns--second"))["shaped"] == {"n": 1}


async def test_what_ended_well_can_be_resumed_too(world: World) -> None:
    original = await world.finished(DONE)

    resumed = await world.ended(await world.manager.resume(original.id, "done"))

    assert resumed.status is WorkflowStatus.SUCCEEDED


async def test_a_resumed_workflow_can_be_resumed(world: World) -> None:
    original = await failed_in_second(world)
    first = await world.manager.resume(original.id, "shape")
    await world.fail("ns--second")
    await world.ended(first)

    second = await world.manager.resume(first.id, "second")
    await world.succeed("ns--second")
    await world.ended(second)
    again = await world.manager.resume(original.id, "first")

    assert second.retry_for == first.id
    assert (await world.manager.workflow(original.id)).retries == [first.id, again.id]


async def test_an_active_workflow_is_not_resumed(world: World) -> None:
    workflow = await world.run(STEPS)

    with pytest.raises(ResumeNotAllowed, match=f"^Workflow {workflow.id} active: running"):
        await world.manager.resume(workflow.id, "first")


async def test_nor_one_with_an_active_descendant(world: World) -> None:
    original = await failed_in_second(world)
    child = await world.manager.resume(original.id, "second")
    with pytest.raises(ResumeNotAllowed, match=f"active descendant: {child.id} is running"):
        await world.manager.resume(original.id, "second")
    await world.fail("ns--second")
    await world.ended(child)
    grandchild = await world.manager.resume(child.id, "second")

    with pytest.raises(ResumeNotAllowed, match=f"active descendant: {grandchild.id} is running"):
        await world.manager.resume(original.id, "second")

    await world.succeed("ns--second")
    await world.ended(grandchild)
    assert (await world.manager.resume(original.id, "second")).retry_for == original.id


async def test_of_two_at_once_one_is_refused(world: World) -> None:
    original = await failed_in_second(world)

    outcomes = await asyncio.gather(
        *(world.manager.resume(original.id, "second") for _ in range(2)), return_exceptions=True
    )

    assert sorted(type(outcome) for outcome in outcomes if isinstance(outcome, ResumeNotAllowed)) == [ResumeNotAllowed]
    assert len((await world.manager.workflow(original.id)).retries or ()) == 1


@pytest.mark.parametrize(
    ("start_at", "reason"),
    [
        pytest.param("nowhere", "^Invalid StartAt: 'nowhere' is no state of d@0", id="unknown state"),
        pytest.param("", "^Invalid StartAt: ''", id="none"),
        pytest.param("tidy", "^State tidy did not run", id="a state that did not run"),
    ],
)
async def test_states_that_cannot_be_resumed_from(world: World, start_at: str, reason: str) -> None:
    original = await world.finished(GIVES_UP)

    with pytest.raises(ResumeNotAllowed, match=reason):
        await world.manager.resume(original.id, start_at)

    assert (await world.manager.workflow(original.id)).retries == []


async def test_a_task_that_did_not_run(world: World) -> None:
    workflow = await world.run(STEPS)
    await world.fail("ns--first")
    await world.ended(workflow)

    with pytest.raises(ResumeNotAllowed, match=r"^No Job found for State second"):
        await world.manager.resume(workflow.id, "second")


async def test_a_state_whose_input_was_no_object(world: World) -> None:
    """Its executions could not be told their name."""
    machine = {
        "StartAt": "make",
        "States": {
            "make": {"Type": "Pass", "Result": [1], "Next": "work"},
            "work": {"Type": "Fail"},
        },
    }
    workflow = await world.finished(machine)

    with pytest.raises(ResumeNotAllowed, match=r"was not a JSON object"):
        await world.manager.resume(workflow.id, "work")


async def test_a_resume_that_fails_leaves_nothing_behind(world: World) -> None:
    original = await world.finished(GIVES_UP)
    world.stepfunctions.errors["start_execution"] = [errors.ServiceUnavailable("disk full")]

    with pytest.raises(StorageUnavailable):
        await world.manager.resume(original.id, "second")

    assert (await world.manager.workflow(original.id)).retries == []
    assert (await world.manager.resume(original.id, "second")).retry_for == original.id


# ---------------------------------------------------------------------- resume with something changed


async def test_resuming_with_another_input(world: World) -> None:
    original = await failed_in_second(world, input='{"a": 1}')

    resumed = await world.manager.resume(original.id, Resumption(start_at="second", input='{"b": 2}'))

    assert resumed.input == '{"b": 2}'
    assert await world.succeed("ns--second") == {"b": 2, "_EXECUTION_NAME": resumed.id}


async def test_with_an_input_a_state_need_not_have_run(world: World) -> None:
    original = await world.finished(GIVES_UP)

    resumed = await world.manager.resume(original.id, Resumption(start_at="tidy", input="{}"))

    assert (await world.ended(resumed)).status is WorkflowStatus.SUCCEEDED


@pytest.mark.parametrize("input_", ["[]", "nonsense", "1"])
async def test_an_input_that_is_no_object_is_refused(world: World, input_: str) -> None:
    original = await world.finished(GIVES_UP)

    with pytest.raises(InvalidRequest, match="input is not a valid JSON object"):
        await world.manager.resume(original.id, Resumption(start_at="second", input=input_))
    assert (await world.manager.workflow(original.id)).retries == []


@pytest.mark.parametrize("version", [1, -1])
async def test_resuming_on_a_newer_version(world: World, version: int) -> None:
    original = await failed_in_second(world)
    mended = {"StartAt": "second", "States": {"second": {"Type": "Task", "Resource": "mended", "End": True}}}
    await world.manager.update_definition("d", NewWorkflowDefinition(name="d", state_machine=mended))

    resumed = await world.manager.resume(original.id, Resumption(start_at="second", version=version))

    assert await world.succeed("ns--mended") == {"shaped": {"n": 1}, "_EXECUTION_NAME": resumed.id}
    found = await world.ended(resumed)
    assert (found.status, found.workflow_definition.version) == (WorkflowStatus.SUCCEEDED, 1)
    assert found.retry_for == original.id


async def test_the_state_has_to_be_in_that_version(world: World) -> None:
    original = await world.finished(GIVES_UP)
    await world.manager.update_definition("d", NewWorkflowDefinition(name="d", state_machine=DONE))

    with pytest.raises(ResumeNotAllowed, match="'second' is no state of d@1; name one at the top level"):
        await world.manager.resume(original.id, Resumption(start_at="second", version=1))
    with pytest.raises(ResumeNotAllowed, match="'second' is no state of d@1; name one at the top level"):
        await world.manager.resume(original.id, Resumption(from_failed=True, version=-1))
    with pytest.raises(WorkflowDefinitionNotFound, match=r"^d@7$"):
        await world.manager.resume(original.id, Resumption(start_at="second", version=7))


FAILS_INSIDE: dict[str, Any] = {
    "StartAt": "before",
    "States": {
        "before": {"Type": "Pass", "Result": {"items": [1, 2]}, "Next": "all"},
        "all": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrency": 1,
            "ItemProcessor": {
                "StartAt": "fork",
                "States": {
                    "fork": {
                        "Type": "Parallel",
                        "Branches": [
                            {"StartAt": "work", "States": {"work": {"Type": "Task", "Resource": "w", "End": True}}}
                        ],
                        "End": True,
                    }
                },
            },
            "End": True,
        },
    },
}
CAUGHT: dict[str, Any] = {
    "StartAt": "work",
    "States": {
        "work": {
            "Type": "Task",
            "Resource": "w",
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.why", "Next": "give up"}],
            "End": True,
        },
        "give up": {"Type": "Fail", "Error": "GaveUp"},
    },
}
NEVER_A_TASK: dict[str, Any] = {
    "StartAt": "look",
    "States": {"look": {"Type": "Pass", "InputPath": "$.missing", "End": True}},
}


@pytest.mark.parametrize(
    ("machine", "tasks", "state", "given"),
    [
        pytest.param(
            FAILS_INSIDE, 1, "all", {"items": [1, 2]}, id="the Map around the Parallel around the failed Task"
        ),
        pytest.param(CAUGHT, 1, "work", {"a": 1}, id="the Task whose caught failure led to a Fail state"),
        pytest.param(NEVER_A_TASK, 0, "look", {"a": 1}, id="a state that has no jobs"),
    ],
)
async def test_resuming_from_what_failed(
    world: World, machine: dict[str, Any], tasks: int, state: str, given: dict[str, Any]
) -> None:
    workflow = await world.run(machine, input='{"a": 1}')
    for _ in range(tasks):
        await world.fail("ns--w")
    original = await world.ended(workflow)
    assert original.status is WorkflowStatus.FAILED

    resumed = await world.manager.resume(original.id, Resumption(from_failed=True))

    assert (resumed.workflow_definition.state_machine or {})["StartAt"] == state
    assert msgspec.json.decode(resumed.input).items() >= given.items()


async def test_from_what_failed_with_another_input(world: World) -> None:
    workflow = await world.ended(await world.run(NEVER_A_TASK))

    resumed = await world.manager.resume(workflow.id, Resumption(from_failed=True, input='{"missing": {}}'))

    assert (await world.ended(resumed)).status is WorkflowStatus.SUCCEEDED
