"""Saving, versioning and refusing workflow definitions."""

import asyncio
from typing import Any

import pytest
from manager_world import DONE, ECHO, World

from workflow_manager.model import NewWorkflowDefinition
from workflow_manager.model.errors import (
    InvalidRequest,
    InvalidWorkflowDefinition,
    WorkflowDefinitionAlreadyExists,
    WorkflowDefinitionNotFound,
)
from workflow_manager.stepfunctions import errors


def new(machine: dict[str, Any] = ECHO, **fields: Any) -> NewWorkflowDefinition:
    return NewWorkflowDefinition(state_machine=machine, **fields)


async def test_versions_begin_at_zero_and_each_has_an_id(world: World) -> None:
    first = await world.manager.create_definition(new(name="d:master", default_tags={"team": "a"}))
    second = await world.manager.update_definition("d:master", new(DONE, name="d:master"))
    third = await world.manager.update_definition("d:master", new(ECHO))

    assert [(each.name, each.version) for each in (first, second, third)] == [("d:master", n) for n in range(3)]
    assert len({first.id, second.id, third.id}) == 3
    assert first.state_machine == ECHO
    assert first.default_tags == {"team": "a"}
    assert first.created_at.timestamp() == world.clock.now()
    assert await world.manager.definition_versions("d:master", latest=False) == [first, second, third]
    assert await world.manager.definition_versions("d:master", latest=True) == [third]
    assert await world.manager.definition("d:master", 1) == second
    assert await world.manager.definitions() == [third]


async def test_the_stored_definition_is_the_authors(world: World) -> None:
    machine = {**ECHO, "Comment": "ours", "States": {"echo": {**ECHO["States"]["echo"], "Comment": "é"}}}

    saved = await world.manager.create_definition(new(machine, name="d"))

    assert (await world.manager.definition("d", 0)).state_machine == machine == saved.state_machine


async def test_concurrent_updates_each_make_a_version(world: World) -> None:
    await world.define(DONE)

    made = await asyncio.gather(*(world.manager.update_definition("d", new(DONE)) for _ in range(5)))

    assert sorted(each.version for each in made) == [1, 2, 3, 4, 5]


async def test_a_name_is_created_once(world: World) -> None:
    await world.define(DONE)

    with pytest.raises(WorkflowDefinitionAlreadyExists, match=r"^Already Exists: d$"):
        await world.define(DONE)


@pytest.mark.parametrize("body", ["nowhere", ""], ids=["named in the body, too", "named in the path only"])
async def test_a_name_that_is_unknown(world: World, body: str) -> None:
    with pytest.raises(WorkflowDefinitionNotFound, match=r"^nowhere$"):
        await world.manager.update_definition("nowhere", new(name=body))
    with pytest.raises(WorkflowDefinitionNotFound, match=r"^nowhere$"):
        await world.manager.definition_versions("nowhere", latest=True)


@pytest.mark.parametrize("version", [-1, 1, 2**63])
async def test_a_version_that_is_unknown(world: World, version: int) -> None:
    await world.define(DONE)

    with pytest.raises(WorkflowDefinitionNotFound, match=f"^d@{version}$"):
        await world.manager.definition("d", version)


async def test_the_path_and_the_body_name_the_same(world: World) -> None:
    await world.define(DONE)

    with pytest.raises(InvalidRequest, match=r"^/name is 'e', but the path says 'd'"):
        await world.manager.update_definition("d", new(name="e"))


async def test_faults_are_placed_in_what_was_sent(world: World) -> None:
    """Also in a Retry that the safety net was put in front of, and behind a name that holds a slash."""
    machine = {
        "StartAt": "a/b",
        "States": {
            "a/b": {
                "Type": "Task",
                "Resource": "echo",
                "Retry": [{"ErrorEquals": ["x"]}, {"ErrorEquals": ["y"], "IntervalSeconds": -1}],
                "Next": "nowhere",
            }
        },
    }

    with pytest.raises(InvalidWorkflowDefinition) as refused:
        await world.manager.create_definition(new(machine, name="d", default_tags={"n": 1}))

    places = {each["location"] for each in refused.value.details["diagnostics"]}
    assert places == {
        "/defaultTags/n",
        "/stateMachine/States/a~1b/Retry/1/IntervalSeconds",
        "/stateMachine/States/a~1b/Next",
    }
    assert all(
        each.keys() == {"code", "message", "location", "severity"} for each in refused.value.details["diagnostics"]
    )
    with pytest.raises(WorkflowDefinitionNotFound):
        await world.manager.definition("d", 0)


async def test_a_bad_update_makes_no_version(world: World) -> None:
    await world.define(DONE)

    with pytest.raises(InvalidWorkflowDefinition):
        await world.manager.update_definition("d", new({"StartAt": "nowhere", "States": {}}))

    assert len(await world.manager.definition_versions("d", latest=False)) == 1


@pytest.mark.parametrize("machine", [{}, {"States": []}, {"StartAt": 1, "States": {"x": 1}}, {"States": {"x": {}}}])
async def test_whatever_it_is_a_refusal_says_why(world: World, machine: dict[str, Any]) -> None:
    with pytest.raises(InvalidWorkflowDefinition) as refused:
        await world.define(machine)

    assert refused.value.details["diagnostics"]


async def test_ten_thousand_states_are_judged(world: World) -> None:
    states = {f"s{n}": {"Type": "Task", "Resource": "echo", "Next": f"s{n + 1}"} for n in range(10_000)}

    with pytest.raises(InvalidWorkflowDefinition) as refused:
        await world.define({"StartAt": "s0", "States": states})

    codes = {each["code"] for each in refused.value.details["diagnostics"]}
    assert "DEFINITION_TOO_LONG" in codes
    assert codes <= {"DEFINITION_TOO_LONG", "MISSING_TRANSITION_TARGET"}  # AWS does not look into one that is too long


async def test_a_thousand_levels_are_refused(world: World) -> None:
    machine: dict[str, Any] = DONE
    for _ in range(1000):
        machine = {"StartAt": "p", "States": {"p": {"Type": "Parallel", "Branches": [machine], "End": True}}}

    with pytest.raises(InvalidWorkflowDefinition) as refused:
        await world.define(machine)

    assert [each["code"] for each in refused.value.details["diagnostics"]] == ["NESTED_TOO_DEEPLY"]


async def test_what_cannot_be_checked_now_is_no_fault_of_the_definition(world: World) -> None:
    world.stepfunctions.errors["validate_state_machine_definition"] = [errors.ThrottlingException("slow down")]

    with pytest.raises(Exception, match="ThrottlingException: slow down") as refused:
        await world.define(DONE)

    assert not isinstance(refused.value, InvalidRequest)
