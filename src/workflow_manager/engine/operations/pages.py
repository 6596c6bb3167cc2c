"""Page tokens of the API's lists: opaque text for where the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, TypeVar

import msgspec

from workflow_manager.stepfunctions.errors import InvalidToken

DEFAULT_PAGE = 100


_DECODERS: dict[type, Any] = {
    int: msgspec.msgpack.Decoder(Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]).decode,
    str: msgspec.msgpack.Decoder(str).decode,
}

T = TypeVar("T", int, str)


def page_of(max_results: int | None, token: str | None, holds: type[T]) -> tuple[int, T | None]:
    """(how many items, what the token holds or None). Raises InvalidToken. 0 means the default, as on AWS.

    ``holds``: str where the list goes by name, int where it goes by number.
    """
    after: T | None = None
    if token is not None:
        try:
            after = _DECODERS[holds](base64.b64decode(token.encode(), altchars=b"-_", validate=True))
        except (binascii.Error, msgspec.MsgspecError, ValueError):
            raise InvalidToken("Invalid Token: 'Invalid token'") from None
    return max_results or DEFAULT_PAGE, after


def page_token(after: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(after)).decode()
