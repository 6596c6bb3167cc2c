"""Regular expressions: JavaScript's spelling on RE2, in time linear in the text, and words for what RE2 has not."""

from __future__ import annotations

import sys
import time

import pytest

from workflow_manager.asl.regex import MAX_PATTERN, RegexError, compile_regex

SECOND = 1.0 if sys.gettrace() is None else 10.0


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        pytest.param("a+", "caaat aa", ["aaa", "aa"], id="plain"),
        pytest.param(r"\d{2}", "1234", ["12", "34"], id="a repetition"),
        pytest.param(r"\/x\-y", "a/x-y", ["/x-y"], id="escapes that JavaScript allows"),
        pytest.param(r"\u00e9|\u{1F600}", "é😀", ["é", "😀"], id="code points"),
        pytest.param(r"a\sb", "a\u00a0b", ["a\u00a0b"], id="a blank is any blank"),
        pytest.param(r"[\s,]+", "a,\u00a0b", [",\u00a0"], id="a blank in a class"),
        pytest.param("[[x]+", "a[x[", ["[x["], id="a bracket in a class"),
        pytest.param("a[^]b", "a\nb", ["a\nb"], id="anything at all"),
        pytest.param("a[]b", "ab", [], id="nothing at all"),
        pytest.param("(?<year>[0-9]{4})", "in 2024", ["2024"], id="a named group"),
        pytest.param("^b$", "a\nb", [], id="the ends of the text"),
        pytest.param(".", "\ud800", ["\ud800"], id="what UTF-8 cannot hold"),
    ],
)
def test_what_is_found(pattern: str, text: str, found: list[str]) -> None:
    assert [match.text for match in compile_regex(pattern).find(text)] == found


def test_flags() -> None:
    assert [m.start for m in compile_regex("^b", ignore_case=True, multiline=True).find("B\nb")] == [0, 2]
    assert compile_regex("a.b", dot_all=True).fullmatch("a\nb")
    assert not compile_regex("a.b").fullmatch("a\nb")


def test_groups_and_places_count_characters() -> None:
    (match,) = compile_regex("(é)(x)?").find("😀é")

    assert (match.start, match.end, match.groups) == (1, 2, ("é", None))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", r"backreferences, as in /(a)\1/, are not supported in regular expressions"),
        ("a(?=b)", "lookahead and lookbehind, as in /a(?=b)/, are not supported in regular expressions"),
        ("(?<!a)b", "lookahead and lookbehind, as in /(?<!a)b/, are not supported in regular expressions"),
        ("(", "/(/ is no regular expression: missing ): ("),
        ("a" * (MAX_PATTERN + 1), f"a regular expression has at most {MAX_PATTERN} characters"),
    ],
)
def test_what_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(RegexError) as error:
        compile_regex(pattern)

    assert str(error.value) == reason


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*a){20}$", "(a|aa)+$"])
def test_no_pattern_backtracks(pattern: str) -> None:
    start = time.thread_time()

    assert not compile_regex(pattern).fullmatch("a" * 100_000 + "b")

    assert time.thread_time() - start < SECOND
