"""State resources: saved, overwritten, read, deleted."""

import pytest
from manager_world import World

from workflow_manager.model import StateResource
from workflow_manager.model.errors import InvalidRequest, StateResourceNotFound


async def test_the_newest_stands(world: World) -> None:
    await world.manager.save_state_resource(StateResource(name="echo", namespace="ns", uri="one"))
    world.clock.advance(5)
    saved = await world.manager.save_state_resource(StateResource(name="echo", namespace="ns", uri="two"))

    assert saved.last_updated.timestamp() == world.clock.now()
    assert await world.manager.state_resource("ns", "echo") == saved
    assert saved.uri == "two"


async def test_what_is_deleted_is_gone(world: World) -> None:
    await world.manager.save_state_resource(StateResource(name="echo", namespace="ns"))
    await world.manager.delete_state_resource("ns", "echo")

    with pytest.raises(StateResourceNotFound, match=r"^ns--echo$"):
        await world.manager.state_resource("ns", "echo")
    with pytest.raises(StateResourceNotFound, match=r"^ns--echo$"):
        await world.manager.delete_state_resource("ns", "echo")


@pytest.mark.parametrize(
    ("namespace", "name", "field"),
    [("", "x", "namespace"), ("x", "", "name"), ("a/b", "x", "namespace"), ("x", "a/b", "name")],
)
async def test_names_that_cannot_be_addressed(world: World, namespace: str, name: str, field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^/{field} is "):
        await world.manager.save_state_resource(StateResource(name=name, namespace=namespace))
