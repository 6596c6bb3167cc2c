"""boto3's errors as those of errors.py, and what each says about whether the call may have been carried out."""

from __future__ import annotations

from functools import cache

import msgspec
from botocore import exceptions

from workflow_manager.stepfunctions import errors

NEVER_SENT = (exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError, exceptions.ProxyConnectionError)
"""No connection was made, so that nothing was sent."""

NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
    exceptions.LoginError,
)
"""There is nothing to sign a call with."""

REFUSED_STATUSES = {503}
"""Of 5xx, those by which a service says that it did not take the call on."""


def attempt_may_have_been_carried_out(status: int | None, exception: Exception | None) -> bool:
    """Whether one attempt of a call that did not succeed (``status`` of its answer, or what it raised) may have had effect."""
    if exception is not None:
        return not _never_sent(exception)
    return status is not None and status >= 500 and status not in REFUSED_STATUSES


def translated(operation: str, error: Exception, service: str = "Step Functions") -> errors.StepFunctionsError:
    """Ours for boto3's, to raise instead. ``operation`` is the API's name of what was called."""
    match error:
        case exceptions.ClientError():
            return _answered(operation, error, service)
        case _ if isinstance(error, NO_CREDENTIALS):
            return errors.NotSent(
                f"{operation} was not sent to {service}: the server has no AWS credentials to use "
                f"({_sentence(error)}); renew them, or configure a role or profile that has some"
            )
        case _ if _never_sent(error):
            return errors.NotSent(
                f"{service} could not be reached for {operation} ({_sentence(error)}); "
                "check the endpoint, the region and the network, and try again"
            )
        case exceptions.HTTPClientError() | exceptions.ConnectionError() | msgspec.MsgspecError():
            return errors.AnswerLost(f"no answer of {service} to {operation} came through ({_sentence(error)})")
        case _:
            return errors.NotSent(f"{operation} could not be sent to {service} ({_sentence(error)})")


def _never_sent(error: Exception) -> bool:
    return isinstance(error, NEVER_SENT) or (
        isinstance(error, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def _answered(operation: str, error: exceptions.ClientError, service: str) -> errors.StepFunctionsError:
    """Ours for what AWS answered. A 503 says that nothing was done; after another 5xx that is not known."""
    answer = error.response
    code, message = answer.get("Error", {}).get("Code", ""), answer.get("Error", {}).get("Message", "")
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status in REFUSED_STATUSES:
        return errors.NotSent(message or f"{service} does not take {operation} at the moment")
    if status >= 500:
        return errors.AnswerLost(f"{service} answered {operation} with {status} {code}: {message}")
    members = {
        member: value
        for member, value in answer.items()
        if member not in ("Error", "ResponseMetadata", "message", "Message")
    }
    return (errors.BY_CODE.get(code) or _unlisted(code))(message, **members)


@cache
def _unlisted(code: str) -> type[errors.StepFunctionsError]:
    """The kind of an error that the service model does not list, such as ExpiredTokenException."""
    return type(code or "UnknownError", (errors.StepFunctionsError,), {"code": code or "UnknownError"})


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
