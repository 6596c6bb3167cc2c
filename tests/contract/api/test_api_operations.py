"""Every operation of the HTTP contract: success codes, documents, errors. Over the real manager and engine."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from api_machines import FAIL, PASS, WAIT

Start = Callable[..., Awaitable[dict[str, Any]]]
Ended = Callable[[str], Awaitable[dict[str, Any]]]

UNSET = "0001-01-01T00:00:00.000Z"
WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def error(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message; every error has them."""
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()["code"], answer.json()["message"]


# ---------------------------------------------------------------------------------------------- service


async def test_health_check(client: httpx.AsyncClient) -> None:
    answer = await client.get("/_health")

    assert (answer.status_code, answer.content) == (200, b"")


# ---------------------------------------------------------------------------------------------- definitions


async def test_a_new_definition_is_version_0(client: httpx.AsyncClient) -> None:
    body = {"name": "a:b", "manager": "step-functions", "stateMachine": PASS, "defaultTags": {"k": "v"}, "version": 9}

    answer = await client.post("/workflow-definitions", json=body)

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert WRITTEN.fullmatch(made.pop("createdAt"))
    assert made.pop("id")
    assert made == {"name": "a:b", "manager": "step-functions", "stateMachine": PASS, "defaultTags": {"k": "v"}}


async def test_a_definition_in_yaml(client: httpx.AsyncClient) -> None:
    body = "name: y\nstateMachine:\n  StartAt: done\n  States: {done: {Type: Succeed}}\n"

    answer = await client.post("/workflow-definitions", content=body, headers={"content-type": "application/yaml"})

    assert (answer.status_code, answer.json()["stateMachine"]) == (201, PASS)


async def test_a_definition_that_is_there(client: httpx.AsyncClient) -> None:
    await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})

    answer = await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})

    assert error(answer) == (400, "WorkflowDefinitionAlreadyExists", "Already Exists: n")


async def test_a_refused_definition_lists_every_fault(client: httpx.AsyncClient) -> None:
    machine = {
        "StartAt": "a",
        "States": {"a": {"Type": "Pass", "Next": "nowhere"}, "b": {"Type": "Pass"}},
    }

    answer = await client.post("/workflow-definitions", json={"name": "n", "stateMachine": machine})

    status, code, _ = error(answer)
    diagnostics = answer.json()["diagnostics"]
    assert (status, code) == (400, "InvalidWorkflowDefinition")
    assert len(diagnostics) >= 2
    assert all({"code", "message", "severity"} <= each.keys() for each in diagnostics)


async def test_put_makes_the_next_version(client: httpx.AsyncClient) -> None:
    first = (await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})).json()

    answer = await client.put("/workflow-definitions/n", json={"name": "n", "stateMachine": WAIT, "version": 7})

    second = answer.json()
    assert (answer.status_code, second["version"], second["stateMachine"]) == (201, 1, WAIT)
    assert second["id"] != first["id"]
    assert "version" not in first


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        pytest.param(
            "none", {"name": "none", "stateMachine": PASS}, (404, "WorkflowDefinitionNotFound", "none"), id="unknown"
        ),
        pytest.param("n", None, (400, "InvalidRequest"), id="no body"),
        pytest.param("n", {"name": "other", "stateMachine": PASS}, (400, "InvalidRequest"), id="another name"),
    ],
)
async def test_put_refused(client: httpx.AsyncClient, name: str, body: Any, expected: tuple[Any, ...]) -> None:
    await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})

    answer = (
        await client.put(f"/workflow-definitions/{name}", json=body)
        if body
        else await client.put("/workflow-definitions/n")
    )

    assert error(answer)[: len(expected)] == expected


async def test_versions(client: httpx.AsyncClient) -> None:
    await client.post("/workflow-definitions", json={"name": "n", "stateMachine": PASS})
    await client.put("/workflow-definitions/n", json={"name": "n", "stateMachine": WAIT})

    latest = (await client.get("/workflow-definitions/n")).json()
    every = (await client.get("/workflow-definitions/n", params={"latest": "false"})).json()
    names = (await client.get("/workflow-definitions")).json()
    first = await client.get("/workflow-definitions/n/0")

    assert [each.get("version", 0) for each in latest] == [1]
    assert [each.get("version", 0) for each in every] == [0, 1]
    assert [(each["name"], each["version"]) for each in names] == [("n", 1)]
    assert (first.status_code, first.json()) == (200, every[0])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/workflow-definitions/none", (404, "WorkflowDefinitionNotFound", "none")),
        ("/workflow-definitions/none?latest=false", (404, "WorkflowDefinitionNotFound", "none")),
        ("/workflow-definitions/none/3", (404, "WorkflowDefinitionNotFound", "none@3")),
        ("/workflow-definitions/none/three", (400, "InvalidRequest")),
        ("/workflow-definitions/none/9223372036854775808", (400, "InvalidRequest")),
        ("/workflow-definitions/none?latest=", (400, "InvalidRequest")),
        ("/workflow-definitions/none?latest=yes", (400, "InvalidRequest")),
        ("/workflows/none", (404, "WorkflowNotFound", "none")),
        ("/workflows/none?fetchHistory=x", (400, "InvalidRequest")),
        ("/workflows/none/events", (404, "WorkflowNotFound", "none")),
        ("/state-resources/ns/none", (404, "StateResourceNotFound", "ns--none")),
    ],
)
async def test_reads_refused(client: httpx.AsyncClient, path: str, expected: tuple[Any, ...]) -> None:
    assert error(await client.get(path))[: len(expected)] == expected


async def test_no_definitions_are_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get("/workflow-definitions")).content == b"[]"


# ---------------------------------------------------------------------------------------------- workflows


async def test_a_started_workflow(client: httpx.AsyncClient) -> None:
    definition = (
        await client.post(
            "/workflow-definitions", json={"name": "n", "stateMachine": PASS, "defaultTags": {"a": "1", "b": "1"}}
        )
    ).json()
    body = {
        "workflowDefinition": {"name": "n", "version": 0},
        "input": '{"foo":   true}',
        "namespace": "ns",
        "queue": "q",
        "tags": {"b": "2"},
        "idSuffix": "ignored",
    }

    answer = await client.post("/workflows", json=body)

    started = answer.json()
    assert answer.status_code == 200
    assert WRITTEN.fullmatch(started.pop("createdAt"))
    assert WRITTEN.fullmatch(started.pop("lastUpdated"))
    assert started.pop("id")
    assert started == {
        "stoppedAt": UNSET,
        "status": "queued",
        "namespace": "ns",
        "queue": "q",
        "input": '{"foo":   true}',
        "tags": {"a": "1", "b": "2"},
        "workflowDefinition": definition,
        "jobs": [],
        "retries": [],
    }


async def test_what_a_started_workflow_has_by_default(start: Start) -> None:
    started = await start(PASS, input="")

    assert (started["queue"], started["input"], started.get("tags")) == ("default", "{}", None)


async def test_versions_of_a_workflow(client: httpx.AsyncClient, start: Start) -> None:
    await start(PASS)
    await client.put("/workflow-definitions/flow", json={"stateMachine": PASS, "name": "flow"})

    ran = [
        (await start(PASS, workflowDefinition={"name": "flow", **version}))["workflowDefinition"].get("version", 0)
        for version in ({}, {"version": 0}, {"version": 1}, {"version": -1})
    ]

    assert ran == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"workflowDefinition": {"name": "none"}}, (404, "WorkflowDefinitionNotFound", "none@0")),
        ({"workflowDefinition": {"name": "none", "version": -1}}, (404, "WorkflowDefinitionNotFound", "none")),
        ({"workflowDefinition": {"name": "flow", "version": 5}}, (404, "WorkflowDefinitionNotFound", "flow@5")),
        ({"workflowDefinition": {}}, (400, "InvalidRequest")),
        ({"input": "[]"}, (400, "InvalidRequest")),
        ({"input": "nonsense"}, (400, "InvalidRequest")),
        ({"input": "[" * 100_000}, (400, "InvalidRequest")),
        ({"input": None}, (400, "InvalidRequest", "/input: expected text, got null")),
        ({"tags": {"a": 1}}, (400, "InvalidRequest")),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_start_refused(client: httpx.AsyncClient, change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    await client.post("/workflow-definitions", json={"name": "flow", "stateMachine": PASS})

    answer = await client.post("/workflows", json={"workflowDefinition": {"name": "flow"}, "namespace": "x", **change})

    assert error(answer)[: len(expected)] == expected


async def test_an_idempotency_key_starts_one_workflow(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    await start(PASS)
    body = {"workflowDefinition": {"name": "flow", "version": -1}, "namespace": "test", "input": '{"n": 1}'}
    headers = {"Idempotency-Key": "order-7"}

    first = await client.post("/workflows", json=body, headers=headers)
    workflow = await ended(first.json()["id"])
    again = await client.post("/workflows", json=body, headers=headers)
    another = await client.post("/workflows", json=body, headers={"idempotency-key": "order-8"})

    assert [each.status_code for each in (first, again, another)] == [200] * 3
    assert (first.json()["status"], first.json()["jobs"]) == ("queued", [])
    assert again.json() == workflow
    assert another.json()["id"] != workflow["id"]


async def test_an_idempotency_key_with_other_content(client: httpx.AsyncClient, start: Start) -> None:
    await start(PASS)
    body = {"workflowDefinition": {"name": "flow"}, "namespace": "test"}
    headers = {"Idempotency-Key": "order-7"}
    workflow = (await client.post("/workflows", json=body, headers=headers)).json()

    answer = await client.post("/workflows", json={**body, "queue": "q", "input": '{"n": 1}'}, headers=headers)

    status, code, message = error(answer)
    assert (status, code) == (400, "IdempotencyKeyReused")
    assert f"was used for workflow {workflow['id']}, which differs in /queue, /input" in message
    assert (answer.json()["workflowID"], answer.json()["fields"]) == (workflow["id"], ["/queue", "/input"])


@pytest.mark.parametrize(
    "key", [b"", b"two words", b"\xc3\xa9", b"k" * 256], ids=["empty", "space", "no ASCII", "long"]
)
async def test_an_idempotency_key_that_is_none(client: httpx.AsyncClient, start: Start, key: bytes) -> None:
    there = await start(PASS)

    answer = await client.post(
        "/workflows",
        json={"workflowDefinition": {"name": "flow"}},
        headers=[(b"idempotency-key", key), (b"content-type", b"application/json")],
    )

    assert error(answer)[:2] == (400, "InvalidRequest")
    assert error(answer)[2].startswith("Idempotency-Key: ")
    assert [each["id"] for each in (await client.get("/workflows")).json()] == [there["id"]]


async def test_an_input_that_is_no_object_is_told_as_ever(client: httpx.AsyncClient, start: Start) -> None:
    await start(PASS)

    answer = await client.post(
        "/workflows", json={"workflowDefinition": {"name": "flow"}, "namespace": "x", "input": "3"}
    )

    assert error(answer)[2].startswith("input is not a valid JSON object")


async def test_a_workflow_that_succeeds(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    workflow = await ended((await start(PASS, input='{"foo": true}'))["id"])

    assert workflow["status"] == "succeeded"
    assert workflow["resolvedByUser"] is True
    assert "foo" in workflow["output"]
    assert WRITTEN.fullmatch(workflow["stoppedAt"])
    assert workflow["stoppedAt"] != UNSET
    again = (await client.get(f"/workflows/{workflow['id']}", params={"fetchHistory": "true"})).json()
    assert [(job["state"], job["status"]) for job in again["jobs"]] == [("done", "succeeded")]


async def test_cancel(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    path = f"/workflows/{(await start(WAIT))['id']}"

    answer = await client.request("DELETE", path, json={"reason": "no longer"})
    again = await client.request("DELETE", path, json={"reason": "no longer"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert again.status_code == 200
    workflow = await ended(path.removeprefix("/workflows/"))
    assert (workflow["status"], workflow["statusReason"], workflow["resolvedByUser"]) == (
        "cancelled",
        "no longer",
        True,
    )


async def test_cancel_refused(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    done = await ended((await start(PASS))["id"])

    late = await client.request("DELETE", f"/workflows/{done['id']}", json={"reason": ""})
    bare = await client.delete(f"/workflows/{done['id']}")
    none = await client.request("DELETE", "/workflows/none", json={"reason": ""})

    assert error(late)[:2] == (400, "CancellationNotAllowed")
    assert error(late)[2] == f"Cancellation not allowed. Workflow {done['id']} is succeeded"
    assert error(bare)[:2] == (400, "InvalidRequest")
    assert error(none) == (404, "WorkflowNotFound", "none")


async def test_resume(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    failed = await ended((await start(FAIL, input='{"x": 1}'))["id"])

    answer = await client.post(f"/workflows/{failed['id']}", json={"StartAt": "choose"})

    resumed = answer.json()
    assert answer.status_code == 200
    assert (resumed["status"], resumed["retryFor"], resumed["retries"]) == ("queued", failed["id"], [])
    original = (await client.get(f"/workflows/{failed['id']}")).json()
    assert original["retries"] == [resumed["id"]]
    await ended(resumed["id"])


@pytest.mark.parametrize("state", ["none", ""])
async def test_resume_refused(client: httpx.AsyncClient, start: Start, ended: Ended, state: str) -> None:
    failed = await ended((await start(FAIL, input="{}"))["id"])

    answer = await client.post(f"/workflows/{failed['id']}", json={"StartAt": state})

    assert error(answer)[:2] == (400, "ResumeNotAllowed")


async def test_resume_with_something_changed(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    failed = await ended((await start(FAIL, input="{}"))["id"])
    path = f"/workflows/{failed['id']}"

    both = await client.post(path, json={"StartAt": "choose", "fromFailed": True})
    assert error(both) == (400, "InvalidRequest", "/fromFailed and /StartAt are both given: give one of them")
    assert error(await client.post(path, json={"StartAt": "choose", "version": 99}))[:2] == (
        404,
        "WorkflowDefinitionNotFound",
    )
    assert error(await client.post(path, json={"StartAt": "choose", "input": "[1]"}))[:2] == (400, "InvalidRequest")
    resumed = await client.post(path, json={"fromFailed": True, "input": '{"n": 1}', "version": 0})
    assert (resumed.status_code, resumed.json()["input"]) == (200, '{"n": 1}')
    assert resumed.json()["workflowDefinition"]["stateMachine"]["StartAt"] == "choose"
    await ended(resumed.json()["id"])


async def test_resume_without_body_or_workflow(client: httpx.AsyncClient) -> None:
    assert error(await client.post("/workflows/none"))[:2] == (400, "InvalidRequest")
    assert error(await client.post("/workflows/none", json={"StartAt": "a"})) == (404, "WorkflowNotFound", "none")


async def test_resolve(client: httpx.AsyncClient, start: Start, ended: Ended) -> None:
    failed = await ended((await start(FAIL))["id"])
    path = f"/workflows/{failed['id']}/resolved"

    answer = await client.post(path)
    again = await client.post(path)

    assert "resolvedByUser" not in failed
    assert (answer.status_code, answer.content) == (201, b"")
    assert error(again) == (409, "WorkflowAlreadyResolved", f"workflow {failed['id']} already resolved")
    assert error(await client.post("/workflows/none/resolved")) == (404, "WorkflowNotFound", "none")


# ---------------------------------------------------------------------------------------------- state resources


async def test_state_resources(client: httpx.AsyncClient) -> None:
    resource = {"name": "echo", "namespace": "ns", "uri": "arn:a"}

    posted = await client.post("/state-resources", json=resource)
    put = await client.put("/state-resources/ns/echo", json={**resource, "uri": "arn:b"})
    bare = await client.put("/state-resources/ns/echo", json={"uri": "arn:c"})
    got = await client.get("/state-resources/ns/echo")
    deleted = await client.delete("/state-resources/ns/echo")
    again = await client.delete("/state-resources/ns/echo")

    assert [each.status_code for each in (posted, put, bare, got, deleted)] == [201, 201, 201, 200, 200]
    document = got.json()
    assert WRITTEN.fullmatch(document.pop("lastUpdated"))
    assert document == {**resource, "type": "ActivityARN", "uri": "arn:c"}
    assert deleted.content == b""
    assert error(again) == (404, "StateResourceNotFound", "ns--echo")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/state-resources/ns/echo", {"name": "other", "namespace": "ns"}, "/name: "),
        ("PUT", "/state-resources/ns/echo", {"name": "echo", "namespace": "other"}, "/namespace: "),
        ("POST", "/state-resources", {"namespace": "ns"}, "/name is missing"),
        ("POST", "/state-resources", {"name": "echo"}, "/namespace is missing"),
        ("POST", "/state-resources", {"name": 1}, "/name: "),
    ],
)
async def test_state_resources_refused(
    client: httpx.AsyncClient, method: str, path: str, body: Any, field: str
) -> None:
    status, code, message = error(await client.request(method, path, json=body))

    assert (status, code) == (400, "InvalidRequest")
    assert message.startswith(field)


# ---------------------------------------------------------------------------------------------- bodies that make no sense


NONSENSE = {
    "nothing": b"",
    "a word": b"nonsense",
    "an open object": b'{"name',
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "not UTF-8": b'{"name": "\xff"}',
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "100,000 brackets": b"[" * 100_000,
    "every field of a wrong type": b'{"name":{},"stateMachine":3,"workflowDefinition":"x","input":[],"reason":1,"StartAt":2,'
    b'"namespace":false,"uri":[]}',
    "more than the limit": b'{"name": "' + b"x" * 5_000_000 + b'"}',
}
TAKE_BODIES = [
    ("POST", "/workflow-definitions"),
    ("PUT", "/workflow-definitions/n"),
    ("POST", "/workflows"),
    ("DELETE", "/workflows/w"),
    ("POST", "/workflows/w"),
    ("POST", "/state-resources"),
    ("PUT", "/state-resources/ns/n"),
]


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize(("method", "path"), TAKE_BODIES, ids=lambda part: part)
async def test_nonsense_is_400_with_a_reason(client: httpx.AsyncClient, method: str, path: str, body: bytes) -> None:
    status, code, message = error(await client.request(method, path, content=body))

    assert (status, code) == (400, "InvalidRequest")
    assert message
