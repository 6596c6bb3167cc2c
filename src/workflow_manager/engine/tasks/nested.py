"""Nested executions as Tasks ask for them and hear of them: StartExecution's arguments, its answer, its errors, the end.

Pure but for request ids. The forms are those recorded from AWS, where the SDK that it calls itself with shows through.
Source: SFN developer guide, "Start a new AWS Step Functions state machine from a running execution".
"""

from __future__ import annotations

import uuid
from email.utils import formatdate
from typing import Any

import msgspec

from workflow_manager.engine.core.data import Data, text_of
from workflow_manager.engine.core.frames import Execution
from workflow_manager.engine.core.stimuli import Outcome, Stimulus, TaskCall, TaskFailed, TaskSubmitted, TaskSucceeded
from workflow_manager.engine.operations.machine_settings import check_name
from workflow_manager.stepfunctions.errors import InvalidArn, StepFunctionsError, ValidationException


def nested_arguments(arguments: Any) -> tuple[str, str, Data]:
    """(state machine ARN, execution name, input). Raises StepFunctionsError."""
    if not isinstance(arguments, dict):
        raise ValidationException("The Parameters of startExecution must be an object")
    arn = arguments.get("StateMachineArn")
    if not isinstance(arn, str):
        raise InvalidArn("Invalid Arn: 'StateMachineArn must be a string'")
    name = arguments.get("Name")
    if name is None:
        name = str(uuid.uuid4())
    elif not isinstance(name, str) or not 1 <= len(name) <= 80:
        raise ValidationException("Name must be a string of 1 to 80 characters")
    check_name(name)
    value = arguments.get("Input", {})
    if isinstance(value, str):
        with_text = _json_or_none(value)
        return arn, name, with_text if with_text is not None else Data(value)
    return arn, name, Data({} if value is None else value)


def _json_or_none(text: str) -> Data | None:
    try:
        return Data(msgspec.json.decode(text), text)
    except msgspec.DecodeError:
        return None


def nested_answer(call: TaskCall, arn: str, start: float, child: str | None = None) -> Stimulus:
    """The execution was started; ``child``: its ARN, if its end is waited for."""
    started = text_of(_started(arn, start, str(uuid.uuid4())))
    if call.resource.pattern == "request_response":
        return TaskSucceeded(call.frame, call.scheduled_event, started)
    return TaskSubmitted(call.frame, call.scheduled_event, started, child)


def nested_failure(call: TaskCall, error: StepFunctionsError) -> TaskFailed:
    cause = (
        f"{error.message} (Service: AWSStepFunctions; Status Code: 400; Error Code: {error.code}; "
        f"Request ID: {uuid.uuid4()}; Proxy: null)"
    )
    submitting = call.resource.pattern != "request_response"
    return TaskFailed(call.frame, call.scheduled_event, f"StepFunctions.{error.code}Exception", cause, submitting)


def _started(arn: str, start: float, request_id: str) -> dict[str, Any]:
    """What the SDK that AWS calls itself with answers."""
    body = f'{{"executionArn":"{arn}","startDate":{start / 1e9:.12f}E9}}'  # as AWS writes times
    headers = {
        "Content-Length": str(len(body)),
        "Content-Type": "application/x-amz-json-1.0",
        "Date": formatdate(start, usegmt=True),
        "connection": "keep-alive",
        "x-amzn-RequestId": request_id,
    }
    return {
        "ExecutionArn": arn,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
        "StartDate": int(start * 1000),
    }


def described_end(execution: Execution, outcome: Outcome, stop: float, *, parsed: bool) -> dict[str, Any]:
    """The ended execution as ``.sync`` (texts) and ``.sync:2`` (values) answer it."""
    described: dict[str, Any] = {
        "ExecutionArn": execution.arn,
        "Input": execution.input.value if parsed else execution.input.text,
        "InputDetails": {"Included": True},
        "Name": execution.name,
        "StartDate": int(execution.start_date * 1000),
        "StateMachineArn": execution.machine_arn,
        "Status": outcome.status,
        "StopDate": int(stop * 1000),
    }
    if outcome.output is not None:
        described["Output"] = msgspec.json.decode(outcome.output) if parsed else outcome.output
        described["OutputDetails"] = {"Included": True}
    if outcome.error is not None:
        described["Error"] = outcome.error
    if outcome.cause is not None:
        described["Cause"] = outcome.cause
    return described
