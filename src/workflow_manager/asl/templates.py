"""Payload templates: JSON in which a field named ``x.$`` stands for what its path or intrinsic function answers as ``x``.

Source: ASL, "Payload Template". A template without any such field is a constant and answers the same object every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .jsontext import is_longer
from .program import Env, Expr, Failure, Json

CompileText: TypeAlias = Callable[[Json, str], Expr | None]
"""(value, field name such as ``value.$``) -> what evaluates it; None when the value is neither path nor function (reported)."""


def constant(value: Json) -> Expr:
    return lambda _data, _env: value


def compile_template(template: Json, compile_text: CompileText) -> Expr:
    """Compile a payload template; ``compile_text`` compiles the text of one ``.$`` field."""
    computed = 0

    def compile_counted(value: Json, key: str) -> Expr | None:
        nonlocal computed
        computed += 1
        return compile_text(value, key)

    expression = _compile(template, compile_counted)
    return constant(template) if expression is None else bounded(expression, computed)


MAX_MADE = 8_388_608
"""Characters that a template may make out of parts that are each within the limits."""
_FEW = 16


def bounded(expression: Expr, computed: int) -> Expr:
    """Bound what a template with so many computed fields makes: each may be the whole input again."""
    if computed <= _FEW:
        return expression

    def evaluate(data: Json, env: Env) -> Json:
        value = expression(data, env)
        if is_longer(value, MAX_MADE):
            raise Failure(
                "States.DataLimitExceeded",
                f"The state's data would have more than {MAX_MADE} characters.",
                runtime=False,
            )
        return value

    return evaluate


def _compile(template: Json, compile_text: CompileText) -> Expr | None:
    """Compile; None stands for a constant, so that constants are found by their roots."""
    if isinstance(template, dict):
        return _compile_object(template, compile_text)
    if isinstance(template, list):
        items = [_compile(item, compile_text) for item in template]
        if all(item is None for item in items):
            return None
        expressions = [constant(value) if item is None else item for item, value in zip(items, template, strict=True)]
        return lambda data, env: [expression(data, env) for expression in expressions]
    return None


def _compile_object(template: dict[str, Any], compile_text: CompileText) -> Expr | None:
    base: dict[str, Json] = {}  # every field in its order; those that are computed hold None until then
    computed: list[tuple[str, Expr]] = []
    for key, value in template.items():
        if key.endswith(".$"):
            expression = compile_text(value, key)
            base[key[:-2]] = None
            if expression is not None:
                computed.append((key[:-2], expression))
            continue
        expression = _compile(value, compile_text)
        if expression is None:
            base[key] = value
        else:
            base[key] = None
            computed.append((key, expression))
    if not computed:
        return None
    if len(computed) == len(base) == 1:
        ((name, only),) = computed
        return lambda data, env: {name: only(data, env)}

    def fill(data: Json, env: Env) -> Json:
        filled = base.copy()
        for field, expression in computed:
            filled[field] = expression(data, env)
        return filled

    return fill
