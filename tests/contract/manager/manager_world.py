"""What the tests of this folder act on: a WorkflowManager, what it stands on, and a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from pairs import Pair

from workflow_manager.clock import VirtualClock
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow, WorkflowDefinition
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.errors import StepFunctionsError
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.store import Store

SETTINGS = ManagerSettings(environment="test")
ARNS = Arns(SETTINGS.partition, SETTINGS.region, SETTINGS.account_id)

ECHO: dict[str, Any] = {
    "Version": "1.0",
    "StartAt": "echo",
    "TimeoutSeconds": 60,
    "States": {"echo": {"Type": "Task", "Resource": "echo", "End": True}},
}
DONE: dict[str, Any] = {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}}
WAITING: dict[str, Any] = {"StartAt": "wait", "States": {"wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAILING: dict[str, Any] = {"StartAt": "fail", "States": {"fail": {"Type": "Fail", "Error": "E", "Cause": "why"}}}


class Unreliable:
    """A StepFunctions with some operations that fail: each error that is set is raised once, then things work again.

    ``calls`` has the names of the operations that were called; what is in ``before`` is done before an operation, and what is
    in ``instead`` in its place.
    """

    def __init__(self, inner: StepFunctions) -> None:
        self.inner = inner
        self.errors: dict[str, list[StepFunctionsError]] = {}
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        self.instead: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Callable[[Any], Awaitable[Any]]:
        async def call(request: Any) -> Any:
            self.calls.append(operation)
            if before := self.before.get(operation):
                await before()
            if errors := self.errors.get(operation):
                raise errors.pop(0)
            if instead := self.instead.get(operation):
                return await instead(request)
            return await getattr(self.inner, operation)(request)

        return call


@dataclass
class World:
    """What the tests act on."""

    manager: WorkflowManager
    store: Store
    stepfunctions: Unreliable
    engine: EmbeddedStepFunctions
    clock: VirtualClock
    backend: StepFunctions
    """What carries out executions: asked directly, and by workers."""
    told_nothing: bool
    """Whether a test wants to be told of changes by a backend that tells of none."""

    async def define(self, machine: dict[str, Any], name: str = "d", **fields: Any) -> WorkflowDefinition:
        return await self.manager.create_definition(NewWorkflowDefinition(name=name, state_machine=machine, **fields))

    async def run(self, machine: dict[str, Any] | None = None, **fields: Any) -> Workflow:
        """Start a workflow of the definition ``d``, saved first if its machine is given."""
        if machine is not None:
            await self.define(machine)
        return await self.manager.start_workflow(NewWorkflow(**{"definition_name": "d", "namespace": "ns", **fields}))

    async def ended(self, workflow: Workflow) -> Workflow:
        """Wait for the workflow to end."""
        async with asyncio.timeout(30):
            async for item in self.manager.follow(workflow.id):
                if isinstance(item, Workflow):
                    workflow = item
        return workflow

    async def finished(self, machine: dict[str, Any] | None = None, **fields: Any) -> Workflow:
        return await self.ended(await self.run(machine, **fields))

    async def task(self, activity: str = "ns--echo", worker: str = "worker") -> tuple[str, Any]:
        """Take the next task of an activity: its token and its input."""
        async with asyncio.timeout(30):
            answer = await self.backend.get_activity_task(
                t.GetActivityTaskInput(activity_arn=ARNS.activity(activity), worker_name=worker)
            )
        assert answer.task_token is not None
        assert answer.input is not None
        return answer.task_token, msgspec.json.decode(answer.input)

    async def succeed(self, activity: str = "ns--echo", output: str | None = None) -> Any:
        """Do the next task of an activity by answering its input, or the given output; answer what was answered."""
        token, given = await self.task(activity)
        text = msgspec.json.encode(given).decode() if output is None else output
        await self.backend.send_task_success(t.SendTaskSuccessInput(task_token=token, output=text))
        return given

    async def fail(self, activity: str = "ns--echo", error: str = "E", cause: str = "why") -> None:
        token, _ = await self.task(activity)
        await self.backend.send_task_failure(t.SendTaskFailureInput(task_token=token, error=error, cause=cause))

    async def stored(self, workflow: Workflow, *, until: Callable[[Workflow], bool]) -> Workflow:
        """The workflow as it is in the store, once status changes have made it so: nothing here reads it anew."""
        if self.told_nothing:
            raise LookupError("the backend tells of no changes")
        async with asyncio.timeout(30):
            while not until(found := await self.store.workflow(workflow.id)):  # noqa: ASYNC110 - a store tells nobody
                await asyncio.sleep(0.001)
        return found


LONG_SECONDS = 10


async def briefly(seconds: float) -> None:
    """Waiting, as far as these tests go: pauses between looks are short, and what comes now and then comes once."""
    if seconds > LONG_SECONDS:
        await asyncio.Event().wait()
    await asyncio.sleep(0.001)


@asynccontextmanager
async def a_world(
    pair: Pair, engine: EmbeddedStepFunctions, clock: VirtualClock, *, told: bool
) -> AsyncIterator[World]:
    store, stepfunctions = pair.store, Unreliable(pair.stepfunctions)
    changes = engine if told and pair.tells else None
    manager = WorkflowManager(store, stepfunctions, settings=SETTINGS, changes=changes, clock=clock, sleep=briefly)
    await manager.start()
    yield World(manager, store, stepfunctions, engine, clock, pair.backend or engine, told and not pair.tells)
    await manager.stop()
