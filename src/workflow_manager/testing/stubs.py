"""What answers the Tasks of a test: stubs by state or Resource, mock configuration files, functions of an application."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from workflow_manager.engine.mocks import Asked, InvalidMocks, Mocks, Response, Return, TestCase, Throw, parse_mocks
from workflow_manager.manager.naming import Arns, resource_name
from workflow_manager.manager.resources import shorthand
from workflow_manager.model import StateResourceType
from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.sdk.context import Context
from workflow_manager.sdk.conversion import to_json, without_id
from workflow_manager.sdk.functions import TaskFunction, call, call_async, failure
from workflow_manager.worker.limits import cut_cause, cut_error
from workflow_manager.worker.outcome import Outcome, Success
from workflow_manager.worker.task import EXECUTION_NAME

NATIVE = ("arn:aws:states:::states:", "arn:aws:states:::aws-sdk:sfn:")
"""What the engine does itself when there is no stub: nested executions, and the Step Functions API."""


class Unstubbed(AssertionError):
    """Tasks came for which there is neither a stub nor a function; the message says for which states to write one."""


@dataclass(frozen=True, slots=True)
class Fail:
    """As an answer of a stub: the task fails with this error, which Retry and Catch match."""

    error: str
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A Task that was answered: ``attempt`` counts from 1, ``input`` and ``output`` are JSON, ``error`` is None on success."""

    execution: str
    state: str
    resource: str
    attempt: int
    input: Any
    output: Any = None
    error: str | None = None


@dataclass(slots=True)
class Stub:
    """Answers in turn; the last one stays."""

    answers: list[Any]

    def next(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass(slots=True)
class Stubs:
    """A StandIn for the engine. ``test_case`` is that of the workflow which runs, by state."""

    arns: Arns
    namespace: str
    stubs: dict[str, Stub] = field(default_factory=dict)
    functions: dict[str, TaskFunction] = field(default_factory=dict)
    mocks: Mocks | None = None
    test_case: TestCase = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    _loop: BackgroundLoop | None = None

    def add(self, name: str, answers: tuple[Any, ...]) -> None:
        """``name`` is a state's, or a Resource as definitions write it."""
        stub = Stub(list(answers) or [{}])
        self.stubs[name] = stub
        expanded = self._expanded(name)
        if expanded is not None:
            self.stubs[expanded] = stub

    def add_function(self, function: TaskFunction) -> None:
        self.functions[self.arns.activity(resource_name(self.namespace, function.name))] = function

    def read_mocks(self, file: str | Path) -> None:
        """Raises ValueError with every fault of the file."""
        try:
            self.mocks = parse_mocks(Path(file).read_bytes())
        except InvalidMocks as error:
            raise ValueError(f"{file}: {error}") from None

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    # ------------------------------------------------------------------ what the engine asks

    def answer(self, asked: Asked) -> Response | None:
        value = msgspec.json.decode(asked.arguments)
        mocked = self.test_case.get(asked.state)
        stub = self.stubs.get(asked.state) or self.stubs.get(asked.resource)
        function = self.functions.get(asked.resource)
        if mocked is not None:
            response = mocked.answer(asked.attempt)
        elif stub is not None:
            response = _response(_stubbed(stub.next(), value), value)
        elif function is not None:
            response = _response(self._done(function, asked), value)
        elif asked.resource.startswith(NATIVE):
            return None
        else:
            self.missing[asked.state] = asked.resource
            response = Throw("Unstubbed", f"there is no stub for the state {asked.state!r}")
        self.answered.append(
            Answered(
                execution=asked.execution,
                state=asked.state,
                resource=asked.resource,
                attempt=asked.attempt + 1,
                input=without_id(value),
                output=without_id(msgspec.json.decode(response.output)) if isinstance(response, Return) else None,
                error=response.error if isinstance(response, Throw) else None,
            )
        )
        return response

    def _done(self, function: TaskFunction, asked: Asked) -> Outcome:
        value = msgspec.json.decode(asked.arguments)
        context = Context(
            task=function.name,
            workflow_id=value.get(EXECUTION_NAME) if isinstance(value, dict) else None,
            state=asked.state,
            attempt=asked.attempt + 1,
            logger=structlog.get_logger("workflow_manager.testing"),
        )
        convert = function.converter()
        if not function.is_async:
            return call(function, convert, asked.arguments, context)
        if self._loop is None:
            self._loop = BackgroundLoop("wfm-test-tasks")
        return self._loop.call(call_async(function, convert, asked.arguments, context))

    def _expanded(self, name: str) -> str | None:
        """The ARN that a Resource becomes, if it is shorthand for an activity or a function."""
        wanted = shorthand(name)
        if wanted is None:
            return None
        full = resource_name(self.namespace, wanted.name)
        match wanted.type:
            case StateResourceType.ACTIVITY_ARN:
                return self.arns.activity(full)
            case StateResourceType.LAMBDA_FUNCTION_ARN:
                return self.arns.function(full)
            case _:
                return None


def _stubbed(answer: Any, value: Any) -> Any:
    """What a stub answers: a value, a Fail, an exception, or what a function of the input returns or raises."""
    if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
        return failure(answer if isinstance(answer, BaseException) else answer())
    if not callable(answer):
        return answer
    try:
        takes_input = bool(inspect.signature(answer).parameters)
    except ValueError:
        takes_input = True
    try:
        return answer(without_id(value)) if takes_input else answer()
    except Exception as error:  # noqa: BLE001 - it is the task's failure
        return failure(error)


def _response(answer: Any, value: Any) -> Response:
    """The answer for the engine; an object gets the workflow's id, as those of workers do."""
    match answer:
        case Fail(error, cause):
            return Throw(error, cause)
        case Success(text):
            return Return(text)
        case _ if hasattr(answer, "error") and hasattr(answer, "cause"):  # a worker's Failure
            return Throw(cut_error(answer.error), cut_cause(answer.cause))
    output: Any = to_json(answer)
    if isinstance(output, Mapping) and isinstance(value, dict) and EXECUTION_NAME in value:
        output = {**output, EXECUTION_NAME: value[EXECUTION_NAME]}
    return Return(msgspec.json.encode(output).decode())
