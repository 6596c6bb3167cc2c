"""The engine ends every program as a plain sequential interpreter does, on the same path, however often it is reopened."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import reference_interpreter as reference
from embedded_world import World, running
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from programs import ACTIVITY, programs

from workflow_manager.clock import VirtualClock
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent

MOST = 4
"""Executions that a run starts."""


class Comparison(RuleBasedStateMachine):
    """Executions under way in one engine, each with what the interpreter made of the same program."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.stack = AsyncExitStack()
        self.started: list[tuple[str, dict[str, Any], int]] = []
        self.world: World
        self.runner.run(self.open())
        self.runner.run(self.world.activity("work"))

    async def open(self) -> None:
        file = Path(self.folder.name) / "e.db"
        self.world = await self.stack.enter_async_context(running(file, self.clock, long_poll_seconds=0.001))

    @precondition(lambda self: len(self.started) < MOST)
    @rule(program=programs(), number=st.integers(-2, 3))
    def start(self, program: dict[str, Any], number: int) -> None:
        name = f"e{len(self.started)}"
        self.started.append((self.runner.run(self.begin(program, number, name)), program, number))

    async def begin(self, program: dict[str, Any], number: int, name: str) -> str:
        machine = t.CreateStateMachineInput(
            name=name, definition=json.dumps(program), role_arn="arn:aws:iam::000000000000:role/r"
        )
        arn = (await self.world.api.create_state_machine(machine)).state_machine_arn
        return await self.world.start(arn, name, json.dumps({"n": number}))

    @rule()
    def work(self) -> None:
        self.runner.run(self.do_a_task())

    async def do_a_task(self) -> bool:
        await self.world.settled()
        task = await self.world.poll(ACTIVITY)
        if task.task_token is None:
            return False
        try:
            result = reference.worker(json.loads(task.input or "null"))
        except reference.Failed as failure:
            await self.world.fail(task.task_token, failure.error, failure.cause)
        else:
            await self.world.succeed(task.task_token, json.dumps(result))
        return True

    @rule()
    def time_passes(self) -> None:
        self.runner.run(self.pass_time())

    async def pass_time(self) -> None:
        await self.world.settled()
        due = self.clock.next_deadline()
        if due is not None:
            self.clock.advance(max(0.0, due - self.clock.now()))
            await self.world.settled()

    @rule()
    def restart(self) -> None:
        self.runner.run(self.reopen())

    async def reopen(self) -> None:
        await self.stack.aclose()
        await self.open()

    def teardown(self) -> None:
        try:
            self.runner.run(self.finish())
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    async def finish(self) -> None:
        for arn, program, number in self.started:
            for _ in range(1_000):
                described = await self.world.describe(arn)
                if described.status != "RUNNING":
                    break
                if not await self.do_a_task():
                    await self.pass_time()
            compare(described, await self.world.history(arn), program, number)


def compare(
    ended: t.DescribeExecutionOutput, history: list[HistoryEvent], program: dict[str, Any], number: int
) -> None:
    path: list[str] = []
    try:
        expected: tuple[Any, ...] = (
            "SUCCEEDED",
            None,
            None,
            reference.run(program, {"n": number}, reference.Scope(), path),
        )
    except reference.Failed as failure:
        expected = ("FAILED", failure.error, failure.cause, None)
    assert (ended.status, ended.error, ended.cause, json.loads(ended.output or "null")) == expected
    entered = [event.details["name"] for event in history if event.type.endswith("StateEntered") and event.details]
    ours, theirs = on_root(entered), on_root(path)
    assert ours == theirs
    if not any(
        event.type in ("ParallelStateFailed", "MapIterationFailed", "TaskFailed", "ActivityFailed") for event in history
    ):
        assert Counter(entered) == Counter(path)  # a failure ends its siblings wherever they are
    assert [event.id for event in history] == list(range(1, len(history) + 1))
    assert all(event.previous_event_id < event.id for event in history)
    assert history[0].type == "ExecutionStarted"
    assert history[-1].type == {"SUCCEEDED": "ExecutionSucceeded", "FAILED": "ExecutionFailed"}[ended.status]


def on_root(names: list[str]) -> list[str]:
    """Those of the outermost sequence of states, whose order is the same whatever runs at the same time."""
    return [name for name in names if "." not in name]


TestComparison = Comparison.TestCase
TestComparison.settings = settings(
    max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
