"""Operations on workflow definitions."""

from __future__ import annotations

from workflow_manager.api import documents, parameters
from workflow_manager.api.openapi import Answer, Operation
from workflow_manager.api.parameters import Parameter
from workflow_manager.api.replies import Reply
from workflow_manager.api.requests import NewWorkflowDefinitionRequest, Request
from workflow_manager.manager import WorkflowManager
from workflow_manager.model import NewWorkflowDefinition

EXAMPLE_REQUEST = {
    "name": "sfncli-test:master",
    "manager": "step-functions",
    "stateMachine": {
        "Version": "1.0",
        "StartAt": "echo",
        "TimeoutSeconds": 60,
        "States": {"echo": {"Type": "Task", "Resource": "echo", "End": True}},
    },
}
EXAMPLE = {
    "id": "8f3b1c52-6c8e-4d8c-9d0e-2f6f0d6f6a11",
    "name": "sfncli-test:master",
    "version": 3,
    "createdAt": "2017-10-25T18:11:03.350Z",
    "manager": "step-functions",
    "stateMachine": EXAMPLE_REQUEST["stateMachine"],
}

NAME = Parameter(
    name="name",
    where="path",
    parse=parameters.text,
    default="",
    schema={"type": "string", "minLength": 1},
    description="Name of the definition.",
    example="sfncli-test:master",
)
VERSION = Parameter(
    name="version",
    where="path",
    parse=parameters.integer,
    default=0,
    schema={"type": "integer", "format": "int64"},
    description="Version of the definition, from 0.",
    example=3,
)
LATEST = Parameter(
    name="latest",
    where="query",
    parse=parameters.boolean,
    default=True,
    schema={"type": "boolean", "default": True},
    description="Only the latest version; `false` for all versions, oldest first.",
    example=True,
)


async def get_workflow_definitions(manager: WorkflowManager, _request: Request) -> Reply:
    """List the definitions.

    The latest version of every name.
    """
    found = await manager.definitions()
    return Reply(200, documents.encode([documents.workflow_definition(each) for each in found]))


async def new_workflow_definition(manager: WorkflowManager, request: Request) -> Reply:
    """Create a definition.

    It becomes version 0 of a new name. A refused definition comes back with every fault that was found.
    """
    made = await manager.create_definition(_new_definition(request))
    return Reply(201, documents.encode(documents.workflow_definition(made)))


async def get_workflow_definition_versions_by_name(manager: WorkflowManager, request: Request) -> Reply:
    """List the versions of a definition.

    A list of the latest version alone, unless all are asked for.
    """
    found = await manager.definition_versions(NAME.read(request), latest=LATEST.read(request))
    return Reply(200, documents.encode([documents.workflow_definition(each) for each in found]))


async def update_workflow_definition(manager: WorkflowManager, request: Request) -> Reply:
    """Make a new version of a definition.

    Versions count up by one; earlier ones stay, and workflows that run keep theirs.
    """
    made = await manager.update_definition(NAME.read(request), _new_definition(request))
    return Reply(201, documents.encode(documents.workflow_definition(made)))


async def get_workflow_definition_by_name_and_version(manager: WorkflowManager, request: Request) -> Reply:
    """Get one version of a definition."""
    found = await manager.definition(NAME.read(request), VERSION.read(request))
    return Reply(200, documents.encode(documents.workflow_definition(found)))


def _new_definition(request: Request) -> NewWorkflowDefinition:
    body = request.decode(NewWorkflowDefinitionRequest, yaml=True)
    return NewWorkflowDefinition(
        name=body.name, manager=body.manager, state_machine=body.state_machine, default_tags=body.default_tags
    )


OPERATIONS = (
    Operation(
        id="getWorkflowDefinitions",
        method="GET",
        path="/workflow-definitions",
        tag="workflow-definitions",
        handler=get_workflow_definitions,
        answer=Answer(
            status=200,
            description="The latest version of every definition.",
            kind=list[documents.WorkflowDefinition],
            example=[EXAMPLE],
        ),
    ),
    Operation(
        id="newWorkflowDefinition",
        method="POST",
        path="/workflow-definitions",
        tag="workflow-definitions",
        handler=new_workflow_definition,
        body=NewWorkflowDefinitionRequest,
        body_example=EXAMPLE_REQUEST,
        takes_yaml=True,
        answer=Answer(
            status=201, description="Version 0.", kind=documents.WorkflowDefinition, example={**EXAMPLE, "version": 0}
        ),
    ),
    Operation(
        id="getWorkflowDefinitionVersionsByName",
        method="GET",
        path="/workflow-definitions/{name}",
        tag="workflow-definitions",
        handler=get_workflow_definition_versions_by_name,
        parameters=(NAME, LATEST),
        answer=Answer(
            status=200,
            description="The latest version, or all of them.",
            kind=list[documents.WorkflowDefinition],
            example=[EXAMPLE],
        ),
        errors=(404,),
    ),
    Operation(
        id="updateWorkflowDefinition",
        method="PUT",
        path="/workflow-definitions/{name}",
        tag="workflow-definitions",
        handler=update_workflow_definition,
        parameters=(NAME,),
        body=NewWorkflowDefinitionRequest,
        body_example=EXAMPLE_REQUEST,
        takes_yaml=True,
        answer=Answer(status=201, description="The new version.", kind=documents.WorkflowDefinition, example=EXAMPLE),
        errors=(404,),
    ),
    Operation(
        id="getWorkflowDefinitionByNameAndVersion",
        method="GET",
        path="/workflow-definitions/{name}/{version}",
        tag="workflow-definitions",
        handler=get_workflow_definition_by_name_and_version,
        parameters=(NAME, VERSION),
        answer=Answer(status=200, description="That version.", kind=documents.WorkflowDefinition, example=EXAMPLE),
        errors=(404,),
    ),
)
