"""moto's Step Functions: another's interpreter of state machines, with which this project has to get on.

Three of its answers are mended here, without which hardly anything could be asked of it. ValidateStateMachineDefinition, which it
lacks, is answered by this project's own check. StopExecution, which answers before there is a date to tell, waits for that. And
StartExecution waits until the execution has ended or waits itself, so that tests need not.
What else it does otherwise than AWS is left as it is: moto_cases.py has the cases that cannot pass for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partialmethod
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import botocore.endpoint
from dynamodb_world import emptied_moto
from moto.core.responses import ActionResult
from moto.stepfunctions.responses import StepFunctionResponse

from workflow_manager.asl import diagnose
from workflow_manager.manager import ManagerSettings
from workflow_manager.stepfunctions.aws import AwsStepFunctions

PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.002


def mend() -> None:
    """Of the server that runs in this process."""
    StepFunctionResponse.validate_state_machine_definition = _validated  # type: ignore[attr-defined]
    StepFunctionResponse.stop_execution = _stopped  # type: ignore[method-assign]
    StepFunctionResponse.start_execution = partialmethod(_started, StepFunctionResponse.start_execution)  # type: ignore[method-assign]


def _validated(self: Any) -> ActionResult:
    found = [each for each in diagnose(self._get_param("definition")) if each.severity == "ERROR"]
    diagnostics = [
        {"severity": each.severity, "code": each.code, "message": each.message, "location": each.location}
        for each in found
    ]
    return ActionResult({"result": "FAIL" if found else "OK", "diagnostics": diagnostics, "truncated": False})


def _started(self: Any, start: Callable[[Any], ActionResult]) -> ActionResult:
    answer = start(self)
    execution = self.stepfunction_backend.describe_execution(answer.result["executionArn"])

    def settled() -> bool:
        if execution.status != "RUNNING":
            return True
        events = self.stepfunction_backend.get_execution_history(execution.execution_arn)["events"]
        return bool(events) and events[-1]["type"] == "WaitStateEntered"

    _until(settled)
    return answer


def _stopped(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.stop_execution(self._get_param("executionArn"))
    _until(lambda: execution.stop_date is not None)
    return ActionResult({"stopDate": execution.stop_date})


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


@contextmanager
def without_pauses() -> Iterator[None]:
    """What moto answers with 500 it does not answer otherwise when botocore tries again: it need not wait for that."""
    with patch.object(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None)):
        yield


def on_emptied_moto(url: str) -> AwsStepFunctions:
    """A client in the account of the tests' settings; nothing is there, and it knows of nothing."""
    stepfunctions = _client(url)
    emptied_moto(url)
    stepfunctions._immutable.clear()
    return stepfunctions


@cache
def _client(url: str) -> AwsStepFunctions:
    """One for all tests: to make one takes longer than most of them. moto tells accounts apart by a header."""
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    session.events.register("before-call.sfn", _in_the_account)
    session.client(
        "stepfunctions", endpoint_url=url
    ).list_activities()  # moto loads much before it answers the first time
    return AwsStepFunctions(session=session, endpoint_url=url, threads=8, polls=1)


async def close_client(url: str) -> None:
    """At the end, if there is one."""
    if _client.cache_info().currsize:
        await _client(url).close()


def _in_the_account(params: dict[str, Any], **_: object) -> None:
    params["headers"]["x-moto-account-id"] = ManagerSettings().account_id
