r"""The fenced blocks of a Markdown page, and the comments by which a page says how they are to be run.

| in the page | meaning |
| --- | --- |
| a block of ``console`` | commands after ``$ ``, continued by ``\`` or ``> ``; what follows is the output (``...``: anything) |
| ``title="x.yaml"`` after the language | the reader saves the block as this file |
| ``<!-- not run: REASON -->`` | the next block is looked at, and not run |
| ``<!-- exits 1 -->`` | the last command of the next block ends with this status, and not with 0 |
| ``<!-- run`` ... ``-->`` | commands as in ``console`` that readers do not see: what the page takes to be there |
| ``<!-- excerpt of PATH -->`` | the next block's lines stand in this file, which other tests run |

In a command ``<ID>`` is the id of the workflow that the page started last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*) *(?P<attributes>.*)$")
_MARK = re.compile(r"^ *<!-- (?P<name>not run|exits|excerpt of):? (?P<value>.+?) -->$")
_TITLE = re.compile(r'\btitle="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """``line`` is that of the first line of ``text`` in the page; ``marks`` by name."""

    page: Path
    line: int
    language: str
    text: str
    title: str | None = None
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a ``console`` block and the output that is shown, if any."""

    line: int
    text: str
    output: str


def blocks(page: Path) -> Iterator[Block]:
    """All blocks in the order of the page, hidden commands among them."""
    lines = page.read_text(encoding="utf-8").splitlines()
    marks: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if mark := _MARK.match(line):
            marks[mark["name"]] = mark["value"]
        elif line.strip() == "<!-- run":
            indent = len(line) - len(line.lstrip())
            end = next(n for n in range(at, len(lines)) if lines[n].strip() == "-->")
            yield Block(page, at + 1, "console", "\n".join(each[indent:] for each in lines[at:end]), marks=marks)
            marks, at = {}, end + 1
        elif fence := _FENCE.match(line):
            indent, closing = len(fence["indent"]), fence["fence"]
            end = next(n for n in range(at, len(lines)) if lines[n].strip() == closing)
            text = "\n".join(each[indent:] for each in lines[at:end])
            title = _TITLE.search(fence["attributes"])
            yield Block(page, at + 1, fence["language"], text, title[1] if title else None, marks)
            marks, at = {}, end + 1
        elif line.strip():
            assert not marks, f"{page}:{at}: {marks} stands before no block"


def commands(block: Block) -> list[Command]:
    """The commands of a ``console`` block."""
    found: list[Command] = []
    written: list[str] = []
    shown: list[str] = []
    begun = 0

    def close() -> None:
        if written:
            found.append(Command(begun, "\n".join(written), "\n".join(shown)))

    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            close()
            begun, written, shown = number, [line[2:]], []
        elif written and not shown and written[-1].endswith("\\"):
            written.append(line.removeprefix("> "))
        elif written and not shown and line.startswith("> "):
            written.append(line[2:])
        else:
            assert written, f"{block.page}:{number}: output without a command"
            shown.append(line)
    close()
    assert found, f"{block.place}: no command begins with '$ '"
    return found
