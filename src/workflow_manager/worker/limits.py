"""What Step Functions accepts of a failure's texts, and cutting them to it (API reference, SendTaskFailure).

Lengths are counted in UTF-16 units, as Java and JavaScript count: never fewer than the characters of the text, so that
what fits by this count fits by every other.
"""

from __future__ import annotations

MAX_CAUSE = 32_768
MAX_ERROR = 256
MAX_WORKER_NAME = 80


def cut_cause(text: str) -> str:
    """The end of a cause, where a program says what went wrong last."""
    units = _units(text)
    if len(units) <= 2 * MAX_CAUSE:
        return _text(units)
    kept = units[-2 * MAX_CAUSE :]
    if 0xDC <= kept[1] <= 0xDF:  # the second half of a character whose first half is cut off
        kept = kept[2:]
    return _text(kept)


def cut_error(name: str) -> str:
    """The beginning of an error's name: Retry and Catch compare names from there."""
    units = _units(name)
    if len(units) <= 2 * MAX_ERROR:
        return _text(units)
    kept = units[: 2 * MAX_ERROR]
    if 0xD8 <= kept[-1] <= 0xDB:  # the first half of a character whose second half is cut off
        kept = kept[:-2]
    return _text(kept)


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _text(units: bytes) -> str:
    return units.decode("utf-16-le", "replace")
