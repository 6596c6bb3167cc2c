"""What JSONata expressions work on: JSON values, ``UNDEFINED``, sequences, functions; and the errors they end with.

Source: JSONata documentation, "Processing model", and the reference implementation. ``None`` is JSON's null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from .regex import Regex


class _Undefined:
    """The absence of a value, which is not null."""

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Any = _Undefined()

Value: TypeAlias = Any
"""A JSON value, UNDEFINED, or one of the functions below."""


class Sequence(list[Any]):
    """What paths and functions answer: of one item it is that item, of none it is undefined.

    ``keep_singleton``: it stays an array (``[]`` in a path). ``tuples``: its items are bindings (``@``, ``#``, ``%``).
    ``outer``: it only wraps the input, an array, as one item.
    """

    keep_singleton = False
    tuples = False
    outer = False


class Constructed(list[Any]):
    """An array that an expression has written out, which paths do not flatten."""


class Lambda:
    """A function written in the expression. ``thunk``: a call in tail position that is still to be made."""

    __slots__ = ("body", "frame", "input", "parameters", "signature", "thunk")

    def __init__(
        self, parameters: list[str], body: Any, frame: Any, data: Value, signature: Any = None, *, thunk: bool = False
    ) -> None:
        self.parameters = parameters
        self.body = body
        self.frame = frame
        self.input = data
        self.signature = signature
        self.thunk = thunk


class Native:
    """A function written in Python: called with the evaluation and its arguments.

    ``arity`` is how many arguments higher-order functions pass to it.
    """

    __slots__ = ("arity", "function", "name", "signature")

    def __init__(self, name: str, function: Callable[..., Value], signature: Any, arity: int) -> None:
        self.name = name
        self.function = function
        self.signature = signature
        self.arity = arity


def is_function(value: Value) -> bool:
    return isinstance(value, (Lambda, Native, Regex))


def is_number(value: Value) -> bool:
    """Whether it is a number; raises for one that JSON cannot hold."""
    kind = value.__class__
    if kind is int:
        return True
    if kind is float:
        if math.isinf(value):
            raise JsonataFault("D1001", value)
        return not math.isnan(value)
    return False


def type_name(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "function" if is_function(value) else "object"


_EXACT = 1e18


def number(value: float) -> float:
    """Return a number as JSON writes it: without a fraction where there is none."""
    if value.__class__ is float and value.is_integer() and -_EXACT < value < _EXACT:
        return int(value)
    return value


class JsonataFault(Exception):
    """An expression failed, with a code of the reference implementation."""

    def __init__(self, code: str, *values: Value) -> None:
        self.code = code
        template = _MESSAGES.get(code, "{0}")
        super().__init__(template.format(*map(_shown, values), *("",) * 4))


def _shown(value: Value) -> str:
    if value is UNDEFINED:
        return "undefined"
    if value.__class__ is str:
        return str(value)
    if is_function(value):
        return "a function"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (list, dict)):
        return "an array" if isinstance(value, list) else "an object"
    return json.dumps(value)


_MESSAGES = {
    "S0103": "Unsupported escape sequence: \\{0}",
    "S0106": "Comment has no closing tag",
    "S0204": "Unknown operator: {0}",
    "S0207": "Unexpected end of expression",
    "S0401": "Type parameters can only be applied to functions and arrays",
    "S0402": "Choice groups containing parameterized types are not supported",
    "D1001": "Number out of range: {0}",
    "D1002": "Cannot negate a non-numeric value: {0}",
    "D1004": "Regular expression matches zero length string",
    "D1009": "Multiple key definitions evaluate to same key: {0}",
    "D1011": "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.",
    "D1012": "Expression evaluation timeout: it takes more than {0} steps. Check for infinite loop.",
    "D2014": "The size of the sequence allocated by the range operator (..) must not exceed {1}. Attempted to allocate {0}.",
    "D2015": "A value must not have more than {0} characters or items",
    "D3001": "Attempting to invoke string function on Infinity or NaN",
    "D3010": "Second argument of replace function cannot be an empty string",
    "D3011": "Fourth argument of replace function must evaluate to a positive number",
    "D3012": "Attempted to replace a matched string with a non-string value",
    "D3020": "Third argument of split function must evaluate to a positive number",
    "D3030": "Unable to cast value to a number: {0}",
    "D3040": "Third argument of match function must evaluate to a positive number",
    "D3050": "The second argument of reduce function must be a function with at least two arguments",
    "D3060": "The sqrt function cannot be applied to a negative number: {0}",
    "D3061": "The power function has resulted in a value that cannot be represented as a JSON number: base={0}, exponent={1}",
    "D3070": "The single argument form of the sort function can only be applied to an array of strings or an array of numbers."
    "  Use the second argument to specify a comparison function",
    "D3080": "The picture string must only contain a maximum of two sub-pictures",
    "D3081": "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
    "D3082": "The sub-picture must not contain more than one instance of the 'percent' character",
    "D3083": "The sub-picture must not contain more than one instance of the 'per-mille' character",
    "D3084": "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
    "D3085": "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit"
    " character' or a member of the 'decimal digit family'",
    "D3086": "The sub-picture must not contain a passive character that is preceded by an active character and that is followed"
    " by another active character",
    "D3087": "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator'"
    " character",
    "D3088": "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
    "D3089": "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
    "D3090": "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an"
    " instance of the 'optional digit character'",
    "D3091": "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is"
    " followed by a member of the 'decimal digit family'",
    "D3092": "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an"
    " 'exponent-separator'",
    "D3093": "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal"
    " digit family'",
    "D3100": "The radix of the formatBase function must be between 2 and 36.  It was given {0}",
    "D3110": "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given {0}",
    "D3130": "Formatting or parsing an integer as a sequence starting with {0} is not supported by this implementation",
    "D3131": "In a decimal digit pattern, all digits must be from the same decimal group",
    "D3132": "Unknown component specifier {0} in date/time picture string",
    "D3133": "The 'name' modifier can only be applied to months and days in the date/time picture string, not {0}",
    "D3134": "The timezone integer format specifier cannot have more than four digits",
    "D3135": "No matching closing bracket ']' in date/time picture string",
    "D3136": "The date/time picture string is missing specifiers required to parse the timestamp",
    "D3138": "The $single() function expected exactly 1 matching result.  Instead it matched more.",
    "D3139": "The $single() function expected exactly 1 matching result.  Instead it matched 0.",
    "D3140": "Malformed URL passed to ${0}(): {1}",
    "T0410": "Argument {0} of function {1} does not match function signature",
    "T0411": "Context value is not a compatible type with argument {0} of function {1}",
    "T0412": "Argument {0} of function {1} must be an array of {2}",
    "T1003": "Key in object structure must evaluate to a string; got: {0}",
    "T1005": "Attempted to invoke a non-function. Did you mean ${0}?",
    "T1006": "Attempted to invoke a non-function",
    "T1007": "Attempted to partially apply a non-function. Did you mean ${0}?",
    "T1008": "Attempted to partially apply a non-function",
    "T1010": "The matcher function argument passed to function {0} does not return the correct object structure",
    "T2001": "The left side of the {0} operator must evaluate to a number",
    "T2002": "The right side of the {0} operator must evaluate to a number",
    "T2003": "The left side of the range operator (..) must evaluate to an integer",
    "T2004": "The right side of the range operator (..) must evaluate to an integer",
    "T2006": "The right side of the function application operator ~> must be a function",
    "T2007": "Type mismatch when comparing values {0} and {1} in order-by clause",
    "T2008": "The expressions within an order-by clause must evaluate to numeric or string values",
    "T2009": "The values {0} and {1} either side of operator {2} must be of the same data type",
    "T2010": "The expressions either side of operator {0} must evaluate to numeric or string values",
    "T2011": "The insert/update clause of the transform expression must evaluate to an object: {0}",
    "T2012": "The delete clause of the transform expression must evaluate to a string or array of strings: {0}",
}
"""Codes of what fails in an evaluation, and of the syntax errors that are found here; D2015 and the bounds are our own."""
