"""What can go wrong between a client and a server, and how workflows can end that somebody waits for."""

from __future__ import annotations

from typing import Any, ClassVar

from workflow_manager.model import Job, JobStatus, Workflow


class ClientError(Exception):
    """Base of all errors here; the message is one sentence for people."""


class ServerUnreachable(ClientError):
    """No answer came: nothing listens there, the connection broke, or it took too long."""


class UnexpectedAnswer(ClientError):
    """An answer came that no workflow-manager server gives."""


# ---------------------------------------------------------------------- what the server refuses


class ApiError(ClientError):
    """The server refused. Programs go by the class, or ``status`` and ``code``; ``details`` is what else the body says."""

    expected_code: ClassVar[str | None] = None

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def diagnostics(self) -> list[dict[str, Any]]:
        """The faults of a refused definition: severity, code, location, message."""
        return [each for each in self.details.get("diagnostics") or [] if isinstance(each, dict)]


class InvalidRequest(ApiError):
    """A parameter or the body is wrong; the message says where and what to do."""

    expected_code = "InvalidRequest"


class InvalidPageToken(InvalidRequest):
    expected_code = "InvalidPageToken"


class InvalidWorkflowDefinition(InvalidRequest):
    """The definition was refused; ``diagnostics`` lists every fault."""

    expected_code = "InvalidWorkflowDefinition"


class IdempotencyKeyReused(InvalidRequest):
    """The key is another workflow's: ``details`` has its ``workflowID``, and the ``fields`` that differ if it is still kept."""

    expected_code = "IdempotencyKeyReused"


class WorkflowDefinitionAlreadyExists(ApiError):
    expected_code = "WorkflowDefinitionAlreadyExists"


class WorkflowDefinitionNotFound(ApiError):
    expected_code = "WorkflowDefinitionNotFound"


class WorkflowNotFound(ApiError):
    expected_code = "WorkflowNotFound"


class StateResourceNotFound(ApiError):
    expected_code = "StateResourceNotFound"


class CancellationNotAllowed(ApiError):
    """The workflow has succeeded or failed already."""

    expected_code = "CancellationNotAllowed"


class ResumeNotAllowed(ApiError):
    expected_code = "ResumeNotAllowed"


class WorkflowAlreadyResolved(ApiError):
    expected_code = "WorkflowAlreadyResolved"


class Unavailable(ApiError):
    """Not now, for a reason that is not the caller's: try again later."""


class StorageUnavailable(Unavailable):
    expected_code = "StorageUnavailable"


class BackendUnavailable(Unavailable):
    expected_code = "BackendUnavailable"


class StartUnknown(BackendUnavailable):
    """Whether the workflow has begun is not known yet: start it again with the same idempotency key."""

    expected_code = "StartUnknown"


class RequestTimedOut(Unavailable):
    """The server took too long; whether the request had an effect is not known."""

    expected_code = "RequestTimedOut"


def _descendants(kind: type[ApiError]) -> list[type[ApiError]]:
    return [each for child in kind.__subclasses__() for each in (child, *_descendants(child))]


CLASSES = {kind.expected_code: kind for kind in _descendants(ApiError) if kind.expected_code is not None}
"""Code -> the class of errors with that code. Errors with any other are an ApiError."""


def refusal(status: int, code: str, message: str, details: dict[str, Any]) -> ApiError:
    return CLASSES.get(code, ApiError)(status, code, message, details)


# ---------------------------------------------------------------------- how a workflow that is waited for can end


class WaitTimedOut(ClientError, TimeoutError):
    """The workflow has not ended in time; it goes on."""

    def __init__(self, workflow_id: str, timeout_seconds: float) -> None:
        super().__init__(f"workflow {workflow_id} has not ended within {timeout_seconds:g} s; it goes on")
        self.workflow_id = workflow_id


class WorkflowEnded(ClientError):
    """A workflow that has no result; ``workflow`` is how it ended, ``reason`` what it says of that."""

    def __init__(self, message: str, workflow: Workflow) -> None:
        super().__init__(f"{message}: {workflow.status_reason}" if workflow.status_reason else message)
        self.workflow = workflow
        self.reason = workflow.status_reason


class WorkflowFailed(WorkflowEnded):
    """``job`` is the one that failed; None when no job did, such as when the workflow ran out of time."""

    def __init__(self, workflow: Workflow) -> None:
        self.job = failed_job(workflow)
        where = f" in {self.job.state}" if self.job is not None and self.job.state else ""
        super().__init__(f"workflow {workflow.id} failed{where}", workflow)


class WorkflowCancelled(WorkflowEnded):
    def __init__(self, workflow: Workflow) -> None:
        super().__init__(f"workflow {workflow.id} was cancelled", workflow)


def failed_job(workflow: Workflow) -> Job | None:
    if workflow.last_job is not None:
        return workflow.last_job
    return next((job for job in reversed(workflow.jobs or []) if job.status is JobStatus.FAILED), None)
