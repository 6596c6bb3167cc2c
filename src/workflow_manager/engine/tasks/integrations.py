"""Integrations: tasks that something outside the engine carries out.

Called after the commit that scheduled them, at least once (again after a crash), and never by the writer itself. What they
answer comes back as a stimulus. A call that nobody waits for any more (its task timed out, its execution was stopped) is
cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol, runtime_checkable

import msgspec
from msgspec import Struct

LAMBDA = "lambda"
"""The integration that also carries out Tasks whose Resource is a function's ARN; their ``action`` is empty."""


class IntegrationCall(Struct, frozen=True, kw_only=True):
    """What a Task asks for: its resource (an ARN), arguments as JSON text, and a token for who answers later.

    ``role_arn``: the role of the state's Credentials, to be assumed for the call.
    """

    execution_arn: str
    state_machine_arn: str = ""
    resource: str
    service: str = ""
    action: str
    pattern: str
    arguments: str
    task_token: str
    role_arn: str | None = None


class IntegrationFailed(Exception):
    """The call failed: ``error`` is what Retry and Catch match."""

    def __init__(self, error: str, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


def answered(output: str) -> str:
    """What an integration answered, if it is JSON that can be passed on. Raises IntegrationFailed.

    What a service or a function sends is its own affair; in a step it could only be found out when it is too late.
    """
    try:
        msgspec.json.decode(output)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise IntegrationFailed("States.TaskFailed", f"The result of the task is not JSON: {error}") from None
    return output


class HttpExchange(Struct, frozen=True, kw_only=True):
    """One HTTP request and its response; headers are (name, value).

    ``defined_url``, ``defined_headers`` and ``defined_body``: the request without what is secret in it, that is, without what
    the connection of an HTTP Task added.
    """

    method: str
    url: str
    request_headers: list[tuple[str, str]]
    request_body: str
    defined_url: str
    defined_headers: list[tuple[str, str]]
    defined_body: str
    status: int
    status_text: str
    response_headers: list[tuple[str, str]]
    response_body: str


class Integration(Protocol):
    """One service. ``actions``: those that can be called, as Resources spell them; those that run jobs end in ``.sync``."""

    actions: Collection[str]

    async def invoke(self, call: IntegrationCall, /) -> str:
        """Carry the call out; answer its result as JSON text. Raises IntegrationFailed."""
        ...


@runtime_checkable
class ShowsExchanges(Protocol):
    """What an Integration is besides, when its calls are HTTP requests that TestState shows."""

    async def invoke_showing(self, call: IntegrationCall, show: Callable[[HttpExchange], None], /) -> str:
        """As ``invoke``; ``show`` is called with what was exchanged, also where the call then fails."""
        ...


@runtime_checkable
class Jobs(Protocol):
    """What an Integration is besides, when it has actions that end in ``.sync``."""

    async def result(self, call: IntegrationCall, submitted: str, /) -> str | None:
        """The result of the job that ``invoke`` answered ``submitted`` for; None while it runs.

        Raises IntegrationFailed when the job failed, or will never be heard of again.
        """
        ...

    async def cancel(self, call: IntegrationCall, submitted: str, /) -> None:
        """Stop the job, as far as its service can: nobody waits for it any more."""
        ...


class Offered(Collection[str]):
    """The tasks that an engine executes, as asl/support.py asks for them: ``native`` ones, and those of integrations.

    An integration is asked for its actions only when one of them is asked for: there may be hundreds.
    """

    def __init__(self, native: Collection[str], integrations: Mapping[str, Integration]) -> None:
        self._native = native
        self._integrations = integrations

    def __contains__(self, name: object) -> bool:
        if name in self._native or (name == LAMBDA and LAMBDA in self._integrations):
            return True
        service, colon, action = str(name).rpartition(":")
        integration = self._integrations.get(service) if colon else None
        return integration is not None and action in integration.actions

    def __iter__(self) -> Iterator[str]:
        yield from self._native
        yield from self._integrations

    def __len__(self) -> int:
        return len(self._native) + len(self._integrations)
