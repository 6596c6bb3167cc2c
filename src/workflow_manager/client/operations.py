"""The operations of the HTTP API, with the model's types; written once, as coroutines over a Wire.

AsyncClient is made of them as they are, Client runs them to their ends.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, structs

from workflow_manager.client.errors import (
    ServerUnreachable,
    Unavailable,
    UnexpectedAnswer,
    WaitTimedOut,
    WorkflowCancelled,
    WorkflowFailed,
)
from workflow_manager.client.events import Event, before_reconnecting, follow, so_far
from workflow_manager.client.transport import Query, Transport
from workflow_manager.model import (
    NewWorkflow,
    NewWorkflowDefinition,
    Resumption,
    StateResource,
    Workflow,
    WorkflowDefinition,
    WorkflowQuery,
    WorkflowStatus,
)

NEXT_PAGE = "x-next-page-path"
IDEMPOTENCY_KEY = "idempotency-key"
LATEST = -1
"""As a version: the latest one."""
PATIENCE_SECONDS = 60.0
"""For how long a server may be away while a workflow is followed."""


class WorkflowPage(Struct, frozen=True, kw_only=True):
    """One page of workflows; ``next_path`` leads to the next one, None where there is none."""

    items: list[Workflow]
    next_path: str | None = None


class Operations:
    """Every method may raise ApiError (the server refused), ServerUnreachable and UnexpectedAnswer."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.server = transport.server

    async def close(self) -> None:
        """Give the connections back."""
        await self._transport.wire.close()

    async def health(self) -> None:
        """Return if the server serves."""
        await self._transport.call("GET", "/_health")

    # ------------------------------------------------------------------ definitions

    async def definitions(self) -> list[WorkflowDefinition]:
        """The latest version of every name."""
        return await self._transport.get(list[WorkflowDefinition], "/workflow-definitions")

    async def new_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        """Create version 0 of a name."""
        response = await self._transport.call("POST", "/workflow-definitions", body=definition)
        return self._transport.decode(WorkflowDefinition, response)

    async def update_definition(self, definition: NewWorkflowDefinition) -> WorkflowDefinition:
        """Make the next version of a name."""
        path = _path("workflow-definitions", definition.name)
        return self._transport.decode(WorkflowDefinition, await self._transport.call("PUT", path, body=definition))

    async def definition_versions(self, name: str, *, latest: bool = False) -> list[WorkflowDefinition]:
        """Every version of a name, oldest first; or a list of the latest one."""
        path = _path("workflow-definitions", name)
        return await self._transport.get(list[WorkflowDefinition], path, {"latest": _text(latest)})

    async def latest_definition(self, name: str) -> WorkflowDefinition:
        """The latest version of a name."""
        versions = await self.definition_versions(name, latest=True)
        if not versions:
            raise UnexpectedAnswer(f"{self.server} knows {name} but none of its versions")
        return versions[-1]

    async def definition(self, name: str, version: int) -> WorkflowDefinition:
        """One version of a name."""
        return await self._transport.get(WorkflowDefinition, _path("workflow-definitions", name, str(version)))

    # ------------------------------------------------------------------ workflows

    async def start_workflow(self, workflow: NewWorkflow, *, idempotency_key: str | None = None) -> Workflow:
        """Submit a workflow; ``version`` LATEST (any negative number) takes the definition's latest version.

        Of one ``idempotency_key`` there is one workflow, however often it is submitted; without one, a random key lets this
        call be tried again. Raises IdempotencyKeyReused if the key is another workflow's.
        """
        body = {
            "workflowDefinition": {"name": workflow.definition_name, "version": workflow.version},
            "input": workflow.input,
            "namespace": workflow.namespace,
            "queue": workflow.queue,
            "tags": workflow.tags,
        }
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        response = await self._transport.call(
            "POST", "/workflows", body=body, headers={IDEMPOTENCY_KEY: key}, repeatable=True
        )
        return self._transport.decode(Workflow, response)

    async def workflows(self, query: WorkflowQuery | None = None) -> WorkflowPage:
        """One page of workflows, newest first unless the query says otherwise."""
        return await self._page("/workflows", _parameters(query or WorkflowQuery()))

    async def iterate_workflows(self, query: WorkflowQuery | None = None) -> AsyncGenerator[Workflow]:
        """Every workflow of the query, page after page of its ``limit``."""
        page = await self.workflows(query)
        while page.items:
            for workflow in page.items:
                yield workflow
            if page.next_path is None or not page.next_path.startswith("/"):
                return
            page = await self._page(page.next_path, None)

    async def workflow(self, workflow_id: str, *, fetch_history: bool = True) -> Workflow:
        """One workflow with its jobs; without ``fetch_history``, with the jobs as they were last seen."""
        path = _path("workflows", workflow_id)
        return await self._transport.get(Workflow, path, {"fetchHistory": _text(fetch_history)})

    async def cancel_workflow(self, workflow_id: str, reason: str) -> None:
        """Stop a workflow; cancelling it again is no error."""
        path = _path("workflows", workflow_id)
        await self._transport.call("DELETE", path, body={"reason": reason}, repeatable=True)

    async def resume_workflow(self, workflow_id: str, how: Resumption | str) -> Workflow:
        """Start a new workflow from a state of a finished one (its name, or more: Resumption); answer the new one."""
        how = Resumption(start_at=how) if isinstance(how, str) else how
        body: dict[str, Any] = {"fromFailed": True} if how.from_failed else {"StartAt": how.start_at}
        if how.input is not None:
            body["input"] = how.input
        if how.version is not None:
            body["version"] = how.version
        response = await self._transport.call("POST", _path("workflows", workflow_id), body=body)
        return self._transport.decode(Workflow, response)

    async def resolve_workflow(self, workflow_id: str) -> None:
        """Mark a failed workflow as looked after."""
        await self._transport.call("POST", _path("workflows", workflow_id, "resolved"))

    def events(
        self, workflow_id: str, *, last_event_id: int = 0, patience_seconds: float = PATIENCE_SECONDS
    ) -> AsyncGenerator[Event]:
        """What happens to a workflow, from the event after ``last_event_id`` on, until it ends.

        A broken connection is made anew, from the last event that came; ServerUnreachable is raised when the server has
        been away for longer than ``patience_seconds``.
        """
        return follow(self._transport, _events_path(workflow_id), last_event_id, patience_seconds)

    def events_so_far(self, workflow_id: str, *, last_event_id: int = 0) -> AsyncGenerator[Event]:
        """What has happened to a workflow until now, from the event after ``last_event_id`` on."""
        return so_far(self._transport, _events_path(workflow_id), last_event_id)

    async def wait(
        self, workflow_id: str, timeout_seconds: float | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Workflow:
        """A workflow once it has ended, with its jobs. Raises WaitTimedOut, which is a TimeoutError, and leaves it running.

        It is not asked again and again: the server tells.
        """
        until = None if timeout_seconds is None else self._transport.wire.now() + timeout_seconds
        try:
            async for _ in follow(self._transport, _events_path(workflow_id), 0, patience_seconds, until=until):
                pass
        except TimeoutError:
            workflow = await self.workflow(workflow_id)
            if not workflow.status.final:
                raise WaitTimedOut(workflow_id, timeout_seconds or 0.0) from None
            return workflow
        return await self._ended(workflow_id, patience_seconds)

    async def result(
        self, workflow_id: str, timeout_seconds: float | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Any:
        """The output of a workflow once it has succeeded, as JSON values.

        Raises WorkflowFailed with the job that failed, WorkflowCancelled, WaitTimedOut.
        """
        workflow = await self.wait(workflow_id, timeout_seconds, patience_seconds=patience_seconds)
        match workflow.status:
            case WorkflowStatus.FAILED:
                raise WorkflowFailed(workflow)
            case WorkflowStatus.CANCELLED:
                raise WorkflowCancelled(workflow)
        try:
            return msgspec.json.decode(workflow.output) if workflow.output else None
        except msgspec.DecodeError as error:
            raise UnexpectedAnswer(f"the output of workflow {workflow_id} is not JSON ({error})") from None

    # ------------------------------------------------------------------ state resources

    async def new_state_resource(self, resource: StateResource) -> StateResource:
        """Store or overwrite."""
        response = await self._transport.call("POST", "/state-resources", body=_resource(resource), repeatable=True)
        return self._transport.decode(StateResource, response)

    async def put_state_resource(self, resource: StateResource) -> StateResource:
        """Store or overwrite."""
        path = _path("state-resources", resource.namespace, resource.name)
        response = await self._transport.call("PUT", path, body=_resource(resource), repeatable=True)
        return self._transport.decode(StateResource, response)

    async def state_resource(self, namespace: str, name: str) -> StateResource:
        """What a resource's name stands for in a namespace."""
        return await self._transport.get(StateResource, _path("state-resources", namespace, name))

    async def delete_state_resource(self, namespace: str, name: str) -> None:
        """Let a resource's name be the activity again that it is without."""
        await self._transport.call("DELETE", _path("state-resources", namespace, name))

    # ------------------------------------------------------------------

    async def _ended(self, workflow_id: str, patience_seconds: float) -> Workflow:
        """A workflow of which was told that it has ended, from a server that may be away since."""
        wire = self._transport.wire
        until = wire.now() + patience_seconds
        while True:
            try:
                return await self.workflow(workflow_id)
            except (ServerUnreachable, Unavailable):
                if wire.now() >= until:
                    raise
            await before_reconnecting(self._transport)

    async def _page(self, path: str, parameters: Query | None) -> WorkflowPage:
        response = await self._transport.call("GET", path, query=parameters)
        return WorkflowPage(
            items=self._transport.decode(list[Workflow], response), next_path=response.headers.get(NEXT_PAGE)
        )


def new_workflow(
    definition_name: str,
    input: Any = None,  # noqa: A002 - the field's name
    *,
    version: int,
    namespace: str,
    queue: str,
    tags: Mapping[str, str] | None,
) -> NewWorkflow:
    """What to submit. ``input`` is a JSON object as text, or anything that msgspec writes as one; None is ``{}``.

    Raises TypeError for what cannot be written as JSON.
    """
    text = "{}" if input is None else input if isinstance(input, str) else msgspec.json.encode(input).decode()
    return NewWorkflow(
        definition_name=definition_name,
        version=version,
        input=text,
        namespace=namespace,
        queue=queue,
        tags=dict(tags or {}),
    )


def _path(*parts: str) -> str:
    """A path of escaped parts."""
    return "".join("/" + quote(part, safe="") for part in parts)


def _events_path(workflow_id: str) -> str:
    return _path("workflows", workflow_id, "events")


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
