"""What users see and what is stored when calls to DynamoDB go wrong: at each call of what users do.

Nothing is lost, nothing is done twice. docs/aws.md has the same table in words.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from aws_faults import (
    ALWAYS,
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
from botocore.awsrequest import AWSResponse
from conftest import World
from dynamodb_world import empty_store

from workflow_manager.manager.once import workflow_id
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
FAILS = '{"fail": 1}'
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
"""What may have a condition."""
_refused = answered(400, "ConditionalCheckFailedException", "The conditional request failed")


def condition_failed(request: Any) -> AWSResponse | None:
    operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
    return _refused(request) if operation in WRITES else None


throughput = answered(400, "ProvisionedThroughputExceededException", "The level of configured throughput was exceeded")


def changed_meanwhile(request: Any) -> AWSResponse | None:
    """Somebody else was faster to change the workflow. What is new, or a lease, is written."""
    return None if b"attribute_not_exists" in request.body else _refused(request)


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
PASSING = [
    pytest.param(throttled, id="throttled for a moment"),
    pytest.param(not_connected, id="no connection for a moment"),
    pytest.param(answer_lost, id="answers are lost"),
    pytest.param(reset, id="connections are reset"),
    pytest.param(internal_error, id="internal errors"),
]
"""Faults of the first attempts of a call, which pass before botocore gives up: nobody notices."""
A_MOMENT = 2
"""Attempts of a call."""
LASTING = [pytest.param(False, id="one call"), pytest.param(True, id="from then on")]


ANY = [
    *(pytest.param(each.values[0], False, id=str(each.id)) for each in (*NOT_DONE, *UNKNOWN)),
    pytest.param(condition_failed, False, id="a condition does not hold"),
    *(pytest.param(each.values[0], True, id=f"{each.id}, from then on") for each in UNKNOWN),
    pytest.param(condition_failed, True, id="conditions never hold"),
]
"""Any of these, and whether later calls meet it, too."""


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


async def submit(client: httpx.AsyncClient, input_: str = "{}", key: str = "") -> httpx.Response:
    return await client.post(
        "/workflows",
        json={"workflowDefinition": {"name": "d"}, "namespace": "ns", "input": input_},
        headers={"Idempotency-Key": key} if key else {},
    )


async def begun(client: httpx.AsyncClient, input_: str = "{}") -> str:
    answer = await submit(client, input_)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def failed(client: httpx.AsyncClient) -> str:
    workflow_id = str((await submit(client, FAILS)).json()["id"])
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
    attempts: int = ALWAYS,
) -> None:
    """Act once for each call to DynamoDB that this makes, with a fault at it; ``judge`` is told the call's operation.

    ``lasting``: all later calls meet it, too. ``attempts``: no more of the call's attempts do than that.
    """
    target = await prepare()
    world.store_faults.forget()
    answer = await act(target)
    assert answer.status_code == 200, answer.text
    operations = list(world.store_faults.calls)
    assert operations
    for number, operation in enumerate(operations):
        if fault is condition_failed and operation not in WRITES:
            continue
        target = await prepare()
        faults = world.store_faults
        faults.forget()
        faults.at, faults.then, faults.until_the_end, faults.only = number, fault, lasting, attempts
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

    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200; one workflow and its one execution, for each."""
        await define(client)
        count = 0

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            nonlocal count
            assert answer.status_code == 200, (operation, answer.text)
            assert sorted(await stored(world)) == sorted(await executions(world))
            count += 1

        await at_each_call(world, nothing, lambda _: submit(client), fault, judge, attempts=A_MOMENT)

        assert len(await stored(world)) == count + 1


class TestStartOnce:
    """With an Idempotency-Key: whatever goes wrong, the same request makes it one workflow and one execution."""

    @pytest.mark.parametrize(("fault", "lasting"), ANY)
    async def test_a_new_one(self, world: World, client: httpx.AsyncClient, fault: Fault, lasting: bool) -> None:
        """503, and nothing runs."""
        await define(client)
        await begun(client)

        async def judge(key: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code == 503, (operation, answer.text)
            assert workflow_id(key) not in await executions(world)
            await assert_one_after_all(world, client, key)

        await at_each_call(world, new_key, lambda key: submit(client, key=key), fault, judge, lasting=lasting)

    @pytest.mark.parametrize(("fault", "lasting"), ANY)
    async def test_one_that_was_stored_and_not_begun(
        self, world: World, client: httpx.AsyncClient, fault: Fault, lasting: bool
    ) -> None:
        """503, or 200 where only the lease was not given back."""
        await define(client)

        async def prepare() -> str:
            key = await new_key()
            world.faults.next["StartExecution"] = [request_lost] * ALWAYS
            assert (await submit(client, key=key)).json()["code"] == "StartUnknown"
            world.faults.next.clear()
            return key

        async def judge(key: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code in {200, 503}, (operation, answer.text)
            world.clock.advance(60)  # a lease that could not be given back has ended
            await assert_one_after_all(world, client, key)

        await at_each_call(world, prepare, lambda key: submit(client, key=key), fault, judge, lasting=lasting)

    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200."""
        await define(client)
        await begun(client)

        async def judge(key: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code == 200, (operation, answer.text)
            await assert_one_after_all(world, client, key)

        await at_each_call(world, new_key, lambda key: submit(client, key=key), fault, judge, attempts=A_MOMENT)

    @pytest.mark.parametrize(("fault", "message"), NOT_DONE[:1])
    async def test_one_that_runs(self, world: World, client: httpx.AsyncClient, fault: Fault, message: str) -> None:
        """503 with what to do: it is not answered with what may not be true any more. Nothing else is started."""
        await define(client)

        async def prepare() -> str:
            key = await new_key()
            assert (await submit(client, key=key)).status_code == 200
            return key

        async def judge(key: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, message, operation)
            await assert_one_after_all(world, client, key)

        await at_each_call(world, prepare, lambda key: submit(client, key=key), fault, judge)


KEYS = itertools.count()


async def new_key() -> str:
    return f"key-{next(KEYS)}"


async def assert_one_after_all(world: World, client: httpx.AsyncClient, key: str) -> None:
    """Nothing goes wrong any more: the same request is answered with the key's one workflow, which has its one execution."""
    answers = [await submit(client, key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    assert {answer.json()["id"] for answer in answers} == {workflow_id(key)}
    assert answers[-1].json()["status"] == "running"
    assert workflow_id(key) in await stored(world)
    begun_ = await executions(world)
    assert (begun_.count(workflow_id(key)), len(begun_)) == (1, len(set(begun_)))


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

    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200; it is cancelled, with the reason."""
        await define(client)

        async def judge(workflow_id: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code == 200, (operation, answer.text)
            found = (await client.get(f"/workflows/{workflow_id}")).json()
            assert (found["status"], found["statusReason"], found["resolvedByUser"]) == ("cancelled", "enough", True)

        await at_each_call(
            world, lambda: begun(client), lambda id_: cancel(client, id_), fault, judge, attempts=A_MOMENT
        )

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

    @pytest.mark.parametrize("times", [5, 1000], ids=["a short storm", "a long one"])
    async def test_a_storm_of_others_changes(self, world: World, client: httpx.AsyncClient, times: int) -> None:
        """It is waited out; where it does not end, 503, and the retry never begins. The next try makes one."""
        await define(client)
        original = await failed(client)
        world.store_faults.next["PutItem"] = [changed_meanwhile] * times

        answer = await resume(client, original)

        world.store_faults.next.clear()
        if times == 5:
            assert answer.status_code == 200, answer.text
            assert answer.json()["id"] in await executions(world)
            return
        assert_refused(answer, "is being changed by others all the time; nothing was written, try again", "PutItem")
        [left] = [each for each in (await stored(world)).values() if each.retry_for == original]
        assert left.id not in await executions(world)
        assert (await resume(client, original)).status_code == 200
        world.clock.advance(300)
        assert (await client.get(f"/workflows/{left.id}")).json()["status"] == "failed"

    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200; one retry, which knows what it resumes and is known there."""
        await define(client)

        async def judge(original: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code == 200, (operation, answer.text)
            retries = [each.id for each in (await stored(world)).values() if each.retry_for == original]
            assert retries == [answer.json()["id"]] == (await world.store.workflow(original)).retries
            assert (await executions(world)).count(retries[0]) == 1

        await at_each_call(
            world, lambda: failed(client), lambda id_: resume(client, id_), fault, judge, attempts=A_MOMENT
        )


def named(answer: httpx.Response, ids: list[str]) -> bool:
    return any(each in answer.text for each in ids)


class TestReadOne:
    """One that has failed, which nobody has found out before: that is stored with its jobs."""

    @pytest.mark.parametrize("fault", [*(pytest.param(each.values[0], id=each.id) for each in NOT_DONE), *UNKNOWN])
    async def test_at_each_call(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """503, and the workflow as it is when it is asked for again."""
        await define(client)

        async def judge(workflow_id: str, answer: httpx.Response, operation: str) -> None:
            assert_refused(answer, "DynamoDB", operation)
            assert (await read(client, workflow_id)).json()["status"] == "failed"
            assert (await stored(world))[workflow_id].status == "failed"

        await at_each_call(world, lambda: begun(client, FAILS), lambda id_: read(client, id_), fault, judge)

    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200."""
        await define(client)

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            assert (answer.status_code, answer.json()["status"]) == (200, "failed"), operation

        await at_each_call(
            world, lambda: begun(client, FAILS), lambda id_: read(client, id_), fault, judge, attempts=A_MOMENT
        )

    @pytest.mark.parametrize("times", [5, 1000], ids=["a short storm", "a long one"])
    async def test_a_storm_of_others_changes(self, world: World, client: httpx.AsyncClient, times: int) -> None:
        """It is waited out; where it does not end, 503."""
        await define(client)
        workflow_id = await begun(client, FAILS)
        world.store_faults.next["PutItem"] = [condition_failed] * times

        answer = await read(client, workflow_id)

        if times == 5:
            assert (answer.status_code, answer.json()["status"]) == (200, "failed")
        else:
            assert_refused(answer, "is being changed by others all the time; nothing was written, try again", "PutItem")


async def read(client: httpx.AsyncClient, workflow_id: str) -> httpx.Response:
    return await client.get(f"/workflows/{workflow_id}")


class TestList:
    @pytest.mark.parametrize("fault", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, fault: Fault) -> None:
        """200."""
        await define(client)
        workflow_id = await begun(client)

        async def prepare() -> str:
            return workflow_id

        async def judge(_: str, answer: httpx.Response, operation: str) -> None:
            assert answer.status_code == 200, (operation, answer.text)
            assert [each["id"] for each in answer.json()] == [workflow_id]

        await at_each_call(world, prepare, lambda _: listed(client), fault, judge, attempts=A_MOMENT)

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
