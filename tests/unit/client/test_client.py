"""Both clients against answers made by hand: what they send, what they retry, how they follow a stream, how they fail."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import pytest

from workflow_manager.api.errors import STATUS
from workflow_manager.client import (
    LATEST,
    ApiError,
    AsyncClient,
    AsyncWorkflowHandle,
    Client,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimedOut,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowHandle,
    errors,
    events,
    transport,
)
from workflow_manager.client.events import Parser
from workflow_manager.model import (
    NewWorkflow,
    NewWorkflowDefinition,
    Resumption,
    StateResource,
    WorkflowQuery,
    WorkflowStatus,
)

NEVER = "0001-01-01T00:00:00.000Z"
WORKFLOW = {
    "id": "w1",
    "createdAt": "2026-03-01T09:30:00.000Z",
    "lastUpdated": "2026-03-01T09:30:00.000Z",
    "stoppedAt": NEVER,
    "status": "running",
    "namespace": "demo",
    "workflowDefinition": {"id": "d1", "name": "a", "createdAt": NEVER, "manager": "step-functions"},
    "jobs": None,
    "retries": None,
}
DEFINITION = {"id": "d1", "name": "a", "createdAt": NEVER, "manager": "step-functions"}
RESOURCE = {"name": "echo", "namespace": "demo", "type": "ActivityARN", "uri": "arn:x", "lastUpdated": NEVER}

Handler = Callable[[httpx.Request], httpx.Response]
Connect = Callable[..., Any]


class Awaited:
    """An AsyncClient, or a handle of one, used like the one that blocks."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (lambda *args, **kwargs: self._blocking(found(*args, **kwargs))) if callable(found) else found

    def _blocking(self, answer: Any) -> Any:
        if inspect.isawaitable(answer):
            answer = self._loop.run_until_complete(answer)
        if isinstance(answer, AsyncWorkflowHandle):
            return Awaited(answer, self._loop)
        return self._items(answer) if inspect.isasyncgen(answer) else answer

    def _items(self, generator: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(generator))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(generator.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._inner.close())


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes either client of a handler."""
    if request.param == "blocking":
        yield lambda handler, server="http://server:1": Client(server, transport=httpx.MockTransport(handler))
        return
    loop = asyncio.new_event_loop()
    yield lambda handler, server="http://server:1": Awaited(
        AsyncClient(server, transport=httpx.MockTransport(handler)), loop
    )
    loop.close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(events, "RECONNECT_SECONDS", 0.0)


def answering(*answers: httpx.Response | Exception, seen: list[httpx.Request] | None = None) -> Handler:
    """Each request gets the next of the answers."""
    waiting = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        answer = next(waiting)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle


NEW = NewWorkflowDefinition(name="a:b", state_machine={"StartAt": "x"})
OPERATIONS: dict[str, tuple[Callable[[Any], Any], str, str, Any, Any]] = {
    "healthCheck": (lambda c: c.health(), "GET", "/_health", None, None),
    "getWorkflowDefinitions": (lambda c: c.definitions(), "GET", "/workflow-definitions", None, [DEFINITION]),
    "newWorkflowDefinition": (
        lambda c: c.new_definition(NEW),
        "POST",
        "/workflow-definitions",
        {"name": "a:b", "manager": "step-functions", "stateMachine": {"StartAt": "x"}, "defaultTags": {}},
        DEFINITION,
    ),
    "getWorkflowDefinitionVersionsByName": (
        lambda c: c.definition_versions("a b/c"),
        "GET",
        "/workflow-definitions/a%20b%2Fc?latest=false",
        None,
        [DEFINITION],
    ),
    "updateWorkflowDefinition": (
        lambda c: c.update_definition(NEW),
        "PUT",
        "/workflow-definitions/a%3Ab",
        {"name": "a:b", "manager": "step-functions", "stateMachine": {"StartAt": "x"}, "defaultTags": {}},
        DEFINITION,
    ),
    "getWorkflowDefinitionByNameAndVersion": (
        lambda c: c.definition("a", 3),
        "GET",
        "/workflow-definitions/a/3",
        None,
        DEFINITION,
    ),
    "startWorkflow": (
        lambda c: c.start_workflow(NewWorkflow(definition_name="a", version=-1, namespace="n", tags={"k": "v"})),
        "POST",
        "/workflows",
        {
            "workflowDefinition": {"name": "a", "version": -1},
            "input": "{}",
            "namespace": "n",
            "queue": "default",
            "tags": {"k": "v"},
        },
        WORKFLOW,
    ),
    "getWorkflows": (
        lambda c: c.workflows(
            WorkflowQuery(
                statuses=(WorkflowStatus.FAILED, WorkflowStatus.RUNNING),
                tags={"team": "a b"},
                resolved_by_user=False,
                created_after=datetime(2026, 3, 1, tzinfo=UTC),
                limit=5,
            )
        ),
        "GET",
        (
            "/workflows?workflowDefinitionName=&limit=5&oldestFirst=false&summaryOnly=false&status=failed&status=running"
            "&tag.team=a+b&resolvedByUser=false&createdAfter=2026-03-01T00%3A00%3A00.000Z"
        ),
        None,
        [WORKFLOW],
    ),
    "getWorkflowByID": (lambda c: c.workflow("w/1"), "GET", "/workflows/w%2F1?fetchHistory=true", None, WORKFLOW),
    "CancelWorkflow": (
        lambda c: c.cancel_workflow("w1", "late"),
        "DELETE",
        "/workflows/w1",
        {"reason": "late"},
        None,
    ),
    "resumeWorkflowByID": (
        lambda c: c.resume_workflow("w1", "x"),
        "POST",
        "/workflows/w1",
        {"StartAt": "x"},
        WORKFLOW,
    ),
    "resolveWorkflowByID": (lambda c: c.resolve_workflow("w1"), "POST", "/workflows/w1/resolved", None, None),
    "postStateResource": (
        lambda c: c.new_state_resource(StateResource(name="echo", namespace="demo", uri="arn:x")),
        "POST",
        "/state-resources",
        {"name": "echo", "namespace": "demo", "type": "ActivityARN", "uri": "arn:x"},
        RESOURCE,
    ),
    "getStateResource": (
        lambda c: c.state_resource("demo", "echo"),
        "GET",
        "/state-resources/demo/echo",
        None,
        RESOURCE,
    ),
    "putStateResource": (
        lambda c: c.put_state_resource(StateResource(name="echo", namespace="demo", uri="arn:x")),
        "PUT",
        "/state-resources/demo/echo",
        {"name": "echo", "namespace": "demo", "type": "ActivityARN", "uri": "arn:x"},
        RESOURCE,
    ),
    "deleteStateResource": (
        lambda c: c.delete_state_resource("demo", "echo"),
        "DELETE",
        "/state-resources/demo/echo",
        None,
        None,
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_an_operation_sends(client: Connect, operation: str) -> None:
    call, method, path, body, answer = OPERATIONS[operation]
    seen: list[httpx.Request] = []

    with client(answering(httpx.Response(200, json=answer), seen=seen)) as at:
        call(at)

    assert (seen[0].method, seen[0].url.raw_path.decode()) == (method, path)
    assert (json.loads(seen[0].content) if seen[0].content else None) == body


def test_all_operations_of_the_api_are_there() -> None:
    from workflow_manager.api.app import OPERATIONS as SERVED

    assert {operation.id for operation in SERVED} == {*OPERATIONS, "getWorkflowEvents"}


def test_a_workflow_without_namespace_lacks_the_field(client: Connect) -> None:
    answer = {name: value for name, value in WORKFLOW.items() if name != "namespace"}

    with client(answering(httpx.Response(200, json=answer))) as at:
        assert at.workflow("w1").namespace == ""


def test_pages_are_followed_to_the_empty_one(client: Connect) -> None:
    seen: list[httpx.Request] = []
    path = "/workflows?limit=1&pageToken=t"
    handler = answering(
        httpx.Response(200, json=[WORKFLOW], headers={"X-Next-Page-Path": path}),
        httpx.Response(200, json=[WORKFLOW | {"id": "w2"}], headers={"X-Next-Page-Path": path}),
        httpx.Response(200, json=[]),
        seen=seen,
    )

    with client(handler) as at:
        assert [each.id for each in at.iterate_workflows(WorkflowQuery(limit=1))] == ["w1", "w2"]

    assert [request.url.raw_path.decode() for request in seen[1:]] == [path, path]


def test_a_mounted_server_keeps_its_prefix(client: Connect) -> None:
    seen: list[httpx.Request] = []
    with client(answering(httpx.Response(200), seen=seen), "http://server/wfm/") as at:
        at.health()

    assert seen[0].url.path == "/wfm/_health"


# ---------------------------------------------------------------------- errors and retries


def test_a_refusal_has_its_code_message_and_details(client: Connect) -> None:
    body = {"code": "InvalidWorkflowDefinition", "message": "no", "diagnostics": [{"code": "X"}]}

    with client(answering(httpx.Response(400, json=body))) as at, pytest.raises(ApiError) as error:
        at.new_definition(NEW)

    assert (error.value.status, error.value.code, error.value.message) == (400, "InvalidWorkflowDefinition", "no")
    assert error.value.diagnostics == [{"code": "X"}]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((200, "<html>"), id="not JSON"),
        pytest.param((200, '{"x": 1}'), id="another document"),
        pytest.param((404, "not found"), id="an error of another server"),
    ],
)
def test_what_no_server_of_ours_answers(client: Connect, answer: tuple[int, str]) -> None:
    status, text = answer
    handler = answering(httpx.Response(status, text=text))

    with client(handler) as at, pytest.raises(UnexpectedAnswer, match="is it a workflow-manager server"):
        at.definitions()


UNAVAILABLE = {"code": "StorageUnavailable", "message": "the disk is full"}


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        pytest.param(lambda c: c.definitions(), 3, id="reading"),
        pytest.param(lambda c: c.cancel_workflow("w1", "r"), 3, id="cancelling twice is cancelling"),
        pytest.param(lambda c: c.put_state_resource(StateResource(name="a", namespace="b")), 3, id="overwriting"),
        pytest.param(lambda c: c.start("a"), 3, id="starting, as it has a key"),
        pytest.param(lambda c: c.update_definition(NEW), 1, id="each update makes a version"),
        pytest.param(lambda c: c.resume_workflow("w1", "x"), 1, id="each resume starts a workflow"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(lambda: httpx.Response(503, json=UNAVAILABLE), ApiError, id="unavailable"),
        pytest.param(lambda: httpx.ReadError("reset"), ServerUnreachable, id="connection broken"),
        pytest.param(lambda: httpx.ReadTimeout("slow"), ServerUnreachable, id="no answer in time"),
    ],
)
def test_only_what_may_be_repeated_is_tried_again(
    client: Connect, call: Callable[[Any], Any], requests: int, answer: Callable[[], Any], error: type[Exception]
) -> None:
    seen: list[httpx.Request] = []

    with client(answering(*(answer() for _ in range(3)), seen=seen)) as at, pytest.raises(error):
        call(at)

    assert len(seen) == requests


def test_a_server_that_is_not_there_is_told_in_one_sentence(client: Connect) -> None:
    seen: list[httpx.Request] = []
    refused = httpx.ConnectError("[Errno 111] Connection refused")

    with client(answering(refused, seen=seen)) as at, pytest.raises(ServerUnreachable) as error:
        at.definitions()

    assert str(error.value) == (
        "cannot reach the server at http://server:1 (connection refused); "
        "start it with wfm serve, or name another one with --server or WFM_SERVER"
    )
    assert len(seen) == 1


# ---------------------------------------------------------------------- events


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('event: history\nid: 3\ndata: {"a": 1}\n\n', [(3, "history", {"a": 1})], id="an event"),
        pytest.param(":\n\ndata: {}\n\n", [(0, "message", {})], id="comments are nothing"),
        pytest.param('data: {"a":\ndata: 1}\n\n', [(0, "message", {"a": 1})], id="data of several lines"),
        pytest.param("id: 3\ndata: {}\n\ndata: {}\n\n", [(3, "message", {}), (3, "message", {})], id="the id stays"),
        pytest.param("data: {}\n", [], id="an event cut off is none"),
        pytest.param("event: x\n\ndata:{}\n\n", [(0, "message", {})], id="an event without data is none"),
    ],
)
def test_parsing_a_stream(text: str, found: list[tuple[int, str, dict[str, Any]]]) -> None:
    parser = Parser()

    parsed = [event for line in text.splitlines() if (event := parser.event(line)) is not None]

    assert [(event.id, event.name, event.data) for event in parsed] == found


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream of (id, name, data); one that breaks, or ends. A None of these is a comment."""

    def __init__(self, parts: tuple[tuple[int, str, str] | None, ...], error: Exception | None) -> None:
        self._parts = parts
        self._error = error
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if part is None:
                yield b":\n\n"
                continue
            number, name, data = part
            first = f"id: {number}\n" if number else ""
            yield f"{first}event: {name}\ndata: {data}\n\n".encode()
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def stream(*parts: tuple[int, str, str] | None, broken: bool = False, error: Exception | None = None) -> httpx.Response:
    return httpx.Response(200, stream=Stream(parts, httpx.ReadError("reset") if broken else error))


RUNNING = (0, "workflow", '{"status": "running"}')
SUCCEEDED = (0, "workflow", '{"status": "succeeded"}')


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(True, id="the connection breaks"),
        pytest.param(False, id="the server stops"),
    ],
)
def test_a_stream_goes_on_after_the_last_event_that_came(client: Connect, broken: bool) -> None:
    seen: list[httpx.Request] = []
    handler = answering(
        stream(RUNNING, (1, "history", "{}"), broken=broken),
        httpx.ConnectError("refused"),
        httpx.Response(503, json=UNAVAILABLE),
        stream(RUNNING, (2, "history", "{}"), SUCCEEDED),
        seen=seen,
    )

    with client(handler) as at:
        found = [event.id for event in at.events("w1") if event.name == "history"]

    assert found == [1, 2]
    assert [request.headers["last-event-id"] for request in seen] == ["0", "1", "1", "1"]


def test_a_server_that_stays_away_is_not_waited_for_for_ever(client: Connect) -> None:
    handler = answering(stream(RUNNING, broken=True), *[httpx.ConnectError("refused")] * 3)

    with client(handler) as at, pytest.raises(ServerUnreachable):
        list(at.events("w1", patience_seconds=0))


def test_a_server_that_was_there_is_awaited_from_the_first_connection_on(client: Connect) -> None:
    """It is started anew between the start of a workflow and the look at it; and again when it has ended."""
    refused = httpx.ConnectError("refused")
    handler = answering(
        httpx.Response(200, json=WORKFLOW),
        *[refused] * 5,
        stream(SUCCEEDED),
        *[refused] * 4,
        httpx.Response(200, json=ENDED["succeeded"]),
    )

    with client(handler) as at:
        assert at.start("a").wait().status is WorkflowStatus.SUCCEEDED


def test_one_that_never_was_is_not(client: Connect) -> None:
    with client(answering(httpx.ConnectError("refused"))) as at, pytest.raises(ServerUnreachable):
        list(at.events("w1"))


def test_one_that_stays_away_when_a_workflow_has_ended_is_not_awaited_for_ever(client: Connect) -> None:
    handler = answering(stream(SUCCEEDED), *[httpx.ConnectError("refused")] * 3)

    with client(handler) as at, pytest.raises(ServerUnreachable):
        at.wait("w1", patience_seconds=0)


def test_following_what_is_not_there_fails_at_once(client: Connect) -> None:
    handler = answering(httpx.Response(404, json={"code": "WorkflowNotFound", "message": "w1"}))

    with client(handler) as at, pytest.raises(ApiError):
        list(at.events("w1"))


@pytest.mark.parametrize("method", ["events", "events_so_far"])
def test_who_stops_listening_gives_the_connection_back(client: Connect, method: str) -> None:
    body = Stream((RUNNING, (1, "history", "{}"), (2, "history", "{}")), None)

    with client(answering(httpx.Response(200, stream=body))) as at:
        events_ = getattr(at, method)("w1")
        assert next(events_).name == "workflow"
        events_.close()

    assert body.closed


def test_an_event_of_a_workflow_has_the_workflow(client: Connect) -> None:
    handler = answering(stream((0, "workflow", json.dumps(WORKFLOW)), (1, "history", "{}"), SUCCEEDED))

    with client(handler) as at:
        first, second, third = at.events("w1")

    assert first.workflow.status is WorkflowStatus.RUNNING
    assert second.workflow is None
    with pytest.raises(UnexpectedAnswer, match="something else than workflows"):
        _ = third.workflow


# ---------------------------------------------------------------------- starting, and what comes of it


def test_start_sends_values_as_json_and_answers_a_handle(client: Connect) -> None:
    seen: list[httpx.Request] = []

    with client(answering(httpx.Response(200, json=WORKFLOW), seen=seen)) as at:
        handle = at.start("a", {"order": 7}, namespace="n", queue="q", tags={"k": "v"}, idempotency_key="order-7")

    assert handle.id == "w1"
    assert seen[0].headers["idempotency-key"] == "order-7"
    assert json.loads(seen[0].content) == {
        "workflowDefinition": {"name": "a", "version": LATEST},
        "input": '{"order":7}',
        "namespace": "n",
        "queue": "q",
        "tags": {"k": "v"},
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, "{}"),
        ('{"as":  "written"}', '{"as":  "written"}'),
        ({"at": datetime(2026, 3, 1, tzinfo=UTC)}, '{"at":"2026-03-01T00:00:00Z"}'),
        (StateResource(name="a", namespace="b").__class__, None),
    ],
    ids=["nothing", "text", "values", "no JSON"],
)
def test_inputs(client: Connect, given: Any, sent: str | None) -> None:
    seen: list[httpx.Request] = []

    with client(answering(httpx.Response(200, json=WORKFLOW), seen=seen)) as at:
        if sent is None:
            with pytest.raises(TypeError):
                at.start("a", given)
        else:
            at.start("a", given)

    assert [json.loads(request.content)["input"] for request in seen] == ([] if sent is None else [sent])


def test_a_start_has_a_key_of_its_own_and_keeps_it_when_it_is_tried_again(client: Connect) -> None:
    seen: list[httpx.Request] = []
    unknown = {"code": "StartUnknown", "message": "no answer came"}
    handler = answering(
        httpx.ReadError("reset"),
        httpx.Response(503, json=unknown),
        httpx.Response(200, json=WORKFLOW),
        httpx.Response(200, json=WORKFLOW),
        seen=seen,
    )

    with client(handler) as at:
        at.start_workflow(NewWorkflow(definition_name="a"))
        at.start("a")

    first, second, third, another = (request.headers["idempotency-key"] for request in seen)
    assert first == second == third != another


ENDED = {
    "succeeded": WORKFLOW | {"status": "succeeded", "output": '{"n": [1, null]}'},
    "failed": WORKFLOW
    | {
        "status": "failed",
        "statusReason": "it broke\nE",
        "lastJob": {"id": "4", "state": "pay", "status": "failed", "attempts": None},
    },
    "timed out": WORKFLOW | {"status": "failed", "statusReason": "Workflow timed out"},
    "cancelled": WORKFLOW | {"status": "cancelled", "statusReason": "no longer"},
}


def ending(how: str) -> Handler:
    final = json.dumps({"status": ENDED[how]["status"]})
    return answering(stream(RUNNING, (0, "workflow", final)), httpx.Response(200, json=ENDED[how]))


@pytest.mark.parametrize("how", ENDED)
def test_waiting_answers_the_workflow_however_it_ended(client: Connect, how: str) -> None:
    with client(ending(how)) as at:
        assert at.handle("w1").wait().status == ENDED[how]["status"]


def test_the_result_is_the_output(client: Connect) -> None:
    with client(ending("succeeded")) as at:
        assert at.handle("w1").result() == {"n": [1, None]}


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("failed", WorkflowFailed, "workflow w1 failed in pay: it broke\nE"),
        ("timed out", WorkflowFailed, "workflow w1 failed: Workflow timed out"),
        ("cancelled", WorkflowCancelled, "workflow w1 was cancelled: no longer"),
    ],
)
def test_no_result_is_an_error_that_says_why(
    client: Connect, how: str, kind: type[WorkflowFailed | WorkflowCancelled], message: str
) -> None:
    with client(ending(how)) as at, pytest.raises(kind) as ended:
        at.handle("w1").result()

    assert str(ended.value) == message
    assert (ended.value.workflow.id, ended.value.reason) == ("w1", ENDED[how]["statusReason"])
    if isinstance(ended.value, WorkflowFailed):
        assert (ended.value.job.state if ended.value.job else None) == ("pay" if how == "failed" else None)


def test_the_failed_job_is_found_among_all_if_need_be() -> None:
    import msgspec

    from workflow_manager.model import Workflow

    jobs = [{"id": str(n), "state": state, "status": status} for n, state, status in JOBS]
    workflow = msgspec.convert(WORKFLOW | {"jobs": jobs}, Workflow)

    assert getattr(errors.failed_job(workflow), "state", None) == "b"


JOBS = [(1, "a", "succeeded"), (2, "b", "failed"), (3, "c", "succeeded")]


def test_waiting_ends_in_time(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's own timeout is what is left of the time."""
    now = 1_000.0
    monkeypatch.setattr("workflow_manager.client.wire._Clock.now", lambda _: now)
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal now
        seen.append(request)
        if request.url.path == "/workflows/w1":
            return httpx.Response(200, json=WORKFLOW)
        now += request.extensions["timeout"]["read"]
        raise httpx.ReadTimeout("slow")

    with client(handler) as at, pytest.raises(WaitTimedOut, match=r"^workflow w1 has not ended within 0.01 s") as late:
        at.handle("w1").wait(0.01)

    assert isinstance(late.value, TimeoutError)
    assert late.value.workflow_id == "w1"
    assert seen[0].extensions["timeout"]["read"] == pytest.approx(events.SHORTEST_SECONDS)


def test_a_stream_that_lasts_longer_than_the_time_that_is_left_is_made_anew(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of it would let it last for its whole timeout again."""
    now = 1_000.0
    monkeypatch.setattr("workflow_manager.client.wire._Clock.now", lambda _: now)
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        nonlocal now
        seen.append(request)
        if request.url.path == "/workflows/w1":
            return httpx.Response(200, json=WORKFLOW)
        if len(seen) == 3:
            now += request.extensions["timeout"]["read"]
            return stream(RUNNING, error=httpx.ReadTimeout("slow"))
        now += 15
        return stream(None, None, RUNNING)

    with client(handle) as at, pytest.raises(WaitTimedOut):
        at.wait("w1", 40)

    assert [request.extensions["timeout"]["read"] for request in seen[:3]] == [40, 25, 10]
    assert len(seen) == 4


def test_no_time_at_all_is_a_look(client: Connect) -> None:
    with client(answering(httpx.Response(200, json=ENDED["succeeded"]))) as at:
        assert at.wait("w1", 0).status is WorkflowStatus.SUCCEEDED


def test_what_a_handle_can_do(client: Connect) -> None:
    seen: list[httpx.Request] = []
    handler = answering(
        httpx.Response(200, json=WORKFLOW),
        httpx.Response(200),
        httpx.Response(200, json=WORKFLOW | {"id": "w2"}),
        httpx.Response(201),
        stream((6, "history", "{}"), SUCCEEDED),
        seen=seen,
    )

    with client(handler) as at:
        handle = at.handle("w1")
        assert handle.workflow().id == "w1"
        handle.cancel("why")
        assert handle.resume(Resumption(from_failed=True)).id == "w2"
        handle.resolve()
        assert [event.id for event in handle.follow(last_event_id=5)] == [6, 6]

    assert [(each.method, each.url.path) for each in seen] == [
        ("GET", "/workflows/w1"),
        ("DELETE", "/workflows/w1"),
        ("POST", "/workflows/w1"),
        ("POST", "/workflows/w1/resolved"),
        ("GET", "/workflows/w1/events"),
    ]
    assert seen[-1].headers["last-event-id"] == "5"


# ---------------------------------------------------------------------- what is common to both, and to the server


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_server_has_its_class(client: Connect, kind: Any) -> None:
    """And is one of what its parent is."""
    handler = answering(httpx.Response(STATUS[kind], json={"code": kind.code, "message": "m"}), *[UNANSWERED] * 2)

    with client(handler) as at, pytest.raises(ApiError) as error:
        at.update_definition(NEW)

    assert error.value.code == kind.code
    expected = errors.CLASSES.get(kind.code, ApiError)
    assert type(error.value) is expected
    for parent in kind.__mro__:
        if parent in STATUS and parent.code in errors.CLASSES:
            assert issubclass(expected, errors.CLASSES[parent.code])


UNANSWERED = httpx.ConnectError("refused")
NOT_CALLERS = {"InternalError", "WorkflowAlreadyExists", "NoSuchPath", "MethodNotAllowed"}
"""Codes that no call of a client can be answered with, but by a fault of either side."""


def test_only_what_nobody_can_cause_has_no_class() -> None:
    assert {kind.code for kind in STATUS} - errors.CLASSES.keys() == NOT_CALLERS
    assert errors.CLASSES.keys() <= {kind.code for kind in STATUS}


@pytest.mark.parametrize(("blocking", "awaited"), [(Client, AsyncClient), (WorkflowHandle, AsyncWorkflowHandle)])
def test_both_have_the_same_methods(blocking: type, awaited: type) -> None:
    """The same names, parameters, defaults and descriptions; what one answers the other answers when it is awaited."""
    spelled = {
        "AsyncGenerator": "Iterator",
        "AsyncWorkflowHandle": "WorkflowHandle",
        "httpx.AsyncBaseTransport": "httpx.BaseTransport",
    }

    def methods(kind: type) -> dict[str, Any]:
        return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}

    def signature(method: Any) -> str:
        text = str(inspect.signature(method))
        for theirs, ours in spelled.items():
            text = text.replace(theirs, ours)
        return text

    assert methods(blocking).keys() == methods(awaited).keys()
    for name, method in methods(blocking).items():
        assert signature(method) == signature(getattr(awaited, name))
        assert method.__doc__
        assert method.__doc__ == getattr(awaited, name).__doc__


# ---------------------------------------------------------------------- pauses


def pauses(client: Connect, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[float]:
    """How long a client pauses between the tries that these answers make it do."""
    slept: list[float] = []

    async def sleep(_: Any, seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("workflow_manager.client.wire.BlockingWire.sleep", sleep)
    monkeypatch.setattr("workflow_manager.client.wire.AwaitedWire.sleep", sleep)
    monkeypatch.setattr(transport, "RETRY_SECONDS", (1.0, 2.0))
    with client(answering(*answers, httpx.Response(200, json=[]))) as at:
        at.definitions()
    return slept


def test_pauses_grow_and_differ_between_clients(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [pauses(client, monkeypatch, httpx.ReadError("reset"), httpx.ReadError("reset")) for _ in range(5)]

    assert all(0.5 <= first <= 1.5 and 1.0 <= second <= 3.0 for first, second in found)
    assert len({first for first, _ in found}) == 5


@pytest.mark.parametrize(
    ("said", "seconds"), [("5", 5.0), ("0", 1.0), ("3600", 10.0), ("Thu, 26 Nov 2026 00:00:00 GMT", 1.0), ("-1", 1.0)]
)
def test_a_server_may_say_when_to_try_again(
    client: Connect, monkeypatch: pytest.MonkeyPatch, said: str, seconds: float
) -> None:
    answer = httpx.Response(503, json=UNAVAILABLE, headers={"retry-after": said})
    monkeypatch.setattr(transport.random, "uniform", lambda low, high: (low + high) / 2)

    assert pauses(client, monkeypatch, answer) == [seconds]


def test_a_server_that_was_there_is_waited_for(client: Connect) -> None:
    """It is being started anew: nothing was sent yet, so that any request may be tried again."""
    seen: list[httpx.Request] = []
    refused = httpx.ConnectError("[Errno 111] Connection refused")
    handler = answering(
        httpx.Response(200), refused, refused, httpx.Response(200, json=DEFINITION), *[refused] * 3, seen=seen
    )

    with client(handler) as at:
        at.health()
        assert at.update_definition(NEW).id == "d1"
        with pytest.raises(ServerUnreachable, match="connection refused"):
            at.update_definition(NEW)

    assert len(seen) == 7
