"""Traces: a span per request with its calls to AWS as children; nothing of it to AWS; nothing at all when nobody wants it."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.server import ThreadedMotoServer
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from workflow_manager.composition import CannotServe, service
from workflow_manager.settings import Settings
from workflow_manager.tracing import wanted
from workflow_manager.tracing.spans import Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(spans: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Tracing(provider)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def session(traces: Tracing) -> boto3.Session:
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    traces.instrument(session)
    return session


def calling(*calls: Any) -> Any:
    """An application that makes calls to AWS in threads, and answers."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for call in calls:
            with contextlib.suppress(ClientError, EndpointConnectionError):
                await asyncio.to_thread(call)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return application


async def ask(application: Any, method: str = "GET", path: str = "/", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://wfm") as client:
        return await client.request(
            method, path, headers={name.replace("_", "-"): each for name, each in headers.items()}
        )


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


async def test_calls_to_aws_are_children_of_the_request(
    traces: Tracing, spans: InMemorySpanExporter, session: boto3.Session, endpoint: str
) -> None:
    """And AWS hears nothing of the trace."""
    heard: list[Any] = []
    session.events.register("before-send", lambda request, **_: heard.append(dict(request.headers)))
    sfn, dynamodb, sqs = (session.client(name, endpoint_url=endpoint) for name in ("stepfunctions", "dynamodb", "sqs"))

    await ask(traces.application(calling(sfn.list_state_machines, dynamodb.list_tables, sqs.list_queues)))

    found = by_name(spans)
    assert list(found) == ["SFN.ListStateMachines", "DynamoDB.ListTables", "SQS.ListQueues", "GET"]
    request = found.pop("GET")
    assert (request.kind, request.attributes["http.response.status_code"]) == (SpanKind.SERVER, 200)
    for span in found.values():
        assert span.kind is SpanKind.CLIENT
        assert span.parent.span_id == request.context.span_id
        assert span.attributes["rpc.system"] == "aws-api"
        assert span.attributes["http.response.status_code"] == 200
    names = {name.lower() for headers in heard for name in headers}
    assert len(heard) == 3
    assert not names & {"traceparent", "tracestate", "baggage", "x-amzn-trace-id"}
    for client in (sfn, dynamodb, sqs):
        client.close()


async def test_a_call_that_is_refused_or_reaches_nobody(
    traces: Tracing, spans: InMemorySpanExporter, session: boto3.Session, endpoint: str
) -> None:
    sqs = session.client("sqs", endpoint_url=endpoint)
    nobody = session.client("stepfunctions", endpoint_url="http://127.0.0.1:9")
    nobody.meta.config.retries["total_max_attempts"] = 1

    await ask(traces.application(calling(lambda: sqs.get_queue_url(QueueName="none"), nobody.list_state_machines)))

    found = by_name(spans)
    assert {name: (span.status.status_code, span.attributes.get("error.type")) for name, span in found.items()} == {
        "SQS.GetQueueUrl": (StatusCode.ERROR, "AWS.SimpleQueueService.NonExistentQueue"),
        "SFN.ListStateMachines": (StatusCode.ERROR, "EndpointConnectionError"),
        "GET": (StatusCode.UNSET, None),
    }
    sqs.close()
    nobody.close()


async def test_a_call_outside_of_any_request_is_no_trace(
    spans: InMemorySpanExporter, session: boto3.Session, endpoint: str
) -> None:
    """A queue is polled all the time."""
    client = session.client("sqs", endpoint_url=endpoint)
    await asyncio.to_thread(client.list_queues)
    client.close()

    assert spans.get_finished_spans() == ()


async def test_a_trace_goes_on_where_its_client_began_it(traces: Tracing, spans: InMemorySpanExporter) -> None:
    await ask(traces.application(calling()), traceparent=f"00-{TRACE}-{SPAN}-01")

    (span,) = spans.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN


@pytest.mark.parametrize("header", ["", "x", f"00-{TRACE}-{SPAN}", "é" * 50, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_bad_trace_header_is_none(traces: Tracing, spans: InMemorySpanExporter, header: str) -> None:
    transport = httpx.ASGITransport(traces.application(calling()))
    async with httpx.AsyncClient(transport=transport, base_url="http://wfm") as client:
        await client.get("/", headers={"traceparent": header.encode("latin-1")})

    (span,) = spans.get_finished_spans()
    assert span.parent is None


async def test_an_application_that_fails(traces: Tracing, spans: InMemorySpanExporter) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a bug")

    await ask(traces.application(failing))

    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


async def test_a_batch_of_status_changes_is_a_span(traces: Tracing, spans: InMemorySpanExporter) -> None:
    async def deliver(changes: Any) -> Any:
        return [OSError("disk full") for _ in changes]

    assert len(await traces.delivering(deliver)([1, 2])) == 2

    (span,) = spans.get_finished_spans()
    assert (span.kind, span.attributes["messaging.batch.message_count"]) == (SpanKind.CONSUMER, 2)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "2 could not be stored")


# ---------------------------------------------------------------------- the service


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes traces, and says what it got."""

    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    class Ours(Collector):
        got: list[tuple[str, bytes]] = []  # noqa: RUF012

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ours)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}", Ours.got
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.mark.parametrize("by", ["setting", "variable"])
async def test_the_service_sends_what_it_traced(
    collector: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """At the latest when it stops; names of paths rather than what stood in them."""
    url, got = collector
    if by == "variable":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    settings = Settings(port=0, store="memory", otel_endpoint=url if by == "setting" else "")

    async with service(settings) as running, httpx.AsyncClient(base_url=running.server.url) as client:
        assert (await client.get("/workflows/nobody")).status_code == 404
        assert (await client.get("/nowhere")).status_code == 404
        target = {"x-amz-target": "AWSStepFunctions.ListActivities"}
        assert (await client.post("/", headers=target, content=b"{}")).status_code == 200

    [(path, body)] = got
    assert path == "/v1/traces"
    for text in (b"workflow-manager", b"GET /workflows/{workflowID}", b"AWSStepFunctions.ListActivities"):
        assert text in body


async def test_a_collector_that_is_gone_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(port=0, store="memory", otel_endpoint="http://127.0.0.1:9")

    async with asyncio.timeout(10):
        async with service(settings) as running, httpx.AsyncClient(base_url=running.server.url) as client:
            assert (await client.get("/_health")).status_code == 200


async def test_without_opentelemetry_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "workflow_manager.tracing.spans", None)

    with pytest.raises(CannotServe, match=r"install workflow-manager\[otel\], or leave out --otel-endpoint"):
        async with service(Settings(port=0, store="memory", otel_endpoint="http://127.0.0.1:9")):
            pass


@pytest.mark.parametrize(
    ("endpoint", "environ", "expected"),
    [
        pytest.param("", {}, False, id="off by default"),
        pytest.param("http://c", {}, True, id="the setting"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True, id="the general variable"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True, id="the variable for traces"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, id="an empty variable is not set"),
        pytest.param("http://c", {"OTEL_SDK_DISABLED": "true"}, False, id="disabled"),
        pytest.param("http://c", {"OTEL_TRACES_EXPORTER": "none"}, False, id="no traces"),
    ],
)
def test_who_wants_traces(endpoint: str, environ: dict[str, str], expected: bool) -> None:
    assert wanted(endpoint, environ) is expected


OFF = """
import asyncio, sys
from workflow_manager.composition import service
from workflow_manager.settings import Settings
import httpx

async def main():
    async with service(Settings(port=0, store="memory")) as running:
        async with httpx.AsyncClient(base_url=running.server.url) as client:
            assert (await client.get("/workflows")).status_code == 200
        print(running.server._uvicorn.config.app.__qualname__)

asyncio.run(main())
# Litestar looks at the names of attributes, if they are installed
parts = {name.split(".")[1] for name in sys.modules if name.startswith("opentelemetry.")}
print(sorted(parts - {"semconv"}))
print("workflow_manager.tracing.spans" in sys.modules)
"""


def test_when_it_is_off_nothing_is_imported_and_nothing_stands_in_the_way() -> None:
    """The application that uvicorn calls is the very one that it calls without this package."""
    answer = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True, timeout=60)

    assert answer.stdout.splitlines()[-3:] == ["dispatch.<locals>.application", "[]", "False"]
