"""How a call of a service can fail: the service refuses it, or cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """A service answered with an error. ``code`` is its own; ``extended_id`` is S3's second request id."""

    code: str
    message: str
    status: int
    request_id: str
    extended_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unreachable(Exception):
    """A service could not be reached, or a request not be made; ``message`` says why."""

    message: str
