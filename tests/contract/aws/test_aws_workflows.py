"""Workflows on AWS: jobs that are kept, histories that are long, executions that are not found, resumes on several servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from conftest import SETTINGS, World
from msgspec import structs

from workflow_manager.manager.times import moment
from workflow_manager.manager.turns import LEASE
from workflow_manager.manager.updates import NEVER_BEGAN
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow, WorkflowStatus
from workflow_manager.model.errors import ResumeNotAllowed
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.changes import StatusChange

WAIT: dict[str, Any] = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 86_400, "End": True}}}
DONE: dict[str, Any] = {"StartAt": "s", "States": {"s": {"Type": "Succeed"}}}
FAIL: dict[str, Any] = {
    "StartAt": "c",
    "States": {
        "c": {"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "f"}], "Default": "f"},
        "f": {"Type": "Fail", "Error": "E", "Cause": "why"},
    },
}
COUNT: dict[str, Any] = {
    "StartAt": "c",
    "States": {
        "c": {
            "Type": "Choice",
            "QueryLanguage": "JSONata",
            "Choices": [{"Condition": "{% ($exists($n) ? $n : 0) > 600 %}", "Next": "s"}],
            "Default": "p",
        },
        "p": {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Assign": {"n": "{% ($exists($n) ? $n : 0) + 1 %}"},
            "Next": "c",
        },
        "s": {"Type": "Succeed"},
    },
}
"""Some 2,400 events."""


async def begun(world: World, machine: dict[str, Any]) -> Workflow:
    await world.manager.create_definition(NewWorkflowDefinition(name="d", state_machine=machine))
    return await world.manager.start_workflow(NewWorkflow(definition_name="d", namespace="ns"))


async def ended(world: World, workflow: Workflow) -> None:
    """Wait for the execution to end, without anyone reading the workflow."""
    machine = workflow.workflow_definition.state_machine or {}
    arn = f"arn:aws:states:us-east-1:000000000000:execution:ns--d--0--{machine['StartAt']}:{workflow.id}"
    async with asyncio.timeout(20):
        while (await world.engine.describe_execution(t.DescribeExecutionInput(execution_arn=arn))).status == "RUNNING":
            await world.engine.changed(arn, 0, 0.01)


async def finished(world: World, machine: dict[str, Any]) -> Workflow:
    workflow = await begun(world, machine)
    await ended(world, workflow)
    return await world.manager.workflow(workflow.id)


class TestJobs:
    async def test_are_fetched_once(self, world: World) -> None:
        """And are there for every server, whatever becomes of the history."""
        workflow = await finished(world, DONE)
        asked = dict(world.faults.attempts)

        found = await (await world.another()).workflow(workflow.id)

        assert [job.state for job in found.jobs or ()] == ["s"]
        assert found.jobs == workflow.jobs == (await world.store.workflow(workflow.id)).jobs
        assert world.faults.attempts == asked

    async def test_a_failure_is_stored_with_its_jobs(self, world: World) -> None:
        workflow = await finished(world, FAIL)

        assert world.faults.attempts["GetExecutionHistory"] == 1
        assert [job.state for job in (await world.store.workflow(workflow.id)).jobs or ()] == ["c"]

    async def test_can_be_fetched_anew(self, world: World) -> None:
        workflow = await finished(world, DONE)

        again = await world.manager.workflow(workflow.id, fetch_history=True)

        assert again.jobs == workflow.jobs
        assert world.faults.attempts["GetExecutionHistory"] == 2

    async def test_what_was_kept_outlives_the_history(self, world: World) -> None:
        workflow = await finished(world, DONE)
        arn = "arn:aws:states:us-east-1:000000000000:stateMachine:ns--d--0--s"
        await world.engine.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=arn))

        again = await world.manager.workflow(workflow.id, fetch_history=True)

        assert again.jobs == workflow.jobs

    async def test_of_a_history_that_lags_behind_are_not_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """AWS may tell that an execution has ended before its history does."""
        inner = world.aws.get_execution_history

        async def lag(request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
            return structs.replace(answer := await inner(request), events=answer.events[:-1])

        with monkeypatch.context() as lagging:
            lagging.setattr(world.aws, "get_execution_history", lag)
            workflow = await finished(world, DONE)
        assert (await world.store.workflow(workflow.id)).jobs is None

        assert [job.state for job in (await world.manager.workflow(workflow.id)).jobs or ()] == ["s"]
        assert (await world.store.workflow(workflow.id)).jobs is not None

    async def test_without_keeping_they_are_derived_every_time(self, world: World) -> None:
        manager = await world.another(settings=structs.replace(SETTINGS, keep_jobs=False))
        workflow = await begun(world, DONE)
        await ended(world, workflow)

        for _ in range(2):
            assert [job.state for job in (await manager.workflow(workflow.id)).jobs or ()] == ["s"]

        assert (await world.store.workflow(workflow.id)).jobs is None


def stuck_after(
    world: World, pages: int
) -> Callable[[t.GetExecutionHistoryInput], Awaitable[t.GetExecutionHistoryOutput]]:
    """GetExecutionHistory that answers so many pages from the beginning, and then not within the time there is."""
    inner, left = world.aws.get_execution_history, [pages]

    async def get_execution_history(request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
        if not request.reverse_order:
            left[0] -= 1
            if left[0] < 0:
                await asyncio.Event().wait()
        return await inner(request)

    return get_execution_history


class TestLongHistories:
    async def test_come_in_pages_of_a_thousand(self, world: World) -> None:
        workflow = await finished(world, COUNT)

        assert world.faults.attempts["GetExecutionHistory"] == 3
        assert len(workflow.jobs or ()) == 603
        assert not workflow.truncated

    async def test_are_cut_off_when_time_is_up(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first part is told and marked, and not kept; the next reader may have more time."""
        workflow = await begun(world, COUNT)
        await ended(world, workflow)
        hasty = await world.another(settings=structs.replace(SETTINGS, history_seconds=1.0))
        with monkeypatch.context() as slow:
            slow.setattr(world.aws, "get_execution_history", stuck_after(world, 2))
            found = await hasty.workflow(workflow.id)

        assert found.truncated
        assert 100 < len(found.jobs or ()) < 603
        assert (await world.store.workflow(workflow.id)).jobs is None
        whole = await world.manager.workflow(workflow.id)
        assert (whole.truncated, len(whole.jobs or ())) == (False, 603)
        assert (whole.jobs or [])[: len(found.jobs or ()) - 1] == (found.jobs or [])[:-1]

    async def test_are_read_on_for_whoever_comes_next(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody waits for that, and however many are told the first part, it is done once."""
        workflow = await begun(world, COUNT)
        await ended(world, workflow)
        hasty = await world.another(settings=structs.replace(SETTINGS, history_seconds=0.2))
        inner, go_on, waiting = world.aws.get_execution_history, asyncio.Event(), []

        async def slowly(request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
            waiting.append(request)
            await go_on.wait()
            return await inner(request)

        monkeypatch.setattr(world.aws, "get_execution_history", slowly)
        assert [(await hasty.workflow(workflow.id)).truncated for _ in range(2)] == [True, True]
        assert len(waiting) == 3
        go_on.set()
        await asyncio.gather(*hasty._updates._reading_on.values())

        found = await hasty.workflow(workflow.id)

        assert (found.truncated, len(found.jobs or ())) == (False, 603)
        assert found.jobs == (await world.store.workflow(workflow.id)).jobs

    async def test_tell_all_the_same_which_job_failed(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        machine = {**COUNT, "States": {**COUNT["States"], "s": FAIL["States"]["f"]}}
        workflow = await begun(world, machine)
        await ended(world, workflow)
        hasty = await world.another(settings=structs.replace(SETTINGS, history_seconds=0.2))
        with monkeypatch.context() as slow:
            slow.setattr(world.aws, "get_execution_history", stuck_after(world, 1))
            await hasty.workflow(workflow.id)

        stored = await world.store.workflow(workflow.id)
        assert (stored.status, stored.jobs) == (WorkflowStatus.FAILED, None)
        assert stored.last_job is not None
        assert (stored.last_job.state, int(stored.last_job.id) > 2_000) == ("c", True)


class TestExecutionsThatAreNotFound:
    async def test_one_that_ran_is_missing_for_five_minutes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One miss is no proof, however old the workflow is; then its execution is gone for good."""
        workflow = await begun(world, WAIT)
        assert (await world.manager.workflow(workflow.id)).status is WorkflowStatus.RUNNING
        world.clock.advance(3600)
        arn = "arn:aws:states:us-east-1:000000000000:stateMachine:ns--d--0--w"
        with monkeypatch.context() as away:
            away.setattr(world.manager._executions, "describe", nothing)
            missed = await world.manager.workflow(workflow.id)
        found = await world.manager.workflow(workflow.id)
        world.clock.advance(299)
        await world.engine.delete_state_machine(t.DeleteStateMachineInput(state_machine_arn=arn))
        monkeypatch.setattr(world.manager._executions, "describe", nothing)

        statuses = []
        for seconds in (1, 299, 1):
            world.clock.advance(seconds)
            statuses.append((await world.manager.workflow(workflow.id)).status)

        assert (missed.status, found.status) == (WorkflowStatus.RUNNING, WorkflowStatus.RUNNING)
        assert statuses == [WorkflowStatus.RUNNING, WorkflowStatus.RUNNING, WorkflowStatus.FAILED]
        assert (await world.store.workflow(workflow.id)).status_reason == NEVER_BEGAN

    async def test_one_that_begins_after_its_workflow_was_cancelled_is_stopped(self, world: World) -> None:
        workflow = await begun(world, WAIT)
        await world.store.delete_workflow(workflow.id)
        await world.store.save_workflow(structs.replace(workflow, jobs=None, status=WorkflowStatus.CANCELLED))
        machine = "ns--d--0--w"
        change = StatusChange(
            execution_arn=f"arn:aws:states:us-east-1:000000000000:execution:{machine}:{workflow.id}",
            state_machine_arn=f"arn:aws:states:us-east-1:000000000000:stateMachine:{machine}",
            name=workflow.id,
            status="RUNNING",
            start_date=world.clock.now(),
        )

        await world.manager.on_status_changes([change])

        described = await world.engine.describe_execution(t.DescribeExecutionInput(execution_arn=change.execution_arn))
        assert described.status == "ABORTED"


async def nothing(_: Workflow) -> None:
    return None


class TestResumeOnSeveralServers:
    async def test_of_many_at_once_one_is_let_through(self, world: World) -> None:
        original = await finished(world, FAIL)
        servers = [await world.another() for _ in range(4)]

        outcomes = await asyncio.gather(
            *(server.resume(original.id, "f") for server in servers), return_exceptions=True
        )

        retries = (await world.store.workflow(original.id)).retries or []
        begun = [outcome for outcome in outcomes if isinstance(outcome, Workflow)]
        # a retry that has failed already may be followed by another; two at a time may not be
        assert [each.id for each in sorted(begun, key=lambda each: retries.index(each.id))] == retries
        assert {type(outcome) for outcome in outcomes} <= {Workflow, ResumeNotAllowed}

    async def test_another_server_that_is_at_it_is_waited_for_but_not_for_ever(self, world: World) -> None:
        original = await finished(world, FAIL)
        now = moment(world.clock.now())
        assert await world.store.take_lease(f"resume:{original.id}", "another", now, now + LEASE)

        with pytest.raises(ResumeNotAllowed, match="is being resumed by another server at this moment"):
            await world.manager.resume(original.id, "f")
        await world.store.release_lease(f"resume:{original.id}", "another")

        assert (await world.manager.resume(original.id, "f")).retry_for == original.id

    async def test_a_server_that_died_at_it_is_in_nobodys_way_for_long(self, world: World) -> None:
        original = await finished(world, FAIL)
        now = moment(world.clock.now())
        await world.store.take_lease(f"resume:{original.id}", "dead", now, now + LEASE)
        world.clock.advance(LEASE.total_seconds())

        assert (await world.manager.resume(original.id, "f")).retry_for == original.id

    async def test_a_retry_belongs_to_the_family_of_what_it_resumes(self, world: World) -> None:
        original = await finished(world, FAIL)
        retry = await world.manager.resume(original.id, "f")
        assert (await world.manager.workflow(retry.id)).status is WorkflowStatus.FAILED
        now = moment(world.clock.now())
        await world.store.take_lease(f"resume:{original.id}", "another", now, now + timedelta(seconds=60))

        with pytest.raises(ResumeNotAllowed, match="by another server"):
            await world.manager.resume(retry.id, "f")

    async def test_one_that_was_slow_for_too_long_does_not_go_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its lease has ended, and another server has it."""
        original = await finished(world, FAIL)
        inner = world.aws.get_execution_history

        async def slowly(request: t.GetExecutionHistoryInput) -> t.GetExecutionHistoryOutput:
            world.clock.advance(LEASE.total_seconds())
            now = moment(world.clock.now())
            assert await world.store.take_lease(f"resume:{original.id}", "another", now, now + LEASE)
            return await inner(request)

        monkeypatch.setattr(world.aws, "get_execution_history", slowly)

        with pytest.raises(ResumeNotAllowed, match="by another server"):
            await world.manager.resume(original.id, "f")

        assert (await world.store.workflow(original.id)).retries == []

    async def test_the_lease_is_given_back(self, world: World) -> None:
        original = await finished(world, FAIL)
        with pytest.raises(ResumeNotAllowed, match="no state"):
            await world.manager.resume(original.id, "nowhere")
        now = moment(world.clock.now())

        assert await world.store.take_lease(f"resume:{original.id}", "another", now, now + LEASE)
