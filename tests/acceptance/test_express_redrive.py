"""Redrive, Express workflows, execution logs and lifted limits in a real server: what survives ``kill -9``, and what does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from server_process import ServerProcess
from sfn_http import Refused, StepFunctionsHttp

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

ROLE = "arn:aws:iam::000000000000:role/test"


def machine(client: StepFunctionsHttp, name: str, states: dict[str, Any], **fields: Any) -> str:
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    made = client.call("CreateStateMachine", name=name, definition=definition, roleArn=ROLE, **fields)
    return str(made["stateMachineArn"])


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something is the case; what it is."""
    deadline = time.monotonic() + 20
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_redrive_survives_kills_and_an_express_execution_does_not(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = StepFunctionsHttp(server.port)
        activity = client.call("CreateActivity", name="a")["activityArn"]
        branches = [
            {"StartAt": "K", "States": {"K": {"Type": "Pass", "Result": "kept", "End": True}}},
            {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": activity, "End": True}}},
        ]
        standard = machine(client, "standard", {"P": {"Type": "Parallel", "Branches": branches, "End": True}})
        express = machine(client, "express", {"W": {"Type": "Wait", "Seconds": 200, "End": True}}, type="EXPRESS")
        arn = client.call("StartExecution", stateMachineArn=standard, name="e")["executionArn"]
        gone = client.call("StartExecution", stateMachineArn=express)["executionArn"]
        token = client.call("GetActivityTask", activityArn=activity)["taskToken"]
        client.call("SendTaskFailure", taskToken=token, error="E")

        def restart() -> None:
            client.close()
            server.kill()
            server.start()

        restart()
        assert client.call("DescribeExecution", executionArn=arn)["redriveStatus"] == "REDRIVABLE"
        date = client.call("RedriveExecution", executionArn=arn, clientToken="once")["redriveDate"]
        restart()
        assert client.call("RedriveExecution", executionArn=arn, clientToken="once")["redriveDate"] == date
        token = client.call("GetActivityTask", activityArn=activity)["taskToken"]
        restart()
        client.call("SendTaskSuccess", taskToken=token, output="1")

        ended = client.call("DescribeExecution", executionArn=arn)
        assert (ended["status"], json.loads(ended["output"]), ended["redriveCount"]) == ("SUCCEEDED", ["kept", 1], 1)
        events = client.call("GetExecutionHistory", executionArn=arn)["events"]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert sum(event["type"] == "PassStateEntered" for event in events) == 1
        with pytest.raises(Refused, match="Resource type not valid in this context: express"):
            client.call("DescribeExecution", executionArn=gone)
        client.close()


def test_execution_logs_reach_their_group_and_limits_are_lifted(tmp_path: Path) -> None:
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    logs = boto3.client(
        "logs",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    try:
        logs.create_log_group(logGroupName="group")
        group = logs.describe_log_groups(logGroupNamePrefix="group")["logGroups"][0]["arn"]
        environment = keys | {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": f"http://{host}:{port}"}
        arguments = ("--max-payload-bytes", "6000000", "--log-format", "json")
        with ServerProcess(tmp_path / "data", *arguments, environment=environment) as server:
            client = StepFunctionsHttp(server.port)
            logging = {
                "level": "ALL",
                "includeExecutionData": False,
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
            }
            arn = machine(
                client,
                "express",
                {"P": {"Type": "Pass", "End": True}},
                type="EXPRESS",
                loggingConfiguration=logging,
            )
            payload = json.dumps("x" * 5_000_000)

            answer = client.call("StartSyncExecution", stateMachineArn=arn, input=payload)

            assert (answer["status"], answer["output"]) == ("SUCCEEDED", payload)

            def delivered() -> list[Any]:
                names = [
                    each["logStreamName"] for each in logs.describe_log_streams(logGroupName="group")["logStreams"]
                ]
                if f"states/{arn}" not in names:
                    return []
                found = logs.get_log_events(logGroupName="group", logStreamName=f"states/{arn}", startFromHead=True)
                return [json.loads(event["message"]) for event in found["events"]]

            records = until(lambda: len(delivered()) == 4 and delivered())
            client.close()
    finally:
        moto.stop()

    assert [record["type"] for record in records] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert {record["execution_arn"] for record in records} == {answer["executionArn"]}
    assert records[1]["details"] == {"name": "P"}
    assert server.log.read_text().count("execution event") == 4
