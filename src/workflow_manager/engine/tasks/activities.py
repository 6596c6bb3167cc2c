"""Activities: their queues, the pollers that wait at them, and the answers of workers.

A task is a row of ``activity_task`` from the step that scheduled it until it is delivered:

    QUEUED    waits for a poller
    REQUEUED  was started, but its poller went away before it had it: the next one gets it, with the same token
    HANDED    its poller is being answered; ``delivered`` removes the row. One that is found at start was being answered when
              the process died, and is requeued.

A poller that already waits is given the task in the batch that schedules it. Pollers are served first come, first served.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import msgspec

from workflow_manager.asl.jsonfaults import find_fault
from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.core.frames import Execution, Phase
from workflow_manager.engine.core.stimuli import (
    Stimulus,
    TaskCall,
    TaskFailed,
    TaskHeartbeat,
    TaskStarted,
    TaskSucceeded,
)
from workflow_manager.engine.core.tokens import parse_task_token
from workflow_manager.engine.operations.machine_settings import check_encryption, check_name, tag_rows
from workflow_manager.engine.operations.pages import page_of, page_token
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns, parse
from workflow_manager.stepfunctions.errors import (
    ActivityDoesNotExist,
    ActivityWorkerLimitExceeded,
    InvalidOutput,
    InvalidToken,
    TaskTimedOut,
)

_Answer: TypeAlias = Callable[[int, int], Stimulus]

QUEUED, REQUEUED, HANDED = 0, 1, 2
LONG_POLL_SECONDS = 60.0
MAX_POLLERS = 1_000
RETRY_SECONDS = 1.0
"""How long to wait before giving a task back again, when the database refused it."""


class Poller:
    """One GetActivityTask that waits. ``answer``: (token, input)."""

    __slots__ = ("answer", "worker_name")

    def __init__(self, worker_name: str | None) -> None:
        self.worker_name = worker_name
        self.answer: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()


class Activities:
    def __init__(
        self, database: Database, arns: Arns, runner: Runner, long_poll_seconds: float = LONG_POLL_SECONDS
    ) -> None:
        self._database = database
        self._arns = arns
        self._runner = runner
        self._long_poll = long_poll_seconds
        self._query = database.query
        self._query_one = database.query_one
        self._pollers: dict[str, deque[Poller]] = {}
        self._scheduled: dict[str, list[tuple[Execution, TaskCall]]] = {}  # by the batch that is being written
        self._next_seq = 1

    def open(self) -> None:
        """What was being handed over when the process ended is handed to the next poller."""
        self._database.writer.execute("UPDATE activity_task SET state = ? WHERE state = ?", (REQUEUED, HANDED))
        ((last,),) = self._query("SELECT coalesce(max(seq), 0) FROM activity_task")
        self._next_seq = last + 1

    # ------------------------------------------------------------------------------------------ activities

    async def create(self, request: t.CreateActivityInput) -> t.CreateActivityOutput:
        """Idempotent: an activity that is there is answered as it is."""
        check_name(request.name)
        check_encryption(request.encryption_configuration)
        tags = tag_rows(request.tags)
        arn = self._arns.activity(request.name)
        there = self._database.read("SELECT created FROM activity WHERE name = ?", (request.name,))
        if there:
            return t.CreateActivityOutput(activity_arn=arn, creation_date=there[0][0])

        def write(batch: Batch) -> t.CreateActivityOutput:
            batch.execute(
                "INSERT OR IGNORE INTO activity (name, created) VALUES (?, ?)", (request.name, self._runner.now())
            )
            batch.executemany("INSERT OR REPLACE INTO tag VALUES (?, ?, ?)", [(arn, *row) for row in tags])
            ((created,),) = batch.execute("SELECT created FROM activity WHERE name = ?", (request.name,)).fetchall()
            return t.CreateActivityOutput(activity_arn=arn, creation_date=created)

        return await self._database.write(write)

    def _find(self, arn: str) -> tuple[str, float]:
        """(name, creation date). Raises InvalidArn, ActivityDoesNotExist."""
        name = parse(arn, "activity").name
        rows = self._database.read("SELECT created FROM activity WHERE name = ?", (name,))
        if not rows or arn != self._arns.activity(name):
            raise ActivityDoesNotExist(f"Activity Does Not Exist: '{arn}'")
        return name, rows[0][0]

    def describe(self, request: t.DescribeActivityInput) -> t.DescribeActivityOutput:
        name, created = self._find(request.activity_arn)
        return t.DescribeActivityOutput(
            activity_arn=request.activity_arn,
            name=name,
            creation_date=created,
            encryption_configuration=t.EncryptionConfiguration(type="AWS_OWNED_KEY"),
        )

    async def delete(self, request: t.DeleteActivityInput) -> t.DeleteActivityOutput:
        """Delete an activity; one that is not there is no error. Tasks that wait at it stay for one of the same name."""
        name = parse(request.activity_arn, "activity").name

        def write(batch: Batch) -> t.DeleteActivityOutput:
            batch.execute("DELETE FROM activity WHERE name = ?", (name,))
            batch.execute("DELETE FROM tag WHERE arn = ?", (request.activity_arn,))
            return t.DeleteActivityOutput()

        return await self._database.write(write)

    def listed(self, request: t.ListActivitiesInput) -> t.ListActivitiesOutput:
        limit, after = page_of(request.max_results, request.next_token, str)
        rows = self._database.read(
            "SELECT name, created FROM activity WHERE name > ? ORDER BY name LIMIT ?", (after or "", limit + 1)
        )
        return t.ListActivitiesOutput(
            activities=[
                t.ActivityListItem(activity_arn=self._arns.activity(name), name=name, creation_date=created)
                for name, created in rows[:limit]
            ],
            next_token=page_token(rows[limit - 1][0]) if len(rows) > limit else None,
        )

    # ------------------------------------------------------------------------------------------ scheduling

    def schedule(self, _batch: Batch, execution: Execution, call: TaskCall) -> None:
        """A step wants a task done; ``match`` finds it a poller, or a place in the queue, at the end of the batch."""
        self._scheduled.setdefault(call.resource.arn, []).append((execution, call))

    def match(self, batch: Batch) -> None:
        """At the end of every batch: give what it scheduled to the pollers that wait, and queue the rest."""
        while self._scheduled:
            arn, tasks = self._scheduled.popitem()
            for execution, call in tasks:
                live = self._runner.live.get(execution.id)
                frame = live.frames.get(call.frame) if live is not None else None
                if frame is None or frame.task is None or frame.task.nonce != parse_task_token(call.token)[3]:
                    continue  # over before the batch was, as by a StopExecution; or scheduled by one that was given up
                poller = self._next_poller(arn)
                row = (execution.id, call.frame, call.scheduled_event, arn)
                state = QUEUED if poller is None else HANDED
                batch.execute(
                    "INSERT OR REPLACE INTO activity_task VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, state, self._seq(), self._runner.payloads.kept(batch, call.arguments), call.token),
                )
                if poller is not None:
                    self._hand(batch, poller, arn, row[0], row[1], row[2], call.token, call.arguments)
                else:
                    batch.after_commit(partial(self._offer, arn))

    def _offer(self, arn: str) -> None:
        """Tasks have been queued; pollers that came while they were being written do not know."""
        if self._pollers.get(arn):
            self._forget_failure(self._database.submit(lambda batch: self._serve(batch, arn)))

    def _seq(self) -> int:
        self._next_seq += 1
        return self._next_seq

    def _next_poller(self, arn: str) -> Poller | None:
        pollers = self._pollers.get(arn)
        while pollers:
            poller = pollers.popleft()
            if not poller.answer.done():
                return poller
        self._pollers.pop(arn, None)
        return None

    def _hand(
        self, batch: Batch, poller: Poller, arn: str, execution: int, frame: int, event: int, token: str, text: str
    ) -> None:
        """Start the task for this poller; it has its answer when that is on disk."""
        self._runner.take(batch, execution, TaskStarted(frame, event, poller.worker_name))

        def answer() -> None:
            if poller.answer.done():
                self.undelivered(token)
            else:
                poller.answer.set_result((token, text))

        batch.after_commit(answer)
        batch.after_rollback(lambda: self._pollers.setdefault(arn, deque()).appendleft(poller))

    def withdraw(self, batch: Batch, execution_id: int, frame: int) -> None:
        """Nobody waits for the task any more."""
        batch.execute("DELETE FROM activity_task WHERE execution = ? AND frame = ?", (execution_id, frame))

    # ------------------------------------------------------------------------------------------ polling

    async def poll(self, request: t.GetActivityTaskInput) -> t.GetActivityTaskOutput:
        """GetActivityTask: the next task, or an empty answer after the long poll's time."""
        arn = request.activity_arn
        self._find(arn)
        pollers = self._pollers.setdefault(arn, deque())
        if len(pollers) >= MAX_POLLERS:
            raise ActivityWorkerLimitExceeded(f"Activity '{arn}' has {MAX_POLLERS} workers waiting already")
        poller = Poller(request.worker_name)
        pollers.append(poller)
        try:
            if self._queued(arn):
                await self._database.submit(lambda batch: self._serve(batch, arn))
            await asyncio.wait((poller.answer,), timeout=self._long_poll)
            if not poller.answer.done():
                return t.GetActivityTaskOutput()
            token, text = poller.answer.result()
        except BaseException:
            if poller.answer.done() and not poller.answer.cancelled():
                self.undelivered(poller.answer.result()[0])
            raise
        finally:
            poller.answer.cancel()
            with contextlib.suppress(KeyError, ValueError):
                self._pollers[arn].remove(poller)
        return t.GetActivityTaskOutput(task_token=token, input=text)

    def _queued(self, arn: str) -> bool:
        sql = "SELECT 1 FROM activity_task WHERE activity = ? AND state < 2 LIMIT 1"
        return bool(self._query(sql, (arn,)))

    def _serve(self, batch: Batch, arn: str) -> None:
        """Give queued tasks to the pollers that wait, oldest first on both sides."""
        while self._pollers.get(arn):
            row = batch.execute(
                "SELECT execution, frame, event, state, input, token FROM activity_task "
                "WHERE activity = ? AND state < 2 ORDER BY seq LIMIT 1",
                (arn,),
            ).fetchone()
            if row is None:
                return
            execution, frame, event, _, text, token = row
            poller = self._next_poller(arn)
            if poller is None:
                return
            batch.execute("UPDATE activity_task SET state = 2 WHERE execution = ? AND frame = ?", (execution, frame))
            self._hand(batch, poller, arn, execution, frame, event, token, self._runner.payloads.text(text))

    def delivered(self, token: str) -> None:
        """The poller has been sent this task."""
        execution, frame, event, _ = parse_task_token(token)

        def write(batch: Batch) -> None:
            batch.execute(
                "DELETE FROM activity_task WHERE execution = ? AND frame = ? AND event = ? AND state = 2",
                (execution, frame, event),
            )

        self._forget_failure(self._database.submit(write))

    def undelivered(self, token: str) -> None:
        """The poller went away before it had this task: the next one gets it."""
        execution, frame, event, _ = parse_task_token(token)

        def write(batch: Batch) -> None:
            row = batch.execute(
                "UPDATE activity_task SET state = 1 WHERE execution = ? AND frame = ? AND event = ? RETURNING activity",
                (execution, frame, event),
            ).fetchone()
            if row is not None:
                self._serve(batch, row[0])

        def settled(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and isinstance(done.exception(), DatabaseUnavailable) and not self._database.closed:
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self.undelivered, token)

        self._database.submit(write).add_done_callback(settled)

    @staticmethod
    def _forget_failure(future: asyncio.Future[None]) -> None:
        """Nobody is told of it, so nothing is lost: at the next start the task is requeued."""
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def about(self, token: str) -> tuple[str, int] | None:
        """The state that a task is of, and which attempt at it this is; None if it is waited for no longer."""
        try:
            execution, frame_id, event, _ = parse_task_token(token)
            live = self._runner.live.get(execution)
        except (InvalidToken, DatabaseUnavailable):
            return None
        frame = live.frames.get(frame_id) if live is not None else None
        if frame is None or frame.task is None or frame.task.scheduled_event != event:
            return None
        return frame.state, frame.retry_count + 1

    # ------------------------------------------------------------------------------------------ answers

    async def succeed(self, request: t.SendTaskSuccessInput) -> t.SendTaskSuccessOutput:
        parse_task_token(request.task_token)
        try:
            msgspec.json.decode(request.output)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            raise InvalidOutput(f"Invalid Output: '{find_fault(request.output) or error}'") from None
        await self._answer(request.task_token, lambda frame, event: TaskSucceeded(frame, event, request.output))
        return t.SendTaskSuccessOutput()

    async def fail(self, request: t.SendTaskFailureInput) -> t.SendTaskFailureOutput:
        await self._answer(
            request.task_token, lambda frame, event: TaskFailed(frame, event, request.error, request.cause)
        )
        return t.SendTaskFailureOutput()

    async def heartbeat(self, request: t.SendTaskHeartbeatInput) -> t.SendTaskHeartbeatOutput:
        await self._answer(request.task_token, TaskHeartbeat)
        return t.SendTaskHeartbeatOutput()

    async def _answer(self, token: str, stimulus: _Answer) -> None:
        """Raises InvalidToken, TaskTimedOut."""
        execution_id, frame_id, event, nonce = parse_task_token(token)

        def write(batch: Batch) -> None:
            live = self._runner.live.get(execution_id)
            frame = live.frames.get(frame_id) if live is not None else None
            if (
                frame is None
                or frame.phase is not Phase.TASK
                or frame.task is None
                or frame.task.scheduled_event != event
            ):
                if live is None and not self._ever(batch, execution_id):
                    raise InvalidToken("Invalid Token: 'Invalid token'")
                raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
            if frame.task.nonce != nonce:
                raise InvalidToken("Invalid Token: 'Invalid token'")
            activity = frame.task.activity
            answer = stimulus(frame_id, event)
            if activity is not None and not isinstance(answer, TaskHeartbeat):
                batch.execute("DELETE FROM activity_task WHERE execution = ? AND frame = ?", (execution_id, frame_id))
            self._runner.take(batch, execution_id, answer)

        await self._database.submit(write)

    @staticmethod
    def _ever(batch: Batch, execution_id: int) -> bool:
        return bool(batch.execute("SELECT 1 FROM execution WHERE id = ?", (execution_id,)).fetchall())

    # ------------------------------------------------------------------------------------------ the end

    def close(self) -> None:
        """Let every poller go with an empty answer."""
        for pollers in self._pollers.values():
            for poller in pollers:
                if not poller.answer.done():
                    poller.answer.set_exception(DatabaseUnavailable("the server is stopping"))
                    poller.answer.exception()
        self._pollers.clear()
