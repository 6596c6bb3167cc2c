"""How Step Functions names services and exceptions: as AWS's SDKs for Java do, which it calls services with. Pure.

SDK integrations (``aws-sdk:*``) are called with version 2 of the SDK, optimised ones with version 1, and it shows:

    DynamoDb.ResourceNotFoundException  ... (Service: DynamoDb, Status Code: 400, Request ID: ...)
    DynamoDB.ResourceNotFoundException  ... (Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ...; Request ID: ...; ...)

Source: the SDK for Java 2's code generator (``Utils``, ``DefaultNamingStrategy``).
"""

from __future__ import annotations

import re
from functools import cache

_SEPARATIONS = (
    (re.compile(r"[^A-Za-z0-9]+"), " "),
    (re.compile(r"([^a-z]{2,})v([0-9]+)"), r"\1 v\2 "),
    (re.compile(r"([^A-Z]{2,})V([0-9]+)"), r"\1 V\2 "),
    (re.compile(r"(?<=[a-z])(?=[A-Z][a-zA-Z0-9])"), " "),
    (re.compile(r"([A-Z]+)([A-Z][a-z])"), r"\1 \2"),
    (re.compile(r"([0-9])([a-zA-Z])"), r"\1 \2"),
)
"""Where the generator sees the words of a name, in this order."""


@cache
def service_name(service_id: str) -> str:
    """What error names begin with: ``DynamoDb`` for the service id ``DynamoDB``, ``CloudWatchLogs`` for ``CloudWatch Logs``."""
    for pattern, put in _SEPARATIONS:
        service_id = pattern.sub(put, service_id)
    return "".join(word.capitalize() for word in service_id.split())


def exception_name(shape: str) -> str:
    """The class of a modelled error."""
    for suffix in ("Error", "Fault"):
        if shape.endswith(suffix) and len(shape) > len(suffix):
            return f"{shape.removesuffix(suffix)}Exception"
    return shape if shape.endswith("Exception") else f"{shape}Exception"


def member_name(member: str) -> str:
    """A parameter or member as Step Functions spells it."""
    return member[:1].upper() + member[1:]
