"""The embedded engine on a file, with a clock that tests move, and the calls that tests make most."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.protocol import StepFunctions

ROLE = "arn:aws:iam::000000000000:role/r"
ARN = "arn:aws:states:us-east-1:000000000000"
TRACKED = [t.Tag(key="application", value="workflow-manager")]
START = "arn:aws:states:::states:startExecution"

PASS: dict[str, Any] = {"P": {"Type": "Pass", "End": True}}
WAIT: dict[str, Any] = {"W": {"Type": "Wait", "Seconds": 60, "End": True}}


def task(resource: str, **fields: Any) -> dict[str, Any]:
    """A Task that ends its machine, unless it has a Next."""
    return {"Type": "Task", "Resource": resource, **({} if "Next" in fields else {"End": True}), **fields}


class World:
    """An engine on a file. ``api`` is what requests go to: the engine, or a client of the engine behind the wire."""

    def __init__(self, file: Path, clock: VirtualClock, **options: Any) -> None:
        self.clock = clock
        flush_delay = options.pop("flush_delay_seconds", 0.0)
        self.database = Database(file, synchronous="OFF", flush_delay_seconds=flush_delay)  # no power fails in a test
        self.engine = EmbeddedStepFunctions(self.database, clock=clock, **({"long_poll_seconds": 0.05} | options))
        self.api: StepFunctions = self.engine

    async def activity(self, name: str = "a") -> str:
        return (await self.api.create_activity(t.CreateActivityInput(name=name))).activity_arn

    async def machine(self, states: dict[str, Any], name: str = "m", **fields: Any) -> str:
        """Save a machine that starts at the first of its states."""
        definition = {"StartAt": next(iter(states)), "States": states} | fields.pop("top", {})
        made = await self.api.create_state_machine(
            t.CreateStateMachineInput(name=name, definition=json.dumps(definition), role_arn=ROLE, **fields)
        )
        return made.state_machine_arn

    async def start(self, machine: str, name: str = "e", value: str = "{}") -> str:
        request = t.StartExecutionInput(state_machine_arn=machine, name=name, input=value)
        return (await self.api.start_execution(request)).execution_arn

    async def stop(self, arn: str, error: str | None = None, cause: str | None = None) -> t.StopExecutionOutput:
        return await self.api.stop_execution(t.StopExecutionInput(execution_arn=arn, error=error, cause=cause))

    async def describe(self, arn: str) -> t.DescribeExecutionOutput:
        return await self.api.describe_execution(t.DescribeExecutionInput(execution_arn=arn))

    async def history(self, arn: str) -> list[HistoryEvent]:
        request = t.GetExecutionHistoryInput(execution_arn=arn, max_results=1_000)
        return (await self.api.get_execution_history(request)).events

    async def types(self, arn: str) -> list[str]:
        return [event.type for event in await self.history(arn)]

    async def poll(self, activity: str) -> t.GetActivityTaskOutput:
        return await self.api.get_activity_task(t.GetActivityTaskInput(activity_arn=activity, worker_name="w"))

    def polling(self, activity: str) -> asyncio.Task[t.GetActivityTaskOutput]:
        """A poll that goes on by itself, in a world whose long polls are long."""
        return asyncio.create_task(self.poll(activity))

    async def succeed(self, token: str | None, output: str = "{}") -> None:
        await self.api.send_task_success(t.SendTaskSuccessInput(task_token=str(token), output=output))

    async def fail(self, token: str | None, error: str = "E", cause: str | None = None) -> None:
        request = t.SendTaskFailureInput(task_token=str(token), error=error, cause=cause)
        await self.api.send_task_failure(request)

    async def beat(self, token: str | None) -> None:
        await self.api.send_task_heartbeat(t.SendTaskHeartbeatInput(task_token=str(token)))

    async def ended(self, arn: str) -> t.DescribeExecutionOutput:
        """Wait until timers that are due have been taken."""
        for _ in range(400):
            described = await self.describe(arn)
            if described.status != "RUNNING":
                return described
            await asyncio.sleep(0.005)
        raise AssertionError(await self.types(arn))

    async def settled(self) -> None:
        """Wait until everything that can happen at this time has happened."""
        for _ in range(400):
            await asyncio.sleep(0.001)
            ((due,),) = self.database.read("SELECT count(*) FROM timer WHERE due <= ?", (self.clock.now(),))
            if not due and not self.database._queue and self.database._committing is None:
                return
        raise AssertionError("timers that are due are not taken")

    def rows(self, table: str) -> int:
        """How many rows a table has on disk."""
        ((count,),) = self.database.read(f"SELECT count(*) FROM {table}")
        return int(count)

    @contextmanager
    def full_disk(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Every COMMIT fails meanwhile."""

        def full() -> None:
            raise apsw.FullError("database or disk is full")

        with monkeypatch.context() as trouble:
            trouble.setattr(self.database, "_commit", full)
            yield


@asynccontextmanager
async def running(file: Path, clock: VirtualClock, **options: Any) -> AsyncIterator[World]:
    world = World(file, clock, **options)
    await world.engine.start()
    try:
        yield world
    finally:
        await world.engine.close()
        await world.database.close()
