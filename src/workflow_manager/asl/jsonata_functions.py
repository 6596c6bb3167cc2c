"""The functions of JSONata, as a table: name, signature, arity, work.

Source: JSONata documentation, "String functions" to "Higher order functions". Each takes the evaluation and arguments that its
signature has let through. ``$eval`` is missing because Step Functions has none.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote, unquote

from . import jsonata_formats as formats
from .jsonata_evaluator import MAX_SIZE, Evaluation, Frame, arity, truth
from .jsonata_signatures import Signature
from .jsonata_text import string, to_number
from .jsonata_values import (
    UNDEFINED,
    JsonataFault,
    Native,
    Sequence,
    Value,
    is_function,
    is_number,
    number,
    type_name,
)
from .regex import Match

# Strings.


def _string(run: Evaluation, value: Value, pretty: Value) -> Value:
    if value.__class__ is Sequence and value.outer:
        value = value[0]
    return UNDEFINED if value is UNDEFINED else string(run, value, pretty=truth(pretty))


def _substring(_run: Evaluation, text: Value, start: Value, length: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    if start is UNDEFINED:
        return text if length is UNDEFINED else ""
    first = math.trunc(start)
    if first < 0:
        first = max(len(text) + first, 0)
    if length is UNDEFINED:
        return text[first:]
    return text[first : first + math.trunc(length)] if length > 0 else ""


def _substring_before(_run: Evaluation, text: Value, separator: Value) -> Value:
    if text is UNDEFINED or separator is UNDEFINED:
        return text
    at = text.find(separator)
    return text if at < 0 else text[:at]


def _substring_after(_run: Evaluation, text: Value, separator: Value) -> Value:
    if text is UNDEFINED or separator is UNDEFINED:
        return text
    at = text.find(separator)
    return text if at < 0 else text[at + len(separator) :]


_BLANKS = re.compile("[ \t\n\r]+")


def _trim(_run: Evaluation, text: Value) -> Value:
    return UNDEFINED if text is UNDEFINED else _BLANKS.sub(" ", text).strip(" ")


def _pad(run: Evaluation, text: Value, width: Value, filler: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    width = 0 if width is UNDEFINED else math.trunc(width)
    missing = abs(width) - len(text)
    if missing <= 0:
        return text
    if missing > MAX_SIZE:
        raise JsonataFault("D2015", MAX_SIZE)
    filler = filler if filler is not UNDEFINED and filler else " "
    padding = (filler * (missing // len(filler) + 1))[:missing]
    return run.text(padding + text if width < 0 else text + padding)


def _contains(run: Evaluation, text: Value, token: Value) -> Value:
    if text is UNDEFINED or token is UNDEFINED:
        return UNDEFINED
    if isinstance(token, str):
        return token in text
    return next(run.matches(token, text, "contains"), None) is not None


def _limited(limit: Value, code: str) -> float:
    if limit is UNDEFINED:
        return math.inf
    if limit < 0:
        raise JsonataFault(code)
    return float(limit)


def _match(run: Evaluation, text: Value, matcher: Value, limit: Value) -> Value:
    most = _limited(limit, "D3040")
    if text is UNDEFINED:
        return UNDEFINED
    found = Sequence()
    if most > 0:
        for match in run.matches(matcher, text, "match"):
            found.append({"match": match.text, "index": match.start, "groups": list(match.groups)})
            if len(found) >= most:
                break
    return found


def _split(run: Evaluation, text: Value, separator: Value, limit: Value) -> Value:
    most = _limited(limit, "D3020")
    if text is UNDEFINED:
        return UNDEFINED
    count = math.floor(most) if most < MAX_SIZE else None
    if isinstance(separator, str):
        return (list(text) if not separator else text.split(separator))[:count]
    if separator is UNDEFINED:
        return [text][:count]
    parts: list[str] = []
    at = 0
    for match in run.matches(separator, text, "split"):
        if len(parts) >= most:
            break
        parts.append(text[at : match.start])
        at = match.end
    if len(parts) < most:
        parts.append(text[at:])
    return parts


def _join(run: Evaluation, texts: Value, separator: Value) -> Value:
    if texts is UNDEFINED:
        return UNDEFINED
    separator = "" if separator is UNDEFINED else separator
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_SIZE:
        raise JsonataFault("D2015", MAX_SIZE)
    return run.text(separator.join(texts))


def _replace(run: Evaluation, text: Value, pattern: Value, replacement: Value, limit: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    if pattern == "" or pattern is UNDEFINED:
        raise JsonataFault("D3010")
    most = _limited(limit, "D3011")
    if isinstance(pattern, str) and isinstance(replacement, str):
        count = -1 if most > MAX_SIZE else math.ceil(most)
        if text.count(pattern) * max(len(replacement) - len(pattern), 0) + len(text) > MAX_SIZE:
            raise JsonataFault("D2015", MAX_SIZE)
        return run.text(text.replace(pattern, replacement, count))
    parts: list[str] = []
    at = size = 0
    matches = _literal(text, pattern) if isinstance(pattern, str) else run.matches(pattern, text, "replace")
    for done, match in enumerate(matches):
        if done >= most:
            break
        if isinstance(replacement, str):
            put: Value = _filled(replacement, match.text, match.groups)
        else:
            described = {"match": match.text, "start": match.start, "end": match.end, "groups": list(match.groups)}
            put = run.apply(replacement, [described])
            if not isinstance(put, str):
                raise JsonataFault("D3012")
        parts += (text[at : match.start], put)
        size += len(put) + match.start - at
        if size > MAX_SIZE:
            raise JsonataFault("D2015", MAX_SIZE)
        at = match.start + len(match.text)
    parts.append(text[at:])
    return run.text("".join(parts))


def _literal(text: str, pattern: str) -> Any:
    at = text.find(pattern)
    while at >= 0:
        yield Match(pattern, at, at + len(pattern), ())
        at = text.find(pattern, at + len(pattern))


def _filled(replacement: str, match: str, groups: tuple[str | None, ...]) -> str:
    """Put the groups of a match where a replacement names them: ``$1``; ``$0`` is the match, ``$$`` a dollar."""
    parts: list[str] = []
    at = 0
    digits = len(str(len(groups)))
    while (dollar := replacement.find("$", at)) >= 0:
        parts.append(replacement[at:dollar])
        at = dollar + 1
        following = replacement[at : at + 1]
        if following == "$":
            parts.append("$")
            at += 1
            continue
        if following == "0":
            parts.append(match)
            at += 1
            continue
        named = re.match(r"\d+", replacement[at : at + digits], re.ASCII)
        if named is None:
            parts.append("$")
            continue
        text = named[0]
        if len(text) > 1 and int(text) > len(groups):
            text = text[:-1]
        if 1 <= int(text) <= len(groups):
            parts.append(groups[int(text) - 1] or "")
        at += len(text)
    parts.append(replacement[at:])
    return "".join(parts)


def _base64_encode(_run: Evaluation, text: Value) -> Value:
    return UNDEFINED if text is UNDEFINED else base64.b64encode(text.encode(errors="surrogatepass")).decode()


def _base64_decode(_run: Evaluation, text: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode(errors="replace")
    except (binascii.Error, ValueError):
        raise JsonataFault("D3137", "The argument of the base64decode function is not Base64") from None


def _encoder(name: str, safe: str) -> Callable[[Evaluation, Value], Value]:
    def encode(run: Evaluation, text: Value) -> Value:
        if text is UNDEFINED:
            return UNDEFINED
        try:
            return run.text(quote(text, safe=safe))
        except UnicodeEncodeError:
            raise JsonataFault("D3140", name, text) from None

    return encode


_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _decoder(name: str, kept: str) -> Callable[[Evaluation, Value], Value]:
    """``kept``: the escapes that stay as they are, as alternatives of a pattern."""
    stays = re.compile(f"(%(?:{kept}))", re.IGNORECASE) if kept else None

    def decode(_run: Evaluation, text: Value) -> Value:
        if text is UNDEFINED:
            return UNDEFINED
        if _ESCAPED.search(text):
            raise JsonataFault("D3140", name, text)
        try:
            pieces = [text] if stays is None else stays.split(text)
            return "".join(
                piece if index % 2 else unquote(piece, errors="strict") for index, piece in enumerate(pieces)
            )
        except ValueError:
            raise JsonataFault("D3140", name, text) from None

    return decode


# Numbers.


def _sum(_run: Evaluation, numbers: Value) -> Value:
    return UNDEFINED if numbers is UNDEFINED else number(sum(numbers))


def _max(_run: Evaluation, numbers: Value) -> Value:
    return UNDEFINED if numbers is UNDEFINED or not numbers else max(numbers)


def _min(_run: Evaluation, numbers: Value) -> Value:
    return UNDEFINED if numbers is UNDEFINED or not numbers else min(numbers)


def _average(_run: Evaluation, numbers: Value) -> Value:
    return UNDEFINED if numbers is UNDEFINED or not numbers else number(sum(numbers) / len(numbers))


def _round(_run: Evaluation, value: Value, precision: Value) -> Value:
    """Half to even, in decimal (JSONata documentation, "$round")."""
    if value is UNDEFINED:
        return UNDEFINED
    places = 0 if precision is UNDEFINED else math.trunc(precision)
    if abs(places) > 400 or not is_number(value):
        return value if places > 0 else 0
    try:
        return number(float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)))
    except InvalidOperation:
        return value if places > 0 else 0


def _power(_run: Evaluation, base: Value, exponent: Value) -> Value:
    if base is UNDEFINED or exponent is UNDEFINED:
        return UNDEFINED
    try:
        result = float(base) ** float(exponent)
    except (OverflowError, ZeroDivisionError):
        raise JsonataFault("D3061", base, exponent) from None
    if isinstance(result, complex) or not math.isfinite(result):
        raise JsonataFault("D3061", base, exponent)
    return result


def _sqrt(_run: Evaluation, value: Value) -> Value:
    if value is UNDEFINED:
        return UNDEFINED
    if value < 0:
        raise JsonataFault("D3060", value)
    return math.sqrt(value)


def _number(_run: Evaluation, value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else to_number(value)


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _format_base(run: Evaluation, value: Value, radix: Value) -> Value:
    if value is UNDEFINED:
        return UNDEFINED
    base = 10 if radix is UNDEFINED else math.trunc(radix)
    if not 2 <= base <= 36:
        raise JsonataFault("D3100", radix)
    rest = int(_round(run, value, 0))
    digits: list[str] = []
    sign, rest = ("-", -rest) if rest < 0 else ("", rest)
    while rest:
        rest, digit = divmod(rest, base)
        digits.append(_DIGITS[digit])
    return sign + ("".join(reversed(digits)) or "0")


def _unary(function: Callable[[Any], Any]) -> Callable[[Evaluation, Value], Value]:
    return lambda _run, value: UNDEFINED if value is UNDEFINED else function(value)


# Arrays and objects.


def _count(_run: Evaluation, items: Value) -> Value:
    return 0 if items is UNDEFINED else len(items)


def _append(_run: Evaluation, first: Value, second: Value) -> Value:
    if first is UNDEFINED:
        return second
    if second is UNDEFINED:
        return first
    return [*_items(first), *_items(second)]


def _items(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _sort(run: Evaluation, items: Value, comparator: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    if len(items) <= 1:
        return items
    if comparator is UNDEFINED:
        if not (all(isinstance(item, str) for item in items) or all(map(is_number, items))):
            raise JsonataFault("D3070")
        run.charge(len(items))
        return sorted(items)
    return _merged(items, lambda first, second: truth(run.apply(comparator, [first, second])))


def _merged(items: list[Value], after: Callable[[Value, Value], bool]) -> list[Value]:
    """Merge sort, as the reference has it: whether the first of two comes ``after`` the second is all it asks."""
    if len(items) <= 1:
        return items
    middle = len(items) // 2
    left, right = _merged(items[:middle], after), _merged(items[middle:], after)
    merged: list[Value] = []
    one = other = 0
    while one < len(left) and other < len(right):
        if after(left[one], right[other]):
            merged.append(right[other])
            other += 1
        else:
            merged.append(left[one])
            one += 1
    return merged + left[one:] + right[other:]


def _reverse(_run: Evaluation, items: Value) -> Value:
    return UNDEFINED if items is UNDEFINED else items[::-1]


def _shuffle(run: Evaluation, items: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    shuffled = list(items)
    for last in range(len(shuffled) - 1, 0, -1):
        other = min(int(run.environment.random() * (last + 1)), last)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return shuffled


def _distinct(run: Evaluation, items: Value) -> Value:
    if not isinstance(items, list) or len(items) <= 1:
        return items
    found: dict[Any, Value] = {}
    for item in items:
        if isinstance(item, (str, bool)) or item is None:
            found.setdefault((item.__class__, item), item)
        elif isinstance(item, (int, float)):
            found.setdefault((float, item), item)
        else:
            found.setdefault(_identity(run, item), item)
    kept = list(found.values())
    return Sequence(kept) if items.__class__ is Sequence else kept


def _identity(run: Evaluation, value: Value) -> Any:
    """What is equal for equal values only, and can be a key."""
    run.charge(1)
    if isinstance(value, list):
        return (list, tuple([_identity(run, item) for item in value]))
    if isinstance(value, dict):
        return (dict, frozenset([(key, _identity(run, item)) for key, item in value.items()]))
    if isinstance(value, bool):
        return (bool, value)
    return value if not is_function(value) else (object, id(value))


def _zip(_run: Evaluation, *arrays: Value) -> Value:
    if any(array is UNDEFINED for array in arrays):
        return []
    return [list(items) for items in zip(*map(_items, arrays), strict=False)]


def _keys(_run: Evaluation, value: Value) -> Value:
    if isinstance(value, list):
        return Sequence(dict.fromkeys(key for item in value for key in _keys(_run, item)))
    return Sequence(value) if isinstance(value, dict) else Sequence()


def _lookup(run: Evaluation, value: Value, key: Value) -> Value:
    return UNDEFINED if key is UNDEFINED else run.lookup(value, key)


def _spread(run: Evaluation, value: Value) -> Value:
    if isinstance(value, list):
        spread = Sequence()
        for item in value:
            inner = _spread(run, item)
            if inner is not UNDEFINED:
                spread.extend(_items(inner))
        run.charge(len(spread) >> 1)
        return spread
    if isinstance(value, dict):
        return Sequence({key: item} for key, item in value.items())
    return "" if is_function(value) else value


def _merge(run: Evaluation, objects: Value) -> Value:
    if objects is UNDEFINED:
        return UNDEFINED
    merged: dict[str, Value] = {}
    for item in objects:
        run.charge(1 + (len(item) >> 1))
        merged.update(item)
    return merged


def _type(_run: Evaluation, value: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else type_name(value)


# Functions that call functions.


def _called(run: Evaluation, function: Value, takes: int, *arguments: Value) -> Value:
    return run.apply(function, list(arguments[: max(1, min(takes, 3))]))


def _map(run: Evaluation, items: Value, function: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    takes = arity(function)
    found = Sequence()
    for index, item in enumerate(items):
        value = _called(run, function, takes, item, index, items)
        if value is not UNDEFINED:
            found.append(value)
    return found


def _filter(run: Evaluation, items: Value, function: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    takes = arity(function)
    found = Sequence()
    for index, item in enumerate(items):
        if truth(_called(run, function, takes, item, index, items)):
            found.append(item)
    return found


def _single(run: Evaluation, items: Value, function: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    takes = 0 if function is UNDEFINED else arity(function)
    found = [
        item
        for index, item in enumerate(items)
        if function is UNDEFINED or truth(_called(run, function, takes, item, index, items))
    ]
    if len(found) != 1:
        raise JsonataFault("D3138" if found else "D3139")
    return found[0]


def _reduce(run: Evaluation, items: Value, function: Value, start: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    takes = arity(function)
    if takes < 2:
        raise JsonataFault("D3050")
    at = 0
    result = start
    if start is UNDEFINED and items:
        result, at = items[0], 1
    for index in range(at, len(items)):
        result = run.apply(function, [result, items[index], index, items][: min(takes, 4)])
    return result


def _sift(run: Evaluation, value: Value, function: Value) -> Value:
    if value is UNDEFINED:
        return UNDEFINED
    takes = arity(function)
    found = {key: item for key, item in value.items() if truth(_called(run, function, takes, item, key, value))}
    return found or UNDEFINED


def _each(run: Evaluation, value: Value, function: Value) -> Value:
    if value is UNDEFINED:
        return UNDEFINED
    takes = arity(function)
    results = [_called(run, function, takes, item, key, value) for key, item in value.items()]
    return Sequence(result for result in results if result is not UNDEFINED)


# Errors and time.


def _error(_run: Evaluation, message: Value) -> Value:
    raise JsonataFault("D3137", "$error() function evaluated" if message is UNDEFINED else message)


def _assert(_run: Evaluation, condition: Value, message: Value) -> Value:
    if not truth(condition):
        raise JsonataFault("D3141", "$assert() statement failed" if message is UNDEFINED else message)
    return UNDEFINED


def _now(run: Evaluation, picture: Value, zone: Value) -> Value:
    return formats.format_moment(int(run.environment.now() * 1000), _text(picture), _text(zone))


def _from_millis(_run: Evaluation, millis: Value, picture: Value, zone: Value) -> Value:
    return UNDEFINED if millis is UNDEFINED else formats.format_moment(int(millis), _text(picture), _text(zone))


def _to_millis(run: Evaluation, text: Value, picture: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    if picture is UNDEFINED:
        return formats.parse_moment(text)
    millis = formats.parse_pictured_moment(text, picture, run.environment.now())
    return UNDEFINED if millis is None else millis


def _text(value: Value) -> str | None:
    return None if value is UNDEFINED else value


def _format_number(_run: Evaluation, value: Value, picture: Value, options: Value) -> Value:
    if value is UNDEFINED or picture is UNDEFINED:
        return UNDEFINED
    return formats.format_number(value, picture, {} if options is UNDEFINED else options)


def _format_integer(_run: Evaluation, value: Value, picture: Value) -> Value:
    return UNDEFINED if value is UNDEFINED else formats.format_integer(value, picture)


def _parse_integer(_run: Evaluation, text: Value, picture: Value) -> Value:
    return UNDEFINED if text is UNDEFINED else formats.parse_integer(text, picture)


Function = Callable[..., Value]


def table(functions: dict[str, tuple[str, Function]]) -> dict[str, Value]:
    """Functions by their names, out of signatures and work."""
    made: dict[str, Value] = {}
    for name, (text, function) in functions.items():
        signature = Signature(text)
        made[name] = Native(name, function, signature, signature.required)
    return made


STANDARD = table(
    {
        "string": ("<x-b?:s>", _string),
        "substring": ("<s-nn?:s>", _substring),
        "substringBefore": ("<s-s:s>", _substring_before),
        "substringAfter": ("<s-s:s>", _substring_after),
        "lowercase": ("<s-:s>", _unary(str.lower)),
        "uppercase": ("<s-:s>", _unary(str.upper)),
        "length": ("<s-:n>", _unary(len)),
        "trim": ("<s-:s>", _trim),
        "pad": ("<s-ns?:s>", _pad),
        "match": ("<s-f<s:o>n?:a<o>>", _match),
        "contains": ("<s-(sf):b>", _contains),
        "replace": ("<s-(sf)(sf)n?:s>", _replace),
        "split": ("<s-(sf)n?:a<s>>", _split),
        "join": ("<a<s>s?:s>", _join),
        "base64encode": ("<s-:s>", _base64_encode),
        "base64decode": ("<s-:s>", _base64_decode),
        "encodeUrlComponent": ("<s-:s>", _encoder("encodeUrlComponent", "~()*!.'")),
        "encodeUrl": ("<s-:s>", _encoder("encodeUrl", "~@#$&()*!+=:;,.?/'")),
        "decodeUrlComponent": ("<s-:s>", _decoder("decodeUrlComponent", "")),
        "decodeUrl": ("<s-:s>", _decoder("decodeUrl", "3b|2f|3f|3a|40|26|3d|2b|24|2c|23")),
        "sum": ("<a<n>:n>", _sum),
        "max": ("<a<n>:n>", _max),
        "min": ("<a<n>:n>", _min),
        "average": ("<a<n>:n>", _average),
        "number": ("<(nsb)-:n>", _number),
        "abs": ("<n-:n>", _unary(abs)),
        "floor": ("<n-:n>", _unary(math.floor)),
        "ceil": ("<n-:n>", _unary(math.ceil)),
        "round": ("<n-n?:n>", _round),
        "power": ("<n-n:n>", _power),
        "sqrt": ("<n-:n>", _sqrt),
        "formatNumber": ("<n-so?:s>", _format_number),
        "formatBase": ("<n-n?:s>", _format_base),
        "formatInteger": ("<n-s:s>", _format_integer),
        "parseInteger": ("<s-s:n>", _parse_integer),
        "boolean": ("<x-:b>", _unary(truth)),
        "not": ("<x-:b>", _unary(lambda value: not truth(value))),
        "exists": ("<x:b>", lambda _run, value: value is not UNDEFINED),
        "count": ("<a:n>", _count),
        "append": ("<xx:a>", _append),
        "sort": ("<af?:a>", _sort),
        "reverse": ("<a:a>", _reverse),
        "shuffle": ("<a:a>", _shuffle),
        "distinct": ("<x:x>", _distinct),
        "zip": ("<a+>", _zip),
        "keys": ("<x-:a<s>>", _keys),
        "lookup": ("<x-s:x>", _lookup),
        "spread": ("<x-:a<o>>", _spread),
        "merge": ("<a<o>:o>", _merge),
        "each": ("<o-f:a>", _each),
        "sift": ("<o-f?:o>", _sift),
        "error": ("<s?:x>", _error),
        "assert": ("<bs?:x>", _assert),
        "type": ("<x:s>", _type),
        "map": ("<af>", _map),
        "filter": ("<af>", _filter),
        "single": ("<af?>", _single),
        "reduce": ("<afj?:j>", _reduce),
        "clone": ("<(oa)-:o>", lambda run, value: UNDEFINED if value is UNDEFINED else run.clone(value)),
        "now": ("<s?s?:s>", _now),
        "millis": ("<:n>", lambda run: int(run.environment.now() * 1000)),
        "fromMillis": ("<n-s?s?:s>", _from_millis),
        "toMillis": ("<s-s?:n>", _to_millis),
    }
)


def scope(functions: dict[str, Value]) -> Frame:
    """The outermost scope: the standard functions, and ``functions`` besides."""
    return Frame(None, {**STANDARD, **functions})
