"""Numbers that a path points to: seconds to wait, timeouts, concurrency, tolerated failures.

AWS reads the value's text as a Java number, so ``"5"`` is as good as ``5`` while ``1.5`` and ``5.0`` are no integers.
"""

from __future__ import annotations

import re
from typing import Any

from .jsontext import to_text
from .paths import Path, getter
from .program import Env, Expr, Failure, Json
from .timestamps import parse_seconds

MAX_SECONDS = 99_999_999
"""The longest Wait, timeout and heartbeat (ASL, "Timeouts")."""

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,2})?", re.ASCII)


def java_value(value: Json) -> str:
    return value if isinstance(value, str) else to_text(value)


def seconds_path(path: Path, field: str, *, least: int) -> Expr:
    """Compile SecondsPath, TimeoutSecondsPath or HeartbeatSecondsPath: -> int from ``least`` to MAX_SECONDS."""
    get = getter(path, _no_value(path, field))

    def evaluate(data: Json, env: Env) -> int:
        value = get(data, env)
        text = java_value(value)
        if isinstance(value, bool) or not _INTEGER.fullmatch(text):
            raise _runtime(f"The {field} parameter cannot be parsed as a long value: {path.text} == {text}")
        seconds = int(text)
        if seconds < 0:
            raise _runtime(f"The {field} parameter references a negative value: {path.text} == {text}")
        if not least <= seconds <= MAX_SECONDS:
            raise _runtime(
                f"The {field} parameter references a value that is not between {least} and {MAX_SECONDS}: "
                f"{path.text} == {text}"
            )
        return seconds

    return evaluate


def timestamp_path(path: Path, field: str) -> Expr:
    """Compile TimestampPath: -> seconds since the epoch."""
    get = getter(path, _no_value(path, field))

    def evaluate(data: Json, env: Env) -> float:
        value = get(data, env)
        seconds = parse_seconds(value) if isinstance(value, str) else None
        if seconds is None:
            raise _runtime(
                f"The {field} parameter does not reference a valid ISO-8601 extended offset date-time format string: "
                f"{path.text} == {java_value(value)}"
            )
        return seconds

    return evaluate


def count_path(path: Path, field: str) -> Expr:
    """Compile MaxConcurrencyPath or ToleratedFailureCountPath: -> int >= 0."""
    get = getter(path, _no_value(path, field))
    name = field.removesuffix("Path")

    def evaluate(data: Json, env: Env) -> int:
        value = get(data, env)
        text = java_value(value)
        if isinstance(value, bool) or not _INTEGER.fullmatch(text):
            raise _runtime(f'The {field} field refers to value "{text}" which is not a valid integer: {path.text}')
        if int(text) < 0:
            raise _runtime(f"{name} cannot be negative.")
        return int(text)

    return evaluate


def max_items_path(path: Path, field: str) -> Expr:
    """Compile MaxItemsPath: -> int. A negative one fails the reading, which is later; any that is too large is no bound."""
    get = getter(path, _no_value(path, field))

    def evaluate(data: Json, env: Env) -> int:
        value = get(data, env)
        text = java_value(value)
        if isinstance(value, bool) or not _INTEGER.fullmatch(text):
            raise _runtime(f'The {field} field refers to value "{text}" which is not a valid integer: {path.text}')
        return int(text)

    return evaluate


def batch_path(path: Path, field: str) -> Expr:
    """Compile MaxItemsPerBatchPath or MaxInputBytesPerBatchPath: -> int > 0."""
    count = count_path(path, field)
    name = field.removesuffix("Path")

    def evaluate(data: Json, env: Env) -> int:
        value: int = count(data, env)
        if value == 0:
            raise _runtime(f"{name} must be positive.")
        return value

    return evaluate


def percentage_path(path: Path, field: str) -> Expr:
    """Compile ToleratedFailurePercentagePath: -> number from 0 to 100."""
    get = getter(path, _no_value(path, field))
    name = field.removesuffix("Path")

    def evaluate(data: Json, env: Env) -> float:
        value = get(data, env)
        text = java_value(value)
        if isinstance(value, bool) or not _FLOAT.fullmatch(text):
            raise _runtime(f'The {field} field refers to value "{text}" which is not a valid float: {path.text}')
        if not 0 <= float(text) <= 100:
            raise _runtime(f"{name} must be between 0 and 100.")
        return float(text)

    return evaluate


def _no_value(path: Path, field: str) -> Any:
    def missing(_data: Json, _env: Env) -> Failure:
        return _runtime(f"The {field} parameter does not reference an input value: {path.text}")

    return missing


def _runtime(cause: str) -> Failure:
    return Failure("States.Runtime", cause)
