"""EmbeddedStepFunctions: the Step Functions API, executed in this process and kept in one SQLite file."""

from __future__ import annotations

import asyncio
import functools
from collections import ChainMap
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, TypeVar, cast

import msgspec
import structlog

from workflow_manager.asl.support import Everything
from workflow_manager.clock import Clock, SystemClock
from workflow_manager.database import Batch, Database, DatabaseUnavailable
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.maps.map_runs import MapRuns
from workflow_manager.engine.maps.object_stores import ObjectStores
from workflow_manager.engine.mocks import Mocks, StandIn
from workflow_manager.engine.operations.executions import Executions
from workflow_manager.engine.operations.machines import Machines
from workflow_manager.engine.operations.map_run_api import MapRunApi
from workflow_manager.engine.operations.qualified import QualifiedExecutions
from workflow_manager.engine.operations.versions import Versions
from workflow_manager.engine.retention import Retention
from workflow_manager.engine.shell.express import Express
from workflow_manager.engine.shell.logs import Destination
from workflow_manager.engine.shell.rows import MachineNames
from workflow_manager.engine.shell.runner import Runner
from workflow_manager.engine.shell.schema import SCHEMA
from workflow_manager.engine.tasks.activities import Activities
from workflow_manager.engine.tasks.calls import MAX_INVOCATIONS, NATIVE, Calls
from workflow_manager.engine.tasks.integrations import Integration, Offered
from workflow_manager.engine.tasks.own_api import SERVICE, OwnApi
from workflow_manager.engine.teststate import Invocations, StateTester
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.changes import Listener, StatusChange
from workflow_manager.stepfunctions.errors import ServiceUnavailable, UnknownOperationException

S = TypeVar("S")
Q = TypeVar("Q")
R = TypeVar("R")

OUTBOX_PAGE = 500
RETRY_SECONDS = 1.0
"""How long to wait before trying again what the database refused."""

logger = structlog.get_logger(__name__)


def _answered(method: Callable[[S, Q], Coroutine[Any, Any, R]]) -> Callable[[S, Q], Coroutine[Any, Any, R]]:
    """A database that cannot be used is ServiceUnavailable to callers."""

    @functools.wraps(method)
    async def answer(self: S, request: Q, /) -> R:
        try:
            return await method(self, request)
        except DatabaseUnavailable as error:
            raise ServiceUnavailable(str(error)) from None

    return answer


def _lacking(operation: str) -> UnknownOperationException:
    return UnknownOperationException(f"{operation} is not supported by the embedded engine")


class EmbeddedStepFunctions:
    """A StepFunctions and its ExecutionChanges, over a Database. ``start`` before use, ``close`` after.

    ``integrations`` carry out Tasks of further services (tasks/integrations.py), ``max_invocations`` at once. ``mocks`` are what
    Tasks answer in test cases, and ``stand_in`` answers them in every execution (mocks.py); with either of them every definition
    is accepted, since anything may be mocked.
    ``objects`` are what distributed Maps read and write (maps/object_stores.py). ``limits`` are AWS's by default.
    ``log_destination``: where execution logs go besides the structured log (shell/logs.py).
    """

    def __init__(
        self,
        database: Database,
        *,
        arns: Arns | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
        integrations: Mapping[str, Integration] | None = None,
        mocks: Mocks | None = None,
        stand_in: StandIn | None = None,
        max_invocations: int = MAX_INVOCATIONS,
        objects: ObjectStores | None = None,
        long_poll_seconds: float = 60.0,
        log_destination: Destination | None = None,
        retention_days: float = 0,
    ) -> None:
        arns = arns or Arns()
        clock = clock or SystemClock()
        database.migrate(SCHEMA)
        self._database = database
        self._clock = clock
        names = MachineNames(database, arns)
        self._runner = Runner(database, names, clock, limits or Limits(), arns.region)
        self._runner.log_destination = log_destination
        own: dict[str, Integration] = {SERVICE: OwnApi(self)}
        integrations = ChainMap(own, cast("dict[str, Integration]", integrations or {}))
        services: Collection[str] = (
            Everything() if mocks is not None or stand_in is not None else Offered(NATIVE, integrations)
        )
        self._machines = Machines(database, arns, self._runner, services)
        self._versions = Versions(database, arns, self._runner, self._machines)
        self._machines.publish = self._versions.publish_in
        self._express = Express(self._runner)
        self._map_runs = MapRuns(database, arns, self._runner, objects or ObjectStores())
        self._executions = Executions(
            database, arns, self._runner, self._machines, self._versions, self._express, self._map_runs.rows, mocks
        )
        self._map_run_api = MapRunApi(database, self._map_runs, self._executions)
        self._activities = Activities(database, arns, self._runner, long_poll_seconds)
        self._calls = Calls(
            database,
            arns,
            self._runner,
            self._versions,
            self._activities,
            integrations,
            self._express,
            mocks,
            max_invocations,
        )
        self._calls.start = self._executions.start
        self._calls.stand_in = stand_in
        self._retention = Retention(database, clock, self._runner, days=retention_days) if retention_days else None
        self._listeners: list[Listener] = []
        self._background: list[asyncio.Task[None]] = []
        self._qualified = QualifiedExecutions(database, arns, self._machines, self._versions, self._executions)
        self._tester = StateTester(arns, limits or Limits(), clock.now, Invocations(integrations).invoke)
        database.before_commit(self._activities.match)

    async def start(self) -> None:
        """Take up what was left when the process last ended."""
        self._runner.open()
        self._activities.open()
        self._calls.open()
        self._map_runs.open()
        self._background = [asyncio.create_task(self._timers()), asyncio.create_task(self._outbox())]
        if self._retention is not None:
            self._background.append(asyncio.create_task(self._retention.forget_for_ever()))

    async def close(self) -> None:
        """Stop; what runs goes on after the next start."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._express.close()
        await self._calls.close()
        await self._map_runs.close()
        self._activities.close()

    # ------------------------------------------------------------------------------------------ background

    async def _timers(self) -> None:
        runner = self._runner
        while True:
            runner.timer_set.clear()
            if runner.next_due is None or runner.next_due > self._clock.now():
                await self._clock.wait(runner.next_due, runner.timer_set)
                continue
            try:
                await self._database.submit(runner.fire_timers)
            except DatabaseUnavailable as error:
                logger.warning("timers could not be taken; trying again", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("a timer failed unexpectedly")
                await asyncio.sleep(RETRY_SECONDS)

    async def _outbox(self) -> None:
        """Deliver status changes in order; each is forgotten when the listeners have dealt with it."""
        runner = self._runner
        while True:
            runner.outbox_filled.clear()
            try:
                if not await self._deliver():
                    await runner.outbox_filled.wait()
            except DatabaseUnavailable as error:
                logger.warning("status changes could not be delivered; trying again", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                logger.exception("a listener failed; its status changes are delivered again")
                await asyncio.sleep(RETRY_SECONDS)

    async def _deliver(self) -> bool:
        if not self._listeners:
            return False  # what was not dealt with before a restart waits for who subscribes
        rows = self._database.read("SELECT seq, body FROM outbox ORDER BY seq LIMIT ?", (OUTBOX_PAGE,))
        if not rows:
            return False
        changes = [msgspec.msgpack.decode(body, type=StatusChange) for _, body in rows]
        for listener in self._listeners:
            await listener(changes)
        last = rows[-1][0]

        def forget(batch: Batch) -> None:
            batch.execute("DELETE FROM outbox WHERE seq <= ?", (last,))

        await self._database.submit(forget)
        return True

    # ------------------------------------------------------------------------------------------ changes

    def subscribe(self, listener: Listener, /) -> None:
        self._listeners.append(listener)
        self._runner.outbox_wanted = True
        self._runner.outbox_filled.set()

    async def changed(self, execution_arn: str, last_event_id: int, timeout_seconds: float, /) -> None:
        try:
            last = self._executions.last_event_id(execution_arn)
        except DatabaseUnavailable as error:
            raise ServiceUnavailable(str(error)) from None
        if last <= last_event_id:
            await self._runner.changed(execution_arn, timeout_seconds)

    # ------------------------------------------------------------------------------------------ hooks of the wire

    def delivered(self, task_token: str) -> None:
        """The answer of a GetActivityTask has been sent."""
        self._activities.delivered(task_token)

    def undelivered(self, task_token: str) -> None:
        """The answer of a GetActivityTask could not be sent."""
        self._activities.undelivered(task_token)

    def about(self, task_token: str) -> tuple[str, int] | None:
        """The state that a task is of, and which attempt at it this is."""
        return self._activities.about(task_token)

    @_answered
    async def encoded_history(self, request: t.GetExecutionHistoryInput, /) -> bytes:
        """GetExecutionHistory, as the wire spells its answer."""
        return self._executions.encoded_history(request)

    # ------------------------------------------------------------------------------------------ the API

    @_answered
    async def create_state_machine(self, request: t.CreateStateMachineInput, /) -> t.CreateStateMachineOutput:
        return await self._machines.create(request)

    @_answered
    async def update_state_machine(self, request: t.UpdateStateMachineInput, /) -> t.UpdateStateMachineOutput:
        return await self._machines.update(request)

    @_answered
    async def delete_state_machine(self, request: t.DeleteStateMachineInput, /) -> t.DeleteStateMachineOutput:
        return await self._machines.delete(request)

    @_answered
    async def describe_state_machine(self, request: t.DescribeStateMachineInput, /) -> t.DescribeStateMachineOutput:
        described = self._versions.describe(request)
        if request.included_data == "METADATA_ONLY":
            described.definition = "{}"
        return described

    @_answered
    async def describe_state_machine_for_execution(
        self, request: t.DescribeStateMachineForExecutionInput, /
    ) -> t.DescribeStateMachineForExecutionOutput:
        described = self._executions.describe_machine(request)
        if request.included_data == "METADATA_ONLY":
            described.definition = "{}"
        return described

    @_answered
    async def list_state_machines(self, request: t.ListStateMachinesInput, /) -> t.ListStateMachinesOutput:
        return self._machines.listed(request)

    @_answered
    async def validate_state_machine_definition(
        self, request: t.ValidateStateMachineDefinitionInput, /
    ) -> t.ValidateStateMachineDefinitionOutput:
        return self._machines.validate(request)

    @_answered
    async def tag_resource(self, request: t.TagResourceInput, /) -> t.TagResourceOutput:
        return await self._machines.tag(request)

    @_answered
    async def untag_resource(self, request: t.UntagResourceInput, /) -> t.UntagResourceOutput:
        return await self._machines.untag(request)

    @_answered
    async def list_tags_for_resource(self, request: t.ListTagsForResourceInput, /) -> t.ListTagsForResourceOutput:
        return self._machines.tags(request)

    @_answered
    async def start_execution(self, request: t.StartExecutionInput, /) -> t.StartExecutionOutput:
        return await self._executions.start(request)

    @_answered
    async def stop_execution(self, request: t.StopExecutionInput, /) -> t.StopExecutionOutput:
        return await self._executions.stop(request)

    @_answered
    async def describe_execution(self, request: t.DescribeExecutionInput, /) -> t.DescribeExecutionOutput:
        return self._executions.describe(request)

    @_answered
    async def list_executions(self, request: t.ListExecutionsInput, /) -> t.ListExecutionsOutput:
        return self._qualified.listed(request)

    @_answered
    async def get_execution_history(self, request: t.GetExecutionHistoryInput, /) -> t.GetExecutionHistoryOutput:
        return self._executions.history(request)

    @_answered
    async def create_activity(self, request: t.CreateActivityInput, /) -> t.CreateActivityOutput:
        return await self._activities.create(request)

    @_answered
    async def describe_activity(self, request: t.DescribeActivityInput, /) -> t.DescribeActivityOutput:
        return self._activities.describe(request)

    @_answered
    async def delete_activity(self, request: t.DeleteActivityInput, /) -> t.DeleteActivityOutput:
        return await self._activities.delete(request)

    @_answered
    async def list_activities(self, request: t.ListActivitiesInput, /) -> t.ListActivitiesOutput:
        return self._activities.listed(request)

    @_answered
    async def get_activity_task(self, request: t.GetActivityTaskInput, /) -> t.GetActivityTaskOutput:
        return await self._activities.poll(request)

    @_answered
    async def send_task_success(self, request: t.SendTaskSuccessInput, /) -> t.SendTaskSuccessOutput:
        return await self._activities.succeed(request)

    @_answered
    async def send_task_failure(self, request: t.SendTaskFailureInput, /) -> t.SendTaskFailureOutput:
        return await self._activities.fail(request)

    @_answered
    async def send_task_heartbeat(self, request: t.SendTaskHeartbeatInput, /) -> t.SendTaskHeartbeatOutput:
        return await self._activities.heartbeat(request)

    @_answered
    async def create_state_machine_alias(
        self, request: t.CreateStateMachineAliasInput, /
    ) -> t.CreateStateMachineAliasOutput:
        return await self._versions.create_alias(request)

    @_answered
    async def delete_state_machine_alias(
        self, request: t.DeleteStateMachineAliasInput, /
    ) -> t.DeleteStateMachineAliasOutput:
        return await self._versions.delete_alias(request)

    @_answered
    async def delete_state_machine_version(
        self, request: t.DeleteStateMachineVersionInput, /
    ) -> t.DeleteStateMachineVersionOutput:
        return await self._versions.delete(request)

    @_answered
    async def describe_map_run(self, request: t.DescribeMapRunInput, /) -> t.DescribeMapRunOutput:
        return self._map_run_api.describe(request)

    @_answered
    async def describe_state_machine_alias(
        self, request: t.DescribeStateMachineAliasInput, /
    ) -> t.DescribeStateMachineAliasOutput:
        return self._versions.describe_alias(request)

    @_answered
    async def list_map_runs(self, request: t.ListMapRunsInput, /) -> t.ListMapRunsOutput:
        return self._map_run_api.listed(request)

    @_answered
    async def list_state_machine_aliases(
        self, request: t.ListStateMachineAliasesInput, /
    ) -> t.ListStateMachineAliasesOutput:
        return self._versions.aliases(request)

    @_answered
    async def list_state_machine_versions(
        self, request: t.ListStateMachineVersionsInput, /
    ) -> t.ListStateMachineVersionsOutput:
        return self._versions.listed(request)

    @_answered
    async def publish_state_machine_version(
        self, request: t.PublishStateMachineVersionInput, /
    ) -> t.PublishStateMachineVersionOutput:
        return await self._versions.publish(request)

    @_answered
    async def redrive_execution(self, request: t.RedriveExecutionInput, /) -> t.RedriveExecutionOutput:
        return await self._executions.redrive(request)

    @_answered
    async def start_sync_execution(self, request: t.StartSyncExecutionInput, /) -> t.StartSyncExecutionOutput:
        return await self._executions.start_sync(request)

    @_answered
    async def test_state(self, request: t.TestStateInput, /) -> t.TestStateOutput:
        return await self._tester.test(request)

    @_answered
    async def update_map_run(self, request: t.UpdateMapRunInput, /) -> t.UpdateMapRunOutput:
        return await self._map_run_api.update(request)

    @_answered
    async def update_state_machine_alias(
        self, request: t.UpdateStateMachineAliasInput, /
    ) -> t.UpdateStateMachineAliasOutput:
        return await self._versions.update_alias(request)
