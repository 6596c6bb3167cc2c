"""JSON pointers (RFC 6901), with which faults say where they are."""

from __future__ import annotations


def escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def pointer(*parts: str) -> str:
    return "".join(f"/{escape(part)}" for part in parts)
