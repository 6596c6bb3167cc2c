"""Causes and error names are cut to what SendTaskFailure accepts, between characters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.worker.limits import MAX_CAUSE, MAX_ERROR, cut_cause, cut_error

GRIN = "😀"  # two UTF-16 units


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("cut", "text", "expected"),
    [
        pytest.param(cut_cause, "", "", id="nothing"),
        pytest.param(cut_cause, "x" * MAX_CAUSE, "x" * MAX_CAUSE, id="a cause that just fits"),
        pytest.param(cut_cause, "ab" + "x" * (MAX_CAUSE - 1), "b" + "x" * (MAX_CAUSE - 1), id="a cause keeps its end"),
        pytest.param(cut_cause, GRIN + "x" * (MAX_CAUSE - 1), "x" * (MAX_CAUSE - 1), id="no half character at the cut"),
        pytest.param(
            cut_cause, "a" + GRIN + "x" * (MAX_CAUSE - 2), GRIN + "x" * (MAX_CAUSE - 2), id="a whole one stays"
        ),
        pytest.param(cut_cause, "a\ud800b", "a\ufffdb", id="half a surrogate pair is replaced"),
        pytest.param(cut_error, "e" * MAX_ERROR, "e" * MAX_ERROR, id="a name that just fits"),
        pytest.param(cut_error, "e" * MAX_ERROR + "f", "e" * MAX_ERROR, id="a name keeps its beginning"),
        pytest.param(cut_error, "e" * (MAX_ERROR - 1) + GRIN, "e" * (MAX_ERROR - 1), id="no half character in a name"),
    ],
)
def test_texts_are_cut_between_characters(cut: Callable[[str], str], text: str, expected: str) -> None:
    assert cut(text) == expected


any_text = st.text(st.characters(codec="utf-8") | st.just(GRIN))


@given(any_text, st.integers(0, 3), st.sampled_from([(cut_cause, MAX_CAUSE), (cut_error, MAX_ERROR)]))
def test_a_cut_text_fits_and_loses_no_more_than_it_must(
    text: str, excess: int, cut_and_limit: tuple[Callable[[str], str], int]
) -> None:
    cut, limit = cut_and_limit
    padded = text + "x" * max(0, limit + excess - utf16(text))

    result = cut(padded)

    assert limit - 1 <= utf16(result) <= limit or result == padded
    assert padded.startswith(result) or padded.endswith(result)
