"""The embedded engine behind the seam: what survives a restart, who gets a task, who is told of a change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from embedded_world import TRACKED, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.changes import StatusChange

# ------------------------------------------------------------------------------------------- restarts


async def test_a_wait_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        arn = await world.start(await world.machine({"W": {"Type": "Wait", "Seconds": 86_400, "End": True}}))
        clock.advance(3_600)

    async with running(tmp_path / "e.db", clock) as world:
        assert (await world.describe(arn)).status == "RUNNING"
        clock.advance(82_800)
        assert (await world.ended(arn)).status == "SUCCEEDED"


async def test_a_queued_task_and_a_map_in_the_middle_go_on_after_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        activity = await world.activity()
        each = {"StartAt": "T", "States": {"T": task(activity)}}
        states = {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": each, "End": True}}
        arn = await world.start(await world.machine(states), value="[1, 2, 3]")
        await world.succeed((await world.poll(activity)).task_token, '"one"')

    async with running(tmp_path / "e.db", clock) as world:
        for output in ('"two"', '"three"'):
            await world.succeed((await world.poll(activity)).task_token, output)
        assert (await world.describe(arn)).output == '["one","two","three"]'


async def test_a_task_whose_handing_over_was_cut_off_is_handed_over_again(tmp_path: Path) -> None:
    """Its poller was being answered when the process ended: nobody knows whether it heard."""
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        activity = await world.activity()
        arn = await world.start(await world.machine({"T": task(activity)}))
        first = await world.poll(activity)

    async with running(tmp_path / "e.db", clock) as world:
        again = await world.poll(activity)
        assert again.task_token == first.task_token
        await world.succeed(again.task_token)
        assert (await world.types(arn)).count("ActivityStarted") == 1


async def test_a_task_that_was_delivered_is_not_handed_over_again(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        activity = await world.activity()
        await world.start(await world.machine({"T": task(activity)}))
        token = (await world.poll(activity)).task_token
        world.engine.delivered(str(token))

    async with running(tmp_path / "e.db", clock) as world:
        assert (await world.poll(activity)).task_token is None
        await world.succeed(token)


# ------------------------------------------------------------------------------------------- activities


async def test_pollers_are_served_first_come_first_served(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    polls = [asyncio.create_task(world.poll(activity)) for _ in range(3)]
    await asyncio.sleep(0)

    for n in range(3):
        await world.start(machine, f"e{n}", json.dumps({"n": n}))

    answers = await asyncio.gather(*polls)
    assert [json.loads(str(answer.input))["n"] for answer in answers] == [0, 1, 2]


async def test_a_poll_without_a_task_ends_empty(world: World) -> None:
    assert (await world.poll(await world.activity())) == t.GetActivityTaskOutput()


async def test_a_poller_that_goes_away_loses_no_task(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    gone = asyncio.create_task(world.poll(activity))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)

    arn = await world.start(machine)
    await world.succeed((await world.poll(activity)).task_token)

    assert (await world.describe(arn)).status == "SUCCEEDED"


async def test_a_task_that_could_not_be_sent_goes_to_the_next_poller_as_it_was(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity)}))
    first = await world.poll(activity)

    world.engine.undelivered(str(first.task_token))
    second = await world.poll(activity)

    assert second == first
    await world.succeed(second.task_token)
    assert (await world.types(arn)).count("ActivityStarted") == 1


@pytest.mark.parametrize("token", ["", "nonsense", "AAAA", "bm8="])
async def test_a_token_of_nobody(world: World, token: str) -> None:
    with pytest.raises(errors.InvalidToken):
        await world.succeed(token)


async def test_an_answer_that_comes_twice_or_is_no_json(world: World) -> None:
    activity = await world.activity()
    await world.start(await world.machine({"T": task(activity)}))
    token = (await world.poll(activity)).task_token

    with pytest.raises(errors.InvalidOutput):
        await world.succeed(token, "{not json")
    await world.succeed(token)
    with pytest.raises(errors.TaskTimedOut):
        await world.succeed(token)


async def test_a_worker_that_stops_beating_is_given_up(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity, HeartbeatSeconds=10)}))
    token = (await world.poll(activity)).task_token
    for _ in range(3):
        world.clock.advance(9)
        await world.engine.send_task_heartbeat(t.SendTaskHeartbeatInput(task_token=str(token)))

    world.clock.advance(11)

    assert (await world.ended(arn)).error == "States.Timeout"
    with pytest.raises(errors.TaskTimedOut):
        await world.engine.send_task_heartbeat(t.SendTaskHeartbeatInput(task_token=str(token)))


# ------------------------------------------------------------------------------------------- nested executions


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        pytest.param(".sync", {"Output": '{"x":1}', "Status": "SUCCEEDED"}, id="sync answers texts"),
        pytest.param(".sync:2", {"Output": {"x": 1}, "Status": "SUCCEEDED"}, id="sync:2 answers values"),
    ],
)
async def test_a_parent_waits_for_its_child(world: World, pattern: str, output: dict[str, Any]) -> None:
    activity = await world.activity()
    child = await world.machine({"T": task(activity)}, "child")
    resource = f"arn:aws:states:::states:startExecution{pattern}"
    start = task(resource, Parameters={"StateMachineArn": child, "Name": "c", "Input": {"from": "parent"}})
    parent = await world.start(await world.machine({"S": start}, "parent"))

    answer = await world.poll(activity)
    assert json.loads(str(answer.input)) == {"from": "parent"}
    await world.succeed(answer.task_token, '{"x":1}')

    found = json.loads(str((await world.describe(parent)).output))
    assert {key: found[key] for key in output} == output


async def test_a_child_that_ends_at_once_is_heard_all_the_same(world: World) -> None:
    child = await world.machine({"P": {"Type": "Pass", "Result": 7, "End": True}}, "child")
    start = task("arn:aws:states:::states:startExecution.sync:2", Parameters={"StateMachineArn": child})
    parent = await world.start(await world.machine({"S": start}, "parent"))

    assert json.loads(str((await world.describe(parent)).output))["Output"] == 7
    assert (await world.types(parent))[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]


async def test_a_parent_that_is_stopped_stops_its_child(world: World) -> None:
    activity = await world.activity()
    child = await world.machine({"T": task(activity)}, "child")
    start = task("arn:aws:states:::states:startExecution.sync", Parameters={"StateMachineArn": child, "Name": "c"})
    parent = await world.start(await world.machine({"S": start}, "parent"))

    await world.engine.stop_execution(t.StopExecutionInput(execution_arn=parent))

    running_child = parent.replace(":parent:e", ":child:c")
    assert (await world.describe(running_child)).status == "ABORTED"
    assert (await world.poll(activity)).task_token is None


async def test_a_child_that_cannot_be_started_fails_the_task(world: World) -> None:
    absent = "arn:aws:states:us-east-1:000000000000:stateMachine:absent"
    start = task("arn:aws:states:::states:startExecution", Parameters={"StateMachineArn": absent})
    parent = await world.start(await world.machine({"S": start}, "parent"))

    assert (await world.describe(parent)).error == "StepFunctions.StateMachineDoesNotExistException"


# ------------------------------------------------------------------------------------------- starting


async def test_a_start_is_idempotent_while_the_execution_runs(world: World) -> None:
    machine = await world.machine({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    arn = await world.start(machine, value='{"a": 1}')

    assert await world.start(machine, value='{"a":1}') == arn
    with pytest.raises(errors.ExecutionAlreadyExists):
        await world.start(machine, value='{"a":2}')
    world.clock.advance(60)
    await world.ended(arn)
    with pytest.raises(errors.ExecutionAlreadyExists):
        await world.start(machine, value='{"a":1}')


async def test_a_disk_that_is_full_loses_nothing_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    waiting = asyncio.create_task(world.poll(activity))
    await asyncio.sleep(0)

    def full() -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as trouble:
        trouble.setattr(world.database, "_commit", full)
        with pytest.raises(errors.ServiceUnavailable, match="disk is full"):
            await world.start(machine)

    arn = await world.start(machine)
    await world.succeed((await waiting).task_token or (await world.poll(activity)).task_token)
    assert (await world.types(arn)).count("ActivityStarted") == 1
    assert (await world.describe(arn)).status == "SUCCEEDED"


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_history_is_read_in_pages(world: World, reverse: bool) -> None:
    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(9)}
    arn = await world.start(await world.machine({**states, "S9": {"Type": "Pass", "End": True}}))
    found: list[int] = []
    token = None
    while True:
        page = await world.engine.get_execution_history(
            t.GetExecutionHistoryInput(execution_arn=arn, max_results=4, reverse_order=reverse, next_token=token)
        )
        found += [event.id for event in page.events]
        token = page.next_token
        if token is None:
            break

    assert found == (list(range(22, 0, -1)) if reverse else list(range(1, 23)))


# ------------------------------------------------------------------------------------------- status changes


async def test_status_changes_are_told_in_order_and_again_until_they_are_dealt_with(tmp_path: Path) -> None:
    clock = VirtualClock()
    told: list[tuple[str, str]] = []
    async with running(tmp_path / "e.db", clock) as world:

        async def refuse(_: Sequence[StatusChange]) -> None:
            raise RuntimeError("not now")

        world.engine.subscribe(refuse)
        machine = await world.machine({"P": {"Type": "Pass", "End": True}}, tags=TRACKED)
        for n in range(3):
            await world.start(machine, f"e{n}")
        await asyncio.sleep(0.01)

    async with running(tmp_path / "e.db", clock) as world:

        async def listen(changes: Sequence[StatusChange]) -> None:
            told.extend((change.name, change.status) for change in changes)

        world.engine.subscribe(listen)
        for _ in range(100):
            if len(told) == 3:
                break
            await asyncio.sleep(0.005)

    assert told == [("e0", "SUCCEEDED"), ("e1", "SUCCEEDED"), ("e2", "SUCCEEDED")]


async def test_whoever_waits_for_a_change_is_woken(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity)}))
    waiting = asyncio.create_task(world.engine.changed(arn, 3, 30))
    await asyncio.sleep(0.01)
    assert not waiting.done()

    await world.succeed((await world.poll(activity)).task_token)

    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(world.engine.changed(arn, 3, 30), 1)
