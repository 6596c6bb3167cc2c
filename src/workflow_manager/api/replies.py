"""What a handler answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from msgspec import Struct

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Reply(Struct, frozen=True):
    """A status, a body, usually JSON, and headers besides those that every answer has."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    content_type: bytes = b"application/json"

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send it: an answer is an ASGI application."""
        del scope, receive
        headers = [(b"content-length", b"%d" % len(self.body)), *self.headers]
        if self.body:
            headers.append((b"content-type", self.content_type))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
