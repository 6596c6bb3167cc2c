"""Requests signed for other AWS services than Step Functions, handed on as they are: one endpoint_url serves all.

Which service a request is for stands in its signature (``Credential=.../us-east-1/sqs/aws4_request``). Signatures are
handed on unchanged, and so is the Host header that they cover.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import httpx
import structlog

from workflow_manager.api.app import Receive, Send

OWN = b"states"
_SIGNED_FOR = re.compile(rb"Credential=[^/]+/[0-9]{8}/[^/]+/([^/]+)/aws4_request")
_OF_THE_CONNECTION = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"proxy-connection"}
TIMEOUT_SECONDS = 75.0
"""A little more than the longest poll."""

log = structlog.get_logger("workflow_manager.passthrough")


def signed_for_another(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request is signed for another service than Step Functions."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            found = _SIGNED_FOR.search(value)
            return found is not None and found[1] != OWN
    return False


class Passthrough:
    """An ASGI application that hands requests on to ``url``. ``close`` after use."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        headers = [(name, value) for name, value in scope["headers"] if name not in _OF_THE_CONNECTION]
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        request = self._client.build_request(
            scope["method"],
            self._url + path + (f"?{query}" if query else ""),
            headers=headers,
            content=_body(receive) if has_body else None,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            log.warning("a request for another service could not be handed on", url=self._url, reason=str(error))
            await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": f"{self._url} cannot be reached".encode()})
            return
        try:
            answered = [(name.lower(), value) for name, value in response.headers.raw]
            kept = [(name, value) for name, value in answered if name not in _OF_THE_CONNECTION]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        yield message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
