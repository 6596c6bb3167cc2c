"""OpenTelemetry traces: a span for every request of either API, with its calls to AWS as children.

Off unless a collector is named, by the setting or by OpenTelemetry's own variables. While it is off nothing of OpenTelemetry is
imported, no application is wrapped and no hook registered: a request takes the path that it takes without this package.
Trace context is taken from requests, and sent to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_manager.tracing.spans import Tracing

NAMED_BY = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables that name a collector (OpenTelemetry Protocol Exporter, "Endpoint Configuration")."""


class CannotTrace(Exception):
    """A collector is named, but OpenTelemetry is not installed. The message is one sentence."""


def wanted(endpoint: str, environ: Mapping[str, str]) -> bool:
    """Whether traces are to be sent: someone names a collector, and nobody switches them off."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(endpoint) or any(environ.get(name) for name in NAMED_BY)


def tracing(endpoint: str, environ: Mapping[str, str]) -> Tracing | None:
    """What traces, or None if nobody wants it. Raises CannotTrace."""
    if not wanted(endpoint, environ):
        return None
    try:
        from workflow_manager.tracing.spans import exporting
    except ImportError as error:
        raise CannotTrace(
            f"traces need OpenTelemetry, which is not installed ({error}): install workflow-manager[otel], or leave out "
            "--otel-endpoint and OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from None
    return exporting(endpoint, environ)
