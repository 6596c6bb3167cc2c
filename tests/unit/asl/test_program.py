"""What a definition compiles to, as the engine relies on it."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_manager import asl
from workflow_manager.asl.program import (
    Catcher,
    Env,
    MapState,
    ParallelState,
    PassState,
    Retrier,
    TaskResource,
    TaskState,
    WaitState,
)

ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:a"


def one(state: dict[str, Any], **more: Any) -> Any:
    return asl.compile({"StartAt": "S", **more, "States": {"S": state}}).graphs[0].states["S"]


def environment() -> Env:
    return Env(dict, {}, uuid=str, random=lambda: 0.5, now=lambda: 0.0)


def test_a_machine() -> None:
    program = asl.compile(
        {
            "Comment": "c",
            "Version": "1.0",
            "TimeoutSeconds": 60,
            "StartAt": "S",
            "States": {"S": {"Type": "Pass", "End": True}},
        }
    )

    assert (program.comment, program.timeout_seconds, program.query_language) == ("c", 60, "JSONPath")
    assert program.graphs[0].start_at == "S"
    assert program.graphs[0].states == {"S": PassState(name="S", pointer="/States/S")}


@pytest.mark.parametrize("form", [dict, str, bytes])
def test_text_bytes_and_objects_are_the_same(form: type) -> None:
    text = '{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}'
    definition = {
        dict: {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}},
        str: text,
        bytes: b"\xef\xbb\xbf" + text.encode(),
    }

    assert asl.compile(definition[form]) == asl.compile(text)


def test_what_is_the_identity_is_absent() -> None:
    state = one({"Type": "Pass", "InputPath": "$", "OutputPath": "$", "ResultPath": "$", "End": True})

    assert (state.input_path, state.output_path, state.result_path, state.arguments) == (None, None, None, None)


def test_values_that_are_not_changed_are_the_same_objects() -> None:
    data = {"a": {"b": [1]}}
    picked = one({"Type": "Pass", "InputPath": "$.a", "Parameters": {"x.$": "$", "k": {"c": []}}, "End": True})
    first, second = (picked.arguments(data, environment()) for _ in range(2))

    assert picked.input_path(data, environment()) is data["a"]
    assert first["x"] is data
    assert first["k"] is second["k"]


def test_jsonata_answers_the_input_itself() -> None:
    state = one({"Type": "Pass", "Output": "{% $states.input %}", "End": True}, QueryLanguage="JSONata")
    env = environment()
    env.input = {"a": [1, {"b": None}]}

    assert state.output(None, env) is env.input


def test_graphs_are_numbered_from_the_root_on() -> None:
    inner = {
        "StartAt": "I",
        "States": {
            "I": {"Type": "Map", "ItemProcessor": {"StartAt": "J", "States": {"J": {"Type": "Succeed"}}}, "End": True}
        },
    }
    program = asl.compile(
        {
            "StartAt": "P",
            "States": {
                "P": {
                    "Type": "Parallel",
                    "Branches": [inner, {"StartAt": "K", "States": {"K": {"Type": "Succeed"}}}],
                    "End": True,
                }
            },
        }
    )

    assert [graph.start_at for graph in program.graphs] == ["P", "I", "J", "K"]
    parallel, each = program.graphs[0].states["P"], program.graphs[1].states["I"]
    assert isinstance(parallel, ParallelState)
    assert isinstance(each, MapState)
    assert (parallel.branches, each.processor) == ((1, 3), 2)
    assert program.graphs[2].states["J"].pointer == "/States/P/Branches/0/States/I/ItemProcessor/States/J"


def test_retriers_and_catchers() -> None:
    state = one(
        {
            "Type": "Task",
            "Resource": ACTIVITY,
            "Retry": [
                {"ErrorEquals": ["A"]},
                {
                    "ErrorEquals": ["States.ALL"],
                    "IntervalSeconds": 3,
                    "MaxAttempts": 0,
                    "BackoffRate": 1.5,
                    "MaxDelaySeconds": 9,
                    "JitterStrategy": "FULL",
                },
            ],
            "Catch": [{"ErrorEquals": ["B", "C"], "Next": "S"}],
            "End": True,
        }
    )

    assert state.retry == (
        Retrier(("A",), 1, 3, 2.0, None, full_jitter=False),
        Retrier(("States.ALL",), 3, 0, 1.5, 9, full_jitter=True),
    )
    assert state.catch == (Catcher(("B", "C"), "S"),)


def test_no_timeout_is_none() -> None:
    state = one({"Type": "Task", "Resource": ACTIVITY, "End": True})

    assert isinstance(state, TaskState)
    assert (state.timeout_seconds, state.heartbeat_seconds) == (None, None)


def test_a_wait_has_one_of_its_two_forms() -> None:
    seconds = one({"Type": "Wait", "Seconds": 0, "End": True})
    timestamp = one({"Type": "Wait", "Timestamp": "1970-01-01T00:00:00Z", "End": True})

    assert isinstance(seconds, WaitState)
    assert (seconds.timestamp, timestamp.seconds) == (None, None)
    assert seconds.seconds is not None
    assert seconds.seconds({}, environment()) == timestamp.timestamp({}, environment()) == 0


@pytest.mark.parametrize(
    ("arn", "resource"),
    [
        pytest.param(
            ACTIVITY, TaskResource("activity", ACTIVITY, resource_type="activity", resource=ACTIVITY), id="activity"
        ),
        pytest.param(
            "arn:aws:lambda:us-east-1:123456789012:function:f:live",
            TaskResource(
                "lambda",
                "arn:aws:lambda:us-east-1:123456789012:function:f:live",
                resource_type="lambda",
                resource="arn:aws:lambda:us-east-1:123456789012:function:f:live",
            ),
            id="function",
        ),
        pytest.param(
            "arn:aws:states:::states:startExecution.sync:2",
            TaskResource(
                "service",
                "arn:aws:states:::states:startExecution.sync:2",
                "states",
                "startExecution",
                "sync:2",
                "states",
                "startExecution.sync:2",
            ),
            id="integration that waits",
        ),
        pytest.param(
            "arn:aws-cn:states:::aws-sdk:sfn:sendTaskSuccess",
            TaskResource(
                "service",
                "arn:aws-cn:states:::aws-sdk:sfn:sendTaskSuccess",
                "aws-sdk:sfn",
                "sendTaskSuccess",
                "request_response",
                "aws-sdk:sfn",
                "sendTaskSuccess",
            ),
            id="SDK integration",
        ),
        pytest.param(
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            TaskResource(
                "service",
                "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "sqs",
                "sendMessage",
                "waitForTaskToken",
                "sqs",
                "sendMessage.waitForTaskToken",
            ),
            id="callback",
        ),
    ],
)
def test_resources(arn: str, resource: TaskResource) -> None:
    assert one({"Type": "Task", "Resource": arn, "End": True}).resource == resource


@pytest.mark.parametrize(
    ("language", "states", "references"),
    [
        pytest.param(
            "JSONPath",
            {
                "S": {
                    "Type": "Pass",
                    "InputPath": "$b",
                    "Parameters": {"x.$": "States.Array($a.c, $$.State, $d[*])"},
                    "End": True,
                }
            },
            {"S": ("a", "b", "d")},
            id="paths and functions",
        ),
        pytest.param("JSONPath", {"S": {"Type": "Pass", "Assign": {"a": "$b"}, "End": True}}, {}, id="assigned only"),
        pytest.param(
            "JSONPath", {"S": {"Type": "Fail", "CausePath": "$c", "ErrorPath": "$e"}}, {"S": ("c", "e")}, id="a Fail"
        ),
        pytest.param(
            "JSONata",
            {
                "S": {
                    "Type": "Pass",
                    "Output": "{% $map($l, function($x){ $x + $sum($states.input) + $y }) %}",
                    "End": True,
                }
            },
            {"S": ("l", "y")},
            id="JSONata, without its own variables and functions",
        ),
        pytest.param(
            "JSONata",
            {"S": {"Type": "Pass", "Output": "{% ($v := 1; $uuid() & $v) %}", "End": True}},
            {},
            id="bound inside",
        ),
    ],
)
def test_variable_references(language: str, states: dict[str, Any], references: dict[str, Any]) -> None:
    program = asl.compile({"StartAt": "S", "QueryLanguage": language, "States": states})

    assert program.variable_references == references


def test_distributed_maps_compile_with_their_fields() -> None:
    state = one(
        {
            "Type": "Map",
            "Label": "l",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                "StartAt": "I",
                "States": {"I": {"Type": "Succeed"}},
            },
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItemsPath": "$.m"},
                "Parameters": {"Bucket.$": "$.b"},
            },
            "ItemBatcher": {"MaxItemsPerBatch": 5},
            "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}},
            "End": True,
        }
    )

    data = {"b": "bucket", "m": 3}
    assert state.distributed["Label"] == "l"
    assert state.distributed["ExecutionType"] == "EXPRESS"
    assert state.distributed["ItemReader"]["Arguments"](data, environment()) == {"Bucket": "bucket"}
    assert state.distributed["ItemReader"]["MaxItems"](data, environment()) == 3
    assert state.distributed["ItemReader"]["ReaderConfig"] == {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    assert state.distributed["ItemBatcher"]["MaxItemsPerBatch"](data, environment()) == 5
    assert state.distributed["ResultWriter"]["Resource"] == "s3:putObject"


@pytest.mark.parametrize(
    ("state", "services", "places"),
    [
        pytest.param({"Type": "Task", "Resource": ACTIVITY, "End": True}, {"activity"}, [], id="activity"),
        pytest.param(
            {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True},
            {"sqs"},
            [],
            id="all of a service",
        ),
        pytest.param(
            {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True},
            {"sqs:sendMessage"},
            [],
            id="one action of a service",
        ),
        pytest.param(
            {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": True},
            {"activity", "sns"},
            ["/States/S/Resource"],
            id="another service",
        ),
        pytest.param(
            {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "End": True},
            {"activity"},
            ["/States/S/Resource"],
            id="function",
        ),
        pytest.param(
            {
                "Type": "Map",
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "I",
                    "States": {"I": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": True}},
                },
                "End": True,
            },
            {"activity"},
            ["/States/S/ItemProcessor/States/I/Resource"],
            id="what is in a distributed Map",
        ),
        pytest.param(
            {
                "Type": "Map",
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:getObject",
                    "ReaderConfig": {"InputType": "PARQUET"},
                    "Parameters": {"Bucket": "b", "Key": "k"},
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "I",
                    "States": {"I": {"Type": "Succeed"}},
                },
                "End": True,
            },
            {"activity"},
            ["/States/S/ItemReader/ReaderConfig/InputType"],
            id="items in Parquet",
        ),
    ],
)
def test_what_an_engine_cannot_run(state: dict[str, Any], services: set[str], places: list[str]) -> None:
    lacking = asl.unsupported(asl.compile({"StartAt": "S", "States": {"S": state}}), services)

    assert [(d.code, d.location) for d in lacking] == [("UNSUPPORTED_FEATURE", place) for place in places]
