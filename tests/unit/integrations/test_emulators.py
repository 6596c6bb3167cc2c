"""What an emulator takes or leaves out is made what it is on AWS."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_manager.integrations.emulators import amended, malformed, refusal, reworded
from workflow_manager.integrations.refusals import Refused


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "refused"),
    [
        ("dynamodb", "PutItem", {"TableName": "t-1_2.3"}, False),
        ("dynamodb", "PutItem", {"TableName": "arn:aws:dynamodb:us-east-1:1:table/t"}, False),
        ("dynamodb", "PutItem", {"TableName": "/t"}, True),
        ("secretsmanager", "CreateSecret", {"Name": "a/b+c=d.e@f!"}, False),
        ("secretsmanager", "CreateSecret", {"Name": "a b"}, True),
        ("sns", "Publish", {"TopicArn": "arn:t.fifo"}, True),
        ("sns", "Publish", {"TopicArn": "arn:t.fifo", "MessageGroupId": "g"}, False),
        ("sns", "Publish", {"TopicArn": "arn:t"}, False),
        ("s3", "GetObject", {}, False),
    ],
)
def test_refusals(service: str, operation: str, parameters: dict[str, Any], refused: bool) -> None:
    assert (refusal(service, operation, parameters) is not None) is refused


def test_answers() -> None:
    capacity = {"ConsumedCapacity": {}, "Item": {}}

    assert amended("s3", "GetObject", {}, {"ETag": "e"}) == {"ServerSideEncryption": "AES256", "ETag": "e"}
    assert amended("s3", "GetObject", {}, {"ServerSideEncryption": "aws:kms"}) == {"ServerSideEncryption": "aws:kms"}
    assert amended("dynamodb", "GetItem", {}, capacity) == {"Item": {}}
    assert amended("dynamodb", "GetItem", {"ReturnConsumedCapacity": "TOTAL"}, capacity) == capacity


def test_words() -> None:
    missing = Refused("NotFound", "Endpoint does not exist", 404, "id")

    assert reworded("sns", missing, {"TopicArn": "arn"}).message == "Topic does not exist"
    assert reworded("sns", missing, {"TargetArn": "arn"}) is missing
    assert reworded("s3", missing, {}).extended_id == "id"


@pytest.mark.parametrize(
    ("entry", "bad"),
    [({"Detail": "{}"}, False), ({"Detail": '"x"'}, True), ({"Detail": "{"}, True), ({}, False), (None, False)],
)
def test_details_of_events(entry: Any, bad: bool) -> None:
    assert malformed(entry) is bad
