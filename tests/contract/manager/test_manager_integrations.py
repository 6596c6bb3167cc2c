"""The shorthand of functions and jobs works on the embedded engine, as the service composes it from its settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from workflow_manager.composition import Service, service
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow
from workflow_manager.settings import Settings, SettingsError

FUNCTIONS = """
def charge(event):
    if event.get("amount", 0) < 0:
        raise ValueError("nothing to charge")
    return {"charged": event["amount"]}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "shop_functions.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return Settings(port=0, store="memory", lambda_functions={"ns--charge": "shop_functions:charge"})


async def finished(running: Service, state_machine: dict[str, object], text: str) -> Workflow:
    manager = running.manager
    await manager.create_definition(NewWorkflowDefinition(name="d", state_machine=state_machine))
    workflow = await manager.start_workflow(NewWorkflow(definition_name="d", namespace="ns", input=text))
    async with asyncio.timeout(10):
        async for item in manager.follow(workflow.id):
            if isinstance(item, Workflow):
                workflow = item
    return workflow


CHARGE: dict[str, object] = {
    "StartAt": "pay",
    "States": {"pay": {"Type": "Task", "Resource": "lambda:charge", "End": True}},
}


async def test_a_function(settings: Settings) -> None:
    async with service(settings) as running:
        workflow = await finished(running, CHARGE, '{"amount":3}')

    assert (workflow.status, msgspec.json.decode(workflow.output)) == ("succeeded", {"charged": 3})


async def test_a_function_that_fails(settings: Settings) -> None:
    async with service(settings) as running:
        workflow = await finished(running, CHARGE, '{"amount":-1}')

    assert workflow.status == "failed"
    assert "nothing to charge" in str(workflow.status_reason)


async def test_a_job_in_a_test_case(settings: Settings, tmp_path: Path) -> None:
    """glue: is an integration of AWS; with mocks its definition is accepted, and so it is with AWS."""
    glue = {"StartAt": "job", "States": {"job": {"Type": "Task", "Resource": "glue:report", "End": True}}}
    async with service(settings) as running:
        with pytest.raises(Exception, match="aws_integrations"):
            await finished(running, glue, "{}")
    async with service(msgspec.structs.replace(settings, aws_integrations="on")) as running:
        await running.manager.create_definition(NewWorkflowDefinition(name="d", state_machine=glue))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lambda_functions": {"f": "no_such_module:f"}}, "lambda_functions"),
        ({"mock_config": "no-such-file"}, "mock_config: no-such-file cannot be read"),
        ({"http_connections": "no-such-file"}, "http_connections"),
    ],
)
async def test_settings_that_cannot_be_used(settings: Settings, changes: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        async with service(msgspec.structs.replace(settings, **changes)):
            pass
