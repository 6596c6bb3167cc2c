"""What commands print: for people on a terminal, as JSON lines for programs."""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

import msgspec
from rich.console import Console, RenderableType

PIPED_WIDTH = 160
"""Columns when nobody says how many there are."""


class Output:
    """Writes to standard output; ``json`` says which of the two it is."""

    def __init__(self, kind: Literal["auto", "table", "json"]) -> None:
        terminal = sys.stdout.isatty()
        self.json = kind == "json" or (kind == "auto" and not terminal)
        width = None if terminal or os.environ.get("COLUMNS") else PIPED_WIDTH
        self._console = Console(width=width, highlight=False, emoji=False, markup=False)

    @property
    def terminal(self) -> bool:
        return self._console.is_terminal

    def line(self, value: Any) -> None:
        """One JSON value on a line of its own."""
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        sys.stdout.flush()

    def write(self, text: str) -> None:
        """A document as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def show(self, *parts: RenderableType, style: str | None = None) -> None:
        """Something for people; text is printed as it is."""
        self._console.print(*parts, style=style, soft_wrap=all(isinstance(part, str) for part in parts))
        sys.stdout.flush()
