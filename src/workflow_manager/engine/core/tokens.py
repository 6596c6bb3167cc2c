"""Task tokens: opaque text that says which task of which frame of which execution it answers."""

from __future__ import annotations

import base64
import binascii

import msgspec

from workflow_manager.stepfunctions.errors import InvalidToken

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, int, str]).decode


def task_token(execution: int, frame: int, scheduled_event: int, nonce: str) -> str:
    return base64.urlsafe_b64encode(_encode((execution, frame, scheduled_event, nonce))).decode()


def parse_task_token(token: str) -> tuple[int, int, int, str]:
    """(execution, frame, id of the event that scheduled it, nonce). Raises InvalidToken."""
    try:
        return _decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeEncodeError, ValueError):
        raise InvalidToken("Invalid Token: 'Invalid token'") from None
