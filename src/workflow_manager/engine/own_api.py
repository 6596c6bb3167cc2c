"""The integration ``aws-sdk:sfn``: a Task that calls the Step Functions API, which is this engine itself.

Parameters and results are in PascalCase; errors are ``Sfn.<code>Exception`` with the AWS SDK's wording.
Source: SFN developer guide, "Using AWS SDK service integrations".
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import msgspec

from workflow_manager.engine.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.stepfunctions.errors import StepFunctionsError
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
            request: Any = msgspec.convert(_initials(msgspec.json.decode(call.arguments), str.lower), request_type)
        except msgspec.ValidationError as error:
            raise IntegrationFailed("Sfn.ValidationException", f"{error} ({_said(400)})") from None
        try:
            result = await getattr(self._stepfunctions, method)(request)
        except StepFunctionsError as error:
            code = error.code if error.code.endswith("Exception") else f"{error.code}Exception"
            raise IntegrationFailed(f"Sfn.{code}", f"{error.message} ({_said(400)}) (SDK Attempt Count: 1)") from None
        plain = msgspec.to_builtins(result, builtin_types=(HistoryEvent,))
        return msgspec.json.encode(_initials(plain, str.upper)).decode()


def _said(status: int) -> str:
    return f"Service: Sfn, Status Code: {status}, Request ID: {uuid.uuid4()}"


def _initials(value: Any, case: Any) -> Any:
    """Member names with their first letter in another case, at every depth."""
    if isinstance(value, HistoryEvent):
        return _initials(value.wire(), case)
    if isinstance(value, dict):
        return {case(key[:1]) + key[1:]: _initials(item, case) for key, item in value.items()}
    if isinstance(value, list):
        return [_initials(item, case) for item in value]
    return value
