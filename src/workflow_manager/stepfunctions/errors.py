"""Errors of the Step Functions API; written by tools/generate_stepfunctions.py."""

from __future__ import annotations

from typing import Any, ClassVar


class StepFunctionsError(Exception):
    """An error that the Step Functions API answers: its code, its message, its further members."""

    code: ClassVar[str] = "InternalServerError"
    outcome_unknown = False
    """Whether an attempt of this call may have been carried out all the same: its answer was lost on the way."""

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members


class AccessDeniedException(StepFunctionsError):
    code = "AccessDeniedException"


class ActivityAlreadyExists(StepFunctionsError):
    code = "ActivityAlreadyExists"


class ActivityDoesNotExist(StepFunctionsError):
    code = "ActivityDoesNotExist"


class ActivityLimitExceeded(StepFunctionsError):
    code = "ActivityLimitExceeded"


class ActivityWorkerLimitExceeded(StepFunctionsError):
    code = "ActivityWorkerLimitExceeded"


class ConflictException(StepFunctionsError):
    code = "ConflictException"


class ExecutionAlreadyExists(StepFunctionsError):
    code = "ExecutionAlreadyExists"


class ExecutionDoesNotExist(StepFunctionsError):
    code = "ExecutionDoesNotExist"


class ExecutionLimitExceeded(StepFunctionsError):
    code = "ExecutionLimitExceeded"


class ExecutionNotRedrivable(StepFunctionsError):
    code = "ExecutionNotRedrivable"


class InvalidArn(StepFunctionsError):
    code = "InvalidArn"


class InvalidDefinition(StepFunctionsError):
    code = "InvalidDefinition"


class InvalidEncryptionConfiguration(StepFunctionsError):
    code = "InvalidEncryptionConfiguration"


class InvalidExecutionInput(StepFunctionsError):
    code = "InvalidExecutionInput"


class InvalidLoggingConfiguration(StepFunctionsError):
    code = "InvalidLoggingConfiguration"


class InvalidName(StepFunctionsError):
    code = "InvalidName"


class InvalidOutput(StepFunctionsError):
    code = "InvalidOutput"


class InvalidToken(StepFunctionsError):
    code = "InvalidToken"


class InvalidTracingConfiguration(StepFunctionsError):
    code = "InvalidTracingConfiguration"


class KmsAccessDeniedException(StepFunctionsError):
    code = "KmsAccessDeniedException"


class KmsInvalidStateException(StepFunctionsError):
    code = "KmsInvalidStateException"


class KmsThrottlingException(StepFunctionsError):
    code = "KmsThrottlingException"


class MissingRequiredParameter(StepFunctionsError):
    code = "MissingRequiredParameter"


class ResourceNotFound(StepFunctionsError):
    code = "ResourceNotFound"


class ServiceQuotaExceededException(StepFunctionsError):
    code = "ServiceQuotaExceededException"


class StateMachineAlreadyExists(StepFunctionsError):
    code = "StateMachineAlreadyExists"


class StateMachineDeleting(StepFunctionsError):
    code = "StateMachineDeleting"


class StateMachineDoesNotExist(StepFunctionsError):
    code = "StateMachineDoesNotExist"


class StateMachineLimitExceeded(StepFunctionsError):
    code = "StateMachineLimitExceeded"


class StateMachineTypeNotSupported(StepFunctionsError):
    code = "StateMachineTypeNotSupported"


class TaskDoesNotExist(StepFunctionsError):
    code = "TaskDoesNotExist"


class TaskTimedOut(StepFunctionsError):
    code = "TaskTimedOut"


class ThrottlingException(StepFunctionsError):
    code = "ThrottlingException"


class TooManyTags(StepFunctionsError):
    code = "TooManyTags"


class UnknownOperationException(StepFunctionsError):
    code = "UnknownOperationException"


class ValidationException(StepFunctionsError):
    code = "ValidationException"


class SerializationException(StepFunctionsError):
    """The request is not JSON, or a member has the wrong JSON type."""

    code = "SerializationException"


class ServiceUnavailable(StepFunctionsError):
    """Nothing was done: the disk is full, the database is locked, the server is stopping. Try again."""

    code = "ServiceUnavailableException"


class NotSent(ServiceUnavailable):
    """Nothing was done: no connection could be made, too many calls wait, there are no credentials to sign with."""


class AnswerLost(StepFunctionsError):
    """The call was sent, and no answer to it came: whether anything was done is not known."""

    code = "AnswerLost"
    outcome_unknown = True


BY_CODE: dict[str, type[StepFunctionsError]] = {kind.code: kind for kind in StepFunctionsError.__subclasses__()}
