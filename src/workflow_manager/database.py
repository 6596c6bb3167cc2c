"""One SQLite file with one writer, shared by the embedded engine and the SQLite store.

Whoever writes hands in an *operation*: a function that is called with the open Batch. All operations that wait are run
together in one transaction (group commit), on the event loop's thread; their callers are answered after its COMMIT:

    Nothing that anyone outside has been told is ever lost, and nothing is told that is not on disk.

Reads go through a second connection, which sees committed data only. COMMIT is the part that waits for the disk; it moves to
a thread once flushing proves slow enough to make that worth a thread switch. While it is there, the next batch gathers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

T = TypeVar("T")

SLOW_FLUSH_SECONDS = 0.001
"""A COMMIT that takes longer than this on average is made in a thread."""
BATCH_SECONDS = 0.02
"""A batch takes no further operation after this long, so that its first caller does not wait for its last."""
BUSY_TIMEOUT_MS = 250
"""How long a lock held by another process is waited for; the loop stands still meanwhile."""


class DataFolderInUse(Exception):
    """Another process has this data folder open."""


class DatabaseUnavailable(Exception):
    """The batch could not be written and was rolled back whole; nothing of it happened. ``args[0]`` says why."""


class Batch:
    """The open transaction. Valid only while the operation runs that was handed it."""

    __slots__ = ("_after_commit", "_after_rollback", "execute", "executemany")

    def __init__(self, cursor: apsw.Cursor) -> None:
        self.execute: Callable[..., Any] = cursor.execute
        self.executemany: Callable[..., Any] = cursor.executemany
        self._after_commit: list[Callable[[], Any]] = []
        self._after_rollback: list[Callable[[], Any]] = []

    def after_commit(self, callback: Callable[[], Any]) -> None:
        """Call this when the batch is on disk, before the operations' callers are answered."""
        self._after_commit.append(callback)

    def after_rollback(self, callback: Callable[[], Any]) -> None:
        """Call this if the batch is given up: forget what was kept in memory about it."""
        self._after_rollback.append(callback)


class Database:
    """Opens (and makes) ``path``; raises DataFolderInUse. Use from one event loop."""

    def __init__(self, path: Path, *, synchronous: str = "FULL", flush_delay_seconds: float = 0.0) -> None:
        """``flush_delay_seconds`` is added to every COMMIT: a slow disk, for measurements."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = _take_lock(path.with_suffix(".lock"))
        try:
            self.writer = apsw.Connection(str(path))
            self.writer.set_busy_timeout(BUSY_TIMEOUT_MS)
            self.writer.pragma("journal_mode", "wal")
            self.writer.pragma("synchronous", synchronous)
            self.writer.pragma("wal_autocheckpoint", 4000)
            self.writer.pragma("cache_size", -65536)
            self.reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self.reader.set_busy_timeout(BUSY_TIMEOUT_MS)
            self.reader.pragma("cache_size", -32768)
        except BaseException:
            os.close(self._lock)
            raise
        self._cursor = self.writer.cursor()
        self._inner = self.writer.cursor()
        self._running = False  # operations, on the loop's thread
        self._queue: deque[tuple[Callable[[Batch], Any], asyncio.Future[Any]]] = deque()
        self._before_commit: list[Callable[[Batch], None]] = []
        self._flush_is_due = False
        self._committing: asyncio.Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._flush_delay = flush_delay_seconds
        self._flush_seconds = flush_delay_seconds  # running mean
        self._closed = False
        self.commits = 0

    @property
    def closed(self) -> bool:
        return self._closed

    # ------------------------------------------------------------------ schema, at start only

    def migrate(self, statements: str) -> None:
        """Run idempotent DDL (CREATE ... IF NOT EXISTS) now, outside any batch."""
        self.writer.execute(statements)

    # ------------------------------------------------------------------ reads

    def read(self, sql: str, arguments: tuple[Any, ...] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of committed data. Raises DatabaseUnavailable."""
        try:
            return self.reader.execute(sql, arguments).fetchall()
        except (apsw.BusyError, apsw.IOError, apsw.CantOpenError, apsw.FullError, apsw.LockedError) as error:
            raise DatabaseUnavailable(_why(error)) from None

    def query(self, sql: str, arguments: tuple[Any, ...] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Rows as whoever asks may see them: within a batch what it has written so far, else committed data.

        Raises DatabaseUnavailable outside a batch.
        """
        if self._running:
            return self._inner.execute(sql, arguments).fetchall()
        return self.read(sql, arguments)

    def query_one(self, sql: str, arguments: tuple[Any, ...] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
        """The first row that ``query`` has, or None."""
        rows = self.query(sql, arguments)
        return rows[0] if rows else None

    # ------------------------------------------------------------------ writes

    def before_commit(self, hook: Callable[[Batch], None]) -> None:
        """Call ``hook`` in every batch after its operations, still inside its transaction."""
        self._before_commit.append(hook)

    def submit(self, operation: Callable[[Batch], T]) -> asyncio.Future[T]:
        """Run ``operation`` in the next batch; the future has its result once that is on disk.

        What the operation raises undoes what it wrote, and only that, and is raised here. Raises DatabaseUnavailable.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(DatabaseUnavailable("the database is closed"))
            return future
        self._queue.append((operation, future))
        if not self._flush_is_due and self._committing is None:
            self._flush_is_due = True
            loop.call_soon(self._flush)
        return future

    async def write(self, operation: Callable[[Batch], T]) -> T:
        """``submit`` and wait. Cancelling the caller does not take the operation back."""
        return await asyncio.shield(self.submit(operation))

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._closed or not self._queue or self._committing is not None:
            return
        batch = Batch(self._cursor)
        answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            self._running = True
            try:
                self._run(batch, answers)
            finally:
                self._running = False
            if self._flush_seconds > SLOW_FLUSH_SECONDS:
                loop = asyncio.get_running_loop()
                self._committing = committing = loop.create_future()
                done = loop.run_in_executor(self._thread, self._commit)
                done.add_done_callback(lambda f: self._committed(batch, answers, f.exception(), committing))
                return
            self._commit()
        except apsw.Error as error:
            self._give_up(batch, answers, error)
        else:
            self._answer(batch, answers)
        self._again()

    def _run(self, batch: Batch, answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
        """Run what is queued, each operation under a savepoint. Raises apsw.Error when the database itself fails."""
        execute, queue = batch.execute, self._queue
        execute("BEGIN IMMEDIATE")
        until = time.monotonic() + BATCH_SECONDS
        while queue:
            operation, future = queue.popleft()
            answers.append((future, None, None))
            execute("SAVEPOINT operation")
            try:
                result = operation(batch)
            except apsw.Error as error:
                if not isinstance(error, apsw.ConstraintError):
                    raise
                execute("ROLLBACK TO operation")
                answers[-1] = (future, None, error)
            except Exception as error:  # noqa: BLE001 - it is the caller's: raised where the future is awaited
                execute("ROLLBACK TO operation")
                answers[-1] = (future, None, error)
            else:
                answers[-1] = (future, result, None)
            execute("RELEASE operation")
            if time.monotonic() > until:
                break
        for hook in self._before_commit:
            hook(batch)

    def _commit(self) -> None:
        started = time.perf_counter()
        if self._flush_delay:
            time.sleep(self._flush_delay)
        self._cursor.execute("COMMIT")
        self._flush_seconds += 0.05 * (time.perf_counter() - started - self._flush_seconds)
        self.commits += 1

    def _committed(
        self,
        batch: Batch,
        answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]],
        error: BaseException | None,
        committing: asyncio.Future[None],
    ) -> None:
        self._committing = None
        if error is None:
            self._answer(batch, answers)
        else:
            self._give_up(batch, answers, error)
        if not committing.done():
            committing.set_result(None)
        self._again()

    def _answer(self, batch: Batch, answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
        for callback in batch._after_commit:  # noqa: SLF001 - the same idea
            callback()
        for future, result, error in answers:
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
                future.exception()  # a caller that has gone away leaves nothing to complain about

    def _give_up(
        self,
        batch: Batch,
        answers: list[tuple[asyncio.Future[Any], Any, BaseException | None]],
        error: BaseException,
    ) -> None:
        if not self.writer.get_autocommit():
            with contextlib.suppress(apsw.Error):
                self._cursor.execute("ROLLBACK")
        for callback in batch._after_rollback:  # noqa: SLF001 - the same idea
            callback()
        if not answers and self._queue:  # BEGIN failed: whoever waits has the same answer
            answers = [(future, None, None) for _, future in self._queue]
            self._queue.clear()
        why = _why(error)
        for future, _, _ in answers:
            if not future.done():
                future.set_exception(DatabaseUnavailable(why))
                future.exception()

    def _again(self) -> None:
        if self._queue and not self._flush_is_due and not self._closed:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def close(self) -> None:
        """Write what is queued, then close the file and let go of the folder."""
        while not self._closed and (self._queue or self._committing is not None):
            if self._committing is not None:
                await asyncio.shield(self._committing)
            else:
                await asyncio.sleep(0)
        if self._closed:
            return
        self._closed = True
        self._thread.shutdown()
        self.reader.close()
        self.writer.close()
        os.close(self._lock)


def _why(error: BaseException) -> str:
    match error:
        case apsw.FullError():
            return "the disk is full; nothing was written"
        case apsw.BusyError() | apsw.LockedError():
            return "the database is locked by another process; nothing was written"
        case apsw.ReadOnlyError():
            return "the database is read-only; nothing was written"
        case _:
            return f"the database cannot be written ({error})"


def _take_lock(path: Path) -> int:
    """Lock the folder for this process; the kernel lets go when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DataFolderInUse(
            f"the data folder {path.parent} is in use by another server"
            + (f" (process {owner})" if owner else "")
            + "; stop it, or choose another folder with --data"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
