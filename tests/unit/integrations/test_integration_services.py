"""Optimised and SDK integrations: what is sent, what is answered, what errors are called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stand_ins import StandIn, called

from workflow_manager.engine.tasks.integrations import IntegrationFailed
from workflow_manager.integrations.optimised import SERVICES, Optimised, optimised_services
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.sdk import SdkServices


def raising(error: Exception) -> Any:
    def answers(*_: Any) -> dict[str, Any]:
        raise error

    return answers


def service(aws: StandIn, name: str) -> Optimised:
    return Optimised(aws, name, SERVICES[name])


# ------------------------------------------------------------------------------------------- optimised

STEP = {"Name": "s", "HadoopJarStep": {"Jar": "j"}}


@pytest.mark.parametrize(
    ("name", "action", "arguments", "sent"),
    [
        ("sns", "publish", {"TopicArn": "t", "Message": {"a": 1}}, {"TopicArn": "t", "Message": '{"a":1}'}),
        ("sns", "publish", {"TopicArn": "t", "Message": "text"}, {"TopicArn": "t", "Message": "text"}),
        (
            "sqs",
            "sendMessage",
            {"QueueUrl": "http://localhost/q", "MessageBody": {"a": [1]}},
            {"QueueUrl": "http://localhost/q", "MessageBody": '{"a":[1]}'},
        ),
        (
            "elasticmapreduce",
            "addStep",
            {"ClusterId": "j-1", "Step": STEP},
            {"JobFlowId": "j-1", "Steps": [STEP]},
        ),
    ],
)
async def test_what_is_sent(name: str, action: str, arguments: dict[str, Any], sent: dict[str, Any]) -> None:
    aws = StandIn()

    await service(aws, name).invoke(called(name, action, arguments))

    assert aws.calls[0][2] == sent


@pytest.mark.parametrize(
    ("name", "action", "arguments"),
    [("events", "putEvents", {"Entries": 3}), ("sqs", "sendMessage", {"QueueUrl": "http://[::1", "MessageBody": 1})],
)
async def test_bad_parameters_are_the_tasks_failure(name: str, action: str, arguments: dict[str, Any]) -> None:
    def answers(*_: Any) -> dict[str, Any]:
        raise Refused("InvalidAddress", "no", 400, "")

    with pytest.raises(IntegrationFailed):
        await service(StandIn(answers), name).invoke(called(name, action, arguments))


@pytest.mark.parametrize(
    ("kind", "changed", "listed", "modified", "sent"),
    [
        pytest.param(
            "Fleet",
            {"TargetSpotCapacity": 8},
            "ListInstanceFleets",
            "ModifyInstanceFleet",
            {"ClusterId": "j-1", "InstanceFleet": {"InstanceFleetId": "2", "TargetSpotCapacity": 8}},
            id="a fleet",
        ),
        pytest.param(
            "Group",
            {"InstanceCount": 8},
            "ListInstanceGroups",
            "ModifyInstanceGroups",
            {"ClusterId": "j-1", "InstanceGroups": [{"InstanceGroupId": "2", "InstanceCount": 8}]},
            id="a group",
        ),
    ],
)
async def test_what_emr_knows_by_ids_is_found_by_its_name(
    kind: str, changed: dict[str, Any], listed: str, modified: str, sent: dict[str, Any]
) -> None:
    """On whichever page of the list it is."""

    def pages(_service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation != listed:
            return {}
        last = "Marker" in parameters
        return {f"Instance{kind}s": [{"Id": "2" if last else "1", "Name": "core" if last else "main"}]} | (
            {} if last else {"Marker": "m"}
        )

    aws = StandIn(pages)
    action = f"modifyInstance{kind}ByName"
    arguments = {"ClusterId": "j-1", f"Instance{kind}Name": "core", f"Instance{kind}": changed}

    await service(aws, "elasticmapreduce").invoke(called("elasticmapreduce", action, arguments))
    assert [call[1] for call in aws.calls] == [listed, listed, modified]
    assert aws.calls[-1][2] == sent

    arguments[f"Instance{kind}Name"] = "none"
    with pytest.raises(IntegrationFailed, match="named 'none' in the cluster j-1") as failed:
        await service(aws, "elasticmapreduce").invoke(called("elasticmapreduce", action, arguments))
    assert failed.value.error == "ElasticMapReduce.AmazonElasticMapReduceException"

    del arguments[f"Instance{kind}Name"]
    with pytest.raises(IntegrationFailed, match="is required but was missing"):
        await service(aws, "elasticmapreduce").invoke(called("elasticmapreduce", action, arguments))


async def test_events_carry_their_origin() -> None:
    aws = StandIn()
    entries = [{"Detail": {"a": 1}, "DetailType": "d", "Source": "s", "Resources": ["arn:x"]}]

    await service(aws, "events").invoke(called("events", "putEvents", {"Entries": entries}))

    [entry] = aws.calls[0][2]["Entries"]
    assert entry["Detail"] == '{"a":1}'
    assert entry["Resources"] == [
        "arn:x",
        "arn:aws:states:us-east-1:000000000000:stateMachine:m",
        "arn:aws:states:us-east-1:000000000000:execution:m:e",
    ]


async def test_events_that_were_not_taken_fail_the_task() -> None:
    aws = StandIn(lambda *_: {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "X", "ErrorMessage": "x"}]})
    entries = [{"Detail": {}, "DetailType": "d", "Source": "s"}, {"Detail": '"text"'}]

    with pytest.raises(IntegrationFailed) as failed:
        await service(aws, "events").invoke(called("events", "putEvents", {"Entries": entries}))

    assert failed.value.error == "EventBridge.FailedEntry"
    told = json.loads(str(failed.value.cause))
    assert (told["FailedEntryCount"], [entry["ErrorCode"] for entry in told["Entries"]]) == (
        2,
        ["X", "MalformedDetail"],
    )


async def test_a_result_has_the_headers_that_aws_sends() -> None:
    """Whatever an emulator sends: what selects from a result works the same."""
    aws = StandIn(lambda *_: {"MD5OfMessageBody": "0" * 32, "MessageId": "1" * 36})
    result = json.loads(
        await service(aws, "sqs").invoke(
            called("sqs", "sendMessage", {"QueueUrl": "http://localhost/q", "MessageBody": "m"})
        )
    )

    http = result["SdkHttpMetadata"]
    assert http["HttpStatusCode"] == 200
    assert http["HttpHeaders"].keys() == {"x-amzn-RequestId", "connection", "Content-Length", "Date", "Content-Type"}
    assert http["HttpHeaders"]["Content-Length"] == "106"
    assert http["AllHttpHeaders"]["Content-Type"] == ["application/x-amz-json-1.0"]
    assert result["SdkResponseMetadata"] == {"RequestId": "11111111-1111-1111-1111-111111111111"}


async def test_what_aws_itself_sends_stays() -> None:
    aws = StandIn(genuine=True)

    result = json.loads(await service(aws, "batch").invoke(called("batch", "submitJob", BATCH)))

    assert result["SdkHttpMetadata"]["HttpHeaders"] == {"server": "test"}


BATCH = {"JobName": "n", "JobQueue": "q", "JobDefinition": "d"}


@pytest.mark.parametrize(
    ("name", "action", "arguments", "refused", "error", "cause"),
    [
        pytest.param(
            "dynamodb",
            "getItem",
            {"TableName": "t", "Key": {}},
            Refused("ResourceNotFoundException", "no", 400, "id"),
            "DynamoDB.ResourceNotFoundException",
            "no (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ResourceNotFoundException; Request ID: id; "
            "Proxy: null)",
            id="an error of the model",
        ),
        pytest.param(
            "dynamodb",
            "getItem",
            {"TableName": "t", "Key": {}},
            Refused("ValidationException", "no", 400, "id"),
            "DynamoDB.AmazonDynamoDBException",
            None,
            id="one that it has not",
        ),
        pytest.param(
            "sqs",
            "sendMessage",
            {"QueueUrl": "http://localhost/q", "MessageBody": "m"},
            Refused("QueueDoesNotExist", "no", 400, "id"),
            "SQS.QueueDoesNotExistException",
            None,
            id="one without Exception in its name",
        ),
        pytest.param(
            "sns",
            "publish",
            {"TopicArn": "t", "Message": "m"},
            Refused("NotFound", "no", 404, "id"),
            "SNS.NotFoundException",
            None,
            id="one whose code is not its name",
        ),
        pytest.param(
            "batch", "submitJob", BATCH, Unreachable("away"), "Batch.SdkClientException", "away", id="nobody there"
        ),
        pytest.param(
            "glue",
            "startJobRun",
            {"JobName": None},
            Unreachable("not called"),
            "Glue.ValidationException",
            None,
            id="a member that lacks",
        ),
        pytest.param(
            "batch",
            "submitJob",
            {"JobName": 1},
            Unreachable("not called"),
            "States.Runtime",
            "The Parameters '{\"JobName\": 1}' could not be used to start the Task: "
            "[The value for the field 'JobName' must be a STRING]",
            id="a parameter of the wrong type",
        ),
    ],
)
async def test_errors(
    name: str, action: str, arguments: dict[str, Any], refused: Exception, error: str, cause: str | None
) -> None:
    aws = StandIn(raising(refused))

    with pytest.raises(IntegrationFailed) as failed:
        await service(aws, name).invoke(called(name, action, arguments))

    assert failed.value.error == error
    assert cause is None or failed.value.cause == cause


async def test_a_queue_whose_host_does_not_exist_is_found_out_by_its_name() -> None:
    arguments = {"QueueUrl": "http://no-such-host.invalid/q", "MessageBody": "m"}

    with pytest.raises(IntegrationFailed) as failed:
        await service(StandIn(), "sqs").invoke(called("sqs", "sendMessage", arguments))

    assert failed.value.error == "SQS.SdkClientException"
    assert failed.value.cause == "Unable to execute HTTP request: no-such-host.invalid: Name or service not known"


# ------------------------------------------------------------------------------------------- jobs


async def glue(answers: Any) -> str | None:
    return await service(StandIn(answers), "glue").result(
        called("glue", "startJobRun", {"JobName": "j"}, "sync"), '{"JobRunId":"r"}'
    )


async def test_a_job_that_runs_has_no_result() -> None:
    assert await glue(lambda *_: {"JobRun": {"JobRunState": "RUNNING"}}) is None


async def test_a_job_s_result_is_its_description() -> None:
    assert await glue(lambda *_: {"JobRun": {"Id": "r", "JobRunState": "SUCCEEDED"}}) == (
        '{"Id":"r","JobRunState":"SUCCEEDED"}'
    )


async def test_a_job_that_failed_fails_the_task() -> None:
    with pytest.raises(IntegrationFailed) as failed:
        await glue(lambda *_: {"JobRun": {"JobRunState": "FAILED", "ErrorMessage": "why"}})

    assert failed.value.error == "States.TaskFailed"
    assert json.loads(str(failed.value.cause)) == {"JobRunState": "FAILED", "ErrorMessage": "why"}


@pytest.mark.parametrize(
    "trouble",
    [Refused("InternalServiceException", "", 500, ""), Refused("ThrottlingException", "", 400, ""), Unreachable("")],
)
async def test_a_service_that_cannot_tell_just_now_is_asked_again(trouble: Exception) -> None:
    assert await glue(raising(trouble)) is None


async def test_a_service_that_knows_nothing_of_the_job_fails_the_task() -> None:
    with pytest.raises(IntegrationFailed, match=r"Glue\.EntityNotFoundException"):
        await glue(raising(Refused("EntityNotFoundException", "gone", 400, "")))


async def test_a_job_nobody_waits_for_is_stopped() -> None:
    aws = StandIn()

    await service(aws, "glue").cancel(called("glue", "startJobRun", {"JobName": "j"}, "sync"), '{"JobRunId":"r"}')

    assert aws.calls == [("glue", "BatchStopJobRun", {"JobName": "j", "JobRunIds": ["r"]})]


# ------------------------------------------------------------------------------------------- aws-sdk


async def sdk(aws: StandIn, name: str, action: str, arguments: Any) -> Any:
    return json.loads(await SdkServices(aws)[f"aws-sdk:{name}"].invoke(called(f"aws-sdk:{name}", action, arguments)))


async def test_an_sdk_integration_calls_the_operation() -> None:
    aws = StandIn(lambda *_: {"Messages": [{"Body": "b"}]})

    result = await sdk(aws, "sqs", "receiveMessage", {"QueueUrl": "u"})

    assert result == {"Messages": [{"Body": "b"}]}, "without what the SDK adds to optimised integrations' results"
    assert aws.calls == [("sqs", "ReceiveMessage", {"QueueUrl": "u"})]


@pytest.mark.parametrize(
    ("name", "action", "arguments", "refused", "error", "cause"),
    [
        (
            "dynamodb",
            "getItem",
            {"TableName": "t", "Key": {}},
            Refused("ResourceNotFoundException", "no", 400, "id"),
            "DynamoDb.ResourceNotFoundException",
            "no (Service: DynamoDb, Status Code: 400, Request ID: id)",
        ),
        (
            "dynamodb",
            "getItem",
            {"TableName": "t", "Key": {}},
            Refused("ValidationException", "no", 400, "id"),
            "DynamoDb.DynamoDbException",
            None,
        ),
        (
            "s3",
            "getObject",
            {"Bucket": "b", "Key": "k"},
            Refused("NoSuchKey", "no", 404, "id", "more"),
            "S3.NoSuchKeyException",
            "no (Service: S3, Status Code: 404, Request ID: id, Extended Request ID: more)",
        ),
        ("ec2", "describeInstances", {}, Unreachable("away"), "Ec2.SdkClientException", "away"),
    ],
)
async def test_errors_of_sdk_integrations(
    name: str, action: str, arguments: Any, refused: Exception, error: str, cause: str | None
) -> None:
    with pytest.raises(IntegrationFailed) as failed:
        await sdk(StandIn(raising(refused)), name, action, arguments)

    assert failed.value.error == error
    assert cause is None or failed.value.cause == cause


async def test_a_required_member_that_lacks() -> None:
    with pytest.raises(IntegrationFailed) as failed:
        await sdk(StandIn(), "dynamodb", "putItem", {"TableName": "t", "Item": None})

    assert failed.value.error == "DynamoDb.DynamoDbException"
    assert str(failed.value.cause).startswith(
        "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null "
        "(Service: DynamoDb, Status Code: 400, Request ID: "
    )


def test_services_are_named_as_their_java_packages_are() -> None:
    """Every service that botocore has, by its own service id."""
    from workflow_manager.integrations.names import service_name

    aws = StandIn()
    sample = [
        "events",
        "logs",
        "stepfunctions",
        "secretsmanager",
        "cognito-idp",
        "rds-data",
        "emr",
        "ses",
        "opensearch",
    ]

    assert {
        service_name(aws.read_model(name).service_id).lower(): name for name in sample
    }.items() <= aws.services.items()
    services = SdkServices(aws)
    assert "aws-sdk:cloudwatchlogs" in services
    assert "aws-sdk:nosuchservice" not in services
    assert "dynamodb" not in services
    assert ("getItem" in services["aws-sdk:dynamodb"].actions, "fetch" in services["aws-sdk:dynamodb"].actions) == (
        True,
        False,
    )


# ------------------------------------------------------------------------------------------- which there are


def test_only_services_with_an_endpoint_are_there_unless_aws_is_on() -> None:
    environ = {"AWS_ENDPOINT_URL_SQS": "http://localhost:1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://localhost:1"}

    some = StandIn(on=False, environ=environ)
    assert optimised_services(some).keys() == {"sqs"}
    assert sorted(SdkServices(some)) == ["aws-sdk:secretsmanager", "aws-sdk:sqs"]
    assert optimised_services(StandIn(on=True)).keys() == SERVICES.keys()
    assert optimised_services(StandIn(on=False, environ={"AWS_ENDPOINT_URL": "http://x"})).keys() == SERVICES.keys()
