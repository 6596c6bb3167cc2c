"""Which integrations a server has: its settings in, a mapping for the engine out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from workflow_manager.engine.tasks.integrations import LAMBDA, Integration
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.functions import LambdaFunctions, UnusableFunction, load_functions
from workflow_manager.integrations.kubernetes import Eks
from workflow_manager.integrations.optimised import SERVICES, Optimised, optimised_services
from workflow_manager.integrations.sdk import SdkServices
from workflow_manager.integrations.web import RESPONSE_BYTES, ApiGateway, Connection, Connections, HttpTasks


class UnusableIntegrations(Exception):
    """A setting of the integrations cannot be used; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationSettings:
    """``aws``: on, off, or auto: only services that have an endpoint. ``functions``: name -> ``module:callable``.

    ``response_bytes``: how long a response to an HTTP request may be.
    """

    aws: str = "auto"
    region: str = "us-east-1"
    account: str = "000000000000"
    functions: Mapping[str, str] = field(default_factory=dict)
    lambda_endpoint: str = ""
    connections: str = ""
    calls: int = 64
    response_bytes: int = RESPONSE_BYTES


class Chosen(Mapping[str, Integration]):
    """The integrations by service. SDK services are made when they are asked for: there are hundreds."""

    def __init__(self, named: Mapping[str, Integration], sdk: SdkServices | None) -> None:
        self._named = named
        self._sdk = sdk

    def __getitem__(self, name: str) -> Integration:
        found = self._named.get(name)
        if found is not None:
            return found
        if self._sdk is None:
            raise KeyError(name)
        return self._sdk[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._named
        if self._sdk is not None:
            yield from self._sdk

    def __len__(self) -> int:
        return len(self._named) + (len(self._sdk) if self._sdk is not None else 0)


def choose(settings: IntegrationSettings, stack: AsyncExitStack) -> Chosen:
    """Make the integrations; what they hold is let go with ``stack``. Raises UnusableIntegrations."""
    aws = Aws(settings.region, threads=settings.calls, on=settings.aws == "on") if settings.aws != "off" else None
    named: dict[str, Integration] = dict(optimised_services(aws)) if aws is not None else {}
    if aws is not None and "eks" in named:
        named["eks"] = Eks(Optimised(aws, "eks", SERVICES["eks"]), aws)
    try:
        functions = load_functions(settings.functions)
    except UnusableFunction as error:
        raise UnusableIntegrations(f"lambda_functions: {error}") from None
    remote = aws if aws is not None and aws.may_call("lambda") else None
    if settings.lambda_endpoint:
        remote = aws or Aws(settings.region, threads=settings.calls, on=False)
    if functions or remote is not None:
        named[LAMBDA] = LambdaFunctions(
            functions,
            aws=remote,
            endpoint=settings.lambda_endpoint or None,
            limit=settings.calls,
            region=settings.region,
            account=settings.account,
        )
    connections = _connections(settings.connections)
    if connections or (aws is not None and aws.may_call("events")):
        http = HttpTasks(Connections(connections, aws), response_bytes=settings.response_bytes)
        stack.push_async_callback(http.close)
        named["http"] = http
    if aws is not None and aws.may_call("apigateway"):
        gateway = ApiGateway(settings.region, aws, response_bytes=settings.response_bytes)
        stack.push_async_callback(gateway.close)
        named["apigateway"] = gateway
    return Chosen(named, SdkServices(aws) if aws is not None else None)


def _connections(file: str) -> dict[str, Connection]:
    if not file:
        return {}
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=dict[str, Connection])
    except OSError as error:
        raise UnusableIntegrations(f"http_connections: {file} cannot be read ({error.strerror})") from None
    except msgspec.DecodeError as error:
        raise UnusableIntegrations(f"http_connections: {file}: {error}") from None
