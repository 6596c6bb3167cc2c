"""What is said of a text that is not JSON: Jackson's words, at the place that it names."""

from __future__ import annotations

import json
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.asl.jsonfaults import MAX_READ, find_fault, place_in

VALUES = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("not json", f"Unrecognized token 'not': was expecting {VALUES}", 4),
        ("nullx", f"Unrecognized token 'nullx': was expecting {VALUES}", 6),
        ("{'a': 1}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name", 3),
        ('{"a": 1,}', "Unexpected character ('}' (code 125)): was expecting double-quote to start field name", 10),
        ('{"a" 1}', "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value", 7),
        ('{"a": }', "Unexpected character ('}' (code 125)): expected a value", 8),
        ('{"a": 1 "b"}', "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries", 10),
        ("[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries", 5),
        ("[1,]", f"Unexpected character (']' (code 93)): expected a valid value {VALUES}", 5),
        ("[\u2014]", f"Unexpected character ('\u2014' (code 8212 / 0x2014)): expected a valid value {VALUES}", 3),
        ('{"a":', "Unexpected end-of-input within/between Object entries", 6),
        ("[1,", "Unexpected end-of-input within/between Array entries", 4),
        ('{"a', "Unexpected end-of-input in field name", 4),
        ('"a', "Unexpected end-of-input: was expecting closing quote for a string value", 3),
        ('"\\', "Unexpected end-of-input in character escape sequence", 3),
        ('"\\x"', "Unrecognized character escape 'x' (code 120)", 4),
        ('"\\u00g0"', "Unexpected character ('g' (code 103)): expected a hex-digit for character escape sequence", 7),
        ("01", "Invalid numeric value: Leading zeroes not allowed", 2),
        ("[1.]", "Unexpected character (']' (code 93)) in numeric value: Decimal point not followed by a digit", 5),
        ("1x", "Unexpected character ('x' (code 120)): Expected space separating root-level values", 3),
        (
            "-x",
            (
                "Unexpected character ('x' (code 120)) in numeric value: "
                "expected digit (0-9) to follow minus sign, for valid numeric value"
            ),
            3,
        ),
        (
            "[\x01]",
            "Illegal character ((CTRL-CHAR, code 1)): only regular white space (\\r, \\n, \\t) is allowed between tokens",
            3,
        ),
        (
            '"\t"',
            (
                "Illegal unquoted character ((CTRL-CHAR, code 9)): "
                "has to be escaped using backslash to be included in string value"
            ),
            3,
        ),
        (
            '{"a":1',
            (
                "Unexpected end-of-input: expected close marker for Object "
                '(start marker at [Source: (String)"{"a":1"; line: 1, column: 1])'
            ),
            7,
        ),
        (
            "[1}",
            (
                "Unexpected close marker '}': expected ']' "
                '(for Array starting at [Source: (String)"[1}"; line: 1, column: 1])'
            ),
            4,
        ),
        (
            "]",
            (
                "Unexpected close marker ']': expected '}' "
                '(for root starting at [Source: (String)"]"; line: 1, column: 0])'
            ),
            2,
        ),
    ],
)
def test_fault(text: str, message: str, column: int) -> None:
    fault = find_fault(text)

    assert fault is not None
    assert (fault.message, fault.source) == (message, place_in(text, 1, column))


def test_lines_are_counted() -> None:
    fault = find_fault('{\n  "a": foo\n}')

    assert fault is not None
    assert fault.source.endswith("; line: 2, column: 11]")


def test_a_long_text_is_cut() -> None:
    assert place_in("a" * 501, 1, 2) == f'[Source: (String)"{"a" * 500}"[truncated 1 chars]; line: 1, column: 2]'


@pytest.mark.parametrize("text", ["[" * 2 * MAX_READ, "[1," * MAX_READ])
def test_no_more_is_read_than_is_worth_it(text: str) -> None:
    assert find_fault(text) is None


def is_json(text: str) -> bool:
    def refuse(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


VALID = '{"a": [1, -2.5e3, "x\\n\\u0041", null, true], "b": {"c": [], "d": {}}}'
EDITS = st.lists(st.tuples(st.integers(0, len(VALID)), st.sampled_from('{}[],:"\\01.eE+-tn \n\x01\u00e9')), max_size=3)


@given(EDITS, st.booleans())
def test_a_fault_is_found_where_there_is_one(edits: list[tuple[int, str]], replacing: bool) -> None:
    text = VALID
    for at, character in edits:
        text = text[:at] + character + text[at + replacing :]

    assert (find_fault(text) is None) == is_json(text)
