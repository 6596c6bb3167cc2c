"""Operations, and the OpenAPI 3.1 document that follows from them.

An operation is declared once, beside its handler: path, parameters, body, answers. The application routes by the declarations,
the handlers read their parameters through them, and the document is made of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from workflow_manager import __doc__ as about
from workflow_manager.api import documents
from workflow_manager.api.errors import RETRY_AFTER_SECONDS
from workflow_manager.api.parameters import Parameter
from workflow_manager.api.requests import Request
from workflow_manager.manager import WorkflowManager

_REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of an operation that succeeds. ``kind`` None: no body."""

    status: int
    description: str
    kind: Any = None
    example: Any = None
    content_type: str = "application/json"
    headers: dict[str, str] | None = None  # name -> description


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the API. The handler's docstring is its description.

    ``errors`` are the statuses of errors that a client can cause by this operation; those that any request may meet
    (400, 500, 503) come by themselves.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    tag: str
    handler: Callable[[WorkflowManager, Request], Awaitable[Any]]
    answer: Answer
    parameters: Sequence[Parameter[Any]] = ()
    body: type[msgspec.Struct] | None = None
    body_example: Any = None
    takes_yaml: bool = False
    errors: tuple[int, ...] = ()


TAGS = {
    "workflow-definitions": "Named state machines with their versions.",
    "workflows": "Runs of definitions: start, list, follow, cancel, resume, resolve.",
    "state-resources": "What a Task's Resource resolves to in a namespace.",
    "service": "The service itself.",
}

_ERRORS = {
    400: ("The request is wrong; the message says where and what to do.", "InvalidRequest", "/input: expected text"),
    404: ("There is no such thing; the message is its name.", "WorkflowNotFound", "no-such-id"),
    408: ("The body did not arrive in time.", "RequestTimeout", "the request took too long to arrive"),
    409: ("The workflow is already resolved.", "WorkflowAlreadyResolved", "workflow 0b3a8a2e already resolved"),
    500: ("An unexpected error.", "InternalError", "an unexpected error; the server's log says more"),
    503: (
        "Not now: the storage or what executes state machines is unavailable, or the request took too long.",
        "StorageUnavailable",
        "the disk is full; nothing was written",
    ),
}
_ANY_REQUEST = (400, 500, 503)


def openapi(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """The document, as JSON values."""
    kinds: set[Any] = {documents.Error}
    kinds |= {operation.body for operation in operations if operation.body is not None}
    kinds |= {operation.answer.kind for operation in operations if operation.answer.kind is not None}
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "workflow-manager",
            "version": version,
            "description": f"{(about or '').strip()}\n\nEvery error has a body with a stable `code` and a `message`. Every "
            "answer has an `X-Request-Id`, taken from the request if it has one.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server."}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(operation.handler.__doc__ or "").partition("\n\n")
    document: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": summary.replace("\n", " ").rstrip("."),
        "description": description or summary,
    }
    if operation.parameters:
        document["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        content = {"schema": schema_of[operation.body], "example": operation.body_example}
        types = ["application/json", *(["application/yaml"] if operation.takes_yaml else [])]
        document["requestBody"] = {
            "required": True,
            "description": f"A `{operation.body.__name__}`. Names of fields match in any case; unknown fields are ignored.",
            "content": dict.fromkeys(types, content),
        }
    document["responses"] = {str(operation.answer.status): _answer(operation.answer, schema_of)}
    late = (408,) if operation.body is not None else ()
    for status in sorted({*_ANY_REQUEST, *operation.errors, *late}):
        document["responses"][str(status)] = _error(status, schema_of)
    return document


def _parameter(parameter: Parameter[Any]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.description,
        "schema": parameter.schema,
        "example": parameter.example,
        **parameter.extra,
    }


def _answer(answer: Answer, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    headers = {"X-Request-Id": "Names the request in the server's log.", **(answer.headers or {})}
    document: dict[str, Any] = {
        "description": answer.description,
        "headers": {
            name: {"description": description, "schema": {"type": "string"}} for name, description in headers.items()
        },
    }
    if answer.kind is not None:
        document["content"] = {answer.content_type: {"schema": schema_of[answer.kind], "example": answer.example}}
    return document


def _error(status: int, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    description, code, message = _ERRORS[status]
    headers: dict[str, Any] = {
        "X-Request-Id": {"description": "Names the request in the server's log.", "schema": {"type": "string"}}
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = {
            "description": "Seconds to wait before the next try.",
            "schema": {"type": "string"},
            "example": str(RETRY_AFTER_SECONDS),
        }
    return {
        "description": description,
        "headers": headers,
        "content": {
            "application/json": {
                "schema": schema_of[documents.Error],
                "example": {"code": code, "message": message},
            }
        },
    }
