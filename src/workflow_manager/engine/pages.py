"""Page tokens of the API's lists: opaque text for where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from workflow_manager.stepfunctions.errors import InvalidToken

DEFAULT_PAGE = 100


def page_of(max_results: int | None, token: str | None) -> tuple[int, Any]:
    """(how many items, what the token holds or None). Raises InvalidToken. 0 means the default, as on AWS."""
    after = None
    if token is not None:
        try:
            after = msgspec.msgpack.decode(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        except (binascii.Error, msgspec.MsgspecError, ValueError):
            raise InvalidToken("Invalid Token: 'Invalid token'") from None
    return max_results or DEFAULT_PAGE, after


def page_token(after: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(after)).decode()
