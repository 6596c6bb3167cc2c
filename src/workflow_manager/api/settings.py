"""What the HTTP API bounds: sizes in bytes, times in seconds."""

from __future__ import annotations

from msgspec import Struct


class ApiSettings(Struct, frozen=True, kw_only=True):
    """The defaults suit clients that give up after five seconds, and definitions of some ten thousand states."""

    body_limit_bytes: int = 4 * 1024 * 1024
    """A longer request body is refused."""
    head_limit_bytes: int = 64 * 1024
    """A longer request line with headers is refused."""
    depth_limit: int = 200
    """JSON or YAML nested deeper is refused."""
    request_seconds: float = 5.0
    """A handler that has not answered by then is stopped; the event stream has no such limit."""
    head_seconds: float = 10.0
    """How long a client may take to send the request line and headers."""
    body_seconds: float = 30.0
    """How long a client may take to send the body."""
    write_seconds: float = 30.0
    """A client that has taken next to nothing of what waits for it in this time is disconnected."""
    keep_alive_seconds: float = 75.0
    """An idle connection is closed after this long."""
    stream_comment_seconds: float = 15.0
    """An event stream that has nothing to tell sends a comment this often."""
    shutdown_seconds: float = 3.0
    """How long a server that stops waits for requests that are under way."""
