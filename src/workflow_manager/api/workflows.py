"""Operations on workflows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from workflow_manager.api import documents, parameters
from workflow_manager.api.openapi import Answer, Operation
from workflow_manager.api.parameters import DEFAULT_LIMIT, MAX_LIMIT, Parameter
from workflow_manager.api.replies import Reply
from workflow_manager.api.requests import CancelReason, Request, StartWorkflowRequest, WorkflowDefinitionOverrides
from workflow_manager.manager import WorkflowManager
from workflow_manager.manager.once import KEY_LENGTH
from workflow_manager.model import NewWorkflow, Resumption, WorkflowQuery, WorkflowStatus
from workflow_manager.model.errors import InvalidRequest

_TIME = "2017-10-25T18:11:03.350Z"
EXAMPLE_REQUEST = {
    "workflowDefinition": {"name": "sfncli-test:master", "version": -1},
    "input": '{"foo": true}',
    "namespace": "production",
    "queue": "default",
    "tags": {"team": "billing"},
}
EXAMPLE = {
    "id": "0b3a8a2e-8f0c-4f0e-9a51-3a3d0c0c5a2b",
    "createdAt": _TIME,
    "lastUpdated": _TIME,
    "stoppedAt": "0001-01-01T00:00:00.000Z",
    "status": "queued",
    "namespace": "production",
    "queue": "default",
    "input": '{"foo": true}',
    "tags": {"team": "billing"},
    "workflowDefinition": {
        "id": "8f3b1c52-6c8e-4d8c-9d0e-2f6f0d6f6a11",
        "name": "sfncli-test:master",
        "version": 3,
        "createdAt": _TIME,
        "manager": "step-functions",
        "stateMachine": {
            "Version": "1.0",
            "StartAt": "echo",
            "States": {"echo": {"Type": "Task", "Resource": "echo", "End": True}},
        },
    },
    "jobs": [],
    "retries": [],
}

WORKFLOW_ID = Parameter(
    name="workflowID",
    where="path",
    parse=parameters.text,
    default="",
    schema={"type": "string", "minLength": 1},
    description="Id of the workflow.",
    example="0b3a8a2e-8f0c-4f0e-9a51-3a3d0c0c5a2b",
)
IDEMPOTENCY_KEY: Parameter[str | None] = Parameter(
    name="Idempotency-Key",
    where="header",
    parse=parameters.text,
    default=None,
    schema={"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},
    description="Of one key there is one workflow: a request that is repeated is answered with that workflow as it is then.",
    example="order-7",
)
FETCH_HISTORY = Parameter(
    name="fetchHistory",
    where="query",
    parse=parameters.boolean,
    default=False,
    schema={"type": "boolean", "default": False},
    description="Rebuild the jobs from the execution's history first.",
    example=True,
)
DEFINITION_NAME = Parameter(
    name="workflowDefinitionName",
    where="query",
    parse=parameters.text,
    default="",
    schema={"type": "string"},
    description="Only workflows of this definition; absent or empty for all.",
    example="sfncli-test:master",
)
LIMIT = Parameter(
    name="limit",
    where="query",
    parse=parameters.limit,
    default=DEFAULT_LIMIT,
    schema={"type": "integer", "minimum": 0, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    description=f"How many to answer at most; 0 is {DEFAULT_LIMIT}.",
    example=100,
)
OLDEST_FIRST = Parameter(
    name="oldestFirst",
    where="query",
    parse=parameters.boolean,
    default=False,
    schema={"type": "boolean", "default": False},
    description="In order of creation, rather than latest first.",
    example=False,
)
STATUS = Parameter(
    name="status",
    where="query",
    parse=parameters.text,
    default="",
    schema={"type": "array", "items": {"type": "string", "examples": [str(status) for status in WorkflowStatus]}},
    description="Only workflows of these statuses; repeat it, or separate with commas. "
    "One of " + ", ".join(f"`{status}`" for status in WorkflowStatus) + "; no workflow has any other.",
    example=["failed"],
    extra={"style": "form", "explode": True},
)
RESOLVED_BY_USER: Parameter[bool | None] = Parameter(
    name="resolvedByUser",
    where="query",
    parse=parameters.boolean,
    default=None,
    schema={"type": "boolean"},
    description="Only resolved workflows, or only those that are not.",
    example=False,
)
SUMMARY_ONLY = Parameter(
    name="summaryOnly",
    where="query",
    parse=parameters.boolean,
    default=False,
    schema={"type": "boolean", "default": False},
    description="Leave out what can be large: state machine, input, output, jobs.",
    example=True,
)
PAGE_TOKEN = Parameter(
    name="pageToken",
    where="query",
    parse=parameters.text,
    default="",
    schema={"type": "string"},
    description="Where to go on; follow `X-Next-Page-Path` rather than making one.",
    example="",
)
NAMESPACE = Parameter(
    name="namespace",
    where="query",
    parse=parameters.text,
    default="",
    schema={"type": "string"},
    description="Only workflows of this namespace.",
    example="production",
)
QUEUE = Parameter(
    name="queue",
    where="query",
    parse=parameters.text,
    default="",
    schema={"type": "string"},
    description="Only workflows of this queue.",
    example="default",
)
CREATED_AFTER: Parameter[datetime | None] = Parameter(
    name="createdAfter",
    where="query",
    parse=parameters.instant,
    default=None,
    schema={"type": "string", "format": "date-time"},
    description="Only workflows created at this time or later (RFC 3339).",
    example="2017-10-25T00:00:00Z",
)
CREATED_BEFORE: Parameter[datetime | None] = Parameter(
    name="createdBefore",
    where="query",
    parse=parameters.instant,
    default=None,
    schema={"type": "string", "format": "date-time"},
    description="Only workflows created before this time (RFC 3339).",
    example="2017-10-26T00:00:00Z",
)
TAGS = Parameter(
    name="tags",
    where="query",
    parse=parameters.text,
    default="",
    schema={
        "type": "object",
        "propertyNames": {"pattern": r"^tag\.."},
        "additionalProperties": {"type": "string"},
    },
    description="Only workflows that have all these tags, as `tag.<name>=<value>`.",
    example={"tag.team": "billing"},
    extra={"style": "form", "explode": True},
)
_TAG_PREFIX = "tag."
_FILTERS: tuple[Parameter[Any], ...] = (
    DEFINITION_NAME,
    OLDEST_FIRST,
    RESOLVED_BY_USER,
    NAMESPACE,
    QUEUE,
    CREATED_AFTER,
    CREATED_BEFORE,
)
"""Filters that a next page repeats as they were given."""


async def start_workflow(manager: WorkflowManager, request: Request) -> Reply:
    """Start a workflow.

    Its tags are the definition's default tags and those given, which go before. An absent version is version 0.

    With an `Idempotency-Key` the request can be repeated, on any server, for as long as the workflow is kept: it starts one
    workflow, and once it has, answers it as it is then. The same key with other content is refused with the code
    `IdempotencyKeyReused`; a negative version is the latest as of the first request. A request that was refused, or that nobody
    could say the outcome of, is repeated with the same key.
    """
    body = request.decode(StartWorkflowRequest)
    if not body.workflow_definition.name:
        raise InvalidRequest("/workflowDefinition/name is missing: it must be given")
    started = await manager.start_workflow(
        NewWorkflow(
            definition_name=body.workflow_definition.name,
            version=body.workflow_definition.version,
            input=body.input or "{}",
            namespace=body.namespace,
            queue=body.queue or "default",
            tags=body.tags,
        ),
        idempotency_key=IDEMPOTENCY_KEY.read(request),
    )
    return Reply(200, documents.encode(documents.workflow(started)))


async def get_workflows(manager: WorkflowManager, request: Request) -> Reply:
    """List workflows.

    Latest first. `X-Next-Page-Path` is where to go on: path and query, to be put behind this server's address; it comes
    with every page that has workflows on it, so the end is a page without.
    """
    statuses = parameters.statuses(request.values("query", STATUS.name))
    query = WorkflowQuery(
        definition_name=DEFINITION_NAME.read(request) or None,
        namespace=NAMESPACE.read(request) or None,
        queue=QUEUE.read(request) or None,
        tags=_tags(request),
        statuses=statuses or (),
        resolved_by_user=RESOLVED_BY_USER.read(request),
        created_after=CREATED_AFTER.read(request),
        created_before=CREATED_BEFORE.read(request),
        oldest_first=OLDEST_FIRST.read(request),
        limit=LIMIT.read(request),
        page_token=PAGE_TOKEN.read(request) or None,
        summary_only=SUMMARY_ONLY.read(request),
    )
    if statuses is None:
        return Reply(200, b"[]")
    page = await manager.workflows(query)
    body = documents.encode([documents.workflow(each, summary=query.summary_only) for each in page.items])
    if not page.items or page.next_page_token is None:
        return Reply(200, body)
    path = _next_page_path(request, query, page.next_page_token)
    return Reply(200, body, headers=((b"x-next-page-path", path.encode()),))


def _tags(request: Request) -> dict[str, str]:
    return {
        key.removeprefix(_TAG_PREFIX): values[0]
        for key, values in request.query.items()
        if key.startswith(_TAG_PREFIX) and key != _TAG_PREFIX
    }


def _next_page_path(request: Request, query: WorkflowQuery, token: str) -> str:
    """Path and query of the next page: keys sorted, filters as given, defaults of limit and summaryOnly spelled out."""
    given = {each.name: request.query[each.name][0] for each in _FILTERS if each.name in request.query}
    given |= {f"{_TAG_PREFIX}{key}": value for key, value in query.tags.items()}
    given |= {
        LIMIT.name: str(query.limit),
        PAGE_TOKEN.name: token,
        SUMMARY_ONLY.name: "true" if query.summary_only else "false",
    }
    if query.statuses:
        given[STATUS.name] = ",".join(query.statuses)
    return "/workflows?" + urlencode(sorted(given.items()))


async def get_workflow_by_id(manager: WorkflowManager, request: Request) -> Reply:
    """Get a workflow."""
    found = await manager.workflow(WORKFLOW_ID.read(request), fetch_history=FETCH_HISTORY.read(request))
    return Reply(200, documents.encode(documents.workflow(found)))


async def cancel_workflow(manager: WorkflowManager, request: Request) -> Reply:
    """Cancel a workflow.

    One that has succeeded or failed cannot be cancelled any more; cancelling twice does no harm.
    """
    body = request.decode(CancelReason)
    await manager.cancel(WORKFLOW_ID.read(request), body.reason)
    return Reply(200)


async def resume_workflow_by_id(manager: WorkflowManager, request: Request) -> Reply:
    """Resume a finished workflow.

    A new workflow starts at a state that ran, with the input that this state had; or with another input, or in another
    version of the definition.
    """
    body = request.decode(WorkflowDefinitionOverrides)
    if body.from_failed and body.StartAt:
        raise InvalidRequest("/fromFailed and /StartAt are both given: give one of them")
    how = Resumption(
        start_at=body.StartAt, from_failed=body.from_failed, input=body.input or None, version=body.version
    )
    resumed = await manager.resume(WORKFLOW_ID.read(request), how)
    return Reply(200, documents.encode(documents.workflow(resumed)))


async def resolve_workflow_by_id(manager: WorkflowManager, request: Request) -> Reply:
    """Mark a workflow as resolved.

    For a person to say that a failure has been looked after.
    """
    await manager.resolve(WORKFLOW_ID.read(request))
    return Reply(201)


_PATH = "/workflows/{workflowID}"

OPERATIONS = (
    Operation(
        id="startWorkflow",
        method="POST",
        path="/workflows",
        tag="workflows",
        handler=start_workflow,
        parameters=(IDEMPOTENCY_KEY,),
        body=StartWorkflowRequest,
        body_example=EXAMPLE_REQUEST,
        answer=Answer(
            status=200, description="The new workflow, or the key's.", kind=documents.Workflow, example=EXAMPLE
        ),
        errors=(404,),
    ),
    Operation(
        id="getWorkflows",
        method="GET",
        path="/workflows",
        tag="workflows",
        handler=get_workflows,
        parameters=(
            DEFINITION_NAME,
            STATUS,
            RESOLVED_BY_USER,
            NAMESPACE,
            QUEUE,
            CREATED_AFTER,
            CREATED_BEFORE,
            TAGS,
            OLDEST_FIRST,
            SUMMARY_ONLY,
            LIMIT,
            PAGE_TOKEN,
        ),
        answer=Answer(
            status=200,
            description="One page of workflows.",
            kind=list[documents.Workflow],
            example=[EXAMPLE],
            headers={"X-Next-Page-Path": "Path and query of the next page; there unless this page is empty."},
        ),
        errors=(404,),
    ),
    Operation(
        id="getWorkflowByID",
        method="GET",
        path=_PATH,
        tag="workflows",
        handler=get_workflow_by_id,
        parameters=(WORKFLOW_ID, FETCH_HISTORY),
        answer=Answer(status=200, description="The workflow.", kind=documents.Workflow, example=EXAMPLE),
        errors=(404,),
    ),
    Operation(
        id="CancelWorkflow",
        method="DELETE",
        path=_PATH,
        tag="workflows",
        handler=cancel_workflow,
        parameters=(WORKFLOW_ID,),
        body=CancelReason,
        body_example={"reason": "no longer needed"},
        answer=Answer(status=200, description="It is being cancelled."),
        errors=(404,),
    ),
    Operation(
        id="resumeWorkflowByID",
        method="POST",
        path=_PATH,
        tag="workflows",
        handler=resume_workflow_by_id,
        parameters=(WORKFLOW_ID,),
        body=WorkflowDefinitionOverrides,
        body_example={"StartAt": "echo"},
        answer=Answer(
            status=200,
            description="The new workflow.",
            kind=documents.Workflow,
            example={**EXAMPLE, "retryFor": "5ad0a0a4-4f6f-45a6-8d3b-9e2f6d4f1b7c"},
        ),
        errors=(404,),
    ),
    Operation(
        id="resolveWorkflowByID",
        method="POST",
        path=f"{_PATH}/resolved",
        tag="workflows",
        handler=resolve_workflow_by_id,
        parameters=(WORKFLOW_ID,),
        answer=Answer(status=201, description="It is resolved."),
        errors=(404, 409),
    ),
)
