"""What answers ``POST /`` when the Step Functions API is not served here, because AWS itself executes.

Passing calls on would lend the server's own rights in AWS to whoever reaches its port.
"""

from __future__ import annotations

from typing import Any

import msgspec

MESSAGE = (
    "Step Functions is not served here: state machines are executed by AWS. Leave out endpoint_url (AWS_ENDPOINT_URL_SFN, "
    "--endpoint-url), so that boto3, the AWS CLI and workers call AWS themselves, with credentials of their own."
)
_BODY = msgspec.json.encode({"__type": "com.amazon.coral.service#UnknownOperationException", "message": MESSAGE})


async def elsewhere(_scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application for connections of type ``http``."""
    headers = [(b"content-type", b"application/x-amz-json-1.0"), (b"content-length", b"%d" % len(_BODY))]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})
