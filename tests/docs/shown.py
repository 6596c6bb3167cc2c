"""Whether a program's output is what a page shows of it."""

from __future__ import annotations

import re

_SAME_KIND = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # ids
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?",  # times
    r"\d+(?:\.\d+)? (?:ms|s|min|h|d)\b(?: ago\b)?",  # how long
    r"\bjust now\b|\bnow\b",
)
_PART = re.compile(
    "|".join((r"(?P<any>\.\.\.)", r"(?P<space>[ \t]+)", r"(?P<line> *\n)", *(f"(?:{each})" for each in _SAME_KIND)))
)
_LONG_OR_NOW = rf"(?:{_SAME_KIND[2]}|{_SAME_KIND[3]})"


def pattern(shown: str) -> re.Pattern[str]:
    """Of what a page shows: ``...`` is anything; an id, a time, a duration is any other of its kind; runs of spaces are one."""
    made: list[str] = []
    at = 0
    for part in _PART.finditer(shown.strip()):
        made.append(re.escape(shown.strip()[at : part.start()]))
        text = part[0]
        if part["any"]:
            made.append(r"[\s\S]*?")
        elif part["space"]:
            made.append(r"[ \t]+")
        elif part["line"]:
            made.append(r"[ \t]*\n")
        elif re.fullmatch(_SAME_KIND[0], text):
            made.append(_SAME_KIND[0])
        elif re.fullmatch(_SAME_KIND[1], text):
            made.append(_SAME_KIND[1])
        else:
            made.append(_LONG_OR_NOW)
        at = part.end()
    made.append(re.escape(shown.strip()[at:]))
    return re.compile("".join(made))


def is_shown(shown: str, printed: str) -> bool:
    return pattern(shown).fullmatch("\n".join(line.rstrip() for line in printed.strip().splitlines())) is not None
