"""The activity service over boto3, against a small server on a loopback port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
from worker_fakes import PATIENCE, ActivityServer

from workflow_manager.worker.service import ActivityGone, Invalid, Refused, ServiceError, TaskGone
from workflow_manager.worker.sfn import SfnActivity, connect, is_loopback
from workflow_manager.worker.task import Task

ARN = "arn:aws:states:us-east-1:000000000000:activity:ns--echo"


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
        "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def server() -> Iterator[ActivityServer]:
    with ActivityServer() as running:
        yield running


def service(endpoint_url: str | None, region: str | None = None) -> SfnActivity:
    return connect(activity_name="ns--echo", worker_name="me", endpoint_url=endpoint_url, region=region, concurrency=3)


def fault(code: str, status: int = 400) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    return lambda _: (status, {"__type": code, "message": "a message"})


def test_a_task_from_beginning_to_end(server: ActivityServer) -> None:
    server.answers["CreateActivity"] = lambda _: (200, {"activityArn": ARN, "creationDate": 1.0})
    server.answers["GetActivityTask"] = lambda _: (200, {"taskToken": "t", "input": '{"a":1}'})
    for operation in ("SendTaskHeartbeat", "SendTaskSuccess", "SendTaskFailure"):
        server.answers[operation] = lambda _: (200, {})
    activity = service(server.url)

    activity.register()
    task = activity.poll()
    assert task is not None
    activity.heartbeat(task)
    activity.succeed(task, "{}")
    activity.fail(task, "E", "c")

    assert (task.token, task.fields) == ("t", {"a": 1})
    assert [server.next_request() for _ in range(5)] == [
        ("CreateActivity", {"name": "ns--echo"}),
        ("GetActivityTask", {"activityArn": ARN, "workerName": "me"}),
        ("SendTaskHeartbeat", {"taskToken": "t"}),
        ("SendTaskSuccess", {"taskToken": "t", "output": "{}"}),
        ("SendTaskFailure", {"taskToken": "t", "error": "E", "cause": "c"}),
    ]


@pytest.mark.parametrize("answer", [{}, {"taskToken": ""}, {"taskToken": None}], ids=["none", "empty", "null"])
def test_a_poll_without_a_task(server: ActivityServer, answer: dict[str, Any]) -> None:
    server.answers["GetActivityTask"] = lambda _: (200, answer)
    activity = service(server.url)
    activity.register()

    assert activity.poll() is None


TASK = Task("t", "{}")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        pytest.param("TaskTimedOut", 400, TaskGone, id="timed out"),
        pytest.param("TaskDoesNotExist", 400, TaskGone, id="does not exist"),
        pytest.param("InvalidToken", 400, TaskGone, id="a token of nobody"),
        pytest.param("ActivityDoesNotExist", 400, ActivityGone, id="activity gone"),
        pytest.param("InvalidOutput", 400, Invalid, id="output not accepted"),
        pytest.param("ValidationException", 400, Invalid, id="output too long"),
        pytest.param("AccessDeniedException", 400, Refused, id="not allowed"),
        pytest.param("InvalidName", 400, Refused, id="a bad name"),
        pytest.param("ThrottlingException", 400, ServiceError, id="throttled"),
        pytest.param("TooManyRequestsException", 429, ServiceError, id="throttled by status"),
        pytest.param("ServiceUnavailable", 503, ServiceError, id="unavailable"),
        pytest.param("InternalServerError", 500, ServiceError, id="failing"),
    ],
)
def test_errors_are_told_apart(server: ActivityServer, code: str, status: int, kind: type[ServiceError]) -> None:
    server.answers["SendTaskSuccess"] = fault(code, status)

    with pytest.raises(ServiceError) as caught:
        service(server.url).succeed(TASK, "{}")

    assert type(caught.value) is kind
    assert str(caught.value) == f"{code}: a message"


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("CreateActivity", lambda activity: activity.register()),
        ("GetActivityTask", lambda activity: activity.poll()),
        ("SendTaskHeartbeat", lambda activity: activity.heartbeat(TASK)),
        ("SendTaskSuccess", lambda activity: activity.succeed(TASK, "{}")),
        ("SendTaskFailure", lambda activity: activity.fail(TASK, "E", "c")),
    ],
)
def test_every_call_tells_them(server: ActivityServer, operation: str, call: Callable[[SfnActivity], object]) -> None:
    activity = service(server.url)
    activity.register()
    server.answers[operation] = fault("TaskTimedOut")

    with pytest.raises(TaskGone):
        call(activity)


def test_a_request_is_sent_once_since_the_loop_repeats_it(server: ActivityServer) -> None:
    server.answers["SendTaskSuccess"] = fault("InternalServerError", 500)

    with pytest.raises(ServiceError):
        service(server.url).succeed(TASK, "{}")

    assert server.requests.qsize() == 1


def test_an_endpoint_that_is_not_there() -> None:
    with pytest.raises(ServiceError, match="Could not connect") as caught:
        service("http://127.0.0.1:1").register()

    assert not isinstance(caught.value, Refused)


def test_an_endpoint_that_is_something_else(server: ActivityServer) -> None:
    server.answers["CreateActivity"] = lambda _: (200, {"hello": "world"})

    with pytest.raises(Refused, match="is this a Step Functions endpoint"):
        service(server.url).register()


class Poller:
    """A poll in a thread."""

    def __init__(self, activity: SfnActivity) -> None:
        self._results: Queue[Task | ServiceError | None] = Queue()
        threading.Thread(target=self._poll, args=(activity,), daemon=True).start()

    def _poll(self, activity: SfnActivity) -> None:
        try:
            self._results.put(activity.poll())
        except ServiceError as error:
            self._results.put(error)

    def result(self) -> Task | ServiceError | None:
        return self._results.get(timeout=PATIENCE)


def test_closing_ends_polls_and_tells_the_endpoint(server: ActivityServer) -> None:
    activity = service(server.url)
    activity.register()
    pollers = [Poller(activity) for _ in range(3)]
    assert [server.next_request()[0] for _ in range(4)] == ["CreateActivity", *["GetActivityTask"] * 3]

    activity.close_polls()

    assert [server.pollers_gone.get(timeout=PATIENCE) for _ in range(3)] == [True, True, True]
    assert all(isinstance(poller.result(), ServiceError) for poller in pollers)


def test_a_task_that_is_on_its_way_when_polling_closes_still_arrives(server: ActivityServer) -> None:
    asked, closing = threading.Event(), threading.Event()

    def answer(_: dict[str, Any]) -> tuple[int, Any]:
        asked.set()
        closing.wait(PATIENCE)
        return 200, {"taskToken": "t", "input": "{}"}

    server.answers["GetActivityTask"] = answer
    activity = service(server.url)
    activity.register()
    poller = Poller(activity)
    assert asked.wait(PATIENCE)
    hang_up = activity._connections.hang_up

    def hang_up_then_let_the_endpoint_answer() -> None:
        hang_up()
        closing.set()

    activity._connections.hang_up = hang_up_then_let_the_endpoint_answer  # type: ignore[method-assign]
    activity.close_polls()
    task = poller.result()

    assert isinstance(task, Task)
    assert task.token == "t"


def test_an_endpoint_that_does_not_mind_is_cut_off(server: ActivityServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_manager.worker.sfn.HANG_UP_SECONDS", 0.01)
    asked, tested = threading.Event(), threading.Event()

    def never_answer(_: dict[str, Any]) -> tuple[int, Any]:
        asked.set()
        tested.wait(PATIENCE)
        return 200, {}

    server.answers["GetActivityTask"] = never_answer
    activity = service(server.url)
    activity.register()
    poller = Poller(activity)
    assert asked.wait(PATIENCE)

    activity.close_polls()
    result = poller.result()
    tested.set()

    assert isinstance(result, ServiceError)


def test_after_closing_no_poll_begins(server: ActivityServer) -> None:
    activity = service(server.url)
    activity.register()
    activity.close_polls()

    with pytest.raises(ServiceError):
        activity.poll()
    assert [server.next_request()[0]] == ["CreateActivity"]
    assert server.requests.empty()


def test_results_can_be_sent_after_polling_has_closed(server: ActivityServer) -> None:
    server.answers["SendTaskSuccess"] = lambda _: (200, {})
    activity = service(server.url)
    activity.close_polls()

    activity.succeed(TASK, "{}")

    assert server.next_request()[0] == "SendTaskSuccess"


@pytest.mark.parametrize(
    ("environment", "region", "expected"),
    [
        pytest.param({}, None, "us-east-1", id="default"),
        pytest.param({}, "eu-west-1", "eu-west-1", id="given"),
        pytest.param({"AWS_REGION": "eu-west-2"}, None, "eu-west-2", id="AWS_REGION"),
        pytest.param({"AWS_DEFAULT_REGION": "eu-west-3"}, None, "eu-west-3", id="AWS_DEFAULT_REGION"),
        pytest.param({"AWS_REGION": "eu-west-2"}, "eu-west-1", "eu-west-1", id="given over environment"),
    ],
)
def test_region_with_an_endpoint(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], region: str | None, expected: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert service("http://127.0.0.1:1", region)._calls.meta.region_name == expected


def test_without_an_endpoint_a_region_is_needed() -> None:
    with pytest.raises(Refused, match="specify a region"):
        service(None)


def test_an_endpoint_elsewhere_needs_credentials() -> None:
    with pytest.raises(Refused, match="Unable to locate credentials"):
        service("http://192.0.2.1:1").register()


def test_a_loopback_endpoint_from_the_environment_needs_nothing_either(
    server: ActivityServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", server.url)

    service(None).register()

    assert server.next_request() == ("CreateActivity", {"name": "ns--echo"})


def test_proxies_are_not_used_on_loopback(server: ActivityServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    service(server.url).register()

    assert server.next_request() == ("CreateActivity", {"name": "ns--echo"})


@pytest.mark.parametrize("url", ["nonsense", "http://[", "ftp//x"])
def test_a_bad_endpoint_url_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(Refused, match="endpoint"):
        service(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.8.9.10", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://sfn.localhost", True),
        ("http://10.0.0.1", False),
        ("https://states.eu-west-1.amazonaws.com", False),
        ("http://localhost.example.com", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_a_wfm_server_tells_state_and_attempt(server: ActivityServer) -> None:
    """In headers, of which AWS has none."""
    server.answers["GetActivityTask"] = lambda _: (200, {"taskToken": "t", "input": "{}"})
    server.headers["GetActivityTask"] = {"x-wfm-state": "Gr%C3%BCn%20%2F%201", "x-wfm-attempt": "3"}
    activity = service(server.url)
    activity.register()
    task = activity.poll()

    assert task is not None
    assert (task.state, task.attempt) == ("Grün / 1", 3)
