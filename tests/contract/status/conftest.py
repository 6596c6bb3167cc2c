"""Amazon's services as moto plays them, over HTTP on a free loopback port: real clients, real messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def session(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """As users configure it: by botocore's own variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", endpoint)
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")


@pytest.fixture
def sqs(session: boto3.Session) -> Iterator[Any]:
    client = session.client("sqs")
    yield client
    client.close()


@pytest.fixture
def queue(sqs: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a queue whose messages are visible again after two seconds."""
    url = sqs.create_queue(QueueName=f"status-{abs(hash(request.node.name))}", Attributes={"VisibilityTimeout": "2"})
    yield url["QueueUrl"]
    sqs.delete_queue(QueueUrl=url["QueueUrl"])


@pytest.fixture
def dead_letters(sqs: Any) -> Iterator[str]:
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)
