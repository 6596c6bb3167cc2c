"""What is wrong with a definition: code, place and words as AWS answers them where it has been seen to, and ours elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workflow_manager import asl

SCHEMA = "SCHEMA_VALIDATION_FAILED"
TARGET = "MISSING_TRANSITION_TARGET"
ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:a"


def machine(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": "S", **more, "States": {"S": state}}


def found(definition: Any, kind: Any = "STANDARD") -> list[tuple[str, str | None, str]]:
    return [(d.code, d.location, d.message) for d in asl.diagnose(definition, state_machine_type=kind)]


UNRECOGNIZED = (
    "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
)
NOT_A_TOKEN = '[Source: (String)"not a definition"; line: 1, column: 4]'


@pytest.mark.parametrize(
    ("text", "diagnostics"),
    [
        pytest.param("", [(SCHEMA, None, "Definition must be a valid JSON object")], id="nothing"),
        pytest.param("[]", [(SCHEMA, None, "Definition must be a valid JSON object")], id="an array"),
        pytest.param(
            "not a definition",
            [
                (
                    "INVALID_JSON_DESCRIPTION",
                    NOT_A_TOKEN,
                    f"{UNRECOGNIZED}\n at {NOT_A_TOKEN}",
                )
            ],
            id="not JSON",
        ),
        pytest.param("{}", [(SCHEMA, "/", "These fields are required: [States, StartAt]")], id="an empty object"),
        pytest.param(
            '{"States": {"S": {"Type": "Pass", "End": true}}}',
            [(SCHEMA, "/", "These fields are required: [StartAt]")],
            id="no StartAt",
        ),
        pytest.param('{"StartAt": "S", "States": {}}', [(SCHEMA, "/States", "Value cannot be empty")], id="no states"),
        pytest.param(
            b"\xff",
            [("INVALID_JSON_DESCRIPTION", None, "Definition must be UTF-8 text, but its byte 0 is not")],
            id="bytes",
        ),
    ],
)
def test_definition(text: str | bytes, diagnostics: list[Any]) -> None:
    assert found(text) == diagnostics


@pytest.mark.parametrize(
    ("state", "place", "message"),
    [
        pytest.param(
            {"Type": "Nope"},
            "/States/S/Type",
            "The field 'Type' should have one of these values: [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map]",
            id="Type",
        ),
        pytest.param({"End": True}, "/States/S", "These fields are required: [Type]", id="no Type"),
        pytest.param({"Type": "Pass"}, "/States/S", "A state needs a Next, or 'End': true", id="neither Next nor End"),
        pytest.param(
            {"Type": "Pass", "End": True, "Next": "S"},
            "/States/S",
            "A state has either a Next or an End, not both",
            id="Next and End",
        ),
        pytest.param(
            {"Type": "Pass", "End": True, "Output": 1},
            "/States/S/Output",
            "The field 'Output' is not supported when 'QueryLanguage' is 'JSONPath'",
            id="a field of the other language",
        ),
        pytest.param(
            {"Type": "Succeed", "Nope": 1},
            "/States/S/Nope",
            "Field is not supported; the fields here are: Comment, InputPath, OutputPath, QueryLanguage, Type",
            id="an unknown field",
        ),
        pytest.param(
            {"Type": "Task", "End": True}, "/States/S", "These fields are required: [Resource]", id="Resource"
        ),
        pytest.param(
            {"Type": "Task", "Resource": "echo", "End": True},
            "/States/S/Resource",
            "Value is not a valid resource ARN",
            id="a Resource that is no ARN",
        ),
        pytest.param(
            {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:query", "End": True},
            "/States/S/Resource",
            "The resource provided arn:aws:states:::dynamodb:query is not recognized. The value is not a valid resource ARN, "
            "or the resource is not available in this region.",
            id="an integration that does not exist",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "Credentials": {}, "End": True},
            "/States/S/Credentials",
            "The field 'RoleArn' is required but was missing",
            id="Credentials",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 5, "HeartbeatSeconds": 5, "End": True},
            "/States/S/HeartbeatSeconds",
            "The value must be smaller than TimeoutSeconds",
            id="a heartbeat as long as the timeout",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 1, "TimeoutSecondsPath": "$.t", "End": True},
            "/States/S",
            "Only one of these fields is allowed: [TimeoutSeconds, TimeoutSecondsPath]",
            id="two timeouts",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 0, "End": True},
            "/States/S/TimeoutSeconds",
            "Value must be from 1 to 99999999",
            id="a timeout of nothing",
        ),
        pytest.param(
            {"Type": "Wait", "Timestamp": "{% '2016-03-14T01:59:00Z' %}", "End": True},
            "/States/S/Timestamp",
            "String does not match RFC3339 timestamp",
            id="Timestamp",
        ),
        pytest.param(
            {"Type": "Wait", "End": True},
            "/States/S",
            "One of these fields is required: [Seconds, Timestamp, SecondsPath, TimestampPath]",
            id="a Wait for nothing",
        ),
        pytest.param(
            {"Type": "Pass", "InputPath": "a", "End": True},
            "/States/S/InputPath",
            "Value is not a valid JSONPath: a path starts with '$', '$$' or '$' and the name of a variable",
            id="InputPath",
        ),
        pytest.param(
            {"Type": "Pass", "ResultPath": "$.a[*]", "End": True},
            "/States/S/ResultPath",
            "Value is not a valid Reference Path: it may name one place only",
            id="ResultPath",
        ),
        pytest.param(
            {"Type": "Pass", "ResultPath": "$$.a", "End": True},
            "/States/S/ResultPath",
            "Value is not a valid Reference Path: a ResultPath starts with '$.'",
            id="ResultPath into the context",
        ),
        pytest.param(
            {"Type": "Pass", "Parameters": {"parsed.$": "States.Format('\\\"{}', 1)"}, "End": True},
            "/States/S/Parameters",
            "The value for the field 'parsed.$' must be a valid JSONPath or a valid intrinsic function call",
            id="an escape that does not exist",
        ),
        pytest.param(
            {"Type": "Pass", "Parameters": {"x": [{"y.$": "States.Nope()"}]}, "End": True},
            "/States/S/Parameters",
            "The value for the field 'y.$' must be a valid JSONPath or a valid intrinsic function call: "
            "there is no function States.Nope",
            id="a function that does not exist",
        ),
        pytest.param(
            {"Type": "Pass", "Parameters": {"y.$": "States.UUID(1)"}, "End": True},
            "/States/S/Parameters",
            "The value for the field 'y.$' must be a valid JSONPath or a valid intrinsic function call: "
            "States.UUID takes 0 arguments, but has 1",
            id="too many arguments",
        ),
        pytest.param(
            {"Type": "Pass", "Parameters": {"y.$": 1}, "End": True},
            "/States/S/Parameters",
            "The value for the field 'y.$' must be a valid JSONPath or a valid intrinsic function call: it is no text",
            id="a template field that is no text",
        ),
        pytest.param(
            {"Type": "Fail", "CausePath": "States.MathAdd(1, 2)"},
            "/States/S/CausePath",
            "Value is not a valid JSONPath or intrinsic function call: States.MathAdd cannot be used here",
            id="CausePath",
        ),
        pytest.param(
            {"Type": "Pass", "Assign": {"1x": 1}, "End": True},
            "/States/S/Assign",
            "'1x' is no name for a variable: letters, digits and '_', no digit first, at most 80",
            id="Assign",
        ),
        pytest.param(
            {"Type": "Parallel", "Branches": [], "End": True},
            "/States/S/Branches",
            "Value cannot be empty",
            id="Branches",
        ),
        pytest.param(
            {"Type": "Map", "End": True},
            "/States/S",
            "These fields are required: [ItemProcessor]",
            id="a Map of nothing",
        ),
        pytest.param({"Type": "Choice", "Choices": []}, "/States/S/Choices", "Value cannot be empty", id="Choices"),
        pytest.param(
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "StringEquals": 1, "Next": "S"}]},
            "/States/S/Choices/0/StringEquals",
            "The field 'StringEquals' must be a string",
            id="an operand of the wrong type",
        ),
        pytest.param(
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "TimestampEquals": "2016", "Next": "S"}]},
            "/States/S/Choices/0/TimestampEquals",
            "The field 'TimestampEquals' must be an RFC 3339 timestamp such as '2016-08-18T17:33:00Z'",
            id="an operand that is no timestamp",
        ),
        pytest.param(
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "S"}]},
            "/States/S/Choices/0",
            "A rule needs exactly one comparison operator, or one of And, Or and Not, but has: none",
            id="a rule without operator",
        ),
        pytest.param(
            {"Type": "Choice", "Choices": [{"And": [{"StringEquals": "x"}], "Next": "S"}]},
            "/States/S/Choices/0/And/0",
            "These fields are required: [Variable]",
            id="a rule without Variable",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "Retry": [{"ErrorEquals": []}], "End": True},
            "/States/S/Retry/0/ErrorEquals",
            "Value cannot be empty",
            id="ErrorEquals",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "Retry": [{"ErrorEquals": ["A", "States.ALL"]}], "End": True},
            "/States/S/Retry/0/ErrorEquals",
            "States.ALL must appear alone",
            id="States.ALL among others",
        ),
        pytest.param(
            {
                "Type": "Task",
                "Resource": ACTIVITY,
                "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}],
                "End": True,
            },
            "/States/S/Retry/0/ErrorEquals",
            "States.ALL must be in the last element of the list, since it matches every error",
            id="States.ALL before others",
        ),
        pytest.param(
            {"Type": "Task", "Resource": ACTIVITY, "Retry": [{"ErrorEquals": ["A"], "BackoffRate": 0.5}], "End": True},
            "/States/S/Retry/0/BackoffRate",
            "Value must be from 1 to 99999999",
            id="BackoffRate",
        ),
        pytest.param(
            {
                "Type": "Task",
                "Resource": ACTIVITY,
                "Retry": [{"ErrorEquals": ["A"], "JitterStrategy": "SOME"}],
                "End": True,
            },
            "/States/S/Retry/0/JitterStrategy",
            "The field 'JitterStrategy' should have one of these values: [FULL, NONE]",
            id="JitterStrategy",
        ),
    ],
)
def test_state(state: dict[str, Any], place: str, message: str) -> None:
    diagnostics = found(machine(state))

    # A state that cannot end or leads to itself has a second finding; what is asked here is that this one is among them.
    assert (SCHEMA, place, message) in diagnostics


@pytest.mark.parametrize(
    ("state", "place", "message"),
    [
        pytest.param(
            {"Type": "Pass", "QueryLanguage": "JSONPath", "End": True},
            "/States/S",
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine",
            id="back to JSONPath",
        ),
        pytest.param(
            {"Type": "Pass", "InputPath": "$.a", "End": True},
            "/States/S/InputPath",
            "The field 'InputPath' is not supported when 'QueryLanguage' is 'JSONata'",
            id="a field of JSONPath",
        ),
        pytest.param(
            {"Type": "Pass", "Output": {"a": "{% 1 + %}"}, "End": True},
            "/States/S/Output",
            "The JSONata expression '1 +' specified for the field 'Output/a' is not valid. S0207: Unexpected end of expression",
            id="an expression that does not parse",
        ),
        pytest.param(
            {"Type": "Pass", "Output": "{% $eval('1') %}", "End": True},
            "/States/S/Output",
            "The JSONata expression '$eval('1')' specified for the field 'Output' is not valid. "
            "The function $eval is not supported here",
            id="$eval",
        ),
        pytest.param(
            {"Type": "Pass", "Assign": {"states": 1}, "End": True},
            "/States/S/Assign",
            "A variable cannot be called 'states', which JSONata keeps for itself",
            id="a variable called states",
        ),
        pytest.param(
            {"Type": "Choice", "Choices": [{"Condition": "x", "Next": "S"}]},
            "/States/S/Choices/0/Condition",
            "A Condition is true, false or a JSONata expression in '{% %}'",
            id="Condition",
        ),
        pytest.param(
            {
                "Type": "Map",
                "Items": 1,
                "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}},
                "End": True,
            },
            "/States/S/Items",
            "Items is an array, or a JSONata expression in '{% %}' that makes one",
            id="Items",
        ),
    ],
)
def test_jsonata_state(state: dict[str, Any], place: str, message: str) -> None:
    assert (SCHEMA, place, message) in found(machine(state, QueryLanguage="JSONata"))


@pytest.mark.parametrize(
    ("states", "diagnostics"),
    [
        pytest.param(
            {"S": {"Type": "Pass", "Next": "Othr"}, "Other": {"Type": "Succeed"}},
            [
                (TARGET, "/States/S/Next", "Missing 'Next' target: Othr; did you mean 'Other'?"),
                (TARGET, "/States/Other", 'State "Other" is not reachable.'),
            ],
            id="Next leads nowhere, and nothing leads to a state",
        ),
        pytest.param(
            {"S": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": True, "Next": "A"}], "Default": "B"}},
            [
                (TARGET, "/States/S/Default", "Missing 'Default' target: B"),
                (TARGET, "/States/S/Choices/0/Next", "Missing 'Next' target: A"),
            ],
            id="a Choice leads nowhere",
        ),
        pytest.param(
            {"S": {"Type": "Task", "Resource": ACTIVITY, "Catch": [{"ErrorEquals": ["E"], "Next": "A"}], "End": True}},
            [(TARGET, "/States/S/Catch/0/Next", "Missing 'Next' target: A")],
            id="a Catch leads nowhere",
        ),
        pytest.param(
            {"S": {"Type": "Pass", "Next": "T"}, "T": {"Type": "Pass", "Next": "S"}},
            [
                (
                    "MISSING_END_STATE",
                    "/States",
                    "No terminal state can be reached from 'S', 'T': end one of them, or lead one to a Succeed or Fail state",
                )
            ],
            id="a circle",
        ),
        pytest.param(
            {
                "S": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": True, "Next": "T"}], "Default": "E"},
                "T": {"Type": "Pass", "Next": "T"},
                "E": {"Type": "Succeed"},
            },
            [
                (
                    "MISSING_END_STATE",
                    "/States/T",
                    "No terminal state can be reached from 'T': end one of them, or lead one to a Succeed or Fail state",
                )
            ],
            id="a circle that one of two ways leads into",
        ),
        pytest.param(
            {
                "S": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": True, "Next": "T"}], "Default": "E"},
                "T": {"Type": "Pass", "Next": "S"},
                "E": {"Type": "Succeed"},
            },
            [],
            id="a circle with a way out",
        ),
        pytest.param(
            {
                "S": {
                    "Type": "Parallel",
                    "Branches": [
                        {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "S"}, "S": {"Type": "Succeed"}}}
                    ],
                    "End": True,
                }
            },
            [
                (
                    "DUPLICATE_STATE_NAME",
                    "/States/S/Branches/0/States/S",
                    "Duplicate State name: S, which is also at /States/S",
                )
            ],
            id="one name for two states",
        ),
        pytest.param(
            {"S": {"Type": "Pass", "Next": "a/b~c"}, "a/b~c": {"Type": "Pass", "End": True, "InputPath": ""}},
            [
                (
                    SCHEMA,
                    "/States/a~1b~0c/InputPath",
                    "Value is not a valid JSONPath: a path starts with '$', '$$' or '$' and the name of a variable",
                )
            ],
            id="places are JSON pointers",
        ),
    ],
)
def test_flow(states: dict[str, Any], diagnostics: list[Any]) -> None:
    assert found({"StartAt": "S", "States": states}) == diagnostics


def test_start_leads_nowhere() -> None:
    definition = {"StartAt": "Start", "States": {"S": {"Type": "Succeed"}}}

    assert found(definition) == [(TARGET, "/StartAt", "Missing 'StartAt' target: Start")]


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        pytest.param(ACTIVITY, "Express state machine does not support Activity ARN", id="activity"),
        pytest.param(
            "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Express state machine does not support '.waitForTaskToken' service integration ",
            id="callback",
        ),
        pytest.param(
            "arn:aws:states:::states:startExecution.sync:2",
            "Express state machine does not support '.sync' service integration ",
            id="sync",
        ),
    ],
)
def test_express(resource: str, message: str) -> None:
    definition = machine({"Type": "Task", "Resource": resource, "End": True})

    assert found(definition) == []
    assert found(definition, "EXPRESS") == [(SCHEMA, "/States/S/Resource", message)]


@pytest.mark.parametrize("label", ["", "x" * 41, *'?*<>{}[]:;,\\|^~$#%&`" \n\x00\x7f\x9f'])
def test_labels_of_distributed_maps(label: str) -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": {"Type": "Succeed"}},
    }
    definition = machine({"Type": "Map", "ItemProcessor": processor, "Label": label, "End": True})

    ((code, place, message),) = found(definition)
    assert (code, place) == (SCHEMA, "/States/S/Label")
    assert message.startswith("Label ")


GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"


def reader(resource: str = GET, **config: Any) -> dict[str, Any]:
    return {"ItemReader": {"Resource": resource, "ReaderConfig": config, "Parameters": {"Bucket": "b", "Key": "k"}}}


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        pytest.param(reader(InputType="JSON"), None, id="a JSON object"),
        pytest.param(reader(InputType="JSONL", MaxItems=0), None, id="no bound on the items"),
        pytest.param(reader(InputType="JSON", ItemsPointer="/a/b"), None, id="a pointer"),
        pytest.param(
            reader(InputType="CSV", CSVHeaderLocation="GIVEN", CSVHeaders=["a"], CSVDelimiter="TAB"), None, id="CSV"
        ),
        pytest.param(reader(LIST), None, id="a listing needs no InputType"),
        pytest.param(reader(LIST, Transformation="LOAD_AND_FLATTEN", InputType="JSON"), None, id="listed and loaded"),
        pytest.param(reader(InputType="MANIFEST"), None, id="an inventory"),
        pytest.param(
            reader(InputType="JSONL", ManifestType="ATHENA_DATA"), None, id="what Athena unloaded, as JSON lines"
        ),
        pytest.param(reader(), "/ItemReader", id="an object needs an InputType"),
        pytest.param(
            reader("arn:aws:states:::s3:putObject", InputType="JSON"), "/ItemReader/Resource", id="no way to read"
        ),
        pytest.param(reader(InputType="XML"), "/ItemReader/ReaderConfig/InputType", id="unknown type"),
        pytest.param(reader(InputType="CSV"), "/ItemReader/ReaderConfig", id="CSV needs a CSVHeaderLocation"),
        pytest.param(
            reader(InputType="CSV", CSVHeaderLocation="GIVEN"), "/ItemReader/ReaderConfig", id="no headers given"
        ),
        pytest.param(
            reader(InputType="CSV", CSVHeaderLocation="FIRST_ROW", CSVHeaders=["a"]),
            "/ItemReader/ReaderConfig/CSVHeaders",
            id="headers twice",
        ),
        pytest.param(
            reader(InputType="CSV", CSVHeaderLocation="GIVEN", CSVHeaders=["a", 1]),
            "/ItemReader/ReaderConfig/CSVHeaders/1",
            id="a header that is no text",
        ),
        pytest.param(
            reader(InputType="CSV", CSVHeaderLocation="FIRST_ROW", CSVDelimiter=","),
            "/ItemReader/ReaderConfig/CSVDelimiter",
            id="delimiters have names",
        ),
        pytest.param(
            reader(InputType="JSON", CSVDelimiter="TAB"), "/ItemReader/ReaderConfig/CSVDelimiter", id="no CSV"
        ),
        pytest.param(
            reader(InputType="JSONL", ItemsPointer="/a"),
            "/ItemReader/ReaderConfig/ItemsPointer",
            id="pointers are JSON's",
        ),
        pytest.param(
            reader(InputType="JSON", ItemsPointer="$.a"),
            "/ItemReader/ReaderConfig/ItemsPointer",
            id="a path is no pointer",
        ),
        pytest.param(reader(LIST, Transformation="LOAD_AND_FLATTEN"), "/ItemReader/ReaderConfig", id="loaded as what?"),
        pytest.param(
            reader(InputType="JSON", MaxItems=100_000_001), "/ItemReader/ReaderConfig/MaxItems", id="too many items"
        ),
        pytest.param({"ItemBatcher": {"MaxItemsPerBatch": 10}}, None, id="batches by items"),
        pytest.param({"ItemBatcher": {"MaxInputBytesPerBatchPath": "$.n"}}, None, id="batches by bytes"),
        pytest.param(
            {"QueryLanguage": "JSONata", "ItemBatcher": {"MaxItemsPerBatch": "{% 10 %}"}},
            "/ItemBatcher/MaxItemsPerBatch",
            id="batches of a computed size",
        ),
        pytest.param({"ItemBatcher": {"BatchInput": {}}}, "/ItemBatcher", id="batches of no size"),
        pytest.param({"ItemBatcher": {"MaxItemsPerBatch": 0}}, "/ItemBatcher/MaxItemsPerBatch", id="empty batches"),
        pytest.param(
            {"ItemBatcher": {"MaxInputBytesPerBatch": 262_145}},
            "/ItemBatcher/MaxInputBytesPerBatch",
            id="large batches",
        ),
        pytest.param(
            {"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}}},
            None,
            id="results to S3",
        ),
        pytest.param({"ResultWriter": {"WriterConfig": {"Transformation": "FLATTEN"}}}, None, id="results as output"),
        pytest.param({"ResultWriter": {}}, "/ResultWriter", id="a writer of nothing"),
        pytest.param(
            {"ResultWriter": {"Resource": GET, "Parameters": {}}}, "/ResultWriter/Resource", id="no way to write"
        ),
        pytest.param(
            {"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"}}, "/ResultWriter", id="written where?"
        ),
        pytest.param(
            {"ResultWriter": {"WriterConfig": {"OutputType": "CSV"}}},
            "/ResultWriter/WriterConfig/OutputType",
            id="no such output",
        ),
    ],
)
def test_fields_of_distributed_maps(fields: dict[str, Any], place: str | None) -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": {"Type": "Succeed"}},
    }
    definition = machine({"Type": "Map", "ItemProcessor": processor, "End": True, **fields})

    assert [(code, at) for code, at, _ in found(definition)] == (
        [] if place is None else [(SCHEMA, f"/States/S{place}")]
    )


def test_all_faults_in_one_go_and_in_one_exception() -> None:
    definition = {
        "StartAt": "S",
        "Version": "2.0",
        "States": {
            "S": {"Type": "Pass", "InputPath": "x", "Next": "Nowhere"},
            "T": {"Type": "Task", "Resource": "x", "Retry": [{}], "End": True},
        },
    }

    with pytest.raises(asl.InvalidDefinition) as refused:
        asl.compile(json.dumps(definition))

    assert [(d.code, d.location) for d in refused.value.diagnostics] == [
        (SCHEMA, "/Version"),
        (SCHEMA, "/States/S/InputPath"),
        (SCHEMA, "/States/T/Resource"),
        (SCHEMA, "/States/T/Retry/0"),
        (TARGET, "/States/S/Next"),
        (TARGET, "/States/T"),
    ]
    assert str(refused.value).startswith(
        "SCHEMA_VALIDATION_FAILED: The field 'Version' should have one of these values: [1.0] at /Version, "
    )


def test_a_field_given_twice_is_a_warning_only() -> None:
    text = '{"StartAt": "S", "States": {"S": {"Type": "Succeed"}, "S": {"Type": "Fail"}}}'

    (warning,) = asl.diagnose(text)
    assert (warning.severity, warning.code) == ("WARNING", "INVALID_JSON_DESCRIPTION")
    assert "'S'" in warning.message
    asl.compile(text)
