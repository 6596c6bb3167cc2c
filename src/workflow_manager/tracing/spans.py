"""The spans: around an ASGI application, around what takes status changes, and around botocore's calls, by its events.

A call to AWS is a child of the span that is current where it is made, and is no span at all where none is: polls of a queue
make no traces of their own. Threads must run calls in their caller's context (contextvars.copy_context) for that.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import boto3
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

T = TypeVar("T")
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application."""

TRACES_PATH = "/v1/traces"
FLUSH_SECONDS = 2.0
"""How long is waited for the last spans to be taken, by a server that stops or a function that has to answer."""
_SPAN = "workflow_manager.span"
"""Where botocore's context of a call keeps its span."""


def exporting(endpoint: str, environ: Mapping[str, str]) -> Tracing:
    """Spans that are sent to a collector: the endpoint's, or that of OpenTelemetry's variables when it is empty."""
    attributes = {"service.version": importlib.metadata.version("workflow-manager")}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes["service.name"] = "workflow-manager"
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=_traces(endpoint)) if endpoint else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


class Tracing:
    """Makes spans of a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("workflow_manager", importlib.metadata.version("workflow-manager"))
        self._propagator = TraceContextTextMapPropagator()

    def application(self, inner: Application) -> Application:
        """An application whose every request is a span, a child of the one that the request's ``traceparent`` names."""

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            method, target = scope["method"], headers.get("x-amz-target", "")
            with self._tracer.start_as_current_span(
                target or method,
                context=self._propagator.extract(headers),
                kind=SpanKind.SERVER,
                attributes={"http.request.method": method, "url.path": scope["path"]},
            ) as span:

                async def watched(message: Any) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= 500:
                            span.set_status(Status(StatusCode.ERROR))
                    await send(message)

                await inner(scope, receive, watched)
                if route := scope.get("path_template"):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                if request_id := scope.get("state", {}).get("request_id"):
                    span.set_attribute("request.id", request_id)

        return traced

    def delivering(
        self, inner: Callable[[Sequence[T]], Awaitable[Sequence[BaseException | None]]], *, sent: bool = False
    ) -> Callable[[Sequence[T]], Awaitable[Sequence[BaseException | None]]]:
        """What takes status changes, each batch a span.

        ``sent``: the spans are sent before a batch is answered, for a process that is held up as soon as it has answered.
        """

        async def traced(changes: Sequence[T]) -> Sequence[BaseException | None]:
            with self._tracer.start_as_current_span(
                "status changes", kind=SpanKind.CONSUMER, attributes={"messaging.batch.message_count": len(changes)}
            ) as span:
                outcomes = await inner(changes)
                failed = sum(outcome is not None for outcome in outcomes)
                if failed:
                    span.set_status(Status(StatusCode.ERROR, f"{failed} could not be stored"))
                return outcomes

        async def traced_and_sent(changes: Sequence[T]) -> Sequence[BaseException | None]:
            try:
                return await traced(changes)
            finally:
                await asyncio.to_thread(self._provider.force_flush, int(FLUSH_SECONDS * 1000))

        return traced_and_sent if sent else traced

    def instrument(self, session: boto3.Session) -> None:
        """Make a span of each call of the clients that are made from the session from now on."""
        session.events.register("before-call", self._begin)
        session.events.register("after-call", self._end)
        session.events.register("after-call-error", self._break_off)

    def close(self) -> None:
        """Send what is left, for a while. Blocks."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)

    def _begin(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        if not trace.get_current_span().is_recording():
            return
        service = str(model.service_model.service_id)
        context[_SPAN] = self._tracer.start_span(
            f"{service}.{model.name}",
            kind=SpanKind.CLIENT,
            attributes={"rpc.system": "aws-api", "rpc.service": service, "rpc.method": model.name},
        )

    def _end(self, http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        span = context.pop(_SPAN, None)
        if span is None:
            return
        span.set_attribute("http.response.status_code", http_response.status_code)
        answer = parsed.get("ResponseMetadata", {})
        if request_id := answer.get("RequestId"):
            span.set_attribute("aws.request_id", request_id)
        if retries := answer.get("RetryAttempts"):
            span.set_attribute("http.request.resend_count", retries)
        if http_response.status_code >= 300:
            code = parsed.get("Error", {}).get("Code", "")
            span.set_attribute("error.type", code)
            span.set_status(Status(StatusCode.ERROR, code))
        span.end()

    def _break_off(self, exception: BaseException, context: dict[str, Any], **_: Any) -> None:
        span = context.pop(_SPAN, None)
        if span is not None:
            span.set_attribute("error.type", type(exception).__name__)
            span.set_status(Status(StatusCode.ERROR, str(exception)))
            span.end()


def _traces(endpoint: str) -> str:
    return endpoint if endpoint.endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH
