"""Shorthand, the safety-net retrier and ``_EXECUTION_NAME``, at every depth."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.expansion import SAFETY_NET, Expansion, expand
from workflow_manager.manager.graphs import states
from workflow_manager.manager.naming import Arns, ManagerSettings
from workflow_manager.model import StateResource

ARNS = Arns(ManagerSettings())
ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:"
GLUE = "arn:aws:states:::glue:startJobRun.sync"


def expansion(machine: dict[str, Any], *registered: StateResource) -> Expansion:
    """Expand, and see to it that the definition given was left alone."""
    stored = {resource.name: resource for resource in registered}
    before = copy.deepcopy(machine)
    result = expand(machine, "ns", ARNS, stored.get)
    assert machine == before
    return result


def expanded(state: dict[str, Any], *registered: StateResource, **machine: Any) -> dict[str, Any]:
    """The one state of a machine, expanded."""
    result = expansion({"StartAt": "s", "States": {"s": state}, **machine}, *registered)
    return dict(result.state_machine["States"]["s"])


@pytest.mark.parametrize(
    ("resource", "arn"),
    [
        pytest.param("echo", f"{ACTIVITY}ns--echo", id="a name is an activity"),
        pytest.param("lambda:echo", f"{FUNCTION}ns--echo", id="lambda: is a function"),
        pytest.param("arn:aws:states:::sqs:sendMessage", "arn:aws:states:::sqs:sendMessage", id="an ARN stays"),
        pytest.param("arn:aws-cn:lambda:x:1:function:f", "arn:aws-cn:lambda:x:1:function:f", id="in any partition"),
        pytest.param("", "", id="nothing stays nothing, for the validator to find"),
        pytest.param(7, 7, id="so does what is no text"),
    ],
)
def test_shorthand(resource: Any, arn: Any) -> None:
    assert expanded({"Type": "Task", "Resource": resource, "End": True})["Resource"] == arn


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        pytest.param({}, {"Parameters": {"JobName": "ns--echo"}}, id="without Parameters"),
        pytest.param(
            {"Parameters": {"Arguments": {"--x.$": "$.x"}}},
            {"Parameters": {"JobName": "ns--echo", "Arguments": {"--x.$": "$.x"}}},
            id="beside others",
        ),
        pytest.param({"Parameters": {"JobName": "mine"}}, {"Parameters": {"JobName": "mine"}}, id="the author's stays"),
        pytest.param({"Parameters": {"JobName.$": "$.j"}}, {"Parameters": {"JobName.$": "$.j"}}, id="also by path"),
        pytest.param(
            {"QueryLanguage": "JSONata"},
            {"QueryLanguage": "JSONata", "Arguments": {"JobName": "ns--echo"}},
            id="JSONata takes Arguments",
        ),
        pytest.param({"Parameters": "no object"}, {"Parameters": "no object"}, id="what is no object stays"),
    ],
)
def test_glue_runs_a_job(fields: dict[str, Any], parameters: dict[str, Any]) -> None:
    state = expanded({"Type": "Task", "Resource": "glue:echo", "End": True, **fields})

    assert state == {"Type": "Task", "Resource": GLUE, "End": True, **parameters, "Retry": [SAFETY_NET]}


def test_the_machines_query_language_holds_where_a_state_has_none() -> None:
    state = expanded({"Type": "Task", "Resource": "glue:echo", "End": True}, QueryLanguage="JSONata")

    assert state["Arguments"] == {"JobName": "ns--echo"}


@pytest.mark.parametrize(
    ("resource", "uri", "arn"),
    [
        pytest.param("echo", f"{ACTIVITY}other", f"{ACTIVITY}other", id="an activity elsewhere"),
        pytest.param("lambda:echo", f"{FUNCTION}other", f"{FUNCTION}other", id="a function elsewhere"),
        pytest.param("lambda:echo", f"{ACTIVITY}other", f"{FUNCTION}ns--echo", id="an activity is no function"),
        pytest.param("echo", "", f"{ACTIVITY}ns--echo", id="without an address"),
    ],
)
def test_a_stored_state_resource_says_where(resource: str, uri: str, arn: str) -> None:
    stored = StateResource(name="echo", namespace="ns", uri=uri)

    assert expanded({"Type": "Task", "Resource": resource, "End": True}, stored)["Resource"] == arn


def test_the_activities_that_must_exist_are_told() -> None:
    machine = {
        "States": {
            "a": {"Type": "Task", "Resource": "one"},
            "b": {"Type": "Task", "Resource": "one"},
            "c": {"Type": "Task", "Resource": "stored"},
            "d": {"Type": "Task", "Resource": "lambda:f"},
            "e": {"Type": "Pass", "Resource": "no task"},
            "f": {"Type": "Parallel", "Branches": [{"States": {"g": {"Type": "Task", "Resource": "two"}}}]},
        }
    }
    stored = StateResource(name="stored", namespace="ns", uri=f"{ACTIVITY}x")

    assert expansion(machine, stored).activities == {"ns--one", "ns--two"}


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        pytest.param(None, [SAFETY_NET], id="alone"),
        pytest.param([{"ErrorEquals": ["States.ALL"]}], [SAFETY_NET, {"ErrorEquals": ["States.ALL"]}], id="first"),
        pytest.param(
            [{"ErrorEquals": ["x"]}, {"ErrorEquals": ["y", "sfncli.CommandTerminated"], "MaxAttempts": 0}],
            [{"ErrorEquals": ["x"]}, {"ErrorEquals": ["y", "sfncli.CommandTerminated"], "MaxAttempts": 0}],
            id="not where the author names its error",
        ),
        pytest.param("odd", "odd", id="not where Retry is no list"),
        pytest.param(["odd", {"ErrorEquals": 1}], [SAFETY_NET, "odd", {"ErrorEquals": 1}], id="beside odd ones"),
    ],
)
def test_the_safety_net(retry: Any, expected: Any) -> None:
    fields = {} if retry is None else {"Retry": retry}

    assert expanded({"Type": "Task", "Resource": "arn:aws:x", **fields})["Retry"] == expected


def test_only_tasks_have_the_safety_net() -> None:
    assert expanded({"Type": "Parallel", "Branches": [], "End": True}) == {
        "Type": "Parallel",
        "Branches": [],
        "End": True,
    }


PATH = {"_EXECUTION_NAME.$": "$$.Execution.Name"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"Parameters": {"a": 1}}, {"Parameters": {"a": 1, **PATH}}, id="Parameters"),
        pytest.param({"ItemSelector": {"a": 1}}, {"ItemSelector": {"a": 1, **PATH}}, id="ItemSelector"),
        pytest.param({}, {}, id="an item that is handed on stays as it is"),
        pytest.param(
            {"ItemSelector": {"_EXECUTION_NAME": "x"}},
            {"ItemSelector": {"_EXECUTION_NAME": "x"}},
            id="the author's stays",
        ),
        pytest.param(
            {"Parameters": {"_EXECUTION_NAME.$": "$.x"}},
            {"Parameters": {"_EXECUTION_NAME.$": "$.x"}},
            id="also by path",
        ),
        pytest.param(
            {"QueryLanguage": "JSONata", "ItemSelector": {"a": 1}},
            {
                "QueryLanguage": "JSONata",
                "ItemSelector": {"a": 1, "_EXECUTION_NAME": "{% $states.context.Execution.Name %}"},
            },
            id="JSONata",
        ),
        pytest.param(
            {"ItemSelector": "{% $x %}"}, {"ItemSelector": "{% $x %}"}, id="a selector that is one expression"
        ),
    ],
)
def test_maps_hand_the_execution_name_on(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expanded({"Type": "Map", **fields}) == {"Type": "Map", **expected}


def task(resource: str = "echo") -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource}


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda graph: {"Type": "Parallel", "Branches": [{"States": {}}, graph]}, id="Parallel"),
        pytest.param(lambda graph: {"Type": "Map", "Iterator": graph}, id="Map with Iterator"),
        pytest.param(lambda graph: {"Type": "Map", "ItemProcessor": graph}, id="Map with ItemProcessor"),
        pytest.param(
            lambda graph: {"Type": "Map", "ItemProcessor": {**graph, "ProcessorConfig": {"Mode": "DISTRIBUTED"}}},
            id="distributed Map",
        ),
    ],
)
def test_every_depth_is_expanded(wrap: Any) -> None:
    machine = {"States": {"inner": task()}}
    for level in range(3):
        machine = {"States": {f"outer{level}": wrap(machine), f"beside{level}": task("lambda:f")}}

    found = [state for _, _, state in states(expansion(machine).state_machine) if state["Type"] == "Task"]

    assert {state["Resource"] for state in found} == {f"{ACTIVITY}ns--echo", f"{FUNCTION}ns--f"}
    assert all(state["Retry"] == [SAFETY_NET] for state in found)


def test_maps_within_a_distributed_map_are_left_alone_for_their_execution_has_another_name() -> None:
    inner = {"Type": "Map", "ItemSelector": {"a": 1}}
    outer = {
        "Type": "Map",
        "ItemSelector": {"b": 2},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "States": {"inner": inner}},
    }

    state = expanded(outer)

    assert state["ItemSelector"] == {"b": 2, **PATH}
    assert state["ItemProcessor"]["States"]["inner"] == inner


@pytest.mark.parametrize(
    ("pointer", "written"),
    [
        pytest.param("/States/s/Retry/1/MaxAttempts", "/States/s/Retry/0/MaxAttempts", id="after the one put first"),
        pytest.param("/States/s/Retry/0", "/States/s", id="the one put first is nobody's"),
        pytest.param("/States/s/Retry", "/States/s/Retry", id="the list itself"),
        pytest.param("/States/own/Retry/1", "/States/own/Retry/1", id="where none was put first"),
        pytest.param("/States/Retry/Retry/2", "/States/Retry/Retry/1", id="a state called Retry"),
        pytest.param("/States/s/Resource", "/States/s/Resource", id="elsewhere"),
    ],
)
def test_faults_are_placed_where_the_author_wrote(pointer: str, written: str) -> None:
    own = {**task(), "Retry": [{"ErrorEquals": ["sfncli.CommandTerminated"]}, {"ErrorEquals": ["x"]}]}
    machine = {"States": {"s": task(), "own": own, "Retry": task()}}

    assert expansion(machine).as_written(pointer) == written


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "States",
                    "Type",
                    "Resource",
                    "Branches",
                    "Iterator",
                    "ItemProcessor",
                    "Retry",
                    "Parameters",
                    "ErrorEquals",
                ]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["Task", "Map", "Parallel", "echo", "glue:x"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(["States", "StartAt", "QueryLanguage"]), json_values))
def test_any_json_can_be_expanded(machine: dict[str, Any]) -> None:
    """The validator says what is wrong with it; expansion neither fails nor changes what it was given."""
    expansion(machine)


def test_expanding_twice_adds_nothing() -> None:
    machine = {"States": {"s": task(), "m": {"Type": "Map", "ItemSelector": {}, "Iterator": {"States": {"t": task()}}}}}

    once = expansion(machine).state_machine

    assert expansion(once).state_machine == once


def test_depth_is_no_danger() -> None:
    machine: dict[str, Any] = {"States": {"inner": task()}}
    for _ in range(5_000):
        machine = {"States": {"p": {"Type": "Parallel", "Branches": [machine]}}}

    result = expand(machine, "ns", ARNS, lambda _: None)

    assert result.activities == {"ns--echo"}
    while machine:  # taken apart here, for freeing it at one go would recurse
        machine = machine["States"]["p"]["Branches"].pop() if "p" in machine["States"] else {}
