"""Errors: every one has a status, and a body with code and message."""

from __future__ import annotations

import json

import pytest
import structlog

from workflow_manager.api import errors as api_errors
from workflow_manager.asl.diagnostics import Diagnostic
from workflow_manager.model import errors


def descendants(kind: type) -> list[type]:
    """All kinds but those of applications (sdk), which no API tells of and which are there once a test has imported them."""
    kinds = [kind, *(each for child in kind.__subclasses__() for each in descendants(child))]
    return [each for each in kinds if not each.__module__.startswith("workflow_manager.sdk.")]


@pytest.mark.parametrize("kind", descendants(errors.WfmError), ids=lambda kind: kind.__name__)
def test_every_code_has_its_row(kind: type[errors.WfmError]) -> None:
    """A kind without a code of its own is its parent's to clients."""
    assert kind in api_errors.STATUS or "code" not in vars(kind)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in api_errors.STATUS]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (errors.InvalidRequest("/a: no"), 400, {"code": "InvalidRequest", "message": "/a: no"}),
        (
            errors.InvalidWorkflowDefinition("no", diagnostics=[Diagnostic("C", "m", "/States")]),
            400,
            {
                "code": "InvalidWorkflowDefinition",
                "message": "no",
                "diagnostics": [{"code": "C", "message": "m", "location": "/States", "severity": "ERROR"}],
            },
        ),
        (
            errors.WorkflowDefinitionAlreadyExists("n"),
            400,
            {"code": "WorkflowDefinitionAlreadyExists", "message": "Already Exists: n"},
        ),
        (
            errors.WorkflowDefinitionNotFound("n", 3),
            404,
            {"code": "WorkflowDefinitionNotFound", "message": "n@3"},
        ),
        (errors.WorkflowNotFound("w"), 404, {"code": "WorkflowNotFound", "message": "w"}),
        (errors.StateResourceNotFound("ns", "n"), 404, {"code": "StateResourceNotFound", "message": "ns--n"}),
        (
            errors.WorkflowAlreadyResolved("w"),
            409,
            {"code": "WorkflowAlreadyResolved", "message": "workflow w already resolved"},
        ),
        (errors.StorageUnavailable("full"), 503, {"code": "StorageUnavailable", "message": "full"}),
        (api_errors.RequestTimedOut(), 503, {"code": "RequestTimedOut", "message": "Request timed out"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_bodies(error: Exception, status: int, body: dict) -> None:
    reply = api_errors.reply_to(error, "r")

    assert (reply.status, json.loads(reply.body)) == (status, body)
    assert reply.content_type == b"application/json"
    assert reply.body.endswith(b"\n")
    assert ((b"retry-after", b"1") in reply.headers) == (status == 503)


def test_a_new_kind_of_error_has_the_status_of_its_parent() -> None:
    assert api_errors.status_of(errors.InvalidPageToken("x")) == 400


def test_an_unexpected_error_tells_its_request_and_nothing_else() -> None:
    with structlog.testing.capture_logs() as logs:
        reply = api_errors.reply_to(KeyError("secret"), "r-1")

    assert reply.status == 500
    assert json.loads(reply.body) == {
        "code": "InternalError",
        "message": "an unexpected error; the server's log says more about request r-1",
        "requestId": "r-1",
    }
    assert [(line["event"], line["log_level"]) for line in logs] == [("unexpected error", "error")]
    assert isinstance(logs[0]["exc_info"], KeyError)


def test_endless_recursion_is_the_requests_fault() -> None:
    reply = api_errors.reply_to(RecursionError(), "r")

    assert (reply.status, json.loads(reply.body)["code"]) == (400, "InvalidRequest")
