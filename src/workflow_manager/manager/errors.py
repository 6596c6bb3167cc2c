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


def translate(error: theirs.StepFunctionsError) -> ours.WfmError:
    """The error to raise instead."""
    match error:
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
            return ours.BackendUnavailable(f"Step Functions answered {error.code}: {error.message}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the seam raises inside of this as an error of the model."""
    try:
        yield
    except theirs.StepFunctionsError as error:
        raise translate(error) from error
