"""The operations of the HTTP API as methods, with the model's types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from msgspec import Struct, structs

from workflow_manager.client.errors import UnexpectedAnswer
from workflow_manager.client.events import Event, follow, so_far
from workflow_manager.client.transport import Query, Transport
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
NEXT_PAGE = "x-next-page-path"
LATEST = -1
"""As a version: the latest one."""


class WorkflowPage(Struct, frozen=True, kw_only=True):
    """One page of workflows; ``next_path`` leads to the next one, None where there is none."""

    items: list[Workflow]
    next_path: str | None = None


class Client:
    """A connection to one server; close it, or use it in a ``with`` statement. Not for several threads at once.

    Every method may raise ApiError (the server refused), ServerUnreachable and UnexpectedAnswer.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(server, timeout_seconds=timeout_seconds, transport=transport)
        self.server = self._transport.server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def health(self) -> None:
        """Return if the server serves."""
        self._transport.call("GET", "/_health")

    # ------------------------------------------------------------------ definitions

    def definitions(self) -> list[WorkflowDefinition]:
        """The latest version of every name."""
        return self._transport.get(list[WorkflowDefinition], "/workflow-definitions")

    def new_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        """Create version 0 of a name."""
        response = self._transport.call("POST", "/workflow-definitions", body=definition)
        return self._transport.decode(WorkflowDefinition, response)

    def update_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        """Make the next version of a name."""
        path = _path("workflow-definitions", definition.name)
        return self._transport.decode(WorkflowDefinition, self._transport.call("PUT", path, body=definition))

    def definition_versions(self, name: str, *, latest: bool = False) -> list[WorkflowDefinition]:
        """Every version of a name, oldest first; or a list of the latest one."""
        path = _path("workflow-definitions", name)
        return self._transport.get(list[WorkflowDefinition], path, {"latest": _text(latest)})

    def latest_definition(self, name: str) -> WorkflowDefinition:
        versions = self.definition_versions(name, latest=True)
        if not versions:
            raise UnexpectedAnswer(f"{self.server} knows {name} but none of its versions")
        return versions[-1]

    def definition(self, name: str, version: int) -> WorkflowDefinition:
        return self._transport.get(WorkflowDefinition, _path("workflow-definitions", name, str(version)))

    # ------------------------------------------------------------------ workflows

    def start_workflow(self, workflow: NewWorkflow) -> Workflow:
        """Submit a workflow; ``version`` LATEST (any negative number) takes the definition's latest version."""
        body = {
            "workflowDefinition": {"name": workflow.definition_name, "version": workflow.version},
            "input": workflow.input,
            "namespace": workflow.namespace,
            "queue": workflow.queue,
            "tags": workflow.tags,
        }
        return self._transport.decode(Workflow, self._transport.call("POST", "/workflows", body=body))

    def workflows(self, query: WorkflowQuery | None = None) -> WorkflowPage:
        """One page of workflows, newest first unless the query says otherwise."""
        return self._page("/workflows", _parameters(query or WorkflowQuery()))

    def iterate_workflows(self, query: WorkflowQuery | None = None) -> Iterator[Workflow]:
        """Every workflow of the query, page after page of its ``limit``."""
        page = self.workflows(query)
        while page.items:
            yield from page.items
            if page.next_path is None or not page.next_path.startswith("/"):
                return
            page = self._page(page.next_path, None)

    def workflow(self, workflow_id: str, *, fetch_history: bool = True) -> Workflow:
        """One workflow with its jobs; without ``fetch_history``, with the jobs as they were last seen."""
        return self._transport.get(Workflow, _path("workflows", workflow_id), {"fetchHistory": _text(fetch_history)})

    def cancel_workflow(self, workflow_id: str, reason: str) -> None:
        self._transport.call("DELETE", _path("workflows", workflow_id), body={"reason": reason}, repeatable=True)

    def resume_workflow(self, workflow_id: str, how: Resumption | str) -> Workflow:
        """Start a new workflow from a state of a finished one (its name, or more: Resumption); answer the new one."""
        how = Resumption(start_at=how) if isinstance(how, str) else how
        body: dict[str, Any] = {"fromFailed": True} if how.from_failed else {"StartAt": how.start_at}
        if how.input is not None:
            body["input"] = how.input
        if how.version is not None:
            body["version"] = how.version
        response = self._transport.call("POST", _path("workflows", workflow_id), body=body)
        return self._transport.decode(Workflow, response)

    def resolve_workflow(self, workflow_id: str) -> None:
        """Mark a failed workflow as looked after."""
        self._transport.call("POST", _path("workflows", workflow_id, "resolved"))

    def events(self, workflow_id: str, *, last_event_id: int = 0, patience_seconds: float = 60.0) -> Iterator[Event]:
        """What happens to a workflow, from the event after ``last_event_id`` on, until it ends.

        A broken connection is made anew, from the last event that came; ServerUnreachable is raised when the server has
        been away for longer than ``patience_seconds``.
        """
        return follow(self._transport, _path("workflows", workflow_id, "events"), last_event_id, patience_seconds)

    def events_so_far(self, workflow_id: str, *, last_event_id: int = 0) -> Iterator[Event]:
        """What has happened to a workflow until now, from the event after ``last_event_id`` on."""
        return so_far(self._transport, _path("workflows", workflow_id, "events"), last_event_id)

    # ------------------------------------------------------------------ state resources

    def new_state_resource(self, resource: StateResource) -> StateResource:
        """Store or overwrite."""
        response = self._transport.call("POST", "/state-resources", body=_resource(resource), repeatable=True)
        return self._transport.decode(StateResource, response)

    def put_state_resource(self, resource: StateResource) -> StateResource:
        """Store or overwrite."""
        path = _path("state-resources", resource.namespace, resource.name)
        response = self._transport.call("PUT", path, body=_resource(resource), repeatable=True)
        return self._transport.decode(StateResource, response)

    def state_resource(self, namespace: str, name: str) -> StateResource:
        return self._transport.get(StateResource, _path("state-resources", namespace, name))

    def delete_state_resource(self, namespace: str, name: str) -> None:
        self._transport.call("DELETE", _path("state-resources", namespace, name))

    # ------------------------------------------------------------------

    def _page(self, path: str, parameters: Query | None) -> WorkflowPage:
        response = self._transport.call("GET", path, query=parameters)
        return WorkflowPage(
            items=self._transport.decode(list[Workflow], response), next_path=response.headers.get(NEXT_PAGE)
        )


def _path(*parts: str) -> str:
    """A path of escaped parts."""
    return "".join("/" + quote(part, safe="") for part in parts)


def _text(value: bool) -> str:
    return "true" if value else "false"


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _resource(resource: StateResource) -> dict[str, Any]:
    """What a client says about a state resource; the server knows when it was last updated."""
    return {name: value for name, value in _camel(resource).items() if name != "lastUpdated"}


def _camel(value: Struct) -> dict[str, Any]:
    return {field.encode_name: getattr(value, field.name) for field in structs.fields(value)}


def _parameters(query: WorkflowQuery) -> Query:
    """A query as the API's parameters; the definition's name is there even when empty, as servers of old ask for it."""
    parameters: list[tuple[str, str | int | float | bool | None]] = [
        ("workflowDefinitionName", query.definition_name or ""),
        ("limit", str(query.limit)),
        ("oldestFirst", _text(query.oldest_first)),
        ("summaryOnly", _text(query.summary_only)),
        *(("status", status.value) for status in query.statuses),
        *((f"tag.{name}", value) for name, value in query.tags.items()),
    ]
    optional = {
        "namespace": query.namespace,
        "queue": query.queue,
        "resolvedByUser": None if query.resolved_by_user is None else _text(query.resolved_by_user),
        "createdAfter": None if query.created_after is None else _time(query.created_after),
        "createdBefore": None if query.created_before is None else _time(query.created_before),
        "pageToken": query.page_token,
    }
    return parameters + [(name, value) for name, value in optional.items() if value is not None]
