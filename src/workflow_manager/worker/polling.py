"""How many polls are under way: one while nothing is to be done, as many as there are slots while tasks keep coming.

A slot that is free waits for its turn to poll. A poll that brings a task lets twice as many poll at once, up to the number of
slots; one that ends without a task halves that. So an idle worker holds one connection, and a busy one asks as fast as it works.
"""

from __future__ import annotations

import threading


class Room:
    """How many tasks several workers of one process may have in hand together.

    No poll begins while there is none left. Those that are under way then may still bring a task each, which waits for room.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self.changed = threading.Condition()

    @property
    def free(self) -> bool:
        """Ask while holding ``changed``."""
        return self._taken < self._limit

    def take(self, stopping: threading.Event) -> None:
        """Wait for room and take it; at once, whether there is room or not, when the worker stops."""
        with self.changed:
            self.changed.wait_for(lambda: self.free or stopping.is_set())
            self._taken += 1

    def give_back(self) -> None:
        with self.changed:
            self._taken -= 1
            self.changed.notify_all()


class Turns:
    """The turns of one worker's slots. ``slots`` is how many there may be."""

    def __init__(self, slots: int, room: Room) -> None:
        self._slots = slots
        self._room = room
        self._allowed = 1
        self._polling = 0
        self._ended = False

    @property
    def allowed(self) -> int:
        """How many may poll at once just now."""
        return self._allowed

    def begin(self) -> bool:
        """Wait for a turn; False when there will be none any more."""
        with self._room.changed:
            self._room.changed.wait_for(lambda: self._ended or (self._polling < self._allowed and self._room.free))
            if self._ended:
                return False
            self._polling += 1
            return True

    def finish(self, *, found: bool) -> None:
        """A poll has ended. ``found``: it brought a task."""
        with self._room.changed:
            self._polling -= 1
            self._allowed = min(2 * self._allowed, self._slots) if found else max(1, self._allowed // 2)
            self._room.changed.notify_all()

    def end(self) -> None:
        with self._room.changed:
            self._ended = True
            self._room.changed.notify_all()
