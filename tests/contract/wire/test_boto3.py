"""boto3 needs nothing but the endpoint's URL."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from serving import served, session

from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.aws import AwsStepFunctions


async def test_times_are_datetimes(boto: Any) -> None:
    made = await asyncio.to_thread(boto.create_activity, name="echo")

    assert abs(datetime.now(UTC) - made["creationDate"]).total_seconds() < 60


async def test_errors_have_the_classes_of_the_client(boto: Any) -> None:
    with pytest.raises(boto.exceptions.InvalidArn) as raised:
        await asyncio.to_thread(boto.describe_activity, activityArn="foo")

    assert raised.value.response["Error"] == {
        "Code": "InvalidArn",
        "Message": "Invalid Arn: 'Invalid ARN prefix: foo'",
    }
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert raised.value.response["ResponseMetadata"]["RequestId"]


async def test_bounds_are_those_of_the_service_model(boto: Any) -> None:
    """boto3 checks least lengths itself, but leaves the greatest to the service."""
    with pytest.raises(boto.exceptions.ValidationException, match="less than or equal to 1000"):
        await asyncio.to_thread(boto.list_activities, maxResults=1001)


async def test_synchronous_operations_need_no_host_of_their_own(url: str) -> None:
    """They go to a host with the prefix ``sync-`` unless told not to (docs: inject_host_prefix)."""
    client = session().client("stepfunctions", endpoint_url=url, config=Config(inject_host_prefix=False))

    with pytest.raises(ClientError) as raised:
        await asyncio.to_thread(
            client.start_sync_execution,
            stateMachineArn="arn:aws:states:us-east-1:000000000000:stateMachine:nowhere",
        )

    client.close()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.fixture
async def aws(url: str) -> AsyncIterator[AwsStepFunctions]:
    async with AwsStepFunctions(session=session(), endpoint_url=url, threads=2, polls=2) as client:
        yield client


async def test_polls_do_not_keep_calls_waiting(aws: AwsStepFunctions) -> None:
    activity = (await aws.create_activity(t.CreateActivityInput(name="echo"))).activity_arn
    polls = [
        asyncio.ensure_future(aws.get_activity_task(t.GetActivityTaskInput(activity_arn=activity))) for _ in range(4)
    ]

    await aws.describe_activity(t.DescribeActivityInput(activity_arn=activity))

    assert not any(poll.done() for poll in polls)
    assert await asyncio.gather(*polls) == [t.GetActivityTaskOutput()] * 4


@pytest.mark.parametrize(("application", "asked"), [("workflow-manager", 1), ("another", 3)])
async def test_state_machines_of_ours_are_described_once(
    aws: AwsStepFunctions, monkeypatch: pytest.MonkeyPatch, application: str, asked: int
) -> None:
    """Those of others may be changed by anyone."""
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    made = await aws.create_state_machine(
        t.CreateStateMachineInput(
            name="m",
            definition=definition,
            role_arn="arn:aws:iam::000000000000:role/any",
            tags=[t.Tag(key="application", value=application)],
        )
    )
    calls = []
    inner = aws._call

    def call(name: str, *arguments: Any) -> Any:
        calls.append(name)
        return inner(name, *arguments)

    monkeypatch.setattr(aws, "_call", call)
    for _ in range(3):
        found = await aws.describe_state_machine(t.DescribeStateMachineInput(state_machine_arn=made.state_machine_arn))
        assert found.definition == definition

    assert calls == ["DescribeStateMachine"] * asked


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with AwsStepFunctions(session=session(), endpoint_url=url, threads=1, polls=1) as client:
        with pytest.raises(errors.ServiceUnavailable, match="could not be reached"):
            await client.list_activities(t.ListActivitiesInput())


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        pytest.param(errors.ServiceUnavailable("full"), errors.ServiceUnavailable, None, id="503"),
        pytest.param(
            errors.ResourceNotFound("no", resourceName="arn"), errors.ResourceNotFound, "ResourceNotFound", id="listed"
        ),
        pytest.param(
            type("ExpiredTokenException", (errors.StepFunctionsError,), {"code": "ExpiredTokenException"})("expired"),
            errors.StepFunctionsError,
            "ExpiredTokenException",
            id="unlisted",
        ),
    ],
)
async def test_errors_come_through(
    engine: EmbeddedStepFunctions,
    monkeypatch: pytest.MonkeyPatch,
    raised: errors.StepFunctionsError,
    kind: type[errors.StepFunctionsError],
    code: str | None,
) -> None:
    async def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(engine, "list_activities", fail)
    async with (
        served(engine) as url,
        AwsStepFunctions(session=session(), endpoint_url=url, threads=1, polls=1) as client,
    ):
        with pytest.raises(kind) as got:
            await client.list_activities(t.ListActivitiesInput())

    assert got.value.message == raised.message
    assert got.value.members == raised.members
    assert code in (None, got.value.code)


async def test_a_poller_that_leaves_does_not_take_a_task_with_it(engine: EmbeddedStepFunctions, url: str) -> None:
    """The connection is closed in the middle of a long poll; the task that comes next goes to who is still there."""
    activity = (await engine.create_activity(t.CreateActivityInput(name="echo"))).activity_arn
    body = json.dumps({"activityArn": activity}).encode()
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST / HTTP/1.1\r\nhost: any\r\nx-amz-target: AWSStepFunctions.GetActivityTask\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()
    await asyncio.sleep(0.05)  # the server has the poll
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)  # and knows that its client is gone

    states = {"a": {"Type": "Task", "Resource": activity, "End": True}}
    machine = await engine.create_state_machine(
        t.CreateStateMachineInput(
            name="m", definition=json.dumps({"StartAt": "a", "States": states}), role_arn="arn:aws:iam::0:role/any"
        )
    )
    await engine.start_execution(t.StartExecutionInput(state_machine_arn=machine.state_machine_arn, input="{}"))
    task = await engine.get_activity_task(t.GetActivityTaskInput(activity_arn=activity))

    assert task.task_token is not None
