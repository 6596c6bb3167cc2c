"""What came of a task, and how a command's end is read as that. Pure: the rules commands written for sfncli rely on."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workflow_manager.worker.payload import NotAnObject, compact, parse_object
from workflow_manager.worker.task import EXECUTION_NAME

MAX_OUTPUT_LINE = 1024 * 1024
"""Bytes of the last line of stdout that are kept: over what Step Functions takes, which is the judge of sizes below that."""


class ErrorName(StrEnum):
    """Errors that a worker gives tasks by itself; Retry and Catch in definitions name them."""

    COMMAND_NOT_FOUND = "sfncli.CommandNotFound"
    COMMAND_KILLED = "sfncli.CommandKilled"
    COMMAND_TERMINATED = "sfncli.CommandTerminated"
    COMMAND_EXITED_NONZERO = "sfncli.CommandExitedNonzero"
    TASK_INPUT_NOT_JSON = "sfncli.TaskInputNotJSON"
    TASK_OUTPUT_NOT_JSON = "sfncli.TaskOutputNotJSON"
    UNKNOWN = "sfncli.Unknown"
    TIMED_OUT = "States.Timeout"


@dataclass(frozen=True, slots=True)
class Success:
    """``output`` is JSON as text."""

    output: str


@dataclass(frozen=True, slots=True)
class Failure:
    """``error`` is what Retry and Catch compare; ``cause`` is for people. Whoever reports cuts both to their limits."""

    error: str
    cause: str


Outcome = Success | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended.

    ``returncode`` is that of subprocess, negative for a signal, None when the command outlived its SIGKILL;
    ``stopped`` says whether it had been told to stop; ``output`` is the last line of stdout that is not blank,
    ``errors`` the end of stderr, both without the blanks around them. ``timeout_seconds`` is the task's time limit, if it was
    told to stop because of that.
    """

    returncode: int | None
    stopped: bool
    output: str
    output_too_long: bool
    errors: str
    timeout_seconds: float | None = None


def read_end(end: CommandEnd, fields: dict[str, Any]) -> Outcome:
    """Read a command's end as the outcome of the task with these input fields.

    A command that ended well although it had been told to stop has succeeded; one that names its own error fails the task
    with it however it ended; after that, having been told to stop explains every other end.
    """
    if end.returncode == 0:
        return _success(end, fields)
    own = _own_failure(end)
    if own is not None:
        return own
    if end.timeout_seconds is not None:
        return Failure(ErrorName.TIMED_OUT, f"the command took longer than its {end.timeout_seconds:g} seconds")
    if end.returncode is None:
        return Failure(ErrorName.COMMAND_TERMINATED, end.errors or "the command did not end when it was killed")
    how = _how(end.returncode)
    if end.stopped:
        return Failure(ErrorName.COMMAND_TERMINATED, end.errors or f"the command was told to stop and {how}")
    name = ErrorName.COMMAND_KILLED if end.returncode < 0 else ErrorName.COMMAND_EXITED_NONZERO
    return Failure(name, end.errors or f"the command {how} and wrote nothing to stderr")


def _success(end: CommandEnd, fields: dict[str, Any]) -> Outcome:
    if end.output_too_long:
        return Failure(
            ErrorName.TASK_OUTPUT_NOT_JSON, f"the last line of stdout is longer than {MAX_OUTPUT_LINE:,} bytes"
        )
    try:
        output = parse_object(end.output) if end.output else {}
    except NotAnObject as error:
        return Failure(
            ErrorName.TASK_OUTPUT_NOT_JSON, f"the last line of stdout is not a JSON object ({error}): {end.output}"
        )
    if EXECUTION_NAME in fields:
        output[EXECUTION_NAME] = fields[EXECUTION_NAME]
    return Success(compact(output))


def _own_failure(end: CommandEnd) -> Failure | None:
    """The error a command names on the last line of stdout, keys in any case: ``{"error": "...", "cause": "..."}``."""
    if end.output_too_long:
        return None
    try:
        line = {key.lower(): value for key, value in parse_object(end.output).items()}
    except NotAnObject:
        return None
    error, cause = line.get("error"), line.get("cause", "")
    if not isinstance(error, str) or not error:
        return None
    return Failure(error, cause if isinstance(cause, str) else "" if cause is None else json.dumps(cause))


def _how(returncode: int) -> str:
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-returncode}"
