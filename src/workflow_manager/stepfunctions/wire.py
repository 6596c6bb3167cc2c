"""The Step Functions API over HTTP: serves any implementation of the seam as AWS JSON 1.0.

A raw ASGI application for ``POST /`` with ``X-Amz-Target: AWSStepFunctions.<Operation>``, so that boto3, the AWS CLI and
workers written for Step Functions need nothing but an endpoint URL. Any host and any credentials are accepted. This is the
hot path: an operation costs one read, one call and one answer, and no task of its own; only GetActivityTask, whose
client may leave before there is a task to give, has one (longpoll.py).

Source: AWS JSON 1.0 protocol (Smithy, "awsJson1_0"); Step Functions API reference, "Common Errors".
"""

from __future__ import annotations

import asyncio
import itertools
import os
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec
import structlog

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import EncodedHistory, encode_events, encode_page
from workflow_manager.stepfunctions.longpoll import Delivery, Describes, Gone, answer_poll
from workflow_manager.stepfunctions.patience import Patience
from workflow_manager.stepfunctions.protocol import OPERATIONS, StepFunctions
from workflow_manager.stepfunctions.validation import MAX_PAYLOAD, checks, diagnose, request_shape

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 8 << 20
"""A definition may have 1 MiB, and each of its characters may be written as an escape of six."""

BODY_TIMEOUT_SECONDS = 30.0

TARGET_PREFIX = "AWSStepFunctions."
STATE_HEADER, ATTEMPT_HEADER = b"x-wfm-state", b"x-wfm-attempt"
"""Of answers to GetActivityTask that bring a task: its state, in percent-encoded UTF-8, and the attempt, from 1 on."""

SERVICE = "com.amazonaws.swf.service.v2.model#"
COMMON = "com.amazon.coral.service#"
NAMESPACES = {
    "InternalServerError": COMMON,
    "SerializationException": COMMON,
    "ServiceUnavailableException": COMMON,
    "UnknownOperationException": COMMON,
    "ValidationException": "com.amazon.coral.validate#",
}
"""What stands before an error's code in ``__type``; SERVICE where there is no row. Clients ignore it."""

STATUS = {"InternalServerError": 500, "ServiceUnavailableException": 503}
"""The errors that are not the caller's; all others are 400."""

log = structlog.get_logger("workflow_manager.wire")
encoder = msgspec.json.Encoder()


class Refused(Exception):
    """The body was not read to its end: answer this and close the connection."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an implementation, with everything prepared that does not depend on the request."""

    name: str
    call: Callable[[Any], Coroutine[Any, Any, Any]]
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    checks: tuple[tuple[str, Callable[[Any], bool]], ...]  # attribute of the request, whether its value will do
    polls: bool
    max_payload: int

    def request(self, body: bytes) -> Any:
        """The body as this operation's request. Raises ValidationException or SerializationException."""
        try:
            request = self.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise diagnose(self.name, body, self.max_payload) from None
        for attribute, fits in self.checks:
            if not fits(getattr(request, attribute)):
                raise diagnose(self.name, body, self.max_payload)
        return request


def create_wire(
    stepfunctions: StepFunctions,
    *,
    max_body: int = MAX_BODY_BYTES,
    body_timeout: float = BODY_TIMEOUT_SECONDS,
    max_payload: int = MAX_PAYLOAD,
) -> AsgiApp:
    """Make the ASGI application that serves ``stepfunctions``; it takes connections of type ``http`` only.

    ``max_payload``: how many characters an input or output may have.
    Bodies of more than ``max_body`` bytes are refused, and so are those that take longer than ``body_timeout`` seconds
    (and up to one more) to arrive. An implementation that is a Delivery is told what becomes of the tasks it gave to pollers.
    """
    operations = {
        f"{TARGET_PREFIX}{name}".encode(): _operation(stepfunctions, name, max_payload) for name in OPERATIONS
    }
    delivery = stepfunctions if isinstance(stepfunctions, Delivery) else None
    describes = stepfunctions if isinstance(stepfunctions, Describes) else None
    new_request_id, patience = _request_ids(), Patience(body_timeout)

    async def wire(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        target, length = b"", 0
        for header, value in scope["headers"]:
            if header == b"x-amz-target":
                target = value
            elif header == b"content-length":
                length = int(value)
        try:
            body = await _read(receive, length, max_body, patience)
            operation = _choose(operations, scope["method"], target)
            request = operation.request(body)
            if operation.polls:

                async def answer(result: t.GetActivityTaskOutput) -> None:
                    about = describes.about(result.task_token) if describes and result.task_token else None
                    more = [] if about is None else _about(*about)
                    await _send(send, 200, encoder.encode(result), request_id, more)

                await answer_poll(operation.call(request), _disconnected(receive), answer, delivery)
                return
            status, content = 200, operation.encode(await operation.call(request))
        except errors.StepFunctionsError as error:
            status, content = STATUS.get(error.code, 400), _error(error)
        except Refused as refused:
            content = encoder.encode({"__type": COMMON + refused.code, "message": refused.message})
            await _send(send, refused.status, content, request_id, close=True)
            return
        except Gone:
            return
        except Exception as error:  # noqa: BLE001 - a fault of ours, whichever it is, is logged and survived
            _log_fault(error, target, request_id)
            why = f"An internal error occurred; the server's log says more about request {request_id.decode()}."
            status, content = 500, _error(errors.StepFunctionsError(why))
        await _send(send, status, content, request_id)

    return wire


def _operation(stepfunctions: StepFunctions, name: str, max_payload: int) -> Operation:
    method, request_type, _ = OPERATIONS[name]
    attributes = {field.encode_name: field.name for field in msgspec.structs.fields(request_type)}
    call: Callable[[Any], Coroutine[Any, Any, Any]] = getattr(stepfunctions, method)
    encode: Callable[[Any], bytes] = encoder.encode
    if name == "GetExecutionHistory":
        if isinstance(stepfunctions, EncodedHistory):
            call, encode = stepfunctions.encoded_history, bytes
        else:
            encode = _encode_history
    return Operation(
        name=name,
        call=call,
        decode=msgspec.json.Decoder(request_type).decode,
        encode=encode,
        checks=tuple((attributes[member], fits) for member, fits in checks(request_shape(name, max_payload))),
        max_payload=max_payload,
        polls=name == "GetActivityTask",
    )


def _encode_history(result: t.GetExecutionHistoryOutput) -> bytes:
    return encode_page([encode_events(result.events)], result.next_token)


def _request_ids() -> Callable[[], bytes]:
    """Ids in the form of UUIDs: one random part per process and a counter, as a random id costs a system call."""
    prefix = os.urandom(10).hex()
    prefix = "-".join((prefix[:8], prefix[8:12], prefix[12:16], prefix[16:20]))
    counter = itertools.count(1)

    def new() -> bytes:
        return f"{prefix}-{next(counter):012x}".encode()

    return new


async def _read(receive: Receive, length: int, max_body: int, patience: Patience) -> bytes:
    """The request's body, which announced itself with ``length`` bytes. Raises Refused and Gone."""
    if length > max_body:
        raise _too_large(max_body)
    task = patience.begin()
    try:
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            chunks, size = [body], len(body)
            while size <= max_body and message.get("more_body", False):
                message = await receive()
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
            body = b"".join(chunks)
    except asyncio.CancelledError:
        if not patience.ran_out(task):
            raise
        why = f"The request's body did not arrive within {patience.seconds:g} seconds."
        raise Refused(408, "RequestTimeoutException", why) from None
    finally:
        patience.end(task)
    if message["type"] == "http.disconnect":
        raise Gone
    if len(body) > max_body:
        raise _too_large(max_body)
    return body


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _about(state: str, attempt: int) -> list[tuple[bytes, bytes]]:
    """Headers that tell our own workers what AWS tells none; every other client passes over them."""
    return [(STATE_HEADER, quote(state, safe="").encode()), (ATTEMPT_HEADER, b"%d" % attempt)]


async def _send(
    send: Send,
    status: int,
    content: bytes,
    request_id: bytes,
    more: Iterable[tuple[bytes, bytes]] = (),
    *,
    close: bool = False,
) -> None:
    headers = [
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"content-length", b"%d" % len(content)),
        (b"x-amzn-requestid", request_id),
        *more,
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _error(error: errors.StepFunctionsError) -> bytes:
    code = NAMESPACES.get(error.code, SERVICE) + error.code
    return encoder.encode({"__type": code, "message": error.message, **error.members})


def _choose(operations: Mapping[bytes, Operation], method: str, target: bytes) -> Operation:
    """Raises UnknownOperationException."""
    operation = operations.get(target)
    if method != "POST":
        raise errors.UnknownOperationException(f"The Step Functions API is called by POST, not by {method}.")
    if operation is not None:
        return operation
    raise errors.UnknownOperationException(
        f"The header X-Amz-Target must be {TARGET_PREFIX} and the name of an operation, such as"
        f" {TARGET_PREFIX}StartExecution; it is '{target.decode('latin-1')}'."
    )


def _too_large(max_body: int) -> Refused:
    return Refused(413, "RequestEntityTooLargeException", f"The request's body is larger than {max_body} bytes.")


def _log_fault(error: Exception, target: bytes, request_id: bytes) -> None:
    """Say where it happened but not the exception's own words, as they may quote a payload."""
    log.error(
        "operation failed",
        request_id=request_id.decode(),
        target=target.decode("latin-1"),
        error=type(error).__name__,
        stack="".join(traceback.format_tb(error.__traceback__)),
    )
