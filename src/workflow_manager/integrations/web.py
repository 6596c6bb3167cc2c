"""``http:invoke`` and ``apigateway:invoke``: Tasks that send one HTTP request.

Source: SFN developer guide, "Call HTTPS APIs in Step Functions workflows" and "Call API Gateway REST APIs with Step
Functions".
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from workflow_manager.engine.tasks.integrations import HttpExchange, IntegrationCall, IntegrationFailed
from workflow_manager.integrations import shapes
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.refusals import Refused, Unreachable
from workflow_manager.integrations.sdk import encoded, unstartable

TIMEOUT_SECONDS = 60.0
"""How long an HTTP Task may take (SFN developer guide, "HTTP Task": it is aborted after 60 seconds)."""
RESPONSE_BYTES = 1 << 20
"""How long a response's body may be, by default: what is passed on may have 256 KiB, without the spaces that JSON may have."""
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")
TOKEN_SPARE_SECONDS = 30.0
RESERVED_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "user-agent"}


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How an HTTP Task proves who it is: an EventBridge connection, as CreateConnection takes it.

    ``authorization_type``: API_KEY, BASIC or OAUTH_CLIENT_CREDENTIALS; ``auth_parameters`` in EventBridge's own members.
    """

    authorization_type: str = msgspec.field(name="AuthorizationType")
    auth_parameters: dict[str, Any] = msgspec.field(name="AuthParameters")


@dataclass(slots=True)
class _Request:
    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    query: list[tuple[str, str | int | float | bool | None]] = field(default_factory=list)
    body: Any = None


class Connections:
    """Connections by ARN or name: those of a file (name -> Connection), else EventBridge's with their secrets."""

    def __init__(self, named: Mapping[str, Connection], aws: Aws | None = None) -> None:
        self._named = named
        self._aws = aws

    async def find(self, arn: str, role_arn: str | None) -> Connection:
        """Raises IntegrationFailed."""
        name = arn.rpartition(":connection/")[2].partition("/")[0]
        found = self._named.get(arn) or self._named.get(name)
        if found is not None:
            return found
        if self._aws is None or not self._aws.may_call("events"):
            raise IntegrationFailed(
                "Events.ConnectionResource.NotFound",
                f"There is no connection {name!r}; name it in the file of the setting http_connections",
            )
        try:
            described = await self._aws.call("events", "DescribeConnection", {"Name": name}, role_arn=role_arn)
            secret = await self._aws.call(
                "secretsmanager", "GetSecretValue", {"SecretId": described.members["SecretArn"]}, role_arn=role_arn
            )
        except Refused as refused:
            raise IntegrationFailed(f"Events.ConnectionResource.{_plain(refused.code)}", refused.message) from None
        except (Unreachable, KeyError) as error:
            raise IntegrationFailed("Events.ConnectionResource.Unavailable", str(error)) from None
        return _connection(described.members, secret.members.get("SecretString", "{}"))


class HttpTasks:
    """``http:invoke``."""

    def __init__(
        self,
        connections: Connections,
        *,
        response_bytes: int = RESPONSE_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.actions: Collection[str] = frozenset({"invoke"})
        self._connections = connections
        self._response_bytes = response_bytes
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport, follow_redirects=False)
        self._tokens: dict[str, tuple[float, str]] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def invoke(self, call: IntegrationCall, /) -> str:
        return await self.invoke_showing(call, lambda _: None)

    async def invoke_showing(self, call: IntegrationCall, show: Callable[[HttpExchange], None], /) -> str:
        exchange = await self._exchange(call)
        show(exchange)
        if exchange.status >= 300:
            raise IntegrationFailed(f"States.Http.StatusCode.{exchange.status}", encoded(_result(exchange)))
        return encoded(_result(exchange))

    async def _exchange(self, call: IntegrationCall) -> HttpExchange:
        """Send the request, authorised as its connection says. Raises IntegrationFailed when no response came."""
        arguments = msgspec.json.decode(call.arguments)
        request = _request(arguments, call)
        authentication = arguments.get("Authentication") or arguments.get("InvocationConfig") or {}
        arn = authentication.get("ConnectionArn") if isinstance(authentication, dict) else None
        if not isinstance(arn, str):
            raise unstartable(call, ["The field 'Authentication' must name a connection by its ConnectionArn"])
        connection = await self._connections.find(arn, call.role_arn)
        defined_body = _encoded(request, arguments.get("Transform"))
        defined = _Request(request.method, request.url, [*request.headers], [*request.query])
        body = await self._authorised(arn, connection, request, defined_body)
        return await _sent(
            self._client, request, body, "States.Http.Socket", self._response_bytes, defined, defined_body
        )

    async def _authorised(self, arn: str, connection: Connection, request: _Request, body: bytes) -> bytes:
        parameters = connection.auth_parameters
        match connection.authorization_type:
            case "API_KEY":
                key = parameters.get("ApiKeyAuthParameters", {})
                _set(request.headers, str(key.get("ApiKeyName", "")), str(key.get("ApiKeyValue", "")))
            case "BASIC":
                basic = parameters.get("BasicAuthParameters", {})
                text = f"{basic.get('Username', '')}:{basic.get('Password', '')}"
                _set(request.headers, "Authorization", "Basic " + base64.b64encode(text.encode()).decode())
            case "OAUTH_CLIENT_CREDENTIALS":
                token = await self._token(arn, parameters.get("OAuthParameters", {}))
                _set(request.headers, "Authorization", f"Bearer {token}")
        return _with_invocation_parameters(parameters.get("InvocationHttpParameters", {}), request, body)

    async def _token(self, arn: str, parameters: dict[str, Any]) -> str:
        """A token by client credentials; kept until it is about to expire."""
        until, token = self._tokens.get(arn, (0.0, ""))
        if time.monotonic() < until:
            return token
        client = parameters.get("ClientParameters", {})
        form = {"grant_type": "client_credentials"}
        form |= {"client_id": client.get("ClientID", ""), "client_secret": client.get("ClientSecret", "")}
        extra = parameters.get("OAuthHttpParameters", {})
        form |= _pairs(extra.get("BodyParameters"))
        try:
            response = await self._client.request(
                parameters.get("HttpMethod", "POST"),
                parameters.get("AuthorizationEndpoint", ""),
                data=form,
                headers=_pairs(extra.get("HeaderParameters")),
                params=_pairs(extra.get("QueryStringParameters")) or None,
            )
            answer = response.raise_for_status().json()
            token = str(answer["access_token"])
        except httpx.HTTPStatusError as error:  # whose text has the address with its query, where a secret may be
            why = f"The authorization endpoint answered {error.response.status_code}"
            raise IntegrationFailed("Events.ConnectionResource.AuthorizationFailed", why) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            why = f"The authorization endpoint gave no token: {_reason(error)}"
            raise IntegrationFailed("Events.ConnectionResource.AuthorizationFailed", why) from None
        lifetime = answer.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) else 0.0
        self._tokens[arn] = (time.monotonic() + seconds - TOKEN_SPARE_SECONDS, token)
        return token


class ApiGateway:
    """``apigateway:invoke``. An endpoint that begins with http:// or https:// is called as it stands."""

    def __init__(
        self,
        region: str,
        aws: Aws | None = None,
        *,
        response_bytes: int = RESPONSE_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.actions: Collection[str] = frozenset({"invoke"})
        self._response_bytes = response_bytes
        self._region = region
        self._aws = aws
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, transport=transport, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def invoke(self, call: IntegrationCall, /) -> str:
        arguments = msgspec.json.decode(call.arguments)
        request = _request(arguments, call)
        body = _json_body(request, nulls=bool(arguments.get("AllowNullValues", True)))
        if call.pattern == "waitForTaskToken" and not request.url:
            raise unstartable(call, ["The field 'ApiEndpoint' is required but was missing"])
        auth = arguments.get("AuthType") or "NO_AUTH"
        if auth in ("IAM_ROLE", "RESOURCE_POLICY"):
            await self._sign(request, body, call)
        exchange = await _sent(self._client, request, body, "ApiGateway.SdkClientException", self._response_bytes)
        if exchange.status >= 400:
            raise IntegrationFailed(f"ApiGateway.{exchange.status}", exchange.response_body)
        return encoded(_result(exchange))

    async def _sign(self, request: _Request, body: bytes, call: IntegrationCall) -> None:
        if self._aws is None:
            raise IntegrationFailed("ApiGateway.SdkClientException", "AWS is not turned on; set aws_integrations")
        aws = self._aws
        try:
            credentials = await aws.run(lambda: aws.credentials(call.role_arn, call.execution_arn[-64:]))
        except (Refused, Unreachable) as error:
            raise IntegrationFailed("ApiGateway.SdkClientException", error.message) from None
        if credentials is None:
            raise IntegrationFailed("ApiGateway.SdkClientException", "Unable to load AWS credentials")
        url = str(httpx.URL(request.url, params=request.query) if request.query else request.url)
        signed = AWSRequest(request.method, url, dict(request.headers), body)
        SigV4Auth(credentials, "execute-api", self._region).add_auth(signed)
        for name, value in signed.headers.items():
            _set(request.headers, name, value)


# ---------------------------------------------------------------------- making requests


def _request(arguments: Any, call: IntegrationCall) -> _Request:
    """What http:invoke and apigateway:invoke have in common. Raises IntegrationFailed."""
    if not isinstance(arguments, dict):
        raise unstartable(call, ["The Parameters must be an object"])
    endpoint, method = arguments.get("ApiEndpoint"), arguments.get("Method")
    unfit = [
        f"The value for the field '{name}' must be a STRING"
        for name, value in (("ApiEndpoint", endpoint), ("Method", method))
        if not isinstance(value, str)
    ]
    unfit += [
        f"The value for the field '{name}' must be a MAP"
        for name in ("Headers", "QueryParameters")
        if not isinstance(arguments.get(name), dict | None)
    ]
    if unfit:
        raise unstartable(call, unfit)
    if method not in METHODS:
        raise unstartable(call, [f"The value for the field 'Method' must be one of {', '.join(METHODS)}"])
    url = str(endpoint)
    if not url.startswith(("http://", "https://")):
        url = f"https://{url}"
    for part in ("Stage", "Path"):
        if arguments.get(part):
            url = f"{url.rstrip('/')}/{str(arguments[part]).lstrip('/')}"
    request = _Request(str(method), url, body=arguments.get("RequestBody"))
    for name, value in (arguments.get("Headers") or {}).items():
        if name.lower() not in RESERVED_HEADERS:
            request.headers.append((name, ", ".join(_texts(value))))
    for name, value in (arguments.get("QueryParameters") or {}).items():
        request.query += [(name, text) for text in _texts(value)]
    return request


def _json_body(request: _Request, *, nulls: bool = True) -> bytes:
    body = request.body
    if not nulls:
        body = _without_nulls(body)
    if body is None:
        return b""
    if not any(name.lower() == "content-type" for name, _ in request.headers):
        request.headers.append(("Content-Type", "application/json"))
    return msgspec.json.encode(body)


def _encoded(request: _Request, transform: Any) -> bytes:
    """The body: JSON, or a form when Transform or the Content-Type header says so."""
    options = transform if isinstance(transform, dict) else {}
    kind = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    wanted = options.get("RequestBodyEncoding") or ("URL_ENCODED" if "x-www-form-urlencoded" in kind else "NONE")
    if wanted != "URL_ENCODED" or not isinstance(request.body, dict):
        if isinstance(request.body, str) and kind and "json" not in kind:
            return request.body.encode()
        return _json_body(request)
    encoding = options.get("RequestEncodingOptions")
    arrays = str(encoding.get("ArrayFormat", "")) if isinstance(encoding, dict) else ""
    _set(request.headers, "Content-Type", "application/x-www-form-urlencoded")
    return urlencode(list(_form(request.body, "", arrays))).encode()


def _form(value: Any, name: str, arrays: str) -> list[tuple[str, str]]:
    """Nested values as form fields; ``arrays``: INDICES, REPEAT, COMMAS, BRACKETS or NONE."""
    match value:
        case dict():
            return [
                pair
                for key, item in value.items()
                for pair in _form(item, f"{name}[{key}]" if name else str(key), arrays)
            ]
        case list() if arrays == "COMMAS":
            return [(name, ",".join(shapes.as_text(item) for item in value))]
        case list():
            names = {"REPEAT": "{0}", "BRACKETS": "{0}[]"}.get(arrays, "{0}[{1}]")
            return [pair for index, item in enumerate(value) for pair in _form(item, names.format(name, index), arrays)]
        case _:
            return [(name, "" if value is None else shapes.as_text(value))]


def _with_invocation_parameters(extra: dict[str, Any], request: _Request, body: bytes) -> bytes:
    """A connection's own parameters go with every request; they win over the Task's."""
    for name, value in _pairs(extra.get("HeaderParameters")).items():
        _set(request.headers, name, value)
    for name, value in _pairs(extra.get("QueryStringParameters")).items():
        request.query = [(key, text) for key, text in request.query if key != name] + [(name, value)]
    added = _pairs(extra.get("BodyParameters"))
    if added and isinstance(request.body, dict | None):
        request.body = {**(request.body or {}), **added}
        return _json_body(request)
    return body


async def _sent(
    client: httpx.AsyncClient,
    request: _Request,
    body: bytes,
    unreachable: str,
    response_bytes: int,
    defined: _Request | None = None,
    defined_body: bytes | None = None,
) -> HttpExchange:
    """Send a request. ``defined`` and its body: the same without what is secret. Raises IntegrationFailed."""
    defined = defined or request
    try:
        made = client.build_request(
            request.method,
            request.url,
            headers=request.headers,
            params=request.query or None,
            content=body if body or request.method in ("POST", "PUT", "PATCH") else None,
        )
        async with asyncio.timeout(TIMEOUT_SECONDS):
            response = await client.send(made, stream=True)
            try:
                text = await _text(response, response_bytes)
            finally:
                await response.aclose()
    except TimeoutError:
        raise IntegrationFailed(unreachable, f"No response within {TIMEOUT_SECONDS:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise IntegrationFailed(unreachable, f"{_host(request.url)} cannot be reached: {_reason(error)}") from None
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in made.headers.raw]
    secret = {pair[0].lower() for pair in request.headers if pair not in defined.headers}
    return HttpExchange(
        method=request.method,
        url=str(made.url),
        request_headers=headers,
        request_body=body.decode(errors="replace"),
        defined_url=str(httpx.URL(defined.url, params=defined.query) if defined.query else httpx.URL(defined.url)),
        defined_headers=[(name, value) for name, value in headers if name.lower() not in secret],
        defined_body=(body if defined_body is None else defined_body).decode(errors="replace"),
        status=response.status_code,
        status_text=response.reason_phrase or _phrase(response.status_code),
        response_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw],
        response_body=text,
    )


async def _text(response: httpx.Response, most: int) -> str:
    """A response's body, which is not read further than it may be long. Raises IntegrationFailed."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > most:
            raise IntegrationFailed(
                "States.DataLimitExceeded", f"The response is longer than {most} bytes, more than can be passed on."
            )
    try:
        return body.decode(response.encoding or "utf-8", errors="replace")
    except LookupError:  # what the response says that it is written in is none for text
        return body.decode(errors="replace")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def _reason(error: Exception) -> str:
    """Why there is no answer. What is wrong with a request is not repeated: it may be a secret, in a header."""
    text = "" if isinstance(error, httpx.LocalProtocolError | UnicodeError) else str(error)
    return text or type(error).__name__


def _result(exchange: HttpExchange) -> dict[str, Any]:
    """The Task's result."""
    return {
        "Headers": _listed(exchange.response_headers),
        "ResponseBody": _value(exchange.response_body),
        "StatusCode": exchange.status,
        "StatusText": exchange.status_text,
    }


def _connection(described: dict[str, Any], secret: str) -> Connection:
    """A connection of EventBridge, with the secret that EventBridge keeps of it."""
    parameters = dict(described.get("AuthParameters") or {})
    kind = described.get("AuthorizationType", "")
    values = _value(secret)
    values = values if isinstance(values, dict) else {}
    match kind:
        case "API_KEY":
            parameters["ApiKeyAuthParameters"] = {
                "ApiKeyName": values.get("api_key_name"),
                "ApiKeyValue": values.get("api_key_value"),
            }
        case "BASIC":
            parameters["BasicAuthParameters"] = {
                "Username": values.get("username"),
                "Password": values.get("password"),
            }
        case "OAUTH_CLIENT_CREDENTIALS":
            given = parameters.get("OAuthParameters", {})
            parameters["OAuthParameters"] = given | {
                "ClientParameters": {
                    "ClientID": values.get("client_id"),
                    "ClientSecret": values.get("client_secret"),
                }
            }
    if isinstance(values.get("invocation_http_parameters"), dict):
        parameters["InvocationHttpParameters"] = values["invocation_http_parameters"]
    return Connection(authorization_type=str(kind), auth_parameters=parameters)


def _pairs(parameters: Any) -> dict[str, str]:
    """EventBridge's lists of parameters: ``[{"Key": ..., "Value": ...}]``."""
    return {str(item.get("Key", "")): str(item.get("Value", "")) for item in parameters or () if isinstance(item, dict)}


def _set(headers: list[tuple[str, str]], name: str, value: str) -> None:
    headers[:] = [(key, old) for key, old in headers if key.lower() != name.lower()] + [(name, value)]


def _texts(value: Any) -> list[str]:
    return [shapes.as_text(item) for item in value] if isinstance(value, list) else [shapes.as_text(value)]


def _listed(headers: list[tuple[str, str]]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, value in headers:
        listed.setdefault(name, []).append(value)
    return listed


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _plain(code: str) -> str:
    return code.removesuffix("Exception") or "Unavailable"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
