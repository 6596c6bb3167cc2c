"""Values packed for rows, as MessagePack. Its integers end at 64 bits and JSON's do not: a larger one is an extension."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.msgpack import Ext

T = TypeVar("T")

LARGE_INTEGER = 1
"""The extension's code; its data are the integer, signed, the highest byte first."""

_encode = msgspec.msgpack.Encoder().encode


def pack(value: Any) -> bytes:
    """A value of JSON, or structs that are encoded as arrays and hold such values."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode(_extended(value))


def unpacker(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """What reads values of this type that were packed."""
    return msgspec.msgpack.Decoder(kind, ext_hook=_integer)


def _extended(value: Any) -> Any:
    """The value with an extension for each integer that takes one."""
    if isinstance(value, dict):
        return {name: _extended(item) for name, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return [_extended(item) for item in msgspec.structs.astuple(value)]
    if isinstance(value, (list, tuple)):
        return [_extended(item) for item in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return Ext(LARGE_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    return value


def _integer(code: int, data: memoryview) -> int:
    assert code == LARGE_INTEGER
    return int.from_bytes(data, "big", signed=True)
