"""What users see and what is stored when calls to DynamoDB go wrong: at each call of starting, cancelling, resuming, listing.

Nothing is lost, nothing is done twice. docs/aws.md has the same table in words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from aws_faults import (
    Fault,
    answer_lost,
    answered,
    denied,
    expired,
    internal_error,
    not_connected,
    request_lost,
    reset,
    throttled,
    unavailable,
)
from conftest import World
from dynamodb_world import empty_store

from workflow_manager.model import Workflow, WorkflowQuery
from workflow_manager.stepfunctions import types as t
from workflow_manager.store import Store
from workflow_manager.store import dynamodb as dynamodb_module

MACHINE: dict[str, Any] = {
    "StartAt": "choose",
    "States": {
        "choose": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.fail", "IsPresent": True, "Next": "f"}],
            "Default": "w",
        },
        "w": {"Type": "Wait", "Seconds": 86_400, "End": True},
        "f": {"Type": "Fail", "Error": "E", "Cause": "why"},
    },
}
condition_failed = answered(400, "ConditionalCheckFailedException", "The conditional request failed")
throughput = answered(400, "ProvisionedThroughputExceededException", "The level of configured throughput was exceeded")

NOT_DONE = [
    pytest.param(throttled, "more than it allows at the moment", id="throttled"),
    pytest.param(throughput, "more than it allows at the moment", id="throughput exceeded"),
    pytest.param(expired, "is expired; check the credentials", id="credentials expired"),
    pytest.param(denied, "not authorized .*; check the credentials", id="denied"),
    pytest.param(not_connected, "DynamoDB could not be reached", id="no connection"),
    pytest.param(request_lost, "DynamoDB could not be reached", id="requests are lost"),
    pytest.param(unavailable, "Service is unavailable", id="service unavailable"),
]
UNKNOWN = [
    pytest.param(answer_lost, id="no answer comes"),
    pytest.param(reset, id="connections are reset"),
    pytest.param(internal_error, id="internal errors"),
]
LASTING = [pytest.param(False, id="one call"), pytest.param(True, id="from then on")]


@pytest.fixture
async def store(dynamodb_url: str) -> AsyncIterator[Store]:
    async with empty_store(dynamodb_url) as store:
        yield store


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_module, "_pause", lambda _: asyncio.sleep(0))


async def define(client: httpx.AsyncClient) -> None:
    answer = await client.post("/workflow-definitions", json={"name": "d", "stateMachine": MACHINE})
    assert answer.status_code == 201, answer.text


async def submit(client: httpx.AsyncClient, input_: str = "{}") -> httpx.Response:
    return await client.post(
        "/workflows", json={"workflowDefinition": {"name": "d"}, "namespace": "ns", "input": input_}
    )


async def begun(client: httpx.AsyncClient) -> str:
    answer = await submit(client)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def failed(client: httpx.AsyncClient) -> str:
    workflow_id = str((await submit(client, '{"fail": 1}')).json()["id"])
    assert (await client.get(f"/workflows/{workflow_id}")).json()["status"] == "failed"
    return workflow_id


async def stored(world: World) -> dict[str, Workflow]:
    return {each.id: each for each in (await world.store.workflows(WorkflowQuery(limit=1000))).items}


async def executions(world: World) -> list[str]:
    machines = (await world.engine.list_state_machines(t.ListStateMachinesInput())).state_machines
    found = [
        await world.engine.list_executions(t.ListExecutionsInput(state_machine_arn=machine.state_machine_arn))
        for machine in machines
    ]
    return [execution.name for each in found for execution in each.executions]


async def at_each_call(
    world: World,
    prepare: Callable[[], Awaitable[str]],
    act: Callable[[str], Awaitable[httpx.Response]],
    fault: Fault,
    judge: Callable[[str, httpx.Response, str], Awaitable[None]],
    *,
    lasting: bool = False,
) -> None:
    """Act once for each call to DynamoDB that this makes, with a fault at it; ``judge`` is told the call's operation."""
    target = await prepare()
    world.store_faults.forget()
    answer = await act(target)
    assert answer.status_code == 200, answer.text
    operations = list(world.store_faults.calls)
    assert operations
    for number, operation in enumerate(operations):
        target = await prepare()
        faults = world.store_faults
        faults.forget()
        faults.at, faults.then, faults.until_the_end = number, fault, lasting
        answer = await act(target)
        faults.forget()
        await judge(target, answer, operation)


def assert_refused(answer: httpx.Response, message: str, operation: str) -> None:
    assert answer.status_code == 503, (operation, answer.text)
    assert answer.json()["code"] == "StorageUnavailable", (operation, answer.text)
    assert re.search(message, answer.json()["message"]), (operation, answer.json()["message"])


class TestStart:
    @pytest.mark.parametrize("lasting", LASTING)
    @pytest.mark.parametrize(("fault", "message"), NOT_DONE)
    async def test_not_done(
        self, world: World, client: httpx.AsyncClient, fault: Fault, message: str, lasting: bool
    ) -> None:
        """503 with what to do; nothing is stored and nothing runs that was not before."""
        await define(client)
        await begun(client)

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, message, operation)
            assert len(await stored(world)) == len(await executions(world)) == 2

        await at_each_call(world, nothing, lambda _: submit(client), fault, judge, lasting=lasting)

    @pytest.mark.parametrize("fault", UNKNOWN)
    async def test_unknown(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """503; what may have been stored is taken back, and nothing runs."""
        await define(client)
        await begun(client)

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, "DynamoDB", operation)
            assert len(await stored(world)) == len(await executions(world)) == 2

        await at_each_call(world, nothing, lambda _: submit(client), fault, judge)

    @pytest.mark.parametrize("fault", UNKNOWN)
    async def test_unknown_and_out_of_reach_from_then_on(
        self, world: World, client: httpx.AsyncClient, fault: Fault
    ) -> None:
        """The same, but what was stored could not be taken back: it is queued, and failed after five minutes."""
        await define(client)
        before = await begun(client)
        world.store_faults.forget()
        await begun(client)
        put = world.store_faults.calls.index("PutItem")
        world.store_faults.forget()
        known = set(await stored(world))
        world.store_faults.forget()
        world.store_faults.at, world.store_faults.then, world.store_faults.until_the_end = (
            put,
            fault_then_none(fault),
            True,
        )

        assert_refused(await submit(client), "DynamoDB", "PutItem")

        world.store_faults.forget()
        [left] = set(await stored(world)) - known
        assert left not in await executions(world)
        world.clock.advance(300)
        assert (await client.get(f"/workflows/{left}")).json()["status"] == "failed"
        assert (await client.get(f"/workflows/{before}")).json()["status"] == "running"

    async def test_conditions_that_never_hold(self, world: World, client: httpx.AsyncClient) -> None:
        """503; nothing is stored and nothing runs."""
        await define(client)
        await begun(client)
        world.store_faults.next["PutItem"] = [condition_failed] * 1000

        answer = await submit(client)

        assert_refused(answer, "nothing was written", "PutItem")
        assert len(await stored(world)) == len(await executions(world)) == 1


def fault_then_none(fault: Fault) -> Fault:
    """The fault, and no connection at all from then on."""
    left = [1]

    def then(request: Any) -> Any:
        if left:
            left.pop()
            return fault(request)
        return not_connected(request)

    return then


async def nothing() -> str:
    return ""


class TestCancel:
    @pytest.mark.parametrize("fault", [*(pytest.param(each.values[0], id=each.id) for each in NOT_DONE), *UNKNOWN])
    async def test_at_each_call(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """503; it runs on, or is found cancelled with the reason. Cancelling again is no error."""
        await define(client)

        async def judge(workflow_id: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, "DynamoDB", operation)
            found = (await client.get(f"/workflows/{workflow_id}")).json()
            if found["status"] == "cancelled":
                assert (found["statusReason"], found["resolvedByUser"]) == ("enough", True)
            else:
                assert found["status"] == "running"
                assert not found.keys() & {"statusReason", "resolvedByUser"}
            assert (await cancel(client, workflow_id)).status_code == 200
            assert (await client.get(f"/workflows/{workflow_id}")).json()["status"] == "cancelled"

        await at_each_call(world, lambda: begun(client), lambda id_: cancel(client, id_), fault, judge)

    @pytest.mark.parametrize("times", [5, 1000], ids=["a short storm", "a long one"])
    async def test_a_storm_of_others_changes(self, world: World, client: httpx.AsyncClient, times: int) -> None:
        """It is waited out; where it does not end, 503, and it is found cancelled all the same."""
        await define(client)
        workflow_id = await begun(client)
        assert (await client.get(f"/workflows/{workflow_id}")).json()["status"] == "running"  # as it is stored now
        world.store_faults.next["PutItem"] = [condition_failed] * times

        answer = await cancel(client, workflow_id)

        if times == 5:
            assert answer.status_code == 200
        else:
            assert_refused(answer, "is being changed by others all the time; nothing was written, try again", "PutItem")
        world.store_faults.next.clear()
        found = (await client.get(f"/workflows/{workflow_id}")).json()
        assert (found["status"], found["statusReason"], found["resolvedByUser"]) == ("cancelled", "enough", True)


async def cancel(client: httpx.AsyncClient, workflow_id: str) -> httpx.Response:
    return await client.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "enough"})


async def resume(client: httpx.AsyncClient, workflow_id: str) -> httpx.Response:
    return await client.post(f"/workflows/{workflow_id}", json={"StartAt": "choose", "input": "{}"})


class TestResume:
    @pytest.mark.parametrize("fault", [*(pytest.param(each.values[0], id=each.id) for each in NOT_DONE), *UNKNOWN])
    async def test_at_each_call(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """503, or 200 where only the lease was not given back. In the end one retry runs, however often that is asked for."""
        await define(client)

        async def judge(original: str, answer: httpx.Response, operation: str) -> None:
            if answer.status_code != 200:
                assert answer.status_code == 503, (operation, answer.text)
            world.clock.advance(60)  # a lease that could not be given back has ended
            again = await resume(client, original)
            running = [each for each in (await stored(world)).values() if each.retry_for == original]
            begun_ = [each.id for each in running if each.id in await executions(world)]
            assert len(begun_) == 1, (operation, answer.text, again.text)
            assert again.status_code == (400 if answer.json().get("id", "") or named(answer, begun_) else 200)
            assert (await world.store.workflow(original)).retries == begun_

        await at_each_call(world, lambda: failed(client), lambda id_: resume(client, id_), fault, judge)


def named(answer: httpx.Response, ids: list[str]) -> bool:
    return any(each in answer.text for each in ids)


class TestList:
    @pytest.mark.parametrize(("fault", "message"), NOT_DONE)
    async def test_at_each_call(self, world: World, client: httpx.AsyncClient, fault: Fault, message: str) -> None:
        """503 with what to do, and the list when it is asked for again."""
        await define(client)
        workflow_id = await begun(client)

        async def prepare() -> str:
            return workflow_id

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, message, operation)
            assert [each["id"] for each in (await listed(client)).json()] == [workflow_id]

        await at_each_call(world, prepare, lambda _: listed(client), fault, judge)


async def listed(client: httpx.AsyncClient) -> httpx.Response:
    return await client.get("/workflows", params={"workflowDefinitionName": "d"})
