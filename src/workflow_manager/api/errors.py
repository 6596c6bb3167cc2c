"""Errors on the wire: which status each code has, and the body that every error comes with."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import structlog

from workflow_manager.api.replies import Reply
from workflow_manager.model import errors

STATUS: dict[type[errors.WfmError], int] = {
    errors.WfmError: 500,
    errors.InvalidRequest: 400,
    errors.InvalidPageToken: 400,
    errors.InvalidWorkflowDefinition: 400,
    errors.WorkflowDefinitionAlreadyExists: 400,  # clients of the contract do not know 409 here
    errors.IdempotencyKeyReused: 400,  # nor 422
    errors.WorkflowDefinitionNotFound: 404,
    errors.WorkflowNotFound: 404,
    errors.WorkflowAlreadyExists: 500,  # ids are made here: no client can cause or mend it
    errors.StateResourceNotFound: 404,
    errors.CancellationNotAllowed: 400,
    errors.ResumeNotAllowed: 400,
    errors.WorkflowAlreadyResolved: 409,
    errors.StorageUnavailable: 503,
    errors.BackendUnavailable: 503,
    errors.StartUnknown: 503,
}
"""Status of each error of the model; a subclass that has no row of its own has its parent's."""

RETRY_AFTER_SECONDS = 1

log = structlog.get_logger("workflow_manager.api")


class NoSuchPath(errors.WfmError):
    code: ClassVar[str] = "NoSuchPath"


class MethodNotAllowed(errors.WfmError):
    code: ClassVar[str] = "MethodNotAllowed"


class RequestTimedOut(errors.WfmError):
    """The handler took too long; whether it had an effect is not known."""

    code: ClassVar[str] = "RequestTimedOut"

    def __init__(self) -> None:
        super().__init__("Request timed out")


STATUS |= {NoSuchPath: 404, MethodNotAllowed: 405, RequestTimedOut: 503}


def status_of(error: errors.WfmError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def body(code: str, message: str, **details: Any) -> bytes:
    """The body of an error, ending in a newline as the original service's do."""
    return msgspec.json.encode({"code": code, "message": message, **details}, enc_hook=str) + b"\n"


def reply_to(error: Exception, request_id: str) -> Reply:
    """What a client is told about an error. One that nobody foresaw is logged, and told as no more than its request id."""
    if isinstance(error, errors.WfmError):
        status = status_of(error)
        again = status == 503 and not isinstance(error, errors.StartUnknown)  # which may have had its effect
        headers = ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),) if again else ()
        if status >= 500:
            log.warning("request refused", code=error.code, reason=error.message)
        return Reply(status, body(error.code, error.message, **error.details), headers=headers)
    if isinstance(error, RecursionError):
        log.warning("request nested too deeply")
        return Reply(400, body("InvalidRequest", "the request is nested too deeply: give it fewer levels"))
    log.error("unexpected error", exc_info=error)
    message = f"an unexpected error; the server's log says more about request {request_id}"
    return Reply(500, body("InternalError", message, requestId=request_id))
