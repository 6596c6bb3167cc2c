"""What is wrong with a request, said as AWS says it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions.protocol import OPERATIONS
from workflow_manager.stepfunctions.validation import REDACTED, diagnose

ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:m"


def one(value: str, place: str, constraint: str) -> str:
    return f"1 validation error detected: {value} at '{place}' failed to satisfy constraint: {constraint}"


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        pytest.param(
            "CreateActivity",
            {"name": "x" * 81},
            one(f"Value '{'x' * 81}'", "name", "Member must have length less than or equal to 80"),
            id="too long",
        ),
        pytest.param(
            "CreateActivity",
            {"name": ""},
            one("Value ''", "name", "Member must have length greater than or equal to 1"),
            id="too short",
        ),
        pytest.param("CreateActivity", {}, one("Value null", "name", "Member must not be null"), id="missing"),
        pytest.param(
            "CreateActivity", {"name": None}, one("Value null", "name", "Member must not be null"), id="given as null"
        ),
        pytest.param(
            "ListStateMachines",
            {"maxResults": 1001},
            one("Value '1001'", "maxResults", "Member must have value less than or equal to 1000"),
            id="too large",
        ),
        pytest.param(
            "ListStateMachines",
            {"maxResults": -1},
            one("Value '-1'", "maxResults", "Member must have value greater than or equal to 0"),
            id="too small",
        ),
        pytest.param(
            "ListExecutions",
            {"statusFilter": "DONE"},
            one(
                "Value 'DONE'",
                "statusFilter",
                "Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]",
            ),
            id="none of an enumeration",
        ),
        pytest.param(
            "CreateStateMachineAlias",
            {"name": "live", "routingConfiguration": [{"stateMachineVersionArn": f"{ARN}:1", "weight": 101}]},
            one(
                "Value '101'",
                "routingConfiguration.1.member.weight",
                "Member must have value less than or equal to 100",
            ),
            id="inside a list",
        ),
        pytest.param(
            "CreateStateMachineAlias",
            {
                "name": "live",
                "routingConfiguration": [{"stateMachineVersionArn": f"{ARN}:{n}", "weight": n} for n in (1, 2, 3)],
            },
            one(
                f"Value '[RoutingConfigurationListItem(stateMachineVersionArn={ARN}:1, weight=1),"
                f" RoutingConfigurationListItem(stateMachineVersionArn={ARN}:2, weight=2),"
                f" RoutingConfigurationListItem(stateMachineVersionArn={ARN}:3, weight=3)]'",
                "routingConfiguration",
                "Member must have length less than or equal to 2",
            ),
            id="a list too long",
        ),
        pytest.param(
            "UntagResource",
            {"resourceArn": ARN, "tagKeys": ["team", ""]},
            one(
                "Value '[team, ]'",
                "tagKeys",
                "Member must satisfy constraint: [Member must have length less than or equal to 128,"
                " Member must have length greater than or equal to 1, Member must not be null]",
            ),
            id="a list's element",
        ),
        pytest.param(
            "RedriveExecution",
            {"executionArn": ARN, "clientToken": "a b"},
            one("Value 'a b'", "clientToken", "Member must satisfy regular expression pattern: [!-~]+"),
            id="no match",
        ),
        pytest.param(
            "SendTaskSuccess",
            {"taskToken": "secret-" * 300, "output": "{}"},
            one("Value", "taskToken", "Member must have length less than or equal to 2048"),
            id="a sensitive member is not quoted",
        ),
        pytest.param(
            "CreateActivity",
            {"name": "", "encryptionConfiguration": {"type": "NONE", "kmsDataKeyReusePeriodSeconds": 1}},
            "3 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length"
            " greater than or equal to 1; Value '1' at 'encryptionConfiguration.kmsDataKeyReusePeriodSeconds' failed to"
            " satisfy constraint: Member must have value greater than or equal to 60; Value 'NONE' at"
            " 'encryptionConfiguration.type' failed to satisfy constraint: Member must satisfy enum value set:"
            " [AWS_OWNED_KEY, CUSTOMER_MANAGED_KMS_KEY]",
            id="several",
        ),
    ],
)
def test_a_broken_constraint_is_named(operation: str, request_: dict[str, Any], message: str) -> None:
    error = diagnose(operation, json.dumps(request_).encode())

    assert isinstance(error, errors.ValidationException)
    assert error.message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "The request's body is not JSON, ", id="empty"),
        pytest.param(b"{", "The request's body is not JSON, ", id="cut short"),
        pytest.param(b'{"name": "\xff"}', "The request's body is not JSON, ", id="not UTF-8"),
        pytest.param(b'{"x":' * 100_000, "The request's body is not JSON, ", id="nested too deeply"),
        pytest.param(b"[]", "Start of list found where not expected. (the request must be a JSON object)", id="a list"),
        pytest.param(b"null", "Expected start of structure or map. (the request must be a JSON object)", id="null"),
        pytest.param(b'{"name": 1}', "NUMBER_VALUE can not be converted to a String (at 'name')", id="a number"),
        pytest.param(b'{"name": true}', "TRUE_VALUE can not be converted to a String (at 'name')", id="a boolean"),
        pytest.param(
            b'{"name": {}}', "Start of structure or map found where not expected. (at 'name')", id="a structure"
        ),
        pytest.param(b'{"name": "a", "tags": "x"}', "Expected list or null. (at 'tags')", id="no list"),
        pytest.param(
            b'{"name": "a", "tags": ["x"]}',
            "Expected start of structure or map. (at 'tags.1.member')",
            id="no structure",
        ),
        pytest.param(
            b'{"name": "a", "encryptionConfiguration": {"kmsDataKeyReusePeriodSeconds": "1"}}',
            "STRING_VALUE can not be converted to an Integer"
            " (at 'encryptionConfiguration.kmsDataKeyReusePeriodSeconds')",
            id="a string",
        ),
    ],
)
def test_what_cannot_be_read_at_all_is_told_first(body: bytes, message: str) -> None:
    error = diagnose("CreateActivity", body)

    assert isinstance(error, errors.SerializationException)
    assert error.message.startswith(message)


def test_a_quoted_structure_hides_its_sensitive_members() -> None:
    """A structure is quoted only by way of a list; RoutingConfiguration is the one bounded list, so it is asked here."""
    from workflow_manager.stepfunctions.validation import _java, request_shape

    shape = request_shape("TestState").members["mock"]

    assert (
        _java(shape, {"result": "secret"})
        == f"MockInput(result={REDACTED}, errorOutput=null, fieldValidationMode=null)"
    )


def test_a_long_value_is_not_sent_back_whole() -> None:
    error = diagnose("CreateActivity", json.dumps({"name": "x" * 1_000_000}).encode())

    assert len(error.message) < 5_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def near_requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """Requests that have the members of some operation, with anything in them."""
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    members = [field.encode_name for field in msgspec.structs.fields(OPERATIONS[operation][1])]
    body = draw(st.dictionaries(st.sampled_from(members), JSON)) if members else draw(JSON)
    return operation, json.dumps(body).encode()


@given(near_requests())
def test_every_refusal_has_an_explanation(case: tuple[str, bytes]) -> None:
    """Where the decoder refuses, the diagnosis finds a fault of the model too: the two agree on what a request is."""
    operation, body = case
    try:
        msgspec.json.decode(body, type=OPERATIONS[operation][1])
    except msgspec.ValidationError:
        error = diagnose(operation, body)
        assert error.code in ("ValidationException", "SerializationException")
        assert "cannot be represented" not in error.message
