"""State machines, activities and their tags through the seam, alike in every implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from embedded_world import ARN, PASS, ROLE, WAIT, World

from workflow_manager.engine.operations import versions
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t


def definition(states: dict[str, Any]) -> str:
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def tags(**pairs: str) -> list[t.Tag]:
    return [t.Tag(key=key, value=value) for key, value in pairs.items()]


async def tags_of(world: World, arn: str) -> dict[str | None, str | None]:
    answer = await world.api.list_tags_for_resource(t.ListTagsForResourceInput(resource_arn=arn))
    return {tag.key: tag.value for tag in answer.tags or []}


async def test_making_a_machine_again_as_it_is_changes_nothing(any_world: World) -> None:
    request = t.CreateStateMachineInput(name="m", definition=definition(PASS), role_arn=ROLE)
    first = await any_world.api.create_state_machine(request)
    any_world.clock.advance(10)

    assert await any_world.api.create_state_machine(request) == first


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"definition": definition(WAIT)}, id="definition"),
        pytest.param({"tracing_configuration": t.TracingConfiguration(enabled=True)}, id="settings"),
    ],
)
async def test_a_machine_s_name_is_taken(any_world: World, other: dict[str, Any]) -> None:
    await any_world.machine(PASS)
    request = {"name": "m", "definition": definition(PASS), "role_arn": ROLE, **other}

    with pytest.raises(errors.StateMachineAlreadyExists):
        await any_world.api.create_state_machine(t.CreateStateMachineInput(**request))


async def test_an_update_is_what_the_next_start_runs(any_world: World) -> None:
    machine = await any_world.machine(WAIT)
    waiting = await any_world.start(machine, "before")
    updated = await any_world.api.update_state_machine(
        t.UpdateStateMachineInput(state_machine_arn=machine, definition=definition(PASS))
    )

    described = await any_world.api.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=machine))
    assert json.loads(described.definition)["States"] == PASS
    assert described.revision_id == updated.revision_id
    assert (await any_world.describe(await any_world.start(machine, "after"))).status == "SUCCEEDED"
    assert (await any_world.describe(waiting)).status == "RUNNING"


async def test_an_update_to_the_same_makes_no_revision(any_world: World) -> None:
    machine = await any_world.machine(PASS)
    request = t.UpdateStateMachineInput(state_machine_arn=machine, definition=definition(WAIT))
    first = await any_world.api.update_state_machine(request)

    assert (await any_world.api.update_state_machine(request)).revision_id == first.revision_id


async def test_a_machine_that_is_deleted_is_gone_and_its_executions_run_on(any_world: World) -> None:
    machine = await any_world.machine(WAIT)
    arn = await any_world.start(machine)
    await any_world.api.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=machine))
    await any_world.api.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=machine))

    with pytest.raises(errors.StateMachineDoesNotExist):
        await any_world.start(machine, "another")
    assert (await any_world.api.list_state_machines(t.ListStateMachinesInput())).state_machines == []
    any_world.clock.advance(60)
    assert (await any_world.ended(arn)).status == "SUCCEEDED"


async def test_a_machine_made_anew_is_a_new_one(any_world: World) -> None:
    machine = await any_world.machine(WAIT, tags=tags(a="1"))
    await any_world.api.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=machine))

    assert await any_world.machine(PASS) == machine

    assert await tags_of(any_world, machine) == {}
    assert (await any_world.describe(await any_world.start(machine))).status == "SUCCEEDED"


async def test_a_definition_that_is_refused_is_not_saved(any_world: World) -> None:
    with pytest.raises(errors.InvalidDefinition, match="/States/A"):
        await any_world.machine({"A": {"Type": "Pass", "Next": "Nowhere"}})

    assert (await any_world.api.list_state_machines(t.ListStateMachinesInput())).state_machines == []


async def test_activities_are_made_once_described_listed_and_deleted(any_world: World) -> None:
    names = [f"a{n}" for n in range(5)]
    arns = [await any_world.activity(name) for name in names]
    created = await any_world.api.describe_activity(t.DescribeActivityInput(activity_arn=arns[0]))
    any_world.clock.advance(10)
    again = await any_world.api.create_activity(t.CreateActivityInput(name="a0"))
    assert (again.activity_arn, again.creation_date) == (arns[0], created.creation_date)

    found, token = [], None
    for size in (2, 2, 1):
        page = await any_world.api.list_activities(t.ListActivitiesInput(max_results=2, next_token=token))
        assert len(page.activities) == size
        found += [item.name for item in page.activities]
        token = page.next_token
    assert (found, token) == (names, None)

    await any_world.api.delete_activity(t.DeleteActivityInput(activity_arn=arns[0]))
    with pytest.raises(errors.ActivityDoesNotExist):
        await any_world.api.describe_activity(t.DescribeActivityInput(activity_arn=arns[0]))
    with pytest.raises(errors.ActivityDoesNotExist):
        await any_world.poll(arns[0])


async def test_metadata_leave_the_definition_out(any_world: World) -> None:
    machine = await any_world.machine(PASS)
    execution = await any_world.start(machine)

    described = await any_world.api.describe_state_machine(
        t.DescribeStateMachineInput(state_machine_arn=machine, included_data="METADATA_ONLY")
    )
    run = await any_world.api.describe_state_machine_for_execution(
        t.DescribeStateMachineForExecutionInput(execution_arn=execution, included_data="METADATA_ONLY")
    )

    assert (described.definition, run.definition) == ("{}", "{}")


@pytest.mark.parametrize("kind", ["machine", "activity"])
async def test_a_tag_given_twice_has_its_last_value(any_world: World, kind: str) -> None:
    twice = [*tags(a="1", b="2"), *tags(a="3")]
    if kind == "machine":
        arn = await any_world.machine(PASS, tags=twice)
    else:
        arn = (await any_world.api.create_activity(t.CreateActivityInput(name="x", tags=twice))).activity_arn

    assert await tags_of(any_world, arn) == {"a": "3", "b": "2"}


@pytest.mark.parametrize("kind", ["machine", "activity"])
async def test_tags_are_added_replaced_and_removed(any_world: World, kind: str) -> None:
    if kind == "machine":
        arn = await any_world.machine(PASS, tags=tags(a="1", b="2"))
    else:
        made = await any_world.api.create_activity(t.CreateActivityInput(name="x", tags=tags(a="1", b="2")))
        arn = made.activity_arn
    assert await tags_of(any_world, arn) == {"a": "1", "b": "2"}

    await any_world.api.tag_resource(t.TagResourceInput(resource_arn=arn, tags=tags(b="two", c="3")))
    await any_world.api.untag_resource(t.UntagResourceInput(resource_arn=arn, tag_keys=["a", "absent"]))

    assert await tags_of(any_world, arn) == {"b": "two", "c": "3"}


async def test_more_tags_than_there_may_be_are_refused_whole(any_world: World) -> None:
    machine = await any_world.machine(PASS, tags=tags(**{f"k{n}": "v" for n in range(48)}))

    with pytest.raises(errors.TooManyTags):
        await any_world.api.tag_resource(t.TagResourceInput(resource_arn=machine, tags=tags(x="1", y="2", z="3")))

    assert len(await tags_of(any_world, machine)) == 48


@pytest.mark.parametrize("resource", ["stateMachine:absent", "activity:absent"])
async def test_tags_of_nothing(any_world: World, resource: str) -> None:
    with pytest.raises(errors.ResourceNotFound):
        await tags_of(any_world, f"{ARN}:{resource}")


async def test_a_machine_that_is_tagged_later_is_listened_to_from_then_on(world: World) -> None:
    told: list[str] = []

    async def listen(changes: Any) -> None:
        told.extend(change.name for change in changes)

    world.engine.subscribe(listen)
    machine = await world.machine(PASS)
    await world.start(machine, "untold")
    await world.api.tag_resource(t.TagResourceInput(resource_arn=machine, tags=tags(application="workflow-manager")))
    await world.start(machine, "told")
    await world.settled()

    assert told == ["told"]


async def test_settings_that_say_what_is_so_anyway_are_no_other_machine(any_world: World) -> None:
    first = await any_world.machine(PASS)
    plain = {
        "logging_configuration": t.LoggingConfiguration(level="OFF"),
        "tracing_configuration": t.TracingConfiguration(enabled=False),
    }
    request = t.CreateStateMachineInput(name="m", definition=definition(PASS), role_arn=ROLE, **plain)

    assert (await any_world.api.create_state_machine(request)).state_machine_arn == first


async def test_the_executions_of_a_version_and_of_an_alias(any_world: World) -> None:
    machine = await any_world.machine(PASS)
    published = await any_world.api.publish_state_machine_version(
        t.PublishStateMachineVersionInput(state_machine_arn=machine)
    )
    version = published.state_machine_version_arn
    routes = [t.RoutingConfigurationListItem(state_machine_version_arn=version, weight=100)]
    made = await any_world.api.create_state_machine_alias(
        t.CreateStateMachineAliasInput(name="live", routing_configuration=routes)
    )
    alias = made.state_machine_alias_arn
    for name, arn in (("a", machine), ("b", version), ("c", alias), ("d", version)):
        await any_world.start(arn, name)

    async def listed(arn: str, **more: Any) -> t.ListExecutionsOutput:
        return await any_world.api.list_executions(t.ListExecutionsInput(state_machine_arn=arn, **more))

    started = (await any_world.history(f"{ARN}:execution:m:c"))[0].details or {}
    assert (started["stateMachineVersionArn"], started["stateMachineAliasArn"]) == (version, alias)
    every = (await listed(machine)).executions
    assert [(e.name, e.state_machine_version_arn, e.state_machine_alias_arn) for e in every] == [
        ("d", version, None),
        ("c", version, alias),
        ("b", version, None),
        ("a", None, None),
    ]
    assert (await listed(alias)).executions == [every[1]]
    first = await listed(version, max_results=2)
    rest = await listed(version, max_results=2, next_token=first.next_token)
    assert (first.executions + rest.executions, rest.next_token) == (every[:3], None)
    assert (await listed(version, status_filter="RUNNING")).executions == []
    with pytest.raises(errors.StateMachineDoesNotExist):
        await listed(f"{machine}:7")


async def test_a_machine_has_as_many_aliases_and_versions_as_it_may(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "MAX_ALIASES", 1)
    monkeypatch.setattr(versions, "MAX_VERSIONS", 1)
    machine = await any_world.machine(PASS)
    publish = t.PublishStateMachineVersionInput(state_machine_arn=machine)
    version = (await any_world.api.publish_state_machine_version(publish)).state_machine_version_arn
    routes = [t.RoutingConfigurationListItem(state_machine_version_arn=version, weight=100)]
    await any_world.api.create_state_machine_alias(
        t.CreateStateMachineAliasInput(name="a", routing_configuration=routes)
    )
    await any_world.api.update_state_machine(
        t.UpdateStateMachineInput(state_machine_arn=machine, definition=definition(WAIT))
    )

    with pytest.raises(errors.ServiceQuotaExceededException):
        await any_world.api.create_state_machine_alias(
            t.CreateStateMachineAliasInput(name="b", routing_configuration=routes)
        )
    with pytest.raises(errors.ServiceQuotaExceededException):
        await any_world.api.publish_state_machine_version(publish)
