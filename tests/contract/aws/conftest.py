"""The API and the manager on the AWS backend: boto3 over HTTP to this project's own wire, with faults on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import botocore.retries.bucket
import httpx
import pytest
from aws_faults import Faults
from serving import served

from workflow_manager.api.app import create_api
from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.metrics import Metrics
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.store import Store
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.sqlite import SqliteStore

SETTINGS = ManagerSettings(environment="test", keep_jobs=True)


async def at_once(seconds: float) -> None:
    """Pause as long as others need to get on."""
    if seconds > 60:
        await asyncio.Event().wait()
    await asyncio.sleep(0)


@dataclass
class World:
    """A service on the AWS backend, the engine that is AWS to it, and what goes wrong between them."""

    engine: EmbeddedStepFunctions
    aws: AwsStepFunctions
    store: Store
    clock: VirtualClock
    faults: Faults
    metrics: Metrics
    store_faults: Faults = field(default_factory=Faults)
    """What goes wrong on the way to the store, where that is DynamoDB."""
    managers: list[WorkflowManager] = field(default_factory=list)

    @property
    def manager(self) -> WorkflowManager:
        return self.managers[0]

    async def another(self, **arguments: Any) -> WorkflowManager:
        """One more server on the same store and the same account. Its sweeper does not run."""
        manager = WorkflowManager(
            self.store,
            self.aws,
            **{"settings": SETTINGS, "clock": self.clock, "sleep": at_once, **arguments},
        )
        self.managers.append(manager)
        return manager


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing: botocore pauses before it tries again, and slows down when it is throttled."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(botocore.retries.bucket.TokenBucket, "acquire", lambda *_, **__: True)


@pytest.fixture
def store(database: Database) -> Store:
    """The one place that says which: what is tested here is the way to Step Functions."""
    return SqliteStore(database)


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One for all: a session reads the service's model once."""
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "test.db", synchronous="OFF")
    yield database
    await database.close()


@pytest.fixture
async def world(
    store: Store, database: Database, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    clock, metrics, faults = VirtualClock(), Metrics(), Faults()
    engine = EmbeddedStepFunctions(database, clock=clock)
    await engine.start()
    make = AwsStepFunctions._new_client

    def watched(self: AwsStepFunctions, kind: Any) -> Any:
        client = make(self, kind)
        faults.watch(client)
        return client

    monkeypatch.setattr(AwsStepFunctions, "_new_client", watched)
    async with (
        served(engine) as url,
        AwsStepFunctions(session=session, endpoint_url=url, threads=4, counted=metrics.calls("stepfunctions")) as aws,
    ):
        world = World(engine, aws, store, clock, faults, metrics)
        if isinstance(store, DynamoStore):
            world.store_faults.watch(store._calls.client)
        await world.another()
        yield world
        for manager in world.managers:
            await manager.stop()
    await engine.close()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_api(world.manager, metrics=world.metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
