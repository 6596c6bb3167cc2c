"""Faults on the way to AWS, made where botocore sends: what becomes of the next attempts of an operation."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

Fault: TypeAlias = Callable[[Any], AWSResponse | None]
"""Takes a request that is about to be sent; answers in the service's place, or raises as botocore's sender does.

None: the request is sent.
"""

ALWAYS = 1_000


def answered(status: int, code: str, message: str) -> Fault:
    """The service answers an error."""

    def fault(request: Any) -> AWSResponse:
        response = AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, None)
        response._content = json.dumps(
            {"__type": f"com.amazonaws.swf.service.v2.model#{code}", "message": message}
        ).encode()
        return response

    return fault


throttled = answered(400, "ThrottlingException", "Rate exceeded")
expired = answered(400, "ExpiredTokenException", "The security token included in the request is expired")
denied = answered(400, "AccessDeniedException", "User: u is not authorized to perform: states:Any")
unavailable = answered(503, "ServiceUnavailable", "Service is unavailable")


def not_connected(request: Any) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=request.url, error="connection refused")


def connects_too_slowly(request: Any) -> AWSResponse:
    raise ConnectTimeoutError(endpoint_url=request.url, error="timed out")


def request_lost(request: Any) -> AWSResponse:
    """Nothing reaches the service, but nobody here can know."""
    raise ReadTimeoutError(endpoint_url=request.url, error="timed out")


def answer_lost(request: Any) -> AWSResponse:
    """The service does as told, and its answer does not come."""
    carried_out(request)
    raise ReadTimeoutError(endpoint_url=request.url, error="timed out")


def reset(request: Any) -> AWSResponse:
    """The connection is reset once the service has done as told."""
    carried_out(request)
    raise ConnectionClosedError(endpoint_url=request.url, error="reset by peer")


def internal_error(request: Any) -> AWSResponse:
    """The service does as told, and stumbles over its answer."""
    carried_out(request)
    return answered(500, "InternalServerError", "An internal error occurred")(request)


def carried_out(request: Any) -> None:
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    try:
        urllib.request.urlopen(urllib.request.Request(request.url, request.body, headers), timeout=10).close()
    except urllib.error.HTTPError as error:  # an answer like any other: it is lost
        error.close()


class Faults:
    """What happens to attempts of operations: ``next`` has a list of faults for each, used up from its beginning.

    ``attempts`` counts all attempts of each operation. ``at`` is the call, counted from 0 by ``calls``, whose attempts all meet
    the fault ``then``; ``until_the_end`` says that those of later calls do, too, and ``only`` how many attempts do at most.
    """

    def __init__(self) -> None:
        self.next: dict[str, list[Fault]] = defaultdict(list)
        self.attempts: dict[str, int] = defaultdict(int)
        self.calls: list[str] = []
        self.at: int | None = None
        self.then: Fault = throttled
        self.until_the_end = False
        self.only = ALWAYS
        self._numbers: dict[str, int] = {}  # invocation -> the how-manieth call it is

    def watch(self, client: Any) -> None:
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}", self._before_send)

    def forget(self) -> None:
        """Count calls from 0 again; nothing goes wrong."""
        self.calls, self.at, self.until_the_end, self.only = [], None, False, ALWAYS

    def _before_send(self, request: Any, event_name: str, **_: object) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.attempts[operation] += 1
        invocation = str(request.headers["amz-sdk-invocation-id"])
        if invocation not in self._numbers:
            self._numbers[invocation] = len(self.calls)
            self.calls.append(operation)
        number = self._numbers[invocation]
        if self.only and self.at is not None and (number == self.at or (self.until_the_end and number > self.at)):
            self.only -= 1
            return self.then(request)
        faults = self.next[operation]
        return faults.pop(0)(request) if faults else None
