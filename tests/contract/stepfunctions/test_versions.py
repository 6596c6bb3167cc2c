"""Versions and aliases: what is published stays, and an alias divides starts among versions by their weights.

Source: API reference (PublishStateMachineVersion, CreateStateMachineAlias and the like); SFN developer guide, "Versions",
"Aliases", "Service quotas".
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, PASS, WAIT, World, running

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.operations import versions
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t


def result(value: int) -> dict[str, Any]:
    return {"A": {"Type": "Pass", "Result": value, "End": True}}


async def publish(world: World, arn: str, **fields: Any) -> str:
    request = t.PublishStateMachineVersionInput(state_machine_arn=arn, **fields)
    return (await world.api.publish_state_machine_version(request)).state_machine_version_arn


async def update(world: World, arn: str, states: dict[str, Any]) -> str:
    definition = t.UpdateStateMachineInput(state_machine_arn=arn, definition=as_text(states))
    return str((await world.api.update_state_machine(definition)).revision_id)


def as_text(states: dict[str, Any]) -> str:
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def routes(*pairs: tuple[str, int]) -> list[t.RoutingConfigurationListItem]:
    return [t.RoutingConfigurationListItem(state_machine_version_arn=arn, weight=weight) for arn, weight in pairs]


async def alias(world: World, name: str, *pairs: tuple[str, int], description: str | None = None) -> str:
    request = t.CreateStateMachineAliasInput(name=name, routing_configuration=routes(*pairs), description=description)
    return (await world.api.create_state_machine_alias(request)).state_machine_alias_arn


async def two(world: World, name: str = "m") -> tuple[str, str, str]:
    """(state machine, its version 1, its version 2)."""
    arn = await world.machine(result(1), name, publish=True)
    await update(world, arn, result(2))
    return arn, f"{arn}:1", await publish(world, arn)


async def test_publishing_what_is_published_answers_the_same_version(any_world: World) -> None:
    arn = await any_world.machine(PASS)

    first = await publish(any_world, arn, description="one")

    assert first == f"{arn}:1"
    assert await publish(any_world, arn) == first
    revision = await update(any_world, arn, WAIT)
    assert await publish(any_world, arn, revision_id=revision) == f"{arn}:2"
    described = await any_world.api.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=first))
    assert (described.description, described.state_machine_arn) == ("one", first)
    assert described.definition == as_text(PASS)


async def test_publishing_another_revision_than_is_asked_for_conflicts(any_world: World) -> None:
    arn = await any_world.machine(PASS)
    await update(any_world, arn, WAIT)

    with pytest.raises(
        errors.ConflictException, match="Failed to publish the State Machine version for revision INITIAL"
    ):
        await publish(any_world, arn, revision_id="INITIAL")


async def test_a_version_s_number_is_not_given_again(any_world: World) -> None:
    arn, _, second = await two(any_world)
    await any_world.api.delete_state_machine_version(t.DeleteStateMachineVersionInput(state_machine_version_arn=second))

    assert await publish(any_world, arn) == f"{arn}:3"


async def test_starts_by_an_alias_are_divided_by_weight(world: World) -> None:
    _, first, second = await two(world)
    arn = await alias(world, "live", (first, 80), (second, 20))
    started = [await world.start(arn, f"e{number}") for number in range(300)]

    counts: Counter[Any] = Counter()
    for execution in started:
        described = await world.describe(execution)
        counts[described.state_machine_version_arn, described.output] += 1
        assert described.state_machine_alias_arn == arn

    assert set(counts) == {(first, "1"), (second, "2")}
    assert 20 <= counts[second, "2"] <= 110  # some 60


async def test_a_version_without_weight_is_never_drawn(world: World) -> None:
    _, first, second = await two(world)
    arn = await alias(world, "live", (first, 0), (second, 100))

    for number in range(50):
        assert (await world.describe(await world.start(arn, f"e{number}"))).output == "2"


async def test_an_alias_that_is_there_is_answered_only_if_it_is_the_same(any_world: World) -> None:
    _, first, second = await two(any_world)
    arn = await alias(any_world, "live", (first, 100), description="d")

    assert await alias(any_world, "live", (first, 100), description="d") == arn
    for pairs, description in (([(second, 100)], "d"), ([(first, 100)], "other")):
        with pytest.raises(errors.ConflictException):
            await alias(any_world, "live", *pairs, description=description)


async def test_an_alias_is_updated_in_parts(any_world: World) -> None:
    _, first, second = await two(any_world)
    arn = await alias(any_world, "live", (first, 100), description="d")
    any_world.clock.advance(5)

    await any_world.api.update_state_machine_alias(
        t.UpdateStateMachineAliasInput(state_machine_alias_arn=arn, routing_configuration=routes((second, 100)))
    )

    described = await any_world.api.describe_state_machine_alias(
        t.DescribeStateMachineAliasInput(state_machine_alias_arn=arn)
    )
    assert (described.description, described.routing_configuration) == ("d", routes((second, 100)))
    assert described.update_date == any_world.clock.now()
    assert described.creation_date == any_world.clock.now() - 5


async def test_an_alias_stays_with_its_state_machine(any_world: World) -> None:
    _, first, _ = await two(any_world)
    _, other, _ = await two(any_world, "other")
    arn = await alias(any_world, "live", (first, 100))

    with pytest.raises(errors.ValidationException):
        await any_world.api.update_state_machine_alias(
            t.UpdateStateMachineAliasInput(state_machine_alias_arn=arn, routing_configuration=routes((other, 100)))
        )
    with pytest.raises(errors.ValidationException):
        await alias(any_world, "mixed", (first, 50), (other, 50))


async def test_a_version_that_an_alias_refers_to_stays(any_world: World) -> None:
    _, first, _ = await two(any_world)
    arn = await alias(any_world, "live", (first, 100))
    request = t.DeleteStateMachineVersionInput(state_machine_version_arn=first)

    with pytest.raises(errors.ConflictException, match=r"Current list of aliases referencing this version: \[live\]"):
        await any_world.api.delete_state_machine_version(request)
    await any_world.api.delete_state_machine_alias(t.DeleteStateMachineAliasInput(state_machine_alias_arn=arn))
    await any_world.api.delete_state_machine_version(request)

    with pytest.raises(errors.StateMachineDoesNotExist):
        await any_world.start(first)


@pytest.mark.parametrize("qualifier", [":1", ":live", "/Label"])
async def test_a_qualified_arn_neither_deletes_nor_updates_a_state_machine(any_world: World, qualifier: str) -> None:
    arn, first, _ = await two(any_world)
    await alias(any_world, "live", (first, 100))

    with pytest.raises(errors.ValidationException):
        await any_world.api.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=arn + qualifier))
    with pytest.raises(errors.StateMachineDoesNotExist):  # recorded from AWS
        await update(any_world, arn + qualifier, PASS)

    assert (await any_world.describe(await any_world.start(arn))).output == "2"


async def test_deleting_a_state_machine_takes_its_versions_and_aliases(any_world: World) -> None:
    arn, first, _ = await two(any_world)
    by_alias = await alias(any_world, "live", (first, 100))

    await any_world.api.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=arn))

    for gone in (arn, first, by_alias):
        with pytest.raises(errors.StateMachineDoesNotExist):
            await any_world.start(gone)


async def test_quotas(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MAX_VERSIONS", 2)
    monkeypatch.setattr(versions, "MAX_ALIASES", 1)
    arn, first, _ = await two(world)
    await update(world, arn, PASS)

    with pytest.raises(errors.ServiceQuotaExceededException, match="at most 2 versions"):
        await publish(world, arn)
    await alias(world, "one", (first, 100))
    with pytest.raises(errors.ServiceQuotaExceededException, match="at most 1 aliases"):
        await alias(world, "two", (first, 100))


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        pytest.param([("", 100)], errors.ValidationException, id="no version"),
        pytest.param([(":1", 50), (":2", 40)], errors.ValidationException, id="weights that make 90"),
        pytest.param([(":1", 50), (":1", 50)], errors.ValidationException, id="one version twice"),
        pytest.param([(":9", 100)], errors.ResourceNotFound, id="a version that is not there"),
    ],
)
async def test_faulty_routes(any_world: World, pairs: list[tuple[str, int]], error: type[Exception]) -> None:
    arn, _, _ = await two(any_world)

    with pytest.raises(error):
        await alias(any_world, "live", *((arn + suffix, weight) for suffix, weight in pairs))


async def test_executions_of_what_is_not_there(any_world: World) -> None:
    for arn in (f"{ARN}:stateMachine:absent:1", f"{ARN}:stateMachine:absent:live"):
        with pytest.raises(errors.StateMachineDoesNotExist):
            await any_world.start(arn)


async def test_the_executions_of_one_version_are_listed_in_pages_without_looking_at_any_other(
    tmp_path: Path, clock: VirtualClock
) -> None:
    async with running(tmp_path / "e.db", clock) as world:
        plain, first, second = await two(world)
        live = await alias(world, "live", (second, 100))
        for number in range(12):
            await world.start((plain, first, live)[number % 3], f"e{number}")

        asked: list[str] = []
        world.database.reader.set_exec_trace(lambda _cursor, sql, _bindings: asked.append(sql) or True)
        found: dict[str, list[str]] = {}
        for arn in (first, second, live):
            token = None
            while True:
                request = t.ListExecutionsInput(state_machine_arn=arn, max_results=3, next_token=token)
                page = await world.engine.list_executions(request)
                found.setdefault(arn, []).extend(item.name for item in page.executions)
                if (token := page.next_token) is None:
                    break
        world.database.reader.set_exec_trace(None)
        plans = [
            detail
            for sql in asked
            for *_, detail in world.database.read(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))
        ]

    assert found[first] == ["e10", "e7", "e4", "e1"]
    assert found[second] == found[live] == ["e11", "e8", "e5", "e2"]
    assert [plan for plan in plans if "SCAN" in plan or "TEMP" in plan] == []
