"""The pairs of a backend and a store that the product's tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
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
MOTO = "moto+dynamodb"
"""A pair for what moto's Step Functions can do: an implementation of the API that is not ours."""


@dataclass
class Pair:
    """What executes state machines, as the manager sees it, and what keeps workflows."""

    stepfunctions: StepFunctions
    store: Store
    backend: StepFunctions | None = None
    """What carries out executions, if that is not the engine."""
    tells: bool = True
    """Whether the engine tells what becomes of executions."""


@asynccontextmanager
async def a_pair(
    name: str, engine: EmbeddedStepFunctions, database: Database, dynamodb_url: str, moto_url: Callable[[], str]
) -> AsyncIterator[Pair]:
    """``aws`` is the engine too, but as AWS is reached: through boto3, over HTTP. ``moto_url`` is asked where moto is wanted."""
    if name == "embedded+memory":
        yield Pair(engine, MemoryStore())
    elif name == "embedded+sqlite":
        yield Pair(engine, SqliteStore(database))
    elif name == MOTO:
        from moto_sfn import on_emptied_moto, without_pauses  # takes half a second, and few tests need it

        stepfunctions = await asyncio.to_thread(on_emptied_moto, moto_url())
        async with empty_store(dynamodb_url) as dynamodb:
            with without_pauses():
                yield Pair(stepfunctions, dynamodb, backend=stepfunctions, tells=False)
    else:
        async with (
            empty_store(dynamodb_url) as dynamodb,
            served(engine) as url,
            AwsStepFunctions(session=session(), endpoint_url=url, threads=8, polls=4) as stepfunctions,
        ):
            yield Pair(stepfunctions, dynamodb)
