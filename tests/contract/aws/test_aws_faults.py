"""What users see and what is stored when calls to Step Functions go wrong: nothing is lost, nothing is done twice.

docs/aws.md has the same table in words.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from aws_faults import (
    ALWAYS,
    Fault,
    answer_lost,
    connects_too_slowly,
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

from workflow_manager.manager.updates import NEVER_BEGAN
from workflow_manager.model import Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.stepfunctions import types as t

WAIT: dict[str, Any] = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
FAIL: dict[str, Any] = {
    "StartAt": "choose",
    "States": {
        "choose": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "w"}], "Default": "f"},
        "w": WAIT["States"]["w"],
        "f": {"Type": "Fail", "Error": "E", "Cause": "why"},
    },
}

NOT_DONE = [
    pytest.param([throttled] * ALWAYS, "ThrottlingException: Rate exceeded; the account's rate", id="throttled"),
    pytest.param([expired] * ALWAYS, "is expired; renew the server's AWS credentials", id="credentials expired"),
    pytest.param([denied] * ALWAYS, "not authorized .*; give the server's role this permission", id="denied"),
    pytest.param([not_connected] * ALWAYS, "could not be reached for ", id="no connection"),
    pytest.param([connects_too_slowly] * ALWAYS, "could not be reached for ", id="connection timed out"),
    pytest.param([unavailable] * ALWAYS, "Service is unavailable", id="service unavailable"),
]
"""Faults that say that nothing was done, and what users read."""

PASSING = [
    pytest.param([throttled] * 3, id="throttled for a moment"),
    pytest.param([not_connected], id="no connection for a moment"),
    pytest.param([request_lost], id="a request is lost"),
    pytest.param([answer_lost], id="an answer is lost"),
    pytest.param([reset], id="the connection is reset"),
    pytest.param([internal_error], id="an internal error"),
    pytest.param([throttled, answer_lost, reset], id="one after another"),
]
"""Faults that pass before botocore gives up: nobody notices."""

UNKNOWN = [
    pytest.param([answer_lost] * ALWAYS, id="no answer comes"),
    pytest.param([reset] * ALWAYS, id="connections are reset"),
    pytest.param([internal_error] * ALWAYS, id="internal errors"),
    pytest.param([answer_lost] + [expired] * ALWAYS, id="an answer is lost, then credentials expire"),
    pytest.param([answer_lost] + [throttled] * ALWAYS, id="an answer is lost, then throttled"),
    pytest.param([answer_lost] + [not_connected] * ALWAYS, id="an answer is lost, then no connection"),
]
"""Faults after which it is not known whether something was done; here it was."""


async def define(client: httpx.AsyncClient, machine: dict[str, Any] = WAIT) -> None:
    answer = await client.post("/workflow-definitions", json={"name": "d", "stateMachine": machine})
    assert answer.status_code == 201, answer.text


async def submit(client: httpx.AsyncClient, key: str = "") -> httpx.Response:
    return await client.post(
        "/workflows",
        json={"workflowDefinition": {"name": "d"}, "namespace": "ns"},
        headers={"Idempotency-Key": key} if key else {},
    )


async def begun(client: httpx.AsyncClient, machine: dict[str, Any] = WAIT) -> str:
    await define(client, machine)
    answer = await submit(client)
    assert answer.status_code == 200, answer.text
    workflow_id: str = answer.json()["id"]
    return workflow_id


async def stored(world: World) -> list[Workflow]:
    return (await world.store.workflows(WorkflowQuery(oldest_first=True))).items


async def executions(world: World) -> list[str]:
    """Names of all executions there are."""
    machines = (await world.engine.list_state_machines(t.ListStateMachinesInput())).state_machines
    found = [
        await world.engine.list_executions(t.ListExecutionsInput(state_machine_arn=machine.state_machine_arn))
        for machine in machines
    ]
    return [execution.name for each in found for execution in each.executions]


def assert_refused(answer: httpx.Response, code: str, message: str) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == code
    assert re.search(message, answer.json()["message"]), answer.json()["message"]


class TestStart:
    @pytest.mark.parametrize("operation", ["CreateStateMachine", "StartExecution"])
    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_not_done(
        self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault], message: str
    ) -> None:
        """503 with what to do; nothing is stored and nothing runs; the next one works."""
        await define(client)
        world.faults.next[operation] = list(faults)

        assert_refused(await submit(client), "BackendUnavailable", message)

        assert (await stored(world), await executions(world)) == ([], [])
        world.faults.next.clear()
        assert (await submit(client)).status_code == 200

    @pytest.mark.parametrize("operation", ["CreateStateMachine", "StartExecution"])
    @pytest.mark.parametrize("faults", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault]) -> None:
        """200; one workflow and its one execution."""
        await define(client)
        world.faults.next[operation] = list(faults)

        answer = await submit(client)

        assert answer.status_code == 200, answer.text
        assert [each.id for each in await stored(world)] == await executions(world) == [answer.json()["id"]]
        assert world.faults.attempts[operation] == len(faults) + 1

    @pytest.mark.parametrize("faults", UNKNOWN)
    async def test_unknown(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """503 that names the workflow, which is queued and found running when it is looked at; it runs once."""
        await define(client)
        world.faults.next["StartExecution"] = list(faults)

        answer = await submit(client)

        [workflow] = await stored(world)
        assert_refused(answer, "StartUnknown", f"whether workflow {workflow.id} has begun is not known yet")
        assert "retry-after" not in answer.headers
        assert workflow.status is WorkflowStatus.QUEUED
        assert await executions(world) == [workflow.id]
        assert (await client.get(f"/workflows/{workflow.id}")).json()["status"] == "running"

    async def test_unknown_and_not_begun(self, world: World, client: httpx.AsyncClient) -> None:
        """The same, but it never began: it is queued for five minutes, then failed with the reason."""
        await define(client)
        world.faults.next["StartExecution"] = [request_lost] * ALWAYS

        answer = await submit(client)

        [workflow] = await stored(world)
        assert_refused(answer, "StartUnknown", workflow.id)
        assert (await client.get(f"/workflows/{workflow.id}")).json()["status"] == "queued"
        world.clock.advance(300)
        found = (await client.get(f"/workflows/{workflow.id}")).json()
        assert (found["status"], found["statusReason"]) == ("failed", NEVER_BEGAN)
        assert await executions(world) == []

    @pytest.mark.parametrize("faults", UNKNOWN)
    async def test_a_state_machine_of_which_that_is_not_known(
        self, world: World, client: httpx.AsyncClient, faults: list[Fault]
    ) -> None:
        """503; nothing is stored, nothing runs, and the next one finds the state machine."""
        await define(client)
        world.faults.next["CreateStateMachine"] = list(faults)

        assert (await submit(client)).status_code == 503

        assert (await stored(world), await executions(world)) == ([], [])
        world.faults.next.clear()
        assert (await submit(client)).status_code == 200
        machines = await world.engine.list_state_machines(t.ListStateMachinesInput())
        assert len(machines.state_machines) == 1


class TestStartOnce:
    """With an Idempotency-Key: whatever goes wrong, the same request makes it one workflow and one execution."""

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_not_done(self, world: World, client: httpx.AsyncClient, faults: list[Fault], message: str) -> None:
        """503 with what to do; nothing is stored and nothing runs; the same request again starts it."""
        await define(client)
        world.faults.next["StartExecution"] = list(faults)

        assert_refused(await submit(client, "k"), "BackendUnavailable", message)

        assert (await stored(world), await executions(world)) == ([], [])
        await assert_one_after_all(world, client)

    @pytest.mark.parametrize("faults", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """200; one workflow and its one execution."""
        await define(client)
        world.faults.next["StartExecution"] = list(faults)

        assert (await submit(client, "k")).status_code == 200

        await assert_one_after_all(world, client)

    @pytest.mark.parametrize("faults", UNKNOWN)
    async def test_unknown(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """503 that names the workflow; the same request again finds it running, and starts nothing."""
        await define(client)
        world.faults.next["StartExecution"] = list(faults)

        answer = await submit(client, "k")

        [workflow] = await stored(world)
        assert_refused(answer, "StartUnknown", f"whether workflow {workflow.id} has begun is not known yet")
        attempts = world.faults.attempts["StartExecution"]
        await assert_one_after_all(world, client)
        assert world.faults.attempts["StartExecution"] == attempts

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE[:2])
    @pytest.mark.parametrize("operation", ["DescribeExecution", "StartExecution"])
    async def test_unknown_and_not_begun_and_not_to_be_begun_yet(
        self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault], message: str
    ) -> None:
        """503 as long as that lasts, and it stays queued; then the same request begins it."""
        await define(client)
        world.faults.next["StartExecution"] = [request_lost] * ALWAYS
        [named] = re.findall(r"workflow (\S+) has begun", (await submit(client, "k")).json()["message"])
        world.faults.next.clear()
        world.faults.next[operation] = list(faults)

        for _ in range(2):
            assert_refused(await submit(client, "k"), "BackendUnavailable", message)

        assert [(each.id, each.status) for each in await stored(world)] == [(named, WorkflowStatus.QUEUED)]
        assert await executions(world) == []
        await assert_one_after_all(world, client)

    async def test_an_answer_is_lost_and_it_has_ended_meanwhile(self, world: World, client: httpx.AsyncClient) -> None:
        """200: Step Functions says that there has been such an execution, and it is found to be the workflow's."""
        await define(client, {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}})
        world.faults.next["StartExecution"] = [answer_lost]

        assert (await submit(client, "k")).status_code == 200

        await assert_one_after_all(world, client)

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE[:2])
    async def test_nor_can_it_be_looked_at_then(
        self, world: World, client: httpx.AsyncClient, faults: list[Fault], message: str
    ) -> None:
        """503 ``StartUnknown``: the execution may be that of an earlier workflow."""
        await define(client, {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}})
        world.faults.next["StartExecution"] = [answer_lost]
        world.faults.next["DescribeExecution"] = list(faults)

        answer = await submit(client, "k")

        assert (answer.status_code, answer.json()["code"]) == (503, "StartUnknown")
        await assert_one_after_all(world, client)


async def assert_one_after_all(world: World, client: httpx.AsyncClient) -> None:
    """Nothing goes wrong any more: the same request is answered with the key's one workflow, which has its one execution."""
    world.faults.next.clear()

    answers = [await submit(client, "k") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    [workflow] = await stored(world)
    assert {answer.json()["id"] for answer in answers} == {workflow.id}
    assert await executions(world) == [workflow.id]
    assert answers[-1].json()["status"] in {"running", "succeeded"}


class TestCancel:
    @pytest.mark.parametrize("operation", ["DescribeExecution", "StopExecution"])
    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_not_done(
        self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault], message: str
    ) -> None:
        """503 with what to do; it runs on, and nothing says that it was cancelled."""
        workflow_id = await begun(client)
        world.faults.next[operation] = list(faults)

        answer = await client.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "enough"})

        assert_refused(answer, "BackendUnavailable", message)
        world.faults.next.clear()
        found = (await client.get(f"/workflows/{workflow_id}")).json()
        assert found["status"] == "running"
        assert not found.keys() & {"statusReason", "resolvedByUser"}

    @pytest.mark.parametrize("operation", ["DescribeExecution", "StopExecution"])
    @pytest.mark.parametrize("faults", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault]) -> None:
        """200; it is cancelled, with the reason."""
        workflow_id = await begun(client)
        world.faults.next[operation] = list(faults)

        answer = await client.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "enough"})

        assert answer.status_code == 200, answer.text
        found = (await client.get(f"/workflows/{workflow_id}")).json()
        assert (found["status"], found["statusReason"], found["resolvedByUser"]) == ("cancelled", "enough", True)

    @pytest.mark.parametrize("faults", UNKNOWN)
    async def test_unknown(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """503; it is found cancelled, with the reason, when it is looked at; cancelling again is no error."""
        workflow_id = await begun(client)
        world.faults.next["StopExecution"] = list(faults)

        answer = await client.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "enough"})

        assert answer.status_code == 503
        found = (await client.get(f"/workflows/{workflow_id}")).json()
        assert (found["status"], found["statusReason"], found["resolvedByUser"]) == ("cancelled", "enough", True)
        again = await client.request("DELETE", f"/workflows/{workflow_id}", json={"reason": "again"})
        assert again.status_code == 200


async def failed(world: World, client: httpx.AsyncClient) -> str:
    workflow_id = await begun(client, FAIL)
    answer = await client.get(f"/workflows/{workflow_id}")
    assert answer.json()["status"] == "failed"
    world.clock.advance(1)  # what comes now is later in lists
    return workflow_id


async def resume(client: httpx.AsyncClient, workflow_id: str, start_at: str = "f") -> httpx.Response:
    body = {"StartAt": start_at}
    return await client.post(f"/workflows/{workflow_id}", json=body)


class TestResume:
    @pytest.mark.parametrize("operation", ["GetExecutionHistory", "CreateStateMachine", "StartExecution"])
    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_not_done(
        self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault], message: str
    ) -> None:
        """503 with what to do; there is no retry, and the next try makes one."""
        original = await failed(world, client)
        world.faults.next[operation] = list(faults)

        assert_refused(await resume(client, original), "BackendUnavailable", message)

        assert [each.retries for each in await stored(world)] == [[]]
        world.faults.next.clear()
        assert (await resume(client, original)).status_code == 200

    @pytest.mark.parametrize("operation", ["GetExecutionHistory", "CreateStateMachine", "StartExecution"])
    @pytest.mark.parametrize("faults", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, operation: str, faults: list[Fault]) -> None:
        """200; one retry, which knows what it resumes and is known there."""
        original = await failed(world, client)
        world.faults.next[operation] = list(faults)

        answer = await resume(client, original)

        assert answer.status_code == 200, answer.text
        first, second = await stored(world)
        assert (first.retries, second.retry_for) == ([second.id], first.id)
        assert sorted(await executions(world)) == sorted([first.id, second.id])

    @pytest.mark.parametrize("faults", UNKNOWN)
    async def test_unknown(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """503 that names the retry, which is linked and runs: the original cannot be resumed twice."""
        original = await failed(world, client)
        world.faults.next["StartExecution"] = list(faults)

        answer = await resume(client, original, "choose")

        first, second = await stored(world)
        assert_refused(answer, "StartUnknown", second.id)
        assert (first.retries, second.retry_for) == ([second.id], first.id)
        assert sorted(await executions(world)) == sorted([first.id, second.id])


class TestReading:
    @pytest.mark.parametrize("faults", PASSING)
    async def test_passing(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """200, with what has become of it, and how."""
        workflow_id = await begun(client, FAIL)
        for operation in ("DescribeExecution", "GetExecutionHistory"):
            world.faults.next[operation] = list(faults)

        answer = await client.get(f"/workflows/{workflow_id}")

        assert (answer.status_code, answer.json()["status"]) == (200, "failed")
        assert [job["state"] for job in answer.json()["jobs"]] == ["choose"]

    @pytest.mark.parametrize("faults", UNKNOWN[:3])
    async def test_no_answer(self, world: World, client: httpx.AsyncClient, faults: list[Fault]) -> None:
        """503: what is stored of an unfinished workflow may not be true any more. It is left as it is."""
        workflow_id = await begun(client)
        before = await stored(world)
        world.faults.next["DescribeExecution"] = list(faults)

        assert_refused(await client.get(f"/workflows/{workflow_id}"), "BackendUnavailable", "DescribeExecution")

        assert await stored(world) == before

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_one(self, world: World, client: httpx.AsyncClient, faults: list[Fault], message: str) -> None:
        """503 with what to do: what is stored of an unfinished workflow may not be true any more. It is left as it is."""
        workflow_id = await begun(client)
        before = await stored(world)
        world.faults.next["DescribeExecution"] = list(faults)

        assert_refused(await client.get(f"/workflows/{workflow_id}"), "BackendUnavailable", message)

        assert await stored(world) == before

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_one_that_has_ended_and_was_read_before(
        self, world: World, client: httpx.AsyncClient, faults: list[Fault], message: str
    ) -> None:
        """200: Step Functions is not asked."""
        workflow_id = await failed(world, client)
        for operation in ("DescribeExecution", "GetExecutionHistory"):
            world.faults.next[operation] = list(faults)

        answer = await client.get(f"/workflows/{workflow_id}")

        assert answer.status_code == 200, answer.text
        assert [job["state"] for job in answer.json()["jobs"]] == ["choose"]

    @pytest.mark.parametrize(("faults", "message"), NOT_DONE)
    async def test_a_list(self, world: World, client: httpx.AsyncClient, faults: list[Fault], message: str) -> None:
        """200: Step Functions is not asked, and statuses are those that were stored last."""
        workflow_id = await begun(client)
        before = sum(world.faults.attempts.values())
        for operation in ("DescribeExecution", "GetExecutionHistory"):
            world.faults.next[operation] = list(faults)

        answer = await client.get("/workflows", params={"workflowDefinitionName": "d"})

        assert [each["id"] for each in answer.json()] == [workflow_id]
        assert sum(world.faults.attempts.values()) == before
