"""Comparing what an endpoint answered with what AWS answered.

Recordings hold placeholders where a value differs from run to run (``<...>``, ``timestamp``, names inside ARNs): they match
anything. JSON inside strings is parsed first, so that white space does not count. Histories in which branches race are
compared as multisets, each event with the type of the event before it instead of its number.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

PLACEHOLDER = re.compile(r"<[A-Za-z][^<>\s]*>")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
WHOLE = {"timestamp", "datetime", "date"}
"""Texts that stand for a whole value."""
RECORDED_ACCOUNT = "111111111111"

FREE_TEXTS = {"roleArn", "taskToken", "TaskToken", "RequestId", "requestId"}
"""Members whose text differs from run to run."""
FREE = {
    "stackTrace",  # says something about a function's source,
    "LogResult",  # and this about its log
    "Content-Length",  # depends on the lengths of the names that the replay makes up
}
"""Members that are compared by nothing."""
UNRECORDED = {"ResponseMetadata"}
ORDER = {"id", "previousEventId", "timestamp"}
PARALLEL_ENDS = {"ParallelStateSucceeded", "ParallelStateFailed", "ParallelStateAborted", "ParallelStateExited"}


class Nothing:
    """Where one side has no value at all."""

    def __str__(self) -> str:
        return "nothing"


NOTHING = Nothing()


class Difference(Exception):
    """The first place at which an answer is not what was recorded."""

    def __init__(self, path: str, expected: Any, got: Any) -> None:
        super().__init__(f"{path}: expected {_short(expected)}, got {_short(got)}")


def _short(value: Any, size: int = 300) -> str:
    text = str(value) if isinstance(value, Nothing) else json.dumps(value, default=str, sort_keys=True)
    return text if len(text) <= size else f"{text[:size]}...({len(text)} characters)"


def _document(text: str) -> Any:
    """The object or list that a text holds as JSON; NOTHING if it holds none."""
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return NOTHING


class Matcher:
    """Compares by the placeholders of one case."""

    def __init__(self, placeholders: Iterable[str], *, unordered: bool) -> None:
        self._unordered = unordered
        words = {word for word in placeholders if word}
        self._whole = WHOLE | words
        literals = sorted(
            (word for word in words | {RECORDED_ACCOUNT, "timestamp", "date"} if len(word) > 3), key=len, reverse=True
        )
        holes = [UUID, r"arn:<partition>", PLACEHOLDER.pattern]
        holes += [
            (r"\b" if word[0].isalnum() else "") + re.escape(word) + (r"(?:_\d+|:\d+)?\b" if word[-1].isalnum() else "")
            for word in literals
        ]
        self._holes = re.compile("|".join(holes))
        self._patterns: dict[str, re.Pattern[str] | None] = {}

    def compare(self, expected: Any, got: Any, path: str) -> None:
        """Raise Difference at the first one."""
        if isinstance(expected, str):
            self._compare_text(expected, got, path)
            return
        if isinstance(got, str):  # recordings show JSON texts parsed
            with contextlib.suppress(ValueError):
                got = json.loads(got)
        if isinstance(expected, dict) and isinstance(got, dict):
            self._compare_members(expected, got, path)
        elif isinstance(expected, list) and isinstance(got, list):
            for index in range(max(len(expected), len(got))):
                ours = got[index] if index < len(got) else NOTHING
                theirs = expected[index] if index < len(expected) else NOTHING
                if NOTHING in (ours, theirs):
                    raise Difference(f"{path}[{index}]", theirs, ours)
                self.compare(theirs, ours, f"{path}[{index}]")
        elif not _same(expected, got):
            raise Difference(path, expected, got)

    def _compare_text(self, expected: str, got: Any, path: str) -> None:
        if expected in self._whole or PLACEHOLDER.fullmatch(expected):
            return
        if isinstance(got, str):
            if self._alike(expected, got):
                return
            theirs, ours = _document(expected), _document(got)
            if NOTHING not in (theirs, ours):
                self.compare(theirs, ours, path)
                return
        raise Difference(path, expected, got)

    def _alike(self, expected: str, got: str) -> bool:
        if expected == got:
            return True
        if expected not in self._patterns:
            self._patterns[expected] = self._pattern(expected)
        pattern = self._patterns[expected]
        return pattern is not None and pattern.fullmatch(got) is not None

    def _pattern(self, text: str) -> re.Pattern[str] | None:
        """The text with its placeholders open; None if it has none."""
        parts, end = [], 0
        for hole in self._holes.finditer(text):
            parts.append(re.escape(text[end : hole.start()]))
            parts.append(r"arn:[a-z-]+" if hole.group() == "arn:<partition>" else r"[\s\S]*?")
            end = hole.end()
        return re.compile("".join([*parts, re.escape(text[end:])])) if parts else None

    def _compare_members(self, expected: dict[str, Any], got: dict[str, Any], path: str) -> None:
        theirs, ours = _status(expected), _status(got)
        if None not in (theirs, ours) and theirs != ours:
            raise Difference(f"{path}.ResponseMetadata.HTTPStatusCode", theirs, ours)
        for key in [*expected, *got]:
            if key in UNRECORDED or key in FREE:
                continue
            theirs, ours = expected.get(key, NOTHING), got.get(key, NOTHING)
            if NOTHING in (theirs, ours):
                raise Difference(f"{path}.{key}", theirs, ours)
        for key, recorded in expected.items():
            theirs, ours = recorded, got.get(key)
            if key in UNRECORDED or key in FREE or (key in FREE_TEXTS and isinstance(theirs, str)):
                continue
            if key == "variableReferences" and isinstance(theirs, dict) and isinstance(ours, dict):
                theirs, ours = _sorted(theirs), _sorted(ours)  # the recording sorted them
            if key == "events" and isinstance(theirs, list) and isinstance(ours, list):
                self._compare_events(theirs, ours, f"{path}.events")
            else:
                self.compare(theirs, ours, f"{path}.{key}")

    def _compare_events(self, expected: list[Any], got: list[Any], path: str) -> None:
        if self._unordered and all(isinstance(event, dict) and "type" in event for event in expected):
            self._compare_racing_events(expected, got, path)
            return
        for index, (theirs, ours) in enumerate(zip(expected, got, strict=False)):
            if isinstance(theirs, dict) and isinstance(ours, dict):  # types first: they tell more than what is in them
                self.compare(theirs.get("type"), ours.get("type"), f"{path}[{index}].type")
        self.compare(expected, got, path)

    def _compare_racing_events(self, expected: list[Any], got: list[Any], path: str) -> None:
        seen = set()
        for index, event in enumerate(got):
            before = event.get("previousEventId", 0)
            if before and before not in seen:
                raise Difference(f"{path}[{index}].previousEventId", "an earlier event's id", before)
            seen.add(event.get("id"))
        if any(isinstance(event.get("id"), list) for event in expected):
            # where a recording lost the ids of a Parallel's events it lost its closing event, too
            expected = [event for event in expected if event["type"] not in PARALLEL_ENDS]
            got = [event for event in got if event["type"] not in PARALLEL_ENDS]
        theirs, ours = _with_predecessors(expected), _with_predecessors(got)
        counts = Counter(event["type"] for event in theirs)
        counts.subtract(Counter(event["type"] for event in ours))
        if any(counts.values()):
            raise Difference(f"{path} (types, counted)", dict(+counts), dict(-counts))
        placed: dict[int, int] = {}
        for index, event in enumerate(theirs):
            if not self._place(index, theirs, ours, placed, set()):
                free = [other for place, other in enumerate(ours) if place not in placed]
                near = next(other for other in free if other["type"] == event["type"])
                self.compare(event, near, f"{path}[{index}]({event['type']})")
                raise Difference(f"{path}[{index}] (in any order)", event, near)

    def _place(self, index: int, theirs: list[Any], ours: list[Any], placed: dict[int, int], tried: set[int]) -> bool:
        """Find an event of ours for one of theirs, moving others: with placeholders, one may match many."""
        for place, event in enumerate(ours):
            if place in tried or event["type"] != theirs[index]["type"] or not self._matches(theirs[index], event):
                continue
            tried.add(place)
            if place not in placed or self._place(placed[place], theirs, ours, placed, tried):
                placed[place] = index
                return True
        return False

    def _matches(self, expected: Any, got: Any) -> bool:
        try:
            self.compare(expected, got, "")
        except Difference:
            return False
        return True


def _with_predecessors(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without their numbers, which race, but with the type of the event before (iterations start at any time)."""
    types = {event["id"]: event["type"] for event in events if isinstance(event.get("id"), int)}
    made = []
    for event in events:
        before = event.get("previousEventId")
        known = isinstance(event.get("id"), int) and event["type"] != "MapIterationStarted"
        predecessor = types.get(before, "none") if known and (not before or before in types) else "<any>"
        rest = {key: value for key, value in event.items() if key not in ORDER}
        made.append(rest | {"previousEventType": predecessor})
    return made


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return expected == got or abs(expected - got) <= 1e-9 * max(abs(expected), abs(got))
    return bool(expected == got)


def _status(answer: dict[str, Any]) -> int | None:
    metadata = answer.get("ResponseMetadata")
    return metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None


def _sorted(lists: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) for key, value in lists.items()}
