"""What commands print: for people on a terminal; as JSON lines, YAML or CSV for programs."""

from __future__ import annotations

import csv
import os
import sys
from typing import Any, Literal

import msgspec
from rich.console import Console, RenderableType

NESTED = ("workflowDefinition",)
"""Objects whose members are columns of their own; others may have any members."""
PIPED_WIDTH = 160
"""Columns when nobody says how many there are."""


class Output:
    """Writes to standard output, as ``kind`` says: for people, or ``structured`` for programs."""

    def __init__(self, kind: Literal["auto", "table", "json", "yaml", "csv"]) -> None:
        terminal = sys.stdout.isatty()
        self.kind = ("table" if terminal else "json") if kind == "auto" else kind
        self.structured = self.kind != "table"
        self._columns: list[str] | None = None
        width = None if terminal or os.environ.get("COLUMNS") else PIPED_WIDTH
        self._console = Console(width=width, highlight=False, emoji=False, markup=False)

    @property
    def terminal(self) -> bool:
        return self._console.is_terminal

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._console.width

    def line(self, value: Any) -> None:
        """One JSON value: a line of its own, a YAML document, or a row of CSV."""
        match self.kind:
            case "yaml":
                import yaml

                # quotes what any version of YAML would take for something else than text, such as yes
                self.write(yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True, explicit_start=True))
            case "csv":
                self._row(value)
            case _:
                self.write(msgspec.json.encode(value).decode() + "\n")

    def _row(self, value: Any) -> None:
        """The columns are the members of the first value, those of objects within it as ``outer.inner``; lists are JSON."""
        row = _flat(_plain(value))
        writer = csv.DictWriter(sys.stdout, self._columns or list(row), extrasaction="ignore", lineterminator="\n")
        if self._columns is None:
            self._columns = list(row)
            writer.writeheader()
        writer.writerow(row)
        sys.stdout.flush()

    def write(self, text: str) -> None:
        """A document as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def show(self, *parts: RenderableType, style: str | None = None) -> None:
        """Something for people; text is printed as it is."""
        self._console.print(*parts, style=style, soft_wrap=all(isinstance(part, str) for part in parts))
        sys.stdout.flush()


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _flat(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"value": value}
    row: dict[str, Any] = {}
    for name, member in value.items():
        if isinstance(member, dict) and name in NESTED:
            row |= {f"{name}.{inner}": each for inner, each in _flat(member).items()}
        else:
            row[name] = msgspec.json.encode(member).decode() if isinstance(member, dict | list) else member
    return row
