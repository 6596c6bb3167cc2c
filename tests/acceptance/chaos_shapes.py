"""The state machines of the kill test, and what must have become of an execution of each: the independent model.

Every Task goes to one activity, whose worker (chaos_worker.py) does what the input's ``do`` says. Times are seconds, and
short; a check says that a timer was not early, and that all executions end says that none was lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SECONDS = 1
"""Of every Wait, retrier, heartbeat and timeout below, so that one check fits them all."""
ITEMS = [1, 2, 3]
START = "arn:aws:states:::states:startExecution"

Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """``definition`` is given the ARNs of the activity and of the two state machines that others start.

    ``asked``: what the operator does to it: nothing, ``stop`` or ``redrive``. ``children``: of which state machine, how many.
    """

    name: str
    definition: Callable[[dict[str, str]], Definition]
    output: Callable[[str, int], Any] | None
    status: str = "SUCCEEDED"
    asked: str = ""
    children: tuple[str, int] = ("", 0)


def one(state: dict[str, Any], name: str = "Only", **more: Any) -> Definition:
    return {"StartAt": name, "States": {name: {**state, "End": True}}} | more


def work(arns: dict[str, str], do: str, **more: Any) -> dict[str, Any]:
    """A Task that has ``{"doubled": 2n}`` as its result in the end."""
    asks = {"do": do, "name.$": "$$.Execution.Name", "n.$": "$.n"}
    return {"Type": "Task", "Resource": arns["activity"], "Parameters": asks, **more}


def retry(*errors: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": [*errors], "IntervalSeconds": SECONDS, "BackoffRate": 1.0, "MaxAttempts": 1000}]


def nested(arns: dict[str, str], machine: str, how: str = "", **given: Any) -> Definition:
    asks = {"StateMachineArn": arns[machine], "Input": {"n.$": "$.n", **given}}
    return one({"Type": "Task", "Resource": START + how, "Parameters": asks})


def sizes(processor: dict[str, Any] | None = None) -> dict[str, Any]:
    """A Map whose items are told small from large, the large ones after a Wait."""
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemProcessor": {
            **({"ProcessorConfig": processor} if processor is not None else {}),
            "StartAt": "Size",
            "States": {
                "Size": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$", "NumericGreaterThan": 1, "Next": "Nap"}],
                    "Default": "Small",
                },
                "Nap": {"Type": "Wait", "Seconds": SECONDS, "Next": "Large"},
                "Large": {"Type": "Pass", "Result": "large", "End": True},
                "Small": {"Type": "Pass", "Result": "small", "End": True},
            },
        },
    }


SIZES = ["small", "large", "large"]


def everything(arns: dict[str, str]) -> Definition:
    rest = {
        "Rest": {"Type": "Wait", "Seconds": SECONDS, "Next": "Rested"},
        "Rested": {"Type": "Pass", "Result": "rested", "End": True},
    }
    branches = [
        one(work(arns, "flaky", Retry=retry("Flaky")), "Work"),
        {"StartAt": "Rest", "States": rest},
        one(sizes(), "Each"),
    ]
    return one({"Type": "Parallel", "Branches": branches, "ResultPath": "$.results"})


def mapped(arns: dict[str, str]) -> Definition:
    each = work(arns, "double")
    each["Parameters"] = {"do": "double", "name.$": "$$.Execution.Name", "n.$": "$"}
    return one({"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ItemProcessor": one(each, "Work")})


def caught(arns: dict[str, str]) -> Definition:
    states = {
        "Try": work(
            arns, "fatal", Catch=[{"ErrorEquals": ["Fatal"], "ResultPath": "$.error", "Next": "Caught"}], End=True
        ),
        "Caught": {"Type": "Pass", "InputPath": "$.error.Error", "End": True},
    }
    return {"StartAt": "Try", "States": states}


def jsonata(arns: dict[str, str]) -> Definition:
    asks = {"do": "double", "name": "{% $states.context.Execution.Name %}", "n": "{% $n %}"}
    states = {
        "Keep": {"Type": "Pass", "Assign": {"n": "{% $states.input.n %}"}, "Next": "Work"},
        "Work": {
            "Type": "Task",
            "Resource": arns["activity"],
            "Arguments": asks,
            "Assign": {"doubled": "{% $states.result.doubled %}"},
            "Next": "Rest",
        },
        "Rest": {"Type": "Wait", "Seconds": SECONDS, "Next": "Sum"},
        "Sum": {"Type": "Pass", "Output": "{% $n + $doubled %}", "End": True},
    }
    return {"QueryLanguage": "JSONata", "StartAt": "Keep", "States": states}


def beats(arns: dict[str, str], do: str) -> Definition:
    return one(
        work(
            arns,
            do,
            HeartbeatSeconds=SECONDS,
            TimeoutSeconds=600,
            Retry=retry("States.HeartbeatTimeout", "States.Timeout"),
        )
    )


def given(name: str, n: int) -> dict[str, Any]:
    return {"name": name, "n": n, "items": ITEMS}


def doubled(_: str, n: int) -> dict[str, int]:
    return {"doubled": 2 * n}


def caller(arns: dict[str, str]) -> Definition:
    task = work(arns, "call")
    task["Parameters"] |= {"token.$": "$.token"}
    return one(task)


CHILDREN = {"child": lambda arns: one(work(arns, "double")), "caller": caller}
"""State machines that are started by others."""

TOKEN = {"token.$": "$$.Task.Token"}

SHAPES = [
    Shape("pass", lambda _: one({"Type": "Pass"}), given),
    Shape("retried", lambda arns: one(work(arns, "flaky", Retry=retry("Flaky"))), doubled),
    Shape("together", everything, lambda name, n: given(name, n) | {"results": [doubled(name, n), "rested", SIZES]}),
    Shape("mapped", mapped, lambda *_: [{"doubled": 2 * item} for item in ITEMS]),
    Shape("distributed", lambda _: one(sizes({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})), lambda *_: SIZES),
    Shape("nested", lambda arns: nested(arns, "child", ".sync:2"), None, children=("child", 1)),
    Shape("told", lambda arns: nested(arns, "child"), None, children=("child", 1)),
    Shape(
        "called-back",
        lambda arns: nested(arns, "caller", ".waitForTaskToken", **TOKEN),
        doubled,
        children=("caller", 1),
    ),
    Shape("silent", lambda arns: beats(arns, "silent"), doubled),
    Shape("beating", lambda arns: beats(arns, "beat"), doubled),
    Shape("caught", caught, lambda *_: "Fatal"),
    Shape("failed", lambda arns: one(work(arns, "fatal")), None, "FAILED"),
    Shape("jsonata", jsonata, lambda _, n: 3 * n),
    Shape("late", lambda _: one({"Type": "Wait", "Seconds": 86_400}, TimeoutSeconds=SECONDS), None, "TIMED_OUT"),
    Shape("stopped", lambda _: one({"Type": "Wait", "Seconds": 86_400}), None, "ABORTED", asked="stop"),
    Shape("redriven", lambda arns: one(work(arns, "once")), doubled, asked="redrive"),
]

# ---------------------------------------------------------------------------------------------- histories

ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}
TIMERS = {  # what a timer makes happen -> what it counts from
    "WaitStateExited": {"WaitStateEntered"},
    "ActivityScheduled": {"ActivityFailed", "ActivityTimedOut"},  # a retry; else it follows the state's entry
    "ActivityTimedOut": {"ActivityStarted"},
}


def faults(shape: Shape | None, status: str, events: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with a history: gaps, ends, results and timers."""
    if [event["id"] for event in events] != list(range(1, len(events) + 1)):
        yield "events have gaps"
    if any(event["previousEventId"] >= event["id"] for event in events):
        yield "an event comes before its predecessor"
    redriven = shape is not None and shape.asked == "redrive"
    ends = [ENDS[event["type"]] for event in events if event["type"] in ENDS]
    if ends != (["FAILED", status] if redriven else [status]) or events[-1]["type"] not in ENDS:
        yield f"ended as {ends}"
    if sum(event["type"] == "ExecutionRedriven" for event in events) != int(redriven):
        yield "not redriven once"
    by_id = {event["id"]: event for event in events}
    if len({event["previousEventId"] for event in events if event["type"] in TASK_ENDS}) != sum(
        event["type"] in TASK_ENDS for event in events
    ):
        yield "a task ended twice"
    for event in events:
        before = by_id.get(event["previousEventId"])
        if before is not None and before["type"] in TIMERS.get(event["type"], ()):
            waited = event["timestamp"] - before["timestamp"]
        elif event["type"] == "ExecutionTimedOut":
            waited = event["timestamp"] - events[0]["timestamp"]
        else:
            continue
        if waited < SECONDS - 0.002:
            yield f"{event['type']} {event['id']} was early: after {waited} s"


TASK_ENDS = {"ActivitySucceeded", "ActivityFailed", "ActivityTimedOut"}


def output_fault(shape: Shape, name: str, n: int, described: dict[str, Any]) -> str | None:
    if described["status"] != shape.status:
        return f"is {described['status']}: {described.get('error')} {described.get('cause')}"
    output = json.loads(described["output"]) if "output" in described else None
    if shape.name == "nested":
        output = output["Output"]
        return None if output == doubled(name, n) else f"has the output {output}"
    if shape.output is not None and output != shape.output(name, n):
        return f"has the output {output}"
    return None
