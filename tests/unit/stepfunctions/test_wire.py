"""The wire: AWS JSON 1.0 in, one call of the seam, AWS JSON 1.0 out. What is wrong is answered as AWS answers it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.stepfunctions.protocol import OPERATIONS
from workflow_manager.stepfunctions.wire import create_wire

ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
REQUEST = "http.request"
DISCONNECT = {"type": "http.disconnect"}


class Answering:
    """An implementation of which every operation answers one thing, or raises it, and remembers what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[object] = []

    def __getattr__(self, method: str) -> Callable[[object], Any]:
        if method not in {name for name, _, _ in OPERATIONS.values()}:
            raise AttributeError(method)

        async def call(request: object) -> object:
            self.asked.append(request)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call


class Client:
    """One request to an ASGI application, and what came back."""

    def __init__(
        self, *body: bytes, target: str | None = "StartExecution", method: str = "POST", **headers: str
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if target is not None:
            named["x-amz-target"] = f"AWSStepFunctions.{target}"
        self.scope = {
            "type": "http",
            "method": method,
            "path": "/",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, chunk in enumerate(body, 1):
            self.incoming.put_nowait({"type": REQUEST, "body": chunk, "more_body": number < len(body)})
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def ask(self, wire: Callable[..., Any]) -> Client:
        await wire(self.scope, self.incoming.get, self.send)
        return self


async def ask(answer: object, body: object, target: str = "StartExecution") -> Client:
    return await Client(json.dumps(body).encode(), target=target).ask(create_wire(Answering(answer)))


# ------------------------------------------------------------------------------------------ answers


async def test_a_request_reaches_the_operation_and_its_result_comes_back() -> None:
    engine = Answering(t.StartExecutionOutput(execution_arn="arn:aws:states:::execution:m:n", start_date=1.25))
    body = json.dumps({"stateMachineArn": ARN, "input": "{}", "unknown": 1}).encode()

    client = await Client(body).ask(create_wire(engine))

    assert engine.asked == [t.StartExecutionInput(state_machine_arn=ARN, input="{}")]
    assert client.status == 200
    assert client.json == {"executionArn": "arn:aws:states:::execution:m:n", "startDate": 1.25}
    assert client.headers["content-type"] == "application/x-amz-json-1.0"
    assert client.headers["content-length"] == str(len(client.body))


async def test_requests_have_ids_of_their_own_in_the_form_of_uuids() -> None:
    wire = create_wire(Answering(t.StopExecutionOutput(stop_date=1.0)))

    ids = {(await Client(b"{}").ask(wire)).headers["x-amzn-requestid"] for _ in range(3)}

    assert len(ids) == 3
    assert {tuple(map(len, request_id.split("-"))) for request_id in ids} == {(8, 4, 4, 4, 12)}


async def test_a_body_may_come_in_parts() -> None:
    engine = Answering(t.DeleteActivityOutput())

    client = await Client(b'{"activ', b'ityArn": "a', b'"}', target="DeleteActivity").ask(create_wire(engine))

    assert engine.asked == [t.DeleteActivityInput(activity_arn="a")]
    assert (client.status, client.json) == (200, {})


async def test_a_history_is_spelled_as_the_api_spells_it() -> None:
    events = [
        HistoryEvent(1, 0, 1.5, "ExecutionStarted", {"input": "{}"}),
        HistoryEvent(2, 0, 1.5, "PassStateEntered", {"name": "a"}),
        HistoryEvent(3, 2, 2.0, "ParallelStateStarted"),
    ]

    client = await ask(
        t.GetExecutionHistoryOutput(events=events, next_token="more"), {"executionArn": "a"}, "GetExecutionHistory"
    )

    assert client.json == {
        "events": [
            {
                "timestamp": 1.5,
                "type": "ExecutionStarted",
                "id": 1,
                "previousEventId": 0,
                "executionStartedEventDetails": {"input": "{}"},
            },
            {
                "timestamp": 1.5,
                "type": "PassStateEntered",
                "id": 2,
                "previousEventId": 0,
                "stateEnteredEventDetails": {"name": "a"},
            },
            {"timestamp": 2.0, "type": "ParallelStateStarted", "id": 3, "previousEventId": 2},
        ],
        "nextToken": "more",
    }


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_is_served(operation: str) -> None:
    """A request without its required members is refused for them; one that needs none arrives."""
    client = await ask(errors.ThrottlingException("slower"), {}, operation)

    assert client.status == 400
    assert client.json["__type"].rpartition("#")[2] in ("ThrottlingException", "ValidationException")
    assert client.json["message"]


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        pytest.param(
            errors.InvalidName("Invalid Name: 'a b'"),
            400,
            {"__type": "com.amazonaws.swf.service.v2.model#InvalidName", "message": "Invalid Name: 'a b'"},
            id="of the service",
        ),
        pytest.param(
            errors.ResourceNotFound("no", resourceName="arn"),
            400,
            {
                "__type": "com.amazonaws.swf.service.v2.model#ResourceNotFound",
                "message": "no",
                "resourceName": "arn",
            },
            id="with a member",
        ),
        pytest.param(
            errors.ServiceUnavailable("the disk is full"),
            503,
            {"__type": "com.amazon.coral.service#ServiceUnavailableException", "message": "the disk is full"},
            id="unavailable",
        ),
    ],
)
async def test_an_error_is_answered_as_aws_does(
    error: errors.StepFunctionsError, status: int, body: dict[str, str]
) -> None:
    client = await ask(error, {"stateMachineArn": ARN})

    assert (client.status, client.json) == (status, body)
    assert client.headers["content-type"] == "application/x-amz-json-1.0"


async def test_a_fault_of_ours_says_nothing_of_itself_but_is_logged_without_payloads() -> None:
    with capture_logs() as logs:
        client = await ask(KeyError("secret"), {"stateMachineArn": ARN})

    assert client.status == 500
    assert client.json["__type"].endswith("#InternalServerError")
    assert client.headers["x-amzn-requestid"] in client.json["message"]
    assert [(entry["event"], entry["error"], entry["target"]) for entry in logs] == [
        ("operation failed", "KeyError", "AWSStepFunctions.StartExecution")
    ]
    assert logs[0]["request_id"] == client.headers["x-amzn-requestid"]
    assert "in call" in logs[0]["stack"]
    assert "secret" not in f"{logs}{client.body!r}"


async def test_a_timeout_inside_an_operation_is_not_the_clients() -> None:
    with capture_logs():
        client = await ask(TimeoutError(), {"stateMachineArn": ARN})

    assert client.status == 500


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Client(b"{}", target="DoIt"), id="no such operation"),
        pytest.param(Client(b"{}", target=None), id="no target"),
        pytest.param(Client(b"{}", target=None, x_amz_target="DynamoDB_20120810.GetItem"), id="another service"),
        pytest.param(Client(b"{}", method="PUT"), id="not by POST"),
    ],
)
async def test_what_is_no_operation_is_refused(client: Client) -> None:
    engine = Answering(None)

    await client.ask(create_wire(engine))

    assert client.status == 400
    assert client.json["__type"] == "com.amazon.coral.service#UnknownOperationException"
    assert engine.asked == []


@pytest.mark.parametrize(
    ("target", "body", "code", "place"),
    [
        pytest.param("StartExecution", b"not JSON", "SerializationException", "JSON", id="not JSON"),
        pytest.param("StartExecution", b"", "SerializationException", "JSON", id="empty"),
        pytest.param("StartExecution", b'{"input": {}}', "SerializationException", "'input'", id="wrong type"),
        pytest.param("StartExecution", b"{}", "ValidationException", "'stateMachineArn'", id="missing"),
        pytest.param(
            "StartExecution",
            '{"stateMachineArn": "a", "traceHeader": "é"}'.encode(),
            "ValidationException",
            "'traceHeader'",
            id="a pattern",
        ),
        pytest.param(
            "UpdateStateMachineAlias",
            b'{"stateMachineAliasArn": "a", "routingConfiguration": []}',
            "ValidationException",
            "'routingConfiguration'",
            id="length of a list",
        ),
    ],
)
async def test_a_bad_request_never_arrives(target: str, body: bytes, code: str, place: str) -> None:
    engine = Answering(None)

    client = await Client(body, target=target).ask(create_wire(engine))

    assert client.status == 400
    assert client.json["__type"].endswith(f"#{code}")
    assert place in client.json["message"]
    assert engine.asked == []


@given(target=st.sampled_from(sorted(OPERATIONS)), body=st.binary(max_size=60))
async def test_no_body_causes_a_fault_of_ours(target: str, body: bytes) -> None:
    client = await Client(body, target=target).ask(create_wire(Answering(errors.ThrottlingException("slower"))))

    assert client.status == 400


# ------------------------------------------------------------------------------------------ bounds


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Client(content_length="101"), id="announced"),
        pytest.param(Client(b"x" * 101), id="at once"),
        pytest.param(Client(b"x" * 60, b"x" * 60, b"", b"never read"), id="in parts"),
    ],
)
async def test_a_body_too_large_is_refused(client: Client) -> None:
    await client.ask(create_wire(Answering(None), max_body=100))

    assert client.status == 413
    assert client.json["__type"].endswith("#RequestEntityTooLargeException")
    assert client.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    client = Client()
    client.incoming.put_nowait({"type": REQUEST, "body": b"{", "more_body": True})

    await client.ask(create_wire(Answering(None), body_timeout=0.01))

    assert client.status == 408
    assert client.json["__type"].endswith("#RequestTimeoutException")
    assert client.headers["connection"] == "close"


async def test_a_client_that_leaves_while_sending_is_not_answered() -> None:
    client = Client(b"{")
    client.incoming.put_nowait(DISCONNECT)
    client.incoming._queue[0]["more_body"] = True  # type: ignore[attr-defined]

    await client.ask(create_wire(Answering(None)))

    assert client.status == 0


# ------------------------------------------------------------------------------------------ long polls


class Activities(Answering):
    """Has one task to give, once it is told to; notes what becomes of it."""

    def __init__(self, answer: object = None) -> None:
        super().__init__(answer)
        self.found = asyncio.Event()
        self.polling = asyncio.Event()
        self.notes: list[str] = []

    async def get_activity_task(self, _: object) -> t.GetActivityTaskOutput:
        self.polling.set()
        try:
            await self.found.wait()
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or t.GetActivityTaskOutput(task_token="token", input="{}")

    def delivered(self, token: str) -> None:
        self.notes.append(f"delivered {token}")

    def undelivered(self, token: str) -> None:
        self.notes.append(f"undelivered {token}")


def poll() -> Client:
    return Client(b'{"activityArn": "a"}', target="GetActivityTask")


async def test_a_task_is_sent_and_then_said_to_be_delivered() -> None:
    activities, client = Activities(), poll()
    activities.found.set()

    await client.ask(create_wire(activities))

    assert client.json == {"taskToken": "token", "input": "{}"}
    assert activities.notes == ["delivered token"]


async def test_a_poll_without_a_task_delivers_nothing() -> None:
    activities, client = Activities(t.GetActivityTaskOutput()), poll()
    activities.found.set()

    await client.ask(create_wire(activities))

    assert (client.status, client.json) == (200, {})
    assert activities.notes == []


async def test_a_client_that_leaves_ends_its_poll() -> None:
    activities, client = Activities(), poll()
    serving = asyncio.ensure_future(client.ask(create_wire(activities)))
    await activities.polling.wait()

    client.incoming.put_nowait(DISCONNECT)
    await serving

    assert activities.notes == ["cancelled"]
    assert client.status == 0


async def test_a_task_for_a_client_that_has_left_is_given_back() -> None:
    activities, client = Activities(), poll()
    serving = asyncio.ensure_future(client.ask(create_wire(activities)))
    await activities.polling.wait()

    activities.found.set()
    client.incoming.put_nowait(DISCONNECT)
    await serving

    assert activities.notes == ["undelivered token"]
    assert client.status == 0


async def test_a_task_that_cannot_be_sent_is_given_back() -> None:
    activities, client = Activities(), poll()
    activities.found.set()

    async def broken(_: object) -> None:
        raise BrokenPipeError

    client.send = broken  # type: ignore[method-assign]
    await client.ask(create_wire(activities))

    assert activities.notes == ["undelivered token"]


async def test_a_server_that_stops_ends_polls() -> None:
    activities, client = Activities(), poll()
    serving = asyncio.ensure_future(client.ask(create_wire(activities)))
    await activities.polling.wait()

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert activities.notes == ["cancelled"]


async def test_a_poll_that_fails_is_answered() -> None:
    activities, client = Activities(errors.ActivityDoesNotExist("Activity Does Not Exist: 'a'")), poll()
    activities.found.set()

    await client.ask(create_wire(activities))

    assert client.status == 400
    assert client.json["message"] == "Activity Does Not Exist: 'a'"


async def test_an_implementation_need_not_care_about_delivery() -> None:
    client = await ask(t.GetActivityTaskOutput(task_token="token", input="{}"), {"activityArn": "a"}, "GetActivityTask")

    assert client.json["taskToken"] == "token"


async def test_polls_leave_nothing_behind() -> None:
    activities = Activities()
    activities.found.set()
    wire = create_wire(activities)

    for _ in range(3):
        await poll().ask(wire)
    await asyncio.sleep(0)
    gc.collect()

    assert asyncio.all_tasks() == {asyncio.current_task()}
