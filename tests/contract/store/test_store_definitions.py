"""Definitions and state resources: versions are allocated atomically, what is not there is said by name."""

from __future__ import annotations

import asyncio

import pytest
from store_values import at, definition

from workflow_manager.model import StateResource
from workflow_manager.model.errors import (
    StateResourceNotFound,
    WorkflowDefinitionAlreadyExists,
    WorkflowDefinitionNotFound,
)
from workflow_manager.store import Store


async def test_a_new_name_gets_version_0_whatever_is_asked(store: Store) -> None:
    saved = await store.save_definition(definition("a", version=7))

    assert saved.version == 0
    assert await store.definition("a", 0) == saved


async def test_a_name_is_saved_once(store: Store) -> None:
    await store.save_definition(definition("a"))

    with pytest.raises(WorkflowDefinitionAlreadyExists, match="Already Exists: a"):
        await store.save_definition(definition("a"))


async def test_updates_make_versions_and_keep_the_old_ones(store: Store) -> None:
    await store.save_definition(definition("a"))
    await store.update_definition(definition("a", id="second", default_tags={"k": "v"}))

    assert [d.version for d in await store.definition_versions("a")] == [0, 1]
    assert (await store.latest_definition("a")).id == "second"
    assert (await store.definition("a", 0)).id == "a-0"
    assert (await store.definition("a", 1)).default_tags == {"k": "v"}


async def test_concurrent_updates_each_get_a_version_of_their_own(store: Store) -> None:
    await store.save_definition(definition("a"))

    made = await asyncio.gather(*(store.update_definition(definition("a", id=f"u{i}")) for i in range(20)))

    assert sorted(d.version for d in made) == list(range(1, 21))
    assert {d.id for d in await store.definition_versions("a")} == {"a-0"} | {f"u{i}" for i in range(20)}


async def test_definitions_are_the_latest_of_each_name_by_name(store: Store) -> None:
    for name in ("b", "a"):
        await store.save_definition(definition(name))
    await store.update_definition(definition("b", id="newer"))

    assert [(d.name, d.version) for d in await store.definitions()] == [("a", 0), ("b", 1)]


async def test_what_the_state_machine_holds_is_kept_as_it_is(store: Store) -> None:
    machine = {"StartAt": "É", "States": {"É": {"Type": "Pass", "X-Unknown": [1, None, {"deep": 1.5}], "End": True}}}

    await store.save_definition(definition("a", state_machine=machine))

    assert (await store.definition("a", 0)).state_machine == machine


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(lambda s: s.update_definition(definition("no")), "no", id="update"),
        pytest.param(lambda s: s.definition_versions("no"), "no", id="versions"),
        pytest.param(lambda s: s.latest_definition("no"), "no", id="latest"),
        pytest.param(lambda s: s.definition("no", 3), "no@3", id="one version"),
    ],
)
async def test_a_definition_that_is_not_there(store: Store, call: object, message: str) -> None:
    with pytest.raises(WorkflowDefinitionNotFound) as raised:
        await call(store)  # type: ignore[operator]

    assert raised.value.message == message


async def test_state_resources_are_saved_overwritten_and_deleted(store: Store) -> None:
    first = StateResource(name="r", namespace="n", uri="arn:1", last_updated=at(1))
    await store.save_state_resource(first)
    await store.save_state_resource(StateResource(name="r", namespace="n", uri="arn:2", last_updated=at(2)))

    assert (await store.state_resource("n", "r")).uri == "arn:2"
    await store.delete_state_resource("n", "r")
    for call in (store.state_resource, store.delete_state_resource):
        with pytest.raises(StateResourceNotFound, match="n--r"):
            await call("n", "r")
