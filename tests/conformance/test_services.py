"""Integrations that no recorded case has, against the emulator: jobs above all. What AWS answers is in its documentation."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from replay import REGION, ROLE_ARN, Endpoint

STATES = "arn:aws:states:::"


class Clients:
    """One boto3 client a service; the server hands on what is not for itself."""

    def __init__(self, url: str) -> None:
        self._endpoint = Endpoint(url)

    def __getattr__(self, service: str) -> Any:
        return self._endpoint.client(service)


@pytest.fixture(scope="session")
def clients(server: str) -> Clients:
    return Clients(server)


def run(clients: Clients, resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one Task: output, or error and cause."""
    state = {"Type": "Task", "Resource": STATES + resource, "Parameters": parameters, "End": True}
    machine = clients.stepfunctions.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "S", "States": {"S": state}}),
        roleArn=ROLE_ARN,
    )["stateMachineArn"]
    arn = clients.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]
    until = time.monotonic() + 30
    while time.monotonic() < until:
        described: dict[str, Any] = clients.stepfunctions.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            return described
        time.sleep(0.05)
    raise AssertionError(clients.stepfunctions.get_execution_history(executionArn=arn)["events"])


def output(described: dict[str, Any]) -> Any:
    assert described["status"] == "SUCCEEDED", described
    return json.loads(described["output"])


def test_a_glue_job(clients: Clients) -> None:
    clients.glue.create_job(Name="report", Role=ROLE_ARN, Command={"Name": "glueetl", "ScriptLocation": "s3://b/k"})

    ended = output(run(clients, "glue:startJobRun.sync", {"JobName": "report"}))

    assert (ended["JobName"], ended["JobRunState"]) == ("report", "SUCCEEDED")
    assert isinstance(ended["StartedOn"], int), "milliseconds since the epoch"
    assert "SdkHttpMetadata" not in ended


def test_a_glue_job_that_is_not_there(clients: Clients) -> None:
    ended = run(clients, "glue:startJobRun.sync", {"JobName": "nobody"})

    assert ended["error"] == "Glue.EntityNotFoundException"
    assert "(Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException; Request ID: " in ended["cause"]


def test_an_athena_query(clients: Clients) -> None:
    ended = output(
        run(
            clients,
            "athena:startQueryExecution.sync",
            {"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://b/k"}},
        )
    )

    assert ended["QueryExecution"]["Status"]["State"] == "SUCCEEDED"


def test_a_build(clients: Clients) -> None:
    clients.codebuild.create_project(
        name="project",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=ROLE_ARN,
    )

    assert output(run(clients, "codebuild:startBuild.sync", {"ProjectName": "project"}))["Build"]["BuildStatus"] == (
        "SUCCEEDED"
    )


def test_a_cluster_and_its_end(clients: Clients) -> None:
    instances = {"MasterInstanceType": "m5.large", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True}
    roles = {"ServiceRole": "r", "JobFlowRole": "r"}

    made = output(run(clients, "elasticmapreduce:createCluster.sync", {"Name": "c", "Instances": instances, **roles}))
    assert made["ClusterId"] == made["Cluster"]["Id"]

    assert output(run(clients, "elasticmapreduce:terminateCluster.sync", {"ClusterId": made["ClusterId"]}))


@pytest.mark.parametrize(
    ("resource", "parameters", "error"),
    [
        ("aws-sdk:s3:getObject", {"Bucket": "no-such-bucket-here", "Key": "k"}, "S3.NoSuchBucketException"),
        ("aws-sdk:sqs:getQueueUrl", {"QueueName": "nobody"}, "Sqs.QueueDoesNotExistException"),
        ("aws-sdk:secretsmanager:getSecretValue", {"SecretId": "x"}, "SecretsManager.ResourceNotFoundException"),
        ("aws-sdk:dynamodb:getItem", {"TableName": "t", "Key": 1}, "States.Runtime"),
        ("aws-sdk:ec2:describeInstances", {"InstanceIds": ["i-1"]}, "Ec2.Ec2Exception"),
    ],
)
def test_errors_of_sdk_integrations(clients: Clients, resource: str, parameters: dict[str, Any], error: str) -> None:
    assert run(clients, resource, parameters)["error"] == error


def test_sdk_integrations_speak_every_protocol(clients: Clients) -> None:
    clients.kms.create_key()

    assert output(run(clients, "aws-sdk:kms:listKeys", {}))["Keys"][0]["KeyId"]  # JSON
    assert output(run(clients, "aws-sdk:ec2:describeRegions", {"RegionNames": [REGION]})) == {  # ec2
        "Regions": [
            {
                "OptInStatus": "opt-in-not-required",
                "RegionName": REGION,
                "Endpoint": f"ec2.{REGION}.amazonaws.com",
            }
        ]
    }
    assert output(run(clients, "aws-sdk:iam:listRoles", {}))["Roles"] is not None  # query
