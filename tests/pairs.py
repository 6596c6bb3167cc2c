"""The pairs of a backend and a store that the product's tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from dynamodb_world import emptied_moto, empty_store
from serving import served, session

from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings
from workflow_manager.stepfunctions import types as t
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
    tasks: StepFunctions | None = None
    """Where the tasks of activities are, if that is not the engine."""


@asynccontextmanager
async def a_pair_on_moto(moto_url: str, engine: EmbeddedStepFunctions, dynamodb_url: str) -> AsyncIterator[Pair]:
    """moto, emptied. Definitions are judged by the engine: moto has no ValidateStateMachineDefinition."""
    await asyncio.to_thread(emptied_moto, moto_url)
    on_moto = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    on_moto.events.register("before-call.sfn", _in_the_account)
    async with (
        empty_store(dynamodb_url) as dynamodb,
        AwsStepFunctions(session=on_moto, endpoint_url=moto_url, threads=8, polls=1) as stepfunctions,
    ):
        stepfunctions.validate_state_machine_definition = engine.validate_state_machine_definition  # type: ignore[method-assign]
        # what comes first takes moto seconds, and an activity that is created once more by a retry is an error to it
        await stepfunctions.list_activities(t.ListActivitiesInput())
        yield Pair(stepfunctions, dynamodb, stepfunctions)


def _in_the_account(params: dict[str, Any], **_: object) -> None:
    params["headers"]["x-moto-account-id"] = ManagerSettings().account_id


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
