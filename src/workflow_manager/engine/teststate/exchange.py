"""The HTTP request and response of an HTTP Task, as the inspection level TRACE shows them.

Source: SFN developer guide, "Testing state machines with Step Functions Local / TestState API", HTTP Tasks.
"""

from __future__ import annotations

from workflow_manager.engine.tasks.integrations import HttpExchange
from workflow_manager.stepfunctions import types as t


def exchanged(exchange: HttpExchange, *, reveal: bool) -> tuple[t.InspectionDataRequest, t.InspectionDataResponse]:
    """``reveal``: with what the connection added to the request; else the request as the state defines it."""
    url = exchange.url if reveal else exchange.defined_url
    protocol = url.partition(":")[0]
    request = t.InspectionDataRequest(
        protocol=protocol,
        method=exchange.method,
        url=url,
        headers=_headers(exchange.request_headers if reveal else exchange.defined_headers),
        body=(exchange.request_body if reveal else exchange.defined_body) or None,
    )
    response = t.InspectionDataResponse(
        protocol=protocol,
        status_code=str(exchange.status),
        status_message=exchange.status_text,
        headers=_headers(exchange.response_headers),
        body=exchange.response_body,
    )
    return request, response


def _headers(headers: list[tuple[str, str]]) -> str:
    return f"[{', '.join(f'{name}: {value}' for name, value in headers)}]"
