"""Idempotency keys: one workflow and one execution for each, whatever is repeated, wherever, and whatever went wrong before."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from manager_world import ARNS, DONE, ECHO, FAILING, SETTINGS, WAITING, World, briefly
from msgspec import structs

from workflow_manager.manager import WorkflowManager
from workflow_manager.manager.once import workflow_id
from workflow_manager.manager.times import moment
from workflow_manager.manager.turns import LEASE
from workflow_manager.manager.updates import NEVER_BEGAN, NEVER_BEGAN_AFTER
from workflow_manager.model import (
    NewWorkflow,
    NewWorkflowDefinition,
    Workflow,
    WorkflowChange,
    WorkflowQuery,
    WorkflowStatus,
)
from workflow_manager.model.errors import (
    BackendUnavailable,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidWorkflowDefinition,
    StartUnknown,
    StorageUnavailable,
    WorkflowDefinitionNotFound,
)
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t

KEY = "order-7"
ID = workflow_id(KEY)
ASKED = NewWorkflow(definition_name="d", version=-1, namespace="ns", input='{"a": 1, "b": [2]}', tags={"team": "x"})


def another_server(world: World) -> WorkflowManager:
    """On the same store and the same backend; what is in the memory of the first one it does not know."""
    return WorkflowManager(world.store, world.stepfunctions, settings=SETTINGS, clock=world.clock, sleep=briefly)


async def start(world: World, **fields: Any) -> Workflow:
    return await world.manager.start_workflow(structs.replace(ASKED, **fields), idempotency_key=KEY)


async def saved(world: World) -> list[str]:
    return [each.id for each in (await world.store.workflows(WorkflowQuery())).items]


async def executions(world: World) -> list[str]:
    found = []
    for machine in (await world.backend.list_state_machines(t.ListStateMachinesInput())).state_machines:
        request = t.ListExecutionsInput(state_machine_arn=machine.state_machine_arn)
        found += [each.name for each in (await world.backend.list_executions(request)).executions]
    return found


def test_ids_never_change() -> None:
    """A key that was used before the server was renewed is the same workflow's after."""
    assert workflow_id("order-7") == "1e40dcd1-1f15-5ab4-81af-b08f419f02ca"
    assert workflow_id("order-8") != ID


@pytest.mark.parametrize("key", ["!", "~", "order-7", "0b3a8a2e-8f0c-4f0e-9a51-3a3d0c0c5a2b", '"quoted"', "k" * 255])
def test_keys(key: str) -> None:
    assert workflow_id(key)


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\x7f", "é", "k" * 256])
def test_keys_that_are_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^Idempotency-Key: expected 1 to 255 visible ASCII characters"):
        workflow_id(key)


async def test_the_first_answer_is_the_new_workflow(world: World) -> None:
    await world.define(ECHO, default_tags={"kind": "y"})

    workflow = await start(world)

    assert (workflow.id, workflow.status, workflow.jobs) == (ID, WorkflowStatus.QUEUED, [])
    assert workflow.tags == {"kind": "y", "team": "x"}
    assert await executions(world) == [ID]


async def test_further_answers_are_the_workflow_as_it_is_then(world: World) -> None:
    await world.define(ECHO)
    first = await start(world)

    assert (await start(world)).status is WorkflowStatus.RUNNING
    await world.succeed()
    await world.ended(first)
    last = await start(world)

    assert last == await world.manager.workflow(first.id)
    assert last.status is WorkflowStatus.SUCCEEDED
    assert [job.state for job in last.jobs or ()] == ["echo"]
    assert await executions(world) == [first.id]


async def test_without_a_key_every_workflow_is_new(world: World) -> None:
    await world.define(DONE)

    ids = [(await world.run()).id for _ in range(2)] + [(await start(world)).id]

    assert len({*ids}) == 3


async def test_many_at_once_on_two_servers(world: World) -> None:
    await world.define(WAITING)
    servers = [world.manager, another_server(world)]

    found = await asyncio.gather(
        *(servers[n % 2].start_workflow(ASKED, idempotency_key=KEY) for n in range(10)), return_exceptions=True
    )

    started = [each for each in found if isinstance(each, Workflow)]
    assert {each.id for each in started} == {ID}
    assert {type(each) for each in found} <= {Workflow, BackendUnavailable}  # the other server may be at it for long
    assert await saved(world) == await executions(world) == [ID]


async def test_after_a_restart(world: World) -> None:
    await world.define(DONE)
    first = await start(world)

    again = await another_server(world).start_workflow(ASKED, idempotency_key=KEY)

    assert (again.id, again.created_at) == (first.id, first.created_at)
    assert await executions(world) == [ID]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param({"definition_name": "other"}, "/workflowDefinition/name", id="definition"),
        pytest.param({"version": 1}, "/workflowDefinition/version", id="version"),
        pytest.param({"namespace": "other"}, "/namespace", id="namespace"),
        pytest.param({"queue": "other"}, "/queue", id="queue"),
        pytest.param({"input": "{}"}, "/input", id="input"),
        pytest.param({"input": '{"a": 1.0, "b": [2]}'}, "/input", id="another number"),
        pytest.param({"input": "nonsense"}, "/input", id="no JSON"),
        pytest.param({"tags": {}}, "/tags", id="tags"),
        pytest.param({"queue": "other", "tags": {"team": "z"}}, "/queue, /tags", id="several"),
    ],
)
async def test_other_content_is_refused(world: World, change: dict[str, Any], where: str) -> None:
    await world.define(DONE)
    await start(world)

    with pytest.raises(IdempotencyKeyReused) as refused:
        await start(world, **change)

    assert f"'{KEY}' was used for workflow {ID}, which differs in {where};" in refused.value.message
    assert refused.value.details == {"workflowID": ID, "fields": where.split(", ")}
    assert await saved(world) == [ID]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"version": 0}, id="the version that was the latest"),
        pytest.param({"version": -5}, id="the latest in other words"),
        pytest.param({"queue": ""}, id="the default queue"),
        pytest.param({"input": '{"b":[2],"a":1}'}, id="spaces and order"),
        pytest.param({"tags": {"team": "x", "kind": "y"}}, id="a default tag spelled out"),
    ],
)
async def test_the_same_content_in_other_words(world: World, change: dict[str, Any]) -> None:
    await world.define(DONE, default_tags={"kind": "y"})
    first = await start(world)

    assert (await start(world, **change)).id == first.id


async def test_the_latest_version_is_that_of_the_first_request(world: World) -> None:
    await world.define(DONE)
    await start(world)
    await world.manager.update_definition("d", NewWorkflowDefinition(state_machine=FAILING))

    assert (await start(world)).workflow_definition.version == 0


async def test_a_tag_that_is_no_text_is_refused_as_ever(world: World) -> None:
    await world.define(DONE)
    await start(world)

    with pytest.raises(InvalidRequest, match=r"^/tags/team: "):
        await start(world, tags={"team": 1})


@pytest.mark.parametrize(
    ("operation", "error", "kind"),
    [
        ("create_state_machine", errors.InvalidDefinition("no"), InvalidWorkflowDefinition),
        ("start_execution", errors.ServiceUnavailable("disk full"), StorageUnavailable),
        ("start_execution", errors.ExecutionLimitExceeded("full"), BackendUnavailable),
    ],
)
async def test_a_start_that_failed_leaves_nothing_and_can_be_repeated(
    world: World, operation: str, error: errors.StepFunctionsError, kind: type[Exception]
) -> None:
    await world.define(ECHO)
    world.stepfunctions.errors[operation] = [error]

    with pytest.raises(kind):
        await start(world)

    assert await saved(world) == []
    assert (await start(world, input="{}")).status is WorkflowStatus.QUEUED  # with other content, too: there is none
    assert await saved(world) == await executions(world) == [ID]


async def test_a_request_that_cannot_be_met_can_be_repeated_when_it_can(world: World) -> None:
    with pytest.raises(WorkflowDefinitionNotFound):
        await start(world)
    await world.define(DONE)

    assert (await start(world)).id == ID


async def test_a_start_that_did_not_begin_is_begun_by_the_next_one(untold: World) -> None:
    """Its server died, or lost the connection, between saving and starting."""
    await untold.define(WAITING)
    untold.stepfunctions.errors["start_execution"] = [errors.AnswerLost("lost")]
    with pytest.raises(StartUnknown):
        await start(untold)
    assert (await saved(untold), await executions(untold)) == ([ID], [])

    again = await another_server(untold).start_workflow(ASKED, idempotency_key=KEY)

    assert (again.id, again.status) == (ID, WorkflowStatus.RUNNING)
    assert await saved(untold) == await executions(untold) == [ID]


async def test_a_start_that_began_is_found_by_the_next_one(untold: World) -> None:
    """Only its answer was lost."""
    await untold.define(WAITING)

    async def lost(request: t.StartExecutionInput) -> None:
        await untold.stepfunctions.inner.start_execution(request)
        raise errors.AnswerLost("lost")

    untold.stepfunctions.instead["start_execution"] = lost
    with pytest.raises(StartUnknown):
        await start(untold)
    del untold.stepfunctions.instead["start_execution"]

    assert (await start(untold)).status is WorkflowStatus.RUNNING
    assert await saved(untold) == await executions(untold) == [ID]
    assert untold.stepfunctions.calls.count("start_execution") == 1


async def test_another_attempt_that_fails_leaves_it_for_the_next(untold: World) -> None:
    """It cannot know whether the first one began, so it deletes nothing."""
    await untold.define(WAITING)
    untold.stepfunctions.errors["start_execution"] = [errors.AnswerLost("lost"), errors.ExecutionLimitExceeded("full")]
    for kind in (StartUnknown, BackendUnavailable):
        with pytest.raises(kind):
            await start(untold)

    assert (await start(untold)).status is WorkflowStatus.RUNNING


async def test_a_key_whose_workflow_never_began_in_time_has_failed(untold: World) -> None:
    await untold.define(WAITING)
    untold.stepfunctions.errors["start_execution"] = [errors.AnswerLost("lost")]
    with pytest.raises(StartUnknown):
        await start(untold)
    untold.clock.advance(NEVER_BEGAN_AFTER.total_seconds())

    found = await start(untold)

    assert (found.status, found.status_reason) == (WorkflowStatus.FAILED, NEVER_BEGAN)
    assert await executions(untold) == []


async def test_one_that_fails_after_another_server_has_begun_it_has_not_failed(untold: World) -> None:
    """The workflow is not deleted: somebody was told that it runs."""
    await untold.define(WAITING)
    other = another_server(untold)
    told: list[Workflow] = []

    async def fails_late(_: t.StartExecutionInput) -> None:
        untold.stepfunctions.instead.clear()
        told.append(await other.start_workflow(ASKED, idempotency_key=KEY))
        raise errors.ServiceUnavailable("busy")

    untold.stepfunctions.instead["start_execution"] = fails_late

    first = await start(untold)

    assert [each.status for each in (first, *told)] == [WorkflowStatus.RUNNING] * 2
    assert await saved(untold) == await executions(untold) == [ID]


async def test_one_that_fails_while_another_server_begins_it_does_not_know(untold: World) -> None:
    await untold.define(WAITING)
    now = moment(untold.clock.now())
    await untold.store.take_lease(f"start:{ID}", "another", now, now + LEASE)
    untold.stepfunctions.errors["start_execution"] = [errors.ServiceUnavailable("busy")]

    with pytest.raises(StartUnknown, match=f"busy; whether workflow {ID} has begun is not known yet"):
        await start(untold)

    assert await saved(untold) == [ID]
    with pytest.raises(BackendUnavailable, match="another server is starting workflow"):
        await start(untold)
    untold.clock.advance(LEASE.total_seconds())
    assert (await start(untold)).status is WorkflowStatus.RUNNING


async def test_one_that_another_server_gives_up_is_started_anew(untold: World) -> None:
    await untold.define(WAITING)
    untold.stepfunctions.errors["start_execution"] = [errors.AnswerLost("lost")]
    with pytest.raises(StartUnknown):
        await start(untold)

    async def given_up() -> None:
        untold.stepfunctions.before.clear()
        await untold.store.delete_workflow(ID)

    untold.stepfunctions.before["describe_execution"] = given_up

    assert (await start(untold)).status is WorkflowStatus.QUEUED
    assert await saved(untold) == await executions(untold) == [ID]


@pytest.mark.parametrize("status", [WorkflowStatus.CANCELLED, WorkflowStatus.FAILED])
async def test_one_that_ends_while_it_is_begun_does_not_run_on(untold: World, status: WorkflowStatus) -> None:
    """Cancelled, or given up, before its execution was to be found."""
    await untold.define(WAITING)
    untold.stepfunctions.errors["start_execution"] = [errors.AnswerLost("lost")]
    with pytest.raises(StartUnknown):
        await start(untold)

    async def ends() -> None:
        await untold.store.change_workflow(ID, WorkflowChange(status=status, status_reason="why"))

    untold.stepfunctions.before["start_execution"] = ends

    assert (await start(untold)).status is status
    described = await untold.backend.describe_execution(
        t.DescribeExecutionInput(execution_arn=ARNS.execution("ns--d--0--wait", ID))
    )
    assert (described.status, described.cause) == ("ABORTED", "why")


async def test_a_caller_that_gives_up_leaves_nothing_half_done(world: World) -> None:
    await world.define(DONE)
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        began.set()
        await go_on.wait()

    world.stepfunctions.before["start_execution"] = slowly
    starting = asyncio.create_task(start(world))
    await began.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    go_on.set()

    assert (await start(world)).status is not WorkflowStatus.QUEUED
    assert await executions(world) == [ID]


# ---------------------------------------------------------------------- keys that are older than what is kept


async def forgotten(world: World) -> None:
    """The key's workflow has ended and expired, as in DynamoDB after 30 days; its execution's name is still taken."""
    await world.define(DONE)
    await world.ended(await start(world))
    await world.store.delete_workflow(ID)
    world.clock.advance(timedelta(days=31).total_seconds())


@pytest.mark.parametrize("change", [{}, {"input": '{"other": 1}'}], ids=["the same", "other content"])
async def test_a_key_whose_workflow_is_kept_no_longer(untold: World, change: dict[str, Any]) -> None:
    """It is not answered with what the earlier execution did."""
    await forgotten(untold)

    with pytest.raises(IdempotencyKeyReused, match=f"was used for workflow {ID}, which is kept no longer") as refused:
        await start(untold, **change)

    assert refused.value.details == {"workflowID": ID}
    assert (await saved(untold), await executions(untold)) == ([], [ID])


async def test_nor_is_anybody_who_asks_meanwhile(untold: World) -> None:
    await forgotten(untold)
    other = another_server(untold)
    told: list[Any] = []

    async def asked_meanwhile() -> None:
        untold.stepfunctions.before.clear()
        told.append((await untold.manager.workflow(ID)).status)
        with pytest.raises(IdempotencyKeyReused):
            await other.start_workflow(ASKED, idempotency_key=KEY)

    untold.stepfunctions.before["start_execution"] = asked_meanwhile

    with pytest.raises(IdempotencyKeyReused):
        await start(untold)

    assert told == [WorkflowStatus.QUEUED]
    assert await saved(untold) == []


async def test_whose_an_execution_is_that_cannot_be_looked_at_is_not_known_yet(untold: World) -> None:
    await forgotten(untold)
    untold.stepfunctions.errors["describe_execution"] = [errors.ThrottlingException("slow down")]

    with pytest.raises(StartUnknown, match=r"slow down; whether workflow .* has begun is not known yet"):
        await start(untold)

    with pytest.raises(IdempotencyKeyReused):
        await start(untold)
