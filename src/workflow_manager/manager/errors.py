"""Errors of the StepFunctions seam, as the errors that callers of the manager act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from workflow_manager.model import errors as ours
from workflow_manager.stepfunctions import errors as theirs

ABSENT = (theirs.ExecutionDoesNotExist, theirs.StateMachineDoesNotExist)
"""What tells that there is no such execution (a state machine that is gone takes its executions along)."""

_CALLERS_FAULT = (
    theirs.InvalidExecutionInput,
    theirs.InvalidName,
    theirs.ValidationException,
    theirs.SerializationException,
)


_CREDENTIALS = "renew the server's AWS credentials"
_QUOTA = "wait for others to end, or ask AWS for a higher quota"
ADVICE = {
    "ThrottlingException": "the account's rate of such calls is used up; try again in a moment, and more slowly",
    "TooManyRequestsException": "the account's rate of such calls is used up; try again in a moment, and more slowly",
    "AccessDeniedException": "give the server's role this permission",
    "AccessDenied": "give the server's role this permission",
    "ExpiredTokenException": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "InvalidSignatureException": "correct the server's AWS credentials, or its clock",
    "SignatureDoesNotMatch": "correct the server's AWS credentials, or its clock",
    "IncompleteSignature": _CREDENTIALS,
    "MissingAuthenticationToken": _CREDENTIALS,
    "MissingAuthenticationTokenException": _CREDENTIALS,
    "OptInRequired": "enable Step Functions for the account in this region",
    "ActivityLimitExceeded": "delete activities that are not in use, or ask AWS for a higher quota",
    "StateMachineLimitExceeded": "delete state machines that are not in use, or ask AWS for a higher quota",
    "ExecutionLimitExceeded": _QUOTA,
    "ServiceQuotaExceededException": _QUOTA,
}
"""Code of an error that is not the caller's fault -> what somebody can do about it."""


def translate(error: theirs.StepFunctionsError) -> ours.WfmError:
    """The error to raise instead."""
    match error:
        case theirs.NotSent() | theirs.AnswerLost():
            return ours.BackendUnavailable(error.message)
        case theirs.ServiceUnavailable():
            return ours.StorageUnavailable(error.message)
        case theirs.InvalidDefinition():
            return ours.InvalidWorkflowDefinition(
                error.message,
                diagnostics=[
                    {"code": error.code, "message": error.message, "location": "/stateMachine", "severity": "ERROR"}
                ],
            )
        case theirs.InvalidExecutionInput():
            return ours.InvalidRequest(f"input is not a valid JSON object: {error.message}")
        case _ if isinstance(error, _CALLERS_FAULT):
            return ours.InvalidRequest(error.message)
        case _:
            told = f"Step Functions answered {error.code}: {error.message}"
            advice = ADVICE.get(error.code)
            return ours.BackendUnavailable(told if advice is None else f"{told.rstrip('.')}; {advice}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the seam raises inside of this as an error of the model."""
    try:
        yield
    except theirs.StepFunctionsError as error:
        raise translate(error) from error
