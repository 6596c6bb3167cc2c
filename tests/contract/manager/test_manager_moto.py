"""The life of a workflow on another's Step Functions: moto's, reached through boto3, with workflows in DynamoDB.

The manager's tests of starting run there, too (moto_cases.py).

moto interprets definitions itself, so what is asked for here is what AWS would have to do too. Left out is what moto does not
have or has otherwise: ValidateStateMachineDefinition (answered by the engine here), activities that may be created twice, the
date in the answer of StopExecution.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dynamodb_world import emptied_moto, empty_store
from manager_world import DONE, FAILING
from serving import session

from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow, WorkflowQuery, WorkflowStatus
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.aws import AwsStepFunctions

S = WorkflowStatus
ACCOUNT = "123456789012"
"""The one of whoever calls moto."""


@pytest.fixture
def empty_moto_url(moto_url: str) -> str:
    return emptied_moto(moto_url)


@pytest.fixture
async def stepfunctions(empty_moto_url: str, engine: EmbeddedStepFunctions) -> AsyncIterator[AwsStepFunctions]:
    async with AwsStepFunctions(session=session(), endpoint_url=empty_moto_url, threads=8, polls=1) as stepfunctions:
        stepfunctions.validate_state_machine_definition = engine.validate_state_machine_definition  # type: ignore[method-assign]
        yield stepfunctions


@pytest.fixture
async def manager(stepfunctions: AwsStepFunctions, dynamodb_url: str) -> AsyncIterator[WorkflowManager]:
    async with empty_store(dynamodb_url) as store:
        settings = ManagerSettings(account_id=ACCOUNT, environment="test")
        manager = WorkflowManager(store, stepfunctions, settings=settings)
        await manager.start()
        yield manager
        await manager.stop()


async def run(manager: WorkflowManager, machine: dict[str, Any], name: str = "d", **fields: Any) -> Workflow:
    await manager.create_definition(NewWorkflowDefinition(name=name, state_machine=machine))
    return await manager.start_workflow(NewWorkflow(definition_name=name, namespace="ns", **fields))


async def ended(manager: WorkflowManager, workflow: Workflow) -> Workflow:
    async with asyncio.timeout(20):
        while not (found := await manager.workflow(workflow.id)).status.final:  # noqa: ASYNC110 - moto tells nobody
            await asyncio.sleep(0.05)
    return found


async def test_a_workflow_that_succeeds(manager: WorkflowManager, stepfunctions: AwsStepFunctions) -> None:
    machine = {
        "StartAt": "give",
        "States": {"give": {"Type": "Pass", "Result": {"n": 1}, "Next": "done"}} | DONE["States"],
    }
    workflow = await run(manager, machine, input='{"a": 1}', tags={"team": "x"})

    found = await ended(manager, workflow)

    assert (found.status, found.resolved_by_user) == (S.SUCCEEDED, True)
    assert found.output.replace(" ", "") == '{"n":1}'
    arn = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:ns--d--0--give"
    tags = (await stepfunctions.list_tags_for_resource(t.ListTagsForResourceInput(resource_arn=arn))).tags or []
    assert {"application": "workflow-manager", "environment": "test"}.items() <= {
        each.key: each.value for each in tags
    }.items()
    listed = await manager.workflows(WorkflowQuery(definition_name="d", statuses=(S.SUCCEEDED,), tags={"team": "x"}))
    assert [each.id for each in listed.items] == [workflow.id]


async def test_one_that_fails_says_why_and_waits_to_be_resolved(manager: WorkflowManager) -> None:
    found = await ended(manager, await run(manager, FAILING))

    assert (found.status, found.resolved_by_user) == (S.FAILED, False)
    assert "why" in found.status_reason
    await manager.resolve(found.id)
    assert (await manager.workflows(WorkflowQuery(definition_name="d", resolved_by_user=False))).items == []


async def test_state_machines_are_found_again(manager: WorkflowManager, stepfunctions: AwsStepFunctions) -> None:
    await run(manager, DONE)
    for _ in range(2):
        await manager.start_workflow(NewWorkflow(definition_name="d", namespace="ns"))
    await manager.start_workflow(NewWorkflow(definition_name="d", namespace="other"))

    machines = (await stepfunctions.list_state_machines(t.ListStateMachinesInput())).state_machines
    assert sorted(each.name for each in machines) == ["ns--d--0--done", "other--d--0--done"]
