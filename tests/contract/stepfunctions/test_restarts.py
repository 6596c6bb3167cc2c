"""The embedded engine is closed and opened again, at any point of an execution's life, and goes on as if nothing was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, PASS, START, TRACKED, WAIT, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.engine import Limits, service
from workflow_manager.engine.shell import rows
from workflow_manager.engine.tasks.integrations import IntegrationCall
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.changes import StatusChange

EXECUTION = f"{ARN}:execution:m:e"
Move = Callable[[World, dict[str, Any]], Awaitable[None]]
"""Something that happens to an execution; the dict is what a client remembers, which survives the server."""


# ------------------------------------------------------------------------------------------- what happens


def passes(seconds: float) -> Move:
    async def move(world: World, _: dict[str, Any]) -> None:
        world.clock.advance(seconds)
        await world.settled()

    return move


def polls(name: str, activity: str = "a") -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        answer = await world.poll(f"{ARN}:activity:{activity}")
        assert answer.task_token is not None
        knows[name] = answer.task_token
        knows[f"{name}'s input"] = answer.input

    return move


def delivered(name: str) -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        world.engine.delivered(knows[name])
        await world.settled()

    return move


def takes(name: str) -> Move:
    """Poll, and say that the answer has arrived, so that no restart hands the task out again."""

    async def move(world: World, knows: dict[str, Any]) -> None:
        await polls(name)(world, knows)
        await delivered(name)(world, knows)

    return move


def succeeds(name: str, output: str = "{}") -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        await world.succeed(knows[name], output)

    return move


def fails(name: str, error: str) -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        await world.fail(knows[name], error)

    return move


def redrives() -> Move:
    async def move(world: World, _: dict[str, Any]) -> None:
        await world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=EXECUTION))

    return move


def beats(name: str) -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        await world.beat(knows[name])

    return move


def calls_back(name: str, output: str) -> Move:
    async def move(world: World, knows: dict[str, Any]) -> None:
        await world.succeed(json.loads(knows[f"{name}'s input"])["token"], output)

    return move


A = f"{ARN}:activity:a"
RETRY = [{"ErrorEquals": ["E"], "IntervalSeconds": 10, "MaxAttempts": 2}]
ASK = {"StateMachineArn": f"{ARN}:stateMachine:child", "Name": "c", "Input": {"token.$": "$$.Task.Token"}}
CHILD = {"C": {"Type": "Wait", "Seconds": 30, "Next": "T"}, "T": task(A)}

LIVES: dict[str, tuple[dict[str, Any], list[Move], Any]] = {
    "waits": (
        {"W": WAIT["W"] | {"End": False, "Next": "V"}, "V": {"Type": "Wait", "Seconds": 30, "End": True}},
        [passes(59), passes(1), passes(30)],
        {"in": 1},
    ),
    "retries": (
        {"T": task(A, Retry=RETRY, TimeoutSeconds=60, HeartbeatSeconds=40)},
        [
            *(polls("first"), fails("first", "E"), passes(9), passes(1)),
            *(polls("second"), delivered("second"), passes(30), beats("second"), passes(29), fails("second", "E")),
            *(passes(20), polls("third"), succeeds("third", '"third"')),
        ],
        "third",
    ),
    "a timeout that is caught": (
        {
            "T": task(A, TimeoutSeconds=60, Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "C"}]),
            "C": {"Type": "Pass", "Result": "caught", "End": True},
        },
        [polls("only"), passes(59), passes(1)],
        "caught",
    ),
    "a Map": (
        {
            "V": {"Type": "Pass", "Assign": {"v": [1]}, "Result": [1, 2, 3, 4], "Next": "M"},
            "M": {
                "Type": "Map",
                "MaxConcurrency": 2,
                "ToleratedFailureCount": 1,
                "ItemSelector": {"n.$": "$$.Map.Item.Value", "v.$": "$v"},
                "ItemProcessor": {"StartAt": "T", "States": {"T": task(A)}},
                "End": True,
            },
        },
        [
            *(takes("one"), takes("two"), succeeds("two", '"two"'), takes("three"), fails("one", "E")),
            *(takes("four"), succeeds("four", '"four"'), succeeds("three", '"three"')),
        ],
        ["two", "three", "four"],
    ),
    "a Parallel that is tried again": (
        {
            "P": {
                "Type": "Parallel",
                "Retry": RETRY,
                "Branches": [
                    {"StartAt": "T", "States": {"T": task(A)}},
                    {"StartAt": "U", "States": {"U": {"Type": "Wait", "Seconds": 5, "End": True}}},
                ],
                "End": True,
            }
        },
        [
            polls("first"),
            passes(5),
            fails("first", "E"),
            passes(10),
            polls("second"),
            succeeds("second", "2"),
            passes(5),
        ],
        [2, {"in": 1}],
    ),
    "a child": (
        {"S": task(f"{START}.sync:2", Parameters=ASK, OutputPath="$.Output")},
        [passes(29), passes(1), polls("child's"), succeeds("child's", '"made"')],
        "made",
    ),
    "a callback": (
        {"S": task(f"{START}.waitForTaskToken", Parameters=ASK)},
        [passes(30), polls("child's"), succeeds("child's"), calls_back("child's", '"called"')],
        "called",
    ),
    "a redrive": (
        {
            "V": {"Type": "Pass", "Assign": {"v": 7}, "Result": [1, 2, 3], "Next": "M"},
            "M": {
                "Type": "Map",
                "MaxConcurrency": 2,
                "ItemSelector": {"n.$": "$$.Map.Item.Value", "v.$": "$v"},
                "ItemProcessor": {"StartAt": "T", "States": {"T": task(A, TimeoutSeconds=60)}},
                "End": True,
            },
        },
        [
            *(takes("one"), succeeds("one", '"one"'), takes("two"), takes("three"), fails("three", "E")),
            *(passes(100), redrives(), takes("two"), fails("two", "E"), redrives()),
            *(takes("two"), takes("three"), succeeds("three", '"three"'), succeeds("two", '"two"')),
        ],
        ["one", "two", "three"],
    ),
    "a timeout of the whole": ({"T": task(A)}, [polls("only"), passes(599), passes(1)], None),
}


async def live(
    folder: Path, states: dict[str, Any], moves: Sequence[Move], restarts: Callable[[int], bool]
) -> tuple[list[Any], str | None]:
    """A life of an execution, with restarts before some of its moves; its history and output."""
    clock, knows = VirtualClock(), dict[str, Any]()
    at = 0
    while True:
        async with running(folder / "e.db", clock) as world:
            if at == 0:
                await world.activity()
                await world.machine(CHILD, "child")
                await world.start(await world.machine(states, top={"TimeoutSeconds": 600}), value='{"in":1}')
            while at < len(moves):
                await moves[at](world, knows)
                at += 1
                if restarts(at):
                    break
            else:
                ended = await world.ended(EXECUTION)
                assert [world.rows(table) for table in ("aside", "timer", "activity_task")] == [0, 0, 0]
                assert (world.rows("frame") > 0) == (ended.redrive_status == "REDRIVABLE")
                history = [(e.id, e.previous_event_id, e.timestamp, e.type) for e in await world.history(EXECUTION)]
                return history, ended.output


@pytest.mark.parametrize("life", LIVES)
async def test_a_restart_before_any_move_changes_nothing(tmp_path: Path, life: str) -> None:
    states, moves, expected = LIVES[life]
    history, output = await live(tmp_path / "through", states, moves, lambda _: False)
    assert output == (json.dumps(expected, separators=(",", ":")) if expected is not None else None)

    assert await live(tmp_path / "always", states, moves, lambda _: True) == (history, output)


# ------------------------------------------------------------------------------------------- what is cut off


async def test_time_that_passed_while_nothing_ran_has_passed(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        machine = await world.machine(WAIT)
        arns = [await world.start(machine, f"e{n}") for n in range(3)]
    clock.advance(3_600)

    async with running(tmp_path / "e.db", clock) as world:
        for arn in arns:
            assert (await world.ended(arn)).stop_date == pytest.approx(clock.now())


@pytest.mark.parametrize("bound", [5, 40, 333])
async def test_a_map_of_thousands_that_is_cut_off_between_two_pieces(tmp_path: Path, bound: int) -> None:
    """It takes more transitions than one step may make; its rows are all that is known after each restart."""
    limits = Limits(transitions_per_step=bound, history_events=1_000_000)
    count = {5: 50, 40: 400, 333: 2_500}[bound]
    each = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"n.$": "$"}, "End": True}}}
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock, limits=limits) as world:
        machine = await world.machine({"M": {"Type": "Map", "ItemProcessor": each, "End": True}})
        arn = await world.start(machine, value=json.dumps(list(range(count))))
        assert (await world.describe(arn)).status == "RUNNING"
    for _ in range(5):
        async with running(tmp_path / "e.db", clock, limits=limits) as world:
            await asyncio.sleep(0.001)  # for a piece or two

    async with running(tmp_path / "e.db", clock, limits=limits) as world:
        ended = await world.ended(arn)
        assert json.loads(str(ended.output)) == [{"n": n} for n in range(count)]
        assert [world.rows(table) for table in ("frame", "aside", "timer")] == [0, 0, 0]


async def test_a_loop_without_end_lets_others_have_their_turn(world: World) -> None:
    way_out = [{"Variable": "$.stop", "IsPresent": True, "Next": "P"}]
    loop = {"L": {"Type": "Choice", "Choices": way_out, "Default": "M"}, "M": {"Type": "Pass", "Next": "L"}, **PASS}
    endless = await world.start(await world.machine(loop, "endless"))
    other = await world.machine(PASS)

    assert (await world.describe(await world.start(other))).status == "SUCCEEDED"
    assert (await world.describe(endless)).status == "RUNNING"
    await world.stop(endless)
    assert (await world.describe(endless)).status == "ABORTED"


class Recorder:
    """An integration whose calls are answered when the test says so."""

    actions = ("ask",)

    def __init__(self) -> None:
        self.calls: list[tuple[IntegrationCall, asyncio.Future[str]]] = []

    async def invoke(self, call: IntegrationCall, /) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.calls.append((call, answer))
        return await answer


ASKING = "arn:aws:states:::dynamodb:getItem"


class Dynamo(Recorder):
    actions = ("getItem",)


class Stubborn(Dynamo):
    """Its first call goes on when it is cancelled, as a thread does that waits for an answer."""

    async def invoke(self, call: IntegrationCall, /) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.calls.append((call, answer))
        first = len(self.calls) == 1
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if not first:
                raise
            return await answer


async def asked(service: Recorder, count: int) -> None:
    for _ in range(200):
        if len(service.calls) >= count:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(service.calls)


async def test_a_call_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    clock, states = VirtualClock(), {"S": task(ASKING, Parameters={"TableName": "t", "Key": {}})}
    before, after = Dynamo(), Dynamo()
    async with running(tmp_path / "e.db", clock, integrations={"dynamodb": before}) as world:
        arn = await world.start(await world.machine(states))
        await asked(before, 1)

    async with running(tmp_path / "e.db", clock, integrations={"dynamodb": after}) as world:
        await asked(after, 1)
        assert after.calls[0][0] == before.calls[0][0]
        after.calls[0][1].set_result('{"found":1}')
        for _ in range(100):
            if (await world.describe(arn)).status != "RUNNING":
                break
            await asyncio.sleep(0.001)
        assert (await world.describe(arn)).output == '{"found":1}'
        assert world.rows("integration_call") == 0


async def test_the_late_answer_of_a_call_that_timed_out_takes_nothing_from_the_next(tmp_path: Path) -> None:
    """After it, the next call must still be known, so that it is made again after a restart."""
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1}]
    states = {"S": task(ASKING, Parameters={"TableName": "t", "Key": {}}, TimeoutSeconds=10, Retry=retry)}
    clock, before, after = VirtualClock(), Stubborn(), Dynamo()
    async with running(tmp_path / "e.db", clock, integrations={"dynamodb": before}) as world:
        arn = await world.start(await world.machine(states))
        await asked(before, 1)
        for seconds in (10, 1):
            clock.advance(seconds)
            await world.settled()
        await asked(before, 2)
        before.calls[0][1].set_result('"late"')
        await asyncio.sleep(0.01)
        assert (await world.describe(arn)).status == "RUNNING"

    async with running(tmp_path / "e.db", clock, integrations={"dynamodb": after}) as world:
        await asked(after, 1)
        assert after.calls[0][0] == before.calls[1][0]


# ------------------------------------------------------------------------------------------- memory


async def test_executions_that_wait_are_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CACHED", 10)
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        activity = await world.activity()
        machine = await world.machine({"W": {"Type": "Wait", "Seconds": 60, "Next": "T"}, "T": task(activity)})
        for n in range(50):
            await world.start(machine, f"e{n}", json.dumps(n))
        cache = world.engine._runner.live._cache
        assert len(cache) == 10

        clock.advance(60)
        await world.settled()
        for _ in range(50):
            answer = await world.poll(activity)
            await world.succeed(answer.task_token, str(answer.input))

        assert [(await world.describe(f"{ARN}:execution:m:e{n}")).output for n in range(50)] == [
            str(n) for n in range(50)
        ]
        assert len(cache) == 0, "what has ended is kept least of all"


async def test_a_start_loads_nothing_of_what_only_waits(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        machine = await world.machine(WAIT)
        for n in range(20):
            await world.start(machine, f"e{n}")

    async with running(tmp_path / "e.db", clock) as world:
        await world.settled()
        assert len(world.engine._runner.live._cache) == 0


# ------------------------------------------------------------------------------------------- status changes


class Ear:
    """A listener that raises as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.told: list[tuple[str, str]] = []
        self.heard = asyncio.Event()

    async def __call__(self, changes: Sequence[StatusChange]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        self.told += [(change.name, change.status) for change in changes]
        self.heard.set()

    async def hear(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                self.heard.clear()
                await self.heard.wait()
        return self.told


async def test_changes_are_told_in_order_from_start_to_end(world: World) -> None:
    ear = Ear()
    world.engine.subscribe(ear)
    machine = await world.machine(WAIT, tags=TRACKED)
    await world.machine(PASS, "untracked")
    one, _ = [await world.start(machine, name) for name in ("one", "two")]
    await world.start(f"{ARN}:stateMachine:untracked", "nobody")
    await world.stop(one)
    world.clock.advance(60)

    assert await ear.hear(4) == [("one", "RUNNING"), ("two", "RUNNING"), ("one", "ABORTED"), ("two", "SUCCEEDED")]
    await world.settled()
    assert world.rows("outbox") == 0


async def test_what_a_listener_failed_at_it_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_SECONDS", 0.01)
    ear, other = Ear(failures=2), Ear()
    world.engine.subscribe(other)
    world.engine.subscribe(ear)
    machine = await world.machine(PASS, tags=TRACKED)
    for n in range(3):
        await world.start(machine, f"e{n}")

    assert [name for name, _ in await ear.hear(3)] == ["e0", "e1", "e2"]
    assert set(other.told) == {("e0", "SUCCEEDED"), ("e1", "SUCCEEDED"), ("e2", "SUCCEEDED")}


async def test_changes_wait_for_who_subscribes_after_a_restart(tmp_path: Path) -> None:
    """Also when the engine has been running for a while before somebody does."""
    clock = VirtualClock()
    async with running(tmp_path / "e.db", clock) as world:
        world.engine.subscribe(Ear(failures=1_000))
        await world.start(await world.machine(PASS, tags=TRACKED))
        await asyncio.sleep(0.01)

    async with running(tmp_path / "e.db", clock) as world:
        await asyncio.sleep(0.01)
        ear = Ear()
        world.engine.subscribe(ear)

        assert await ear.hear(1) == [("e", "SUCCEEDED")]


@pytest.mark.parametrize("delay", [0.0, 0.02], ids=["a fast disk", "a slow disk"])
@pytest.mark.parametrize("ticks", [0, 1, 2, 5, 20])
async def test_whoever_waits_for_a_change_is_woken_whenever_it_began_to(
    tmp_path: Path, delay: float, ticks: int
) -> None:
    """Before, while and after the change is being written."""
    async with running(tmp_path / "e.db", VirtualClock(), flush_delay_seconds=delay) as world:
        arn = await world.start(await world.machine(WAIT))
        stopping = asyncio.create_task(world.stop(arn))
        for _ in range(ticks):
            await asyncio.sleep(0.0005)

        await asyncio.wait_for(world.engine.changed(arn, 2, 30), 5)

        assert (await world.describe(arn)).status == "ABORTED"
        await stopping


async def test_waiting_for_a_change_that_does_not_come_ends(world: World) -> None:
    arn = await world.start(await world.machine(WAIT))

    await asyncio.wait_for(world.engine.changed(arn, 2, 0.01), 5)

    assert world.engine._runner._changed == {}
