"""The composition root: from settings to a running service. The one module that knows every part.

A part that is chosen by a setting (the store, what executes) is chosen here, and nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import apsw

from workflow_manager.api.app import create_api
from workflow_manager.api.logging import configure_logging
from workflow_manager.api.server import Server, run
from workflow_manager.api.settings import ApiSettings
from workflow_manager.clock import SystemClock
from workflow_manager.database import Database, DataFolderInUse
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.settings import Settings
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.wire import create_wire
from workflow_manager.store import Store
from workflow_manager.store.memory import MemoryStore
from workflow_manager.store.sqlite import SqliteStore

DATABASE = "workflow-manager.db"
"""The file's name in the data folder."""


class CannotServe(Exception):
    """The service cannot be put together; the message is one sentence that says why and what to do."""


def run_server(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``started`` is told the address once requests are answered. Raises CannotServe."""

    async def main() -> None:
        async with service(settings) as running:
            started(running.server.url)
            await running.server.serve_until_signal()

    configure_logging(level=getattr(logging, settings.log_level.upper()), style=settings.log_format)
    run(main())


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: its server, and the parts that tests look into."""

    server: Server
    manager: WorkflowManager
    stepfunctions: EmbeddedStepFunctions
    database: Database


@contextlib.asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Run the service that the settings describe. Raises CannotServe."""
    if settings.backend != "embedded":
        raise CannotServe(f"the backend {settings.backend!r} is not available in this version; use embedded")
    async with contextlib.AsyncExitStack() as stack:
        database = _open(settings)
        stack.push_async_callback(database.close)
        clock = SystemClock()
        arns = Arns(region=settings.region, account=settings.account_id)
        engine = EmbeddedStepFunctions(database, arns=arns, clock=clock)
        store: Store = MemoryStore() if settings.store == "memory" else SqliteStore(database)
        manager = WorkflowManager(
            store,
            engine,
            settings=ManagerSettings(
                region=settings.region,
                account_id=settings.account_id,
                role_arn=settings.role_arn or f"arn:aws:iam::{settings.account_id}:role/workflow-manager",
                environment=settings.environment,
            ),
            changes=engine,
            clock=clock,
        )
        await engine.start()
        stack.push_async_callback(engine.close)
        await manager.start()
        stack.push_async_callback(manager.stop)
        api_settings = ApiSettings(
            body_limit_bytes=settings.body_limit_bytes,
            request_seconds=settings.request_seconds,
            head_seconds=settings.head_seconds,
            body_seconds=settings.body_seconds,
            write_seconds=settings.write_seconds,
            keep_alive_seconds=settings.keep_alive_seconds,
            shutdown_seconds=settings.shutdown_seconds,
        )
        wire = create_wire(engine, max_body=settings.body_limit_bytes, body_timeout=settings.body_seconds)
        server = Server(
            create_api(manager, settings=api_settings),
            wire,
            host=settings.host,
            port=settings.port,
            settings=api_settings,
        )
        try:
            await server.start()
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror or error}); choose another with --port"
            ) from None
        stack.push_async_callback(server.stop)
        yield Service(server, manager, engine, database)


def _open(settings: Settings) -> Database:
    try:
        return Database(settings.data / DATABASE)
    except DataFolderInUse as error:
        raise CannotServe(str(error)) from None
    except (OSError, apsw.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotServe(
            f"the data folder {settings.data} cannot be used: {reason}; choose another with --data"
        ) from None
