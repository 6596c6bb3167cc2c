"""The context object: the same in both query languages, with what there is to say at each place.

Source: SFN developer guide, "Accessing execution data from the Context object in Step Functions".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from stepping import Stepped, machine, task

EXECUTION = {
    "Id": "arn:e",
    "Input": [["x"], ["y"]],
    "StartTime": "1970-01-01T00:16:40.000Z",
    "Name": "e",
    "RoleArn": "arn:role",
    "RedriveCount": 0,
}
MACHINE = {"Id": "arn:m", "Name": "m"}
CALLBACK = "arn:aws:states:::states:startExecution.waitForTaskToken"
TIME = "1970-01-01T00:16:40.000Z"
LANGUAGES = {
    "JSONPath": {"Parameters": {"c.$": "$$"}},
    "JSONata": {"QueryLanguage": "JSONata", "Arguments": {"c": "{% $states.context %}"}},
}


@pytest.fixture(params=LANGUAGES)
def arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Fields of a Task that send the whole context object to whoever does it."""
    return LANGUAGES[request.param]


def sent(run: Stepped, call: int = -1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.calls[call].arguments)["c"]
    return found


def test_in_a_task_that_waits_for_its_token(arguments: dict[str, Any]) -> None:
    run = Stepped(machine({"T": task(CALLBACK, **arguments)}), EXECUTION["Input"]).start()

    assert sent(run) == {
        "Execution": EXECUTION,
        "StateMachine": MACHINE,
        "State": {"Name": "T", "EnteredTime": TIME, "RetryCount": 0},
        "Task": {"Token": run.calls[0].token},
    }


def test_in_an_iteration_and_below_it(arguments: dict[str, Any]) -> None:
    """What is in a Parallel in an iteration is of that iteration."""
    inner = {"Type": "Parallel", "Branches": [machine({"T": task(**arguments)})], "End": True}
    each = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": machine({"P": inner}), "End": True}
    run = Stepped(machine({"M": each}), EXECUTION["Input"]).start()

    assert sent(run)["Map"] == {"Item": {"Index": 0, "Value": ["x"], "Source": "STATE_DATA"}}


@pytest.mark.parametrize(
    "selector",
    [
        {"ItemSelector": {"i.$": "$$.Map.Item"}},
        {"QueryLanguage": "JSONata", "ItemSelector": {"i": "{% $states.context.Map.Item %}"}},
    ],
    ids=LANGUAGES,
)
def test_in_an_item_selector(selector: dict[str, Any]) -> None:
    each = {"Type": "Map", "ItemProcessor": machine({"P": {"Type": "Pass", "End": True}}), "End": True, **selector}
    run = Stepped(machine({"M": each}), EXECUTION["Input"]).start()

    assert run.output == [
        {"i": {"Index": 0, "Value": ["x"], "Source": "STATE_DATA"}},
        {"i": {"Index": 1, "Value": ["y"], "Source": "STATE_DATA"}},
    ]


def test_an_express_execution_says_nothing_of_redrives(arguments: dict[str, Any]) -> None:
    run = Stepped(machine({"T": task(**arguments)}), EXECUTION["Input"])
    run.execution.redrive_count = None
    run.start()

    assert sent(run)["Execution"] == {name: value for name, value in EXECUTION.items() if name != "RedriveCount"}


def test_a_redriven_execution_says_when(arguments: dict[str, Any]) -> None:
    run = Stepped(machine({"T": task(**arguments)}), EXECUTION["Input"])
    run.execution.redrive_count, run.execution.redrive_date = 2, 1_000.0
    run.start()

    assert sent(run)["Execution"] == EXECUTION | {"RedriveCount": 2, "RedriveTime": TIME}
