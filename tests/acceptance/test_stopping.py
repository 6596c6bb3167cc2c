"""SIGTERM: a server takes no more, finishes what is under way, gives back what it holds, and is gone within a bound."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from server_process import ServerProcess

pytestmark = pytest.mark.acceptance

SHUTDOWN_SECONDS = 2.0
AT_MOST_SECONDS = SHUTDOWN_SECONDS + 5.0 + 3.0
"""What a stop may take, and some more for a machine that does other things."""
DEFINITION = {"name": "d", "stateMachine": {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}}}
BODY = json.dumps(DEFINITION).encode()
HEAD = b"POST /workflow-definitions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data", "--shutdown-seconds", str(SHUTDOWN_SECONDS)) as server:
        yield server


def stopped(server: ServerProcess) -> float:
    """Wait for its end, which must be a good one; how long that took."""
    assert server._process is not None
    began = time.monotonic()
    assert server._process.wait(30) == 0, server.log.read_text()[-2000:]
    return time.monotonic() - began


def tell(server: ServerProcess) -> None:
    assert server._process is not None
    server._process.send_signal(signal.SIGTERM)


def refused(server: ServerProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_that_is_under_way_is_finished(server: ServerProcess) -> None:
    """And no other is taken meanwhile."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(HEAD % len(BODY) + BODY[:10])
        time.sleep(0.2)  # it has begun to read it
        tell(server)
        until = time.monotonic() + SHUTDOWN_SECONDS
        while not refused(server):
            assert time.monotonic() < until
            time.sleep(0.01)
        client.sendall(BODY[10:])
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 201 "), answer
    assert stopped(server) < AT_MOST_SECONDS
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /workflow-definitions/d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_hangs_keeps_nobody(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(HEAD % len(BODY) + BODY[:10])
        time.sleep(0.2)
        tell(server)

        assert stopped(server) < AT_MOST_SECONDS
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")


# ---------------------------------------------------------------------- messages


@pytest.fixture
def sqs() -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")
    client = session.client("sqs", endpoint_url=f"http://{host}:{port}")
    yield client
    client.close()
    server.stop()


def visible(sqs: Any, queue: str) -> int:
    name = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])


def test_messages_are_given_back(tmp_path: Path, sqs: Any) -> None:
    """One that comes in this moment is for others at once, though the queue keeps messages for hours from them."""
    queue = sqs.create_queue(QueueName="status", Attributes={"VisibilityTimeout": "7200"})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody='{"detail-type": "Other"}')
    environment = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL_SQS": sqs.meta.endpoint_url,
        "AWS_REGION": "us-east-1",
        "WFM_STATUS_QUEUE_URL": queue,
        "WFM_SHUTDOWN_SECONDS": "3",
    }
    with ServerProcess(tmp_path / "data", environment=environment) as server:
        until = time.monotonic() + 20
        while visible(sqs, queue):
            assert time.monotonic() < until
            time.sleep(0.05)
        tell(server)
        while not refused(server):
            time.sleep(0.01)
        for _ in range(3):
            sqs.send_message(QueueUrl=queue, MessageBody='{"detail-type": "Other"}')
        assert stopped(server) < AT_MOST_SECONDS

    assert visible(sqs, queue) == 3


@pytest.mark.parametrize("region", ["us-east-1", ""], ids=["not there", "no region"])
def test_a_queue_that_cannot_be_read_is_one_sentence(tmp_path: Path, sqs: Any, region: str) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": region}
    queue = f"{sqs.meta.endpoint_url}/000000000000/none"
    server = ServerProcess(
        tmp_path / "data",
        "--status-queue-url",
        queue,
        environment=environment | {"AWS_ENDPOINT_URL_SQS": sqs.meta.endpoint_url},
    )
    with pytest.raises(AssertionError, match=r"wfm: the queue .*/none cannot be read \(.*\); name another one with"):
        server.start()


# ---------------------------------------------------------------------- whatever hangs

HANGS = """
import threading
from workflow_manager.composition import exit_within

exit_within(0.3)
threading.Thread(target=threading.Event().wait).start()
"""


def test_what_never_ends_is_cut_off() -> None:
    """A thread in a call that nobody answers would keep the interpreter for ever."""
    answer = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False)

    assert answer.returncode == 0
    assert "stopped_late" in answer.stdout + answer.stderr


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of a service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_service_that_does_not_answer_keeps_nobody(tmp_path: Path, silence: str) -> None:
    """A call to it waits in a thread; it ends with the request that waits for it, or is cut off."""
    environment = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL_SFN": silence,
        "WFM_BACKEND": "aws",
        "WFM_STORE": "memory",
        "WFM_REGION": "us-east-1",
        "WFM_ROLE_ARN": "arn:aws:iam::000000000000:role/state-machines",
        "WFM_SHUTDOWN_SECONDS": "1",
    }
    with (
        ServerProcess(tmp_path / "data", environment=environment) as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(HEAD % len(BODY) + BODY)
        time.sleep(0.5)
        tell(server)

        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
        assert stopped(server) < AT_MOST_SECONDS
