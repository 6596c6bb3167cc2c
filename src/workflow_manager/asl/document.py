"""Reads a definition's text: JSON, bounded in depth, an object at its root."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from .diagnostics import Diagnostic
from .jsonfaults import JsonFault, find_fault, place_in
from .jsontext import has_half

MAX_DEPTH = 250
"""Levels of nesting in a definition; a Parallel within a Parallel takes five of them."""


MAX_VALUES = 1_000_000
MAX_CHARACTERS = 8_388_608
"""Of a definition's text: eight times what the API takes, so that this bounds the work and the API judges the length."""


class UnreadableDefinitionError(Exception):
    """The definition cannot be read at all."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Document:
    root: dict[str, Any]
    warnings: tuple[Diagnostic, ...] = ()


def read_document(definition: object) -> Document:
    """Read JSON text, or check what has been read elsewhere. Raises UnreadableDefinitionError."""
    warnings: list[Diagnostic] = []
    if isinstance(definition, (bytes, bytearray)):
        try:
            definition = bytes(definition).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _unreadable(f"Definition must be UTF-8 text, but its byte {error.start} is not") from None
    if isinstance(definition, str):
        if len(definition) > MAX_CHARACTERS:
            raise _unreadable(f"Definition must have at most {MAX_CHARACTERS} characters, but has {len(definition)}")
        definition = _parse(definition, warnings)
    if not isinstance(definition, dict):
        raise UnreadableDefinitionError(
            Diagnostic("SCHEMA_VALIDATION_FAILED", "Definition must be a valid JSON object")
        )
    _check_values(definition)
    return Document(definition, tuple(warnings))


def _parse(text: str, warnings: list[Diagnostic]) -> Any:
    if not text.strip():
        return None

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = sorted({key for key, _ in pairs if key in seen or seen.add(key)})  # type: ignore[func-returns-value]
            warnings.append(
                Diagnostic(
                    "INVALID_JSON_DESCRIPTION",
                    f"An object has the field {', '.join(map(repr, twice))} more than once; the last one counts",
                    severity="WARNING",
                )
            )
        return made

    try:
        return json.loads(text, object_pairs_hook=make_object, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise UnreadableDefinitionError(_not_json(text, error)) from None
    except ValueError as error:
        raise _unreadable(f"Definition is not JSON: {error}") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _not_json(text: str, error: json.JSONDecodeError) -> Diagnostic:
    fault = find_fault(text) or JsonFault(error.msg, place_in(text, error.lineno, error.colno))
    return Diagnostic("INVALID_JSON_DESCRIPTION", f"{fault.message}\n at {fault.source}", fault.source)


def _check_values(root: dict[str, Any]) -> None:
    """Refuse what is no JSON or nested too deeply, so that everything after may recurse."""
    level: list[Any] = [root]
    count = 0
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_VALUES:  # an object that is in many places, as YAML can make it, counts in each
            raise _unreadable(f"Definition has more than {MAX_VALUES} values; split it into several state machines")
        following: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for key in value:
                    if not isinstance(key, str):
                        raise _unreadable("Definition must be JSON, but a field's name is not a string")
                    _check_text(key)
                following += value.values()
            elif isinstance(value, list):
                following += value
            elif isinstance(value, float) and not math.isfinite(value):
                raise _unreadable(f"Definition must be JSON, but holds the number {value}")
            elif value is not None and not isinstance(value, (int, float)):
                raise _unreadable(f"Definition must be JSON, but holds a {type(value).__name__}")
        if not following:
            return
        level = following
    raise _too_deep()


def _check_text(text: str) -> None:
    if has_half(text):
        shown = text[:100].encode("ascii", "backslashreplace").decode()
        raise _unreadable(
            f"Definition must be text, but '{shown}' holds half of a surrogate pair, which is no character"
        )


def _too_deep() -> UnreadableDefinitionError:
    return _unreadable(
        f"Definition is nested more than {MAX_DEPTH} levels deep; move inner states to a state machine of their own"
    )


def _unreadable(message: str) -> UnreadableDefinitionError:
    return UnreadableDefinitionError(Diagnostic("INVALID_JSON_DESCRIPTION", message))
