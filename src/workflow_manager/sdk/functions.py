"""A function as a task: what it takes, how it is run, and what its end means. Pure, but for calling it."""

from __future__ import annotations

import inspect
import math
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec

from workflow_manager.sdk.context import Context
from workflow_manager.sdk.conversion import Convert, converter, to_json, without_id
from workflow_manager.sdk.errors import InvalidTaskInput, InvalidTaskOutput, TaskFailed
from workflow_manager.worker.limits import MAX_CAUSE
from workflow_manager.worker.outcome import Failure, Outcome, Success
from workflow_manager.worker.payload import compact
from workflow_manager.worker.task import EXECUTION_NAME

RunIn = Literal["thread", "process"]

CONCURRENCY = 10
"""How many tasks of one function run at once, unless it says otherwise."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFunction:
    """A registered function. ``takes_context`` and ``takes_input`` say what it is called with, in this order.

    ``input_type`` is the annotation of its input; a string when it names what was not defined yet when the task was.
    ``timeout_seconds`` and ``memory_mb`` are None without a limit; ``heartbeat_seconds`` is None for the worker's own.
    """

    name: str
    function: Callable[..., Any]
    takes_context: bool
    takes_input: bool
    input_type: Any
    is_async: bool
    run_in: RunIn = "thread"
    concurrency: int = CONCURRENCY
    timeout_seconds: float | None = None
    heartbeat_seconds: float | None = None
    memory_mb: int | None = None

    def arguments(self, text: str, context: Context, convert: Convert) -> tuple[Any, ...]:
        """What to call it with for this input, JSON text. Raises InvalidTaskInput."""
        given: tuple[Any, ...] = (context,) if self.takes_context else ()
        if not self.takes_input:
            return given
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidTaskInput(f"the input is not JSON: {error}") from None
        return (*given, convert(without_id(value)))  # which the context tells

    def converter(self) -> Convert:
        """What makes its input. Raises TypeError if its annotations cannot be read, or are not for JSON."""
        if not self.takes_input:
            return lambda value: value
        kind = self.input_type
        try:
            if isinstance(kind, str):
                kind = _input_type(self.function, self.takes_context, {})
            return converter(kind)
        except (NameError, TypeError) as error:
            raise TypeError(f"the task {self.name!r}: the type of its input cannot be used: {error}") from None


def task_function(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    run_in: RunIn = "thread",
    concurrency: int = CONCURRENCY,
    timeout: float | timedelta | None = None,
    heartbeat: float | timedelta | None = None,
    memory_mb: int | None = None,
    localns: Mapping[str, Any] | None = None,
) -> TaskFunction:
    """Look at a function. Raises TypeError or ValueError, naming it, when it cannot be a task.

    ``localns`` are names that its annotations may use besides those of its module.
    """
    called = name or getattr(function, "__name__", "")
    where = f"the task {called!r}"
    if not called:
        raise ValueError("a task needs a name; give it with name=")
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    if run_in not in ("thread", "process"):
        raise ValueError(f"{where}: run_in is {run_in!r}; it may be 'thread' or 'process'")
    if run_in == "process" and is_async:
        raise TypeError(f"{where} is async, and runs in an event loop; run_in='process' is for functions that are not")
    if memory_mb is not None and run_in != "process":
        raise ValueError(f"{where}: memory_mb limits a process of its own; add run_in='process'")
    if memory_mb is not None and memory_mb < 1:
        raise ValueError(f"{where}: memory_mb is {memory_mb}; it must be at least 1")
    if concurrency < 1:
        raise ValueError(f"{where}: concurrency is {concurrency}; it must be at least 1")
    takes_context, takes_input = _takes(function, where)
    try:
        input_type = _input_type(function, takes_context, localns or {}) if takes_input else None
    except NameError:
        input_type = "later"
    return TaskFunction(
        name=called,
        function=function,
        takes_context=takes_context,
        takes_input=takes_input,
        input_type=input_type,
        is_async=is_async,
        run_in=run_in,
        concurrency=concurrency,
        timeout_seconds=_seconds(timeout, f"{where}: timeout"),
        heartbeat_seconds=_seconds(heartbeat, f"{where}: heartbeat"),
        memory_mb=memory_mb,
    )


def success(value: Any, execution_name: str | None) -> Success:
    """What a function returned, as the task's output. Raises InvalidTaskOutput.

    An object gets the workflow's id, as commands' outputs do, so that the next state has it.
    """
    output = to_json(value)
    if isinstance(output, dict) and execution_name is not None:
        output = {**output, EXECUTION_NAME: execution_name}
    return Success(_text(output))


def failure(error: BaseException) -> Failure:
    """An exception as the task's failure: its class names the error, its traceback is the cause."""
    if isinstance(error, TaskFailed):
        return Failure(error.error, error.cause)
    return Failure(type(error).__name__, _cause(error))


def call(function: TaskFunction, convert: Convert, text: str, context: Context) -> Outcome:
    """Do a task by calling a function that is not async; what came of it. Never raises."""
    try:
        arguments = function.arguments(text, context, convert)
        return success(function.function(*arguments), context.workflow_id)
    except BaseException as error:  # noqa: BLE001 - SystemExit in a task is the task's end, not the worker's
        return failure(error)


async def call_async(function: TaskFunction, convert: Convert, text: str, context: Context) -> Outcome:
    """Do a task by calling an async function; what came of it. Raises nothing but CancelledError."""
    try:
        arguments = function.arguments(text, context, convert)
        return success(await function.function(*arguments), context.workflow_id)
    except Exception as error:  # noqa: BLE001 - it is the task's failure
        return failure(error)


def _text(output: Any) -> str:
    if isinstance(output, dict):
        return compact(_finite(output))
    try:
        return msgspec.json.encode(_finite(output)).decode()
    except UnicodeEncodeError as error:
        raise InvalidTaskOutput(f"a text cannot be written as UTF-8: {error}") from None


def _finite(value: Any) -> Any:
    """The value, if it holds no number that JSON lacks. Raises InvalidTaskOutput."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, float) and not math.isfinite(each):
            raise InvalidTaskOutput(f"JSON has no such number as {each}")
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, (list, tuple)):
            waiting += each
    return value


def _cause(error: BaseException) -> str:
    """The traceback without our own frames at its beginning. Its end, which is kept, says what went wrong."""
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename in (__file__, sys.modules[converter.__module__].__file__):
        at = at.tb_next
    told = traceback.TracebackException(type(error), error, at, limit=-50)
    text = "".join(told.format())
    return text[-4 * MAX_CAUSE :].strip()


def _takes(function: Callable[..., Any], where: str) -> tuple[bool, bool]:
    """(whether it takes a context, whether it takes an input). Raises TypeError."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # of a function written in C
        return False, True
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"{where} needs the keyword argument {parameter.name!r}, which nobody gives it")
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    required = [each for each in positional if each.default is each.empty]
    if len(required) > 2:
        raise TypeError(
            f"{where} takes {len(required)} arguments; it may take an input, a context, or a context and an input"
        )
    if positional and _is_context(positional[0].annotation):
        return True, len(positional) > 1
    if len(required) == 2:
        if _is_context(required[1].annotation):
            raise TypeError(f"{where} takes its context last; the context comes first, then the input")
        return True, True
    return False, bool(positional)


def _is_context(annotation: Any) -> bool:
    return annotation is Context or (
        isinstance(annotation, str) and annotation.split(".")[-1].strip("\"'") == "Context"
    )


def _input_type(function: Callable[..., Any], takes_context: bool, localns: Mapping[str, Any]) -> Any:
    """The annotation of the parameter that is given the input. Raises NameError when it names what is not there."""
    try:
        positional = [each for each in inspect.signature(function).parameters.values() if each.kind in _POSITIONAL]
    except ValueError:  # of a function written in C
        return Any
    parameter = positional[1 if takes_context else 0]
    if parameter.annotation is parameter.empty:
        return Any
    plain = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    hints = {parameter.name: parameter.annotation}
    return typing.get_type_hints(
        types.SimpleNamespace(__annotations__=hints, __globals__=getattr(plain, "__globals__", {})),
        globalns=getattr(inspect.unwrap(plain), "__globals__", {}),
        localns=dict(localns),
        include_extras=True,
    )[parameter.name]


def _seconds(given: float | timedelta | None, what: str) -> float | None:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"{what} is {given}; it must be more than 0 seconds")
    return seconds
