"""The Python client against the server, in one event loop: what a client made of answers by hand cannot show."""

from __future__ import annotations

import asyncio

from api_machines import FAIL, PASS, WAIT

from workflow_manager.api.server import Server
from workflow_manager.client import AsyncClient, Client, WorkflowFailed
from workflow_manager.model import NewWorkflowDefinition, WorkflowQuery, WorkflowStatus

WAITING = 120
"""More than httpx keeps connections by default."""


async def test_any_number_is_waited_for_at_once(server: Server) -> None:
    async with AsyncClient(server.url, timeout_seconds=20) as client:
        await client.new_definition(NewWorkflowDefinition(name="wait", state_machine=WAIT))
        workflows = [await client.start("wait") for _ in range(WAITING)]
        listening = [workflow.follow() for workflow in workflows]
        await asyncio.gather(*(anext(events) for events in listening))

        await client.health()
        await asyncio.gather(*(workflow.cancel("enough") for workflow in workflows))
        for events in listening:
            assert [event.workflow async for event in events][-1].status is WorkflowStatus.CANCELLED


async def test_both_clients_see_the_same(server: Server) -> None:
    def blocking() -> tuple[object, list[str], str]:
        with Client(server.url) as client:
            done = client.start("pass", {"n": 1}, namespace="ns")
            failed = client.start("fail", namespace="ns")
            try:
                failed.result(20)
            except WorkflowFailed as error:
                reason = error.reason
            result = done.result(20)
            listed = [each.id for each in client.iterate_workflows(WorkflowQuery(namespace="ns", limit=1))]
            return result, listed, reason

    async with AsyncClient(server.url) as client:
        for name, machine in (("pass", PASS), ("fail", FAIL)):
            await client.new_definition(NewWorkflowDefinition(name=name, state_machine=machine))
        result, listed, reason = await asyncio.to_thread(blocking)
        found = [each async for each in client.iterate_workflows(WorkflowQuery(namespace="ns", limit=1))]

    done, failed = sorted(found, key=lambda each: each.status, reverse=True)
    assert result == {"n": 1, "_EXECUTION_NAME": done.id}
    assert [each.id for each in found] == listed
    assert reason == failed.status_reason == "as told\nBroken"
