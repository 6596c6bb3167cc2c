"""Request bodies: from bytes to a JSON value, leniently where the HTTP contract says so, and bounded.

Bytes after the first JSON value are ignored; YAML is read as in files of definitions. What comes out has no more levels than
allowed, so that whoever walks it may recurse.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from workflow_manager.definition_files import DefinitionFileError, parse_documents
from workflow_manager.model.errors import InvalidRequest

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_first_value = json.JSONDecoder().raw_decode


def read_body(body: bytes, content_type: str, *, depth_limit: int, yaml: bool) -> Any:
    """The value that a body holds. Raises InvalidRequest. ``yaml``: whether the content type may say that it is YAML."""
    if not body.strip():
        raise InvalidRequest("the request has no body: send a JSON object")
    if yaml and content_type.partition(";")[0].strip().lower() in _YAML_TYPES:
        return read_yaml(body, depth_limit=depth_limit)
    return read_json(body, depth_limit=depth_limit)


_YAML_TYPES = {"application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml"}


def read_json(body: bytes, *, depth_limit: int) -> Any:
    try:
        try:
            value = _decode(body)
        except msgspec.DecodeError as error:
            if isinstance(error, msgspec.ValidationError) or "trailing characters" not in str(error):
                raise
            value = _decode(_without_tail(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise too_deep(depth_limit) from None
    if body.count(b"{") + body.count(b"[") > depth_limit:
        check_depth(value, depth_limit)
    return value


def read_yaml(body: bytes, *, depth_limit: int) -> Any:
    """The one document of a YAML text, as JSON values."""
    try:
        documents = [value for _, value in parse_documents(body.decode("utf-8-sig"), "the body")]
        _encode(documents)  # text that is no Unicode can be written in escapes, and passed on to nobody
    except (DefinitionFileError, UnicodeError) as error:
        raise InvalidRequest(str(error)) from None
    if len(documents) != 1:
        raise InvalidRequest(f"the body holds {len(documents)} YAML documents: send one")
    check_depth(documents[0], depth_limit)
    return documents[0]


def _without_tail(body: bytes) -> bytes:
    """The first JSON value of what has more after it."""
    try:
        text = body.decode(errors="surrogateescape").lstrip(" \t\r\n")
        return text[: _first_value(text)[1]].encode(errors="surrogateescape")
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None


def check_depth(value: Any, limit: int) -> None:
    """Raises InvalidRequest for more than ``limit`` levels; level by level, since recursion is what it guards against."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    if level:
        raise too_deep(limit)


def too_deep(limit: int) -> InvalidRequest:
    return InvalidRequest(f"nested deeper than {limit} levels: give it fewer")
