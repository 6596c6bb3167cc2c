"""The pairs of a backend and a store that the product's tests run on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dynamodb_world import empty_store
from serving import served, session

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore

PAIRS = ["embedded+memory", "embedded+sqlite", "aws+dynamodb"]


@dataclass
class Pair:
    """What executes state machines, as the manager sees it, and what keeps workflows."""

    stepfunctions: StepFunctions
    store: Store


@asynccontextmanager
async def a_pair(
    name: str, engine: EmbeddedStepFunctions, database: Database, dynamodb_url: str
) -> AsyncIterator[Pair]:
    """``aws`` is the engine too, but as AWS is reached: through boto3, over HTTP."""
    if name == "embedded+memory":
        yield Pair(engine, MemoryStore())
    elif name == "embedded+sqlite":
        yield Pair(engine, SqliteStore(database))
    else:
        async with (
            empty_store(dynamodb_url) as dynamodb,
            served(engine) as url,
            AwsStepFunctions(session=session(), endpoint_url=url, threads=8, polls=4) as stepfunctions,
        ):
            yield Pair(stepfunctions, dynamodb)
