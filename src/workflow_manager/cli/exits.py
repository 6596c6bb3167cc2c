"""How commands end: exit codes, and problems as one sentence."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What a script may go by."""

    OK = 0
    FAILED = 1
    """The workflow failed, the definition has faults, or the server refused."""
    USAGE = 2
    """The command or a setting was written wrongly; nothing was done."""
    CANCELLED = 3
    """The workflow was cancelled."""
    UNREACHABLE = 4
    """The server did not answer."""
    INTERRUPTED = 130
    """Ctrl-C."""


class Problem(Exception):
    """Ends the command: ``message`` is one sentence for standard error, ``details`` are lines below it."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details = details


def usage(message: str) -> Problem:
    return Problem(message, ExitCode.USAGE)


def complain(message: str, *details: str) -> None:
    """Write to standard error."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write("\n".join((f"wfm: {message}", *details, "")))


def diagnostic_line(diagnostic: Mapping[str, object]) -> str:
    """A fault of a definition: where, what, and its code."""
    where = diagnostic.get("location") or ""
    message = diagnostic.get("message") or ""
    code = diagnostic.get("code") or ""
    return f"  {where}: {message} ({code})" if where else f"  {message} ({code})"
