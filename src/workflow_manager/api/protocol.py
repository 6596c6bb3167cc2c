"""HTTP connections that slow or stuck clients cannot hold open: uvicorn's own, with deadlines and limits.

uvicorn bounds the pause between two requests and nothing else. Here a request line with its headers, a body, and what is sent
must move along, too, and the head of a request has a size limit; whoever does not keep up is told so where that is possible,
and disconnected.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from workflow_manager.api.errors import body
from workflow_manager.api.settings import ApiSettings

WRITE_PROGRESS_BYTES = 16 * 1024
"""A client that takes less than this per ``write_seconds`` of what waits for it is stuck."""

DISCARD_SECONDS = 1.0
"""How long what a refused client sends on is thrown away."""


def protocol_with(settings: ApiSettings) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn, which makes one object per connection and passes no settings of ours on."""

    class Bounded(BoundedProtocol):
        bounds = settings

    return Bounded


class BoundedProtocol(HttpToolsProtocol):
    bounds = ApiSettings()

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._reading: asyncio.TimerHandle | None = None  # deadline of the head or body that is being received
        self._writing: asyncio.TimerHandle | None = None  # when to look whether the client has taken something
        self._discarding: asyncio.TimerHandle | None = None  # when to close on a client that was refused
        self._unsent = 0
        self._head_bytes = 0
        self._in_head = True
        self._refused = False

    # ------------------------------------------------------------------ connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline(self.bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._reading, self._writing, self._discarding):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _linger(self) -> None:
        """The connection closes once its last bytes are taken; see that they are."""
        if self._writing is None:
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._linger()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reading is not None and not self._in_head:  # the body of the next one is read from now on
            self._deadline(self.bounds.body_seconds)
        if self.transport.is_closing():
            self._linger()

    # ------------------------------------------------------------------ receiving

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._refused:
            return
        if self._in_head and self._head_bytes > self.bounds.head_limit_bytes:
            limit = self.bounds.head_limit_bytes
            self._refuse(431, "InvalidRequest", f"request line and headers are longer than {limit} bytes")
        elif self._reading is None:  # a request that is there whole, as most are, costs no timer
            if not self._in_head:
                self._deadline(self.bounds.body_seconds)
            elif self._head_bytes:
                self._deadline(self.bounds.head_seconds)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head = False
        self._head_bytes = 0
        self._deadline(None)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._deadline(None)

    def _deadline(self, seconds: float | None) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._reading = None
        if self.pipeline or self.flow.read_paused:  # it is we who do not read: another request is being answered
            self._deadline(self.bounds.body_seconds)
            return
        self._refuse(408, "RequestTimeout", "the request took too long to arrive")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "InvalidRequest", f"this is not HTTP: {msg}")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the application, unless an answer is under way, and close.

        What the client still sends is thrown away for a moment: closing on unread data would take the answer from it.
        """
        self._refused = True
        self._deadline(None)
        pending = self.cycle is not None and not self.cycle.response_complete
        if not pending if self._in_head else pending and not self.cycle.response_started:
            self._answer(status, code, message)
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._discarding = self.loop.call_later(DISCARD_SECONDS, self.transport.abort)
        else:
            self.transport.close()
            self._linger()
        if pending:  # the application hears that its client is gone
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _answer(self, status: int, code: str, message: str) -> None:
        content = body(code, message)
        lines = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            lines += [name, b": ", value, b"\r\n"]
        lines += [
            b"content-type: application/json\r\nx-content-type-options: nosniff\r\nconnection: close\r\n",
            b"content-length: %d\r\n\r\n" % len(content),
            content,
        ]
        self.transport.write(b"".join(lines))

    # ------------------------------------------------------------------ sending

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None and not self.transport.is_closing():
            self._writing.cancel()
            self._writing = None

    def _watch(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._writing = self.loop.call_later(self.bounds.write_seconds, self._look)

    def _look(self) -> None:
        if self._unsent - self.transport.get_write_buffer_size() < WRITE_PROGRESS_BYTES:
            self.transport.abort()
        else:
            self._watch()
