"""What a worker tells of its work while it works; metrics are one listener."""

from __future__ import annotations

from typing import Literal

PollResult = Literal["task", "empty", "failed"]


class Observer:
    """Hears what a worker does. Every method may be called from any thread, must not block, and does nothing here."""

    def polled(self, activity: str, result: PollResult) -> None:
        """A poll has ended."""

    def began(self, activity: str) -> None:
        """A task is in hand."""

    def ended(self, activity: str, outcome: str, seconds: float) -> None:
        """A task is out of hand: ``outcome`` is succeeded, failed, terminated, gone or lost."""

    def beat(self, activity: str, *, accepted: bool) -> None:
        """A heartbeat was sent."""

    def registered(self, activity: str) -> None:
        """The activity is there; polling begins."""

    def stopping(self) -> None:
        """No more tasks are taken."""
