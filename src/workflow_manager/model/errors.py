"""Errors for callers. Each has a stable ``code`` that clients branch on; messages are for people and may change."""

from __future__ import annotations

from typing import Any, ClassVar


class WfmError(Exception):
    """An error that a caller can act on. ``details`` goes into the API's error body beside ``code`` and ``message``."""

    code: ClassVar[str] = "InternalError"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class InvalidRequest(WfmError):
    """A parameter or body is wrong; the message names the place (a JSON pointer or parameter) and what to do."""

    code = "InvalidRequest"


class InvalidPageToken(InvalidRequest):
    code = "InvalidPageToken"


class InvalidWorkflowDefinition(InvalidRequest):
    """The definition was refused; ``details["diagnostics"]`` lists every fault with code, location and message."""

    code = "InvalidWorkflowDefinition"


class IdempotencyKeyReused(InvalidRequest):
    """A key was used before, for another workflow; ``details`` name it and, if it is still kept, what differs."""

    code = "IdempotencyKeyReused"

    def __init__(self, key: str, workflow_id: str, fields: list[str] | None = None) -> None:
        used = f"Idempotency-Key {key!r} was used for workflow {workflow_id}, which"
        if fields is None:
            super().__init__(
                f"{used} is kept no longer, while its execution's name is still taken; use another key for another workflow",
                workflowID=workflow_id,
            )
        else:
            super().__init__(
                f"{used} differs in {', '.join(fields)}; "
                "send the same content as then, or another key for another workflow",
                workflowID=workflow_id,
                fields=fields,
            )


class WorkflowDefinitionAlreadyExists(WfmError):
    code = "WorkflowDefinitionAlreadyExists"

    def __init__(self, name: str) -> None:
        super().__init__(f"Already Exists: {name}")


class WorkflowDefinitionNotFound(WfmError):
    """The message is the name, or ``name@version`` (HTTP contract, errors)."""

    code = "WorkflowDefinitionNotFound"

    def __init__(self, name: str, version: int | None = None) -> None:
        super().__init__(name if version is None else f"{name}@{version}")


class WorkflowNotFound(WfmError):
    """The message is the id."""

    code = "WorkflowNotFound"

    def __init__(self, workflow_id: str) -> None:
        super().__init__(workflow_id)


class WorkflowAlreadyExists(WfmError):
    code = "WorkflowAlreadyExists"

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"workflow {workflow_id} already exists")


class StateResourceNotFound(WfmError):
    """The message is ``namespace--name``."""

    code = "StateResourceNotFound"

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(f"{namespace}--{name}")


class CancellationNotAllowed(WfmError):
    code = "CancellationNotAllowed"


class ResumeNotAllowed(WfmError):
    code = "ResumeNotAllowed"


class WorkflowAlreadyResolved(WfmError):
    code = "WorkflowAlreadyResolved"

    def __init__(self, workflow_id: str) -> None:
        super().__init__(f"workflow {workflow_id} already resolved")


class StorageUnavailable(WfmError):
    """Nothing was written: the disk is full, the database is locked or read-only, the server is stopping. Try again."""

    code = "StorageUnavailable"


class BackendUnavailable(WfmError):
    """What executes state machines refused or could not be reached for a reason that is not the caller's. Try again."""

    code = "BackendUnavailable"


class StartUnknown(BackendUnavailable):
    """Whether an execution began is not known, as no answer came; its workflow is there, and queued until that is clear."""

    code = "StartUnknown"

    def __init__(self, workflow_id: str, why: str) -> None:
        super().__init__(
            f"{why}; whether workflow {workflow_id} has begun is not known yet. It is queued until that is clear, which "
            "takes five minutes at most: look at it before you submit it again"
        )
        self.workflow_id = workflow_id
