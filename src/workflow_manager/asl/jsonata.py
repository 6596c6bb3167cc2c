"""JSONata in states: expressions in ``{% %}``, the templates that hold them, ``$states``, and the functions AWS adds.

Source: Step Functions guide, "Transforming data with JSONata". Expressions are parsed when the definition is compiled, by
jsonata_parser.py, and evaluated by jsonata_evaluator.py. The clock, random numbers and UUIDs come from the Env.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

from .intrinsics import MAX_RANGE, hash_text
from .jsonata_evaluator import Evaluation
from .jsonata_functions import scope, table
from .jsonata_parser import Expression, JsonataError, parse
from .jsonata_values import UNDEFINED, JsonataFault, Value
from .jsontext import from_text, to_text
from .program import ABSENT, Env, Expr, Failure, Json
from .templates import bounded, constant
from .timestamps import parse_seconds

ERROR = "States.QueryEvaluationError"

BANNED = frozenset({"eval"})
_KEPT = frozenset({"", "$", "states"})

Accepts: TypeAlias = Callable[[Any, str, str], Any]
"""(value, the expression or None for a literal, field) -> the value as its state wants it. Raises Failure."""


def is_expression(text: str) -> bool:
    return len(text) >= 4 and text.startswith("{%") and text.endswith("%}")


class TemplateCompiler:
    """Compiles one field of a JSONata state; ``report`` takes what is wrong, ``refer`` the variables it refers to."""

    def __init__(self, report: Callable[[str], None], refer: Callable[[Iterable[str]], None]) -> None:
        self._report = report
        self._refer = refer
        self._computed = 0

    def compile(self, template: Json, field: str, accepts: Accepts | None = None) -> Expr | None:
        """Compile JSON with expressions in its texts. ``accepts`` checks what the field as a whole answers."""
        if isinstance(template, str) and is_expression(template):
            return self._expression(template, field, accepts)
        self._computed = 0
        expression = self._compile(template, field)
        expression = constant(template) if expression is None else bounded(expression, self._computed)
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
        self._computed += 1
        try:
            parsed, references = parse_in_state(text)
        except JsonataError as error:
            self._report(f"The JSONata expression '{text}' specified for the field '{field}' is not valid. {error}")
            return None
        self._refer(references)
        return _evaluation(parsed, text, field, accepts)


@lru_cache(maxsize=4096)
def parse_in_state(text: str) -> tuple[Expression, frozenset[str]]:
    """Parse an expression; return it with the variables it refers to. Raises JsonataError."""
    parsed = parse(text)
    if banned := parsed.free & BANNED:
        raise JsonataError(f"The function ${min(banned)} is not supported here")
    return parsed, parsed.free - _KEPT - FUNCTIONS.bindings.keys()


def evaluate(parsed: Expression, data: Value, bindings: Mapping[str, Value], env: Env) -> Value:
    """Evaluate an expression; ``data`` is its input (``$``). Answers JSON, or UNDEFINED. Raises JsonataFault."""
    evaluation = Evaluation(env, env.work_left)
    most = evaluation.left
    try:
        value = _plain(evaluation, evaluation.run(parsed.tree, data, FUNCTIONS, bindings))
    finally:
        env.work_left -= most - max(evaluation.left, 0)
    return _joined(value) if value is not UNDEFINED and _HALVES.search(parsed.text) else value


_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
"""How an expression writes half of a surrogate pair: nothing else that it is given can have one."""


def _joined(value: Json) -> Json:
    """With halves of surrogate pairs that have come together as the characters that they are. Raises JsonataFault for others."""
    try:
        return from_text(json.dumps(value))
    except ValueError:
        raise JsonataFault("", "It returned half of a surrogate pair, which is no character") from None
    except RecursionError:
        raise JsonataFault("D1011") from None


_MAY_ASK_FOR_CONTEXT = re.compile(r"context|\$states(?!\s*\.\s*(?:input|result|errorOutput)\b)")
"""Also whatever takes $states as a whole. The context object is made only where it may be wanted: it is made each time."""


def _evaluation(parsed: Expression, text: str, field: str, accepts: Accepts | None) -> Expr:
    with_context = _MAY_ASK_FOR_CONTEXT.search(text) is not None

    def evaluate_in_state(_data: Json, env: Env) -> Json:
        states = {"input": env.input}
        if env.result is not ABSENT:
            states["result"] = env.result
        if env.error_output is not None:
            states["errorOutput"] = env.error_output
        if with_context:
            states["context"] = env.context
        try:
            value = evaluate(parsed, UNDEFINED, {**env.variables, "states": states}, env)
        except JsonataFault as fault:
            _failed(text, field, f"{fault.code}: {fault}" if fault.code else str(fault))
        if value is UNDEFINED:
            raise Failure(
                ERROR,
                f"The JSONata expression '{text}' specified for the field '{field}' returned nothing (undefined).",
                location=field,
            )
        return value if accepts is None else accepts(value, text, field)

    return evaluate_in_state


def _failed(text: str, field: str, reason: str) -> NoReturn:
    whole = reason.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # $error may say anything
    raise Failure(
        ERROR,
        f"The JSONata expression '{text}' specified for the field '{field}' threw an error during evaluation. {whole}",
        location=field,
    ) from None


_SCALARS = frozenset({str, int, bool, type(None)})
MAX_VALUES = 1_000_000
"""Values in what an expression answers, however often it holds the same one."""


def _plain(evaluation: Evaluation, value: Value) -> Value:
    """Return what an expression answered as JSON. What is plain already comes back as the same object."""
    if value.__class__ in _SCALARS or value is UNDEFINED:
        return value
    try:
        return _Plain(evaluation).of(value)
    except RecursionError:
        raise JsonataFault("D1011") from None


class _Plain:
    __slots__ = ("count", "evaluation")

    def __init__(self, evaluation: Evaluation) -> None:
        self.count = 0
        self.evaluation = evaluation

    def of(self, value: Value) -> Json:
        kind = value.__class__
        if kind in _SCALARS:
            return value
        if kind is float:
            if not math.isfinite(value):
                raise JsonataFault("D1001", value)
            return value
        if isinstance(value, dict):
            self._counted(len(value))
            changed = None
            for key, item in value.items():
                made = item if item.__class__ in _SCALARS else self.of(item)
                if made is not item:
                    changed = changed or dict(value)
                    changed[key] = made
            return value if changed is None else changed
        if isinstance(value, list):
            self._counted(len(value))
            items = [item if item.__class__ in _SCALARS else self.of(item) for item in value]
            return value if kind is list and all(map(_is, items, value)) else items
        raise JsonataFault("", "It returned a function, which is not JSON")

    def _counted(self, values: int) -> None:
        self.count += values
        self.evaluation.charge(values >> 3)
        if self.count > MAX_VALUES:
            raise JsonataFault("D2015", MAX_VALUES)


def _is(one: Any, other: Any) -> bool:
    return one is other


# What AWS adds.


def _uuid(run: Evaluation) -> Value:
    return run.environment.uuid()


def _random(run: Evaluation, seed: Value) -> Value:
    if seed is UNDEFINED:
        return run.environment.random()
    return random.Random(seed).random()  # noqa: S311 - seeded, so the same on every evaluation; nothing secret


def _partition(_run: Evaluation, items: Value, size: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    if size is UNDEFINED or size < 1:
        raise JsonataFault("D3137", "The second argument of $partition must be greater than zero")
    whole = int(size)
    return [list(items[at : at + whole]) for at in range(0, len(items), whole)]


def _range(_run: Evaluation, first: Value, last: Value, step: Value) -> Value:
    if UNDEFINED in (first, last, step):
        raise JsonataFault("T0410", 1 + (first, last, step).index(UNDEFINED), "range")
    if step == 0:
        raise JsonataFault("D3137", "The third argument of $range must not be zero")
    count = int((last - first) // step) + 1
    if count > MAX_RANGE:
        raise JsonataFault("D2014", count, MAX_RANGE)
    return [first + step * index for index in range(max(count, 0))]


def _hash(_run: Evaluation, text: Value, algorithm: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    digest = hash_text(text, algorithm if isinstance(algorithm, str) else "")
    if digest is None:
        raise JsonataFault("D3137", "The second argument of $hash must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512")
    return digest


def _parse_json(run: Evaluation, text: Value) -> Value:
    if text is UNDEFINED:
        return UNDEFINED
    run.charge(len(text) >> 4)
    try:
        return from_text(text)
    except ValueError:
        raise JsonataFault("D3137", "The argument of $parse is not JSON") from None


ADDED = table(
    {
        "partition": ("<an:a>", _partition),
        "range": ("<nnn:a>", _range),
        "hash": ("<s-s:s>", _hash),
        "random": ("<n?:n>", _random),
        "uuid": ("<:s>", _uuid),
        "parse": ("<s-:x>", _parse_json),
    }
)
"""What Step Functions adds to JSONata; ``$random`` takes a seed there."""

FUNCTIONS = scope(ADDED)
"""All functions there are, by their names."""


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
