"""What emulators of AWS services take although AWS refuses it, and leave out of answers although AWS says it. Tables; pure.

A workflow that is tried against an emulator should meet here what it meets on AWS. None of this is applied to AWS itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from workflow_manager.integrations.refusals import Refused

Parameters: TypeAlias = Mapping[str, Any]

_TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]+")
_SECRET_NAME = re.compile(r"[a-zA-Z0-9/_+=.@!-]+")


def _table_name(parameters: Parameters) -> Refused | None:
    name = str(parameters.get("TableName", ""))
    if _TABLE_NAME.fullmatch(name) or name.startswith("arn:"):
        return None
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {_TABLE_NAME.pattern}",
        400,
        "",
    )


def _secret_name(parameters: Parameters) -> Refused | None:
    if _SECRET_NAME.fullmatch(str(parameters.get("Name", ""))):
        return None
    return Refused(
        "ValidationException",
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
        400,
        "",
    )


def _message_group(parameters: Parameters) -> Refused | None:
    if not str(parameters.get("TopicArn", "")).endswith(".fifo") or parameters.get("MessageGroupId"):
        return None
    why = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    return Refused("InvalidParameter", why, 400, "")


_CHECKS: dict[tuple[str, str], Callable[[Parameters], Refused | None]] = {
    ("dynamodb", "DeleteItem"): _table_name,
    ("dynamodb", "GetItem"): _table_name,
    ("dynamodb", "PutItem"): _table_name,
    ("dynamodb", "Query"): _table_name,
    ("dynamodb", "Scan"): _table_name,
    ("dynamodb", "UpdateItem"): _table_name,
    ("secretsmanager", "CreateSecret"): _secret_name,
    ("sns", "Publish"): _message_group,
}


def refusal(service: str, operation: str, parameters: Parameters) -> Refused | None:
    """Why AWS refuses the call; None if nothing is known against it."""
    check = _CHECKS.get((service, operation))
    return check(parameters) if check is not None else None


def reworded(service: str, refused: Refused, parameters: Parameters) -> Refused:
    """A refusal in AWS's words. S3's has a second request id, which emulators do not give."""
    if service == "sns" and refused.code == "NotFound" and "TopicArn" in parameters:
        return replace(refused, message="Topic does not exist")
    if service == "s3" and refused.extended_id is None:
        return replace(refused, extended_id=refused.request_id)
    return refused


_SAID: dict[tuple[str, str], dict[str, Any]] = {
    ("s3", "GetObject"): {"ServerSideEncryption": "AES256"},
    ("s3", "HeadObject"): {"ServerSideEncryption": "AES256"},
    ("s3", "PutObject"): {"ServerSideEncryption": "AES256", "ChecksumType": "FULL_OBJECT"},
}
"""Members that AWS's answers always have."""


def amended(service: str, operation: str, parameters: Parameters, members: dict[str, Any]) -> dict[str, Any]:
    """An answer with what AWS says, and without what it does not."""
    members = {**_SAID.get((service, operation), {}), **members}
    if service == "dynamodb" and parameters.get("ReturnConsumedCapacity") in (None, "NONE"):
        members.pop("ConsumedCapacity", None)
    return members


MALFORMED = {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}


def malformed(entry: Any) -> bool:
    """Whether an entry of PutEvents has a detail that is no JSON object."""
    detail = entry.get("Detail") if isinstance(entry, dict) else None
    if not isinstance(detail, str):
        return False
    try:
        return not isinstance(json.loads(detail), dict)
    except ValueError:
        return True
