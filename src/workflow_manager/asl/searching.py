"""Searches: what a path that can match several places matches.

python-jsonpath parses the path; here its segments become closures over plain values. A search looks at a bounded number of
places, however its descents and filters are put together, and goes no deeper in Python than the path is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from jsonpath import JSONPath, selectors
from jsonpath import filter as filters
from jsonpath.segments import JSONPathRecursiveDescentSegment

from .program import Json
from .regex import Regex

MAX_MATCHES = 100_000
"""Places that one step of a path may match."""
MAX_VISITS = 1_000_000
"""Places that a search may look at, filters included."""


class SearchError(Exception):
    """The search costs too much; the message says what."""


class UnsupportedPathError(ValueError):
    """The path has a part that Step Functions does not know; the message says which."""


class Search:
    """One search: what is left of its budget, and what its filters have found from the root."""

    __slots__ = ("found", "left", "most", "root")

    def __init__(self, root: Json, most: int) -> None:
        self.root = root
        self.most = self.left = most
        self.found: dict[int, list[Json]] = {}

    def visit(self, places: int) -> None:
        self.left -= places
        if self.left < 0:
            raise SearchError(f"it looks at more than {self.most} places")


Step: TypeAlias = Callable[[Search, list[Json]], list[Json]]
Selector: TypeAlias = Callable[[Search, Json, list[Json]], None]
"""(search, container, where matches go)."""
Term: TypeAlias = Callable[[Search, Json], Any]
"""(search, the item that a filter looks at) -> a value, MISSING, or the list of what several places hold."""

MISSING: Any = object()


Find: TypeAlias = Callable[[Json, int], tuple[list[Json], int]]
"""(root, how many places it may look at) -> what matches, how many it looked at. Raises SearchError."""


def compile_search(query: JSONPath) -> Find:
    """Compile a parsed query. Raises UnsupportedPathError."""
    steps = _steps(query)

    def find(root: Json, most: int) -> tuple[list[Json], int]:
        search = Search(root, most)
        found = _walk(search, steps, root)
        return found, most - search.left

    return find


def _steps(query: JSONPath) -> list[Step]:
    return [_step(segment) for segment in query.segments]


def _walk(search: Search, steps: Iterable[Step], start: Json) -> list[Json]:
    found = [start]
    for step in steps:
        found = step(search, found)
    return found


def _step(segment: Any) -> Step:
    chosen = [_selector(selector) for selector in segment.selectors]
    descends = isinstance(segment, JSONPathRecursiveDescentSegment)

    def step(search: Search, places: list[Json]) -> list[Json]:
        found: list[Json] = []
        for place in places:
            for container in _descendants(search, place) if descends else (place,):
                for select in chosen:
                    select(search, container, found)
                if len(found) > MAX_MATCHES:
                    raise SearchError(f"more than {MAX_MATCHES} places match")
        return found

    return step


def _descendants(search: Search, place: Json) -> Iterable[Json]:
    """The place and all containers in it, in the order of the text."""
    waiting = [place]
    while waiting:
        value = waiting.pop()
        yield value
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        search.visit(len(inner) + 1)
        waiting.extend(reversed([item for item in inner if isinstance(item, (dict, list))]))


def _selector(selector: Any) -> Selector:
    if isinstance(selector, selectors.NameSelector):
        name = selector.name

        def by_name(search: Search, value: Json, found: list[Json]) -> None:
            search.visit(1)
            if isinstance(value, dict) and name in value:
                found.append(value[name])

        return by_name
    if isinstance(selector, selectors.IndexSelector):
        index = selector.index

        def by_index(search: Search, value: Json, found: list[Json]) -> None:
            search.visit(1)
            if isinstance(value, list) and -len(value) <= index < len(value):
                found.append(value[index])

        return by_index
    if isinstance(selector, selectors.SliceSelector):
        part = selector.slice

        def by_slice(search: Search, value: Json, found: list[Json]) -> None:
            if isinstance(value, list) and part.step != 0:
                chosen = value[part]
                search.visit(len(chosen) + 1)
                found.extend(chosen)

        return by_slice
    if isinstance(selector, selectors.WildcardSelector):
        return _all
    if isinstance(selector, selectors.Filter):
        holds = _condition(selector.expression)

        def by_filter(search: Search, value: Json, found: list[Json]) -> None:
            items = _inner(value)
            search.visit(len(items) + 1)
            found.extend(item for item in items if holds(search, item))

        return by_filter
    raise UnsupportedPathError(f"'{selector}' is not supported in paths")


def _all(search: Search, value: Json, found: list[Json]) -> None:
    inner = _inner(value)
    search.visit(len(inner) + 1)
    found.extend(inner)


def _inner(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


# Filters.


def _condition(expression: Any) -> Callable[[Search, Json], bool]:
    """Compile what is true or false: a comparison, a connective, or whether a path leads somewhere."""
    if isinstance(expression, filters.FilterExpression):
        return _condition(expression.expression)
    if isinstance(expression, filters.PrefixExpression):
        inner = _condition(expression.right)
        return lambda search, item: not inner(search, item)
    if isinstance(expression, filters.InfixExpression):
        if expression.logical:
            left, right = _condition(expression.left), _condition(expression.right)
            if expression.operator == "&&":
                return lambda search, item: left(search, item) and right(search, item)
            return lambda search, item: left(search, item) or right(search, item)
        return _comparison(expression)
    if isinstance(expression, filters.BooleanLiteral):
        value = bool(expression.value)
        return lambda _search, _item: value
    if isinstance(expression, filters.FilterQuery):
        places = _places(expression)
        return lambda search, item: bool(places(search, item))
    raise UnsupportedPathError(f"'{expression}' is not supported in filters")


def _places(expression: Any) -> Callable[[Search, Json], list[Json]]:
    steps = _steps(expression.path)
    if isinstance(expression, filters.RelativeFilterQuery):
        return lambda search, item: _walk(search, steps, item)
    if not isinstance(expression, filters.RootFilterQuery):
        raise UnsupportedPathError(f"'{expression}' is not supported in filters")
    key = id(expression)

    def from_root(search: Search, _item: Json) -> list[Json]:
        found = search.found.get(key)
        if found is None:
            found = search.found[key] = _walk(search, steps, search.root)
        return found

    return from_root


_LITERALS = (
    filters.StringLiteral,
    filters.IntegerLiteral,
    filters.FloatLiteral,
    filters.BooleanLiteral,
    filters.RegexLiteral,
)


def _term(expression: Any) -> Term:
    if isinstance(expression, filters.FilterQuery):
        places = _places(expression)

        def single(search: Search, item: Json) -> Any:
            found = places(search, item)
            return found[0] if len(found) == 1 else found or MISSING

        return single
    if isinstance(expression, filters.ListLiteral):
        terms = [_term(item) for item in expression.items]
        return lambda search, item: [term(search, item) for term in terms]
    if isinstance(expression, _LITERALS):
        value: Any = expression.value
        return lambda _search, _item: value
    if isinstance(expression, filters.Nil):
        return lambda _search, _item: None
    if isinstance(expression, (filters.InfixExpression, filters.PrefixExpression)):
        return _condition(expression)
    raise UnsupportedPathError(f"'{expression}' is not supported in filters")


def _comparison(expression: filters.InfixExpression) -> Callable[[Search, Json], bool]:
    compare = _COMPARISONS.get(expression.operator)
    if compare is None:
        raise UnsupportedPathError(f"'{expression.operator}' is no operator of filters")
    left, right = _term(expression.left), _term(expression.right)
    return lambda search, item: compare(search, left(search, item), right(search, item))


def _same(search: Search, left: Any, right: Any) -> bool:
    """Whether two values are equal as JSON; 1 and true are not."""
    if isinstance(left, bool) or isinstance(right, bool) or left is MISSING or right is MISSING:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        search.visit(len(left))
        return len(left) == len(right) and all(_same(search, a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        search.visit(len(left))
        return left.keys() == right.keys() and all(_same(search, value, right[key]) for key, value in left.items())
    return bool(left == right)


def _less(_search: Search, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return _is_number(left) and _is_number(right) and left < right


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_in(search: Search, left: Any, right: Any) -> bool:
    if isinstance(right, list):
        search.visit(len(right))
        return any(_same(search, left, item) for item in right)
    return isinstance(right, dict) and isinstance(left, str) and left in right


def _contains(search: Search, left: Any, right: Any) -> bool:
    if isinstance(left, str):
        search.visit(len(left) >> 6)
        return isinstance(right, str) and right in left
    return _is_in(search, right, left)


def _matches(search: Search, left: Any, right: Any) -> bool:
    if not isinstance(left, str) or not isinstance(right, Regex):
        return False
    search.visit(len(left) >> 6)
    return right.fullmatch(left)


_COMPARISONS: dict[str, Callable[[Search, Any, Any], bool]] = {
    "==": _same,
    "!=": lambda search, left, right: not _same(search, left, right),
    "<>": lambda search, left, right: not _same(search, left, right),
    "<": _less,
    ">": lambda search, left, right: _less(search, right, left),
    "<=": lambda search, left, right: _less(search, left, right) or _same(search, left, right),
    ">=": lambda search, left, right: _less(search, right, left) or _same(search, left, right),
    "in": _is_in,
    "contains": _contains,
    "=~": _matches,
}
