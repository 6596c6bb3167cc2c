"""Names as the SDKs for Java make them."""

from __future__ import annotations

import pytest

from workflow_manager.integrations.names import exception_name, member_name, service_name


@pytest.mark.parametrize(
    ("service_id", "name"),
    [
        ("DynamoDB", "DynamoDb"),
        ("SQS", "Sqs"),
        ("S3", "S3"),
        ("EC2", "Ec2"),
        ("EventBridge", "EventBridge"),
        ("Secrets Manager", "SecretsManager"),
        ("CloudWatch Logs", "CloudWatchLogs"),
        ("Cognito Identity Provider", "CognitoIdentityProvider"),
        ("WAFV2", "Wafv2"),
        ("SESv2", "SesV2"),
        ("IoT Data Plane", "IotDataPlane"),
        ("RDS Data", "RdsData"),
        ("SFN", "Sfn"),
    ],
)
def test_service_names(service_id: str, name: str) -> None:
    assert service_name(service_id) == name


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("ResourceNotFoundException", "ResourceNotFoundException"),
        ("QueueDoesNotExist", "QueueDoesNotExistException"),
        ("NoSuchKey", "NoSuchKeyException"),
        ("DBInstanceNotFoundFault", "DBInstanceNotFoundException"),
        ("LimitExceededError", "LimitExceededException"),
    ],
)
def test_exception_names(shape: str, name: str) -> None:
    assert exception_name(shape) == name


def test_members_are_in_pascal_case() -> None:
    assert [member_name(name) for name in ("stateMachineArn", "ETag", "")] == ["StateMachineArn", "ETag", ""]
