"""A process that does the tasks of an application: ``app.run_worker()``, and ``wfm worker --app module:app``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_manager.sdk.app import App
from workflow_manager.sdk.errors import CannotOpen, DefinitionsRefused
from workflow_manager.sdk.work import FunctionTeam
from workflow_manager.worker.health import CannotListen
from workflow_manager.worker.limits import MAX_WORKER_NAME
from workflow_manager.worker.metrics import WorkerMetrics
from workflow_manager.worker.process import STDERR, default_worker_name, listening, make_logger, run_with_signals
from workflow_manager.worker.service import ActivityService, Refused
from workflow_manager.worker.settings import GRACE_SECONDS
from workflow_manager.worker.sfn import connect


class CannotImport(Exception):
    """There is no application at the place that was named; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionWorkerSettings:
    """A worker for the functions of an application, against a Step Functions endpoint; see WorkerSettings for the fields.

    ``max_tasks``, ``timeout_seconds`` and ``memory_mb`` are for functions that say nothing else; ``only`` names the functions to
    serve, all if it is empty.
    """

    namespace: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    worker_name: str | None = None
    max_tasks: int | None = None
    only: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    memory_mb: int | None = None
    grace_seconds: float = GRACE_SECONDS
    health_host: str = "127.0.0.1"
    health_port: int | None = None


def find_app(place: str) -> App:
    """The App at ``module:name``; modules are looked for in the current folder, too. Raises CannotImport."""
    module, colon, path = place.partition(":")
    if not (colon and module and path):
        raise CannotImport(f"an application is named as module:app, not {place!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except Exception as error:  # noqa: BLE001 - importing runs whatever is in the module
        raise CannotImport(f"{place} cannot be imported: {type(error).__name__}: {error}") from None
    if not isinstance(found, App):
        raise CannotImport(f"{place} is {type(found).__name__}, not an App")
    return found


def run_function_worker(app: App, settings: FunctionWorkerSettings) -> int:
    """Do tasks of the application's functions until SIGTERM or SIGINT, and answer the exit code, as ``run_worker`` does.

    Definitions are not looked at: whoever starts workflows has them. Must be called in the main thread.
    """
    log = make_logger(json=not os.isatty(STDERR)).bind(app=app.name)
    name = settings.worker_name or default_worker_name()
    unknown = [each for each in settings.only if each not in app.tasks]
    functions = [each for each in app.tasks.values() if not settings.only or each.name in settings.only]
    if unknown:
        return _cannot_begin(app, f"it has no task {unknown[0]!r}; it has {', '.join(app.tasks) or 'none'}")
    if not functions:
        return _cannot_begin(app, "it has no task; register functions with @app.task")
    if len(name) > MAX_WORKER_NAME:
        return _cannot_begin(app, f"the worker's name has {len(name)} characters, and may have {MAX_WORKER_NAME}")

    def service_of(activity: str, polls: int) -> ActivityService:
        return connect(
            activity_name=activity,
            worker_name=name,
            endpoint_url=settings.endpoint_url,
            region=settings.region,
            concurrency=polls,
        )

    metrics = WorkerMetrics(len(functions))

    def team() -> FunctionTeam:
        return FunctionTeam(
            functions,
            service_of,
            namespace=settings.namespace or app.environment,
            max_tasks=settings.max_tasks or app.max_tasks,
            grace_seconds=settings.grace_seconds,
            timeout_seconds=settings.timeout_seconds,
            memory_mb=settings.memory_mb,
            log=log,
            observer=metrics,
        )

    return _run(app, team, settings, metrics, log)


def run_app_worker(app: App) -> int:
    """What ``app.run_worker()`` does: on AWS tasks only, on the embedded backend its engine runs here as well."""
    from workflow_manager.sdk.runtime import Runtime

    try:
        settings = app.settings()
        if settings.backend == "aws":
            region, endpoint = settings.region or None, settings.aws_endpoint_url or None
            if settings.aws_profile:
                os.environ["AWS_PROFILE"] = settings.aws_profile
            return run_function_worker(
                app, FunctionWorkerSettings(endpoint_url=endpoint, region=region, grace_seconds=app.grace_seconds)
            )
        runtime = Runtime(settings, app.definitions)
    except (CannotOpen, DefinitionsRefused) as error:
        return _cannot_begin(app, str(error))
    log = make_logger(json=not os.isatty(STDERR)).bind(app=app.name)
    metrics = WorkerMetrics(len(app.tasks))

    def team() -> FunctionTeam:
        return runtime.team(
            app.tasks.values(),
            max_tasks=app.max_tasks,
            grace_seconds=app.grace_seconds,
            log=log,
        )

    try:
        return _run(app, team, FunctionWorkerSettings(), metrics, log)
    finally:
        runtime.close()


def _run(
    app: App, make: Callable[[], FunctionTeam], settings: FunctionWorkerSettings, metrics: WorkerMetrics, log: Any
) -> int:
    team: FunctionTeam | None = None
    try:
        team = make()
        with listening(settings.health_host, settings.health_port, metrics, log):
            return 0 if run_with_signals(team) else 1
    except (Refused, CannotListen, CannotOpen, TypeError) as error:
        return _cannot_begin(app, str(error))
    finally:
        if team is not None:
            team.close()


def _cannot_begin(app: App, why: str) -> int:
    sys.stderr.write(f"cannot do the tasks of the application {app.name}: {why}\n")
    return 1
