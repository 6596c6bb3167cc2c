"""JSONata text to a checked syntax tree.

The grammar is jsonata-python's; what it gets wrong in errors and trees is put right here.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .jsonata_library import JException, Parser
from .jsonata_signatures import Signature
from .jsonata_values import JsonataFault
from .recursion import room_to_recurse
from .regex import RegexError, compile_regex

MAX_LENGTH = 16_384
MAX_NESTING = 400
"""Levels of the syntax tree."""


class JsonataError(ValueError):
    """The text is no JSONata expression that a state may have; the message says why, after the code where there is one."""


@dataclass(frozen=True, slots=True)
class Expression:
    """``tree`` is the syntax tree, ``free`` the variables and functions that it takes from outside."""

    text: str
    tree: Any
    free: frozenset[str]


class _Parser(Parser):  # type: ignore[misc]  # the library has no types
    def process_ast(self, expr: Any) -> Any:
        """Process the left operand of ``?:`` and ``??`` once: the library has it in the tree twice, and processes it twice."""
        if expr is None or expr.type != "condition":
            return super().process_ast(expr)
        condition, then = expr.condition, expr.then
        if condition is then:
            processed = super().process_ast(condition)
            made = Parser.Symbol(self)
            made.condition = made.then = processed
        elif condition.type == "function" and condition.arguments and condition.arguments[0] is then:
            processed = super().process_ast(then)
            made = Parser.Symbol(self)
            made.condition = Parser.Symbol(self)
            made.condition.type, made.condition.value = "function", "("
            made.condition.procedure, made.condition.arguments = condition.procedure, [processed]
            made.then = processed
        else:
            return super().process_ast(expr)
        made.type, made.position = "condition", expr.position
        self.push_ancestry(made, made.then)
        made._else = self.process_ast(expr._else)
        self.push_ancestry(made, made._else)
        return made


_parsers = threading.local()


def _parser() -> Any:
    parser = getattr(_parsers, "parser", None)
    if parser is None:
        parser = _parsers.parser = _Parser()
    parser.ancestor_label = parser.ancestor_index = 0
    parser.ancestry = []
    return parser


def _regex(pattern: str, flags: Any) -> Any:
    return compile_regex(pattern, ignore_case=flags.case_insensitive, multiline=flags.multiline)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an expression. Raises JsonataError."""
    if len(text) > MAX_LENGTH:
        raise JsonataError(f"An expression has at most {MAX_LENGTH} characters")
    if not text.strip():
        raise JsonataError("S0207: Unexpected end of expression")
    try:
        with room_to_recurse():
            tree = _parser().parse(text, _regex)
            return Expression(text, tree, _settle(tree))
    except JException as error:
        raise JsonataError(_described(error)) from None
    except JsonataFault as error:
        raise JsonataError(f"{error.code}: {error}") from None
    except RegexError as error:
        raise JsonataError(str(error)) from None
    except RecursionError:
        raise JsonataError("It is nested too deeply") from None
    except KeyError as error:
        fault = JsonataFault("S0204", str(error.args[0]).strip("'") if error.args else "")
        raise JsonataError(f"{fault.code}: {fault}") from None
    except IndexError:
        fault = JsonataFault("S0106" if "/*" in text else "S0207")
        raise JsonataError(f"{fault.code}: {fault}") from None
    except RuntimeError as error:
        code = "S0402" if "Choice groups" in str(error) else "S0401"
        raise JsonataError(f"{code}: {error}") from None
    except Exception as error:  # noqa: BLE001 - the parser lets errors of its own escape on some malformed texts
        raise JsonataError(str(error) or "It cannot be parsed") from None


def _described(error: Any) -> str:
    if error.error == "S0301" and error.current is not None:
        return f"S0103: {JsonataFault('S0103', error.current)}"
    return f"{error.error}: {error}"


_SCALARS = frozenset({str, int, float, bool, type(None), _Parser})
_EXACT = 2**53
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _settle(root: Any) -> frozenset[str]:
    """Make the tree ready to be evaluated, and collect the names of variables that it takes from outside of itself.

    A name that is bound anywhere in the expression counts as its own everywhere in it.
    """
    used: set[str] = set()
    bound: set[str] = set()
    seen: set[int] = set()
    level: list[Any] = [root]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_NESTING * 2:  # a node's children are held in lists
            raise JsonataError("It is nested too deeply")
        following: list[Any] = []
        for node in level:
            if isinstance(node, (list, tuple)):
                following.extend(node)
                continue
            if not isinstance(node, Parser.Symbol) or id(node) in seen:
                continue
            seen.add(id(node))
            kind = node.type
            if kind == "variable" and isinstance(node.value, str):
                used.add(node.value)
            elif kind == "bind":
                bound.add(str(getattr(node.lhs, "value", "")))
            elif kind == "lambda":
                bound.update(str(getattr(argument, "value", "")) for argument in node.arguments or ())
                if node.signature is not None and not isinstance(node.signature, Signature):
                    node.signature = Signature.of_library(node.signature)
            elif kind == "string" and isinstance(node.value, str):
                node.value = _SURROGATES.sub(_joined, node.value)
            elif kind == "number" and isinstance(node.value, int) and abs(node.value) > _EXACT:
                node.value = float(node.value)
            for name in ("focus", "index"):  # $ bound by @ and #
                if isinstance(value := getattr(node, name, None), str):
                    bound.add(value)
            following.extend(value for value in vars(node).values() if value.__class__ not in _SCALARS)
        level = following
    return frozenset(used - bound)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")
