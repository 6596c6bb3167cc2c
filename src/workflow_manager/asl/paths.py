"""JSONPath: parse a path once, evaluate it often.

Reference paths (``$.a.b[2].c``, ``$['a b']``; ASL, "Reference Paths") become closures that index straight into the data: every
transition takes some. Paths that can match several places (wildcards, slices, unions, filters, ``..``) are parsed by
python-jsonpath and searched by searching.py.
A path starts at ``$`` (the data), ``$$`` (the context object) or ``$name`` (a variable).

A path that can match one place only answers the value there, or fails; any other answers the list of what matched, which may
be empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import jsonpath
from jsonpath.filter import RegexLiteral
from jsonpath.parse import Parser
from jsonpath.stream import TokenStream
from jsonpath.token import TOKEN_RE_FLAGS

from .jsontext import to_text
from .program import Env, Expr, Failure, Json, ResultPath
from .regex import RegexError, compile_regex
from .searching import MAX_VISITS, Find, SearchError, compile_search

MAX_LENGTH = 4096

Missing: TypeAlias = Callable[[Json, Env], Failure]
"""Makes the failure for a path that leads nowhere, out of ``$`` and the environment."""

_NOT_FOUND = (KeyError, IndexError, TypeError)

_ROOT = re.compile(r"\$\$(?=[.\[]|$)|\$(?=[.\[]|$)|\$(?P<variable>[^\W\d]\w{0,79})(?=[.\[]|$)")
_NAME = re.compile(r"[^.\[\]\s(),*'\"]+")
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_INTEGER = r"-?\d{1,9}"
_INDEX = re.compile(rf"\[\s*({_INTEGER})\s*\]")
_QUOTED_NAME = re.compile(rf"\[\s*({_QUOTED})\s*\]")
_WILDCARD = re.compile(r"\[\s*\*\s*\]")
_UNION = re.compile(rf"\[\s*(?:{_QUOTED}|{_INTEGER})(?:\s*,\s*(?:{_QUOTED}|{_INTEGER}))+\s*\]")
_SLICE = re.compile(rf"\[\s*(?:{_INTEGER})?\s*:\s*(?:{_INTEGER})?\s*(?::\s*(?:{_INTEGER})?\s*)?\]")
_UNION_IN_FILTER = re.compile(r"[\w@$\])]\[[^\[\]]*,")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class PathError(ValueError):
    """The text is not a path; the message says why."""


class _Parser(Parser):
    """Compiles the regular expressions of filters (``=~``) to such as take time linear in the text."""

    def parse_regex(self, stream: TokenStream) -> RegexLiteral:
        pattern = stream.current().value
        flags = ""
        if stream.peek().kind == TOKEN_RE_FLAGS:
            stream.next()
            flags = stream.next().value
        try:
            compiled = compile_regex(pattern, ignore_case="i" in flags, multiline="m" in flags, dot_all="s" in flags)
        except RegexError as error:
            raise PathError(str(error)) from None
        return RegexLiteral(value=compiled)  # type: ignore[arg-type]  # it has the fullmatch that is all that =~ calls


class _Environment(jsonpath.JSONPathEnvironment):
    """Paths as Step Functions has them: filters call no functions."""

    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        """Offer none."""


_ENVIRONMENT = _Environment()


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path.

    ``root`` is ``$``, ``$$`` or the name of a variable. ``keys`` are the steps of a reference path, names and indexes; None for a
    path that may match several places, whose ``search`` answers what matches in a root.
    """

    text: str
    root: str
    keys: tuple[str | int, ...] | None
    search: Find | None = None

    @property
    def variable(self) -> str | None:
        return None if self.root in ("$", "$$") else self.root

    @property
    def identity(self) -> bool:
        return self.root == "$" and self.keys == ()


@lru_cache(maxsize=8192)
def parse(text: str) -> Path:
    """Parse a path. Raises PathError."""
    if len(text) > MAX_LENGTH:
        raise PathError(f"a path has at most {MAX_LENGTH} characters")
    start = _ROOT.match(text)
    if start is None:
        raise PathError("a path starts with '$', '$$' or '$' and the name of a variable")
    root = start["variable"] or start[0]
    keys: list[str | int] = []
    steps: list[str] = []  # the same steps, spelled for python-jsonpath
    definite = True
    at = start.end()
    while at < len(text):
        dotted = descendant = False
        if text[at] == ".":
            dotted = True
            descendant = text.startswith("..", at)
            at += 2 if descendant else 1
        step, at = _step(text, at, dotted=dotted)
        if isinstance(step, _Several):
            definite = False
            steps.append((".." if descendant else "") + step.text)
        else:
            definite = definite and not descendant
            keys.append(step)
            steps.append((".." if descendant else "") + _bracketed(step))
    if definite:
        return Path(text, root, tuple(keys))
    try:
        search = _search("$" + "".join(steps))
    except (jsonpath.JSONPathError, RecursionError, ValueError) as error:
        raise PathError(str(error).split("\n", maxsplit=1)[0]) from None
    return Path(text, root, None, search)


def _search(text: str) -> Find:
    query = _ENVIRONMENT.compile(text)
    if not isinstance(query, jsonpath.JSONPath):
        raise PathError("one path only is expected")
    return compile_search(query)


@dataclass(frozen=True, slots=True)
class _Several:
    """A step that may match several places, as python-jsonpath spells it."""

    text: str


def _step(text: str, at: int, *, dotted: bool) -> tuple[str | int | _Several, int]:
    if at >= len(text):
        raise PathError("a path does not end with a dot")
    if text[at] == "*" and dotted:
        return _Several("[*]"), at + 1
    if text[at] != "[":
        name = _NAME.match(text, at)
        if not dotted or name is None:
            raise PathError(f"a name or '[' is expected at character {at + 1}")
        if text.startswith("(", name.end()):
            raise PathError(f"there is no function {name[0]!r} in paths")
        return name[0], name.end()
    if found := _INDEX.match(text, at):
        return int(found[1]), found.end()
    if found := _QUOTED_NAME.match(text, at):
        return _ESCAPE.sub(r"\1", found[1][1:-1]), found.end()
    if found := _WILDCARD.match(text, at):
        return _Several("[*]"), found.end()
    if found := (_UNION.match(text, at) or _SLICE.match(text, at)):
        return _Several(found[0]), found.end()
    if re.match(r"\[\s*\?", text[at:]):
        end = _closing_bracket(text, at)
        return _Several(_filter(text[at:end])), end
    raise PathError(f"what follows '[' at character {at + 1} is no name, index, slice, wildcard or filter")


def _filter(text: str) -> str:
    """Refuse what a filter would search for again and again for each place that it looks at."""
    if text.count("..") > 1 or _UNION_IN_FILTER.search(text):
        raise PathError("a filter may hold neither several '..' nor lists of names or indexes such as ['a','b']")
    return text


def _closing_bracket(text: str, at: int) -> int:
    depth = 0
    quote = ""
    escaped = False
    for place in range(at, len(text)):
        char = text[place]
        if quote:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if depth == 0:
                return place + 1
    raise PathError(f"the '[' at character {at + 1} is not closed")


def _bracketed(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


def getter(path: Path, missing: Missing) -> Expr:
    """Return the closure that evaluates ``path`` and raises what ``missing`` makes when it leads nowhere."""
    if path.keys is None:
        return _searching(path, missing)
    if path.root == "$":
        return _indexing(path.keys, missing)
    if path.root == "$$":
        return _from_context(path.keys, missing)
    return _from_variables((path.root, *path.keys), missing)


def _indexing(keys: tuple[str | int, ...], missing: Missing) -> Expr:
    """Index into the data. Unrolled for the lengths that definitions mostly have: a third faster than the loop."""
    if not keys:
        return lambda data, _env: data
    if isinstance(keys[-1], int):
        return _walking(lambda data, _env: data, keys, missing)
    if len(keys) == 1:
        (a,) = keys

        def one(data: Json, env: Env) -> Any:
            try:
                return data[a]
            except _NOT_FOUND:
                raise missing(data, env) from None

        return one
    if len(keys) == 2:
        a, b = keys

        def two(data: Json, env: Env) -> Any:
            try:
                return data[a][b]
            except _NOT_FOUND:
                raise missing(data, env) from None

        return two
    if len(keys) == 3:
        a, b, c = keys

        def three(data: Json, env: Env) -> Any:
            try:
                return data[a][b][c]
            except _NOT_FOUND:
                raise missing(data, env) from None

        return three
    if len(keys) == 4:
        a, b, c, d = keys

        def four(data: Json, env: Env) -> Any:
            try:
                return data[a][b][c][d]
            except _NOT_FOUND:
                raise missing(data, env) from None

        return four
    return _walking(lambda data, _env: data, keys, missing)


def _from_context(keys: tuple[str | int, ...], missing: Missing) -> Expr:
    return _walking(lambda _data, env: env.context, keys, missing)


def _from_variables(keys: tuple[str | int, ...], missing: Missing) -> Expr:
    return _walking(lambda _data, env: env.variables, keys, missing)


def _walking(root: Expr, keys: tuple[str | int, ...], missing: Missing) -> Expr:
    def walk(data: Json, env: Env) -> Any:
        value = root(data, env)
        try:
            for key in keys:
                # Text can be indexed in Python but not in JSON; a name on anything but an object raises by itself.
                if value.__class__ is str:
                    raise missing(data, env)
                value = value[key]
        except _NOT_FOUND:
            raise missing(data, env) from None
        return value

    return walk


def _searching(path: Path, missing: Missing) -> Expr:
    find = path.search
    assert find is not None
    variable = path.variable

    def search(data: Json, env: Env) -> Any:
        if path.root == "$":
            root = data
        elif variable is None:
            root = env.context
        elif variable in env.variables:
            root = env.variables[variable]
        else:
            raise missing(data, env)
        if not isinstance(root, (dict, list)):
            return []
        try:
            found, visits = find(root, min(MAX_VISITS, max(env.work_left, 0)))
        except SearchError as error:
            raise Failure("States.Runtime", f"Invalid path '{path.text}' : {error}") from None
        except RecursionError:
            raise Failure("States.Runtime", f"Invalid path '{path.text}' : the data is nested too deeply") from None
        env.work_left -= visits
        return found

    return search


def invalid_path(path: Path) -> Missing:
    """The failure of InputPath, OutputPath and their like."""

    def missing(data: Json, env: Env) -> Failure:
        return Failure("States.Runtime", f"Invalid path '{path.text}' : {_why_not(path, data, env)}")

    return missing


def path_for_field(path: Path, field: str) -> Missing:
    """The failure of a path in a payload template."""

    def missing(data: Json, env: Env) -> Failure:
        return Failure(
            "States.Runtime",
            f"The JSONPath '{path.text}' specified for the field '{field}' could not be found in the input "
            f"'{quoted(data, env)}'",
        )

    return missing


def quoted(data: Json, env: Env) -> str:
    """What a path was looked for in, as messages show it: the state's input as it was given, white space and all."""
    return env.given.text if env.given is not None and data is env.input else to_text(data)


def _why_not(path: Path, data: Json, env: Env) -> str:
    """Say which step of a reference path led nowhere, in the words of the JSONPath library that AWS uses."""
    keys = path.keys or ()
    value: Any = data if path.root == "$" else env.context
    if path.variable is not None:
        if path.variable not in env.variables:
            return f"The variable '{path.variable}' is not assigned"
        value = env.variables[path.variable]
    so_far = "$"
    for index, key in enumerate(keys):
        here = so_far + _bracketed(key)
        if isinstance(key, int):
            if not isinstance(value, list):
                return f"Filter: [{key}] can only be applied to arrays. Current context is: {to_text(value)}"
            if not -len(value) <= key < len(value):
                break
            value = value[key]
        elif not isinstance(value, dict):
            return f"Expected to find an object with property {_bracketed(key)} in path {so_far} but found: {to_text(value)}"
        elif key in value:
            value = value[key]
        elif index < len(keys) - 1:
            return f"Missing property in path {here}"
        so_far = here
    return "No results for path: $" + "".join(_bracketed(key) for key in keys)


def placer(path: Path) -> ResultPath | None:
    """Return what puts a result at a reference path into a copy of the raw input; None for ``$``, which is the result alone.

    Source: ASL, "ResultPath". Fields that are missing along the path are made; array elements are not.
    """
    keys = path.keys
    assert keys is not None
    if not keys:
        return None
    if len(keys) == 1 and isinstance(keys[0], str):
        name = keys[0]

        def place_field(raw: Json, result: Json) -> Json:
            if raw.__class__ is not dict:
                raise _no_place(path, raw)
            return {**raw, name: result}

        return place_field

    def place(raw: Json, result: Json) -> Json:
        return _placed(path, keys, raw, result)

    return place


def _placed(path: Path, keys: tuple[str | int, ...], raw: Json, result: Json) -> Json:
    containers: list[Any] = []
    value: Any = raw
    for index, key in enumerate(keys):
        if isinstance(key, str) and isinstance(value, dict):
            containers.append(dict(value))
            value = value.get(key, _absent(keys, index))
        elif isinstance(key, int) and isinstance(value, list) and -len(value) <= key < len(value):
            containers.append(list(value))
            value = value[key]
        else:
            raise _no_place(path, raw)
    placed = result
    for key, container in zip(reversed(keys), reversed(containers), strict=True):
        container[key] = placed
        placed = container
    return placed


def _absent(keys: tuple[str | int, ...], index: int) -> Any:
    """What stands for a missing field: an object, unless the next step needs an array, which is never made."""
    following = keys[index + 1] if index + 1 < len(keys) else None
    return {} if isinstance(following, str) else None


def _no_place(path: Path, raw: Json) -> Failure:
    return Failure(
        "States.ResultPathMatchFailure", f"Unable to apply ReferencePath {path.text} to input {to_text(raw)}"
    )
