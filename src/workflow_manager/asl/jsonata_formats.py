"""Pictures: numbers, integers and moments as text, and back.

Source: XPath and XQuery Functions 3.1, "Formatting numbers" and "Formatting dates and times", as JSONata takes them. Integers and
the parts of date pictures are jsonata-python's work; what it makes of a picture is put in linear-time regular expressions here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import reduce
from typing import Any, TypeVar

from .jsonata_library import DateTimeUtils
from .jsonata_values import JsonataFault, Value, number
from .regex import RegexError, compile_regex

MAX_PICTURE = 1000
MAX_TEXT = 1000
"""Characters of what is parsed by a picture."""
_MAX_ROMAN = 100_000
_WIDE = re.compile(r",[^\]]*\d{4}")
"""A width that would fill memory."""

T = TypeVar("T")

# Numbers.

_PROPERTIES = {
    "decimal-separator": ".",
    "grouping-separator": ",",
    "exponent-separator": "e",
    "infinity": "Infinity",
    "minus-sign": "-",
    "NaN": "NaN",
    "percent": "%",
    "per-mille": "\u2030",
    "zero-digit": "0",
    "digit": "#",
    "pattern-separator": ";",
}


@dataclass(slots=True)
class _Picture:
    """One sub-picture, taken apart."""

    text: str
    prefix: str
    suffix: str
    active: str
    mantissa: str
    exponent: str | None
    integer: str
    fraction: str


@dataclass(slots=True)
class _Layout:
    """What a sub-picture asks for."""

    least_integer: int
    scaling: int
    least_fraction: int
    most_fraction: int
    least_exponent: int
    regular_grouping: int
    integer_groups: list[int] = field(default_factory=list)
    fraction_groups: list[int] = field(default_factory=list)


def format_number(value: float, picture: str, options: dict[str, Value]) -> str:
    """``$formatNumber``. Raises JsonataFault."""
    properties = dict(_PROPERTIES)
    for name, given in options.items():
        if name in properties and isinstance(given, str) and given:
            properties[name] = given
    if len(picture) > MAX_PICTURE:
        raise JsonataFault("D2015", MAX_PICTURE)
    zero = properties["zero-digit"]
    family = [chr(ord(zero[0]) + digit) for digit in range(10)]
    separator, grouping = properties["decimal-separator"], properties["grouping-separator"]
    subs = picture.split(properties["pattern-separator"])
    if len(subs) > 2:
        raise JsonataFault("D3080")
    parts = [_taken_apart(sub, properties, family) for sub in subs]
    for part in parts:
        _check(part, properties, family)
    negative = value < 0
    part = parts[1] if negative and len(parts) == 2 else parts[0]
    prefix = properties["minus-sign"] + part.prefix if negative and len(parts) == 1 else part.prefix
    layout = _layout(part, properties, family)
    exact = abs(Decimal(repr(value)))
    if properties["percent"] in part.text:
        exact *= 100
    elif properties["per-mille"] in part.text:
        exact *= 1000
    exponent: int | None = None
    if layout.least_exponent:
        exponent = exact.adjusted() + 1 - layout.scaling if exact else 0
        exact = exact.scaleb(-exponent)
    try:
        rounded = exact.quantize(Decimal(1).scaleb(-layout.most_fraction), rounding=ROUND_HALF_EVEN)
    except InvalidOperation:  # more digits than Decimal's context has, so that there is nothing to round
        rounded = exact
    whole, _, rest = format(rounded, "f").partition(".")
    whole, rest = whole.lstrip("0"), rest.rstrip("0")
    whole = whole.rjust(layout.least_integer, "0")
    rest = rest.ljust(layout.least_fraction, "0")
    whole = _grouped(whole, layout, grouping)
    for inserted, position in enumerate(layout.fraction_groups):
        if position + inserted < len(rest):
            rest = rest[: position + inserted] + grouping + rest[position + inserted :]
    text = whole + separator + rest if rest and separator in part.text else whole
    if exponent is not None:
        digits = str(abs(exponent)).rjust(layout.least_exponent, "0")
        text += properties["exponent-separator"] + (properties["minus-sign"] if exponent < 0 else "") + digits
    if zero != "0":
        text = "".join(family[int(c)] if c in "0123456789" else c for c in text)
    return prefix + text + part.suffix


def _taken_apart(sub: str, properties: dict[str, str], family: list[str]) -> _Picture:
    separator, exponent_sign = properties["decimal-separator"], properties["exponent-separator"]
    bounding = {
        *family,
        separator,
        properties["grouping-separator"],
        properties["digit"],
        properties["pattern-separator"],
    }
    places = [index for index, character in enumerate(sub) if character in bounding]
    first, last = (places[0], places[-1] + 1) if places else (len(sub), len(sub))
    prefix, active, suffix = sub[:first], sub[first:last], sub[last:]
    at = active.find(exponent_sign)
    mantissa, exponent = (active, None) if at < 0 else (active[:at], active[at + 1 :])
    integer, found, fraction = mantissa.partition(separator)
    if not places:
        prefix, active, mantissa, integer, suffix = "", sub, sub, sub, ""
    return _Picture(sub, prefix, suffix, active, mantissa, exponent, integer, fraction if found else "")


def _check(part: _Picture, properties: dict[str, str], family: list[str]) -> None:
    """Refuse a sub-picture that breaks a rule, in the reference's order."""
    text, separator, grouping = part.text, properties["decimal-separator"], properties["grouping-separator"]
    digit, percent, per_mille = properties["digit"], properties["percent"], properties["per-mille"]
    digits = {*family, digit}
    known = {*digits, separator, grouping, properties["exponent-separator"], properties["pattern-separator"]}
    at = text.find(separator)
    optional, late = part.integer.find(digit), part.fraction.rfind(digit)
    scaled = percent in text or per_mille in text
    exponent = part.exponent
    faults = (
        ("D3081", text.count(separator) > 1),
        ("D3082", text.count(percent) > 1),
        ("D3083", text.count(per_mille) > 1),
        ("D3084", percent in text and per_mille in text),
        ("D3085", not any(character in digits for character in part.mantissa)),
        ("D3086", any(character not in known for character in part.active)),
        ("D3087", at >= 0 and grouping in (text[at - 1 : at], text[at + 1 : at + 2])),
        ("D3088", at < 0 and part.integer.endswith(grouping)),
        ("D3089", grouping * 2 in text),
        ("D3090", optional >= 0 and any(character in family for character in part.integer[:optional])),
        ("D3091", late >= 0 and any(character in family for character in part.fraction[late:])),
        ("D3092", bool(exponent) and scaled),
        ("D3093", exponent is not None and (not exponent or any(character not in family for character in exponent))),
    )
    # A picture of passive characters only is found out by the last of its faults in the reference, not by the first.
    if not any(character in known for character in text):
        raise JsonataFault("D3086")
    for code, present in faults:
        if present:
            raise JsonataFault(code)


def _layout(part: _Picture, properties: dict[str, str], family: list[str]) -> _Layout:
    grouping, digit = properties["grouping-separator"], properties["digit"]

    def digits(text: str, *, optional: bool) -> int:
        return sum(character in family or (optional and character == digit) for character in text)

    groups = [
        digits(part.integer[index:], optional=True)
        for index, character in enumerate(part.integer)
        if character == grouping
    ]
    least_integer = scaling = digits(part.integer, optional=False)
    least_fraction = digits(part.fraction, optional=False)
    most_fraction = digits(part.fraction, optional=True)
    if least_integer == 0 and most_fraction == 0:
        if part.exponent is not None:
            least_fraction = most_fraction = 1
        else:
            least_integer = 1
    if part.exponent is not None and least_integer == 0 and digit in part.integer:
        least_integer = 1
    if least_integer == 0 and least_fraction == 0:
        least_fraction = 1
    return _Layout(
        least_integer,
        scaling,
        least_fraction,
        most_fraction,
        0 if part.exponent is None else digits(part.exponent, optional=False),
        _regular(groups),
        groups,
        [
            digits(part.fraction[:index], optional=True)
            for index, character in enumerate(part.fraction)
            if character == grouping
        ],
    )


def _regular(groups: list[int]) -> int:
    """The distance of separators that stand at equal distances; 0 when they do not."""
    if not groups:
        return 0
    distance = reduce(math.gcd, groups)
    return distance if all(index * distance in groups for index in range(1, len(groups) + 1)) else 0


def _grouped(whole: str, layout: _Layout, grouping: str) -> str:
    places = (
        range(layout.regular_grouping, len(whole), layout.regular_grouping)
        if layout.regular_grouping
        else sorted(layout.integer_groups)
    )
    for inserted, place in enumerate(places):
        at = len(whole) - place - inserted * len(grouping)
        if at > 0:
            whole = whole[:at] + grouping + whole[at:]
    return whole


# Integers.

_LIBRARY_ERRORS = {
    "Formatting or parsing": "D3130",
    "In a decimal digit": "D3131",
    "Unknown component": "D3132",
    "The 'name' modifier": "D3133",
    "The timezone integer": "D3134",
    "No matching closing": "D3135",
    "The date/time picture": "D3136",
}


def _by_library(work: Callable[[], T], picture: str) -> T:
    """Do what the library does, bounded, and with its errors as codes."""
    if len(picture) > MAX_PICTURE or _WIDE.search(picture):
        raise JsonataFault("D2015", MAX_PICTURE)
    try:
        return work()
    except JsonataFault:
        raise
    except KeyError as error:
        raise JsonataFault("D3132", str(error.args[0])) from None
    except Exception as error:  # noqa: BLE001 - the library raises bare RuntimeErrors, and whatever bad pictures provoke
        for beginning, code in _LIBRARY_ERRORS.items():
            if str(error).startswith(beginning):
                raise JsonataFault(code, picture) from None
        raise JsonataFault("D3136") from None


def format_integer(value: float, picture: str) -> str:
    """``$formatInteger``. Raises JsonataFault."""
    whole = value if isinstance(value, int) else int(Decimal(repr(value)))
    if picture[:1] in ("I", "i") and abs(whole) > _MAX_ROMAN:
        raise JsonataFault("D1001", value)
    text: str = _by_library(lambda: DateTimeUtils.format_integer(whole, picture), picture)
    return text


def parse_integer(text: str, picture: str) -> float:
    """``$parseInteger``. Raises JsonataFault."""
    if len(text) > MAX_TEXT:
        raise JsonataFault("D2015", MAX_TEXT)
    return number(float(_by_library(lambda: DateTimeUtils.parse_integer(text, picture), picture)))


# Moments.

_ISO = re.compile(
    r"(\d{4})(?:-([01]\d))?(?:-([0-3]\d))?(?:T([0-2]\d):([0-5]\d):([0-5]\d)(?:\.(\d+))?)?(?:(Z)|([+-])([0-2]\d):?([0-5]\d))?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE = re.compile(r"([+-]?)(\d\d)(?::?(\d\d))?", re.ASCII)


def parse_moment(text: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 timestamp. Raises JsonataFault."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise JsonataFault("D3110", text[:100])
    year, month, day, hour, minute, second = (
        int(found[group] or least) for group, least in zip(range(1, 7), "011000", strict=True)
    )
    try:
        elapsed = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - _EPOCH
    except ValueError:
        raise JsonataFault("D3110", text[:100]) from None
    offset = timedelta(hours=int(found[10] or 0), minutes=int(found[11] or 0))
    elapsed += -offset if found[9] == "+" else offset
    return elapsed // timedelta(milliseconds=1) + int((found[7] or "").ljust(3, "0")[:3])


def format_moment(millis: int, picture: str | None, zone: str | None) -> str:
    """A moment as text. Raises JsonataFault."""
    if picture is None and zone is None:
        try:
            moment = _EPOCH + timedelta(milliseconds=millis)
        except OverflowError:
            raise JsonataFault("D1001", millis) from None
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if zone is not None and not _ZONE.fullmatch(zone) and zone not in ("0", "Z"):
        raise JsonataFault("D3134")
    text: str = _by_library(lambda: DateTimeUtils.format_datetime(millis, picture, zone), picture or "")
    return text


def parse_pictured_moment(text: str, picture: str, now: float) -> int | None:
    """Milliseconds since the epoch of what a picture describes; None when the text does not fit it. Raises JsonataFault.

    What comes before the first component is taken from ``now``, seconds since the epoch.
    """
    if len(text) > MAX_TEXT:
        raise JsonataFault("D2015", MAX_TEXT)
    return _by_library(lambda: _parse_by_picture(text, picture, now), picture)


def _parse_by_picture(text: str, picture: str, now: float) -> int | None:
    spec: Any = DateTimeUtils._analyse_datetime_picture(picture)
    matchers: list[Any] = DateTimeUtils._generate_regex(spec).parts
    pattern = "".join(
        f"({re.escape(part.value) if part.type == 'literal' else matcher.regex})"
        for part, matcher in zip(spec.parts, matchers, strict=True)
    )
    try:
        groups = compile_regex(pattern, ignore_case=True).groups(text)
    except RegexError:
        raise JsonataFault("D3136") from None
    if groups is None:
        return None
    found: dict[str, int] = {}
    for matcher, group in zip(matchers, groups, strict=True):
        if matcher.component is None or group is None:
            continue
        if matcher.component == "f":
            found["f"] = int(group.ljust(3, "0")[:3]) if group.isdigit() else int(matcher.parse(group))
        else:
            found[matcher.component] = int(matcher.parse(group))
    return _moment_of(found, now) if found else None


def _moment_of(found: dict[str, int], now: float) -> int:
    def mask(components: str) -> int:
        return int("".join("1" if component in found else "0" for component in components), 2)

    def is_kind(kind: int, given: int) -> bool:
        return not ~kind & given and bool(kind & given)

    dates, times = mask("YXMxWwdD"), mask("PHhmsf")
    by_date = is_kind(161, dates)
    by_day = not by_date and is_kind(130, dates)
    by_month_week = is_kind(84, dates)
    by_week = not by_month_week and is_kind(72, dates)
    by_half = not is_kind(23, times) and is_kind(47, times)
    order = ("Yd" if by_day else "XxwF" if by_month_week else "XWF" if by_week else "YMD") + (
        "Phmsf" if by_half else "Hmsf"
    )
    today = _EPOCH + timedelta(seconds=int(now))
    current = {"Y": today.year, "M": today.month, "D": today.day, "H": today.hour, "m": today.minute, "s": today.second}
    started = ended = False
    for component in order:
        if component in found:
            started = True
            if ended:
                raise JsonataFault("D3136")
        elif started:
            found[component] = 1 if component in "MDd" else 0
            ended = True
        else:
            found[component] = current.get(component, 0)
    if by_month_week or by_week:
        raise JsonataFault("D3136")
    if by_half:
        found["H"] = (0 if found["h"] == 12 else found["h"]) + (12 if found["P"] == 1 else 0)
    if by_day:
        day = datetime(found["Y"], 1, 1, tzinfo=UTC) + timedelta(days=found["d"] - 1)
    else:
        day = datetime(found["Y"], max(found["M"], 1), found["D"], tzinfo=UTC)
    elapsed = (
        day - _EPOCH + timedelta(hours=found["H"], minutes=found["m"], seconds=found["s"], milliseconds=found["f"])
    )
    elapsed -= timedelta(minutes=found.get("Z", found.get("z", 0)))
    return elapsed // timedelta(milliseconds=1)
