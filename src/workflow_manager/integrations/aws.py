"""Clients of AWS services: botocore's, made once, called in a bounded pool of threads.

Regions, credentials and endpoints come from where botocore takes them (AWS_PROFILE, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SQS,
...). Of an endpoint that is not AWS's own (an emulator) two things are forgiven: that there are no credentials, and that
there is no STS to assume the role of a task's Credentials with.
"""

from __future__ import annotations

import gzip
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from botocore import exceptions
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.parsers import ResponseParserError
from botocore.session import Session
from botocore.utils import CLIENT_NAME_TO_HYPHENIZED_SERVICE_ID_OVERRIDES as SERVICE_IDS

from workflow_manager.integrations import emulators
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.threads import Threads

K = TypeVar("K")
T = TypeVar("T")

THREADS = 64
"""How many calls of services are under way at once; more wait."""
CONNECT_SECONDS = 10
READ_SECONDS = 70
ATTEMPTS = 3
"""How often a call is made when a service throttles it or cannot be reached."""
ROLE_SECONDS = 900
"""How long the credentials of an assumed role are asked for; new ones are fetched a minute before."""
ROLE_SPARE_SECONDS = 60
CLIENTS = 200
"""How many clients, and how many roles' credentials, are kept: a definition may name any number of roles."""
MODEL = "service-2.json"
_AWS = re.compile(r"(^|\.)amazonaws\.com(\.cn)?$|\.api\.aws$")
_NOT_IN_SESSION_NAMES = re.compile(r"[^\w+=,.@-]")


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer: its members, its HTTP headers by their names in lower case, whether AWS itself gave it."""

    members: dict[str, Any]
    headers: dict[str, str]
    status: int
    request_id: str
    genuine: bool


class _Named(msgspec.Struct):
    """What is read of a service's model to know the names of its operations."""

    operations: dict[str, msgspec.Raw]


class Aws:
    """All services there are, by botocore's names for them."""

    def __init__(
        self, region: str, *, threads: int = THREADS, environ: Mapping[str, str] | None = None, on: bool = True
    ) -> None:
        """``on``: every service may be called; else only those that have an endpoint of their own."""
        self.region = region
        self._on = on
        self._environ = os.environ if environ is None else environ
        self._threads = Threads(threads, "aws")
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._models: dict[str, Any] = {}
        self._operations: dict[str, frozenset[str]] = {}
        self._roles: OrderedDict[str, tuple[float, Credentials]] = OrderedDict()

    # ------------------------------------------------------------------------------------------ what there is

    @cached_property
    def _session(self) -> Any:
        session = Session()
        session.set_config_variable("region", self._region(session))
        return session

    def _region(self, session: Any) -> str:
        """The region that botocore is configured for, else the server's own."""
        return session.get_config_variable("region") or self.region

    @cached_property
    def services(self) -> dict[str, str]:
        """Every service, as ``aws-sdk:`` Resources spell it, with botocore's name for it."""
        names = self._session.get_available_services()
        return {SERVICE_IDS.get(name, name).replace("-", ""): name for name in names}

    def may_call(self, service: str) -> bool:
        """Whether the service may be called: AWS is turned on, or the service has an endpoint of its own."""
        return self._on or self._endpoint(service) is not None

    async def model(self, service: str) -> Any:
        """The model of a service, by botocore's name for it. It is read in a thread: some are large."""
        found = self._models.get(service)
        return found if found is not None else await self.run(lambda: self.read_model(service))

    def read_model(self, service: str) -> Any:
        """The same, read here and now."""
        with self._lock:
            if service not in self._models:
                self._models[service] = self._session.get_service_model(service)
            return self._models[service]

    def operations(self, service: str) -> frozenset[str]:
        """The names of a service's operations. They are found without reading the rest of its model, in some milliseconds."""
        names = self._operations.get(service)
        if names is None:
            try:
                names = _operations(service)
            except (OSError, ValueError, msgspec.MsgspecError):  # a model that somebody put elsewhere
                names = frozenset(self.read_model(service).operation_names)
            self._operations[service] = names
        return names

    def _endpoint(self, service: str) -> str | None:
        """The endpoint that the environment gives a service (botocore's service-specific endpoints)."""
        if self._environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
            return None
        name = SERVICE_IDS.get(service, service).replace("-", "_").upper()
        return self._environ.get(f"AWS_ENDPOINT_URL_{name}") or self._environ.get("AWS_ENDPOINT_URL") or None

    def emulated(self, service: str, endpoint: str | None = None) -> bool:
        """Whether the endpoint of a service is somebody else's than AWS's."""
        url = endpoint or self._endpoint(service)
        return url is not None and not _AWS.search(urlsplit(url).hostname or "")

    # ------------------------------------------------------------------------------------------ calling

    async def call(
        self,
        service: str,
        operation: str,
        parameters: dict[str, Any],
        *,
        role_arn: str | None = None,
        session_name: str = "workflow-manager",
        endpoint: str | None = None,
        attempts: int = ATTEMPTS,
        read_seconds: float = READ_SECONDS,
    ) -> Answer:
        """Call an operation by botocore's names. Streams are read, whole. Raises Refused, Unreachable."""
        emulated = self.emulated(service, endpoint)
        refusal = emulators.refusal(service, operation, parameters) if emulated else None
        if refusal is not None:
            raise refusal

        def work() -> Answer:
            client = self._client(service, role_arn, session_name, endpoint, attempts, read_seconds)
            try:
                answer: dict[str, Any] = client._make_api_call(operation, parameters)  # noqa: SLF001 - by its AWS name
                metadata = answer.pop("ResponseMetadata", {})
                for name, member in answer.items():
                    if hasattr(member, "read"):
                        answer[name] = member.read()
            except exceptions.ClientError as error:
                refused = _refused(error)
                raise (emulators.reworded(service, refused, parameters) if emulated else refused) from None
            except ResponseParserError as error:
                said = str(error).splitlines()[0]  # what follows is the whole answer
                raise Unreachable(f"Unable to unmarshall response: {said}") from error
            except (exceptions.BotoCoreError, OSError, ValueError, TypeError, AttributeError) as error:
                raise Unreachable(_reason(error)) from error
            return Answer(
                emulators.amended(service, operation, parameters, answer) if emulated else answer,
                metadata.get("HTTPHeaders", {}),
                metadata.get("HTTPStatusCode", 200),
                metadata.get("RequestId", ""),
                not emulated,
            )

        return await self.run(work)

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work in the pool."""
        return await self._threads.run(work)

    def credentials(self, role_arn: str | None = None, session_name: str = "workflow-manager") -> Any:
        """The credentials that calls are signed with; None when there are none. Blocks. Raises Refused, Unreachable."""
        if role_arn is None:
            with self._lock:
                return self._session.get_credentials()
        return self._assumed(role_arn, session_name)

    def client(self, service: str) -> Any:
        """A client of a service for who calls it with its own words and in its own threads. Raises Unreachable."""
        return self._client(service, None, "", None, ATTEMPTS, READ_SECONDS)

    def _client(
        self,
        service: str,
        role_arn: str | None,
        session_name: str,
        endpoint: str | None,
        attempts: int,
        read_seconds: float,
    ) -> Any:
        url = endpoint or self._endpoint(service)
        emulated = self.emulated(service, endpoint)
        if (
            role_arn is not None
            and emulated
            and not (self._on and not self.emulated("sts"))
            and not self._endpoint("sts")
        ):
            role_arn = None  # an emulator of this service alone knows no roles
        credentials = self._assumed(role_arn, session_name) if role_arn is not None else None
        secret = credentials.access_key if credentials is not None else None
        key = (service, url, attempts, read_seconds, role_arn, secret)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                client = self._made(service, url, credentials, attempts, read_seconds, emulated)
            _keep(self._clients, key, client)
            return client

    def _made(
        self, service: str, url: str | None, credentials: Any, attempts: int, read_seconds: float, emulated: bool
    ) -> Any:
        session = self._session
        found = credentials or session.get_credentials()
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": read_seconds,
            "retries": {"total_max_attempts": attempts, "mode": "standard"},
            "max_pool_connections": THREADS,
            "parameter_validation": False,  # the service's own words are what AWS shows
            "response_checksum_validation": "when_required",
        }
        if emulated:
            options |= {"inject_host_prefix": False, "s3": {"addressing_style": "path"}}
            found = found or Credentials("test", "test")
        elif found is None:
            raise Unreachable(
                "Unable to load AWS credentials: give the server some as for the AWS CLI (AWS_PROFILE, AWS_ACCESS_KEY_ID)"
            )
        try:
            return session.create_client(
                service,
                region_name=self._region(session),
                endpoint_url=url,
                aws_access_key_id=found.access_key if found is not None and (credentials or emulated) else None,
                aws_secret_access_key=found.secret_key if found is not None and (credentials or emulated) else None,
                aws_session_token=found.token if found is not None and (credentials or emulated) else None,
                config=Config(**options),
            )
        except (exceptions.BotoCoreError, ValueError) as error:
            raise Unreachable(str(error)) from None

    def _assumed(self, role_arn: str, session_name: str) -> Credentials:
        """Credentials of a role; kept while they are good."""
        with self._lock:
            until, credentials = self._roles.get(role_arn, (0.0, None))
        if credentials is not None and time.monotonic() < until - ROLE_SPARE_SECONDS:
            return credentials
        sts = self._client("sts", None, "", None, ATTEMPTS, READ_SECONDS)
        try:
            assumed = sts.assume_role(
                RoleArn=role_arn,
                RoleSessionName=_NOT_IN_SESSION_NAMES.sub("-", session_name)[:64].ljust(2, "-"),
                DurationSeconds=ROLE_SECONDS,
            )["Credentials"]
        except exceptions.ClientError as error:
            raise _refused(error) from None
        except exceptions.BotoCoreError as error:
            raise Unreachable(_reason(error)) from error
        credentials = Credentials(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
        with self._lock:
            _keep(self._roles, role_arn, (time.monotonic() + ROLE_SECONDS, credentials))
        return credentials


def _keep(known: OrderedDict[K, T], key: K, value: T) -> None:
    """Keep a value as the last one used; the one that was used longest ago makes room."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > CLIENTS:
        known.popitem(last=False)


def _operations(service: str) -> frozenset[str]:
    """The names of the operations in the model that comes with botocore."""
    versions = files("botocore").joinpath("data", service)
    latest = max((each for each in versions.iterdir() if each.is_dir()), key=lambda each: each.name)
    packed = latest.joinpath(f"{MODEL}.gz")
    text = gzip.decompress(packed.read_bytes()) if packed.is_file() else latest.joinpath(MODEL).read_bytes()
    return frozenset(msgspec.json.decode(text, type=_Named).operations)


def _refused(error: Any) -> Refused:
    response = error.response
    metadata = response.get("ResponseMetadata", {})
    said = response.get("Error", {})
    message = said.get("Message") or response.get("message") or response.get("Message") or ""
    return Refused(
        said.get("QueryErrorCode") or said.get("Code") or "",
        str(message),
        metadata.get("HTTPStatusCode", 400),
        metadata.get("RequestId") or "",
        metadata.get("HostId"),
    )


def _reason(error: Exception) -> str:
    """Why a call could not be made, in the Java SDK's words where it has some."""
    cause: BaseException | None = error
    host = ""
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        host = urlsplit(error.kwargs["endpoint_url"]).hostname or ""  # type: ignore[attr-defined]
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.ConnectTimeoutError):
        text = str(getattr(error, "kwargs", {}).get("error", ""))
        if "ame or service not known" in text or "name resolution" in text or "resolve" in text:
            return f"Unable to execute HTTP request: {host}: Name or service not known"
        return f"Unable to execute HTTP request: Connect to {host} failed: Connection refused"
    if isinstance(error, exceptions.ReadTimeoutError):
        return "Unable to execute HTTP request: Read timed out"
    return f"Unable to execute HTTP request: {cause}"
