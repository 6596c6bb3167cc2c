"""Integrations: tasks that something outside the engine carries out.

Called after the commit that scheduled them, at least once (again after a crash), and never by the writer itself. What they
answer comes back as a stimulus.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct


class IntegrationCall(Struct, frozen=True, kw_only=True):
    """What a Task asks for: its resource (an ARN), arguments as JSON text, and a token for who answers later."""

    execution_arn: str
    resource: str
    action: str
    pattern: str
    arguments: str
    task_token: str


class IntegrationFailed(Exception):
    """The call failed: ``error`` is what Retry and Catch match."""

    def __init__(self, error: str, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class Integration(Protocol):
    """One service. ``actions``: those that can be called, as Resources spell them."""

    actions: Collection[str]

    async def invoke(self, call: IntegrationCall, /) -> str:
        """Carry the call out; answer its result as JSON text. Raises IntegrationFailed."""
        ...
