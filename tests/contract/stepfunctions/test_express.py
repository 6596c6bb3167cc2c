"""Express workflows: run in memory, answered with their end or not waited for; what the API refuses of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, PASS, START, WAIT, World, running, task
from structlog.testing import capture_logs

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.shell import express
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    ExecutionLimitExceeded,
    InvalidArn,
    InvalidDefinition,
    InvalidExecutionInput,
    InvalidName,
    ServiceUnavailable,
    StateMachineDoesNotExist,
    StateMachineTypeNotSupported,
)

GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:g:*"
ALL = t.LoggingConfiguration(
    level="ALL",
    include_execution_data=True,
    destinations=[t.LogDestination(cloud_watch_logs_log_group=t.CloudWatchLogsLogGroup(log_group_arn=GROUP))],
)


async def machine(world: World, states: dict[str, Any], name: str = "x", **fields: Any) -> str:
    return await world.machine(states, name, type="EXPRESS", **fields)


async def sync(world: World, arn: str, **fields: Any) -> t.StartSyncExecutionOutput:
    return await world.api.start_sync_execution(t.StartSyncExecutionInput(state_machine_arn=arn, **fields))


class Service:
    """An integration that answers what it is asked, fails with ``fail`` of its arguments, or never answers."""

    actions: Collection[str] = ("sendMessage", "publish")

    def __init__(self) -> None:
        self.calls = 0
        self.given_up = asyncio.Event()

    async def invoke(self, call: IntegrationCall, /) -> str:
        self.calls += 1
        if call.action == "publish":
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up.set()
        asked = json.loads(call.arguments)
        if "fail" in asked:
            raise IntegrationFailed(asked["fail"], "why")
        return call.arguments


DO, NEVER = "arn:aws:states:::sqs:sendMessage", "arn:aws:states:::sns:publish"


# ------------------------------------------------------------------------------------------- synchronous


async def test_an_answer(any_world: World) -> None:
    arn = await machine(any_world, {"A": {"Type": "Pass", "Result": {"a": 1}, "End": True}})

    answer = await sync(any_world, arn, name="e", input='{"in": 1}', trace_header="Root=1")

    prefix, _, run = answer.execution_arn.rpartition(":")
    assert prefix == f"{ARN}:express:x:e"
    assert run
    assert (answer.status, answer.output, answer.name) == ("SUCCEEDED", '{"a":1}', "e")
    assert (answer.state_machine_arn, answer.input, answer.trace_header) == (arn, '{"in": 1}', "Root=1")
    assert answer.input_details == answer.output_details == t.CloudWatchEventsExecutionDataDetails(included=True)
    assert answer.start_date == answer.stop_date == any_world.clock.now()
    assert answer.billing_details == t.BillingDetails(billed_memory_used_in_mb=64, billed_duration_in_milliseconds=100)
    assert (answer.error, answer.cause) == (None, None)


async def test_an_answer_without_data(any_world: World) -> None:
    answer = await sync(any_world, await machine(any_world, PASS), included_data="METADATA_ONLY")

    assert (answer.input, answer.output, answer.input_details, answer.output_details) == (None, None, None, None)
    assert answer.status == "SUCCEEDED"


async def test_a_failure_is_an_answer(any_world: World) -> None:
    arn = await machine(any_world, {"F": {"Type": "Fail", "Error": "E", "Cause": "why"}})

    answer = await sync(any_world, arn)

    assert (answer.status, answer.error, answer.cause, answer.output) == ("FAILED", "E", "why", None)
    assert answer.output_details == t.CloudWatchEventsExecutionDataDetails(included=True)


async def test_nothing_of_it_is_written(world: World) -> None:
    arn = await machine(world, PASS)
    await sync(world, arn)
    await world.start(arn)
    await asyncio.sleep(0.01)

    assert [world.rows(table) for table in ("execution", "history", "frame", "timer", "outbox")] == [0] * 5


async def test_the_context_object_knows_no_redrives(world: World) -> None:
    arn = await machine(world, {"A": {"Type": "Pass", "Parameters": {"e.$": "$$.Execution"}, "End": True}})

    answer = await sync(world, arn, name="e", input="{}")

    assert json.loads(str(answer.output))["e"] == {
        "Id": answer.execution_arn,
        "Input": {},
        "StartTime": "2023-11-14T22:13:20.000Z",
        "Name": "e",
        "RoleArn": "arn:aws:iam::000000000000:role/r",
    }


@pytest.mark.parametrize(
    ("seconds", "billed"), [(0, 100), (0.001, 100), (0.1, 100), (0.1001, 200), (1.25, 1300), (299.9999, 300_000)]
)
def test_billed_durations_are_rounded_up(seconds: float, billed: int) -> None:
    assert express.billed(seconds) == billed


async def test_time_passes_for_waits_and_timeouts(world: World) -> None:
    arn = await machine(world, WAIT)
    waiting = asyncio.create_task(sync(world, arn))
    await asyncio.sleep(0.01)
    world.clock.advance(59)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    world.clock.advance(1)

    answer = await waiting

    assert answer.status == "SUCCEEDED"
    assert answer.billing_details is not None
    assert answer.billing_details.billed_duration_in_milliseconds == 60_000


@pytest.mark.parametrize(("top", "seconds"), [({}, 300), ({"TimeoutSeconds": 1_000}, 300), ({"TimeoutSeconds": 7}, 7)])
async def test_five_minutes_at_most(world: World, top: dict[str, Any], seconds: float) -> None:
    arn = await machine(world, {"W": {"Type": "Wait", "Seconds": 5_000, "End": True}}, top=top)
    waiting = asyncio.create_task(sync(world, arn))
    await asyncio.sleep(0.01)
    world.clock.advance(seconds - 1)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    world.clock.advance(1)

    answer = await waiting

    assert (answer.status, answer.error) == ("TIMED_OUT", "States.Timeout")
    assert answer.stop_date - answer.start_date == seconds


async def test_a_loop_without_end_lets_others_go_on_and_ends_by_time(world: World) -> None:
    loop = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "S"}], "Default": "L"}
    arn = await machine(world, {"L": loop, "S": {"Type": "Succeed"}})
    looping = asyncio.create_task(sync(world, arn))
    other = await machine(world, PASS, "other")

    assert (await sync(world, other)).status == "SUCCEEDED"
    world.clock.advance(300)
    assert (await looping).status == "TIMED_OUT"


# ------------------------------------------------------------------------------------------- tasks


async def test_integrations_are_called_retried_and_caught(tmp_path: Path, clock: VirtualClock) -> None:
    service = Service()
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
    states = {
        "A": task(DO, Parameters={"a": 1}, Next="B"),
        "B": task(
            DO,
            Parameters={"fail": "E"},
            Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 2, "IntervalSeconds": 1, "BackoffRate": 1}],
            Catch=catch,
        ),
        "C": {"Type": "Pass", "End": True},
    }
    async with running(tmp_path / "e.db", clock, integrations={"sqs": service, "sns": service}) as world:
        waiting = asyncio.create_task(sync(world, await machine(world, states)))
        for _ in range(2):
            await asyncio.sleep(0.02)
            clock.advance(1)

        answer = await waiting

    assert json.loads(str(answer.output)) == {"Error": "E", "Cause": "why"}
    assert service.calls == 4


async def test_a_task_that_ran_out_of_time_is_given_up(tmp_path: Path, clock: VirtualClock) -> None:
    service = Service()
    async with running(tmp_path / "e.db", clock, integrations={"sqs": service, "sns": service}) as world:
        arn = await machine(world, {"T": task(NEVER, TimeoutSeconds=3)})
        waiting = asyncio.create_task(sync(world, arn))
        await asyncio.sleep(0.01)
        clock.advance(3)

        answer = await waiting
        await asyncio.wait_for(service.given_up.wait(), 1)

    assert (answer.status, answer.error) == ("FAILED", "States.Timeout")


async def test_children_run_in_memory_too(world: World) -> None:
    each = {"StartAt": "P", "States": {"P": {"Type": "Wait", "Seconds": 1, "End": True}}}
    arn = await machine(world, {"M": {"Type": "Map", "ItemProcessor": each, "MaxConcurrency": 2, "End": True}})
    waiting = asyncio.create_task(sync(world, arn, input="[1,2,3]"))
    for _ in range(2):
        await asyncio.sleep(0.01)
        world.clock.advance(1)

    assert (await waiting).output == "[1,2,3]"


# ------------------------------------------------------------------------------------------- asynchronous, nested


async def test_starting_without_waiting_is_logged(any_world: World) -> None:
    arn = await machine(any_world, PASS, logging_configuration=ALL)

    with capture_logs() as logs:
        first = await any_world.start(arn, "same")
        second = await any_world.start(arn, "same")  # names need not be unique
        await asyncio.sleep(0.02)

    assert first != second
    assert first.startswith(f"{ARN}:express:x:same:")
    told = [line for line in logs if line.get("execution_arn") == first]
    assert [line["type"] for line in told] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert told[-1]["details"] == {"output": "{}", "outputDetails": {"truncated": False}}


async def test_a_standard_execution_starts_an_express_one(world: World) -> None:
    child = await machine(world, PASS, "child", logging_configuration=ALL)
    parent = await world.machine({"N": task(START, Parameters={"StateMachineArn": child, "Name": "c"})})

    with capture_logs() as logs:
        ended = await world.ended(await world.start(parent))
        await asyncio.sleep(0.02)

    started = json.loads(str(ended.output))["ExecutionArn"]
    assert started.startswith(f"{ARN}:express:child:c:")
    assert [line["type"] for line in logs if line.get("execution_arn") == started][-1] == "ExecutionSucceeded"


async def test_a_standard_execution_cannot_wait_for_an_express_one(world: World) -> None:
    child = await machine(world, PASS, "child")
    parent = await world.machine({"N": task(f"{START}.sync:2", Parameters={"StateMachineArn": child})})

    ended = await world.ended(await world.start(parent))

    assert ended.error == "StepFunctions.StateMachineTypeNotSupportedException"


async def test_a_standard_execution_asks_for_an_express_one_s_answer(world: World) -> None:
    child = await machine(world, {"A": {"Type": "Pass", "Result": 7, "End": True}}, "child")
    resource = "arn:aws:states:::aws-sdk:sfn:startSyncExecution"
    parent = await world.machine(
        {"N": task(resource, Parameters={"StateMachineArn": child}, ResultSelector={"out.$": "$.Output"})}
    )

    assert (await world.ended(await world.start(parent))).output == '{"out":"7"}'


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
async def test_an_express_execution_starts_others(world: World, kind: str) -> None:
    child = await world.machine(PASS, "child", type=kind)
    parent = await machine(world, {"N": task(START, Parameters={"StateMachineArn": child, "Name": "c"})})

    answer = await sync(world, parent)

    started = json.loads(str(answer.output))["ExecutionArn"]
    assert started.startswith(f"{ARN}:{'execution' if kind == 'STANDARD' else 'express'}:child:c")
    if kind == "STANDARD":
        assert (await world.ended(started)).status == "SUCCEEDED"


async def test_an_express_execution_that_cannot_start_another(world: World) -> None:
    parent = await machine(world, {"N": task(START, Parameters={"StateMachineArn": f"{ARN}:stateMachine:absent"})})

    answer = await sync(world, parent)

    assert (answer.status, answer.error) == ("FAILED", "StepFunctions.StateMachineDoesNotExistException")


async def test_versions_and_aliases_are_started(world: World) -> None:
    arn = await machine(world, PASS, publish=True)

    answer = await sync(world, f"{arn}:1")

    assert (answer.status, answer.state_machine_arn) == ("SUCCEEDED", arn)


# ------------------------------------------------------------------------------------------- what is refused


async def test_operations_that_are_for_standard_executions(any_world: World) -> None:
    arn = await machine(any_world, PASS)
    execution = await any_world.start(arn)
    api = any_world.api

    with pytest.raises(StateMachineTypeNotSupported, match="This operation is not supported by this type"):
        await api.list_executions(t.ListExecutionsInput(state_machine_arn=arn))
    for call in (
        api.describe_execution(t.DescribeExecutionInput(execution_arn=execution)),
        api.get_execution_history(t.GetExecutionHistoryInput(execution_arn=execution)),
        api.stop_execution(t.StopExecutionInput(execution_arn=execution)),
        api.redrive_execution(t.RedriveExecutionInput(execution_arn=execution)),
        api.describe_state_machine_for_execution(t.DescribeStateMachineForExecutionInput(execution_arn=execution)),
    ):
        with pytest.raises(InvalidArn, match="Resource type not valid in this context: express"):
            await call


async def test_synchronous_starts_are_for_express(any_world: World) -> None:
    with pytest.raises(StateMachineTypeNotSupported):
        await sync(any_world, await any_world.machine(PASS))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"input": "nonsense"}, InvalidExecutionInput),
        ({"name": "a b"}, InvalidName),
        ({"state_machine_arn": f"{ARN}:stateMachine:absent"}, StateMachineDoesNotExist),
        ({"state_machine_arn": "foo"}, InvalidArn),
    ],
)
async def test_faulty_requests(any_world: World, fields: dict[str, Any], error: type[Exception]) -> None:
    arn = await machine(any_world, PASS)

    with pytest.raises(error):
        await any_world.api.start_sync_execution(t.StartSyncExecutionInput(**({"state_machine_arn": arn} | fields)))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (task(f"{ARN}:activity:a"), "Express state machine does not support Activity ARN at /States/S/Resource"),
        (
            task(f"{START}.sync", Parameters={"StateMachineArn": "a"}),
            "Express state machine does not support '.sync' service integration  at /States/S/Resource",
        ),
        (
            task(f"{START}.waitForTaskToken", Parameters={"StateMachineArn": "a", "Input": {"t.$": "$$.Task.Token"}}),
            "Express state machine does not support '.waitForTaskToken' service integration  at /States/S/Resource",
        ),
    ],
)
async def test_definitions_that_express_cannot_run(world: World, state: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        await machine(world, {"S": state})

    assert why in str(refused.value)


async def test_no_more_than_memory_allows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(express, "MAX_LIVE", 2)
    arn = await machine(world, WAIT)
    for _ in range(2):
        await world.start(arn)

    with pytest.raises(ExecutionLimitExceeded):
        await world.start(arn)


async def test_they_end_with_the_process(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock) as world:
        arn = await machine(world, WAIT)
        await world.start(arn)
        waiting = asyncio.create_task(sync(world, arn))
        await asyncio.sleep(0.01)
    with pytest.raises(ServiceUnavailable):
        await waiting

    async with running(tmp_path / "e.db", clock) as world:
        assert (
            await world.api.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=arn))
        ).type == "EXPRESS"
        assert world.rows("execution") == 0
