"""Between JSON and the types of functions: plain JSON, dataclasses, msgspec Structs, and pydantic models where they are used.

msgspec converts; it does not know pydantic, whose models come to its hooks like every type that is not its own. pydantic is
never imported here: a function that takes a model has imported it.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from workflow_manager.sdk.errors import InvalidTaskInput, InvalidTaskOutput
from workflow_manager.worker.task import EXECUTION_NAME

Convert = Callable[[Any], Any]

ANYTHING = (Any, object, inspect.Parameter.empty)
"""Annotations that take JSON as it is."""


def converter(annotation: Any) -> Convert:
    """What makes a value of this type of JSON that was read. It raises InvalidTaskInput.

    Raises TypeError when there is no way to make this type from JSON.
    """
    if annotation in ANYTHING:
        return lambda value: value
    try:
        msgspec.json.Decoder(annotation, dec_hook=_from_json)  # says whether it can be done
    except TypeError as error:
        raise TypeError(f"{_name(annotation)} cannot be made from JSON: {error}") from None

    def convert(value: Any) -> Any:
        try:
            return _with_defaults(msgspec.convert(value, annotation, dec_hook=_from_json, str_keys=True))
        except msgspec.ValidationError as error:
            raise InvalidTaskInput(f"the input is no {_name(annotation)}: {error}") from None

    return convert


def without_id(value: Any) -> Any:
    """JSON without the field in which workflow-manager passes the workflow's id, at any depth: it is nobody's data."""
    match value:
        case dict():
            return {key: without_id(each) for key, each in value.items() if key != EXECUTION_NAME}
        case list():
            return [without_id(each) for each in value]
        case _:
            return value


def to_json(value: Any) -> Any:
    """JSON, in Python's own types, that says what the value says. Raises InvalidTaskOutput."""
    try:
        return msgspec.to_builtins(value, enc_hook=_to_json, str_keys=True)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidTaskOutput(f"{type(value).__name__} cannot be written as JSON: {error}") from None


def _from_json(kind: type, value: Any) -> Any:
    if not _is_model(kind):
        raise TypeError(f"there is no way to make {kind.__qualname__} from JSON; use a dataclass or a msgspec Struct")
    try:
        return kind.model_validate(value)  # type: ignore[attr-defined]  # a pydantic model
    except ValueError as error:  # pydantic.ValidationError is one, and has a line for each fault
        raise msgspec.ValidationError(str(error)) from None


def _to_json(value: Any) -> Any:
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"there is no JSON for objects of type {type(value).__qualname__}")


def _with_defaults(value: Any) -> Any:
    """The value, its dataclasses with their defaults: msgspec leaves those to the class, and does not write them again."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, (list, tuple)):
            waiting += each
        elif isinstance(each, msgspec.Struct):
            waiting += (getattr(each, name) for name in each.__struct_fields__)
        elif dataclasses.is_dataclass(each) and not isinstance(each, type) and hasattr(each, "__dict__"):
            for field in dataclasses.fields(each):
                each.__dict__.setdefault(field.name, getattr(each, field.name))
            waiting += each.__dict__.values()
    return value


def _is_model(kind: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)
