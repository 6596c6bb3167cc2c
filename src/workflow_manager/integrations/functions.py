"""Lambda functions: Tasks whose Resource is a function's ARN, and ``lambda:invoke``.

A function is carried out by the first of these that there is: a Python callable registered under its name, the
Lambda-compatible HTTP endpoint that a setting names, or Lambda at AWS. What it answers, and how it fails, is what Lambda and
Step Functions make of it, whichever it was.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from workflow_manager.engine.tasks.integrations import LAMBDA, IntegrationCall, IntegrationFailed
from workflow_manager.integrations import shapes, threads
from workflow_manager.integrations.aws import Answer, Aws
from workflow_manager.integrations.names import exception_name
from workflow_manager.integrations.optimised import cause_of, sdk_metadata
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.sdk import encoded, error_name, null_member, unstartable
from workflow_manager.integrations.threads import Threads

READ_SECONDS = 910.0
"""A function may run for fifteen minutes."""
PARAMETERS = ("FunctionName", "Payload", "InvocationType", "Qualifier", "LogType", "ClientContext", "TenantId")
SDK = "AWSLambda"


class UnusableFunction(Exception):
    """A registered function cannot be had; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a registered function is given as Lambda's context."""

    function_name: str
    invoked_function_arn: str
    aws_request_id: str
    deadline: float
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 128

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.deadline - time.monotonic()) * 1000))


@dataclass(frozen=True, slots=True)
class Invoked:
    """What came of an invocation: ``payload`` as the function sent it, ``failed`` when it is an error object."""

    payload: bytes
    failed: bool
    answer: Answer


def load_functions(named: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
    """Import registered functions: function name -> ``module:callable``. Raises UnusableFunction.

    Modules are looked for in the current folder, too.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    functions = {}
    for name, place in named.items():
        module, colon, path = place.partition(":")
        if not (colon and module and path):
            raise UnusableFunction(f"the function {name!r} must be named as module:callable, not {place!r}")
        try:
            found: Any = importlib.import_module(module)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except Exception as error:  # noqa: BLE001 - importing runs whatever is in the module
            raise UnusableFunction(
                f"the function {name!r} cannot be imported from {place!r}: {type(error).__name__}: {error}"
            ) from None
        if not callable(found):
            raise UnusableFunction(f"the function {name!r} is {place!r}, which cannot be called")
        functions[name] = found
    return functions


class LambdaFunctions:
    """``aws`` is None when only registered functions are to be called."""

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        *,
        aws: Aws | None = None,
        endpoint: str | None = None,
        limit: int = 64,
        region: str = "us-east-1",
        account: str = "000000000000",
    ) -> None:
        self.actions: Collection[str] = frozenset({"invoke"})
        self._functions = functions
        self._aws = aws
        self._endpoint = endpoint
        self._region = region
        self._account = account
        self._threads = Threads(limit, "function")

    async def invoke(self, call: IntegrationCall, /) -> str:
        if not call.action:
            parameters: dict[str, Any] = {"FunctionName": call.resource, "Payload": call.arguments}
            invoked = await self._invoked(parameters, call)
            return _text(invoked.payload) or "null"
        invoked = await self._invoked(_parameters(call), call)
        return encoded(_result(invoked, msgspec.json.decode(call.arguments)))

    async def _invoked(self, parameters: dict[str, Any], call: IntegrationCall) -> Invoked:
        """Raises IntegrationFailed, also for errors of the function itself."""
        function = self._registered(parameters["FunctionName"])
        if function is not None:
            invoked = await self._run(function, parameters)
        elif self._aws is not None:
            invoked = await self._remote(parameters, call)
        else:
            raise self._refused(
                404,
                "ResourceNotFoundException",
                f"Function not found: {self._arn(parameters['FunctionName'])}",
            )
        if invoked.failed:
            raise _function_error(invoked.payload)
        return invoked

    # ------------------------------------------------------------------------------------------ somewhere else

    async def _remote(self, parameters: dict[str, Any], call: IntegrationCall) -> Invoked:
        assert self._aws is not None
        context = parameters.get("ClientContext")
        if context is not None and not isinstance(context, str):
            parameters = {**parameters, "ClientContext": base64.b64encode(msgspec.json.encode(context)).decode()}
        try:
            answer = await self._aws.call(
                "lambda",
                "Invoke",
                parameters,
                role_arn=call.role_arn,
                session_name=call.execution_arn[-64:],
                endpoint=self._endpoint,
                attempts=1,  # a function may have run although its answer was lost; only Retry says to run it again
                read_seconds=READ_SECONDS,
            )
        except Refused as refused:
            name = error_name(await self._aws.model("lambda"), refused.code) or "AWSLambdaException"
            raise IntegrationFailed(f"Lambda.{name}", cause_of(refused, SDK)) from None
        except Unreachable as unreachable:
            raise IntegrationFailed("Lambda.SdkClientException", unreachable.message) from None
        payload = answer.members.get("Payload") or b""
        return Invoked(payload, "FunctionError" in answer.members, answer)

    # ------------------------------------------------------------------------------------------ right here

    def _registered(self, name: str) -> Callable[..., Any] | None:
        parts = name.split(":")
        if name.startswith("arn:"):
            name = parts[6] if len(parts) > 6 else ""
        elif len(parts) > 2 and "function" in parts:  # 123456789012:function:name
            name = parts[parts.index("function") + 1]
        else:
            name = parts[0]
        return self._functions.get(name)

    def _arn(self, name: str) -> str:
        return name if name.startswith("arn:") else f"arn:aws:lambda:{self._region}:{self._account}:function:{name}"

    async def _run(self, function: Callable[..., Any], parameters: dict[str, Any]) -> Invoked:
        """Call a registered function, as Lambda's Python runtime does."""
        payload, request_id, name = parameters.get("Payload", "{}"), str(uuid.uuid4()), parameters["FunctionName"]
        try:
            event = json.loads(payload or "{}")
        except ValueError as error:
            raise self._refused(
                400, "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from None
        kind = parameters.get("InvocationType") or "RequestResponse"
        answer = Answer({}, {}, {"Event": 202, "DryRun": 204}.get(kind, 200), request_id, genuine=False)
        if kind == "DryRun":
            return Invoked(b"", failed=False, answer=answer)
        arn = self._arn(name)
        context = Context(arn.split(":")[6], arn, request_id, time.monotonic() + READ_SECONDS)
        failed = False
        try:
            output = await self._called(function, event, context)
        except Exception as error:  # noqa: BLE001 - whatever a function raises is its answer
            output = _error_object(type(error).__name__, str(error), request_id, error)
            failed = True
        try:
            written = json.dumps(output, default=msgspec.to_builtins, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            failed = True
            output = _error_object("Runtime.MarshalError", f"Unable to marshal response: {error}", request_id)
            written = json.dumps(output).encode()
        if kind == "Event":
            return Invoked(b"", failed=False, answer=answer)
        return Invoked(written, failed, answer)

    async def _called(self, function: Callable[..., Any], event: Any, context: Context) -> Any:
        arguments = (event, context) if _takes_context(function) else (event,)
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        return await self._threads.run(lambda: function(*arguments))

    def _refused(self, status: int, code: str, message: str) -> IntegrationFailed:
        refused = Refused(code, message, status, str(uuid.uuid4()))
        return IntegrationFailed(f"Lambda.{exception_name(code)}", cause_of(refused, SDK))


def _parameters(call: IntegrationCall) -> dict[str, Any]:
    """The parameters of ``lambda:invoke``. Raises IntegrationFailed."""
    arguments = msgspec.json.decode(call.arguments)
    if not isinstance(arguments, dict):
        raise unstartable(call, ["The Parameters must be an object"])
    unfit = [f"The field '{name}' is not supported by Step Functions" for name in arguments if name not in PARAMETERS]
    unfit += [
        f"The value for the field '{name}' must be a STRING"
        for name, value in arguments.items()
        if name in PARAMETERS and name not in ("Payload", "ClientContext") and not isinstance(value, str | None)
    ]
    if unfit:
        raise unstartable(call, unfit)
    given = {name: value for name, value in arguments.items() if value is not None}
    if not given.get("FunctionName"):
        refused = Refused("ValidationException", null_member(["functionName"]), 400, str(uuid.uuid4()))
        raise IntegrationFailed("Lambda.AWSLambdaException", cause_of(refused, SDK))
    return {**given, "Payload": shapes.as_text(given.get("Payload", {}))}


def _result(invoked: Invoked, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = invoked.answer
    members = {
        "ExecutedVersion": answer.members.get("ExecutedVersion", "$LATEST"),
        "Payload": _value(invoked.payload),
        "StatusCode": answer.members.get("StatusCode", answer.status),
    }
    if arguments.get("LogType") == "Tail":
        members["LogResult"] = answer.members.get("LogResult", "")
        if not answer.genuine:  # one that keeps no log has an empty one
            answer.headers.setdefault("x-amz-log-result", members["LogResult"])
    return members | sdk_metadata(LAMBDA, answer, {}, length=len(invoked.payload))


def _function_error(payload: bytes) -> IntegrationFailed:
    """A function's own error: its type is the error's name, and all it answered the cause."""
    text = _text(payload)
    value = _value(payload)
    if isinstance(value, dict) and isinstance(value.get("errorType"), str) and value["errorType"]:
        return IntegrationFailed(value["errorType"], text)
    return IntegrationFailed(
        "Lambda.Unknown",
        f"The cause could not be determined because Lambda did not return an error type. Returned payload: {text}",
    )


def _error_object(kind: str, message: str, request_id: str, error: BaseException | None = None) -> dict[str, Any]:
    """An error as Lambda's Python runtime writes it; the frames are the function's own."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [frame for frame in frames if frame.filename not in (__file__, threads.__file__)]
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": traceback.format_list(own),
    }


def _takes_context(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _text(payload: bytes) -> str:
    return payload.decode(errors="replace")


def _value(payload: bytes) -> Any:
    """A payload as a value; text that is not JSON stays text."""
    try:
        return json.loads(payload)
    except ValueError:
        return _text(payload)
