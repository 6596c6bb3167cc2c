"""Of a command's output only what is needed is kept, however it arrives and however much it is."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.worker.capture import LastLine, Tail


def last_line(*chunks: bytes, limit: int = 100) -> LastLine:
    line = LastLine(limit)
    for chunk in chunks:
        line.feed(chunk)
    line.finish()
    return line


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        pytest.param([], "", id="no output"),
        pytest.param([b"a\nb\n"], "b", id="the last line"),
        pytest.param([b"a\nb"], "b", id="a last line without a newline"),
        pytest.param([b"a\n\n \t\r\n\n"], "a", id="blank lines after it do not count"),
        pytest.param([b" a \r\n"], "a", id="without the blanks around it"),
        pytest.param([b"ab", b"c", b"\n"], "abc", id="a line in pieces"),
        pytest.param([b"abc", b"\nd", b"ef\n\n"], "def", id="newlines between pieces"),
        pytest.param(["é".encode()[:1], "é".encode()[1:]], "é", id="a character in pieces"),
        pytest.param([b"\xff\x00\n"], "\ufffd\x00", id="bytes that are not UTF-8"),
        pytest.param([b"x" * 1000 + b"\nshort\n"], "short", id="a long line before it"),
    ],
)
def test_the_last_line_that_is_not_blank(chunks: list[bytes], text: str) -> None:
    line = last_line(*chunks)

    assert (line.text, line.too_long) == (text, False)


@pytest.mark.parametrize(
    ("size", "too_long"), [pytest.param(100, False, id="just fits"), pytest.param(101, True, id="one byte too long")]
)
def test_a_line_beyond_the_limit_is_marked(size: int, too_long: bool) -> None:
    line = last_line(b"x" * 60, b"x" * (size - 60), b"\n\n")

    assert (line.text, line.too_long) == ("x" * 100, too_long)


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\0", b"\n"))))
def test_pieces_make_no_difference(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    lines = [line for line in whole.split(b"\n") if line.strip()]
    expected = lines[-1].decode("utf-8", "replace").strip() if lines else ""

    assert last_line(*chunks, limit=10_000).text == last_line(whole, limit=10_000).text == expected


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([b" a\nb \n"], "a\nb", id="all of it when it fits"),
        pytest.param([b"0123456789", b"abc"], "3456789abc", id="the end of pieces"),
        pytest.param([b"x" * 500 + b"0123456789"], "0123456789", id="the end of one large piece"),
        pytest.param([b"0" * 10, "ééééé".encode(), b"1"], "éééé1", id="no half character at the cut"),
        pytest.param([b"\xff"], "\ufffd", id="bytes that are not UTF-8"),
    ],
)
def test_the_tail(chunks: list[bytes], text: str) -> None:
    tail = Tail(10)
    for chunk in chunks:
        tail.feed(chunk)

    assert tail.text == text


def test_memory_is_bounded() -> None:
    line, tail = LastLine(1000), Tail(1000)
    for _ in range(1000):
        line.feed(b"x" * 10_000)
        tail.feed(b"x" * 10_000)

    assert sys.getsizeof(line._open) < 3000
    assert sys.getsizeof(tail._bytes) < 30_000
