"""The API over the real manager and each pair of a backend and a store; in process, or on a port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from api_machines import in_process
from moto_cases import pairs_of, sort_out
from pairs import PAIRS, Pair, a_pair

from workflow_manager.api.app import Api, create_api
from workflow_manager.api.server import Server
from workflow_manager.api.settings import ApiSettings
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Clients that are slow or stuck are tried on both event loops, which differ in how they write, close and abort."""
    factories = {"asyncio": asyncio.new_event_loop}
    return {**factories, "uvloop": uvloop.new_event_loop} if item.path.name == "test_api_server.py" else factories


ON_ALL_PAIRS = ("test_api_events.py", "test_api_lists.py", "test_api_operations.py")
"""What asks the manager and the store; the others are about HTTP."""
ABOUT_HTTP = {
    "test_health_check",
    "test_refused",
    "test_queries_refused",
    "test_state_resources_refused",
    "test_an_idempotency_key_that_is_none",
    "test_nonsense_is_400_with_a_reason",
}
"""What of these modules is refused before anybody is asked."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pair" in metafunc.fixturenames:
        module, function = metafunc.definition.path.name, metafunc.function.__name__
        on_all = module in ON_ALL_PAIRS and function not in ABOUT_HTTP
        metafunc.parametrize("pair", pairs_of(module) if on_all else PAIRS[:1], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    sort_out(config, items)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "engine.db")
    yield database
    await database.close()


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[EmbeddedStepFunctions]:
    engine = EmbeddedStepFunctions(database)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def pair(
    request: pytest.FixtureRequest, engine: EmbeddedStepFunctions, database: Database, dynamodb_url: str
) -> AsyncIterator[Pair]:
    moto_url = partial(request.getfixturevalue, "moto_url")
    async with a_pair(request.param, engine, database, dynamodb_url, moto_url) as pair:
        yield pair


@pytest.fixture
async def manager(pair: Pair, engine: EmbeddedStepFunctions) -> AsyncIterator[WorkflowManager]:
    changes = engine if pair.tells else None
    manager = WorkflowManager(pair.store, pair.stepfunctions, settings=ManagerSettings(), changes=changes)
    await manager.start()
    yield manager
    await manager.stop()


@pytest.fixture
def api(manager: WorkflowManager) -> Api:
    return create_api(manager)


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(api) as client:
        yield client


@pytest.fixture
async def server(api: Api) -> AsyncIterator[Server]:
    async with Server(api, port=0, settings=ApiSettings(shutdown_seconds=1.0)) as server:
        yield server


@pytest.fixture
async def over_http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


@pytest.fixture
def start(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Save a definition, unless it is there, and start a workflow of its version 0."""

    async def start(machine: dict[str, Any], name: str = "flow", **fields: Any) -> dict[str, Any]:
        await client.post("/workflow-definitions", json={"name": name, "stateMachine": machine})
        body = {"workflowDefinition": {"name": name}, "namespace": "test", **fields}
        answer = await client.post("/workflows", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return start


@pytest.fixture
def ended(manager: WorkflowManager, client: httpx.AsyncClient) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Wait until a workflow has ended."""

    async def ended(workflow_id: str) -> dict[str, Any]:
        async for _ in manager.follow(workflow_id):
            pass
        return (await client.get(f"/workflows/{workflow_id}")).json()

    return ended
