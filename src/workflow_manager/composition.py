"""The composition root: from settings to a running service. The one module that knows every part.

A part that is chosen by a setting (the store, what executes) is chosen here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import boto3
import structlog

from workflow_manager.api.app import create_api
from workflow_manager.api.logging import configure_logging
from workflow_manager.api.server import Server, run
from workflow_manager.api.settings import ApiSettings
from workflow_manager.clock import SystemClock
from workflow_manager.database import Database, DataFolderInUse
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.draft import Limits
from workflow_manager.manager import ManagerSettings, SweepSettings, WorkflowManager
from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.settings import Settings, SettingsError, reason
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.queue import (
    LONGEST_POLL_SECONDS,
    Deliver,
    QueueSettings,
    QueueUnusable,
    StatusQueue,
)
from workflow_manager.stepfunctions.wire import create_wire
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore
from workflow_manager.tracing import CannotTrace, tracing

if TYPE_CHECKING:
    from workflow_manager.engine.cloudwatch import CloudWatchLogs
    from workflow_manager.store.dynamodb_calls import DynamoCalls
    from workflow_manager.tracing.spans import Tracing

log = structlog.get_logger("workflow_manager.composition")

MARGIN_BYTES = 1 << 20
"""Beside a payload, in the largest request of the Step Functions API."""
DATABASE = "workflow-manager.db"
"""The file in the data folder."""


CLOSING_SECONDS = 5.0
"""How long, beyond ``shutdown_seconds``, what stands behind the requests may take to end."""
LAST_MESSAGES_SECONDS = 1.0
"""How long, once requests have ended, status changes that are being written may take."""


class CannotServe(Exception):
    """The address is taken, or the data folder is in use or unusable. The message is one sentence."""


def run_server(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``started`` is told the address as soon as requests are answered.

    Raises CannotServe, SettingsError.
    """
    configure_logging(level=logging.getLevelNamesMapping()[settings.log_level.upper()], style=settings.log_format)
    run(_serve(settings, started))


async def _serve(settings: Settings, started: Callable[[str], None]) -> None:
    async with service(settings) as running:
        # told once the signals are heard: who is told may send one at once
        asyncio.get_running_loop().call_soon(started, running.server.url)
        by = partial(exit_within, settings.shutdown_seconds + CLOSING_SECONDS)
        await running.server.serve_until_signal(heard=by)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: its server, and the parts that tests look into."""

    server: Server
    manager: WorkflowManager
    stepfunctions: EmbeddedStepFunctions
    database: Database


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Run the service that the settings describe; what was begun is finished or on disk when it is left.

    With the memory store nothing outlives it: the engine's database is a temporary one.
    Raises CannotServe, SettingsError.
    """
    if settings.backend == "aws":
        raise SettingsError("the backend 'aws' is not there yet; use --backend embedded, which is the default")
    try:
        traces = tracing(settings.otel_endpoint, os.environ)
    except CannotTrace as error:
        raise CannotServe(str(error)) from None
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.callback(traces.close)
        if settings.store == "memory":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wfm-")))
        else:
            folder = settings.data
        database = _open(folder)
        stack.push_async_callback(database.close)
        store = await _store(settings, database)
        stack.push_async_callback(store.close)

        logs = _cloudwatch_logs(settings) if settings.cloudwatch_logs == "on" else None
        if logs is not None:
            stack.push_async_callback(logs.close)
        engine = EmbeddedStepFunctions(
            database,
            arns=Arns(region=settings.region, account=settings.account_id),
            clock=SystemClock(),
            limits=Limits(payload_bytes=settings.max_payload_bytes, history_events=settings.max_history_events),
            log_destination=logs,
        )
        sweep = SweepSettings(after_seconds=settings.sweep_after_seconds, per_second=settings.sweep_per_second)
        manager = WorkflowManager(store, engine, settings=manager_settings(settings), changes=engine, sweep=sweep)
        await manager.start()  # before the engine: what it tells when nobody listens is gone
        stack.push_async_callback(manager.stop)
        await engine.start()
        stack.push_async_callback(engine.close)

        limits = api_settings(settings)
        api = create_api(manager, settings=limits)
        if settings.status_queue_url:
            queue = _status_queue(settings, manager, boto3.Session(region_name=settings.region), traces, api.closing)
            try:
                await queue.start()
            except QueueUnusable as error:
                raise CannotServe(f"{error}; name another one with --status-queue-url") from None
            stack.push_async_callback(queue.stop, within_seconds=LAST_MESSAGES_SECONDS)
        server = Server(
            api,
            create_wire(
                engine,
                # a payload is JSON within JSON: each of its quotes takes two characters
                max_body=max(limits.body_limit_bytes, 2 * settings.max_payload_bytes + MARGIN_BYTES),
                body_timeout=limits.body_seconds,
                max_payload=settings.max_payload_bytes,
            ),
            host=settings.host,
            port=settings.port,
            settings=limits,
            around=None if traces is None else traces.application,
        )
        try:
            await server.start()
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {settings.host}:{settings.port} ({reason(error)}); "
                "choose another address with --host and --port"
            ) from None
        stack.push_async_callback(server.stop)
        yield Service(server, manager, engine, database)


@asynccontextmanager
async def delivery(settings: Settings) -> AsyncIterator[Deliver]:
    """What writes status changes that were told elsewhere, without a server: for a function in AWS Lambda.

    Raises SettingsError, CannotServe.
    """
    if settings.backend != "aws":
        raise SettingsError("a function needs WFM_BACKEND=aws: the embedded engine runs in a server only")
    async with AsyncExitStack() as stack:
        raise SettingsError("the backend 'aws' is not there yet")
        yield stack


def _status_queue(
    settings: Settings,
    manager: WorkflowManager,
    session: boto3.Session,
    traces: Tracing | None,
    stopping: asyncio.Event,
) -> StatusQueue:
    """What brings the status changes of executions on AWS. A poll ends within the time that requests have to end."""
    if traces is not None:
        traces.instrument(session)
    return StatusQueue(
        QueueSettings(
            url=settings.status_queue_url,
            receivers=settings.status_receivers,
            poll_seconds=max(1, min(int(settings.shutdown_seconds) - 1, LONGEST_POLL_SECONDS)),
            dead_letter_url=settings.status_dead_letter_queue_url,
            most_receives=settings.status_most_receives,
        ),
        manager.apply_status_changes if traces is None else traces.delivering(manager.apply_status_changes),
        session=session,
        stopping=stopping,
    )


def exit_within(seconds: float) -> None:
    """See that the process ends, whatever hangs: a call to a service that does not answer, a thread that waits for one.

    Nothing is lost by it: what anyone was told is written, as after a kill.
    """

    def leave() -> None:
        log.warning("stopped_late", seconds=seconds, reason="something that was under way did not end; it is cut off")
        sys.stderr.flush()
        os._exit(0)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _cloudwatch_logs(settings: Settings) -> CloudWatchLogs:
    """Raises SettingsError."""
    from botocore.exceptions import BotoCoreError

    from workflow_manager.engine.cloudwatch import CloudWatchLogs

    try:
        return CloudWatchLogs(boto3.client("logs", region_name=settings.region))
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"cloudwatch_logs is on, but no client can be made: {error}") from None


async def _store(settings: Settings, database: Database) -> Store:
    """The store that the settings name. Raises CannotServe, SettingsError."""
    if settings.store == "memory":
        return MemoryStore()
    if settings.store == "dynamodb":
        return await _dynamodb(settings)
    return SqliteStore(database)


async def _dynamodb(settings: Settings) -> Store:
    """Raises CannotServe if DynamoDB cannot be used or its tables are not there."""
    from workflow_manager.store.dynamodb import DynamoStore
    from workflow_manager.store.dynamodb_tables import check_tables

    try:
        calls = dynamodb_calls(settings)
        try:
            await check_tables(calls, settings.dynamodb_prefix)
        except BaseException:
            await calls.close()
            raise
    except StorageUnavailable as error:
        raise CannotServe(error.message) from None
    return DynamoStore(calls, prefix=settings.dynamodb_prefix, ttl_days=settings.dynamodb_ttl_days)


def dynamodb_calls(settings: Settings) -> DynamoCalls:
    """Calls to DynamoDB as the settings, and wherever they are empty AWS's own variables and files, say.

    Raises StorageUnavailable.
    """
    from workflow_manager.store.dynamodb_calls import DynamoCalls  # boto3 takes a third of a second

    return DynamoCalls(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or settings.region,
        endpoint_url=settings.dynamodb_endpoint_url or None,
        threads=settings.dynamodb_threads,
    )


def manager_settings(settings: Settings) -> ManagerSettings:
    return ManagerSettings(
        region=settings.region,
        account_id=settings.account_id,
        role_arn=settings.role_arn or f"arn:aws:iam::{settings.account_id}:role/workflow-manager",
        environment=settings.environment,
    )


def api_settings(settings: Settings) -> ApiSettings:
    return ApiSettings(
        body_limit_bytes=settings.body_limit_bytes,
        request_seconds=settings.request_seconds,
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        write_seconds=settings.write_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        shutdown_seconds=settings.shutdown_seconds,
    )


def _open(folder: Path) -> Database:
    """Raises CannotServe."""
    try:
        return Database(folder / DATABASE)
    except DataFolderInUse as error:
        raise CannotServe(str(error)) from None
    except (OSError, apsw.Error) as error:
        raise CannotServe(
            f"the data folder {folder} cannot be used ({reason(error)}); choose another one with --data"
        ) from None
