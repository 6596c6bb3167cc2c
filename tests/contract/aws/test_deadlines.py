"""Calls that hang end before the request that waits for them does: users read what is wrong, not that time ran out."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from serving import session

from workflow_manager.api.app import create_api
from workflow_manager.api.settings import ApiSettings
from workflow_manager.deadline import answer_within, begin_call, seconds_left
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.metrics import Metrics
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.store import Store
from workflow_manager.store.dynamodb import DynamoStore
from workflow_manager.store.dynamodb_calls import DynamoCalls
from workflow_manager.store.memory import MemoryStore

REQUEST_SECONDS = 3.0


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """An endpoint that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def api(store: Store, stepfunctions: AwsStepFunctions, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    manager = WorkflowManager(store, stepfunctions, settings=ManagerSettings())
    application = create_api(manager, settings=ApiSettings(request_seconds=REQUEST_SECONDS), metrics=metrics)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client:
        yield client


async def test_step_functions_that_hangs(silent: str) -> None:
    definition = {"name": "d", "stateMachine": {"StartAt": "p", "States": {"p": {"Type": "Pass", "End": True}}}}
    async with (
        AwsStepFunctions(session=session(), endpoint_url=silent, threads=4) as stepfunctions,
        api(MemoryStore(), stepfunctions, Metrics()) as client,
    ):
        began = time.monotonic()
        answer = await client.post("/workflow-definitions", json=definition)
        took = time.monotonic() - began

    assert (answer.status_code, answer.json()["code"]) == (503, "BackendUnavailable"), answer.text
    assert "no answer of Step Functions to ValidateStateMachineDefinition came through" in answer.json()["message"]
    assert took < REQUEST_SECONDS


async def test_dynamodb_that_hangs(silent: str) -> None:
    metrics = Metrics()
    calls = DynamoCalls(session=session(), endpoint_url=silent, counted=metrics.calls("dynamodb"))
    async with (
        AwsStepFunctions(session=session(), endpoint_url=silent, threads=1) as stepfunctions,
        api(DynamoStore(calls, prefix="p"), stepfunctions, metrics) as client,
    ):
        answer = await client.get("/workflows/w")
        told = (await client.get("/_metrics")).text
    await calls.close()

    assert (answer.status_code, answer.json()["code"]) == (503, "StorageUnavailable"), answer.text
    assert "DynamoDB could not be reached: Read timeout" in answer.json()["message"]
    assert 'wfm_aws_calls_total{operation="GetItem",outcome="ReadTimeoutError",service="dynamodb"} 1.0' in told
    assert 'wfm_aws_calls_under_way{service="dynamodb"} 0.0' in told


def test_how_long_a_call_may_take() -> None:
    begin_call()
    assert seconds_left() is None  # nobody waits
    with answer_within(5):
        begin_call()
        assert 4.4 < (seconds_left() or 0) <= 4.5
    with answer_within(0.6):
        begin_call()
        assert 0.9 < (seconds_left() or 0) <= 1  # what every call may take
    with answer_within(0):
        begin_call()
        assert seconds_left() is None  # nobody waits any more
    begin_call()
    assert seconds_left() is None
