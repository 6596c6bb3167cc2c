"""Until when somebody waits for an answer, so that calls to AWS end before that, with an error that says what is wrong.

A leaf, and a variable of the context: whoever takes a request says how long it may take (``answer_within``), and what makes calls
on its behalf, in whatever thread, asks how long one may take (``begin_call``, ``seconds_left``). botocore knows nothing of it:
``end_in_time`` has it try again only if there is time for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

MARGIN_SECONDS = 0.5
"""How long before the caller gives up a call has ended, so that its error can be told."""
LEAST_SECONDS = 1.0
"""What every call may take, however late it begins: calls take milliseconds, and tidying up is not to fail for want of time."""
TRY_SECONDS = 0.25
"""With less left it is no use to try again."""

_answer_by: ContextVar[float | None] = ContextVar("answer_by", default=None)
_end_by: ContextVar[float | None] = ContextVar("end_by", default=None)


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Whoever waits for what is done here gives up after this long."""
    token = _answer_by.set(time.monotonic() + seconds - MARGIN_SECONDS)
    try:
        yield
    finally:
        _answer_by.reset(token)


def begin_call() -> None:
    """A call begins in this context, which is its own. One that begins when nobody waits any more has all the time there is."""
    answer_by, now = _answer_by.get(), time.monotonic()
    _end_by.set(None if answer_by is None or answer_by <= now else max(answer_by, now + LEAST_SECONDS))


def seconds_left() -> float | None:
    """How long the call that runs may still take; None: as long as it needs."""
    end_by = _end_by.get()
    return None if end_by is None else end_by - time.monotonic()


def at_most(seconds: float) -> float:
    """That long, or as long as the call may still take, if that is less: for a socket's timeout, which must be above 0."""
    left = seconds_left()
    return seconds if left is None else min(seconds, max(left, 0.05))


def end_in_time(client: Any, *, attempts: int) -> None:
    """Have a boto3 client try a call again only if its pause and another try fit into the time left.

    Its retries are botocore's own, registered anew behind this check.
    """
    from botocore.retries import standard

    service = client.meta.service_model.service_id.hyphenize()
    event, name = f"needs-retry.{service}", f"retry-config-{service}"
    client.meta.events.unregister(event, unique_id=name)
    retries = standard.register_retry_handler(client, attempts)
    client.meta.events.unregister(event, unique_id=name)

    def pause(**attempt: Any) -> float | None:
        seconds = retries.needs_retry(**attempt)
        left = seconds_left()
        if not seconds and seconds != 0:  # None, or False
            return None
        return None if left is not None and seconds + TRY_SECONDS > left else seconds

    client.meta.events.register(event, pause, unique_id=name)
