"""Closing what is open when the interpreter ends, while threads can still be used.

``atexit`` is too late for that: by then executors take no work, and the database's commits run in one. The hook below is the one
that ``concurrent.futures`` itself uses; it has no public name. Where it is missing the applications are left open, which is
like a kill: nothing is lost, and what runs goes on at the next opening.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from concurrent.futures import thread  # noqa: F401 - hooks first, so that it is called after us
from typing import Protocol


class Closes(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[Closes] = weakref.WeakSet()


def close_at_exit(closes: Closes) -> None:
    """Close it when the interpreter ends, unless it is closed by then; ``close`` must be idempotent."""
    _open.add(closes)


def _close_all() -> None:
    for closes in list(_open):
        with contextlib.suppress(Exception):  # the interpreter goes down; all that matters is on disk
            closes.close()


with contextlib.suppress(AttributeError, RuntimeError):
    threading._register_atexit(_close_all)  # type: ignore[attr-defined]  # noqa: SLF001 - see above
