"""Client: the operations, each run to its end before it returns. Methods are described where they are written (operations.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from workflow_manager.client.events import Event
from workflow_manager.client.operations import LATEST, PATIENCE_SECONDS, Operations, WorkflowPage, new_workflow
from workflow_manager.client.transport import Transport
from workflow_manager.client.wire import BlockingWire, done, items
from workflow_manager.model import (
    NewWorkflow,
    NewWorkflowDefinition,
    Resumption,
    StateResource,
    Workflow,
    WorkflowDefinition,
    WorkflowQuery,
)

DEFAULT_SERVER = "http://127.0.0.1:8080"


class Client:
    """A connection to one server; close it, or use it in a ``with`` statement.

    Every method may raise ApiError (the server refused), ServerUnreachable and UnexpectedAnswer.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """``timeout_seconds`` bounds each wait for the server; ``transport`` replaces the network, for tests.

        Raises ServerUnreachable if ``server`` is no address.
        """

        def wire(settings: dict[str, Any]) -> BlockingWire:
            return BlockingWire(httpx.Client(**settings, transport=transport))

        self._operations = Operations(Transport(server, wire, timeout_seconds=timeout_seconds))
        self.server = self._operations.server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        done(self._operations.close())

    def health(self) -> None:
        done(self._operations.health())

    # ------------------------------------------------------------------ definitions

    def definitions(self) -> list[WorkflowDefinition]:
        return done(self._operations.definitions())

    def new_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        return done(self._operations.new_definition(definition))

    def update_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        return done(self._operations.update_definition(definition))

    def definition_versions(self, name: str, *, latest: bool = False) -> list[WorkflowDefinition]:
        return done(self._operations.definition_versions(name, latest=latest))

    def latest_definition(self, name: str) -> WorkflowDefinition:
        return done(self._operations.latest_definition(name))

    def definition(self, name: str, version: int) -> WorkflowDefinition:
        return done(self._operations.definition(name, version))

    # ------------------------------------------------------------------ workflows

    def start(
        self,
        definition_name: str,
        input: Any = None,  # noqa: A002 - the field's name
        *,
        version: int = LATEST,
        namespace: str = "",
        queue: str = "default",
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> WorkflowHandle:
        new = new_workflow(definition_name, input, version=version, namespace=namespace, queue=queue, tags=tags)
        return WorkflowHandle(self, self.start_workflow(new, idempotency_key=idempotency_key).id)

    def handle(self, workflow_id: str) -> WorkflowHandle:
        return WorkflowHandle(self, workflow_id)

    def start_workflow(self, workflow: NewWorkflow, *, idempotency_key: str | None = None) -> Workflow:
        return done(self._operations.start_workflow(workflow, idempotency_key=idempotency_key))

    def workflows(self, query: WorkflowQuery | None = None) -> WorkflowPage:
        return done(self._operations.workflows(query))

    def iterate_workflows(self, query: WorkflowQuery | None = None) -> Iterator[Workflow]:
        return items(self._operations.iterate_workflows(query))

    def workflow(self, workflow_id: str, *, fetch_history: bool = True) -> Workflow:
        return done(self._operations.workflow(workflow_id, fetch_history=fetch_history))

    def cancel_workflow(self, workflow_id: str, reason: str) -> None:
        done(self._operations.cancel_workflow(workflow_id, reason))

    def resume_workflow(self, workflow_id: str, how: Resumption | str) -> Workflow:
        return done(self._operations.resume_workflow(workflow_id, how))

    def resolve_workflow(self, workflow_id: str) -> None:
        done(self._operations.resolve_workflow(workflow_id))

    def events(
        self, workflow_id: str, *, last_event_id: int = 0, patience_seconds: float = PATIENCE_SECONDS
    ) -> Iterator[Event]:
        return items(
            self._operations.events(workflow_id, last_event_id=last_event_id, patience_seconds=patience_seconds)
        )

    def events_so_far(self, workflow_id: str, *, last_event_id: int = 0) -> Iterator[Event]:
        return items(self._operations.events_so_far(workflow_id, last_event_id=last_event_id))

    def wait(
        self, workflow_id: str, timeout_seconds: float | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Workflow:
        return done(self._operations.wait(workflow_id, timeout_seconds, patience_seconds=patience_seconds))

    def result(
        self, workflow_id: str, timeout_seconds: float | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Any:
        return done(self._operations.result(workflow_id, timeout_seconds, patience_seconds=patience_seconds))

    # ------------------------------------------------------------------ state resources

    def new_state_resource(self, resource: StateResource) -> StateResource:
        return done(self._operations.new_state_resource(resource))

    def put_state_resource(self, resource: StateResource) -> StateResource:
        return done(self._operations.put_state_resource(resource))

    def state_resource(self, namespace: str, name: str) -> StateResource:
        return done(self._operations.state_resource(namespace, name))

    def delete_state_resource(self, namespace: str, name: str) -> None:
        done(self._operations.delete_state_resource(namespace, name))


class WorkflowHandle:
    """One workflow, through a Client."""

    def __init__(self, client: Client, workflow_id: str) -> None:
        self._client = client
        self.id = workflow_id

    def workflow(self) -> Workflow:
        return self._client.workflow(self.id)

    def wait(self, timeout_seconds: float | None = None) -> Workflow:
        return self._client.wait(self.id, timeout_seconds)

    def result(self, timeout_seconds: float | None = None) -> Any:
        return self._client.result(self.id, timeout_seconds)

    def follow(self, *, last_event_id: int = 0) -> Iterator[Event]:
        return self._client.events(self.id, last_event_id=last_event_id)

    def cancel(self, reason: str) -> None:
        self._client.cancel_workflow(self.id, reason)

    def resume(self, how: Resumption | str) -> WorkflowHandle:
        return WorkflowHandle(self._client, self._client.resume_workflow(self.id, how).id)

    def resolve(self) -> None:
        self._client.resolve_workflow(self.id)
