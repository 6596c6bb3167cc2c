"""A bare client of the Step Functions wire for tests that kill servers: one connection, no retries of its own."""

from __future__ import annotations

import http.client
import json
from typing import Any, Self


class Refused(Exception):
    """The server answered an error: ``code``, ``message``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Unreachable(Exception):
    """No answer: the server is gone, or went while it was asked."""


class StepFunctionsHttp:
    def __init__(self, port: int, timeout: float = 70.0) -> None:
        self._port = port
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Raises Refused, Unreachable."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AWSStepFunctions.{operation}",
        }
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
            self._connection.request("POST", "/", json.dumps(parameters), headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(str(error)) from None
        answer = json.loads(body) if body else {}
        if response.status == 200:
            return answer
        if response.status >= 500:
            raise Unreachable(f"{response.status} {answer}")
        raise Refused(answer["__type"].rsplit("#")[-1], answer.get("message", ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
