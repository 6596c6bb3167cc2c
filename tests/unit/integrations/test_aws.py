"""Calling services: endpoints, credentials, assumed roles, and what is said when nobody is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workflow_manager.integrations import aws as aws_module
from workflow_manager.integrations.aws import Aws
from workflow_manager.integrations.refusals import Refused, Unreachable

ROLE = "arn:aws:iam::000000000000:role/r"
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


class Services:
    """Plays AWS: STS gives credentials, the queues' service answers ``answer``. ``signed`` has who asked, by service."""

    def __init__(self) -> None:
        self.signed: list[tuple[str, str]] = []
        self.answer: tuple[int, str] = (200, '{"QueueUrls":[]}')
        services = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Say nothing of requests."""

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                key, _, _, service, _ = self.headers["authorization"].split("Credential=")[1].split(",")[0].split("/")
                services.signed.append((service, key))
                status, body = (200, ASSUMED) if service == "sts" else services.answer
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.send_header("x-amzn-requestid", "id")
                self.end_headers()
                self.wfile.write(body.encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    services = Services()
    yield services
    services.server.shutdown()
    services.server.server_close()


async def listed(aws: Aws, **options: Any) -> Any:
    return await aws.call("sqs", "ListQueues", {}, **options)


async def test_an_emulator_needs_no_credentials(services: Services) -> None:
    answer = await listed(Aws("us-east-1", environ={"AWS_ENDPOINT_URL_SQS": services.url}))

    assert (answer.members, answer.status, answer.genuine) == ({"QueueUrls": []}, 200, False)
    assert services.signed == [("sqs", "test")]


async def test_a_role_is_assumed_once(services: Services) -> None:
    aws = Aws("us-east-1", environ={"AWS_ENDPOINT_URL": services.url})

    for _ in range(2):
        await listed(aws, role_arn=ROLE, session_name="an execution:1")

    assert services.signed == [("sts", "test"), ("sqs", "ASSUMED"), ("sqs", "ASSUMED")]


async def test_clients_of_ever_more_roles_are_not_kept(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "CLIENTS", 2)
    aws = Aws("us-east-1", environ={"AWS_ENDPOINT_URL": services.url})

    for number in range(4):
        await listed(aws, role_arn=f"{ROLE}{number}")

    assert len(aws._clients) == len(aws._roles) == 2
    await listed(aws, role_arn=f"{ROLE}3")
    assert [service for service, _ in services.signed] == ["sts", "sqs"] * 4 + ["sqs"]


async def test_an_emulator_of_one_service_knows_no_roles(services: Services) -> None:
    await listed(Aws("us-east-1", environ={"AWS_ENDPOINT_URL_SQS": services.url}, on=False), role_arn=ROLE)

    assert services.signed == [("sqs", "test")]


async def test_a_refusal(services: Services) -> None:
    services.answer = (400, '{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}')

    with pytest.raises(Refused) as refused:
        await listed(Aws("us-east-1", environ={"AWS_ENDPOINT_URL": services.url}))

    assert (refused.value.code, refused.value.message, refused.value.status, refused.value.request_id) == (
        "QueueDoesNotExist",
        "no",
        400,
        "id",
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1", "Unable to execute HTTP request: Connect to 127.0.0.1 failed: Connection refused"),
        ("http://nobody.invalid", "Unable to execute HTTP request: nobody.invalid: Name or service not known"),
    ],
)
async def test_nobody_there(services: Services, url: str, why: str) -> None:
    with pytest.raises(Unreachable) as unreachable:
        await listed(Aws("us-east-1", environ={"AWS_ENDPOINT_URL": url}), attempts=1)

    assert unreachable.value.message == why


async def test_an_answer_that_is_none(services: Services) -> None:
    """What stands between, a proxy or an emulator that broke, has a page of its own for that."""
    services.answer = (400, "<!doctype html>\n<title>Bad Gateway</title>")

    with pytest.raises(Unreachable, match=r"\AUnable to unmarshall response: Unable to parse response \(.*\Z"):
        await Aws("us-east-1", environ={"AWS_ENDPOINT_URL": services.url}).call("sns", "ListTopics", {})


async def test_aws_itself_needs_credentials(services: Services) -> None:
    with pytest.raises(Unreachable, match="AWS_PROFILE"):
        await listed(Aws("us-east-1", environ={}))


@pytest.mark.parametrize(
    ("environ", "on", "callable_"),
    [
        ({}, False, []),
        ({}, True, ["lambda", "logs", "sqs"]),
        ({"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://x"}, False, ["logs"]),
        ({"AWS_ENDPOINT_URL": "http://x"}, False, ["lambda", "logs", "sqs"]),
        ({"AWS_ENDPOINT_URL": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, False, []),
    ],
)
def test_what_may_be_called(environ: dict[str, str], on: bool, callable_: list[str]) -> None:
    aws = Aws("us-east-1", environ=environ, on=on)

    assert [name for name in ("lambda", "logs", "sqs") if aws.may_call(name)] == callable_


@pytest.mark.parametrize(
    ("url", "emulated"),
    [
        ("https://sqs.us-east-1.amazonaws.com", False),
        ("https://vpce-1.sqs.us-east-1.vpce.amazonaws.com", False),
        ("https://sqs.cn-north-1.amazonaws.com.cn", False),
        ("http://localhost:4566", True),
        ("https://amazonaws.com.example.org", True),
    ],
)
def test_what_is_an_emulator(url: str, emulated: bool) -> None:
    assert Aws("us-east-1", environ={"AWS_ENDPOINT_URL": url}).emulated("sqs") is emulated
    assert Aws("us-east-1", environ={}).emulated("sqs") is False


def test_operations_are_those_of_the_model() -> None:
    aws = Aws("us-east-1", environ={})

    for service in ("sqs", "s3", "stepfunctions"):
        assert aws.operations(service) == set(aws.read_model(service).operation_names)
