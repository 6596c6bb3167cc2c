"""What is refused in a definition beyond faults of the Amazon States Language."""

from typing import Any

import pytest

from workflow_manager.manager.checks import JSON_DEPTH, faults
from workflow_manager.model import NewWorkflowDefinition

FINE: dict[str, Any] = {"StartAt": "s", "States": {"s": {"Type": "Succeed"}}}


def found(machine: dict[str, Any] | None = None, **fields: Any) -> list[tuple[str, str]]:
    new = NewWorkflowDefinition(state_machine=FINE if machine is None else machine, **{"name": "d", **fields})
    return [(fault.location, fault.code) for fault in faults(new)]


def with_state(**state: Any) -> dict[str, Any]:
    return {"StartAt": "s", "States": {"s": state}}


@pytest.mark.parametrize(
    "name",
    ["sfncli-test:master", "a b", "..x", "größe", "x" * 256, "100%", "a?b#c"],
)
def test_names_that_are_taken(name: str) -> None:
    assert found(name=name) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="none"),
        pytest.param("a/b", id="a slash"),
        pytest.param("a\nb", id="a line break"),
        pytest.param("a\x00", id="a control character"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param(".", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param("x" * 257, id="too long"),
    ],
)
def test_names_that_are_refused(name: str) -> None:
    assert found(name=name) == [("/name", "INVALID_NAME")]


@pytest.mark.parametrize(
    ("manager", "refused"), [("step-functions", False), ("", False), ("batch", True), ("STEP-FUNCTIONS", True)]
)
def test_the_one_manager(manager: str, refused: bool) -> None:
    assert found(manager=manager) == ([("/manager", "INVALID_MANAGER")] if refused else [])


def test_default_tags_are_texts() -> None:
    assert found(default_tags={"a": "b", "c/d": 1}) == [("/defaultTags/c~1d", "INVALID_TAG")]


@pytest.mark.parametrize(
    ("machine", "location"),
    [
        pytest.param({**FINE, "Version": "2.0"}, "/stateMachine/Version", id="another Version"),
        pytest.param({**FINE, "Version": 1.0}, "/stateMachine/Version", id="Version as a number"),
        pytest.param(
            with_state(Type="Task", Resource="arn:x", Retry=[{}, {"MaxAttempts": 2001}]),
            "/stateMachine/States/s/Retry/1/MaxAttempts",
            id="more than 2000 attempts",
        ),
        pytest.param(
            with_state(Type="Parallel", Branches=[with_state(Type="Map", Retry=[{"MaxAttempts": -1}])]),
            "/stateMachine/States/s/Branches/0/States/s/Retry/0/MaxAttempts",
            id="fewer than none, deep inside",
        ),
    ],
)
def test_fields_of_the_machine(machine: dict[str, Any], location: str) -> None:
    assert found(machine) == [(location, "SCHEMA_VALIDATION_FAILED")]


@pytest.mark.parametrize("attempts", [0, 1, 2000])
def test_attempts_that_are_taken(attempts: int) -> None:
    assert found(with_state(Type="Task", Resource="arn:x", Retry=[{"MaxAttempts": attempts}])) == []


@pytest.mark.parametrize(
    ("state", "field"),
    [
        pytest.param({"Resource": "lambda:"}, "Resource", id="a kind without a name"),
        pytest.param({"Resource": "two words"}, "Resource", id="a space"),
        pytest.param({"Resource": "sqs:send"}, "Resource", id="a kind that is none"),
        pytest.param({"Resource": "x" * 81}, "Resource", id="too long"),
        pytest.param({"Resource": "glue:j", "Parameters": "$"}, "Parameters", id="no room for JobName"),
        pytest.param(
            {"Resource": "glue:j", "QueryLanguage": "JSONata", "Arguments": "{% $x %}"},
            "Arguments",
            id="nor in JSONata",
        ),
    ],
)
def test_shorthand_that_can_name_nothing(state: dict[str, Any], field: str) -> None:
    assert found(with_state(Type="Task", **state)) == [(f"/stateMachine/States/s/{field}", "INVALID_RESOURCE")]


def test_every_fault_is_told_at_once() -> None:
    machine = {**with_state(Type="Task", Resource="a b", Retry=[{"MaxAttempts": 9999}]), "Version": "0"}

    assert [location for location, _ in found(machine, name="/", manager="x", default_tags={"t": 1})] == [
        "/name",
        "/defaultTags/t",
        "/manager",
        "/stateMachine/Version",
        "/stateMachine/States/s/Retry/0/MaxAttempts",
        "/stateMachine/States/s/Resource",
    ]


def test_nesting_has_an_end() -> None:
    def nested(depth: int) -> dict[str, Any]:
        machine: dict[str, Any] = {}
        for _ in range(depth - 1):
            machine = {"x": machine}
        return machine

    assert found(nested(JSON_DEPTH)) == []
    assert found(nested(JSON_DEPTH + 1)) == [("/stateMachine", "NESTED_TOO_DEEPLY")]
