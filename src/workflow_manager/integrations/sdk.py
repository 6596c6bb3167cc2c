"""``aws-sdk:<service>:<action>``: every operation of every service that botocore has.

Source: SFN developer guide, "Using AWS SDK service integrations".
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from workflow_manager.engine.tasks.arguments import unstartable_cause
from workflow_manager.engine.tasks.integrations import Integration, IntegrationCall, IntegrationFailed
from workflow_manager.integrations import shapes
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.names import exception_name, service_name
from workflow_manager.integrations.refusals import Refused, Unreachable

PREFIX = "aws-sdk:"
BODY_TYPE = "text/plain; charset=UTF-8"
"""What the SDK says that a body is which it makes from text."""


class SdkServices(Mapping[str, Integration]):
    """``aws-sdk:<service>`` -> its integration, for all services that may be called; made when they are asked for."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._made: dict[str, SdkService] = {}

    def __getitem__(self, name: str) -> Integration:
        if name not in self._made:
            service = self._aws.services.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
            if service is None or not self._aws.may_call(service):
                raise KeyError(name)
            self._made[name] = SdkService(self._aws, service)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (PREFIX + name for name, service in self._aws.services.items() if self._aws.may_call(service))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Operations(Collection[str]):
    """The actions of a service: its operations, their first letter in lower case. Read when they are asked for."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws = aws
        self._service = service

    def named(self, action: object) -> str | None:
        """The operation that an action calls; its name need not have AWS's casing inside of words."""
        name = str(action)
        names = self._aws.operations(self._service)
        exact = name[:1].upper() + name[1:]
        if exact in names:
            return exact
        return next((each for each in names if each.lower() == name.lower()), None)

    def __contains__(self, action: object) -> bool:
        return self.named(action) is not None

    def __iter__(self) -> Iterator[str]:
        return (name[:1].lower() + name[1:] for name in self._aws.operations(self._service))

    def __len__(self) -> int:
        return len(self._aws.operations(self._service))


class SdkService:
    """One service. ``service`` is botocore's name for it."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws = aws
        self._service = service
        self.actions: Collection[str] = Operations(aws, service)

    async def invoke(self, call: IntegrationCall, /) -> str:
        operations = self.actions
        assert isinstance(operations, Operations)
        name = operations.named(call.action)
        if name is None:
            raise IntegrationFailed("States.Runtime", f"{call.service} has no action {call.action}")
        model = await self._aws.model(self._service)
        operation = model.operation_model(name)
        request = checked_request(operation.input_shape, call)
        if operation.has_streaming_input and "ContentType" in operation.input_shape.members:
            request.parameters.setdefault("ContentType", BODY_TYPE)
        service = service_name(model.service_id)
        if request.lacking and checks_members(model):
            where = _where(service, 400, str(uuid.uuid4()))
            raise IntegrationFailed(f"{service}.{service}Exception", f"{null_member(request.lacking)} ({where})")
        try:
            answer = await self._aws.call(
                self._service, name, request.parameters, role_arn=call.role_arn, session_name=call.execution_arn[-64:]
            )
        except Refused as refused:
            name = error_name(model, refused.code) or f"{service}Exception"
            raise IntegrationFailed(f"{service}.{name}", _cause(refused, service)) from None
        except Unreachable as unreachable:
            raise IntegrationFailed(f"{service}.SdkClientException", unreachable.message) from None
        return encoded(shapes.result(operation.output_shape, answer.members, shapes.instant))


def checked_request(shape: Any, call: IntegrationCall) -> shapes.Request:
    """A call's parameters for botocore. Raises IntegrationFailed, as AWS does, when their types do not fit."""
    arguments = msgspec.json.decode(call.arguments)
    if not isinstance(arguments, dict):
        raise unstartable(call, ["The Parameters must be an object"])
    made = shapes.request(shape, arguments)
    if made.unfit:
        raise unstartable(call, made.unfit)
    return made


def unstartable(call: IntegrationCall, reasons: list[str]) -> IntegrationFailed:
    return IntegrationFailed("States.Runtime", unstartable_cause(call.arguments, reasons))


def checks_members(model: Any) -> bool:
    """Whether a service answers a request that lacks members as ``null_member`` says; others have their own words."""
    return model.protocol in ("json", "rest-json") and model.service_name != "sqs"


def null_member(paths: list[str]) -> str:
    """What services say of a required member that is not there."""
    faults = [f"Value null at '{path}' failed to satisfy constraint: Member must not be null" for path in paths]
    return f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected: {'; '.join(faults)}"


def error_name(model: Any, code: str) -> str | None:
    """The exception that an error code of the service is; None when its model has none."""
    for shape in model.error_shapes:
        if code in (shape.error_code, shape.name):
            return exception_name(shape.name)
    return None


def encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _cause(refused: Refused, service: str) -> str:
    return f"{refused.message} ({_where(service, refused.status, refused.request_id, refused.extended_id)})"


def _where(service: str, status: int, request_id: str, extended_id: str | None = None) -> str:
    extended = f", Extended Request ID: {extended_id}" if extended_id else ""
    return f"Service: {service}, Status Code: {status}, Request ID: {request_id}{extended}"
