"""Limits: AWS's by default, and what lifting them changes; configurations that are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import boto3
import pytest
from embedded_world import ROLE, START, World, running, task
from serving import served

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.tasks.integrations import IntegrationCall
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    ActivityWorkerLimitExceeded,
    InvalidEncryptionConfiguration,
    InvalidExecutionInput,
    InvalidLoggingConfiguration,
    InvalidName,
    InvalidTracingConfiguration,
)

LIFTED = Limits(payload_bytes=4 << 20)
GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:g:*"


def logging(level: Any, *groups: str | None) -> t.LoggingConfiguration:
    made = [t.LogDestination(cloud_watch_logs_log_group=t.CloudWatchLogsLogGroup(log_group_arn=g)) for g in groups]
    return t.LoggingConfiguration(level=level, destinations=made)


# ------------------------------------------------------------------------------------------- payloads


async def test_an_output_beyond_the_limit_fails_the_state(world: World) -> None:
    states = {"A": {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": True}}

    ended = await world.ended(await world.start(await world.machine(states), value=json.dumps("x" * 200_000)))

    assert (ended.status, ended.error) == ("FAILED", "States.DataLimitExceeded")
    assert ended.cause == (
        "The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."
    )


async def test_an_input_beyond_the_limit_is_refused(world: World) -> None:
    machine = await world.machine({"A": {"Type": "Pass", "End": True}})

    with pytest.raises(InvalidExecutionInput, match="larger than 262144 bytes"):
        await world.start(machine, value=json.dumps("é" * 140_000))


async def large(world: World) -> tuple[str, str, str]:
    """(activity, execution, payload): an execution whose large input waits at an activity."""
    payload = json.dumps("é" * 500_000, ensure_ascii=False)
    activity = await world.activity()
    states = {"P": {"Type": "Pass", "Next": "T"}, "T": task(activity)}
    return activity, await world.start(await world.machine(states), value=payload), payload


async def test_a_large_payload_is_stored_once(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, limits=LIFTED) as world:
        activity, arn, payload = await large(world)
        taken = await world.poll(activity)
        await world.succeed(taken.task_token, payload)
        ended, history = await world.ended(arn), await world.history(arn)
        spelled = json.loads(await world.api.encoded_history(t.GetExecutionHistoryInput(execution_arn=arn)))

        assert world.rows("payload") == 1
        sizes = world.database.read("SELECT max(length(events)) FROM history")[0]
        assert max(sizes) < 10_000
    assert spelled["events"] == [event.wire() for event in history]
    assert taken.input == payload
    assert (ended.input, ended.output) == (payload, payload)
    texts = [e.details[k] for e in history if e.details for k in ("input", "output") if k in e.details]
    assert len(texts) == 8
    assert set(texts) == {payload}


async def test_large_payloads_survive_restarts(tmp_path: Path, clock: VirtualClock) -> None:
    file = tmp_path / "e.db"
    async with running(file, clock, limits=LIFTED) as world:
        activity, arn, payload = await large(world)
    async with running(file, clock, limits=LIFTED) as world:
        taken = await world.poll(activity)
        await world.fail(taken.task_token)
        assert (await world.ended(arn)).redrive_status == "REDRIVABLE"
    async with running(file, clock) as world:  # the limit stands again; what is there is read
        assert (await world.describe(arn)).input == payload
    async with running(file, clock, limits=LIFTED) as world:
        await world.api.redrive_execution(t.RedriveExecutionInput(execution_arn=arn))
        again = await world.poll(activity)
        await world.succeed(again.task_token, "1")
        assert (await world.ended(arn)).output == "1"

    assert taken.input == again.input == payload


class Silent:
    """An integration that notes what it is asked, and answers when it is told to."""

    actions: Collection[str] = ("sendMessage",)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def invoke(self, call: IntegrationCall, /) -> str:
        self.asked.append(call.arguments)
        await self.answers.wait()
        return "{}"


async def test_a_call_with_a_large_payload_is_made_again_after_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    payload = json.dumps({"QueueUrl": "q", "MessageBody": "é" * 400_000}, ensure_ascii=False, separators=(",", ":"))
    service = Silent()
    options: dict[str, Any] = {"limits": LIFTED, "integrations": {"sqs": service}}
    states = {"T": task("arn:aws:states:::sqs:sendMessage", InputPath="$")}
    async with running(tmp_path / "e.db", clock, **options) as world:
        arn = await world.start(await world.machine(states), value=payload)
        await asyncio.sleep(0.01)
    async with running(tmp_path / "e.db", clock, **options) as world:
        service.answers.set()
        assert (await world.ended(arn)).output == "{}"
        assert world.rows("payload") == 1

    assert service.asked == [payload, payload]


async def test_the_same_start_is_known_by_its_large_input(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, limits=LIFTED) as world:
        _, arn, payload = await large(world)

        machine = (await world.describe(arn)).state_machine_arn
        assert await world.start(str(machine), value=payload) == arn


async def test_small_payloads_are_stored_where_they_are(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, limits=LIFTED) as world:
        await world.ended(await world.start(await world.machine({"A": {"Type": "Pass", "End": True}}), value='{"a":1}'))

        assert world.rows("payload") == 0


@pytest.mark.parametrize(("max_payload", "refused"), [(262_144, True), (4 << 20, False)])
async def test_the_wire_takes_what_the_engine_takes(
    tmp_path: Path, clock: VirtualClock, boto: boto3.Session, max_payload: int, refused: bool
) -> None:
    limits = Limits(payload_bytes=max_payload)
    async with (
        running(tmp_path / "e.db", clock, limits=limits) as world,
        served(world.engine, max_payload=max_payload) as url,
    ):
        machine = await world.machine({"A": {"Type": "Pass", "End": True}})
        client = boto.client("stepfunctions", endpoint_url=url)
        text = json.dumps("x" * 300_000)

        def start() -> str:
            arn: str = client.start_execution(stateMachineArn=machine, input=text, name="e")["executionArn"]
            return str(client.describe_execution(executionArn=arn)["output"])

        if refused:
            with pytest.raises(
                client.exceptions.ClientError, match="Member must have length less than or equal to 262144"
            ):
                await asyncio.to_thread(start)
        else:
            assert await asyncio.to_thread(start) == text


async def test_synchronous_express_is_hosted_under_its_prefix_too(world: World, boto: boto3.Session) -> None:
    """Clients put ``sync-`` before the host for StartSyncExecution; the server answers whatever the host is called."""
    machine = await world.machine({"A": {"Type": "Pass", "End": True}}, type="EXPRESS")
    async with served(world.engine) as url:
        client = boto.client("stepfunctions", endpoint_url=url)

        def to_loopback(request: Any, **_: Any) -> None:
            assert request.url.startswith("http://sync-127.0.0.1:")
            request.headers["Host"] = request.url.split("/")[2]
            request.url = request.url.replace("sync-", "")

        client.meta.events.register("before-send.sfn.StartSyncExecution", to_loopback)
        answer = await asyncio.to_thread(client.start_sync_execution, stateMachineArn=machine)

    assert answer["status"] == "SUCCEEDED"


# ------------------------------------------------------------------------------------------- history


@pytest.mark.parametrize("most", [100, 25_000])
async def test_a_full_history_ends_the_execution(tmp_path: Path, clock: VirtualClock, most: int) -> None:
    loop = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": True, "Next": "S"}], "Default": "L"}
    async with running(tmp_path / "e.db", clock, limits=Limits(history_events=most)) as world:
        arn = await world.start(await world.machine({"L": loop, "S": {"Type": "Succeed"}}))

        ended = await world.ended(arn)
        request = t.GetExecutionHistoryInput(execution_arn=arn, reverse_order=True, max_results=1)
        (last,) = (await world.api.get_execution_history(request)).events

    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
    assert (last.id, last.type) == (most, "ExecutionFailed")
    assert (ended.redrive_status, ended.redrive_status_reason) == (
        "NOT_REDRIVABLE",
        "Execution history event limit exceeded.",
    )


# ------------------------------------------------------------------------------------------- pollers


async def test_an_activity_has_a_thousand_pollers(patient: World) -> None:
    activity = await patient.activity()
    pollers = [patient.polling(activity) for _ in range(1_000)]
    await asyncio.sleep(0)

    with pytest.raises(ActivityWorkerLimitExceeded):
        await patient.poll(activity)

    machine = await patient.machine({"T": task(activity)})
    for number in range(3):
        await patient.start(machine, f"e{number}", json.dumps(number))
    first = await asyncio.wait_for(asyncio.gather(*pollers[:3]), 5)
    assert [answer.input for answer in first] == ["0", "1", "2"]  # first come, first served
    for poller in pollers[3:]:
        poller.cancel()
    await asyncio.gather(*pollers[3:], return_exceptions=True)


# ------------------------------------------------------------------------------------------- names, configurations


@pytest.mark.parametrize("name", ["a b", "a<b", "a*b", 'a"b', "a#b", "a/b", "a\x7fb"])
async def test_names_that_are_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidName):
        await world.machine({"A": {"Type": "Pass", "End": True}}, name)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(logging("ALL"), id="a level without a destination"),
        pytest.param(logging("FATAL", None), id="a destination without a group"),
        pytest.param(logging("ERROR", GROUP, GROUP), id="two destinations"),
        pytest.param(logging("OFF", GROUP, GROUP), id="two destinations, though off"),
        pytest.param(logging("ALL", "arn:aws:s3:::bucket"), id="no log group"),
    ],
)
async def test_logging_configurations_that_are_refused(world: World, config: t.LoggingConfiguration) -> None:
    states = {"A": {"Type": "Pass", "End": True}}

    with pytest.raises(InvalidLoggingConfiguration, match="Invalid Logging Configuration"):
        await world.machine(states, logging_configuration=config)
    arn = await world.machine(states)
    with pytest.raises(InvalidLoggingConfiguration, match="Invalid Logging Configuration"):
        await world.api.update_state_machine(
            t.UpdateStateMachineInput(state_machine_arn=arn, logging_configuration=config)
        )


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(t.EncryptionConfiguration(type="CUSTOMER_MANAGED_KMS_KEY"), id="a key of one's own without a key"),
        pytest.param(t.EncryptionConfiguration(type="AWS_OWNED_KEY", kms_key_id="k"), id="AWS's key, with another"),
        pytest.param(
            t.EncryptionConfiguration(type="AWS_OWNED_KEY", kms_data_key_reuse_period_seconds=60),
            id="AWS's key, with a period",
        ),
    ],
)
async def test_encryption_configurations_that_are_refused(world: World, config: t.EncryptionConfiguration) -> None:
    states = {"A": {"Type": "Pass", "End": True}}

    with pytest.raises(InvalidEncryptionConfiguration):
        await world.machine(states, encryption_configuration=config)
    with pytest.raises(InvalidEncryptionConfiguration):
        await world.api.create_activity(t.CreateActivityInput(name="a", encryption_configuration=config))
    arn = await world.machine(states)
    with pytest.raises(InvalidEncryptionConfiguration):
        await world.api.update_state_machine(
            t.UpdateStateMachineInput(state_machine_arn=arn, encryption_configuration=config)
        )


async def test_a_tracing_configuration_that_says_nothing_is_refused(world: World) -> None:
    states = {"A": {"Type": "Pass", "End": True}}

    with pytest.raises(InvalidTracingConfiguration):
        await world.machine(states, tracing_configuration=t.TracingConfiguration())
    arn = await world.machine(states, tracing_configuration=t.TracingConfiguration(enabled=True))
    with pytest.raises(InvalidTracingConfiguration):
        await world.api.update_state_machine(
            t.UpdateStateMachineInput(state_machine_arn=arn, tracing_configuration=t.TracingConfiguration())
        )


async def test_a_nested_execution_of_a_redriven_one_says_so(world: World) -> None:
    """Where the Task has Credentials, AWS asks the other account's DescribeExecution, which speaks of redrives."""
    child = await world.machine({"A": {"Type": "Pass", "End": True}}, "child")
    parent = await world.machine(
        {"N": task(f"{START}.sync:2", Parameters={"StateMachineArn": child}, Credentials={"RoleArn": ROLE})}
    )

    output = json.loads(str((await world.ended(await world.start(parent))).output))

    assert (output["RedriveCount"], output["RedriveStatus"]) == (0, "NOT_REDRIVABLE")
    assert output["RedriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
