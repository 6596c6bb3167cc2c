"""The fixture ``wfm``: workflows run to their ends at once, their tasks stubbed, their paths looked at."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from workflow_manager.sdk import App, Context, DefinitionsRefused
from workflow_manager.testing import Fail, Tester, Unstubbed

DAY = 86_400


def definition(name: str, **states: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "stateMachine": {"StartAt": next(iter(states)), "States": states}}


def task(resource: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, **({} if "Next" in fields else {"End": True}), **fields}


ORDERS = definition(
    "orders",
    Reserve=task("reserve", Next="Wait"),
    Wait={"Type": "Wait", "Seconds": 30 * DAY, "Next": "Charge"},
    Charge=task(
        "charge",
        Retry=[{"ErrorEquals": ["Declined"], "IntervalSeconds": DAY, "MaxAttempts": 2, "BackoffRate": 2.0}],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Sorry"}],
        Next="Ship",
    ),
    Ship=task("ship"),
    Sorry={"Type": "Fail", "Error": "NotShipped", "Cause": "the card was declined"},
)


@pytest.fixture
def orders(wfm: Tester) -> Tester:
    wfm.load(ORDERS)
    wfm.stub("reserve", {"order": 7})
    wfm.stub("ship", {"shipped": True})
    return wfm


def test_a_month_passes_at_once(orders: Tester) -> None:
    orders.stub("charge", lambda given: {**given, "charged": True})
    began = time.monotonic()
    run = orders.run("orders", {"order": 7})

    run.assert_succeeded({"shipped": True})
    run.assert_path("Reserve", "Wait", "Charge", "Ship")
    assert run.seconds == 30 * DAY
    assert time.monotonic() - began < 10
    assert run.inputs("Reserve") == [{"order": 7}]
    assert run.outputs("Charge") == [{"order": 7, "charged": True}]
    assert run.inputs("Ship") == run.outputs("Charge")


def test_retries_wait_by_the_same_clock(orders: Tester) -> None:
    orders.stub("Charge", Fail("Declined"), Fail("Declined", "no credit"), {"ok": True})
    run = orders.run("orders")

    run.assert_succeeded()
    assert run.retries("Charge") == 2
    assert run.retries("Ship") == 0
    assert run.seconds == (30 + 1 + 2) * DAY
    assert [(each.attempt, each.error, each.output) for each in run.calls("Charge")] == [
        (1, "Declined", None), (2, "Declined", None), (3, None, {"ok": True}),
    ]  # fmt: skip


class Declined(Exception):
    pass


@pytest.mark.parametrize(
    "answer", [Fail("Declined"), Declined("no credit"), Declined], ids=["Fail", "exception", "class"]
)
def test_failures(orders: Tester, answer: Any) -> None:
    orders.stub("charge", answer)
    run = orders.run("orders")

    run.assert_failed("NotShipped")
    assert run.path[-1] == "Sorry"
    assert run.retries("Charge") == 2
    report = run.report()
    assert "✘ Sorry  (Fail, failed)" in report
    assert "✔ ▶ Reserve  (Task, succeeded)" in report
    assert "path    Reserve > Wait > Charge > Sorry" in report
    assert "retried Charge: 2 times" in report


RESOURCES = {
    "activity": "charge",
    "function": "lambda:charge",
    "an activity's ARN": "arn:aws:states:eu-west-1:123456789012:activity:charge",
    "invoke": "arn:aws:states:::lambda:invoke",
    "job": "arn:aws:states:::glue:startJobRun.sync",
    "callback": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "SDK": "arn:aws:states:::aws-sdk:s3:listBuckets",
    "nested execution": "arn:aws:states:::states:startExecution.sync:2",
}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
@pytest.mark.parametrize("by", ["state", "resource"])
def test_tasks_of_every_kind_are_stubbed(wfm: Tester, resource: str, by: str) -> None:
    fields = {} if ":states:::" not in resource else {"Parameters": {
        "MessageBody": {"t.$": "$$.Task.Token"}, "StateMachineArn": "m", "FunctionName": "f", "JobName": "j", "QueueUrl": "q",
    }}  # fmt: skip
    if "listBuckets" in resource or "glue" in resource or "lambda:invoke" in resource:
        fields["Parameters"].pop("MessageBody")
    wfm.load(definition("d", S=task(resource, **fields)))
    wfm.stub("S" if by == "state" else resource, {"stubbed": True})

    wfm.run("d").assert_succeeded({"stubbed": True})


def test_branches_and_items(wfm: Tester) -> None:
    wfm.load(definition("d", M={
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": {"StartAt": "Double", "States": {"Double": task("double")}},
        "End": True,
    }))  # fmt: skip
    wfm.stub("Double", lambda number: 2 * number)
    run = wfm.run("d", {"items": [1, 2, 3]})

    run.assert_succeeded([2, 4, 6])
    assert sorted(run.inputs("Double")) == [1, 2, 3]
    assert run.path == ["M", "Double", "Double", "Double"]


def test_what_has_no_stub_is_told_with_what_to_write(orders: Tester) -> None:
    with pytest.raises(Unstubbed, match=r"wfm\.stub\('Charge'"):
        orders.run("orders")


def test_a_workflow_that_waits_for_ever(wfm: Tester) -> None:
    wfm.load(
        definition(
            "d",
            W={"Type": "Wait", "Seconds": 366 * DAY, "Next": "C"},
            C={"Type": "Choice", "Choices": [{"Variable": "$.stop", "IsPresent": True, "Next": "E"}], "Default": "W"},
            E={"Type": "Succeed"},
        )
    )
    with pytest.raises(AssertionError, match="longer than 20 years"):
        wfm.run("d")


def test_an_application(wfm: Tester) -> None:
    app = App("orders", environment="dev")

    class OutOfStock(Exception):
        pass

    @app.task
    def reserve(context: Context, order: dict[str, Any]) -> dict[str, Any]:
        if context.attempt == 1:
            raise OutOfStock
        return {**order, "attempt": context.attempt, "state": context.state}

    @app.task
    async def ship(order: dict[str, Any]) -> dict[str, Any]:
        return {"shipped": order}

    retry = [{"ErrorEquals": ["OutOfStock"], "IntervalSeconds": DAY}]
    app.load(definition("fulfil", Reserve=task("reserve", Retry=retry, Next="Ship"), Ship=task("ship")))
    wfm.app(app)

    wfm.run("fulfil", {"order": 7}).assert_succeeded({"shipped": {"order": 7, "attempt": 2, "state": "Reserve"}})
    wfm.stub("Ship", {"stubbed": True})
    wfm.run("fulfil", {"order": 7}).assert_succeeded({"stubbed": True})
    assert [run.definition for run in wfm.runs] == ["fulfil", "fulfil"]


MOCKS = {
    "StateMachines": {
        "orders": {"TestCases": {"Paid": {"Charge": "Paid"}, "Declined": {"Charge": "Declined", "Reserve": "Empty"}}}
    },
    "MockedResponses": {
        "Paid": {"0": {"Throw": {"Error": "Declined"}}, "1-2": {"Return": {"receipt": 7}}},
        "Declined": {"0-2": {"Throw": {"Error": "Declined", "Cause": "no credit"}}},
        "Empty": {"0": {"Return": {}}},
    },
}


def test_mock_configuration_files(orders: Tester, tmp_path: Path) -> None:
    (tmp_path / "MockConfigFile.json").write_text(json.dumps(MOCKS))
    orders.mocks(tmp_path / "MockConfigFile.json")
    paid = orders.run("orders", test_case="Paid")
    declined = orders.run("orders", test_case="Declined")

    paid.assert_succeeded({"shipped": True})
    assert paid.retries("Charge") == 1
    assert paid.outputs("Charge") == [{"receipt": 7}]
    declined.assert_failed("NotShipped")
    with pytest.raises(ValueError, match="/StateMachines/orders/TestCases/Other"):
        orders.run("orders", test_case="Other")


def test_mock_configuration_files_with_faults(wfm: Tester, tmp_path: Path) -> None:
    (tmp_path / "mocks.json").write_text('{"StateMachines": []}')
    with pytest.raises(ValueError, match=r"mocks\.json: /MockedResponses"):
        wfm.mocks(tmp_path / "mocks.json")
    with pytest.raises(ValueError, match="read one with"):
        wfm.run("d", test_case="x")


def test_assertions_say_what_is_there(orders: Tester) -> None:
    orders.stub("charge", {})
    run = orders.run("orders")
    for wrong, told in (
        (run.assert_failed, "the workflow succeeded"),
        (lambda: run.assert_succeeded({}), "the output is {'shipped': True}, not {}"),
        (lambda: run.assert_path("Reserve"), "the path is ['Reserve', 'Wait', 'Charge', 'Ship'], not ['Reserve']"),
    ):
        with pytest.raises(AssertionError) as failed:
            wrong()
        assert told in str(failed.value)
        assert "▶ Reserve" in str(failed.value)


def test_definitions_with_faults(wfm: Tester) -> None:
    with pytest.raises(DefinitionsRefused, match="Nowhere"):
        wfm.load(definition("d", S=task("any", Next="Nowhere")))


async def test_in_an_async_test(orders: Tester) -> None:
    orders.stub("charge", {})

    orders.run("orders").assert_succeeded()
