"""The integration ``aws-sdk:sfn``: a Task that calls the Step Functions API, which is this engine itself.

Parameters and results are in PascalCase; errors are ``Sfn.<code>Exception`` with the AWS SDK's wording.
Source: SFN developer guide, "Using AWS SDK service integrations".
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any, get_args

import msgspec

from workflow_manager.engine.core.data import text_of
from workflow_manager.engine.core.draft import iso
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
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
            request: Any = msgspec.convert(_parameters(msgspec.json.decode(call.arguments), request_type), request_type)
        except msgspec.ValidationError as error:
            raise IntegrationFailed("Sfn.ValidationException", f"{error} ({_said(400)})") from None
        try:
            result = await getattr(self._stepfunctions, method)(request)
        except StepFunctionsError as error:
            code = error.code if error.code.endswith("Exception") else f"{error.code}Exception"
            raise IntegrationFailed(f"Sfn.{code}", f"{error.message} ({_said(400)}) (SDK Attempt Count: 1)") from None
        plain = msgspec.to_builtins(result, builtin_types=(HistoryEvent,))
        return msgspec.json.encode(_result(plain)).decode()


def _parameters(arguments: Any, request_type: type) -> Any:
    """The request's members: names in the API's case; where the API has text and the state JSON, its text."""
    if not isinstance(arguments, dict):
        return arguments
    texts = {field.encode_name for field in msgspec.structs.fields(request_type) if _is_text(field.type)}
    made = {}
    for name, value in arguments.items():
        member = name[:1].lower() + name[1:]
        written = member in texts and isinstance(value, dict | list)
        made[member] = text_of(value) if written else _initials(value, str.lower)
    return made


def _is_text(kind: Any) -> bool:
    """Whether a member's type is ``Annotated[str, ...]``, perhaps or None."""
    return any(getattr(option, "__origin__", option) is str for option in (kind, *get_args(kind)))


def _said(status: int) -> str:
    return f"Service: Sfn, Status Code: {status}, Request ID: {uuid.uuid4()}"


def _initials(value: Any, case: Any) -> Any:
    """Member names with their first letter in another case, at every depth."""
    if isinstance(value, dict):
        return {case(key[:1]) + key[1:]: _initials(item, case) for key, item in value.items()}
    if isinstance(value, list):
        return [_initials(item, case) for item in value]
    return value


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
