"""The integration ``aws-sdk:sfn``: a Task that calls the Step Functions API, which is this engine itself.

Parameters and results are in PascalCase; errors are ``Sfn.<code>Exception`` with the AWS SDK's wording.
Source: SFN developer guide, "Using AWS SDK service integrations".
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import msgspec

from workflow_manager.engine.core.draft import iso
from workflow_manager.engine.tasks.arguments import Unstartable, api_request, unstartable_cause
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.stepfunctions.errors import StepFunctionsError, ValidationException
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.protocol import OPERATIONS, StepFunctions

SERVICE = "aws-sdk:sfn"


class OwnApi:
    """Calls the operations of a StepFunctions."""

    def __init__(self, stepfunctions: StepFunctions) -> None:
        self._stepfunctions = stepfunctions
        self.actions: Collection[str] = frozenset(name[:1].lower() + name[1:] for name in OPERATIONS)

    async def invoke(self, call: IntegrationCall, /) -> str:
        name = call.action[:1].upper() + call.action[1:]
        operation = OPERATIONS.get(name)
        if operation is None:
            raise IntegrationFailed("States.Runtime", f"Step Functions has no operation {name}")
        method, request_type, _ = operation
        try:
            request: Any = msgspec.convert(api_request(name, msgspec.json.decode(call.arguments)), request_type)
        except Unstartable as unstartable:
            cause = unstartable_cause(call.arguments, unstartable.reasons)
            raise IntegrationFailed("States.Runtime", cause) from None
        except (ValidationException, msgspec.ValidationError) as error:
            raise _failed("ValidationException", str(error)) from None
        try:
            result = await getattr(self._stepfunctions, method)(request)
        except StepFunctionsError as error:
            raise _failed(error.code, error.message) from None
        plain = msgspec.to_builtins(result, builtin_types=(HistoryEvent,))
        return msgspec.json.encode(_result(plain)).decode()


def _failed(code: str, message: str) -> IntegrationFailed:
    where = f"(Service: Sfn, Status Code: 400, Request ID: {uuid.uuid4()}) (SDK Attempt Count: 1)"
    return IntegrationFailed(f"Sfn.{code.removesuffix('Exception')}Exception", f"{message} {where}")


TIMES = {"creationDate", "redriveDate", "startDate", "stopDate", "timestamp", "updateDate"}
MAPS = {"variableReferences"}
"""Members whose own members are no members of the API: their names are the user's."""


def _result(value: Any) -> Any:
    """An answer as SDK integrations give it: times are ISO 8601, without a fraction where there is none."""
    if isinstance(value, HistoryEvent):
        return _result(value.wire())
    if isinstance(value, list):
        return [_result(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, item in value.items():
        shown = item if name in MAPS else _result(item)
        if name in TIMES and isinstance(item, int | float):
            shown = iso(item).replace(".000Z", "Z")
        made[name[:1].upper() + name[1:]] = shown
    return made
