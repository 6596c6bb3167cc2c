"""The composition root: settings in, a running service out. The one place that knows every part.

    Database <- EmbeddedStepFunctions <- WorkflowManager -> Store
                        |                      |
                      wire                    api      -> Server, one port for both
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from workflow_manager.settings import Settings, SettingsError, reason

DATABASE = "workflow-manager.db"


class CannotServe(Exception):
    """The server cannot start: its address is taken, its data folder is in use or unusable. The message is one sentence."""


def run_server(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. ``started`` is told the address once requests are answered.

    Raises CannotServe, SettingsError.
    """
    from workflow_manager.api.logging import configure_logging
    from workflow_manager.api.server import run

    if settings.backend == "aws":
        raise SettingsError("the backend 'aws' is not available yet; use --backend embedded, the default")
    configure_logging(level=getattr(logging, settings.log_level.upper()), format=settings.log_format)
    run(_serve(settings, started))


async def _serve(settings: Settings, started: Callable[[str], None]) -> None:
    async with service(settings) as server:
        started(server.url)
        await server.serve_until_signal()
