"""A batch that cannot be written leaves nothing behind, on disk or in memory, and everything goes on right afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest
from embedded_world import ARN, PASS, START, WAIT, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.engine import service
from workflow_manager.engine.core.step import step
from workflow_manager.engine.core.stimuli import TaskSubmitted
from workflow_manager.engine.shell import runner
from workflow_manager.engine.tasks import calls
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_SECONDS", 0.01)


async def test_a_start_that_was_not_written_has_not_happened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)})
    with world.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable, match="the disk is full"):
        await world.start(machine, value='{"first": 1}')

    with pytest.raises(errors.ExecutionDoesNotExist):
        await world.describe(f"{ARN}:execution:m:e")
    assert [world.rows(table) for table in ("execution", "history", "frame", "activity_task")] == [0, 0, 0, 0]

    arn = await world.start(machine, value='{"second": 2}')
    answer = await world.poll(activity)
    assert answer.input == '{"second": 2}'
    await world.succeed(answer.task_token)
    assert (await world.describe(arn)).status == "SUCCEEDED"


async def test_an_answer_that_was_not_written_may_be_given_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next task is scheduled anew, with a new token: the one that was never told is worth nothing."""
    activity = await world.activity()
    arn = await world.start(await world.machine({"A": task(activity, Next="B"), "B": task(activity)}))
    first = (await world.poll(activity)).task_token
    for _ in range(3):
        with world.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable):
            await world.succeed(first, '"a"')

    await world.succeed(first, '"a"')
    second = await world.poll(activity)
    assert second.input == '"a"'
    await world.succeed(second.task_token, '"b"')

    assert (await world.describe(arn)).output == '"b"'
    types = await world.types(arn)
    assert (types.count("ActivityScheduled"), types.count("ActivityStarted")) == (2, 2)


async def test_a_batch_that_fails_before_its_end_leaves_no_task_to_hand_out(
    patient: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of its tasks were already meant for a poller when a later operation met the full disk."""
    activity = await patient.activity()
    arn = await patient.start(await patient.machine({"A": task(activity, Next="B"), "B": task(activity)}))
    first = (await patient.poll(activity)).task_token
    polls = [patient.polling(activity) for _ in range(2)]
    await asyncio.sleep(0.01)

    def full(_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    answering = asyncio.create_task(patient.succeed(first, '"a"'))
    await asyncio.sleep(0)
    breaking = patient.database.submit(full)
    with pytest.raises(errors.ServiceUnavailable):
        await answering
    assert breaking.exception() is not None
    assert not any(poll.done() for poll in polls)

    await patient.succeed(first, '"a"')
    done, _ = await asyncio.wait(polls, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    await patient.settled()

    (answer,) = [poll.result() for poll in polls if poll.done()]
    assert len(done) == 1, "one task, one poller"
    await patient.succeed(answer.task_token, '"b"')
    assert (await patient.describe(arn)).output == '"b"'


async def test_a_poller_whose_task_was_not_written_waits_on(patient: World, monkeypatch: pytest.MonkeyPatch) -> None:
    activity = await patient.activity()
    machine = await patient.machine({"T": task(activity)})
    poll = patient.polling(activity)
    await asyncio.sleep(0)
    with patient.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable):
        await patient.start(machine)
    assert not poll.done()

    arn = await patient.start(machine)

    await patient.succeed((await asyncio.wait_for(poll, 5)).task_token)
    assert (await patient.types(arn)).count("ActivityStarted") == 1


async def test_a_queued_task_that_could_not_be_handed_over_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    activity = await world.activity()
    await world.start(await world.machine({"T": task(activity)}))
    with world.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable):
        await world.poll(activity)

    assert (await world.poll(activity)).task_token is not None


@pytest.mark.parametrize("states", [pytest.param(WAIT, id="a wait"), pytest.param("retry", id="a retry")])
async def test_a_timer_that_could_not_be_taken_is_taken_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch, states: Any
) -> None:
    """Though no other timer is there to be looked for."""
    activity = await world.activity()
    retry = [{"ErrorEquals": ["E"], "IntervalSeconds": 60}]
    machine = await world.machine({"T": task(activity, Retry=retry)} if states == "retry" else states)
    arn = await world.start(machine)
    if states == "retry":
        await world.fail((await world.poll(activity)).task_token)
    with world.full_disk(monkeypatch):
        world.clock.advance(60)
        await asyncio.sleep(0.05)
        assert (await world.describe(arn)).status == "RUNNING"

    if states == "retry":
        await world.settled()
        await world.succeed((await world.poll(activity)).task_token)
    assert (await world.ended(arn)).status == "SUCCEEDED"


async def test_a_family_is_written_whole_or_not_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    child = await world.machine(WAIT, "child")
    start = task(f"{START}.sync", Parameters={"StateMachineArn": child, "Name": "c"})
    machine = await world.machine({"S": start}, "parent")
    with world.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable):
        await world.start(machine)
    assert world.rows("execution") == 0

    arn = await world.start(machine)
    with world.full_disk(monkeypatch), pytest.raises(errors.ServiceUnavailable):
        await world.stop(arn)
    assert [(await world.describe(each)).status for each in (arn, f"{ARN}:execution:child:c")] == ["RUNNING", "RUNNING"]
    world.clock.advance(60)

    assert (await world.ended(arn)).status == "SUCCEEDED"


async def test_one_operation_that_is_refused_takes_nothing_from_its_neighbours(patient: World) -> None:
    """They are in one batch with it: their tasks are handed out, their executions go on."""
    activity = await patient.activity()
    machine = await patient.machine({"T": task(activity)})
    ended = await patient.start(await patient.machine(PASS, "ended"))
    starts = [patient.start(machine, f"e{n}", json.dumps(n)) for n in range(3)]
    refused = [
        patient.start(ended.rsplit(":", 1)[0].replace("execution", "stateMachine"), "e"),
        patient.succeed("bm8="),
    ]

    answers = await asyncio.gather(starts[0], refused[0], starts[1], refused[1], starts[2], return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        str,
        errors.ExecutionAlreadyExists,
        str,
        errors.InvalidToken,
        str,
    ]
    assert [(await patient.poll(activity)).input for _ in range(3)] == ["0", "1", "2"]


async def test_an_operation_that_goes_wrong_in_the_middle_is_undone_alone(patient: World) -> None:
    """It had scheduled a task and stepped an execution before it raised."""
    activity = await patient.activity()
    machine = await patient.machine({"A": task(activity, Next="B"), "B": task(activity)})
    arns = [await patient.start(machine, name) for name in ("one", "two")]
    tokens = [str((await patient.poll(activity)).task_token) for _ in arns]
    polls = [patient.polling(activity) for _ in range(2)]
    await asyncio.sleep(0.01)
    activities = patient.engine._activities
    taken = activities._runner.take
    taken_so_far = 0

    def breaks_once(*arguments: Any) -> bool:
        nonlocal taken_so_far
        answer = taken(*arguments)
        taken_so_far += 1
        if taken_so_far == 1:
            raise RuntimeError("a fault of the engine")
        return answer

    activities._runner.take = breaks_once
    first, second = await asyncio.gather(
        patient.succeed(tokens[0], '"lost"'), patient.succeed(tokens[1], '"kept"'), return_exceptions=True
    )

    assert (type(first), second) == (RuntimeError, None)
    assert (await patient.types(arns[0]))[-1] == "ActivityStarted"
    await patient.succeed(tokens[0], '"again"')
    assert {(await asyncio.wait_for(poll, 5)).input for poll in polls} == {'"kept"', '"again"'}


async def test_a_fault_between_two_steps_of_a_family_leaves_none_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step starts a child that ends at once; the parent, told of both, fails at the first. It is all tried again."""
    start = task(f"{START}.sync:2", Parameters={"StateMachineArn": await world.machine(PASS, "child"), "Name": "c"})
    arn = await world.start(await world.machine({"W": WAIT["W"] | {"End": False, "Next": "S"}, "S": start}, "parent"))
    left: list[int] = []
    broken = asyncio.Event()

    def breaks_once(program: Any, execution: Any, stimulus: Any, env: Any) -> Any:
        if isinstance(stimulus, TaskSubmitted) and not left:
            left.append(len(world.engine._runner._work))
            broken.set()
            raise RuntimeError("a fault of the engine")
        return step(program, execution, stimulus, env)

    monkeypatch.setattr(runner, "step", breaks_once)
    world.clock.advance(60)
    await asyncio.wait_for(broken.wait(), 5)

    assert left == [1], "that the child has ended was still to be told"
    assert not world.engine._runner._work
    assert world.rows("execution") == 1
    assert (await world.ended(arn)).status == "SUCCEEDED"
    assert (await world.types(arn)).count("TaskScheduled") == 1


async def test_a_definition_that_was_not_saved_is_not_run_in_another_s_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number goes to the next definition that is saved."""
    machine = await world.machine({"A": {"Type": "Pass", "Result": "first", "End": True}})

    async def update(result: str) -> None:
        definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}}
        await world.api.update_state_machine(
            t.UpdateStateMachineInput(state_machine_arn=machine, definition=json.dumps(definition))
        )

    with world.full_disk(monkeypatch):
        lost = await asyncio.gather(update("lost"), world.start(machine, "lost"), return_exceptions=True)
        assert [type(error) for error in lost] == [errors.ServiceUnavailable] * 2

    assert (await world.describe(await world.start(machine, "first"))).output == '"first"'
    await update("second")
    assert (await world.describe(await world.start(machine, "second"))).output == '"second"'


async def test_a_call_s_answer_is_kept_until_it_can_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "RETRY_SECONDS", 0.01)
    listed = task("arn:aws:states:::aws-sdk:sfn:listActivities", Parameters={})
    arn = await world.start(await world.machine({"S": listed}))
    with world.full_disk(monkeypatch):
        await asyncio.sleep(0.03)
        assert (await world.describe(arn)).status == "RUNNING"

    assert json.loads(str((await world.ended(arn)).output)) == {"Activities": []}


async def test_a_state_machine_is_what_is_on_disk_while_a_change_is_being_committed(
    tmp_path: Path, clock: VirtualClock
) -> None:
    """On a slow disk COMMIT is made in a thread, and whoever asks meanwhile must not be told what may be undone."""
    arn, express = f"{ARN}:stateMachine:m", f"{ARN}:stateMachine:x"
    describe = t.DescribeStateMachineInput(state_machine_arn=arn)
    definition = json.dumps({"StartAt": "W", "States": WAIT})
    async with running(tmp_path / "e.db", clock, flush_delay_seconds=0.1) as world:

        async def committing(change: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
            task = asyncio.create_task(change)
            async with asyncio.timeout(5):
                while world.database._committing is None:  # noqa: ASYNC110 - what is waited for tells nobody
                    await asyncio.sleep(0)
            return task

        for made, kind, asked in (
            (arn, "STANDARD", world.api.describe_state_machine(describe)),
            (express, "EXPRESS", world.api.start_sync_execution(t.StartSyncExecutionInput(state_machine_arn=express))),
        ):
            change = await committing(world.machine(PASS, made.rpartition(":")[2], type=kind))
            with pytest.raises(errors.StateMachineDoesNotExist):
                await asked
            assert not change.done()
            await change

        before = await world.api.describe_state_machine(describe)
        for fields in ({"role_arn": f"{before.role_arn}2"}, {"definition": definition}):
            change = await committing(
                world.api.update_state_machine(t.UpdateStateMachineInput(state_machine_arn=arn, **fields))
            )
            now = await world.api.describe_state_machine(describe)
            assert not change.done()
            await change
            after = await world.api.describe_state_machine(describe)
            for name, value in fields.items():
                assert (getattr(now, name), getattr(after, name)) == (getattr(before, name), value)
    assert not world.engine._machines._changing
