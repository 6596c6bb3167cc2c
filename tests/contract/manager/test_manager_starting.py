"""Starting workflows: names, tags, activities, input; saving before starting, and cleaning up after."""

import asyncio
from typing import Any

import msgspec
import pytest
from manager_world import ARNS, DONE, ECHO, FAILING, SETTINGS, World

from workflow_manager.manager import WorkflowManager
from workflow_manager.manager.consistency import PAUSES
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, StateResource, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import (
    BackendUnavailable,
    InvalidRequest,
    InvalidWorkflowDefinition,
    StorageUnavailable,
    WorkflowDefinitionNotFound,
)
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t


async def saved(world: World) -> list[str]:
    return [each.id for each in (await world.store.workflows(WorkflowQuery())).items]


async def machine_of(world: World, name: str) -> dict[str, Any]:
    described = await world.backend.describe_state_machine(
        t.DescribeStateMachineInput(state_machine_arn=ARNS.state_machine(name))
    )
    return dict(msgspec.json.decode(described.definition))


async def test_what_is_answered(world: World) -> None:
    definition = await world.define(ECHO, default_tags={"team": "a", "kind": "b"})

    workflow = await world.run(input='{"foo": true}', queue="", tags={"kind": "c"})

    assert workflow.status is WorkflowStatus.QUEUED
    assert (workflow.jobs, workflow.retries, workflow.retry_for) == ([], [], "")
    assert workflow.input == '{"foo": true}'
    assert (workflow.namespace, workflow.queue) == ("ns", "default")
    assert workflow.tags == {"team": "a", "kind": "c"}
    assert workflow.workflow_definition == definition
    assert workflow.created_at.timestamp() == world.clock.now()


async def test_the_execution_is_named_like_the_workflow_and_told_its_name(world: World) -> None:
    workflow = await world.run(ECHO, input='{"foo": true}')

    assert await world.succeed() == {"foo": True, "_EXECUTION_NAME": workflow.id}
    found = await world.ended(workflow)
    assert found.status is WorkflowStatus.SUCCEEDED
    assert msgspec.json.decode(found.output) == {"foo": True, "_EXECUTION_NAME": workflow.id}
    assert found.input == '{"foo": true}'


async def test_the_state_machine(world: World) -> None:
    await world.define(ECHO, name="d:master", default_tags={"team": "a"})
    await world.run(definition_name="d:master")

    tags = await world.backend.list_tags_for_resource(
        t.ListTagsForResourceInput(resource_arn=ARNS.state_machine("ns--d-master--0--echo"))
    )

    assert {tag.key: tag.value for tag in tags.tags or ()} == {
        "application": "workflow-manager",
        "environment": "test",
        "workflow-definition-name": "d:master",
        "workflow-definition-version": "0",
        "workflow-definition-start-at": "echo",
        "team": "a",
    }
    machine = await machine_of(world, "ns--d-master--0--echo")
    assert machine["States"]["echo"]["Resource"] == ARNS.activity("ns--echo")
    assert machine["States"]["echo"]["Retry"][0]["ErrorEquals"] == ["sfncli.CommandTerminated"]


async def test_every_item_of_a_map_is_told_the_name_too(world: World) -> None:
    """Even where the state before it dropped it from the data."""
    machine = {
        "StartAt": "make",
        "States": {
            "make": {"Type": "Pass", "Result": [1, 2], "Next": "map"},
            "map": {
                "Type": "Map",
                "ItemSelector": {"n.$": "$$.Map.Item.Value"},
                "ItemProcessor": {"StartAt": "in", "States": {"in": {"Type": "Pass", "End": True}}},
                "End": True,
            },
        },
    }
    workflow = await world.finished(machine)

    assert msgspec.json.decode(workflow.output) == [{"n": n, "_EXECUTION_NAME": workflow.id} for n in (1, 2)]


async def test_items_that_are_handed_on_as_they_are_stay_so(world: World) -> None:
    machine = {
        "StartAt": "map",
        "States": {
            "map": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "Iterator": {"StartAt": "in", "States": {"in": {"Type": "Pass", "End": True}}},
                "End": True,
            }
        },
    }

    assert (await world.finished(machine, input='{"items": [1, "two"]}')).output == '[1,"two"]'


@pytest.mark.parametrize(("version", "runs"), [(0, 0), (1, 1), (-1, 2), (-7, 2)])
async def test_a_negative_version_is_the_latest(world: World, version: int, runs: int) -> None:
    await world.define(DONE)
    for _ in range(2):
        await world.manager.update_definition("d", NewWorkflowDefinition(state_machine=DONE))

    assert (await world.run(version=version)).workflow_definition.version == runs


async def test_an_absent_version_is_the_first(world: World) -> None:
    await world.define(DONE)
    await world.manager.update_definition("d", NewWorkflowDefinition(state_machine=FAILING))

    assert (await world.manager.start_workflow(NewWorkflow(definition_name="d"))).workflow_definition.version == 0


@pytest.mark.parametrize(("name", "version", "message"), [("x", 0, "x@0"), ("x", -1, "x"), ("d", 1, "d@1")])
async def test_definitions_that_are_not_there(world: World, name: str, version: int, message: str) -> None:
    await world.define(DONE)

    with pytest.raises(WorkflowDefinitionNotFound, match=f"^{message}$"):
        await world.run(definition_name=name, version=version)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"input": "[]"}, "^input is not a valid JSON object: ", id="input"),
        pytest.param({"input": "null"}, "^input is not a valid JSON object: ", id="null"),
        pytest.param({"tags": {"a": 1}}, "^/tags/a: ", id="tag"),
        pytest.param({"namespace": "n s"}, "cannot be the name of an activity", id="namespace"),
        pytest.param({"namespace": "n" * 80}, "cannot be the name of an activity", id="long namespace"),
        pytest.param({"input": '{"a":"' + "x" * 300_000 + '"}'}, "262144", id="long input"),
    ],
)
async def test_bad_requests_start_nothing(world: World, fields: dict[str, Any], message: str) -> None:
    await world.define(ECHO)

    with pytest.raises(InvalidRequest, match=message):
        await world.run(**fields)

    assert await saved(world) == []


async def test_an_empty_input_is_an_empty_object(world: World) -> None:
    assert (await world.run(DONE, input="")).input == "{}"


@pytest.mark.parametrize(
    ("operation", "error", "kind"),
    [
        ("create_activity", errors.ActivityLimitExceeded("full"), BackendUnavailable),
        ("create_state_machine", errors.ServiceUnavailable("disk full"), StorageUnavailable),
        ("create_state_machine", errors.InvalidDefinition("no"), InvalidWorkflowDefinition),
        ("start_execution", errors.ServiceUnavailable("disk full"), StorageUnavailable),
        ("start_execution", errors.ExecutionLimitExceeded("full"), BackendUnavailable),
        ("start_execution", errors.InvalidExecutionInput("no"), InvalidRequest),
    ],
)
async def test_a_start_that_fails_leaves_nothing_behind(
    world: World, operation: str, error: errors.StepFunctionsError, kind: type[Exception]
) -> None:
    await world.define(ECHO)
    world.stepfunctions.errors[operation] = [error]

    with pytest.raises(kind):
        await world.run()

    assert await saved(world) == []
    assert (await world.run()).status is WorkflowStatus.QUEUED  # and the next one works


async def test_the_workflow_is_saved_before_its_execution_starts(world: World) -> None:
    found: list[str] = []

    async def look() -> None:
        found.extend(await saved(world))

    world.stepfunctions.before["start_execution"] = look

    assert found == [(await world.run(DONE)).id]


async def test_an_execution_that_is_there_already_is_this_one(world: World) -> None:
    """A call that was repeated on the way."""
    world.stepfunctions.errors["start_execution"] = [errors.ExecutionAlreadyExists("there")]

    workflow = await world.run(DONE)

    assert await saved(world) == [workflow.id]


async def test_a_state_machine_is_made_once(world: World) -> None:
    await world.define(ECHO)

    await asyncio.gather(*(world.run() for _ in range(20)))

    assert world.stepfunctions.calls.count("create_state_machine") == 1
    assert world.stepfunctions.calls.count("create_activity") == 1
    assert world.stepfunctions.calls.count("start_execution") == 20


async def test_a_state_machine_that_vanished_is_made_again(world: World) -> None:
    await world.run(DONE)
    await world.backend.delete_state_machine(
        t.DeleteStateMachineInput(state_machine_arn=ARNS.state_machine("ns--d--0--done"))
    )

    assert (await world.finished()).status is WorkflowStatus.SUCCEEDED


async def test_a_state_machine_that_is_not_found_yet_is_waited_for(world: World) -> None:
    """What AWS has just made it may not find for a moment."""
    world.stepfunctions.errors["start_execution"] = [errors.StateMachineDoesNotExist("not yet")] * len(PAUSES)

    assert (await world.finished(DONE)).status is WorkflowStatus.SUCCEEDED


async def test_within_a_bound(world: World) -> None:
    await world.run(DONE)
    world.stepfunctions.errors["start_execution"] = [errors.StateMachineDoesNotExist("gone")] * (len(PAUSES) + 2)

    with pytest.raises(BackendUnavailable, match="StateMachineDoesNotExist"):
        await world.run()

    assert len(await saved(world)) == 1


async def test_a_state_machine_from_before_a_restart_is_used(world: World) -> None:
    """Even when a state resource has been moved since: running workflows and new ones are of one kind."""
    await world.run(ECHO)
    elsewhere = StateResource(name="echo", namespace="ns", uri=ARNS.activity("elsewhere"))
    await world.manager.save_state_resource(elsewhere)
    restarted = WorkflowManager(
        world.store, world.stepfunctions, settings=SETTINGS, changes=world.engine, clock=world.clock
    )

    workflow = await restarted.start_workflow(NewWorkflow(definition_name="d", namespace="ns"))

    assert (await restarted.workflow(workflow.id)).status is WorkflowStatus.RUNNING
    listed = await world.backend.list_state_machines(t.ListStateMachinesInput())
    assert [machine.name for machine in listed.state_machines] == ["ns--d--0--echo"]


async def test_definitions_whose_names_coincide_run_their_own(world: World) -> None:
    await world.define(DONE, name="a:b")
    await world.define(
        {"StartAt": "done", "States": {"done": {"Type": "Pass", "Result": "other", "End": True}}}, name="a-b"
    )

    first = await world.finished(definition_name="a:b")
    second = await world.finished(definition_name="a-b")

    assert msgspec.json.decode(first.output) == {"_EXECUTION_NAME": first.id}
    assert second.output == '"other"'
    restarted = WorkflowManager(world.store, world.backend, settings=SETTINGS, clock=world.clock)
    assert [job.state for job in (await restarted.workflow(first.id)).jobs or ()] == ["done"]
    third = await world.run(definition_name="a-b")
    assert (await restarted.workflow(third.id)).output == '"other"'  # found by its other name


async def test_a_state_resource_says_where_the_work_is_done(world: World) -> None:
    await world.backend.create_activity(t.CreateActivityInput(name="shared"))
    await world.manager.save_state_resource(StateResource(name="echo", namespace="ns", uri=ARNS.activity("shared")))
    workflow = await world.run(ECHO)

    await world.succeed("shared", output='"shared"')

    assert (await world.ended(workflow)).output == '"shared"'
    assert "create_activity" not in world.stepfunctions.calls


async def test_a_caller_that_gives_up_leaves_nothing_half_done(world: World) -> None:
    """Between saving and starting: the start is carried through."""
    await world.run(DONE)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        began.set()
        await go_on.wait()

    world.stepfunctions.before["start_execution"] = slowly
    starting = asyncio.create_task(world.run())
    await began.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    go_on.set()
    await world.manager.stop()

    for workflow_id in await saved(world):
        assert (await world.manager.workflow(workflow_id)).status is WorkflowStatus.SUCCEEDED
    assert len(await saved(world)) == 2
