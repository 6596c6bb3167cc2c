"""The Python clients against a server of its own, which is killed and started again under them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from server_process import ServerProcess

from workflow_manager.client import AsyncClient, Client, WaitTimedOut, WorkflowCancelled
from workflow_manager.client.errors import IdempotencyKeyReused
from workflow_manager.model import NewWorkflowDefinition, WorkflowQuery, WorkflowStatus

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

ECHO: dict[str, Any] = {"StartAt": "echo", "States": {"echo": {"Type": "Task", "Resource": "echo", "End": True}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("client") / "data") as running:
        with Client(running.url) as client:
            client.new_definition(NewWorkflowDefinition(name="echo", state_machine=ECHO))
        yield running


def act(server: ServerProcess, target: str, body: dict[str, Any]) -> dict[str, Any]:
    """A call of the Step Functions API."""
    headers = {"x-amz-target": f"AWSStepFunctions.{target}", "content-type": "application/x-amz-json-1.0"}
    answer = httpx.post(server.url, json=body, headers=headers, timeout=70)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def work(server: ServerProcess) -> None:
    """Do the next task of echo."""
    arn = act(server, "CreateActivity", {"name": "demo--echo"})["activityArn"]
    task = act(server, "GetActivityTask", {"activityArn": arn})
    act(server, "SendTaskSuccess", {"taskToken": task["taskToken"], "output": '{"done": true}'})


def test_who_waits_does_not_notice_that_the_server_is_killed(server: ServerProcess) -> None:
    results: list[Any] = []
    seen = threading.Event()

    def wait() -> None:
        with Client(server.url) as client:
            for event in client.start("echo", namespace="demo", idempotency_key="killed").follow():
                results.append((event.id, event.data.get("type")))
                seen.set()
            results.append(client.start("echo", namespace="demo", idempotency_key="killed").result())

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert seen.wait(30)
    server.kill()
    server.start()
    work(server)
    waiting.join(30)

    assert results.pop() == {"done": True}
    history = [each for each in results if each[1] is not None]
    assert [number for number, _ in history] == list(range(1, len(history) + 1))
    assert history[-1][1] == "ExecutionSucceeded"


async def test_awaited_likewise(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        workflow = await client.start("echo", namespace="demo")
        waiting = asyncio.create_task(workflow.result(60))
        async for event in workflow.follow():
            if event.data.get("type") == "ActivityScheduled":
                break
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(work, server)

        assert await waiting == {"done": True}


def test_a_key_is_known_after_the_server_was_killed(server: ServerProcess) -> None:
    with Client(server.url) as client:
        first = client.start("echo", {"n": 1}, namespace="keys", idempotency_key="order-7")
        server.kill()
        server.start()

        assert client.start("echo", {"n": 1}, namespace="keys", idempotency_key="order-7").id == first.id
        with pytest.raises(IdempotencyKeyReused):
            client.start("echo", {"n": 2}, namespace="keys", idempotency_key="order-7")
        listed = list(client.iterate_workflows(WorkflowQuery(namespace="keys", limit=1)))
        assert [each.id for each in listed] == [first.id]


def test_waiting_has_an_end(server: ServerProcess) -> None:
    with Client(server.url) as client:
        workflow = client.start("echo", namespace="demo")
        with pytest.raises(WaitTimedOut):
            workflow.wait(0.2)
        workflow.cancel("enough")

        with pytest.raises(WorkflowCancelled, match="was cancelled: enough"):
            workflow.result(30)
        assert workflow.workflow().status is WorkflowStatus.CANCELLED
