"""Request bodies: what is taken leniently, what is refused, and the place that a refusal names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.api.bodies import check_depth, read_body
from workflow_manager.api.requests import (
    CancelReason,
    NewWorkflowDefinitionRequest,
    Request,
    StartWorkflowRequest,
    WorkflowDefinitionOverrides,
)
from workflow_manager.model.errors import InvalidRequest


def request(body: bytes, *, content_type: str = "", query: bytes = b"", depth_limit: int = 20) -> Request:
    headers = [(b"content-type", content_type.encode())] if content_type else []
    scope = {"headers": headers, "path_params": {}, "query_string": query}
    return Request(scope, body=body, depth_limit=depth_limit, request_id="r")


# ---------------------------------------------------------------------------------------------- leniency


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"stateMachine": {"a": 1}, "name": "n"}', id="as documented"),
        pytest.param(b'{"STATEMACHINE": {"a": 1}, "Name": "n"}', id="names of fields in any case"),
        pytest.param(b'{"stateMachine": {"a": 1}, "name": "n", "colour": "red", "version": 7}', id="unknown fields"),
        pytest.param(b'{"stateMachine": {"a": 1}, "name": "n"} trailing {', id="bytes after the value"),
        pytest.param(b' \r\n\t{"stateMachine": {"a": 1}, "name": "n"}{"name": "m"}', id="a second value"),
        pytest.param(b'{"stateMachine": {"a": 1}, "name": "n"}\xff\xfe', id="bytes that are no text after it"),
        pytest.param(b'{"name": "m", "NAME": "n", "stateMachine": {"a": 1}}', id="the later of two spellings"),
        pytest.param(b'{"stateMachine": {"a": 1}, "name": "n", "defaultTags": null}', id="null for absent"),
    ],
)
def test_lenient_json(body: bytes) -> None:
    decoded = request(body, content_type="text/plain").decode(NewWorkflowDefinitionRequest, yaml=True)

    assert decoded == NewWorkflowDefinitionRequest(name="n", state_machine={"a": 1})


def test_case_counts_inside_what_is_the_users() -> None:
    body = {"Input": "{}", "Tags": {"NAME": "a", "Name": "b"}, "WorkflowDefinition": {"NAME": "n", "Version": 3}}

    decoded = request(json.dumps(body).encode()).decode(StartWorkflowRequest)

    assert decoded.tags == {"NAME": "a", "Name": "b"}
    assert (decoded.workflow_definition.name, decoded.workflow_definition.version) == ("n", 3)


def test_a_state_machine_is_not_touched() -> None:
    machine = {"name": None, "STATES": {"End": False, "x": [None, {}, 1.0, 10**30]}, "stateMachine": {"Name": ""}}

    decoded = request(json.dumps({"stateMachine": machine}).encode()).decode(NewWorkflowDefinitionRequest)

    assert json.dumps(decoded.state_machine) == json.dumps(machine)


@pytest.mark.parametrize("content_type", ["application/yaml", "text/yaml", "Text/X-YAML; charset=utf-8"])
def test_yaml_where_the_content_type_says_so(content_type: str) -> None:
    body = b"name: n\nstateMachine:\n  Version: '1.0'\n  on: yes\n  at: 2020-01-01\n  n: [1, 1.5, true, ~]\n"

    decoded = request(body, content_type=content_type).decode(NewWorkflowDefinitionRequest, yaml=True)

    assert decoded.state_machine == {"Version": "1.0", "on": "yes", "at": "2020-01-01", "n": [1, 1.5, True, None]}


def test_yaml_only_where_a_definition_is_read() -> None:
    with pytest.raises(InvalidRequest, match="not JSON"):
        request(b"reason: why", content_type="application/yaml").decode(CancelReason)


@pytest.mark.parametrize("body", [b'{"StartAt": "a"}', b'{"startat": "a"}', b'{"startAt": "a"}'])
def test_start_at(body: bytes) -> None:
    assert request(body).decode(WorkflowDefinitionOverrides).StartAt == "a"


# ---------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({"name": 3, "stateMachine": {}}, "/name: expected text, got a whole number", id="wrong type"),
        pytest.param({"name": "n"}, "/stateMachine is missing", id="no state machine"),
        pytest.param({"name": "n", "stateMachine": None}, "/stateMachine is missing", id="null is absent"),
        pytest.param({"stateMachine": "{}"}, "/stateMachine: expected an object, got text", id="text for an object"),
        pytest.param(
            {"stateMachine": {}, "defaultTags": []}, "/defaultTags: expected an object, got a list", id="list"
        ),
        pytest.param([], "the body: expected an object, got a list", id="list at the top"),
        pytest.param(None, "the body: expected an object, got null", id="null at the top"),
    ],
)
def test_refused_definitions(body: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        request(json.dumps(body).encode()).decode(NewWorkflowDefinitionRequest)

    assert refusal.value.message.startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "/workflowDefinition is missing", id="no definition"),
        pytest.param({"workflowDefinition": "n"}, "/workflowDefinition: expected an object, got text", id="text"),
        pytest.param(
            {"workflowDefinition": {"name": "n", "version": "1"}},
            "/workflowDefinition/version: expected a whole number, got text",
            id="version as text",
        ),
        pytest.param(
            {"workflowDefinition": {"name": "n", "version": 2**63}},
            "/workflowDefinition/version: ",
            id="version beyond 64 bits",
        ),
        pytest.param({"workflowDefinition": {}, "input": None}, "/input: expected text, got null", id="input null"),
        pytest.param(
            {"workflowDefinition": {}, "input": {}}, "/input: expected text, got an object", id="input object"
        ),
    ],
)
def test_refused_workflows(body: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        request(json.dumps(body).encode()).decode(StartWorkflowRequest)

    assert refusal.value.message.startswith(message)


NONSENSE = {
    "nothing": b"",
    "white space": b" \n",
    "a word": b"nonsense",
    "an open object": b'{"name"',
    "a lone brace": b"}",
    "not UTF-8": b'{"name": "\xff"}',
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "a number out of range": b'{"name": 1e999}',
    "not a number": b'{"name": NaN}',
    "nested too deeply": b'{"stateMachine": ' + b'{"a":' * 30 + b"1" + b"}" * 31,
    "nested beyond the stack": b"[" * 100_000,
    "nested beyond the stack, and closed": b"[" * 100_000 + b"]" * 100_000,
    "nested beyond the stack, before trailing bytes": b"[" * 100_000 + b"]" * 100_000 + b"x",
}


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidRequest):
        request(body, content_type=content_type).decode(NewWorkflowDefinitionRequest, yaml=True)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"a: [", id="unfinished"),
        pytest.param(b"a: *b", id="an alias without an anchor"),
        pytest.param(b"a: !!python/object:os.system {}", id="a tag"),
        pytest.param(b"a: 1\n---\nb: 2", id="two documents"),
        pytest.param(b"a: &a [*a]", id="an alias of what it is in"),
        pytest.param(b'{"stateMachine": {"a": "\\ud800"}}', id="half a surrogate pair in JSON"),
        pytest.param(
            b"a0: &a0 [x]\n"
            + b"".join(b"a%d: &a%d [%b]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)),
            id="a billion laughs",
        ),
    ],
)
def test_yaml_that_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_body(body, "application/yaml", depth_limit=20, yaml=True)


@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/yaml"]))
def test_any_bytes_are_a_value_or_refused(body: bytes, content_type: str) -> None:
    try:
        value = read_body(body, content_type, depth_limit=20, yaml=True)
    except InvalidRequest:
        return
    json.dumps(value).encode()


@pytest.mark.parametrize(("levels", "limit"), [(0, 0), (1, 1), (20, 20)])
def test_as_many_levels_as_allowed(levels: int, limit: int) -> None:
    check_depth(nested(levels), limit)
    with pytest.raises(InvalidRequest, match=f"deeper than {limit} levels"):
        check_depth(nested(levels + 1), limit)


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value, 2] if level % 2 else {"a": 1, "b": value}
    return value


# ---------------------------------------------------------------------------------------------- query


def test_queries() -> None:
    taken = request(b"", query=b"limit=1&limit=2&empty=&plus=a+b&escaped=%C3%A9%2F&bad=%zz&=x").query

    assert taken["limit"] == ["1", "2"]
    assert (taken["empty"], taken["plus"], taken["escaped"]) == ([""], ["a b"], ["é/"])
