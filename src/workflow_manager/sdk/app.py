"""App: workflows inside a Python application, on the embedded engine or on AWS."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from msgspec import structs

from workflow_manager.definition_files import DefinitionDocument
from workflow_manager.manager import WorkflowManager
from workflow_manager.model import NewWorkflow, Page, Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import InvalidRequest
from workflow_manager.sdk.conversion import to_json
from workflow_manager.sdk.definitions import Source, check, read
from workflow_manager.sdk.errors import CannotOpen, InvalidTaskOutput
from workflow_manager.sdk.exits import close_at_exit
from workflow_manager.sdk.functions import CONCURRENCY, RunIn, TaskFunction, task_function
from workflow_manager.sdk.handle import WorkflowHandle
from workflow_manager.sdk.logs import make_logger
from workflow_manager.settings import Settings, SettingsError, load
from workflow_manager.worker.payload import compact

if TYPE_CHECKING:
    from workflow_manager.sdk.runtime import Runtime

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

MAX_TASKS = 100
"""How many tasks one process does at once, unless it says otherwise."""
GRACE_SECONDS = 25.0
LATEST = -1
PAGE_SIZE = 100


class App:
    """Functions, the definitions that use them, and the workflows of these.

    ``environment`` is the namespace: the Resource ``reserve`` is the activity ``{environment}--reserve``. ``backend`` is
    ``embedded`` or ``aws``, ``data`` the folder of the embedded engine, ``max_tasks`` how many tasks this process does at
    once. With ``run_tasks=False`` it does none, and leaves them to other processes. ``grace_seconds`` is how long tasks may
    go on when it is told to stop. ``settings`` are those of a server, by name (docs/configuration.md), such as
    ``store="dynamodb"``; what is not given is taken from ``WFM_*`` variables and wfm.toml, as a server does.

    Nothing is opened before a workflow is started, ``open`` is called or ``with`` is entered; then everything runs on a thread
    of its own, so that methods work in scripts, in Jupyter and, by their twins named ``..._async``, in coroutines.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: str,
        backend: Literal["embedded", "aws"] | None = None,
        data: str | Path | None = None,
        max_tasks: int = MAX_TASKS,
        run_tasks: bool = True,
        grace_seconds: float = GRACE_SECONDS,
        **settings: Any,
    ) -> None:
        if not name or not environment:
            raise ValueError("an App needs a name and an environment, which is its namespace")
        if max_tasks < 1:
            raise ValueError(f"max_tasks is {max_tasks}: it must be at least 1")
        self.name = name
        self.environment = environment
        self.max_tasks = max_tasks
        self.grace_seconds = grace_seconds
        self._run_tasks = run_tasks
        self._flags = {**settings, "backend": backend, "environment": environment}
        if data is not None:
            self._flags["data"] = str(data)
        self._functions: dict[str, TaskFunction] = {}
        self._elsewhere: set[str] = set()
        self._documents: dict[str, DefinitionDocument] = {}
        self._runtime: Runtime | None = None
        self._lock = threading.RLock()
        self._log = make_logger()

    def __repr__(self) -> str:
        return f"<App {self.name!r} in {self.environment!r}>"

    # ------------------------------------------------------------------ what it is made of

    @overload
    def task(self, function: F, /) -> F: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        run_in: RunIn = "thread",
        concurrency: int = CONCURRENCY,
        timeout: float | timedelta | None = None,
        heartbeat: float | timedelta | None = None,
        memory_mb: int | None = None,
    ) -> Callable[[F], F]: ...
    def task(self, function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:  # type: ignore[misc]
        """Register a function as what the Resource of its name, or of ``name``, does. It stays an ordinary function.

        ``concurrency`` is how many of its tasks run at once in this process. A function that is not async runs in a thread,
        or with ``run_in="process"`` in a process, whose memory ``memory_mb`` limits. ``timeout`` (seconds, or a timedelta)
        is how long one may take; ``heartbeat`` how often Step Functions is told that it is at work, 20 seconds by default.
        Raises TypeError or ValueError when the function cannot be a task.
        """
        names = sys._getframe(1).f_locals  # noqa: SLF001 - types that are local to who registers the function

        def register(registered: F) -> F:
            made = task_function(registered, name=name, localns=names, **options)
            if made.name in self._functions:
                raise ValueError(f"there is a task {made.name!r} already; give one of them another name with name=")
            if self._runtime is not None and self._run_tasks:
                raise CannotOpen(f"the task {made.name!r} comes too late: {self!r} is open; register tasks before that")
            self._functions[made.name] = made
            return registered

        return register if function is None else register(function)

    @property
    def tasks(self) -> Mapping[str, TaskFunction]:
        """Its functions by the names of their Resources."""
        return dict(self._functions)

    @property
    def definitions(self) -> list[DefinitionDocument]:
        """What was loaded."""
        return list(self._documents.values())

    def load(self, *sources: Source, elsewhere: Collection[str] = ()) -> None:
        """Read and check definitions: files, folders of files, or mappings with ``name`` and ``stateMachine``.

        Every Task's Resource must name a function of this application, one of ``elsewhere``, which other workers do, or
        something else by an ARN, ``lambda:`` or ``glue:``. They are saved when the application is opened, as new versions
        if they have changed; at once, if it is open. Raises DefinitionsRefused, which lists every fault.
        """
        documents = read(sources)
        for function in self._functions.values():
            function.converter()
        self._elsewhere |= set(elsewhere)
        check(documents, self._functions.keys() | self._elsewhere)
        with self._lock:
            self._documents |= {document.name: document for document in documents}
            if self._runtime is not None:
                from workflow_manager.sdk.definitions import save

                self.call(lambda manager: save(manager, documents))

    # ------------------------------------------------------------------ opening and closing

    def open(self) -> Self:
        """Open the backend, save what was loaded, and begin to do tasks. Does nothing when it is open.

        Raises CannotOpen, DefinitionsRefused.
        """
        from workflow_manager.sdk.runtime import (
            Runtime,
        )  # a second's imports, which who only registers tasks can do without

        with self._lock:
            if self._runtime is None:
                runtime = Runtime(self.settings(), list(self._documents.values()))
                if self._run_tasks and self._functions:
                    try:
                        team = runtime.team(
                            self._functions.values(),
                            max_tasks=self.max_tasks,
                            grace_seconds=self.grace_seconds,
                            log=self._log,
                        )
                    except BaseException:
                        runtime.close()
                        raise
                    runtime.work(team, self._log)
                self._runtime = runtime
                close_at_exit(self)
        return self

    def close(self) -> None:
        """Let tasks in hand finish, for ``grace_seconds`` at most, and close the backend.

        Workflows that run go on when it is opened again. Does nothing when it is closed.
        """
        with self._lock:
            runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.open)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def settings(self) -> Settings:
        """The settings that its backend runs with. Raises CannotOpen."""
        try:
            known = {field.name for field in structs.fields(Settings)}
            for name in self._flags:
                if name not in known:
                    raise CannotOpen(f"App has no argument {name!r}, nor is there a setting of this name")
            return load(Settings, self._flags)
        except SettingsError as error:
            raise CannotOpen(str(error)) from None

    # ------------------------------------------------------------------ workflows

    def start(
        self,
        definition: str,
        input: Any = None,  # noqa: A002 - the API's word
        *,
        version: int = LATEST,
        queue: str = "default",
        tags: Mapping[str, str] | None = None,
    ) -> WorkflowHandle:
        """Start a workflow. ``input`` is a JSON object, or a dataclass, Struct or model that makes one.

        Raises WorkflowDefinitionNotFound, InvalidRequest.
        """
        new = self._new(definition, input, version, queue, tags)
        return WorkflowHandle(self, self.call(lambda manager: manager.start_workflow(new)).id)

    async def start_async(
        self,
        definition: str,
        input: Any = None,  # noqa: A002
        *,
        version: int = LATEST,
        queue: str = "default",
        tags: Mapping[str, str] | None = None,
    ) -> WorkflowHandle:
        new = self._new(definition, input, version, queue, tags)
        return WorkflowHandle(self, (await self.call_async(lambda manager: manager.start_workflow(new))).id)

    def workflow(self, workflow_id: str) -> WorkflowHandle:
        """The handle of a workflow that was started earlier, or elsewhere."""
        return WorkflowHandle(self, workflow_id)

    def workflows(self, definition: str, **filters: Any) -> Iterator[Workflow]:
        """Workflows of a definition in this environment, the newest first, without jobs, read a page at a time.

        ``filters`` are those of WorkflowQuery: ``statuses=("failed",)``, ``tags={...}``, ``queue``, ``resolved_by_user``,
        ``created_after``, ``created_before``, ``oldest_first``.
        """
        query: WorkflowQuery | None = self._query(definition, filters)
        while query is not None:
            page = self.call(_search(query))
            yield from page.items
            query = _next_page(query, page.next_page_token, page.items)

    async def workflows_async(self, definition: str, **filters: Any) -> AsyncIterator[Workflow]:
        query: WorkflowQuery | None = self._query(definition, filters)
        while query is not None:
            page = await self.call_async(_search(query))
            for workflow in page.items:
                yield workflow
            query = _next_page(query, page.next_page_token, page.items)

    def call(self, work: Callable[[WorkflowManager], Coroutine[Any, Any, T]]) -> T:
        """Do something with the WorkflowManager beneath, opening it if need be: ``app.call(lambda m: m.definitions())``."""
        runtime = self.open()._runtime  # noqa: SLF001 - our own
        assert runtime is not None
        return runtime.background.call(work(runtime.parts.manager))

    async def call_async(self, work: Callable[[WorkflowManager], Coroutine[Any, Any, T]]) -> T:
        runtime = self._runtime or (await asyncio.to_thread(self.open))._runtime  # noqa: SLF001
        assert runtime is not None
        return await runtime.background.call_async(work(runtime.parts.manager))

    # ------------------------------------------------------------------ a process that does tasks only

    def run_worker(self) -> int:
        """Do tasks until SIGTERM or SIGINT, and answer the exit code: 0, or 1 if it could not begin or a result was lost.

        On the embedded backend this runs the workflows, too, since its engine is in this process. Call it in the main thread.
        """
        from workflow_manager.sdk.worker import run_app_worker

        return run_app_worker(self)

    # ------------------------------------------------------------------ parts of the above

    def _new(
        self, definition: str, value: Any, version: int, queue: str, tags: Mapping[str, str] | None
    ) -> NewWorkflow:
        return NewWorkflow(
            definition_name=definition,
            version=version,
            input=input_text({} if value is None else value),
            namespace=self.environment,
            queue=queue,
            tags=dict(tags or {}),
        )

    def _query(self, definition: str, filters: Mapping[str, Any]) -> WorkflowQuery:
        known = set(WorkflowQuery.__struct_fields__) - {"definition_name", "namespace", "limit", "page_token"}
        for name in filters:
            if name not in known:
                raise InvalidRequest(
                    f"there is no filter {name!r}; there are {', '.join(sorted(known))}", location=name
                )
        given = dict(filters)
        if "statuses" in given:
            given["statuses"] = tuple(WorkflowStatus(each) for each in given["statuses"])
        return WorkflowQuery(definition_name=definition, namespace=self.environment, limit=PAGE_SIZE, **given)


def input_text(value: Any) -> str:
    """A workflow's input as JSON text. Raises InvalidRequest when it is no object."""
    try:
        plain = to_json(value)
    except InvalidTaskOutput as error:
        raise InvalidRequest(f"input: {error}", location="input") from None
    if not isinstance(plain, dict):
        raise InvalidRequest(
            f"input must be a JSON object, not {type(value).__name__}; put it into one", location="input"
        )
    try:
        return compact(plain)
    except ValueError as error:
        raise InvalidRequest(f"input: {error}", location="input") from None


def _search(query: WorkflowQuery) -> Callable[[WorkflowManager], Coroutine[Any, Any, Page[Workflow]]]:
    return lambda manager: manager.workflows(query)


def _next_page(query: WorkflowQuery, token: str | None, items: list[Workflow]) -> WorkflowQuery | None:
    if token is None or len(items) < query.limit:
        return None
    return structs.replace(query, page_token=token)
