"""A disk that can fail at any moment, and that remembers what a power cut could take: a SQLite VFS.

SIGKILL alone leaves the operating system alive: whatever was written is there afterwards, synced or not. So every write
since a file's last sync is noted, with what it replaced, in a file beside it (``NAME.unsynced``); after the process is gone,
``cut_power`` undoes some of these writes, as a disk without power may have. What was synced stays: that is the promise.

The tests' server process installs it, by WFM_TEST_CRASH (see ``install``); the product knows nothing of it.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from pathlib import Path

import apsw

POINTS = ("before-write", "torn-write", "before-sync", "after-sync")
"""Where the process can be made to end, each at its n-th time on the write-ahead log: before a write, in the middle of one,
when a transaction is written and not synced, and when it is synced and nobody was told (between fsync and answer)."""

NOTED = (".db", ".db-wal")
SECTOR = 512
installed: list[apsw.VFS] = []
"""SQLite uses a VFS for as long as somebody keeps it."""
_HEAD = struct.Struct("<QII")
"""Where a write goes, how long it is, and how much of that was there before; followed by what was there."""


def install(crash: str) -> None:
    """Make this the disk of every database that the process opens. ``crash``: a POINT@n, or empty for none."""
    point, _, times = crash.partition("@")
    assert point in {"", *POINTS}, point
    installed.append(_Disk(point, int(times or 0)))


def cut_power(folder: Path, chance: random.Random) -> int:
    """Undo some of what was written but not synced by the process that is gone; how many sectors were."""
    undone = 0
    for noted in sorted(folder.glob("*.unsynced")):
        writes = list(_read(noted.read_bytes()))
        file = noted.with_suffix("")
        if not writes or not file.exists():
            continue
        # the tail is lost from somewhere on, and of the rest each sector may be
        first_lost, odds = chance.randint(0, len(writes)), chance.choice([0.0, 0.3])
        with file.open("r+b") as opened:
            for number, (at, length, before) in reversed(list(enumerate(writes))):
                for offset in range(0, length, SECTOR):
                    if number < first_lost and chance.random() >= odds:
                        continue
                    undone += 1
                    size = min(SECTOR, length - offset)
                    opened.seek(at + offset)
                    opened.write(before[offset : offset + size].ljust(size, b"\0"))
        noted.write_bytes(b"")
    return undone


def _read(notes: bytes) -> list[tuple[int, int, bytes]]:
    found, position = [], 0
    while position + _HEAD.size <= len(notes):
        at, length, known = _HEAD.unpack_from(notes, position)
        position += _HEAD.size
        if position + known > len(notes):
            break  # the process ended while it noted a write, so before it wrote
        found.append((at, length, notes[position : position + known]))
        position += known
    return found


class _Disk(apsw.VFS):
    def __init__(self, point: str, times: int) -> None:
        self.point = point
        self.times = times
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not path.endswith(NOTED) or flags[0] & apsw.SQLITE_OPEN_READONLY:
            return apsw.VFSFile("unix", name, flags)
        return _File(self, path, name, flags)

    def reached(self, point: str) -> bool:
        if point != self.point:
            return False
        self.times -= 1
        return self.times == 0


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._is_log = path.endswith("-wal")
        self._notes = os.open(f"{path}.unsynced", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._is_log and self._disk.reached("before-write"):
            _end()
        before = super().xRead(min(len(data), max(0, super().xFileSize() - offset)), offset)
        os.write(self._notes, _HEAD.pack(offset, len(data), len(before)) + before)
        if self._is_log and self._disk.reached("torn-write"):
            super().xWrite(data[: len(data) // 2], offset)
            _end()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._is_log and self._disk.reached("before-sync"):
            _end()
        super().xSync(flags)
        os.ftruncate(self._notes, 0)
        if self._is_log and self._disk.reached("after-sync"):
            _end()

    def xClose(self) -> None:  # noqa: N802
        super().xClose()
        os.close(self._notes)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
