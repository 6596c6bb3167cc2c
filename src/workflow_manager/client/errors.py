"""What can go wrong between a client and a server."""

from __future__ import annotations

from typing import Any


class ClientError(Exception):
    """Base of all errors here; the message is one sentence for people."""


class ServerUnreachable(ClientError):
    """No answer came: nothing listens there, the connection broke, or it took too long."""


class UnexpectedAnswer(ClientError):
    """An answer came that no workflow-manager server gives."""


class ApiError(ClientError):
    """The server refused. Programs go by ``status`` and ``code``; ``details`` is what else the error's body says."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def diagnostics(self) -> list[dict[str, Any]]:
        """The faults of a refused definition: severity, code, location, message."""
        return [each for each in self.details.get("diagnostics") or [] if isinstance(each, dict)]
