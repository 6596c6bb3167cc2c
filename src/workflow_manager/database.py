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
FORMAT = 1
"""The file's ``user_version``; one more with each change that an older version cannot read, or this one in an older file."""

BUSY_TIMEOUT_MS = 250
"""How long a lock held by another process is waited for; the loop stands still meanwhile."""


_DATABASE_FAILED = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.InterruptError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
"""What says that the database cannot be written, whatever the operation. Any other error is the operation's own."""


class DataFolderInUse(Exception):
    """Another process has this data folder open."""


class DataFolderOfAnotherVersion(Exception):
    """The data folder was written by a version that keeps its data in another way."""


class DatabaseUnavailable(Exception):
    """The batch could not be written and was rolled back whole; nothing of it happened. ``args[0]`` says why."""


_Answer = tuple[asyncio.Future[Any], Any, BaseException | None]
"""What a caller waits on, and the result or the error it gets."""


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
        """Call this if what the operation has written is undone: forget what was kept in memory about it.

        That is when the batch is given up, or earlier, when the operation that asks for this raises.
        """
        self._after_rollback.append(callback)

    def _mark(self) -> tuple[int, int]:
        return len(self._after_commit), len(self._after_rollback)

    def _undo_callbacks(self, mark: tuple[int, int]) -> list[Callable[[], Any]]:
        """Take back what was asked for since ``mark``: what is to be called now, since it was undone."""
        committed, undone = mark
        callbacks = self._after_rollback[undone:]
        del self._after_commit[committed:], self._after_rollback[undone:]
        return callbacks


class Database:
    """Opens (and makes) ``path``. Raises DataFolderInUse and DataFolderOfAnotherVersion. Use from one event loop."""

    def __init__(self, path: Path, *, synchronous: str = "FULL", flush_delay_seconds: float = 0.0) -> None:
        """``flush_delay_seconds`` is added to every COMMIT: a slow disk, for measurements."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = _take_lock(path.with_suffix(".lock"))
        opened = contextlib.ExitStack()
        opened.callback(os.close, self._lock)
        try:
            self.writer = apsw.Connection(str(path))
            opened.callback(self.writer.close)
            self.writer.set_busy_timeout(BUSY_TIMEOUT_MS)
            _check_format(self.writer, path.parent)
            self.writer.pragma("journal_mode", "wal")
            self.writer.pragma("synchronous", synchronous)
            self.writer.pragma("wal_autocheckpoint", 4000)
            self.writer.pragma("cache_size", -65536)
            self.reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            opened.callback(self.reader.close)
            self.reader.set_busy_timeout(BUSY_TIMEOUT_MS)
            self.reader.pragma("cache_size", -32768)
        except BaseException:
            opened.close()
            raise
        self._opened = opened
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
    def idle(self) -> bool:
        """Whether nothing waits to be written, or is being written."""
        return not self._queue and self._committing is None

    @property
    def closed(self) -> bool:
        """Whether new operations are refused; what was queued before may still be on its way to the disk."""
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
        except _DATABASE_FAILED as error:
            raise DatabaseUnavailable(_why_unread(error)) from None
        except apsw.ConnectionClosedError:
            raise DatabaseUnavailable("the database is closed") from None

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
        """Call ``hook`` in every batch after its operations, still inside its transaction. If it raises, nothing of the batch is.

        What it has to say is reported to the loop's exception handler; the operations' callers get DatabaseUnavailable.
        """
        self._before_commit.append(hook)

    def submit(self, operation: Callable[[Batch], T]) -> asyncio.Future[T]:
        """Run ``operation`` in the next batch; the future has its result once that is on disk.

        What the operation raises undoes what it wrote, and only that, and is raised here. Raises DatabaseUnavailable.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(DatabaseUnavailable("the database is closed"))
            future.exception()  # a caller that does not look is no fault
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
        if not self._queue or self._committing is not None:
            return
        batch = Batch(self._cursor)
        answers: list[_Answer] = []
        try:
            self._running = True
            try:
                self._run(batch, answers)
            finally:
                self._running = False
            if self._flush_seconds > SLOW_FLUSH_SECONDS:
                loop = asyncio.get_running_loop()
                done = loop.run_in_executor(self._thread, self._commit)
                self._committing = committing = loop.create_future()
                done.add_done_callback(lambda f: self._committed(batch, answers, f.exception(), committing))
                return
            self._commit()
        except BaseException as error:
            self._give_up(batch, answers, error)
            if not isinstance(error, Exception):  # the process is being ended
                raise
        else:
            self._answer(batch, answers)
        self._again()

    def _run(self, batch: Batch, answers: list[_Answer]) -> None:
        """Run what is queued, each operation under a savepoint, then the hooks.

        What it raises is for the whole batch: the database failed, or a hook did.
        """
        execute, queue = batch.execute, self._queue
        execute("BEGIN IMMEDIATE")
        until = time.monotonic() + BATCH_SECONDS
        while queue:
            operation, future = queue.popleft()
            answers.append((future, None, None))
            mark = batch._mark()  # noqa: SLF001 - the same idea
            execute("SAVEPOINT operation")
            try:
                result = operation(batch)
            except _DATABASE_FAILED:
                raise
            except Exception as error:  # noqa: BLE001 - it is the caller's: raised where the future is awaited
                execute("ROLLBACK TO operation")  # fails if SQLite has rolled back the whole batch: then it is given up
                answers[-1] = (future, None, error)
                _call_each(batch._undo_callbacks(mark))  # noqa: SLF001 - the same idea
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
        answers: list[_Answer],
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

    def _answer(self, batch: Batch, answers: list[_Answer]) -> None:
        _call_each(batch._after_commit)  # noqa: SLF001 - the same idea
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
        answers: list[_Answer],
        error: BaseException,
    ) -> None:
        if not self.writer.get_autocommit():
            with contextlib.suppress(apsw.Error):
                self._cursor.execute("ROLLBACK")
        if not isinstance(error, apsw.Error):
            _report("a batch could not be finished, and was rolled back", error)
        _call_each(batch._after_rollback)  # noqa: SLF001 - the same idea
        if not answers and self._queue:  # BEGIN failed: whoever waits has the same answer
            answers = [(future, None, None) for _, future in self._queue]
            self._queue.clear()
        why = _why(error)
        for future, _, _ in answers:
            if not future.done():
                future.set_exception(DatabaseUnavailable(why))
                future.exception()

    def _again(self) -> None:
        if self._queue and not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def close(self) -> None:
        """Refuse what is new, write what is queued, then close the file and let go of the folder."""
        if self._closed:
            return
        self._closed = True
        while self._queue or self._committing is not None:
            if self._committing is not None:
                await asyncio.shield(self._committing)
            else:
                await asyncio.sleep(0)
        self._thread.shutdown()
        self._opened.close()


def _call_each(callbacks: list[Callable[[], Any]]) -> None:
    """One that raises is reported and keeps no other from being called: whether the batch is on disk is settled."""
    for callback in callbacks:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - nobody above could act on it
            _report("a callback of a batch raised", error)


def _report(message: str, error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


def _why(error: BaseException) -> str:
    match error:
        case apsw.FullError():
            return "the disk is full; nothing was written"
        case apsw.BusyError() | apsw.LockedError():
            return "the database is locked by another process; nothing was written"
        case apsw.ReadOnlyError():
            return "the database is read-only; nothing was written"
        case apsw.Error():
            return f"the database cannot be written ({error}); nothing was written"
        case _:
            return f"the server could not finish its work ({type(error).__name__}); nothing was written"


def _why_unread(error: apsw.Error) -> str:
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return "the database is locked by another process"
    return f"the database cannot be read ({error})"


def _check_format(connection: apsw.Connection, folder: Path) -> None:
    """Mark a new file as of this format. Raises DataFolderOfAnotherVersion."""
    found = connection.pragma("user_version")
    if found == FORMAT:
        return
    if found or connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_schema)").fetchall() == [(1,)]:
        age = "a newer" if found > FORMAT else "an older"
        raise DataFolderOfAnotherVersion(
            f"the data folder {folder} was written by {age} version of workflow-manager (format {found}, where this one has"
            f" {FORMAT}); use that version, or choose another folder with --data"
        )
    connection.pragma("user_version", FORMAT)


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
