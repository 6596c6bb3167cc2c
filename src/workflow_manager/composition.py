"""The composition root: from settings to a running service. The one module that knows every part.

A part that is chosen by a setting (the store, what executes) is chosen here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from workflow_manager.api.app import create_api
from workflow_manager.api.logging import configure_logging
from workflow_manager.api.passthrough import Passthrough
from workflow_manager.api.server import Server, run
from workflow_manager.api.settings import ApiSettings
from workflow_manager.clock import SystemClock
from workflow_manager.database import Database, DataFolderInUse
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.engine.draft import Limits
from workflow_manager.engine.integrations import Integration
from workflow_manager.engine.mocks import InvalidMocks, Mocks, parse_mocks
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.settings import Settings, SettingsError, reason
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.wire import create_wire
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from workflow_manager.engine.cloudwatch import CloudWatchLogs

MARGIN_BYTES = 1 << 20
"""Beside a payload, in the largest request of the Step Functions API."""
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
    async with AsyncExitStack() as stack:
        if settings.store == "memory":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wfm-")))
        else:
            folder = settings.data
        database = _open(folder)
        stack.push_async_callback(database.close)
        store: Store = MemoryStore() if settings.store == "memory" else SqliteStore(database)
        stack.push_async_callback(store.close)

        logs = _cloudwatch_logs(settings) if settings.cloudwatch_logs == "on" else None
        if logs is not None:
            stack.push_async_callback(logs.close)
        engine = EmbeddedStepFunctions(
            database,
            arns=Arns(region=settings.region, account=settings.account_id),
            clock=SystemClock(),
            integrations=_integrations(settings, stack),
            mocks=_mocks(settings.mock_config),
            max_invocations=settings.max_invocations,
            limits=Limits(payload_bytes=settings.max_payload_bytes, history_events=settings.max_history_events),
            log_destination=logs,
        )
        manager = WorkflowManager(store, engine, settings=manager_settings(settings), changes=engine)
        await manager.start()  # before the engine: what it tells when nobody listens is gone
        stack.push_async_callback(manager.stop)
        await engine.start()
        stack.push_async_callback(engine.close)

        others = Passthrough(settings.aws_passthrough) if settings.aws_passthrough else None
        if others is not None:
            stack.push_async_callback(others.close)
        limits = api_settings(settings)
        server = Server(
            create_api(manager, settings=limits),
            create_wire(
                engine,
                # a payload is JSON within JSON: each of its quotes takes two characters
                max_body=max(limits.body_limit_bytes, 2 * settings.max_payload_bytes + MARGIN_BYTES),
                body_timeout=limits.body_seconds,
                max_payload=settings.max_payload_bytes,
            ),
            others,
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
        yield Service(server, manager, engine, database)


def _integrations(settings: Settings, stack: AsyncExitStack) -> Mapping[str, Integration]:
    """What carries out Tasks of other services. botocore is imported only where something asks for it.

    Raises SettingsError.
    """
    endpoints = any(name.startswith("AWS_ENDPOINT_URL") and value for name, value in os.environ.items())
    aws = "off" if settings.aws_integrations == "auto" and not endpoints else settings.aws_integrations
    if aws == "off" and not (settings.lambda_functions or settings.lambda_endpoint or settings.http_connections):
        return {}
    from workflow_manager.integrations.choice import IntegrationSettings, UnusableIntegrations, choose

    try:
        return choose(
            IntegrationSettings(
                aws=aws,
                region=settings.region,
                account=settings.account_id,
                functions=settings.lambda_functions,
                lambda_endpoint=settings.lambda_endpoint,
                connections=settings.http_connections,
                calls=settings.max_invocations,
            ),
            stack,
        )
    except UnusableIntegrations as error:
        raise SettingsError(str(error)) from None


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


def _cloudwatch_logs(settings: Settings) -> CloudWatchLogs:
    """Raises SettingsError."""
    import boto3  # takes a third of a second, which only those pay who want it
    from botocore.exceptions import BotoCoreError

    from workflow_manager.engine.cloudwatch import CloudWatchLogs

    try:
        return CloudWatchLogs(boto3.client("logs", region_name=settings.region))
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"cloudwatch_logs is on, but no client can be made: {error}") from None


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
