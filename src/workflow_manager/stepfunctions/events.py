"""How AWS tells that executions have changed: reading its messages as StatusChanges. Pure.

Two kinds of message say the same, and ``heard`` reads either, so that whoever carries them need not know which it has:

1. An EventBridge event "Step Functions Execution Status Change" (Step Functions guide, "Automating Step Functions event
   delivery with EventBridge"): one execution, one status.
2. A record of a CloudWatch Logs subscription (CloudWatch Logs guide, "Real-time processing of log data with subscriptions"): the
   history events that a state machine logs, gzip and, within JSON, base64. Event 2 says that an execution runs, the last
   one how it ended.

What a message leaves out (an output too large for it, a log without execution data) is not guessed: the change is not
``complete``, and whoever applies it asks the execution.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from workflow_manager.stepfunctions.arns import Arns, ParsedArn, parse
from workflow_manager.stepfunctions.changes import StatusChange
from workflow_manager.stepfunctions.errors import InvalidArn

STATUS_CHANGE = "Step Functions Execution Status Change"
"""``detail-type`` of the EventBridge events that are meant."""

LARGEST_MESSAGE_BYTES = 32 << 20
"""How far a compressed record is unpacked. CloudWatch Logs packs about one megabyte into one; more is no record of its."""

_LAST_MILLISECOND = 253_402_300_799_999
"""Of the year 9999, where datetimes end."""


class Heard(Struct, frozen=True, kw_only=True):
    """What a message says.

    ``ignored``: why parts of it say nothing of interest, a line each. ``unreadable``: it is none of the two kinds of
    message at all, or is damaged; then it has no changes, and reading it again will not help.
    """

    changes: tuple[StatusChange, ...] = ()
    ignored: tuple[str, ...] = ()
    unreadable: str = ""


def heard(message: bytes | str) -> Heard:
    """The status changes that a message tells, in its order. Never raises, whatever the message is.

    The message is an EventBridge event as JSON, or a subscription's record as JSON, as gzip of that, or as base64 of that.
    """
    try:
        decoded = msgspec.json.decode(_unpacked(message))
        match decoded:
            case {"detail-type": _}:
                return _event(decoded)
            case {"messageType": _}:
                return _record(decoded)
    except (msgspec.MsgspecError, ValueError, RecursionError, zlib.error) as error:
        return Heard(unreadable=f"cannot be decoded ({error})")
    return Heard(unreadable="is neither an EventBridge event nor a record of a CloudWatch Logs subscription")


def _unpacked(message: bytes | str) -> bytes:
    """The JSON in a message. Raises ValueError, zlib.error."""
    data = (message.encode() if isinstance(message, str) else message).strip()
    if data[:1] not in (b"{", b"\x1f"):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise ValueError("neither JSON, nor gzip, nor base64") from None
    if data[:2] != b"\x1f\x8b":
        return data
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(data, LARGEST_MESSAGE_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError(f"more than {LARGEST_MESSAGE_BYTES} bytes when unpacked")
    if not unpacker.eof:
        raise ValueError("the gzip data end too early")
    return unpacked


# ---------------------------------------------------------------------- EventBridge

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
Milliseconds = Annotated[float, Meta(ge=0, le=_LAST_MILLISECOND)]


class _Included(Struct):
    included: bool = True


class _Detail(Struct, rename="camel"):
    execution_arn: str
    state_machine_arn: str
    name: str
    status: Status
    start_date: Milliseconds
    stop_date: Milliseconds | None = None
    output: str | None = None
    output_details: _Included | None = None
    error: str | UnsetType | None = UNSET
    cause: str | UnsetType | None = UNSET


class _Event(Struct):
    detail: _Detail


def _event(decoded: dict[str, Any]) -> Heard:
    if decoded["detail-type"] != STATUS_CHANGE:
        return Heard(ignored=(f"an event {decoded['detail-type']!r}",))
    try:
        detail = msgspec.convert(decoded, _Event).detail
    except msgspec.ValidationError as error:
        return Heard(unreadable=f"is no event {STATUS_CHANGE!r} as AWS writes them ({error})")
    try:
        arn = parse(detail.execution_arn, "execution")
    except InvalidArn as error:
        return Heard(ignored=(error.message,))
    if (child := _child(arn)) is not None:
        return Heard(ignored=(child,))
    if arn.execution_name != detail.name:
        return Heard(unreadable=f"names the execution {detail.name!r}, and {arn.execution_name!r} in its ARN")
    says_all = {
        "SUCCEEDED": detail.output is not None and (detail.output_details is None or detail.output_details.included),
        "FAILED": not (detail.error is UNSET and detail.cause is UNSET),
        "ABORTED": not (detail.error is UNSET and detail.cause is UNSET),
    }
    return Heard(
        changes=(
            StatusChange(
                execution_arn=detail.execution_arn,
                state_machine_arn=detail.state_machine_arn,
                name=detail.name,
                status=detail.status,
                start_date=detail.start_date / 1000,
                stop_date=None if detail.stop_date is None else detail.stop_date / 1000,
                output=detail.output,
                error=None if detail.error is UNSET else detail.error,
                cause=None if detail.cause is UNSET else detail.cause,
                complete=says_all.get(detail.status, True),
            ),
        )
    )


# ---------------------------------------------------------------------- CloudWatch Logs

RUNS_FROM = 2
"""Id of the event that says that an execution is under way: the first says only that it was asked for."""

ENDS: dict[str, Status] = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}
"""Type of the event that ends a history -> the execution's status."""


class _LogEvent(Struct):
    message: str


class _Record(Struct, rename="camel"):
    message_type: str
    log_events: list[_LogEvent] = []


class _Logged(Struct):
    """A history event as Step Functions logs it: numbers may be text."""

    execution_arn: str
    id: int
    type: str
    event_timestamp: Milliseconds
    details: dict[str, Any] | None = None


def _record(decoded: dict[str, Any]) -> Heard:
    try:
        record = msgspec.convert(decoded, _Record)
    except msgspec.ValidationError as error:
        return Heard(unreadable=f"is no record of a CloudWatch Logs subscription as AWS writes them ({error})")
    if record.message_type == "CONTROL_MESSAGE":  # CloudWatch Logs tries whether records arrive
        return Heard()
    changes, ignored = [], []
    for logged in record.log_events:
        change = _logged(logged.message)
        if isinstance(change, str):
            ignored.append(change)
        elif change is not None:
            changes.append(change)
    return Heard(changes=tuple(changes), ignored=tuple(ignored))


def _logged(message: str) -> StatusChange | str | None:
    """The change that a logged event tells; None if it tells none; why it is ignored."""
    try:
        event = msgspec.convert(msgspec.json.decode(message), _Logged, strict=False)
        arn = parse(event.execution_arn, "execution", "express")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return f"a log line that is no history event of Step Functions ({error})"
    except InvalidArn as error:
        return error.message
    if (child := _child(arn)) is not None:
        return child
    status: Status | None = ENDS.get(event.type) or ("RUNNING" if event.id == RUNS_FROM else None)
    if status is None:
        return None
    details = event.details or {}
    texts = {name: value for name in ("output", "error", "cause") if isinstance(value := details.get(name), str)}
    truncated = details.get("outputDetails")
    whole = not (isinstance(truncated, dict) and truncated.get("truncated") is True)
    seconds = event.event_timestamp / 1000
    return StatusChange(
        execution_arn=event.execution_arn,
        state_machine_arn=Arns(arn.partition, arn.region, arn.account).state_machine(arn.name),
        name=arn.execution_name or "",
        status=status,
        start_date=seconds if status == "RUNNING" else None,
        stop_date=None if status == "RUNNING" else seconds,
        **({} if status == "RUNNING" else texts),
        complete={
            "SUCCEEDED": whole and "output" in texts,
            "FAILED": "error" in texts or "cause" in texts,
            "ABORTED": "error" in texts or "cause" in texts,
        }.get(status, True),
    )


def _child(arn: ParsedArn) -> str | None:
    """Why the execution is no workflow's: it is a part of one."""
    return None if arn.label is None else f"a child execution of the Map Run {arn.name}/{arn.label}"
