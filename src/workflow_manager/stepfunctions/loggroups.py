"""The log groups that state machines write their executions' events to: what is needed of CloudWatch Logs, as a Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class LogGroups(Protocol):
    """Implemented by awslogs.py."""

    async def ensure(self, name: str, *, retention_days: int, tags: Mapping[str, str]) -> None:
        """Make a log group that keeps events for so long, or leave the one that is there. Raises StepFunctionsError."""
        ...
