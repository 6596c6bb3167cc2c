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
from workflow_manager.engine.tasks.arguments import Unstartable, api_request, unstartable_cause
from workflow_manager.stepfunctions.errors import StepFunctionsError


def nested_arguments(arguments: Any) -> tuple[str, str, Data]:
    """(state machine ARN, execution name, input). Raises Unstartable, StepFunctionsError."""
    value = {}
    if isinstance(arguments, dict) and "Input" in arguments:  # of any type, with text for text that is JSON
        value, arguments = arguments["Input"], {name: item for name, item in arguments.items() if name != "Input"}
    request = api_request("StartExecution", arguments)
    name = request.get("name") or str(uuid.uuid4())
    check_name(name)
    if isinstance(value, str):
        with_text = _json_or_none(value)
        return request["stateMachineArn"], name, with_text if with_text is not None else Data(value)
    return request["stateMachineArn"], name, Data({} if value is None else value)


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


def nested_failure(call: TaskCall, error: StepFunctionsError | Unstartable) -> TaskFailed:
    if isinstance(error, Unstartable):
        name, cause = "States.Runtime", unstartable_cause(call.arguments, error.reasons)
    else:
        name = f"StepFunctions.{error.code.removesuffix('Exception')}Exception"
        cause = (
            f"{error.message} (Service: AWSStepFunctions; Status Code: 400; Error Code: {error.code}; "
            f"Request ID: {uuid.uuid4()}; Proxy: null)"
        )
    submitting = call.resource.pattern != "request_response"
    return TaskFailed(call.frame, call.scheduled_event, name, cause, submitting)


def _started(arn: str, start: float, request_id: str) -> dict[str, Any]:
    """What the SDK that AWS calls itself with answers."""
    seconds = f"{start / 1e9:.12f}".rstrip("0")  # as Java writes numbers: no more digits than there are
    body = f'{{"executionArn":"{arn}","startDate":{seconds}E9}}'
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
