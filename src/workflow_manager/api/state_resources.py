"""Operations on state resources."""

from __future__ import annotations

from workflow_manager.api import documents, parameters
from workflow_manager.api.openapi import Answer, Operation
from workflow_manager.api.parameters import Parameter
from workflow_manager.api.replies import Reply
from workflow_manager.api.requests import NewStateResource, Request
from workflow_manager.manager import WorkflowManager
from workflow_manager.model import StateResource
from workflow_manager.model.errors import InvalidRequest

EXAMPLE_REQUEST = {
    "name": "echo",
    "namespace": "production",
    "uri": "arn:aws:states:us-east-1:123456789012:activity:production--echo",
}
EXAMPLE = {**EXAMPLE_REQUEST, "type": "ActivityARN", "lastUpdated": "2017-10-25T18:11:03.350Z"}

NAMESPACE = Parameter(
    name="namespace",
    where="path",
    parse=parameters.text,
    default="",
    schema={"type": "string", "minLength": 1},
    description="Namespace of the resource.",
    example="production",
)
NAME = Parameter(
    name="name",
    where="path",
    parse=parameters.text,
    default="",
    schema={"type": "string", "minLength": 1},
    description="Name of the resource.",
    example="echo",
)


async def post_state_resource(manager: WorkflowManager, request: Request) -> Reply:
    """Save a state resource.

    One of the same namespace and name is overwritten.
    """
    body = request.decode(NewStateResource)
    for field in ("name", "namespace"):
        if not getattr(body, field):
            raise InvalidRequest(f"/{field} is missing: it must be given")
    return await _save(manager, body.namespace, body.name, body.uri)


async def put_state_resource(manager: WorkflowManager, request: Request) -> Reply:
    """Save the state resource of this path.

    Namespace and name in the body are those of the path, or absent.
    """
    body = request.decode(NewStateResource)
    for parameter, given in ((NAME, body.name), (NAMESPACE, body.namespace)):
        addressed = parameter.read(request)
        if given not in ("", addressed):
            raise InvalidRequest(f"/{parameter.name}: {given!r} differs from {addressed!r} in the path")
    return await _save(manager, NAMESPACE.read(request), NAME.read(request), body.uri)


async def get_state_resource(manager: WorkflowManager, request: Request) -> Reply:
    """Get a state resource."""
    found = await manager.state_resource(NAMESPACE.read(request), NAME.read(request))
    return Reply(200, documents.encode(documents.state_resource(found)))


async def delete_state_resource(manager: WorkflowManager, request: Request) -> Reply:
    """Delete a state resource."""
    await manager.delete_state_resource(NAMESPACE.read(request), NAME.read(request))
    return Reply(200)


async def _save(manager: WorkflowManager, namespace: str, name: str, uri: str) -> Reply:
    saved = await manager.save_state_resource(StateResource(namespace=namespace, name=name, uri=uri))
    return Reply(201, documents.encode(documents.state_resource(saved)))


_PATH = "/state-resources/{namespace}/{name}"
_SAVED = Answer(status=201, description="As saved.", kind=documents.StateResource, example=EXAMPLE)

OPERATIONS = (
    Operation(
        id="postStateResource",
        method="POST",
        path="/state-resources",
        tag="state-resources",
        handler=post_state_resource,
        body=NewStateResource,
        body_example=EXAMPLE_REQUEST,
        answer=_SAVED,
    ),
    Operation(
        id="getStateResource",
        method="GET",
        path=_PATH,
        tag="state-resources",
        handler=get_state_resource,
        parameters=(NAMESPACE, NAME),
        answer=Answer(status=200, description="The resource.", kind=documents.StateResource, example=EXAMPLE),
        errors=(404,),
    ),
    Operation(
        id="putStateResource",
        method="PUT",
        path=_PATH,
        tag="state-resources",
        handler=put_state_resource,
        parameters=(NAMESPACE, NAME),
        body=NewStateResource,
        body_example=EXAMPLE_REQUEST,
        answer=_SAVED,
    ),
    Operation(
        id="deleteStateResource",
        method="DELETE",
        path=_PATH,
        tag="state-resources",
        handler=delete_state_resource,
        parameters=(NAMESPACE, NAME),
        answer=Answer(status=200, description="Deleted."),
        errors=(404,),
    ),
)
