"""The client against answers made by hand: what it sends, what it retries, how it follows a stream, how it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from workflow_manager.client import ApiError, Client, ServerUnreachable, UnexpectedAnswer, events, transport
from workflow_manager.client.events import parse
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, StateResource, WorkflowQuery, WorkflowStatus

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


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(events, "RECONNECT_SECONDS", 0.0)


def client(handler: Handler) -> Client:
    return Client("http://server:1", transport=httpx.MockTransport(handler))


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
OPERATIONS: dict[str, tuple[Callable[[Client], Any], str, str, Any, Any]] = {
    "healthCheck": (Client.health, "GET", "/_health", None, None),
    "getWorkflowDefinitions": (Client.definitions, "GET", "/workflow-definitions", None, [DEFINITION]),
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
def test_what_an_operation_sends(operation: str) -> None:
    import json

    call, method, path, body, answer = OPERATIONS[operation]
    seen: list[httpx.Request] = []

    with client(answering(httpx.Response(200, json=answer), seen=seen)) as at:
        call(at)

    assert (seen[0].method, seen[0].url.raw_path.decode()) == (method, path)
    assert (json.loads(seen[0].content) if seen[0].content else None) == body


def test_all_operations_of_the_api_are_there() -> None:
    from workflow_manager.api.app import OPERATIONS as SERVED

    assert {operation.id for operation in SERVED} == {*OPERATIONS, "getWorkflowEvents"}


def test_a_workflow_without_namespace_lacks_the_field() -> None:
    answer = {name: value for name, value in WORKFLOW.items() if name != "namespace"}

    with client(answering(httpx.Response(200, json=answer))) as at:
        assert at.workflow("w1").namespace == ""


def test_pages_are_followed_to_the_empty_one() -> None:
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


def test_a_mounted_server_keeps_its_prefix() -> None:
    seen: list[httpx.Request] = []
    with Client("http://server/wfm/", transport=httpx.MockTransport(answering(httpx.Response(200), seen=seen))) as at:
        at.health()

    assert seen[0].url.path == "/wfm/_health"


# ---------------------------------------------------------------------- errors and retries


def test_a_refusal_has_its_code_message_and_details() -> None:
    body = {"code": "InvalidWorkflowDefinition", "message": "no", "diagnostics": [{"code": "X"}]}

    with client(answering(httpx.Response(400, json=body))) as at, pytest.raises(ApiError) as error:
        at.new_definition(NEW)

    assert (error.value.status, error.value.code, error.value.message) == (400, "InvalidWorkflowDefinition", "no")
    assert error.value.diagnostics == [{"code": "X"}]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(200, text="<html>"), id="not JSON"),
        pytest.param(httpx.Response(200, json={"x": 1}), id="another document"),
        pytest.param(httpx.Response(404, text="not found"), id="an error of another server"),
    ],
)
def test_what_no_server_of_ours_answers(answer: httpx.Response) -> None:
    with client(answering(answer)) as at, pytest.raises(UnexpectedAnswer, match="is it a workflow-manager server"):
        at.definitions()


UNAVAILABLE = {"code": "StorageUnavailable", "message": "the disk is full"}


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        pytest.param(Client.definitions, 3, id="reading"),
        pytest.param(lambda c: c.cancel_workflow("w1", "r"), 3, id="cancelling twice is cancelling"),
        pytest.param(lambda c: c.put_state_resource(StateResource(name="a", namespace="b")), 3, id="overwriting"),
        pytest.param(lambda c: c.start_workflow(NewWorkflow(definition_name="a")), 1, id="starting is done once"),
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
    call: Callable[[Client], Any], requests: int, answer: Callable[[], Any], error: type[Exception]
) -> None:
    seen: list[httpx.Request] = []

    with client(answering(*(answer() for _ in range(3)), seen=seen)) as at, pytest.raises(error):
        call(at)

    assert len(seen) == requests


def test_a_server_that_is_not_there_is_told_in_one_sentence() -> None:
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
    assert [(event.id, event.name, event.data) for event in parse(text.splitlines())] == found


def stream(*events_: tuple[int, str, str], broken: bool = False) -> httpx.Response:
    """A stream of (id, name, data); one that breaks, or ends."""

    def body() -> Iterator[bytes]:
        for number, name, data in events_:
            first = f"id: {number}\n" if number else ""
            yield f"{first}event: {name}\ndata: {data}\n\n".encode()
        if broken:
            raise httpx.ReadError("reset")

    return httpx.Response(200, content=body())


RUNNING = (0, "workflow", '{"status": "running"}')
SUCCEEDED = (0, "workflow", '{"status": "succeeded"}')


@pytest.mark.parametrize(
    "interruption",
    [
        pytest.param(stream(RUNNING, (1, "history", "{}"), broken=True), id="the connection breaks"),
        pytest.param(stream(RUNNING, (1, "history", "{}")), id="the server stops"),
    ],
)
def test_a_stream_goes_on_after_the_last_event_that_came(interruption: httpx.Response) -> None:
    seen: list[httpx.Request] = []
    handler = answering(
        interruption,
        httpx.ConnectError("refused"),
        httpx.Response(503, json=UNAVAILABLE),
        stream(RUNNING, (2, "history", "{}"), SUCCEEDED),
        seen=seen,
    )

    with client(handler) as at:
        found = [event.id for event in at.events("w1") if event.name == "history"]

    assert found == [1, 2]
    assert [request.headers["last-event-id"] for request in seen] == ["0", "1", "1", "1"]


def test_a_server_that_stays_away_is_not_waited_for_for_ever() -> None:
    handler = answering(stream(RUNNING, broken=True), *[httpx.ConnectError("refused")] * 3)

    with client(handler) as at, pytest.raises(ServerUnreachable):
        list(at.events("w1", patience_seconds=0))


def test_following_what_is_not_there_fails_at_once() -> None:
    handler = answering(httpx.Response(404, json={"code": "WorkflowNotFound", "message": "w1"}))

    with client(handler) as at, pytest.raises(ApiError):
        list(at.events("w1"))
