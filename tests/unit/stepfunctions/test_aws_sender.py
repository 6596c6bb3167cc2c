"""Requests of boto3 on kept connections: what is sent, what is read, and which of botocore's errors tells what went wrong."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

from workflow_manager import sender
from workflow_manager.sender import Sender, send_leanly

OK = b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"activities":[]}'


class Endpoint:
    """Answers each request with the next of ``answers``, as it is; None closes the connection instead, "wait" is silence."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: list[bytes | str | None] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://localhost:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            connection.settimeout(0.05)
            while True:
                self._answer(connection)
        except OSError:  # whoever called is gone, or there is nothing more to answer
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"}"):
            try:
                data = connection.recv(65536)
            except TimeoutError:
                if self._over.is_set():
                    raise
                continue
            if not data:
                raise ConnectionResetError
            request += data
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else OK
        if answer is None:
            raise ConnectionResetError
        if answer == "wait":
            self._over.wait(5)
        else:
            assert isinstance(answer, bytes)
            connection.sendall(answer)
            if b"close" in answer:
                raise ConnectionResetError


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name="us-east-1")


Make = Callable[..., Any]


@pytest.fixture
def client(session: boto3.Session) -> Iterator[Make]:
    made = []

    def make(url: str, *, verify: str | bool | None = None, **config: Any) -> Any:
        retries = {"mode": "standard", "total_max_attempts": 1}
        client = session.client(
            "stepfunctions", endpoint_url=url, verify=verify, config=Config(retries=retries, **config)
        )
        send_leanly(client, connect_seconds=0.5, read_seconds=0.3, connections=2)
        made.append(client)
        return client

    yield make
    for each in made:
        each.close()


def test_connections_are_kept(endpoint: Endpoint, client: Make) -> None:
    boto = client(endpoint.url)

    for _ in range(3):
        assert boto.list_activities()["activities"] == []

    assert isinstance(boto._endpoint.http_session, Sender)
    assert endpoint.connections == 1


def test_what_is_sent(endpoint: Endpoint, client: Make) -> None:
    """The same as botocore's own session sends, but for the order of headers."""
    lean, own = client(endpoint.url), client(endpoint.url)
    own._endpoint.http_session = own._endpoint.http_session._otherwise
    for boto in (lean, own):
        boto.list_activities(maxResults=3)

    first, second = ({*request.split(b"\r\n")} for request in endpoint.requests)

    def lines(request: set[bytes]) -> set[bytes]:
        varying = (b"authorization", b"x-amz-date", b"amz-sdk-invocation-id", b"user-agent")
        return {line for line in request if not line.lower().startswith(varying)}

    assert lines(first) == lines(second)
    assert any(line.startswith(b"Authorization: AWS4-HMAC-SHA256 ") for line in first)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(OK, [], id="with a length"),
        pytest.param(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"activi\r\n9\r\nties":[]}\r\n0\r\n\r\n',
            [],
            id="in chunks",
        ),
        pytest.param(
            b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{"activities":[]}',
            [],
            id="and then no more",
        ),
    ],
)
def test_answers(endpoint: Endpoint, client: Make, answer: bytes, found: list[Any]) -> None:
    endpoint.answers = [answer]
    boto = client(endpoint.url)

    assert boto.list_activities()["activities"] == found
    assert boto.list_activities()["activities"] == found
    assert endpoint.connections == (2 if b"close" in answer else 1)


def test_errors_of_the_service(endpoint: Endpoint, client: Make) -> None:
    body = b'{"__type":"com.amazonaws#ThrottlingException","message":"slow down"}'
    endpoint.answers = [b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)]

    with pytest.raises(ClientError, match=r"ThrottlingException.*slow down"):
        client(endpoint.url).list_activities()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(None, ConnectionClosedError, id="closed"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\n{",
            ConnectionClosedError,
            id="in the middle",
        ),
        pytest.param("wait", ReadTimeoutError, id="silence"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", ConnectionClosedError, id="no HTTP"),
    ],
)
def test_answers_that_do_not_come(endpoint: Endpoint, client: Make, answer: Any, kind: type[Exception]) -> None:
    """The connection is not used again."""
    endpoint.answers = [answer]
    boto = client(endpoint.url)

    with pytest.raises(kind):
        boto.list_activities()

    assert boto.list_activities()["activities"] == []
    assert endpoint.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_not_used(
    endpoint: Endpoint, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FRESH_SECONDS", 0)
    boto = client(endpoint.url)
    boto.list_activities()
    [(_, connection)] = boto._endpoint.http_session._idle
    connection.shutdown(socket.SHUT_RDWR)

    assert boto.list_activities()["activities"] == []
    assert endpoint.connections == 2


def test_nobody_there(client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(EndpointConnectionError):
        client(f"http://127.0.0.1:{port}").list_activities()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, which nobody has signed, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both


@pytest.fixture
def tls(certificate: Path) -> Iterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    endpoint = Endpoint(context)
    yield endpoint
    endpoint.close()


def test_tls(tls: Endpoint, client: Make, certificate: Path) -> None:
    boto = client(tls.url, verify=str(certificate))
    tls.answers = [OK, "wait"]

    assert boto.list_activities()["activities"] == []
    assert isinstance(boto._endpoint.http_session, Sender)
    with pytest.raises(ReadTimeoutError):
        boto.list_activities()
    assert boto.list_activities()["activities"] == []


def test_a_certificate_that_is_not_trusted(tls: Endpoint, client: Make) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        client(tls.url).list_activities()


@pytest.mark.parametrize(
    "arguments", [{"verify": False}, {"proxies": {"http": "http://127.0.0.1:1"}}], ids=["no verification", "a proxy"]
)
def test_what_is_out_of_the_ordinary_is_left_to_botocore(
    endpoint: Endpoint, client: Make, arguments: dict[str, Any]
) -> None:
    assert not isinstance(client(endpoint.url, **arguments)._endpoint.http_session, Sender)
