"""Parameters and results between Step Functions' spelling and botocore's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workflow_manager.integrations import shapes
from workflow_manager.integrations.aws import Aws

AWS = Aws("us-east-1", environ={})


def input_shape(service: str, operation: str) -> Any:
    return AWS.read_model(service).operation_model(operation).input_shape


def output_shape(service: str, operation: str) -> Any:
    return AWS.read_model(service).operation_model(operation).output_shape


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "parameters"),
    [
        pytest.param(
            "stepfunctions",
            "StartExecution",
            {"StateMachineArn": "arn", "Input": "{}"},
            {"stateMachineArn": "arn", "input": "{}"},
            id="members get the service's own spelling",
        ),
        pytest.param(
            "dynamodb",
            "PutItem",
            {"TableName": "t", "Item": {"someKey": {"S": "x"}, "Other": {"NULL": None}}},
            {"TableName": "t", "Item": {"someKey": {"S": "x"}, "Other": {}}},
            id="keys of maps are the user's; null is not there",
        ),
        pytest.param("s3", "PutObject", {"Bucket": "b", "Body": False}, {"Bucket": "b", "Body": b"false"}, id="JSON"),
        pytest.param("s3", "PutObject", {"Body": "text"}, {"Body": b'"text"'}, id="a streamed text is JSON, too"),
        pytest.param("kms", "Encrypt", {"Plaintext": "text"}, {"Plaintext": b"text"}, id="bytes from text"),
        pytest.param("sqs", "ReceiveMessage", {"MaxNumberOfMessages": 2.0}, {"MaxNumberOfMessages": 2}, id="2.0"),
    ],
)
def test_requests(service: str, operation: str, arguments: dict[str, Any], parameters: dict[str, Any]) -> None:
    made = shapes.request(input_shape(service, operation), arguments)

    assert (made.parameters, made.unfit) == (parameters, [])


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "unfit"),
    [
        ("sqs", "SendMessage", {"QueueUrl": 1}, "The value for the field 'QueueUrl' must be a STRING"),
        ("sqs", "SendMessage", {"DelaySeconds": "1"}, "The value for the field 'DelaySeconds' must be an INTEGER"),
        ("sqs", "SendMessage", {"DelaySeconds": True}, "The value for the field 'DelaySeconds' must be an INTEGER"),
        ("dynamodb", "PutItem", {"Item": {"n": {"N": 1}}}, "The value for the field 'N' must be a STRING"),
        ("dynamodb", "PutItem", {"Item": []}, "The value for the field 'Item' must be a MAP"),
        ("sqs", "SendMessage", {"queueUrl": "u"}, "The field 'queueUrl' is not supported by Step Functions"),
    ],
)
def test_what_does_not_fit(service: str, operation: str, arguments: dict[str, Any], unfit: str) -> None:
    assert shapes.request(input_shape(service, operation), arguments).unfit == [unfit]


def test_what_lacks_is_named_as_services_name_it() -> None:
    made = shapes.request(input_shape("dynamodb", "BatchWriteItem"), {"RequestItems": {"t": [{"PutRequest": {}}]}})

    assert made.lacking == ["requestItems.t.member.1.member.putRequest.item"]


MOMENT = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("service", "operation", "members", "expected"),
    [
        (
            "stepfunctions",
            "StartExecution",
            {"executionArn": "arn", "startDate": MOMENT},
            {"ExecutionArn": "arn", "StartDate": "2024-05-01T12:00:00Z"},
        ),
        ("dynamodb", "GetItem", {"Item": {"lower": {"S": "x"}}}, {"Item": {"lower": {"S": "x"}}}),
        ("s3", "GetObject", {"Body": b"text", "Metadata": {}}, {"Body": "text", "Metadata": {}}),
        ("kms", "Encrypt", {"CiphertextBlob": b"\xff\x00"}, {"CiphertextBlob": "/wA="}),
    ],
)
def test_results(service: str, operation: str, members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shapes.result(output_shape(service, operation), members, shapes.instant) == expected


def test_times() -> None:
    precise = MOMENT.replace(microsecond=123_000)

    assert (shapes.instant(precise), shapes.milliseconds(precise)) == ("2024-05-01T12:00:00.123Z", 1714564800123)
