"""Activities of the embedded engine: who gets a task, how often, and what becomes of it when somebody goes away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from embedded_world import World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.core.tokens import parse_task_token, task_token
from workflow_manager.engine.tasks import activities
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t


async def a_task(world: World, name: str = "e", **fields: Any) -> tuple[str, str]:
    """An execution that waits at a task of a new activity; (activity, execution)."""
    activity = await world.activity()
    machine = await world.machine({"T": task(activity, **fields)})
    return activity, await world.start(machine, name)


# ------------------------------------------------------------------------------------------- who gets a task


async def test_tasks_that_are_queued_are_handed_out_in_the_order_they_came(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    for n in range(5):
        await world.start(machine, f"e{n}", json.dumps(n))

    assert [(await world.poll(activity)).input for _ in range(6)] == ["0", "1", "2", "3", "4", None]


async def test_tasks_of_one_batch_go_to_the_pollers_that_wait_and_the_rest_is_queued(patient: World) -> None:
    activity = await patient.activity()
    machine = await patient.machine({"T": task(activity)})
    polls = [patient.polling(activity) for _ in range(2)]
    await asyncio.sleep(0)

    await asyncio.gather(*(patient.start(machine, f"e{n}", json.dumps(n)) for n in range(4)))

    assert [(await poll).input for poll in polls] == ["0", "1"]
    assert [(await patient.poll(activity)).input for _ in range(2)] == ["2", "3"]


async def test_activities_have_a_queue_each(patient: World) -> None:
    one, two = await patient.activity("one"), await patient.activity("two")
    poll = patient.polling(one)
    await patient.start(await patient.machine({"T": task(two)}, "two"), value='"two"')
    await asyncio.sleep(0.01)
    assert not poll.done()

    await patient.start(await patient.machine({"T": task(one)}, "one"), value='"one"')

    assert (await poll).input == '"one"'
    assert (await patient.poll(two)).input == '"two"'


async def test_a_worker_s_name_is_in_the_history(world: World) -> None:
    activity, arn = await a_task(world)
    await world.api.get_activity_task(t.GetActivityTaskInput(activity_arn=activity, worker_name="me"))

    assert (await world.history(arn))[-1].details == {"workerName": "me"}


async def test_there_are_so_many_pollers_and_no_more(patient: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "MAX_POLLERS", 2)
    activity = await patient.activity()
    polls = [patient.polling(activity) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(errors.ActivityWorkerLimitExceeded):
        await patient.poll(activity)

    polls[0].cancel()
    await asyncio.gather(polls[0], return_exceptions=True)
    third = patient.polling(activity)
    await asyncio.sleep(0)
    assert not third.done()


# ------------------------------------------------------------------------------------------- pollers that go away


async def test_a_poller_that_left_is_passed_over(patient: World) -> None:
    activity = await patient.activity()
    gone, stays = patient.polling(activity), patient.polling(activity)
    await asyncio.sleep(0)
    gone.cancel()
    machine = await patient.machine({"T": task(activity)})

    arn = await patient.start(machine)

    assert (await stays).task_token is not None
    assert (await patient.types(arn)).count("ActivityStarted") == 1


@pytest.mark.parametrize("ticks", range(8))
async def test_a_poller_that_leaves_at_any_moment_loses_no_task(patient: World, ticks: int) -> None:
    """Before, while or after a task is assigned to it: whoever comes next gets the task, which has started once."""
    activity = await patient.activity()
    machine = await patient.machine({"T": task(activity)})
    leaving = patient.polling(activity)
    await asyncio.sleep(0)
    starting = asyncio.create_task(patient.start(machine))
    for _ in range(ticks):
        await asyncio.sleep(0)
    leaving.cancel()
    (left,) = await asyncio.gather(leaving, return_exceptions=True)
    arn = await starting
    if isinstance(left, t.GetActivityTaskOutput):  # too late to leave: the answer was there
        patient.engine.undelivered(str(left.task_token))

    found = await asyncio.wait_for(patient.poll(activity), 5)

    await patient.succeed(found.task_token, '"done"')
    assert (await patient.describe(arn)).output == '"done"'
    assert (await patient.types(arn)).count("ActivityStarted") == 1


async def test_a_task_that_came_back_goes_to_the_poller_that_waits(patient: World) -> None:
    activity, arn = await a_task(patient)
    first = await patient.poll(activity)
    waiting = patient.polling(activity)
    await asyncio.sleep(0.01)

    patient.engine.undelivered(str(first.task_token))

    assert await asyncio.wait_for(waiting, 5) == first
    assert (await patient.types(arn)).count("ActivityStarted") == 1


async def test_a_task_that_came_back_stands_where_it_stood(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    for n in range(3):
        await world.start(machine, f"e{n}", json.dumps(n))
    first = await world.poll(activity)

    world.engine.undelivered(str(first.task_token))
    await world.settled()

    assert [(await world.poll(activity)).input for _ in range(3)] == ["0", "1", "2"]


async def test_a_task_that_comes_back_after_it_is_over_is_handed_to_nobody(world: World) -> None:
    activity, arn = await a_task(world)
    token = (await world.poll(activity)).task_token
    await world.stop(arn)

    world.engine.undelivered(str(token))
    world.engine.delivered(str(token))
    await world.settled()

    assert (await world.poll(activity)).task_token is None


@pytest.mark.parametrize("word", ["delivered", "not said"])
async def test_an_answer_ends_a_task_whether_its_delivery_was_known(world: World, word: str) -> None:
    activity, _ = await a_task(world)
    token = (await world.poll(activity)).task_token
    if word == "delivered":
        world.engine.delivered(str(token))
    await world.succeed(token)

    assert world.rows("activity_task") == 0


async def test_a_task_is_given_back_as_soon_as_the_disk_has_room(
    patient: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities, "RETRY_SECONDS", 0.01)
    activity, _ = await a_task(patient)
    first = await patient.poll(activity)
    with patient.full_disk(monkeypatch):
        patient.engine.undelivered(str(first.task_token))
        await asyncio.sleep(0.03)

    assert await asyncio.wait_for(patient.poll(activity), 5) == first


async def test_a_poll_that_is_interrupted_by_the_end_of_the_engine(patient: World) -> None:
    poll = patient.polling(await patient.activity())
    await asyncio.sleep(0)

    await patient.engine.close()

    with pytest.raises(errors.ServiceUnavailable):
        await poll


@pytest.mark.parametrize("ticks", [0, 1, 3, 10, 30])
async def test_a_poller_that_comes_while_a_task_is_being_written_gets_it(tmp_path: Path, ticks: int) -> None:
    """It sees no task yet when it comes, and the task saw no poller."""
    async with running(tmp_path / "e.db", VirtualClock(), long_poll_seconds=30, flush_delay_seconds=0.01) as world:
        activity = await world.activity()
        starting = asyncio.create_task(world.start(await world.machine({"T": task(activity)})))
        for _ in range(ticks):
            await asyncio.sleep(0.0005)

        assert (await asyncio.wait_for(world.poll(activity), 5)).task_token is not None
        await starting


# ------------------------------------------------------------------------------------------- tasks that are over


@pytest.mark.parametrize("way", ["stop", "timeout"])
async def test_a_queued_task_of_an_execution_that_ended_is_handed_to_nobody(world: World, way: str) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity)}, top={"TimeoutSeconds": 60}))
    if way == "stop":
        await world.stop(arn)
    else:
        world.clock.advance(60)
        await world.ended(arn)

    assert (await world.poll(activity)).task_token is None
    assert world.rows("activity_task") == 0


async def test_a_task_that_is_scheduled_and_stopped_in_one_batch_is_handed_to_nobody(patient: World) -> None:
    activity = await patient.activity()
    machine = await patient.machine({"A": task(activity, Next="B"), "B": task(activity)})
    arn = await patient.start(machine)
    token = (await patient.poll(activity)).task_token
    waiting = patient.polling(activity)
    await asyncio.sleep(0.01)

    await asyncio.gather(patient.succeed(token), patient.stop(arn))
    await patient.settled()

    assert not waiting.done()
    assert patient.rows("activity_task") == 0
    assert (await patient.types(arn))[-2:] == ["ActivityScheduled", "ExecutionAborted"]


@pytest.mark.parametrize("answer", ["succeed", "fail", "beat"])
@pytest.mark.parametrize("over", ["answered", "timed out", "stopped"])
async def test_an_answer_to_a_task_that_is_over(world: World, answer: str, over: str) -> None:
    activity, arn = await a_task(world, TimeoutSeconds=60)
    token = (await world.poll(activity)).task_token
    match over:
        case "answered":
            await world.succeed(token)
        case "timed out":
            world.clock.advance(60)
            await world.ended(arn)
        case _:
            await world.stop(arn)
    before = await world.types(arn)

    with pytest.raises(errors.TaskTimedOut):
        await getattr(world, answer)(token)

    assert await world.types(arn) == before


async def test_a_token_of_an_earlier_try_is_over(world: World) -> None:
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 5}]
    activity, arn = await a_task(world, Retry=retry)
    first = (await world.poll(activity)).task_token
    await world.fail(first)
    world.clock.advance(5)
    await world.settled()
    second = (await world.poll(activity)).task_token

    with pytest.raises(errors.TaskTimedOut):
        await world.succeed(first, '"first"')
    await world.succeed(second, '"second"')

    assert (await world.describe(arn)).output == '"second"'


async def test_a_token_that_was_guessed_is_none(world: World) -> None:
    """Whatever else it says, only the one that was handed out is taken."""
    activity, arn = await a_task(world)
    execution, frame, event, _ = parse_task_token(str((await world.poll(activity)).task_token))

    for guess in (task_token(execution, frame, event, "nonce"), task_token(execution + 1, frame, event, "nonce")):
        with pytest.raises(errors.InvalidToken):
            await world.succeed(guess)
    assert (await world.describe(arn)).status == "RUNNING"


@pytest.mark.parametrize("output", ["", "{", "undefined", "[1,]", "\ud800"])
async def test_an_output_that_is_no_json_leaves_the_task_as_it_is(world: World, output: str) -> None:
    activity, arn = await a_task(world)
    token = (await world.poll(activity)).task_token

    with pytest.raises(errors.InvalidOutput):
        await world.succeed(token, output)
    await world.succeed(token, '{"now": "json"}')

    assert (await world.describe(arn)).output == '{"now": "json"}'


async def test_a_task_times_out_only_once_it_was_taken(world: World) -> None:
    activity, arn = await a_task(world, TimeoutSeconds=60)
    world.clock.advance(3_600)
    await world.settled()
    token = (await world.poll(activity)).task_token
    world.clock.advance(59)
    await world.settled()
    await world.beat(token)

    world.clock.advance(1)

    assert (await world.ended(arn)).error == "States.Timeout"
    assert (await world.types(arn))[-2:] == ["ActivityTimedOut", "ExecutionFailed"]


async def test_heartbeats_that_come_in_time_keep_a_task_for_any_time(world: World) -> None:
    activity, arn = await a_task(world, HeartbeatSeconds=10)
    token = (await world.poll(activity)).task_token
    for _ in range(20):
        world.clock.advance(9.9)
        await world.settled()
        await world.beat(token)

    assert len(await world.history(arn)) == 4, "heartbeats are no events"
    await world.succeed(token)
    assert (await world.describe(arn)).status == "SUCCEEDED"
