"""Why something failed, in the few lines that people read first."""

from __future__ import annotations

TIMED_OUT = "Workflow timed out"

_LAST_LINES = 3


def failure_reason(error: str | None, cause: str | None) -> str:
    """The last three lines of the cause, newline, the error's name; what is missing is left out."""
    last_lines = (cause or "").strip().splitlines()[-_LAST_LINES:]
    return "\n".join(line for line in (*last_lines, error or "") if line)
