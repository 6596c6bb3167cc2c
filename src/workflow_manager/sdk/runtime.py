"""An application that is open: its backend on a loop in the background, and the workers that do its tasks."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any

from workflow_manager.composition import CannotServe, Parts, parts
from workflow_manager.definition_files import DefinitionDocument
from workflow_manager.sdk.activity import InProcessActivity
from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.sdk.definitions import save
from workflow_manager.sdk.errors import CannotOpen
from workflow_manager.sdk.functions import TaskFunction
from workflow_manager.sdk.work import FunctionTeam, ServiceOf
from workflow_manager.settings import Settings, SettingsError
from workflow_manager.worker.process import default_worker_name
from workflow_manager.worker.service import ActivityService, Refused
from workflow_manager.worker.sfn import connect


class Runtime:
    """Opened by its making: raises CannotOpen, DefinitionsRefused. ``close`` when done with it."""

    def __init__(self, settings: Settings, documents: Sequence[DefinitionDocument]) -> None:
        self.background = BackgroundLoop("wfm-engine")
        self._settings = settings
        self._stack = AsyncExitStack()
        self._team: FunctionTeam | None = None
        self._working: threading.Thread | None = None
        try:
            self.parts = self._open()
            self.background.call(save(self.parts.manager, documents))
        except BaseException:
            self.close()
            raise

    def team(
        self, functions: Collection[TaskFunction], *, max_tasks: int, grace_seconds: float, log: Any
    ) -> FunctionTeam:
        """The workers of the functions, not begun yet."""
        return FunctionTeam(
            functions,
            self._service_of(),
            namespace=self._settings.environment,
            max_tasks=max_tasks,
            grace_seconds=grace_seconds,
            log=log,
        )

    def work(self, team: FunctionTeam, log: Any) -> None:
        """Have the workers do tasks in the background until this is closed."""

        def run() -> None:
            try:
                team.run_until_stopped()
            except Refused as error:
                log.error("the tasks of this application cannot be done", reason=str(error))  # noqa: TRY400 - a sentence

        self._team = team
        self._working = threading.Thread(target=run, name="wfm-worker", daemon=True)
        self._working.start()

    def close(self) -> None:
        """Let tasks in hand finish, within their grace; then end the backend. What runs goes on when it is opened again."""
        if self._team is not None and self._working is not None:
            self._team.signal(signal.SIGTERM)
            self._working.join()
            self._team.close()
        with contextlib.suppress(RuntimeError):  # a loop that is closed already
            self.background.call(self._stack.aclose())
        self.background.close()

    def _open(self) -> Parts:
        try:
            return self.background.call(self._stack.enter_async_context(parts(self._settings)))
        except (CannotServe, SettingsError) as error:
            raise CannotOpen(str(error)) from None

    def _service_of(self) -> ServiceOf:
        name = default_worker_name()
        settings, stepfunctions, background = self._settings, self.parts.backend.stepfunctions, self.background
        if settings.backend == "aws":
            return remote(settings, name)

        def in_process(activity: str, _: int) -> ActivityService:
            return InProcessActivity(stepfunctions, background, activity_name=activity, worker_name=name)

        return in_process


def remote(settings: Settings, worker_name: str) -> ServiceOf:
    """Activities at AWS, or whatever endpoint the settings name."""

    def service_of(activity: str, polls: int) -> ActivityService:
        try:
            return connect(
                activity_name=activity,
                worker_name=worker_name,
                endpoint_url=settings.aws_endpoint_url or None,
                region=settings.region or None,
                profile=settings.aws_profile or None,
                concurrency=polls,
            )
        except Refused as error:
            raise CannotOpen(f"the activity {activity} cannot be served: {error}") from None

    return service_of
