"""Reads one object of a definition: its fields, checked and compiled, with a diagnostic for each that is wrong.

A Reader answers None for a field that is absent or wrong; what is wrong it has reported by then, so that its caller goes on and
all faults are found in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import durations, intrinsics, jsonata, paths
from .diagnostics import Diagnostic
from .intrinsic_parser import IllegalTextError, IntrinsicError, parse_call
from .jsonata import Accepts
from .jsontext import to_text
from .program import Env, Expr, Failure, Json, ResultPath
from .schema import Fields
from .templates import compile_template, constant

SCHEMA = "SCHEMA_VALIDATION_FAILED"


@dataclass(slots=True)
class Findings:
    """What is found while a definition is read: diagnostics, and the variables that each state refers to."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    references: dict[str, set[str]] = field(default_factory=dict)


def pointer(*steps: str | int) -> str:
    """Join steps to a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


@dataclass(frozen=True, slots=True)
class Reader:
    """``location`` is the JSON pointer of ``data``; ``state`` the name of the state it belongs to."""

    data: dict[str, Any]
    location: str
    findings: Findings
    jsonata: bool = False
    state: str = ""

    def inner(self, data: dict[str, Any], *steps: str | int) -> Reader:
        return Reader(data, self.location + pointer(*steps), self.findings, self.jsonata, self.state)

    def at(self, *steps: str | int) -> str:
        return self.location + pointer(*steps)

    def error(self, message: str, *steps: str | int, code: str = SCHEMA) -> None:
        self.findings.diagnostics.append(Diagnostic(code, message, self.at(*steps) or "/"))

    def warning(self, message: str, *steps: str | int, code: str = SCHEMA) -> None:
        self.findings.diagnostics.append(Diagnostic(code, message, self.at(*steps) or "/", "WARNING"))

    def refer(self, variables: Iterable[str]) -> None:
        if names := set(variables):
            self.findings.references.setdefault(self.state, set()).update(names)

    # Which fields there are.

    def check_fields(self, fields: Fields, extra: frozenset[str] = frozenset()) -> None:
        """Report fields that do not belong here, and required ones that are missing."""
        allowed = fields.allowed(jsonata=self.jsonata)
        other = fields.other_language(jsonata=self.jsonata)
        language = "JSONata" if self.jsonata else "JSONPath"
        for name in self.data:
            if name in allowed or name in extra:
                continue
            if name in other:
                self.error(f"The field '{name}' is not supported when 'QueryLanguage' is '{language}'", name)
            else:
                self.error(f"Field is not supported; the fields here are: {', '.join(sorted(allowed))}", name)
        if missing := [name for name in fields.required if name not in self.data]:
            self.error(f"These fields are required: [{', '.join(missing)}]")

    def only_one_of(self, *names: str) -> str | None:
        """Return which of the alternatives is given; report when more than one is."""
        given = [name for name in names if name in self.data]
        if len(given) > 1:
            self.error(f"Only one of these fields is allowed: [{', '.join(given)}]")
        return given[0] if given else None

    # Plain values.

    def text(self, name: str, *, empty: bool = True) -> str | None:
        value: str | None = self._typed(name, str, "a string")
        if value == "" and not empty:
            self.error("Value cannot be empty", name)
            return None
        return value

    def boolean(self, name: str) -> bool | None:
        value: bool | None = self._typed(name, bool, "true or false")
        return value

    def choice(self, name: str, *values: str) -> str | None:
        if name not in self.data:
            return None
        value = self.data[name]
        if not isinstance(value, str) or value not in values:
            self.error(f"The field '{name}' should have one of these values: [{', '.join(values)}]", name)
            return None
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        value: dict[str, Any] | None = self._typed(name, dict, "an object")
        return value

    def array(self, name: str, *, empty: bool = False) -> list[Any] | None:
        value: list[Any] | None = self._typed(name, list, "an array")
        if value == [] and not empty:
            self.error("Value cannot be empty", name)
            return None
        return value

    def objects(self, name: str, *, empty: bool = False) -> Iterable[Reader]:
        """Read each object of an array."""
        for index, value in enumerate(self.array(name, empty=empty) or ()):
            if isinstance(value, dict):
                yield self.inner(value, name, index)
            else:
                self.error("Expected value of type Object", name, index)

    def integer(self, name: str, least: int, most: int) -> int | None:
        value = self.number(name, least, most)
        if value is None or isinstance(value, int):
            return value
        if value.is_integer():
            return int(value)
        self.error("Expected value of type Integer", name)
        return None

    def number(self, name: str, least: float, most: float) -> float | None:
        if name not in self.data:
            return None
        value = self.data[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.error("Expected value of type Number", name)
            return None
        if not least <= value <= most:
            self.error(f"Value must be from {least} to {most}", name)
            return None
        return value

    def _typed(self, name: str, kind: type, expected: str) -> Any:
        if name not in self.data:
            return None
        value = self.data[name]
        if not isinstance(value, kind):
            self.error(f"The field '{name}' must be {expected}", name)
            return None
        return value

    # Paths.

    def path(self, name: str) -> paths.Path | None:
        """Parse the path that a field holds, and note the variable that it refers to."""
        text = self.text(name)
        return None if text is None else self.parse_path(text, name)

    def parse_path(self, text: str, *steps: str | int) -> paths.Path | None:
        try:
            path = paths.parse(text)
        except paths.PathError as error:
            self.error(f"Value is not a valid JSONPath: {error}", *steps)
            return None
        if path.variable is not None:
            self.refer([path.variable])
        return path

    def filter_path(self, name: str) -> Expr | None:
        """Compile InputPath or OutputPath; null answers an empty object."""
        if self.data.get(name, "") is None:
            return constant({})
        path = self.path(name)
        if path is None or path.identity:
            return None
        return paths.getter(path, paths.invalid_path(path))

    def reference_path(self, name: str) -> paths.Path | None:
        path = self.path(name)
        if path is not None and path.keys is None:
            self.error("Value is not a valid Reference Path: it may name one place only", name)
            return None
        return path

    def result_path(self) -> ResultPath | None:
        """Compile ResultPath; null keeps the raw input."""
        if self.data.get("ResultPath", "") is None:
            return _keep_input
        path = self.reference_path("ResultPath")
        if path is None:
            return None
        if path.root != "$":
            self.error("Value is not a valid Reference Path: a ResultPath starts with '$.'", "ResultPath")
            return None
        return paths.placer(path)

    # Expressions in either language.

    def template(self, name: str) -> Expr | None:
        """Compile a payload template, or JSON with JSONata expressions in it."""
        if name not in self.data:
            return None
        if self.jsonata:
            return self.jsonata_template(name)
        return compile_template(self.data[name], lambda text, key: self._template_text(text, key, name))

    def object_template(self, name: str) -> Expr | None:
        """Compile a template that must be an object, or in JSONata an expression that makes one."""
        if name in self.data and not isinstance(self.data[name], dict) and not self.is_expression(self.data[name]):
            self.error(f"The field '{name}' must be an object", name)
            return None
        return self.template(name)

    def is_expression(self, value: Json) -> bool:
        return self.jsonata and isinstance(value, str) and jsonata.is_expression(value)

    def _template_text(self, text: Json, key: str, name: str) -> Expr | None:
        reason = ": it is no text"
        try:
            if isinstance(text, str) and text.startswith("$"):
                path = paths.parse(text)
                if path.variable is not None:
                    self.refer([path.variable])
                return paths.getter(path, paths.path_for_field(path, key))
            if isinstance(text, str):
                return self._call(text)
        except IllegalTextError:
            reason = ""  # as AWS words it
        except (paths.PathError, IntrinsicError) as error:
            reason = f": {error}"
        self.error(
            f"The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call{reason}", name
        )
        return None

    def _call(self, text: str, only: frozenset[str] | None = None) -> Expr:
        call = parse_call(text)
        if only is not None and (others := intrinsics.functions_of(call) - only):
            raise IntrinsicError(f"States.{min(others)} cannot be used here")
        self.refer(path.variable for path in intrinsics.paths_of(call) if path.variable is not None)
        return intrinsics.compile_call(call)

    def text_path(self, name: str, functions: frozenset[str]) -> Expr | None:
        """Compile ErrorPath or CausePath: a path, or a call of one of ``functions``; must answer a string."""
        text = self.text(name)
        if text is None:
            return None
        if text.startswith("$"):
            path = self.path(name)
            get = None if path is None else paths.getter(path, paths.invalid_path(path))
        else:
            try:
                get = self._call(text, functions)
            except IntrinsicError as error:
                self.error(f"Value is not a valid JSONPath or intrinsic function call: {error}", name)
                return None
        return None if get is None else _must_be_text(get, name)

    def jsonata_template(self, name: str, accepts: Accepts | None = None) -> Expr | None:
        """Compile a field of a JSONata state; ``accepts`` checks what a whole-field expression answers."""
        compiler = jsonata.TemplateCompiler(lambda message: self.error(message, name), self.refer)
        return compiler.compile(self.data[name], name, accepts)

    def number_field(
        self,
        name: str,
        least: int,
        most: int,
        from_path: Callable[[paths.Path, str], Expr],
        *,
        fraction: bool = False,
        expression: bool = True,
    ) -> Expr | None:
        """Compile a number that may also come from ``<name>Path`` (JSONPath) or an ``expression`` (JSONata)."""
        given = self.only_one_of(name, f"{name}Path") if not self.jsonata else self.only_one_of(name)
        if given == f"{name}Path":
            path = self.path(given)
            return None if path is None else from_path(path, given)
        if given is None:
            return None
        if expression and self.is_expression(self.data[name]):
            return self.jsonata_template(name, jsonata.number_between(least, most, fraction=fraction))
        value = self.number(name, least, most) if fraction else self.integer(name, least, most)
        return None if value is None else constant(value)

    def seconds_field(self, name: str, least: int) -> Expr | None:
        return self.number_field(
            name,
            least,
            durations.MAX_SECONDS,
            lambda path, path_field: durations.seconds_path(path, path_field, least=least),
        )


def _keep_input(raw: Json, _result: Json) -> Json:
    return raw


def _must_be_text(get: Expr, name: str) -> Expr:
    def evaluate(data: Json, env: Env) -> str:
        value = get(data, env)
        if not isinstance(value, str):
            raise Failure("States.Runtime", f"The {name} field must refer to a string but was: {to_text(value)}")
        return value

    return evaluate
