"""The composition root: from settings to a running service. The one module that knows every part.

A part that is chosen by a setting (the store, what executes) is chosen here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw
from botocore.exceptions import BotoCoreError

from workflow_manager.api.app import create_api
from workflow_manager.api.logging import configure_logging
from workflow_manager.api.server import Server, run
from workflow_manager.api.settings import ApiSettings
from workflow_manager.aws import Aws, configured
from workflow_manager.clock import SystemClock
from workflow_manager.database import Database, DataFolderInUse
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.metrics import Metrics
from workflow_manager.settings import Settings, SettingsError, reason
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.aws import AwsStepFunctions
from workflow_manager.stepfunctions.awslogs import AwsLogGroups
from workflow_manager.stepfunctions.changes import ExecutionChanges
from workflow_manager.stepfunctions.elsewhere import elsewhere
from workflow_manager.stepfunctions.loggroups import LogGroups
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.stepfunctions.wire import create_wire
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore

DATABASE = "workflow-manager.db"
"""The file in the data folder."""


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
        await running.server.serve_until_signal()


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: its server, and the parts that tests look into. Without SQLite there is no database."""

    server: Server
    manager: WorkflowManager
    stepfunctions: StepFunctions
    store: Store
    database: Database | None


async def nothing_to_start() -> None:
    """Start a backend that runs elsewhere."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What executes state machines, and what comes with it: ``wire`` is what answers ``POST /``.

    ``start`` is called once somebody listens to ``changes``.
    """

    stepfunctions: StepFunctions
    settings: ManagerSettings
    wire: Callable[..., Awaitable[None]]
    changes: ExecutionChanges | None = None
    log_groups: LogGroups | None = None
    start: Callable[[], Awaitable[None]] = nothing_to_start


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Run the service that the settings describe; what was begun is finished or on disk when it is left.

    With the memory store nothing outlives it: the engine's database is a temporary one.
    Raises CannotServe, SettingsError.
    """
    metrics = Metrics()
    aws = configured(settings) if settings.backend == "aws" else None  # before anything is made
    async with AsyncExitStack() as stack:
        database = None
        if settings.store == "sqlite" or settings.backend == "embedded":
            database = _open(_folder(settings, stack))
            stack.push_async_callback(database.close)
        store = _store(settings, database)
        stack.push_async_callback(store.close)
        if aws is not None:
            backend = _aws(settings, aws, metrics, stack)
        else:
            assert database is not None
            backend = _embedded(settings, database, stack)
        manager = WorkflowManager(
            store,
            backend.stepfunctions,
            settings=backend.settings,
            changes=backend.changes,
            log_groups=backend.log_groups,
        )
        await manager.start()  # before the backend: what it tells when nobody listens is gone
        stack.push_async_callback(manager.stop)
        await backend.start()

        limits = api_settings(settings)
        server = Server(
            create_api(manager, settings=limits, metrics=metrics),
            backend.wire,
            host=settings.host,
            port=settings.port,
            settings=limits,
        )
        try:
            await server.start()
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {settings.host}:{settings.port} ({reason(error)}); "
                "choose another address with --host and --port"
            ) from None
        stack.push_async_callback(server.stop)
        yield Service(server, manager, backend.stepfunctions, store, database)


def _store(settings: Settings, database: Database | None) -> Store:
    """The store that the settings name."""
    if settings.store == "memory":
        return MemoryStore()
    assert database is not None
    return SqliteStore(database)


def _embedded(settings: Settings, database: Database, stack: AsyncExitStack) -> Backend:
    """The engine in this process, and its API on the wire."""
    ours = manager_settings(settings)
    arns = Arns(region=ours.region, account=ours.account_id)
    engine = EmbeddedStepFunctions(database, arns=arns, clock=SystemClock())

    async def start() -> None:
        await engine.start()
        stack.push_async_callback(engine.close)

    wire = create_wire(engine, max_body=settings.body_limit_bytes, body_timeout=settings.body_seconds)
    return Backend(stepfunctions=engine, settings=ours, wire=wire, changes=engine, start=start)


def _aws(settings: Settings, aws: Aws, metrics: Metrics, stack: AsyncExitStack) -> Backend:
    """AWS Step Functions. Raises SettingsError."""
    try:
        stepfunctions = AwsStepFunctions(
            session=aws.session,
            endpoint_url=settings.aws_endpoint_url or None,
            threads=settings.aws_threads,
            queue=settings.aws_queue,
            counted=metrics.calls("stepfunctions"),
        )
    except (BotoCoreError, ValueError) as error:  # botocore's, of an address or a configuration file
        raise SettingsError(f"AWS's configuration cannot be used: {error}") from None
    stack.push_async_callback(stepfunctions.close)
    ours = ManagerSettings(
        region=aws.region,
        account_id=aws.account_id,
        partition=aws.partition,
        role_arn=aws.role_arn,
        environment=settings.environment,
        history_seconds=settings.history_seconds,
        keep_jobs=True,  # AWS forgets a history 90 days after its end, and takes seconds to tell a long one
    )
    log_groups = None
    if settings.execution_logs == "all":
        log_groups = AwsLogGroups(aws.session, counted=metrics.calls("logs"))
        stack.push_async_callback(log_groups.close)
    return Backend(stepfunctions=stepfunctions, settings=ours, wire=elsewhere, log_groups=log_groups)


def manager_settings(settings: Settings) -> ManagerSettings:
    """Of a service on the embedded engine."""
    account = settings.account_id or "000000000000"
    return ManagerSettings(
        region=settings.region or "us-east-1",
        account_id=account,
        role_arn=settings.role_arn or f"arn:aws:iam::{account}:role/workflow-manager",
        environment=settings.environment,
        history_seconds=settings.history_seconds,
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


def _folder(settings: Settings, stack: AsyncExitStack) -> Path:
    if settings.store == "memory":
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wfm-")))
    return settings.data


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
