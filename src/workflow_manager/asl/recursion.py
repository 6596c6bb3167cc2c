"""Room for functions that call themselves, as deep as our own bounds allow, and no longer than they run.

Python's limit on recursion is the whole process's: it is raised while an expression is evaluated, and then put back.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ROOM = 8_000
"""Python frames."""

_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def room_to_recurse() -> Iterator[None]:
    """Allow ROOM frames until the end of the block, in all threads that are in such a block."""
    enter_room()
    try:
        yield
    finally:
        leave_room()


@contextmanager
def kept_limit() -> Iterator[None]:
    """Put the limit back at the end of the block, whatever was done to it there."""
    before = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def enter_room() -> None:
    global _inside, _before  # noqa: PLW0603 - the limit is the process's, and so is this count
    with _lock:
        if _inside == 0:
            _before = sys.getrecursionlimit()
            if _before < ROOM:
                sys.setrecursionlimit(ROOM)
        _inside += 1


def leave_room() -> None:
    global _inside  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if _inside == 0 and _before < ROOM:
            sys.setrecursionlimit(_before)
