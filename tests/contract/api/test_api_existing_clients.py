"""Clients that were generated for the original service: what they send, and the exact answers that they tell apart.

They know each operation's status of success and its errors; any other status is an error without a type to them. They put names
into paths as they are, send headers of their own, and send GET, PUT and DELETE again after a status of 500 and more.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from api_machines import FAIL, PASS, WAIT

from workflow_manager.api.app import OPERATIONS as SERVED

OPERATIONS: dict[str, tuple[str, str, int, set[int]]] = {
    "healthCheck": ("GET", "/_health", 200, {400, 500}),
    "getWorkflowDefinitions": ("GET", "/workflow-definitions", 200, {400, 500}),
    "newWorkflowDefinition": ("POST", "/workflow-definitions", 201, {400, 500}),
    "getWorkflowDefinitionVersionsByName": ("GET", "/workflow-definitions/{name}", 200, {400, 404, 500}),
    "updateWorkflowDefinition": ("PUT", "/workflow-definitions/{name}", 201, {400, 404, 500}),
    "getWorkflowDefinitionByNameAndVersion": ("GET", "/workflow-definitions/{name}/{version}", 200, {400, 404, 500}),
    "startWorkflow": ("POST", "/workflows", 200, {400, 404, 500}),
    "getWorkflows": ("GET", "/workflows", 200, {400, 404, 500}),
    "getWorkflowByID": ("GET", "/workflows/{workflowID}", 200, {400, 404, 500}),
    "CancelWorkflow": ("DELETE", "/workflows/{workflowID}", 200, {400, 404, 500}),
    "resumeWorkflowByID": ("POST", "/workflows/{workflowID}", 200, {400, 404, 500}),
    "resolveWorkflowByID": ("POST", "/workflows/{workflowID}/resolved", 201, {400, 404, 409, 500}),
    "postStateResource": ("POST", "/state-resources", 201, {400, 500}),
    "getStateResource": ("GET", "/state-resources/{namespace}/{name}", 200, {400, 404, 500}),
    "putStateResource": ("PUT", "/state-resources/{namespace}/{name}", 201, {400, 500}),
    "deleteStateResource": ("DELETE", "/state-resources/{namespace}/{name}", 200, {400, 404, 500}),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Refused(Exception):
    """An error that the operation declares: its status and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Existing:
    """One of those clients. ``call`` answers a document, or None where there is none."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, operation: str, body: Any = None, query: str = "", **path: Any) -> Any:
        method, template, success, declared = OPERATIONS[operation]
        headers = {"X-Client-Version": "0.16.2", "Canonical-Resource": operation, "baggage": ""}
        address = template.format(**path) + (f"?{query}" if query else "")
        answer = await self._http.request(method, address, json=body, headers=headers)
        if answer.status_code == success:
            return answer.json() if answer.content else None
        assert answer.status_code in declared, (operation, answer.status_code, answer.text)
        raise Refused(answer.status_code, answer.json()["message"])

    async def pages(self, query: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Every page up to the first without a header, whose value is put behind the server's address."""
        path = f"/workflows?{query}"
        while path:
            answer = await self._http.get(path)
            assert answer.status_code == 200
            yield answer.json()
            path = answer.headers.get("X-Next-Page-Path", "")


Ended = Callable[[str], Awaitable[dict[str, Any]]]


@pytest.fixture
async def existing(client: httpx.AsyncClient) -> Existing:
    """A client of a server that has a definition of each kind."""
    existing = Existing(client)
    for name, machine in (("pass", PASS), ("wait", WAIT), ("fail", FAIL), ("a:b", PASS)):
        await existing.call("newWorkflowDefinition", {"name": name, "stateMachine": machine})
    return existing


async def start(existing: Existing, name: str, **fields: Any) -> dict[str, Any]:
    body = {"workflowDefinition": {"name": name, "version": -1}, "input": "{}", "namespace": "ns", **fields}
    started: dict[str, Any] = await existing.call("startWorkflow", body)
    return started


def test_every_operation_of_old_is_served_as_it_was() -> None:
    served = {each.id: (each.method, each.path, each.answer.status) for each in SERVED}

    assert {name: served[name] for name in OPERATIONS} == {name: row[:3] for name, row in OPERATIONS.items()}


async def test_definitions(existing: Existing) -> None:
    """Lists are lists, also of one; versions begin at 0, which is left out; names are not escaped."""
    second = await existing.call("updateWorkflowDefinition", {"name": "a:b", "stateMachine": WAIT}, name="a:b")

    assert second["version"] == 1
    assert TIME.fullmatch(second["createdAt"])
    assert [each["version"] for each in await existing.call("getWorkflowDefinitionVersionsByName", name="a:b")] == [1]
    versions = await existing.call("getWorkflowDefinitionVersionsByName", query="latest=false", name="a:b")
    assert [each.get("version") for each in versions] == [None, 1]
    first = await existing.call("getWorkflowDefinitionByNameAndVersion", name="a:b", version=0)
    assert (first["stateMachine"], first["manager"]) == (PASS, "step-functions")
    assert {each["name"] for each in await existing.call("getWorkflowDefinitions")} == {"a:b", "fail", "pass", "wait"}


async def test_the_life_of_a_workflow(existing: Existing, ended: Ended) -> None:
    started = await start(existing, "fail", input='{"x": 1}', tags={"k": "v"}, queue="q", idSuffix="nightly")
    failed = await ended(started["id"])
    resumed = await existing.call("resumeWorkflowByID", {"StartAt": "choose"}, workflowID=started["id"])

    assert (started["status"], started["jobs"], started["retries"]) == ("queued", [], [])
    assert (started["input"], started["tags"], started["queue"]) == ('{"x": 1}', {"k": "v"}, "q")
    assert (failed["status"], failed["statusReason"]) == ("failed", "as told\nBroken")
    assert (resumed["retryFor"], resumed["namespace"], resumed["queue"]) == (started["id"], "ns", "q")
    assert await existing.call("resolveWorkflowByID", workflowID=started["id"]) is None
    read = await existing.call("getWorkflowByID", query="fetchHistory=true", workflowID=started["id"])
    assert (read["resolvedByUser"], read["retries"]) == (True, [resumed["id"]])
    assert [(each["state"], each["status"]) for each in read["jobs"]] == [("choose", "succeeded")]
    assert all(TIME.fullmatch(read[field]) for field in ("createdAt", "lastUpdated", "stoppedAt"))


async def test_cancelling_can_be_repeated(existing: Existing, ended: Ended) -> None:
    """As it is when an answer was 500."""
    waiting = await start(existing, "wait")

    for _ in range(2):
        assert await existing.call("CancelWorkflow", {"reason": "enough"}, workflowID=waiting["id"]) is None

    found = await ended(waiting["id"])
    assert (found["status"], found["statusReason"], found["resolvedByUser"]) == ("cancelled", "enough", True)


async def test_iterating_ends(existing: Existing) -> None:
    ids = [(await start(existing, "wait"))["id"] for _ in range(3)]

    query = "workflowDefinitionName=wait&limit=2&oldestFirst=true"
    pages = [[each["id"] for each in page] async for page in existing.pages(query)]

    assert [len(page) for page in pages] == [2, 1, 0]
    assert sorted(each for page in pages for each in page) == sorted(ids)
    assert await existing.call("getWorkflows", query="workflowDefinitionName=none") == []


async def test_state_resources(existing: Existing) -> None:
    """POST and PUT both overwrite; the type is what it ever was, whatever is sent."""
    resource = {"name": "echo", "namespace": "ns", "type": "LambdaFunctionARN", "uri": "arn:1"}

    for uri in ("arn:1", "arn:2"):
        made = await existing.call("postStateResource", {**resource, "uri": uri})
        assert (made["type"], made["uri"]) == ("ActivityARN", uri)
    assert (await existing.call("putStateResource", resource, namespace="ns", name="echo"))["uri"] == "arn:1"
    assert (await existing.call("getStateResource", namespace="ns", name="echo"))["uri"] == "arn:1"
    assert await existing.call("deleteStateResource", namespace="ns", name="echo") is None


async def test_health(existing: Existing) -> None:
    assert await existing.call("healthCheck") is None


def machine(**state: Any) -> dict[str, Any]:
    return {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "a", "End": True, **state}}}


@pytest.mark.parametrize(
    ("operation", "body", "path", "status", "message"),
    [
        pytest.param("newWorkflowDefinition", None, {}, 400, "no body", id="no body"),
        pytest.param("newWorkflowDefinition", {"name": "n"}, {}, 400, "/stateMachine is missing", id="no machine"),
        pytest.param(
            "newWorkflowDefinition",
            {"name": "pass", "stateMachine": PASS},
            {},
            400,
            "^Already Exists: pass$",
            id="there already",
        ),
        *(
            pytest.param(
                "newWorkflowDefinition", {"name": "n", "stateMachine": PASS, **change}, {}, 400, message, id=name
            )
            for name, change, message in (
                ("another manager", {"manager": "batch"}, "^/manager: "),
                ("an unknown type", {"stateMachine": machine(Type="Nap")}, "^/stateMachine/States/a/Type: "),
                ("another language", {"stateMachine": {**PASS, "Version": "2.0"}}, "^/stateMachine/Version: "),
                (
                    "fewer than no retries",
                    {"stateMachine": machine(Retry=[{"ErrorEquals": ["States.ALL"], "MaxAttempts": -1}])},
                    "^/stateMachine/States/a/Retry/0/MaxAttempts: ",
                ),
                ("no name", {"name": ""}, "^/name: "),
                ("a name that cannot be", {"name": "a/b"}, "^/name: "),
                ("StartAt nowhere", {"stateMachine": {**PASS, "StartAt": "z"}}, "^/stateMachine/StartAt: "),
                ("no states", {"stateMachine": {"StartAt": "a", "States": {}}}, "^/stateMachine/"),
                (
                    "a transition nowhere",
                    {"stateMachine": machine(Next="z", End=False)},
                    "^/stateMachine/States/a/Next",
                ),
                ("a tag that is a number", {"defaultTags": {"a": 1}}, "^/defaultTags/a: "),
            )
        ),
        pytest.param("updateWorkflowDefinition", None, {"name": "pass"}, 400, "no body", id="no body to update with"),
        pytest.param(
            "updateWorkflowDefinition",
            {"name": "other", "stateMachine": PASS},
            {"name": "pass"},
            400,
            "/name",
            id="another name than in the path",
        ),
        pytest.param(
            "updateWorkflowDefinition",
            {"name": "none", "stateMachine": PASS},
            {"name": "none"},
            404,
            "^none$",
            id="update of nothing",
        ),
        pytest.param("getWorkflowDefinitionVersionsByName", None, {"name": "none"}, 404, "^none$", id="no such name"),
        pytest.param(
            "getWorkflowDefinitionByNameAndVersion",
            None,
            {"name": "pass", "version": 7},
            404,
            "^pass@7$",
            id="no such version",
        ),
        pytest.param(
            "getWorkflowDefinitionByNameAndVersion",
            None,
            {"name": "pass", "version": "x"},
            400,
            "version",
            id="a version that is no number",
        ),
        pytest.param("startWorkflow", None, {}, 400, "no body", id="no body to start"),
        pytest.param("startWorkflow", {}, {}, 400, "/workflowDefinition is missing", id="no definition to start"),
        pytest.param(
            "startWorkflow",
            {"workflowDefinition": {"name": "none", "version": -1}},
            {},
            404,
            "^none$",
            id="start of nothing",
        ),
        pytest.param(
            "startWorkflow",
            {"workflowDefinition": {"name": "pass"}, "input": "[1]"},
            {},
            400,
            "^input is not a valid JSON object: ",
            id="an input that is no object",
        ),
        pytest.param(
            "startWorkflow",
            {"workflowDefinition": {"name": "pass"}, "tags": {"a": 1}},
            {},
            400,
            "/tags/a",
            id="a tag of a workflow that is a number",
        ),
        pytest.param("getWorkflowByID", None, {"workflowID": "none"}, 404, "^none$", id="no such workflow"),
        pytest.param("CancelWorkflow", None, {"workflowID": "none"}, 400, "no body", id="no reason"),
        pytest.param(
            "CancelWorkflow", {"reason": ""}, {"workflowID": "none"}, 404, "^none$", id="no workflow to cancel"
        ),
        pytest.param("resumeWorkflowByID", None, {"workflowID": "none"}, 400, "no body", id="no StartAt"),
        pytest.param(
            "resumeWorkflowByID", {"StartAt": "a"}, {"workflowID": "none"}, 404, "^none$", id="no workflow to resume"
        ),
        pytest.param("resolveWorkflowByID", None, {"workflowID": "none"}, 404, "^none$", id="no workflow to resolve"),
        pytest.param(
            "getStateResource", None, {"namespace": "ns", "name": "none"}, 404, "^ns--none$", id="no such resource"
        ),
        pytest.param(
            "deleteStateResource", None, {"namespace": "ns", "name": "none"}, 404, "^ns--none$", id="nothing to delete"
        ),
        pytest.param(
            "putStateResource",
            {"name": "other", "namespace": "ns"},
            {"namespace": "ns", "name": "echo"},
            400,
            "/name",
            id="a resource's name that is another",
        ),
        pytest.param("postStateResource", None, {}, 400, "no body", id="no resource"),
    ],
)
async def test_refusals(
    existing: Existing, operation: str, body: Any, path: dict[str, Any], status: int, message: str
) -> None:
    with pytest.raises(Refused, match=message) as refused:
        await existing.call(operation, body, **path)

    assert refused.value.status == status
    assert str(refused.value)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=10001", 400),
        ("limit=-1", 400),
        ("limit=many", 400),
        ("resolvedByUser=maybe", 400),
        ("oldestFirst=", 400),
        ("summaryOnly=2", 400),
        ("pageToken=nonsense", 400),
    ],
)
async def test_queries_that_are_refused(existing: Existing, query: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        await existing.call("getWorkflows", query=f"workflowDefinitionName=pass&{query}")

    assert refused.value.status == status


async def test_what_a_finished_workflow_refuses(existing: Existing, ended: Ended) -> None:
    done = (await ended((await start(existing, "pass"))["id"]))["id"]

    with pytest.raises(Refused, match=f"^Cancellation not allowed. Workflow {done} is succeeded$") as cancelled:
        await existing.call("CancelWorkflow", {"reason": ""}, workflowID=done)
    with pytest.raises(Refused, match=f"^workflow {done} already resolved$") as resolved:
        await existing.call("resolveWorkflowByID", workflowID=done)
    with pytest.raises(Refused) as resumed:
        await existing.call("resumeWorkflowByID", {"StartAt": "nowhere"}, workflowID=done)

    assert [each.value.status for each in (cancelled, resolved, resumed)] == [400, 409, 400]


async def test_what_an_unfinished_workflow_refuses(existing: Existing) -> None:
    waiting = (await start(existing, "wait"))["id"]

    with pytest.raises(Refused, match=f"^Workflow {waiting} active: ") as refused:
        await existing.call("resumeWorkflowByID", {"StartAt": "later"}, workflowID=waiting)

    assert refused.value.status == 400
