"""How long to wait before asking an endpoint again that did not answer: exponentially longer, with jitter, up to a bound."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0


class Backoff:
    """Waits between half and all of 0.1, 0.2, 0.4, ... 5 seconds. ``jitter`` answers numbers in [0, 1)."""

    def __init__(
        self,
        *,
        longest_seconds: float = LONGEST_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._longest = longest_seconds
        self._jitter = jitter
        self._next = FIRST_SECONDS

    def next_seconds(self) -> float:
        ceiling = min(self._next, self._longest)
        self._next = min(2 * self._next, self._longest)
        return ceiling * (1 + self._jitter()) / 2

    def reset(self) -> None:
        self._next = FIRST_SECONDS
