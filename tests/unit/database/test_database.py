"""The one writer: operations are grouped, fail alone, and nobody is told what is not on disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from workflow_manager import database as module
from workflow_manager.database import (
    FORMAT,
    Batch,
    Database,
    DatabaseUnavailable,
    DataFolderInUse,
    DataFolderOfAnotherVersion,
)

TABLE = "CREATE TABLE IF NOT EXISTS item (name TEXT PRIMARY KEY, body BLOB)"
SLOW_FLUSH = 0.02
"""Of a disk that is slow enough for COMMIT to be made in a thread."""


@pytest.fixture(params=[0.0, SLOW_FLUSH], ids=["COMMIT on the loop", "COMMIT in a thread"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "test.db", flush_delay_seconds=request.param)
    opened.migrate(TABLE)
    yield opened
    await opened.close()


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "test.db", flush_delay_seconds=SLOW_FLUSH)
    opened.migrate(TABLE)
    yield opened
    await opened.close()


@pytest.fixture
async def reported() -> list[dict[str, Any]]:
    """What the loop's exception handler has been told."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


def insert(name: str, size: int = 0) -> Callable[[Batch], str]:
    def operation(batch: Batch) -> str:
        batch.execute("INSERT INTO item VALUES (?, zeroblob(?))", (name, size))
        return name

    return operation


def insert_then_raise(name: str, error: BaseException) -> Callable[[Batch], str]:
    def operation(batch: Batch) -> str:
        insert(name)(batch)
        raise error

    return operation


def invalid_sql(batch: Batch) -> None:
    batch.execute("SELEC 1")


def names(database: Database) -> list[str]:
    return [name for (name,) in database.read("SELECT name FROM item ORDER BY name")]


async def outcomes(*futures: asyncio.Future[Any]) -> list[Any]:
    return await asyncio.gather(*futures, return_exceptions=True)


# ---------------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("batch_seconds", "commits"),
    [
        pytest.param(60.0, 1, id="what waits shares a commit"),
        pytest.param(-1.0, 50, id="a batch that took long enough takes no more"),
    ],
)
async def test_operations_are_grouped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_seconds: float, commits: int
) -> None:
    monkeypatch.setattr(module, "BATCH_SECONDS", batch_seconds)
    database = Database(tmp_path / "test.db", synchronous="OFF")
    monkeypatch.setattr(module, "SLOW_FLUSH_SECONDS", 60.0)
    database.migrate(TABLE)
    wanted = [f"{i:02}" for i in range(50)]

    answered = await asyncio.gather(*(database.write(insert(name)) for name in wanted))

    assert answered == wanted
    assert names(database) == wanted
    assert database.commits == commits
    await database.close()


async def test_what_is_handed_in_during_a_slow_commit_shares_the_next(slow: Database) -> None:
    first = slow.submit(insert("first"))
    await asyncio.sleep(0)  # its batch is being committed
    others = [slow.submit(insert(f"other{i}")) for i in range(20)]

    await outcomes(first, *others)

    assert slow.commits == 2


async def test_the_loop_goes_on_during_a_slow_commit(slow: Database) -> None:
    writing = slow.submit(insert("a"))
    turns = 0
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 20


async def test_a_caller_that_is_cancelled_does_not_take_its_operation_back(database: Database) -> None:
    caller = asyncio.create_task(database.write(insert("a")))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    await database.write(insert("b"))

    assert names(database) == ["a", "b"]


# ---------------------------------------------------------------------- who sees what


async def test_reads_see_committed_data_only_and_queries_what_their_batch_wrote(database: Database) -> None:
    seen: dict[str, int] = {}

    def operation(batch: Batch) -> None:
        insert("a")(batch)
        seen["read"] = len(database.read("SELECT 1 FROM item"))
        seen["query"] = len(database.query("SELECT 1 FROM item"))

    await database.write(operation)

    assert seen == {"read": 0, "query": 1}
    assert database.query_one("SELECT name FROM item") == ("a",)
    assert database.query_one("SELECT name FROM item WHERE name = 'no'") is None


async def test_while_a_commit_waits_for_the_disk_nobody_sees_it(slow: Database) -> None:
    writing = slow.submit(insert("a"))
    await asyncio.sleep(0)

    assert not writing.done()
    assert slow.query("SELECT name FROM item") == []
    await writing
    assert names(slow) == ["a"]


async def test_callbacks_come_after_the_commit_and_before_the_answer(database: Database) -> None:
    order: list[str] = []

    def operation(batch: Batch) -> None:
        insert("a")(batch)
        batch.after_commit(lambda: order.append(f"on disk: {names(database)}"))
        batch.after_rollback(lambda: order.append("given up"))

    writing = database.submit(operation)
    writing.add_done_callback(lambda _: order.append("answered"))
    await writing
    await asyncio.sleep(0)

    assert order == ["on disk: ['a']", "answered"]


async def test_hooks_run_in_every_batch_after_its_operations(database: Database) -> None:
    seen: list[list[tuple[Any, ...]]] = []
    database.before_commit(lambda batch: seen.append(batch.execute("SELECT name FROM item ORDER BY 1").fetchall()))

    await outcomes(database.submit(insert("a")), database.submit(insert("b")))
    await database.write(insert("c"))

    assert seen == [[("a",), ("b",)], [("a",), ("b",), ("c",)]]


# ---------------------------------------------------------------------- an operation fails alone


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        pytest.param(insert_then_raise("bad", ValueError("no")), ValueError, id="it raises"),
        pytest.param(
            insert_then_raise("bad", DatabaseUnavailable("a read of its own failed")),
            DatabaseUnavailable,
            id="it gives up",
        ),
        pytest.param(insert("there"), apsw.ConstraintError, id="it breaks a constraint"),
        pytest.param(invalid_sql, apsw.SQLError, id="its SQL is wrong"),
    ],
)
async def test_an_operation_that_raises_undoes_itself_only(
    database: Database, failing: Callable[[Batch], Any], error: type[Exception]
) -> None:
    await database.write(insert("there"))

    before, failed, after = await outcomes(
        database.submit(insert("before")), database.submit(failing), database.submit(insert("after"))
    )

    assert (before, after) == ("before", "after")
    assert isinstance(failed, error)
    assert names(database) == ["after", "before", "there"]


async def test_of_an_operation_that_raised_nothing_is_told(database: Database) -> None:
    told: list[str] = []

    def operation(name: str, *, fails: bool) -> Callable[[Batch], None]:
        def run(batch: Batch) -> None:
            batch.after_commit(lambda: told.append(f"{name} is on disk"))
            batch.after_rollback(lambda: told.append(f"{name} is undone"))
            if fails:
                raise ValueError(name)

        return run

    await outcomes(*(database.submit(operation(name, fails=name == "b")) for name in "abc"))

    assert told == ["b is undone", "a is on disk", "c is on disk"]


# ---------------------------------------------------------------------- hooks and callbacks that raise


async def test_a_hook_that_raises_fails_its_batch_and_no_other(
    database: Database, reported: list[dict[str, Any]]
) -> None:
    undone: list[str] = []
    broken = True

    def hook(batch: Batch) -> None:
        if broken:
            batch.execute("INSERT INTO item VALUES ('of the hook', NULL)")
            raise KeyError("hook")

    def operation(batch: Batch) -> None:
        insert("a")(batch)
        batch.after_rollback(lambda: undone.append("a"))

    database.before_commit(hook)

    failed = await outcomes(database.submit(operation), database.submit(insert("b")))
    assert [str(error) for error in failed] == [
        "the server could not finish its work (KeyError); nothing was written"
    ] * 2
    assert all(isinstance(error, DatabaseUnavailable) for error in failed)
    assert undone == ["a"]
    assert names(database) == []
    assert [type(context["exception"]) for context in reported] == [KeyError]

    broken = False
    await database.write(insert("c"))
    assert names(database) == ["c"]


async def test_a_callback_that_raises_keeps_nobody_from_an_answer(
    database: Database, reported: list[dict[str, Any]]
) -> None:
    called: list[str] = []

    def operation(batch: Batch) -> str:
        insert("a")(batch)
        batch.after_commit(lambda: 1 // 0)
        batch.after_commit(lambda: called.append("the next"))
        return "done"

    assert await database.write(operation) == "done"
    assert called == ["the next"]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert await database.write(insert("b")) == "b"


async def test_a_rollback_callback_that_raises_keeps_nobody_from_an_answer(
    database: Database, reported: list[dict[str, Any]]
) -> None:
    def operation(batch: Batch) -> None:
        batch.after_rollback(lambda: 1 // 0)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await database.write(operation)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert await database.write(insert("b")) == "b"


async def test_an_interrupt_within_an_operation_ends_the_process_but_leaves_no_transaction(tmp_path: Path) -> None:
    database = Database(tmp_path / "test.db")
    database.migrate(TABLE)
    waiting = database.submit(insert_then_raise("a", KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        database._flush()

    with pytest.raises(DatabaseUnavailable):
        await waiting
    assert await database.write(insert("b")) == "b"
    assert names(database) == ["b"]
    await database.close()


# ---------------------------------------------------------------------- the database itself fails


async def test_on_a_full_disk_the_whole_batch_is_undone_and_later_ones_are_written(database: Database) -> None:
    undone: list[str] = []

    def small(batch: Batch) -> None:
        insert("small")(batch)
        batch.after_rollback(lambda: undone.append("small"))

    (pages,) = database.read("PRAGMA page_count")[0]
    database.writer.pragma("max_page_count", pages + 2)  # SQLite's own way to be out of space

    failed = await outcomes(database.submit(small), database.submit(insert("big", 1_000_000)))

    assert [str(error) for error in failed] == ["the disk is full; nothing was written"] * 2
    assert undone == ["small"]
    assert names(database) == []

    database.writer.pragma("max_page_count", pages + 1000)
    assert await database.write(insert("big", 1_000_000)) == "big"
    assert names(database) == ["big"]


async def test_an_operation_that_hides_a_full_disk_makes_no_answer_untrue(database: Database) -> None:
    """SQLite undoes the statement or the whole transaction then; either way who is answered is on disk."""

    def hides(batch: Batch) -> str:
        with contextlib.suppress(apsw.FullError):
            insert("big", 1_000_000)(batch)
        return "hidden"

    (pages,) = database.read("PRAGMA page_count")[0]
    database.writer.pragma("max_page_count", pages + 2)

    small, hidden, last = await outcomes(
        database.submit(insert("small")), database.submit(hides), database.submit(insert("last"))
    )

    assert names(database) == sorted(answer for answer in (small, last) if isinstance(answer, str))
    assert isinstance(hidden, (str, DatabaseUnavailable))
    database.writer.pragma("max_page_count", pages + 1000)
    assert await database.write(insert("after")) == "after"


@contextlib.contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    program = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]); connection.execute('BEGIN IMMEDIATE'); "
        "print('locked', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate("\n", timeout=10)


async def test_locked_by_another_process_everybody_who_waits_is_told_so(database: Database) -> None:
    database.writer.set_busy_timeout(10)
    with locked_by_another_process(database.path):
        failed = await outcomes(database.submit(insert("a")), database.submit(insert("b")))
        assert names(database) == []  # reading goes on

    assert [str(error) for error in failed] == ["the database is locked by another process; nothing was written"] * 2
    assert await database.write(insert("c")) == "c"
    assert names(database) == ["c"]


# ---------------------------------------------------------------------- opening and closing


async def test_closing_writes_what_is_queued_and_refuses_what_is_new(database: Database) -> None:
    queued = [database.submit(insert(f"{i}")) for i in range(3)]
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    late = database.submit(insert("late"))

    await closing

    assert await outcomes(*queued) == ["0", "1", "2"]
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await late
    with pytest.raises(DatabaseUnavailable, match="closed"):
        database.read("SELECT 1")
    again = Database(database.path)
    assert names(again) == ["0", "1", "2"]
    await again.close()


async def test_a_folder_is_open_once(database: Database) -> None:
    with pytest.raises(DataFolderInUse) as refused:
        Database(database.path)

    assert str(database.path.parent) in str(refused.value)
    assert f"process {os.getpid()}" in str(refused.value)
    assert await database.write(insert("a")) == "a"  # the refused one took nothing with it
    await database.close()
    await Database(database.path).close()


@pytest.mark.parametrize(("found", "age"), [(0, "an older"), (FORMAT + 1, "a newer")])
async def test_a_folder_of_another_version_is_refused_and_left_as_it_is(
    database: Database, found: int, age: str
) -> None:
    await database.write(insert("a"))
    await database.close()
    with closing(apsw.Connection(str(database.path))) as connection:
        connection.pragma("user_version", found)

    with pytest.raises(DataFolderOfAnotherVersion, match=f"{age} version .*format {found}, .* {FORMAT}"):
        Database(database.path)

    with closing(apsw.Connection(str(database.path))) as connection:
        assert connection.pragma("user_version") == found
        connection.pragma("user_version", FORMAT)
    again = Database(database.path)
    assert names(again) == ["a"]
    await again.close()


async def test_a_file_that_is_no_database_is_refused_and_its_folder_let_go(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(apsw.NotADBError):
        Database(path)

    path.unlink()
    await Database(path).close()
