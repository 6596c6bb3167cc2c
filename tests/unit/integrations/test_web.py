"""HTTP Tasks and API Gateway: what is sent, how it is authorised, what comes of the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from stand_ins import StandIn, called

from workflow_manager.engine.tasks.integrations import IntegrationFailed
from workflow_manager.integrations.refusals import Refused
from workflow_manager.integrations.web import ApiGateway, Connection, Connections, HttpTasks

ARN = "arn:aws:events:us-east-1:000000000000:connection/c/11111111-2222"
KEY = Connection(
    authorization_type="API_KEY",
    auth_parameters={"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"}},
)
BASIC = Connection(
    authorization_type="BASIC",
    auth_parameters={
        "BasicAuthParameters": {"Username": "u", "Password": "p"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "x-all", "Value": "1"}],
            "QueryStringParameters": [{"Key": "q", "Value": "2"}],
            "BodyParameters": [{"Key": "b", "Value": "3"}],
        },
    },
)
OAUTH = Connection(
    authorization_type="OAUTH_CLIENT_CREDENTIALS",
    auth_parameters={
        "OAuthParameters": {
            "AuthorizationEndpoint": "https://auth.test/token",
            "HttpMethod": "POST",
            "ClientParameters": {"ClientID": "id", "ClientSecret": "secret"},
            "OAuthHttpParameters": {"BodyParameters": [{"Key": "scope", "Value": "all"}]},
        }
    },
)


class Recorder:
    """A server: keeps the requests it gets, answers what the test says."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.requests: list[httpx.Request] = []
        self._status, self._body = status, body

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host == "auth.test":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return httpx.Response(self._status, json=self._body)


async def sent(server: Any, connection: Connection = KEY, **arguments: Any) -> Any:
    tasks = HttpTasks(Connections({"c": connection}), transport=httpx.MockTransport(server))
    given = {"ApiEndpoint": "https://api.test/a", "Method": "POST", "Authentication": {"ConnectionArn": ARN}}
    try:
        return json.loads(await tasks.invoke(called("http", "invoke", given | arguments)))
    finally:
        await tasks.close()


async def test_the_result() -> None:
    result = await sent(Recorder(201, {"a": 1}))

    assert (result["StatusCode"], result["StatusText"], result["ResponseBody"]) == (201, "Created", {"a": 1})
    assert {name.lower(): value for name, value in result["Headers"].items()}["content-type"] == ["application/json"]


async def test_a_request() -> None:
    server = Recorder()

    await sent(server, Headers={"x-a": "1"}, QueryParameters={"n": 1, "m": ["a", "b"]}, RequestBody={"k": None})

    [request] = server.requests
    assert str(request.url) == "https://api.test/a?n=1&m=a&m=b"
    assert (request.headers["x-a"], request.headers["content-type"]) == ("1", "application/json")
    assert request.content == b'{"k":null}'


async def test_an_api_key() -> None:
    server = Recorder()
    await sent(server)
    assert server.requests[0].headers["x-key"] == "secret"


async def test_basic_authorisation_and_what_goes_with_every_request() -> None:
    server = Recorder()

    await sent(server, BASIC, RequestBody={"a": 1}, Headers={"authorization": "mine"})

    [request] = server.requests
    assert (request.headers["authorization"], request.headers["x-all"]) == ("Basic dTpw", "1")
    assert (request.url.params["q"], json.loads(request.content)) == ("2", {"a": 1, "b": "3"})


async def test_client_credentials_are_fetched_once() -> None:
    server = Recorder()
    tasks = HttpTasks(Connections({ARN: OAUTH}), transport=httpx.MockTransport(server))
    arguments = {"ApiEndpoint": "api.test", "Method": "GET", "InvocationConfig": {"ConnectionArn": ARN}}

    for _ in range(2):
        await tasks.invoke(called("http", "invoke", arguments))
    await tasks.close()

    token, first, second = server.requests
    assert token.content == b"grant_type=client_credentials&client_id=id&client_secret=secret&scope=all"
    assert first.headers["authorization"] == second.headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("arrays", "body"),
    [
        ("INDICES", b"a%5B0%5D=1&a%5B1%5D=2&b%5Bc%5D=x"),
        ("REPEAT", b"a=1&a=2&b%5Bc%5D=x"),
        ("BRACKETS", b"a%5B%5D=1&a%5B%5D=2&b%5Bc%5D=x"),
        ("COMMAS", b"a=1%2C2&b%5Bc%5D=x"),
    ],
)
async def test_forms(arrays: str, body: bytes) -> None:
    server = Recorder()
    transform = {"RequestBodyEncoding": "URL_ENCODED", "RequestEncodingOptions": {"ArrayFormat": arrays}}

    await sent(server, RequestBody={"a": [1, 2], "b": {"c": "x"}}, Transform=transform)

    assert server.requests[0].content == body
    assert server.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


async def failure(server: Any, **arguments: Any) -> IntegrationFailed:
    with pytest.raises(IntegrationFailed) as failed:
        await sent(server, **arguments)
    return failed.value


async def test_a_status_that_says_no() -> None:
    failed = await failure(Recorder(404, {"why": 1}))

    assert failed.error == "States.Http.StatusCode.404"
    assert json.loads(str(failed.cause))["ResponseBody"] == {"why": 1}


async def test_nobody_there() -> None:
    def server(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert (await failure(server)).error == "States.Http.Socket"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"ApiEndpoint": "http://[::1"}, "http://[::1 cannot be reached"),
        ({"ApiEndpoint": "http://127.0.0.1:port"}, "127.0.0.1 cannot be reached: Invalid port: 'port'"),
        ({"Headers": {"x": "\u2603"}}, "127.0.0.1 cannot be reached: UnicodeEncodeError"),
    ],
)
async def test_an_address_or_a_header_that_is_none(arguments: dict[str, Any], why: str) -> None:
    tasks = HttpTasks(Connections({"c": KEY}))
    given = {"ApiEndpoint": "http://127.0.0.1:1", "Method": "GET", "Authentication": {"ConnectionArn": ARN}}

    with pytest.raises(IntegrationFailed) as failed:
        await tasks.invoke(called("http", "invoke", given | arguments))
    await tasks.close()

    assert failed.value.error == "States.Http.Socket"
    assert why in str(failed.value.cause)


async def test_a_response_without_end_is_not_read() -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 100_000
            raise AssertionError("more is read than can be passed on")

    assert (await failure(lambda _: httpx.Response(200, stream=Endless()))).error == "States.DataLimitExceeded"


async def test_a_response_in_an_encoding_that_is_none_for_text() -> None:
    def server(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"abc", headers={"content-type": "text/plain; charset=zip"})

    assert (await sent(server))["ResponseBody"] == "abc"


@pytest.mark.parametrize(
    "transform", [3, "x", {"RequestEncodingOptions": 3}, {"RequestEncodingOptions": {"ArrayFormat": []}}]
)
async def test_encodings_that_are_none_are_those_of_aws_by_default(transform: Any) -> None:
    server = Recorder()
    headers = {"content-type": "application/x-www-form-urlencoded"}

    await sent(server, RequestBody={"a": [1]}, Headers=headers, Transform=transform)

    assert server.requests[0].content == b"a%5B0%5D=1"


async def test_secrets_of_a_connection_are_not_told() -> None:
    secret = {"OAuthHttpParameters": {"QueryStringParameters": [{"Key": "k", "Value": "hush"}]}}
    parameters = OAUTH.auth_parameters["OAuthParameters"] | secret
    oauth = Connection(authorization_type="OAUTH_CLIENT_CREDENTIALS", auth_parameters={"OAuthParameters": parameters})

    def unsent(_: httpx.Request) -> httpx.Response:  # h11's words
        raise httpx.LocalProtocolError("Illegal header value b'hush'")

    refusing = httpx.MockTransport(lambda _: httpx.Response(401))
    arguments = {"ApiEndpoint": "http://127.0.0.1:1", "Method": "GET", "Authentication": {"ConnectionArn": ARN}}

    for connection, transport in ((oauth, refusing), (KEY, httpx.MockTransport(unsent))):
        tasks = HttpTasks(Connections({"c": connection}), transport=transport)
        with pytest.raises(IntegrationFailed) as failed:
            await tasks.invoke(called("http", "invoke", arguments))
        await tasks.close()
        assert "hush" not in str(failed.value)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"ApiEndpoint": None}, "ApiEndpoint"),
        ({"Method": "FETCH"}, "Method"),
        ({"Headers": []}, "Headers"),
        ({"Authentication": {}}, "ConnectionArn"),
    ],
)
async def test_what_cannot_be_sent(arguments: dict[str, Any], why: str) -> None:
    failed = await failure(Recorder(), **arguments)

    assert failed.error == "States.Runtime"
    assert why in str(failed.cause)


async def test_a_connection_of_eventbridge_with_its_secret() -> None:
    def answers(service: str, operation: str, _: Any) -> dict[str, Any]:
        if operation == "DescribeConnection":
            return {"AuthorizationType": "API_KEY", "AuthParameters": {}, "SecretArn": "arn:secret"}
        return {"SecretString": '{"api_key_name":"x","api_key_value":"y"}'}

    found = await Connections({}, StandIn(answers)).find(ARN, None)

    assert found.auth_parameters["ApiKeyAuthParameters"] == {"ApiKeyName": "x", "ApiKeyValue": "y"}


async def test_a_connection_that_is_not_there() -> None:
    def refused(*_: Any) -> dict[str, Any]:
        raise Refused("ResourceNotFoundException", "no", 400, "")

    for connections in (Connections({}), Connections({}, StandIn(refused))):
        with pytest.raises(IntegrationFailed, match=r"Events\.ConnectionResource\.(ResourceNot|Not)Found"):
            await connections.find(ARN, None)


# ------------------------------------------------------------------------------------------- API Gateway


async def through_gateway(server: Any, **arguments: Any) -> Any:
    gateway = ApiGateway("us-east-1", transport=httpx.MockTransport(server))
    given = {"ApiEndpoint": "x.execute-api.us-east-1.amazonaws.com", "Method": "POST", "Stage": "prod", "Path": "/a/b"}
    try:
        return json.loads(await gateway.invoke(called("apigateway", "invoke", given | arguments)))
    finally:
        await gateway.close()


async def test_an_api_of_api_gateway() -> None:
    server = Recorder(200, {"r": 1})

    result = await through_gateway(server, RequestBody="text", Headers={"h": ["1", "2"]})

    [request] = server.requests
    assert str(request.url) == "https://x.execute-api.us-east-1.amazonaws.com/prod/a/b"
    assert (request.content, request.headers["h"]) == (b'"text"', "1, 2")
    assert result["ResponseBody"] == {"r": 1}


async def test_nulls_are_left_out_when_they_are_not_wanted() -> None:
    server = Recorder()
    await through_gateway(server, RequestBody={"a": None, "b": [{"c": None}]}, AllowNullValues=False)
    assert server.requests[0].content == b'{"b":[{}]}'


async def test_an_error_of_the_api() -> None:
    with pytest.raises(IntegrationFailed, match=r"ApiGateway\.403"):
        await through_gateway(Recorder(403, {}))


async def test_signing_needs_aws() -> None:
    with pytest.raises(IntegrationFailed, match="aws_integrations"):
        await through_gateway(Recorder(), AuthType="IAM_ROLE")
