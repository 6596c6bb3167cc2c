"""JSONata in states: expressions in ``{% %}``, the templates that hold them, ``$states``, and the functions AWS adds.

Source: Step Functions guide, "Transforming data with JSONata". Expressions are parsed when the definition is compiled. What they
cost is bounded in steps, depth and sizes rather than in time, so that the same expression always ends the same way. The clock,
random numbers and UUIDs come from the Env.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from .intrinsics import MAX_RANGE, hash_text
from .jsontext import from_text, to_text
from .program import ABSENT, Env, Expr, Failure, Json
from .templates import constant
from .timestamps import parse_seconds

ERROR = "States.QueryEvaluationError"

MAX_LENGTH = 16_384
MAX_STEPS = 250_000
MAX_DEPTH = 300
MAX_SIZE = 1_000_000
"""Characters or items of any value an expression makes on its way."""

_BANNED = frozenset({"eval"})
_KEPT = frozenset({"", "$", "states"})
_ADDED = frozenset({"partition", "range", "hash", "random", "uuid", "parse"})

Accepts: TypeAlias = Callable[[Any, str, str], Any]
"""(value, the expression or None for a literal, field) -> the value as its state wants it. Raises Failure."""


def is_expression(text: str) -> bool:
    return len(text) >= 4 and text.startswith("{%") and text.endswith("%}")


class JsonataError(ValueError):
    """The text is no JSONata expression that a state may have; the message says why."""


class _Bounded(Jsonata):  # type: ignore[misc]  # the library has no types
    """An expression whose ranges are bounded before they are made."""

    def evaluate_range_expression(self, lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, int) and isinstance(rhs, int) and rhs - lhs >= MAX_SIZE:
            raise JException("D2014", -1, rhs - lhs + 1)
        return super().evaluate_range_expression(lhs, rhs)


class TemplateCompiler:
    """Compiles one field of a JSONata state; ``report`` takes what is wrong, ``refer`` the variables it refers to."""

    def __init__(self, report: Callable[[str], None], refer: Callable[[Iterable[str]], None]) -> None:
        self._report = report
        self._refer = refer

    def compile(self, template: Json, field: str, accepts: Accepts | None = None) -> Expr | None:
        """Compile JSON with expressions in its texts. ``accepts`` checks what the field as a whole answers."""
        if isinstance(template, str) and is_expression(template):
            return self._expression(template, field, accepts)
        expression = self._compile(template, field)
        if expression is None:
            expression = constant(template)
        if accepts is None:
            return expression
        return lambda data, env: accepts(expression(data, env), "", field)

    def _compile(self, template: Json, field: str) -> Expr | None:
        """Compile; None stands for a constant."""
        if isinstance(template, str):
            return self._expression(template, field, None) if is_expression(template) else None
        if isinstance(template, list):
            items = [self._compile(item, f"{field}[{index}]") for index, item in enumerate(template)]
            if all(item is None for item in items):
                return None
            made = [constant(value) if item is None else item for item, value in zip(items, template, strict=True)]
            return lambda data, env: [expression(data, env) for expression in made]
        if isinstance(template, dict):
            return self._object(template, field)
        return None

    def _object(self, template: dict[str, Any], field: str) -> Expr | None:
        computed = {
            key: expression
            for key, value in template.items()
            if (expression := self._compile(value, f"{field}/{key}")) is not None
        }
        if not computed:
            return None

        def fill(data: Json, env: Env) -> Json:
            filled = template.copy()
            for key, expression in computed.items():
                filled[key] = expression(data, env)
            return filled

        return fill

    def _expression(self, template: str, field: str, accepts: Accepts | None) -> Expr | None:
        text = template[2:-2].strip()
        try:
            parsed, references = _parse(text)
        except JsonataError as error:
            self._report(f"The JSONata expression '{text}' specified for the field '{field}' is not valid. {error}")
            return None
        self._refer(references)
        return _evaluation(parsed, text, field, accepts)


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[_Bounded, frozenset[str]]:
    """Parse an expression; return it with the variables it refers to. Raises JsonataError."""
    if len(text) > MAX_LENGTH:
        raise JsonataError(f"An expression has at most {MAX_LENGTH} characters")
    if not text:
        raise JsonataError("S0207: Unexpected end of expression")
    try:
        parsed = _Bounded(text)
    except JException as error:
        raise JsonataError(f"{error.error}: {error}") from None
    except RecursionError:
        raise JsonataError("It is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the parser lets errors of its own escape on some malformed texts
        raise JsonataError(str(error) or "It cannot be parsed") from None
    parsed.set_validate_input(False)
    parsed.set_output_convert_nulls(False)
    free = _free_variables(parsed.ast)
    if banned := free & _BANNED:
        raise JsonataError(f"The function ${min(banned)} is not supported here")
    return parsed, free - _KEPT - _ADDED - Jsonata.static_frame.bindings.keys()


_ATOMS = frozenset({str, int, float, bool, Jsonata.get_parser().__class__})


def _free_variables(root: Any) -> frozenset[str]:
    """Collect the names of variables that an expression takes from outside of itself.

    A name that is bound anywhere in the expression counts as its own everywhere in it.
    """
    used: set[str] = set()
    bound: set[str] = set()
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (list, tuple)):
            waiting.extend(node)
            continue
        if not hasattr(node, "__dict__") or id(node) in seen:
            continue
        seen.add(id(node))
        kind = getattr(node, "type", None)
        if kind == "variable" and isinstance(node.value, str):
            used.add(node.value)
        elif kind == "bind":
            bound.add(str(getattr(node.lhs, "value", "")))
        elif kind == "lambda":
            bound.update(str(getattr(argument, "value", "")) for argument in node.arguments or ())
        for name in ("focus", "index"):  # $ bound by @ and #
            if isinstance(value := getattr(node, name, None), str):
                bound.add(value)
        waiting.extend(value for value in vars(node).values() if value is not None and value.__class__ not in _ATOMS)
    return frozenset(used - bound)


_MAY_ASK_FOR_CONTEXT = re.compile(r"context|\$states(?!\s*\.\s*(?:input|result|errorOutput)\b)")
"""Also whatever takes $states as a whole. The context object is made only where it may be wanted: it is made each time."""


def _evaluation(parsed: _Bounded, text: str, field: str, accepts: Accepts | None) -> Expr:
    with_context = _MAY_ASK_FOR_CONTEXT.search(text) is not None

    def evaluate(_data: Json, env: Env) -> Json:
        states = {"input": env.input}
        if env.result is not ABSENT:
            states["result"] = env.result
        if env.error_output is not None:
            states["errorOutput"] = env.error_output
        if with_context:
            states["context"] = env.context
        entered, left = _bounds()
        bindings = {
            **_functions(env),
            **{name: Utils.NULL_VALUE if value is None else value for name, value in env.variables.items()},
            "states": states,
            "__evaluate_entry": entered,
            "__evaluate_exit": left,
        }
        # The library evaluates with whatever expression was made last in this thread, unless told which.
        Jsonata.CURRENT.jsonata = parsed
        try:
            value = parsed.evaluate(None, bindings)
            value = _UNDEFINED if value is None else _plain(value)
        except JException as error:
            _failed(text, field, f"{error.error}: {error}" if error.error else str(error))
        except RecursionError:
            _failed(text, field, "D1011: Stack overflow error")
        except (OverflowError, ZeroDivisionError):
            _failed(text, field, "D1001: Number out of range")
        except _NotJson as error:
            _failed(text, field, f"It returned {error}, which is not JSON")
        except Exception as error:  # noqa: BLE001 - whatever an expression provokes in the library is its failure
            _failed(text, field, str(error) or type(error).__name__)
        if value is _UNDEFINED:
            raise Failure(
                ERROR,
                f"The JSONata expression '{text}' specified for the field '{field}' returned nothing (undefined).",
                location=field,
            )
        return value if accepts is None else accepts(value, text, field)

    return evaluate


_UNDEFINED = object()


def _failed(text: str, field: str, reason: str) -> NoReturn:
    raise Failure(
        ERROR,
        f"The JSONata expression '{text}' specified for the field '{field}' threw an error during evaluation. {reason}",
        location=field,
    ) from None


def _bounds() -> tuple[Callable[..., None], Callable[..., None]]:
    """Make the callbacks that count steps and depth of one evaluation, and measure what it makes."""
    steps = depth = 0

    def entered(_expression: Any, _input: Any, _environment: Any) -> None:
        nonlocal steps, depth
        steps += 1
        depth += 1
        if steps > MAX_STEPS:
            raise _error("D1012", f"Expression evaluation takes more than {MAX_STEPS} steps")
        if depth > MAX_DEPTH:
            raise _error("D1011", "Stack overflow error: the expression recurses too deeply")

    def left(_expression: Any, _input: Any, _environment: Any, result: Any) -> None:
        nonlocal depth
        depth -= 1
        if result.__class__ in _SIZED and len(result) > MAX_SIZE:
            raise _error("D2014", f"A value has more than {MAX_SIZE} characters or items")

    return entered, left


_SIZED = frozenset({str, list, dict, Utils.JList})


def _error(code: str, message: str) -> JException:
    error = JException(code, -1)
    error.args = (message,)
    return error


class _NotJson(Exception):
    """What an expression answered cannot be written as JSON."""


def _plain(value: Any) -> Json:
    """Return the value as JSON: no null objects, no list subclasses. What is plain already comes back as the same object."""
    if value is Utils.NULL_VALUE:
        return None
    kind = value.__class__
    if kind is str or kind is bool or kind is int or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise _NotJson(f"the number {value}")
        return value
    if isinstance(value, dict):
        made = {key: _plain(item) for key, item in value.items()}
        return value if kind is dict and all(made[key] is value[key] for key in made) else made
    if isinstance(value, (list, range)):
        items = [_plain(item) for item in value]
        return value if kind is list and all(map(_is, items, value)) else items
    raise _NotJson("a function" if Utils.is_function(value) or Functions.is_lambda(value) else f"a {kind.__name__}")


def _is(one: Any, other: Any) -> bool:
    return one is other


# What AWS adds, and what must not come from the machine's own clock and randomness.


def _functions(env: Env) -> dict[str, Any]:
    return {
        "now": Jsonata.JFunction(_Call(lambda *arguments: _now(env, *arguments)), "<s?s?:s>"),
        "millis": Jsonata.JFunction(_Call(lambda: int(env.now() * 1000)), "<:n>"),
        "random": Jsonata.JFunction(_Call(lambda *arguments: _random(env, *arguments)), "<n?:n>"),
        "shuffle": Jsonata.JFunction(_Call(lambda *items: _shuffle(env, *items)), "<a:a>"),
        "uuid": Jsonata.JFunction(_Call(env.uuid), "<:s>"),
        **_PURE_FUNCTIONS,
    }


class _Call(Jsonata.JFunctionCallable):  # type: ignore[misc]  # the library has no types
    """A Python function as the library calls one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def call(self, _input: Any, arguments: list[Any] | None) -> Any:
        given = list(arguments or ())
        while given and given[-1] is None:
            given.pop()
        return self._function(*given)


def _now(env: Env, picture: str | None = None, timezone: str | None = None) -> Any:
    seconds = env.now()
    if picture is None and timezone is None:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Functions.datetime_from_millis(int(seconds * 1000), picture, timezone)


def _random(env: Env, seed: float | None = None) -> float:
    if seed is None:
        return env.random()
    import random  # the name is the function's own elsewhere

    return random.Random(seed).random()  # noqa: S311 - seeded, so the same on every evaluation; nothing secret


def _shuffle(env: Env, items: list[Any] | None = None) -> Any:
    if items is None:
        return None
    shuffled = list(items)
    for last in range(len(shuffled) - 1, 0, -1):
        other = min(int(env.random() * (last + 1)), last)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return shuffled


def _partition(items: list[Any] | None = None, size: float | None = None) -> Any:
    if items is None:
        return None
    if size is None or size < 1:
        raise _error("D3137", "The second argument of $partition must be greater than zero")
    whole = int(size)
    return [list(items[at : at + whole]) for at in range(0, len(items), whole)]


def _range(first: float | None = None, last: float | None = None, step: float | None = None) -> Any:
    if first is None or last is None or step is None:
        raise _error("T0410", "$range takes three numbers: first, last and step")
    if step == 0:
        raise _error("D3137", "The third argument of $range must not be zero")
    count = int((last - first) // step) + 1
    if count > MAX_RANGE:
        raise _error("D2014", f"$range makes at most {MAX_RANGE} items, but would make {count}")
    return [first + step * index for index in range(max(count, 0))]


def _hash(text: str | None = None, algorithm: str | None = None) -> Any:
    if text is None:
        return None
    digest = hash_text(text, algorithm or "")
    if digest is None:
        raise _error("D3137", "The second argument of $hash must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512")
    return digest


def _parse_json(text: str | None = None) -> Any:
    if text is None:
        return None
    try:
        value = from_text(text)
    except ValueError:
        raise _error("D3137", "The argument of $parse is not JSON") from None
    return Utils.NULL_VALUE if value is None else value


def _pad(text: str | None = None, width: float | None = None, filler: str | None = None) -> Any:
    if width is not None and abs(width) > MAX_SIZE:
        raise _error("D2014", f"$pad makes at most {MAX_SIZE} characters")
    return Functions.pad(text, width, filler)


_PURE_FUNCTIONS = {
    "partition": Jsonata.JFunction(_Call(_partition), "<an:a>"),
    "range": Jsonata.JFunction(_Call(_range), "<nnn:a>"),
    "hash": Jsonata.JFunction(_Call(_hash), "<s-s:s>"),
    "parse": Jsonata.JFunction(_Call(_parse_json), "<s-:x>"),
    "pad": Jsonata.JFunction(_Call(_pad), "<s-ns?:s>"),
}


# What fields accept.


def _type_name(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _unexpected(expected: str, value: Json, text: str, field: str) -> Failure:
    return Failure(
        ERROR,
        f"The JSONata expression '{text}' specified for the field '{field}' returned an unexpected result type. "
        f"Expected '{expected}', but was '{_type_name(value)}' for value: {to_text(value)}",
        location=field,
    )


def array(value: Json, text: str, field: str) -> Json:
    if not isinstance(value, list):
        raise _unexpected("array", value, text, field)
    return value


def text(value: Json, expression: str, field: str) -> Json:
    if not isinstance(value, str):
        raise _unexpected("string", value, expression, field)
    return value


def boolean(value: Json, expression: str, field: str) -> Json:
    if not isinstance(value, bool):
        raise _unexpected("boolean", value, expression, field)
    return value


def timestamp(value: Json, expression: str, field: str) -> float:
    """Return seconds since the epoch."""
    if not isinstance(value, str):
        raise _unexpected("string", value, expression, field)
    seconds = parse_seconds(value)
    if seconds is None:
        raise Failure(
            ERROR,
            f"The {field} field cannot be parsed as an ISO-8601 extended offset date-time format string: {value}",
            location=field,
        )
    return seconds


def number_between(least: int, most: int, *, fraction: bool) -> Accepts:
    def accept(value: Json, expression: str, field: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _unexpected("number", value, expression, field)
        if not fraction and isinstance(value, float) and not value.is_integer():
            raise _unexpected("integer", value, expression, field)
        if not least <= value <= most:
            raise Failure(
                ERROR,
                f"The JSONata expression '{expression}' specified for the field '{field}' returned a value that is not "
                f"between {least} and {most}: {to_text(value)}",
                location=field,
            )
        return value if fraction else int(value)

    return accept
