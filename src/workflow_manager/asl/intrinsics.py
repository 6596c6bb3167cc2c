"""The 18 intrinsic functions: their arguments as a table, their work, and the compilation of calls to closures.

Source: Step Functions guide, "Intrinsic functions for JSONPath states". Recordings settle what it leaves open: numbers are
rounded half up, StringSplit drops empty parts and takes each character of the splitter as one, text of an object is Java's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .intrinsic_parser import Argument, Call, Constant, IntrinsicError, Text
from .jsontext import from_text, is_longer, to_text
from .paths import Path, getter, quoted
from .program import Env, Expr, Failure, Json
from .templates import constant

MAX_TEXT = 10_000
"""Characters that Base64Encode, Base64Decode and Hash take."""
MAX_MADE = 4_194_304
"""Characters of text that one function makes, and of what it is given by another or by many paths."""
MAX_RANGE = 1000
"""Items that ArrayRange makes."""

_FEW = 16

Function: TypeAlias = Callable[[list[Any], Env], Json]


class _ArgumentError(ValueError):
    """An argument's value does not suit the function."""


@dataclass(frozen=True, slots=True)
class Signature:
    least: int
    most: int | None
    function: Function


def compile_call(call: Call) -> Expr:
    """Compile a parsed call. Raises IntrinsicError for what is no function, or has too few or too many arguments."""
    signature = FUNCTIONS.get(call.name)
    if signature is None:
        raise IntrinsicError(f"there is no function States.{call.name}")
    count = len(call.arguments)
    if count < signature.least or (signature.most is not None and count > signature.most):
        raise IntrinsicError(f"States.{call.name} takes {_arity(signature)}, but has {count}")
    if call.name == "Format" and isinstance(call.arguments[0], Text):
        # The escapes of braces still mean something to Format, so its text is split before they are resolved.
        pieces = _format_pieces(call.arguments[0].raw)
        values = [_argument(argument, call) for argument in call.arguments[1:]]
        return _guarded(call, lambda arguments, _env: _fill(pieces, arguments), values)
    values = [_argument(argument, call) for argument in call.arguments]
    return _guarded(call, signature.function, values)


def paths_of(call: Call) -> list[Path]:
    """List the paths in the arguments of a call, those of nested calls too."""
    paths: list[Path] = []
    for argument in call.arguments:
        if isinstance(argument, Path):
            paths.append(argument)
        elif isinstance(argument, Call):
            paths.extend(paths_of(argument))
    return paths


def functions_of(call: Call) -> set[str]:
    names = {call.name}
    for argument in call.arguments:
        if isinstance(argument, Call):
            names |= functions_of(argument)
    return names


def _guarded(call: Call, function: Function, values: list[Expr]) -> Expr:
    large = len(paths_of(call)) > _FEW  # each may be the whole input again

    def evaluate(data: Json, env: Env) -> Json:
        arguments = [value(data, env) for value in values]
        try:
            if large and is_longer(arguments, MAX_MADE):
                raise _ArgumentError(f"its arguments have more than {MAX_MADE} characters")  # noqa: TRY301
            return function(arguments, env)
        except _ArgumentError as error:
            raise Failure(
                "States.IntrinsicFailure", f"The function '{call.text}' had the following error: {error}"
            ) from None

    return evaluate


def _argument(argument: Argument, call: Call) -> Expr:
    if isinstance(argument, Text):
        return constant(_unescape(argument.raw))
    if isinstance(argument, Constant):
        return constant(argument.value)
    if isinstance(argument, Call):
        return compile_call(argument)
    path = argument

    def missing(data: Json, env: Env) -> Failure:
        return Failure(
            "States.Runtime",
            f"The function '{call.text}' had the following error: The JSONPath argument for the field '{path.text}' "
            f"could not be found in the input '{quoted(data, env)}'",
        )

    return getter(path, missing)


def _arity(signature: Signature) -> str:
    least, most = signature.least, signature.most
    if most is None:
        return f"at least {least} arguments"
    if least == most:
        return f"{least} argument{'' if least == 1 else 's'}"
    return f"{least} or {most} arguments"


_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _unescape(raw: str) -> str:
    return _ESCAPED.sub(r"\1", raw)


# What arguments must be.


def _array(value: Json, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise _ArgumentError(f"the {place} argument must be an array but was: {to_text(value)}")
    return value


def _text(value: Json, place: str) -> str:
    if not isinstance(value, str):
        raise _ArgumentError(f"the {place} argument must be a string but was: {to_text(value)}")
    return value


def _short_text(value: Json, place: str) -> str:
    text = _text(value, place)
    if len(text) > MAX_TEXT:
        raise _ArgumentError(f"the {place} argument must have at most {MAX_TEXT} characters but has {len(text)}")
    return text


def _integer(value: Json, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _ArgumentError(f"the {place} argument must be a number but was: {to_text(value)}")
    return value if isinstance(value, int) else math.floor(value + 0.5)


# The functions. Each takes its evaluated arguments and the environment.


def _array_partition(arguments: list[Any], _env: Env) -> Json:
    items, size = _array(arguments[0], "first"), _integer(arguments[1], "second")
    if size < 1:
        raise _ArgumentError(f"the second argument must be greater than zero but was: {size}")
    return [items[at : at + size] for at in range(0, len(items), size)]


def _array_contains(arguments: list[Any], _env: Env) -> Json:
    wanted = _identity(arguments[1])
    return any(_identity(item) == wanted for item in _array(arguments[0], "first"))


def _array_range(arguments: list[Any], _env: Env) -> Json:
    first, last, step = (
        _integer(value, place) for value, place in zip(arguments, ("first", "second", "third"), strict=True)
    )
    if step == 0:
        raise _ArgumentError("the third argument must not be zero")
    items = range(first, last + (1 if step > 0 else -1), step)
    if len(items) > MAX_RANGE:
        raise _ArgumentError(f"the array must have at most {MAX_RANGE} items but would have {len(items)}")
    return list(items)


def _array_get_item(arguments: list[Any], _env: Env) -> Json:
    items, index = _array(arguments[0], "first"), arguments[1]
    if isinstance(index, bool) or not isinstance(index, int):
        raise _ArgumentError(f"the second argument must be an integer but was: {to_text(index)}")
    if not 0 <= index < len(items):
        raise _ArgumentError(f"the index {index} is outside of the array, which has {len(items)} items")
    return items[index]


def _array_length(arguments: list[Any], _env: Env) -> Json:
    return len(_array(arguments[0], "first"))


def _array_unique(arguments: list[Any], _env: Env) -> Json:
    return list({_identity(item): item for item in reversed(_array(arguments[0], "first"))}.values())[::-1]


def _identity(value: Json) -> str:
    """Text that is equal for equal JSON values only (in Python 1, 1.0 and True are one)."""
    return json.dumps(value, sort_keys=True)


def _base64_encode(arguments: list[Any], _env: Env) -> Json:
    return base64.b64encode(_short_text(arguments[0], "first").encode(errors="surrogatepass")).decode()


def _base64_decode(arguments: list[Any], _env: Env) -> Json:
    text = _short_text(arguments[0], "first")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise _ArgumentError("the first argument is not Base64") from None


_HASHES: dict[str, Callable[[bytes], Any]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA-1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


def hash_text(text: str, algorithm: str) -> str | None:
    """Return the digest in hexadecimal; None when there is no such algorithm."""
    make = _HASHES.get(algorithm)
    return None if make is None else str(make(text.encode(errors="surrogatepass")).hexdigest())


def _hash(arguments: list[Any], _env: Env) -> Json:
    value, algorithm = arguments
    text = value if isinstance(value, str) else to_text(value)
    digest = hash_text(_short_text(text, "first"), _text(algorithm, "second"))
    if digest is None:
        raise _ArgumentError(f"the second argument must be one of {', '.join(_HASHES)} but was: {algorithm}")
    return digest


def _json_merge(arguments: list[Any], _env: Env) -> Json:
    first, second, deep = arguments
    for value, place in ((first, "first"), (second, "second")):
        if not isinstance(value, dict):
            raise _ArgumentError(f"the {place} argument must be an object but was: {to_text(value)}")
    if deep is not False:
        raise _ArgumentError("the third argument must be false: only the shallow merge is supported")
    return {**first, **second}


def _string_to_json(arguments: list[Any], _env: Env) -> Json:
    text = _text(arguments[0], "first")
    if not text.strip():
        return None
    try:
        return from_text(text)
    except ValueError:
        raise _ArgumentError("the first argument is not JSON") from None


def _json_to_string(arguments: list[Any], _env: Env) -> Json:
    return to_text(arguments[0])


def _math_random(arguments: list[Any], env: Env) -> Json:
    first, last = _integer(arguments[0], "first"), _integer(arguments[1], "second")
    if first >= last:
        raise _ArgumentError("the first argument must be less than the second")
    if len(arguments) == 3:
        # Seeded, so the same on every evaluation; not meant to be secret.
        return random.Random(_integer(arguments[2], "third")).randrange(first, last)  # noqa: S311
    return first + min(int(env.random() * (last - first)), last - first - 1)


def _math_add(arguments: list[Any], _env: Env) -> Json:
    return _integer(arguments[0], "first") + _integer(arguments[1], "second")


def _string_split(arguments: list[Any], _env: Env) -> Json:
    text, splitter = _text(arguments[0], "first"), _text(arguments[1], "second")
    if not splitter:
        return [text] if text else []
    return [part for part in re.split(f"[{re.escape(splitter)}]", text) if part]


def _format(arguments: list[Any], _env: Env) -> Json:
    return _fill(_format_pieces(_text(arguments[0], "first")), arguments[1:])


def _format_pieces(raw: str) -> list[str]:
    """Split a format at its ``{}`` and resolve the escapes in what is between."""
    pieces = [""]
    at = 0
    while at < len(raw):
        if raw[at] == "\\" and at + 1 < len(raw):
            pieces[-1] += raw[at + 1]
            at += 2
        elif raw.startswith("{}", at):
            pieces.append("")
            at += 2
        else:
            pieces[-1] += raw[at]
            at += 1
    return pieces


def _fill(pieces: list[str], values: list[Any]) -> str:
    if len(values) != len(pieces) - 1:
        raise _ArgumentError(f"the format has {len(pieces) - 1} '{{}}' but {len(values)} values follow it")
    parts = [pieces[0]]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += (value if isinstance(value, str) else java_text(value), piece)
    return "".join(parts)


def java_text(value: Json) -> str:
    """Write a value as the text that AWS makes of it, which is Java's: ``{Id=x, Name=[1, 2]}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={java_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(java_text(item) for item in value) + "]"
    return value if isinstance(value, str) else to_text(value)


FUNCTIONS: dict[str, Signature] = {
    "Array": Signature(0, None, lambda arguments, _env: arguments),
    "ArrayPartition": Signature(2, 2, _array_partition),
    "ArrayContains": Signature(2, 2, _array_contains),
    "ArrayRange": Signature(3, 3, _array_range),
    "ArrayGetItem": Signature(2, 2, _array_get_item),
    "ArrayLength": Signature(1, 1, _array_length),
    "ArrayUnique": Signature(1, 1, _array_unique),
    "Base64Encode": Signature(1, 1, _base64_encode),
    "Base64Decode": Signature(1, 1, _base64_decode),
    "Hash": Signature(2, 2, _hash),
    "JsonMerge": Signature(3, 3, _json_merge),
    "StringToJson": Signature(1, 1, _string_to_json),
    "JsonToString": Signature(1, 1, _json_to_string),
    "MathRandom": Signature(2, 3, _math_random),
    "MathAdd": Signature(2, 2, _math_add),
    "StringSplit": Signature(2, 2, _string_split),
    "UUID": Signature(0, 0, lambda _arguments, env: env.uuid()),
    "Format": Signature(1, None, _format),
}
