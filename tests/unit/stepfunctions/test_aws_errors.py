"""What boto3 raises, as errors of the seam: what was wrong, what to do, and whether the call may have been carried out."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions.awserrors import attempt_may_have_been_carried_out, translated

URL = "https://states.us-east-1.amazonaws.com"


def answered(status: int, code: str, message: str = "why", **members: Any) -> exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "message": message,
        **members,
    }
    return exceptions.ClientError(response, "StartExecution")


@pytest.mark.parametrize(
    ("error", "kind", "code", "message", "carried_out"),
    [
        pytest.param(
            answered(400, "ExecutionAlreadyExists"),
            errors.ExecutionAlreadyExists,
            "ExecutionAlreadyExists",
            "^why$",
            False,
            id="of the API",
        ),
        pytest.param(
            answered(400, "ExpiredTokenException"),
            errors.StepFunctionsError,
            "ExpiredTokenException",
            "^why$",
            False,
            id="not in the model",
        ),
        pytest.param(answered(503, "Any"), errors.NotSent, "ServiceUnavailableException", "^why$", False, id="503"),
        pytest.param(
            answered(503, "Any", ""),
            errors.NotSent,
            "ServiceUnavailableException",
            "does not take StartExecution at the moment",
            False,
            id="503 without words",
        ),
        pytest.param(answered(500, "InternalServerError"), errors.AnswerLost, "AnswerLost", "500 Int", True, id="500"),
        pytest.param(answered(504, "504", "Gateway Timeout"), errors.AnswerLost, "AnswerLost", "504", True, id="504"),
        pytest.param(
            exceptions.EndpointConnectionError(endpoint_url=URL),
            errors.NotSent,
            "ServiceUnavailableException",
            "could not be reached for StartExecution .*check the endpoint",
            False,
            id="no connection",
        ),
        pytest.param(
            exceptions.ConnectTimeoutError(endpoint_url=URL),
            errors.NotSent,
            "ServiceUnavailableException",
            "could not be reached",
            False,
            id="no connection in time",
        ),
        pytest.param(
            exceptions.SSLError(endpoint_url=URL, error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
            errors.NotSent,
            "ServiceUnavailableException",
            "could not be reached",
            False,
            id="a certificate that is not trusted",
        ),
        pytest.param(
            exceptions.SSLError(endpoint_url=URL, error="decryption failed or bad record mac"),
            errors.AnswerLost,
            "AnswerLost",
            "no answer",
            True,
            id="TLS that breaks in the middle",
        ),
        pytest.param(
            exceptions.ReadTimeoutError(endpoint_url=URL),
            errors.AnswerLost,
            "AnswerLost",
            "no answer",
            True,
            id="silence",
        ),
        pytest.param(
            exceptions.ConnectionClosedError(endpoint_url=URL),
            errors.AnswerLost,
            "AnswerLost",
            "no answer",
            True,
            id="reset",
        ),
        pytest.param(
            exceptions.NoCredentialsError(),
            errors.NotSent,
            "ServiceUnavailableException",
            "has no AWS credentials to use .*; renew them",
            None,
            id="no credentials",
        ),
        pytest.param(
            exceptions.CredentialRetrievalError(provider="sso", error_msg="expired"),
            errors.NotSent,
            "ServiceUnavailableException",
            "has no AWS credentials to use .*expired",
            None,
            id="credentials that cannot be fetched",
        ),
        pytest.param(
            exceptions.NoRegionError(),
            errors.NotSent,
            "ServiceUnavailableException",
            "could not be sent",
            None,
            id="other",
        ),
    ],
)
def test_errors(
    error: Exception, kind: type[errors.StepFunctionsError], code: str, message: str, carried_out: bool | None
) -> None:
    ours = translated("StartExecution", error)

    with pytest.raises(kind, match=message) as raised:
        raise ours
    assert raised.value.code == code
    assert raised.value.outcome_unknown is bool(carried_out)
    if isinstance(error, exceptions.ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert attempt_may_have_been_carried_out(status, None) is carried_out
    elif carried_out is not None:  # None: such an error is raised before anything is sent
        assert attempt_may_have_been_carried_out(None, error) is carried_out


def test_members_come_along() -> None:
    ours = translated("TagResource", answered(400, "ResourceNotFound", resourceName="arn"))

    assert ours.members == {"resourceName": "arn"}
