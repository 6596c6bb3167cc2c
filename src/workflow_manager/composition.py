"""The composition root: from settings to a running service. The one module that knows every part.

A part that is chosen by a setting (the store, what executes) is chosen here, and nowhere else. Parts that call AWS are imported
where they are chosen: boto3 takes time and 10 MB, which a server that calls nobody does without.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import structlog

from workflow_manager.api.app import create_api
from workflow_manager.api.logging import configure_logging
from workflow_manager.api.passthrough import Passthrough
from workflow_manager.api.server import Server, run
from workflow_manager.api.settings import ApiSettings
from workflow_manager.clock import SystemClock
from workflow_manager.database import Database, DataFolderInUse, DataFolderOfAnotherVersion
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.maps.object_stores import S3, ObjectsFailed, ObjectStores
from workflow_manager.engine.mocks import InvalidMocks, Mocks, parse_mocks
from workflow_manager.engine.tasks.integrations import Integration
from workflow_manager.garbage import look_seldom
from workflow_manager.manager import ManagerSettings, SweepSettings, WorkflowManager
from workflow_manager.metrics import Metrics
from workflow_manager.model.errors import StorageUnavailable
from workflow_manager.settings import Settings, SettingsError, reason
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.changes import ExecutionChanges
from workflow_manager.stepfunctions.elsewhere import elsewhere
from workflow_manager.stepfunctions.loggroups import LogGroups
from workflow_manager.stepfunctions.protocol import StepFunctions
from workflow_manager.stepfunctions.wire import create_wire
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore
from workflow_manager.tracing import CannotTrace, tracing

if TYPE_CHECKING:
    import boto3

    from workflow_manager.aws import Aws
    from workflow_manager.engine.shell.cloudwatch import CloudWatchLogs
    from workflow_manager.stepfunctions.queue import Deliver, StatusQueue
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
        look_seldom()
        # told once the signals are heard: who is told may send one at once
        asyncio.get_running_loop().call_soon(started, running.server.url)
        by = partial(exit_within, settings.shutdown_seconds + CLOSING_SECONDS)
        await running.server.serve_until_signal(heard=by)


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
    aws = _configured(settings) if settings.backend == "aws" else None  # before anything is made
    traces = _tracing(settings)
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.callback(traces.close)
        running = await _parts(settings, aws, metrics, traces, stack)
        manager, backend, session = running.manager, running.backend, running.session

        others = Passthrough(settings.aws_passthrough) if settings.aws_passthrough else None
        if others is not None:
            stack.push_async_callback(others.close)
        limits = api_settings(settings)
        api = create_api(manager, settings=limits, metrics=metrics)
        if settings.status_queue_url:
            queue = await _status_queue(settings, manager, session(), traces, api.closing)
            stack.push_async_callback(queue.stop, within_seconds=LAST_MESSAGES_SECONDS)
            metrics.status_messages(queue.counts)
        server = Server(
            api,
            backend.wire,
            others,
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
        yield Service(server, manager, backend.stepfunctions, running.store, running.database)


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs behind a server, or within an application that needs none."""

    manager: WorkflowManager
    backend: Backend
    store: Store
    database: Database | None
    session: Callable[[], boto3.Session]
    """What every client is made from, once the first is needed. Raises SettingsError."""


@asynccontextmanager
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """Run everything that the settings describe but the server. Raises CannotServe, SettingsError."""
    aws = _configured(settings) if settings.backend == "aws" else None
    async with AsyncExitStack() as stack:
        yield await _parts(settings, aws, Metrics(), None, stack)


async def _parts(
    settings: Settings, aws: Aws | None, metrics: Metrics, traces: Tracing | None, stack: AsyncExitStack
) -> Parts:
    """Start the parts; the stack ends them."""
    database = None
    if settings.store == "sqlite" or settings.backend == "embedded":
        database = _open(_folder(settings, stack))
        stack.push_async_callback(database.close)

    @cache
    def session() -> boto3.Session:
        session = _new_session(settings) if aws is None else aws.session
        if traces is not None:
            traces.instrument(session)
        return session

    store = await _store(settings, database, session, metrics)
    stack.push_async_callback(store.close)
    if aws is not None:
        backend = _aws(settings, aws, session(), metrics, stack)
    else:
        assert database is not None
        backend = _embedded(settings, database, stack)
    manager = _manager(settings, store, backend)
    await manager.start()  # before the backend: what it tells when nobody listens is gone
    stack.push_async_callback(manager.stop)
    await backend.start()
    return Parts(manager, backend, store, database, session)


def _manager(settings: Settings, store: Store, backend: Backend) -> WorkflowManager:
    return WorkflowManager(
        store,
        backend.stepfunctions,
        settings=backend.settings,
        changes=backend.changes,
        log_groups=backend.log_groups,
        sweep=SweepSettings(after_seconds=settings.sweep_after_seconds, per_second=settings.sweep_per_second),
        retention_days=0 if settings.store == "dynamodb" else settings.retention_days,  # there, items expire
    )


def _embedded(settings: Settings, database: Database, stack: AsyncExitStack) -> Backend:
    """The engine in this process, and its API on the wire. Raises SettingsError."""
    ours = manager_settings(settings)
    logs = _cloudwatch_logs(settings, ours)
    if logs is not None:
        stack.push_async_callback(logs.close)
    engine = EmbeddedStepFunctions(
        database,
        arns=Arns(region=ours.region, account=ours.account_id),
        clock=SystemClock(),
        integrations=_integrations(settings, ours, stack),
        mocks=_mocks(settings.mock_config),
        max_invocations=settings.max_invocations,
        limits=Limits(payload_bytes=settings.max_payload_bytes, history_events=settings.max_history_events),
        log_destination=logs,
        objects=_objects(settings, ours),
        retention_days=settings.retention_days,
    )

    async def start() -> None:
        await engine.start()
        stack.push_async_callback(engine.close)

    wire = create_wire(
        engine,
        # a payload is JSON within JSON: each of its quotes takes two characters
        max_body=max(settings.body_limit_bytes, 2 * settings.max_payload_bytes + MARGIN_BYTES),
        body_timeout=settings.body_seconds,
        max_payload=settings.max_payload_bytes,
    )
    return Backend(stepfunctions=engine, settings=ours, wire=wire, changes=engine, start=start)


def _aws_integrations(settings: Settings) -> str:
    """The setting; off where it is auto and there is no endpoint that would turn a service on."""
    endpoints = any(name.startswith("AWS_ENDPOINT_URL") and value for name, value in os.environ.items())
    return "off" if settings.aws_integrations == "auto" and not endpoints else settings.aws_integrations


def _integrations(settings: Settings, ours: ManagerSettings, stack: AsyncExitStack) -> Mapping[str, Integration]:
    """What carries out Tasks of other services on the embedded engine.

    Raises SettingsError.
    """
    aws = _aws_integrations(settings)
    if aws == "off" and not (settings.lambda_functions or settings.lambda_endpoint or settings.http_connections):
        return {}
    from workflow_manager.integrations.choice import IntegrationSettings, UnusableIntegrations, choose

    try:
        return choose(
            IntegrationSettings(
                aws=aws,
                region=ours.region,
                account=ours.account_id,
                functions=settings.lambda_functions,
                lambda_endpoint=settings.lambda_endpoint,
                connections=settings.http_connections,
                calls=settings.max_invocations,
                response_bytes=4 * settings.max_payload_bytes,  # JSON loses its spaces
            ),
            stack,
        )
    except UnusableIntegrations as error:
        raise SettingsError(str(error)) from None


def _objects(settings: Settings, ours: ManagerSettings) -> ObjectStores:
    """Where distributed Maps read and write: S3 only where Tasks may call it, too, and then as they do."""
    endpoint = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    on = settings.aws_integrations == "on" or (settings.aws_integrations == "auto" and endpoint)

    def client() -> Any:
        from workflow_manager.integrations.aws import Aws as Services
        from workflow_manager.integrations.refusals import Unreachable

        try:
            return Services(ours.region).client("s3")
        except Unreachable as unreachable:
            raise ObjectsFailed(f"S3 cannot be asked: {unreachable.message}") from None

    return ObjectStores(Path(settings.map_files) if settings.map_files else None, S3(client) if on else None)


def _mocks(file: str) -> Mocks | None:
    """The mock configuration in a file; None without one. Raises SettingsError."""
    if not file:
        return None
    try:
        return parse_mocks(Path(file).read_bytes())
    except OSError as error:
        raise SettingsError(f"mock_config: {file} cannot be read ({reason(error)})") from None
    except InvalidMocks as error:
        raise SettingsError(f"mock_config: {file}: {error}") from None


def _tracing(settings: Settings) -> Tracing | None:
    """What traces, if that is wanted. Raises CannotServe."""
    try:
        return tracing(settings.otel_endpoint, os.environ)
    except CannotTrace as error:
        raise CannotServe(str(error)) from None


def _configured(settings: Settings) -> Aws:
    from workflow_manager.aws import configured

    return configured(settings)


def _new_session(settings: Settings) -> boto3.Session:
    from workflow_manager.aws import new_session

    return new_session(settings)


def _aws(settings: Settings, aws: Aws, session: boto3.Session, metrics: Metrics, stack: AsyncExitStack) -> Backend:
    """AWS Step Functions. Raises SettingsError."""
    from botocore.exceptions import BotoCoreError

    from workflow_manager.stepfunctions.aws import AwsStepFunctions
    from workflow_manager.stepfunctions.awslogs import AwsLogGroups

    try:
        stepfunctions = AwsStepFunctions(
            session=session,
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
        log_groups = AwsLogGroups(session, counted=metrics.calls("logs"))
        stack.push_async_callback(log_groups.close)
    return Backend(stepfunctions=stepfunctions, settings=ours, wire=elsewhere, log_groups=log_groups)


@asynccontextmanager
async def delivery(settings: Settings) -> AsyncIterator[Deliver]:
    """What writes status changes that were told elsewhere, without a server: for a function in AWS Lambda.

    Raises SettingsError, CannotServe.
    """
    if settings.backend != "aws":
        raise SettingsError("a function needs WFM_BACKEND=aws: the embedded engine runs in a server only")
    aws, metrics, traces = _configured(settings), Metrics(), _tracing(settings)
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.callback(traces.close)
            traces.instrument(aws.session)
        store = await _store(settings, None, lambda: aws.session, metrics)
        stack.push_async_callback(store.close)
        write = _manager(settings, store, _aws(settings, aws, aws.session, metrics, stack)).apply_status_changes
        yield write if traces is None else traces.delivering(write, sent=True)


async def _status_queue(
    settings: Settings,
    manager: WorkflowManager,
    session: boto3.Session,
    traces: Tracing | None,
    stopping: asyncio.Event,
) -> StatusQueue:
    """What brings the status changes of executions on AWS, started. A poll ends within the time that requests have to end.

    Raises CannotServe.
    """
    from workflow_manager.stepfunctions.queue import LONGEST_POLL_SECONDS, QueueSettings, QueueUnusable, StatusQueue

    try:
        queue = StatusQueue(
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
        await queue.start()
    except QueueUnusable as error:
        raise CannotServe(f"{error}; name another one with --status-queue-url") from None
    return queue


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


def _cloudwatch_logs(settings: Settings, ours: ManagerSettings) -> CloudWatchLogs | None:
    """Where the engine's execution logs go besides the server's own. Raises SettingsError."""
    if settings.cloudwatch_logs == "off" or (
        settings.cloudwatch_logs == "auto" and _aws_integrations(settings) == "off"
    ):
        return None
    from botocore.exceptions import BotoCoreError

    from workflow_manager.engine.shell.cloudwatch import CloudWatchLogs

    if settings.cloudwatch_logs == "auto":
        from workflow_manager.integrations.aws import Aws as Services
        from workflow_manager.integrations.refusals import Unreachable

        services = Services(ours.region, on=settings.aws_integrations == "on")
        try:
            return CloudWatchLogs(services.client("logs")) if services.may_call("logs") else None
        except Unreachable:  # Tasks hear of it when they call
            return None
    try:
        return CloudWatchLogs(_new_session(settings).client("logs", region_name=ours.region))
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"cloudwatch_logs is on, but no client can be made: {error}") from None


async def _store(
    settings: Settings, database: Database | None, session: Callable[[], boto3.Session], metrics: Metrics
) -> Store:
    """The store that the settings name. Raises CannotServe, SettingsError."""
    if settings.store == "memory":
        return MemoryStore()
    if settings.store == "dynamodb":
        return await _dynamodb(settings, session(), metrics)
    if database is None:
        raise SettingsError("the store sqlite is a file of a server's; a function needs WFM_STORE=dynamodb")
    return SqliteStore(database)


async def _dynamodb(settings: Settings, session: boto3.Session, metrics: Metrics) -> Store:
    """Raises CannotServe if DynamoDB cannot be used or its tables are not there."""
    from workflow_manager.store.dynamodb import DynamoStore
    from workflow_manager.store.dynamodb_tables import check_tables

    try:
        calls = dynamodb_calls(settings, session, metrics)
        try:
            await check_tables(calls, settings.dynamodb_prefix)
        except BaseException:
            await calls.close()
            raise
    except StorageUnavailable as error:
        raise CannotServe(error.message) from None
    return DynamoStore(calls, prefix=settings.dynamodb_prefix, ttl_days=settings.dynamodb_ttl_days)


def dynamodb_calls(
    settings: Settings, session: boto3.Session | None = None, metrics: Metrics | None = None
) -> DynamoCalls:
    """Calls to DynamoDB as the settings, and wherever they are empty AWS's own variables and files, say.

    Raises StorageUnavailable, SettingsError.
    """
    from workflow_manager.store.dynamodb_calls import DynamoCalls

    return DynamoCalls(
        session=session or _new_session(settings),
        endpoint_url=settings.dynamodb_endpoint_url or None,
        threads=settings.dynamodb_threads,
        counted=None if metrics is None else metrics.calls("dynamodb"),
    )


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
    except (DataFolderInUse, DataFolderOfAnotherVersion) as error:
        raise CannotServe(str(error)) from None
    except (OSError, apsw.Error) as error:
        raise CannotServe(
            f"the data folder {folder} cannot be used ({reason(error)}); choose another one with --data"
        ) from None
