"""State machines on AWS: found or created by several servers at once, completed with what they lack."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import SETTINGS, World

from workflow_manager.manager import WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t

WAIT: dict[str, Any] = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
ROLE = SETTINGS.role_arn
OURS = {
    "application": "workflow-manager",
    "environment": "test",
    "workflow-definition-name": "d",
    "workflow-definition-version": "0",
    "workflow-definition-start-at": "w",
    "team": "a",
}


async def define(world: World, name: str = "d") -> None:
    await world.manager.create_definition(
        NewWorkflowDefinition(name=name, state_machine=WAIT, default_tags={"team": "a"})
    )


async def start(manager: WorkflowManager, name: str = "d") -> Workflow:
    return await manager.start_workflow(NewWorkflow(definition_name=name, namespace="ns"))


def arn(name: str) -> str:
    return f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"


async def machines(world: World) -> list[str]:
    return [each.name for each in (await world.engine.list_state_machines(t.ListStateMachinesInput())).state_machines]


async def tags(world: World, name: str) -> dict[str | None, str | None]:
    found = await world.engine.list_tags_for_resource(t.ListTagsForResourceInput(resource_arn=arn(name)))
    return {tag.key: tag.value for tag in found.tags or ()}


async def made_before(world: World, name: str, its_tags: Mapping[str, str], definition: str | None = None) -> None:
    """A state machine that somebody made a while ago: the same as ours if no other definition is given."""
    if definition is None:
        await define(world, "same")
        await start(world.manager, "same")
        made = await world.engine.describe_state_machine(
            t.DescribeStateMachineInput(state_machine_arn=arn("ns--same--0--w"))
        )
        definition = made.definition
        await world.engine.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=arn("ns--same--0--w")))
    await world.engine.create_state_machine(
        t.CreateStateMachineInput(
            name=name,
            definition=definition,
            role_arn=ROLE,
            tags=[t.Tag(key=key, value=value) for key, value in its_tags.items()],
        )
    )
    world.clock.advance(3600)


async def test_several_servers_at_once_make_one(world: World) -> None:
    """And all their workflows run."""
    await define(world)
    managers = [await world.another() for _ in range(4)]

    started = await asyncio.gather(*(start(manager) for manager in managers for _ in range(3)))

    assert await machines(world) == ["ns--d--0--w"]
    running = await world.engine.list_executions(t.ListExecutionsInput(state_machine_arn=arn("ns--d--0--w")))
    assert sorted(each.name for each in running.executions) == sorted(each.id for each in started)
    assert await tags(world, "ns--d--0--w") == OURS


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param({}, id="none"),
        pytest.param({"application": "workflow-manager", "workflow-definition-name": "d"}, id="some"),
        pytest.param({**OURS, "workflow-definition-start-at": "d"}, id="the name where the start state belongs"),
        pytest.param({**OURS, "team": "b", "more": "x"}, id="all, and others"),
    ],
)
async def test_missing_tags_are_added(world: World, theirs: dict[str, str]) -> None:
    """What else it is tagged with stays."""
    await made_before(world, "ns--d--0--w", theirs)
    await define(world)

    await start(world.manager)

    start_at = {"workflow-definition-start-at": "w"}
    assert await tags(world, "ns--d--0--w") == {**OURS, **theirs, **start_at}
    assert await machines(world) == ["ns--d--0--w"]


async def test_tags_are_looked_at_once(world: World) -> None:
    await made_before(world, "ns--d--0--w", {})
    await define(world)
    for _ in range(3):
        await start(world.manager)

    assert world.faults.attempts["ListTagsForResource"] == 1
    assert world.faults.attempts["TagResource"] == 1


@pytest.mark.parametrize(
    ("theirs", "definition"),
    [
        pytest.param({**OURS, "workflow-definition-name": "D"}, None, id="another definition's"),
        pytest.param({**OURS, "workflow-definition-version": "1"}, None, id="another version's"),
        pytest.param(
            {},
            '{"StartAt": "x", "States": {"x": {"Type": "Pass", "End": true}}}',
            id="no tags, and it does other things",
        ),
    ],
)
async def test_a_stranger_of_the_same_name_is_left_alone(
    world: World, theirs: dict[str, str], definition: str | None
) -> None:
    await made_before(world, "ns--d--0--w", theirs, definition)
    await define(world)

    workflow = await start(world.manager)

    ours = [name for name in await machines(world) if name not in ("ns--d--0--w", "ns--same--0--w")]
    assert len(ours) == 1
    assert ours[0].startswith("ns--d--0--w--")
    assert await tags(world, ours[0]) == OURS
    assert await tags(world, "ns--d--0--w") == theirs
    assert (await world.manager.workflow(workflow.id)).status == "running"


async def test_one_whose_resources_have_moved_is_ours_by_its_tags(world: World) -> None:
    other = '{"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 1, "End": true}}}'
    await made_before(world, "ns--d--0--w", OURS, other)
    await define(world)

    await start(world.manager)

    assert await machines(world) == ["ns--d--0--w"]


@pytest.mark.parametrize("operation", ["create_state_machine", "tag_resource"])
async def test_conflicting_changes_are_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    await made_before(world, "ns--d--0--w", {})
    await define(world)
    refusals = [errors.ConflictException("being changed")] * 3
    inner = getattr(world.aws, operation)

    async def refuse(request: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await inner(request)

    monkeypatch.setattr(world.aws, operation, refuse)

    assert (await start(world.manager)).id
    assert refusals == []
    assert await tags(world, "ns--d--0--w") == OURS


class LogGroups:
    def __init__(self) -> None:
        self.made: list[tuple[str, int, dict[str, str]]] = []

    async def ensure(self, name: str, *, retention_days: int, tags: Mapping[str, str]) -> None:
        self.made.append((name, retention_days, dict(tags)))


async def logging_of(world: World, name: str = "ns--d--0--w") -> t.LoggingConfiguration | None:
    described = await world.engine.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=arn(name)))
    return described.logging_configuration


GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/vendedlogs/states/ns--d--0--w:*"
LOGGING = t.LoggingConfiguration(
    level="ALL",
    include_execution_data=True,
    destinations=[t.LogDestination(cloud_watch_logs_log_group=t.CloudWatchLogsLogGroup(log_group_arn=GROUP))],
)


async def test_state_machines_log_if_wanted(world: World) -> None:
    """The group is there before the state machine that writes to it."""
    groups = LogGroups()
    manager = await world.another(log_groups=groups)
    await define(world)

    await start(manager)
    await start(manager)

    common = {"application": "workflow-manager", "environment": "test"}
    assert groups.made == [("/aws/vendedlogs/states/ns--d--0--w", 7, common)]
    assert await logging_of(world) == LOGGING
    assert world.faults.attempts["UpdateStateMachine"] == 0


async def test_those_that_are_there_are_updated_once(world: World) -> None:
    await define(world)
    await start(world.manager)
    world.clock.advance(3600)

    for _ in range(2):
        manager = await world.another(log_groups=LogGroups())
        for _ in range(2):
            await start(manager)

    assert await logging_of(world) == LOGGING
    assert world.faults.attempts["UpdateStateMachine"] == 1
    assert await machines(world) == ["ns--d--0--w"]


async def test_without_log_groups_nothing_logs(world: World) -> None:
    await define(world)
    await start(world.manager)

    configured = await logging_of(world)

    assert configured is None or configured.level == "OFF"


async def test_a_group_that_cannot_be_made_starts_nothing(world: World) -> None:
    class Refusing(LogGroups):
        async def ensure(self, name: str, *, retention_days: int, tags: Mapping[str, str]) -> None:
            raise errors.AccessDeniedException("not authorized to perform: logs:CreateLogGroup")

    manager = await world.another(log_groups=Refusing())
    await define(world)

    with pytest.raises(Exception, match=r"logs:CreateLogGroup; give the server's role this permission"):
        await start(manager)

    assert await machines(world) == []
