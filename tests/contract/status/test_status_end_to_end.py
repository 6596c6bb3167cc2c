"""The way of a status, whole: Step Functions' API on the wire, DynamoDB and SQS as moto plays them, over HTTP and boto3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec import structs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from status_messages import message

from workflow_manager import composition
from workflow_manager.composition import Service, delivery, dynamodb_calls, service
from workflow_manager.lambdas import Handlers
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow, WorkflowStatus
from workflow_manager.settings import Settings, SettingsError
from workflow_manager.store.dynamodb_tables import init_tables
from workflow_manager.tracing.spans import Tracing

ROLE = "arn:aws:iam::000000000000:role/state-machines"
WAITING = {"StartAt": "wait", "States": {"wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
DONE = {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}}
FAILING = {"StartAt": "fail", "States": {"fail": {"Type": "Fail", "Error": "E", "Cause": "why"}}}


@pytest.fixture
async def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    """AWS's services, and the settings of a server on them."""
    async with service(Settings(port=0, store="memory", region="us-east-1")) as stepfunctions:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", stepfunctions.server.url)
        settings = Settings(port=0, backend="aws", store="dynamodb", region="us-east-1", role_arn=ROLE)
        calls = dynamodb_calls(settings)
        await init_tables(calls, settings.dynamodb_prefix, say=lambda _line: None)
        await calls.close()
        yield settings


async def started(running: Service, machine: dict[str, Any], name: str) -> Workflow:
    await running.manager.create_definition(NewWorkflowDefinition(name=name, state_machine=machine))
    return await running.manager.start_workflow(NewWorkflow(definition_name=name, namespace="ns"))


async def stored(running: Service, workflow: Workflow) -> Workflow:
    """The workflow once it is final in the store, where nobody reads it anew."""
    async with asyncio.timeout(20):
        while not (found := await running.store.workflow(workflow.id)).status.final:  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.05)
    return found


async def test_statuses_come_back_through_the_queue(aws: Settings, sqs: Any, queue: str) -> None:
    async with service(structs.replace(aws, status_queue_url=queue)) as running:
        done = await started(running, DONE, "done")
        failing = await started(running, FAILING, "failing")
        for told in (
            message(done.id, machine="ns--done--0--done", output='{"n": 1}'),
            message(done.id, "RUNNING", machine="ns--done--0--done"),
            message(failing.id, "FAILED", machine="ns--failing--0--fail", error="E", cause="why"),
            message("nobody", machine="ns--done--0--done"),
            "garbage",
        ):
            await asyncio.to_thread(sqs.send_message, QueueUrl=queue, MessageBody=told)

        found = await stored(running, done)
        assert (found.status, found.output) == (WorkflowStatus.SUCCEEDED, '{"n": 1}')
        assert found.stopped_at.timestamp() == 1_700_000_001
        found = await stored(running, failing)
        assert (found.status, found.status_reason) == (WorkflowStatus.FAILED, "why\nE")


async def test_the_handlers_write_what_servers_read(aws: Settings) -> None:
    async with service(aws) as running:
        workflow = await started(running, WAITING, "waiting")
        handlers = Handlers(lambda: delivery(aws))
        event = {"Records": [{"messageId": "m", "body": message(workflow.id, machine="ns--waiting--0--wait")}]}
        try:
            assert await asyncio.to_thread(handlers.queue, event) == {"batchItemFailures": []}
        finally:
            await asyncio.to_thread(handlers.close)

        assert (await running.store.workflow(workflow.id)).status is WorkflowStatus.SUCCEEDED


@pytest.mark.parametrize("settings", [Settings(), Settings(backend="aws", role_arn=ROLE)], ids=["embedded", "sqlite"])
async def test_a_function_needs_what_servers_share(aws: Settings, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="a function needs WFM_"):
        async with delivery(structs.replace(settings, region=aws.region)):
            pass


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What the service traces, which someone wants."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(composition, "tracing", lambda *_: Tracing(provider))
    return exporter


async def test_calls_for_a_request_are_its_children(aws: Settings, spans: InMemorySpanExporter) -> None:
    async with service(aws) as running, httpx.AsyncClient(base_url=running.server.url, timeout=30) as client:
        await client.post("/workflow-definitions", json={"name": "traced", "stateMachine": DONE})
        spans.clear()
        answer = await client.post("/workflows", json={"workflowDefinition": {"name": "traced"}, "namespace": "ns"})

    assert answer.status_code == 200, answer.text
    found = spans.get_finished_spans()
    request = next(span for span in found if span.name == "POST /workflows")
    children = [span.name for span in found if span.parent and span.parent.span_id == request.context.span_id]
    assert "SFN.CreateStateMachine" in children
    assert "SFN.StartExecution" in children
    assert [name for name in children if name.startswith("DynamoDB.")]
    assert {span.context.trace_id for span in found if span.name in children} == {request.context.trace_id}


async def test_a_functions_spans_are_sent_before_it_answers(aws: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda holds the process up until the next event."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    monkeypatch.setattr(composition, "tracing", lambda *_: Tracing(provider))
    handlers = Handlers(lambda: delivery(aws))
    event = {"Records": [{"messageId": "m", "body": message("nobody", machine="ns--d--0--done")}]}
    try:
        assert await asyncio.to_thread(handlers.queue, event) == {"batchItemFailures": []}
        found = exporter.get_finished_spans()
    finally:
        await asyncio.to_thread(handlers.close)

    batch = next(span for span in found if span.name == "status changes")
    assert [span.name for span in found if span.parent and span.parent.span_id == batch.context.span_id] == [
        "DynamoDB.GetItem"
    ]


async def test_messages_are_counted(aws: Settings, sqs: Any, queue: str) -> None:
    async with (
        service(structs.replace(aws, status_queue_url=queue)) as running,
        httpx.AsyncClient(base_url=running.server.url, timeout=30) as client,
    ):
        await asyncio.to_thread(sqs.send_message, QueueUrl=queue, MessageBody='{"detail-type": "Other"}')
        deleted = 'wfm_status_messages_total{outcome="deleted"} 1.0'
        async with asyncio.timeout(20):
            while deleted not in (text := (await client.get("/_metrics")).text):  # noqa: ASYNC110 - they tell nobody
                await asyncio.sleep(0.05)

    assert 'wfm_status_messages_total{outcome="received"} 1.0' in text
    assert 'wfm_status_messages_total{outcome="ignored"} 1.0' in text
    assert 'wfm_status_messages_total{outcome="failed"} 0.0' in text
