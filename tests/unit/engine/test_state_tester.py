"""TestState: what is told of each type of state, what a mock may be, who handles an error, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from workflow_manager.asl.program import TaskResource
from workflow_manager.asl.resources import parse_resource
from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.engine.teststate import Invocations, StateTester, evaluation
from workflow_manager.engine.teststate.service_models import RESULTS_OF_JOBS, output_shape
from workflow_manager.integrations.jobs import JOBS
from workflow_manager.integrations.web import Connection, Connections, HttpTasks
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns
from workflow_manager.stepfunctions.errors import (
    InvalidArn,
    InvalidDefinition,
    InvalidExecutionInput,
    StepFunctionsError,
    ValidationException,
)

ROLE = "arn:aws:iam::000000000000:role/r"
LAMBDA = "arn:aws:states:::lambda:invoke"
PASS = {"Type": "Pass", "Next": "N"}
TASK = {"Type": "Task", "Resource": LAMBDA, "Next": "N"}
MAP = {
    "Type": "Map",
    "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}},
    "Next": "N",
}
PARALLEL = {
    "Type": "Parallel",
    "Branches": [{"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("B1", "B2")],
    "Next": "N",
}
JSONATA = {"QueryLanguage": "JSONata"}


async def refuse(resource: TaskResource, arguments: str, *_: Any) -> str:
    raise IntegrationFailed("Lambda.Boom", f"{resource.service} {arguments}")


async def echo(_resource: TaskResource, arguments: str, *_: Any) -> str:
    return json.dumps({"got": json.loads(arguments)})


async def answer(definition: Any, value: Any = None, *, invoke: Any = refuse, **fields: Any) -> t.TestStateOutput:
    tester = StateTester(Arns(), Limits(), lambda: 0.0, invoke)
    text = definition if isinstance(definition, str) else json.dumps(definition)
    given = {} if value is None else {"input": json.dumps(value)}
    return await tester.test(t.TestStateInput(definition=text, inspection_level="TRACE", **given, **fields))


def mocked(result: Any, mode: Any = None) -> dict[str, Any]:
    return {"mock": t.MockInput(result=json.dumps(result), field_validation_mode=mode)}


def failing(error: str = "E", cause: str | None = "because", **configuration: Any) -> dict[str, Any]:
    return {
        "mock": t.MockInput(error_output=t.MockErrorOutput(error=error, cause=cause)),
        "state_configuration": t.TestStateConfiguration(**configuration),
    }


def told(answered: t.TestStateOutput) -> dict[str, Any]:
    """What the inspection tells, its JSON read."""
    data = answered.inspection_data
    assert data is not None
    values = {name: getattr(data, name) for name in data.__struct_fields__ if getattr(data, name) is not None}
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in values.items()}


X = {"x": 1}


@pytest.mark.parametrize(
    ("state", "fields", "output", "seen"),
    [
        pytest.param(
            {**PASS, "InputPath": "$.in", "Parameters": {"y.$": "$.x"}, "ResultPath": "$.out"},
            {},
            {"in": X, "out": {"y": 1}},
            {
                "after_input_path": X,
                "after_parameters": {"y": 1},
                "after_result_selector": {"y": 1},
                "after_result_path": {"in": X, "out": {"y": 1}},
            },
            id="Pass",
        ),
        pytest.param(
            {**PASS, "Result": 7},
            {},
            7,
            {"result": 7, "after_result_selector": 7, "after_result_path": 7},
            id="Pass with a Result: nothing of its input",
        ),
        pytest.param({**PASS, **JSONATA, "Output": "{% $states.input.in %}"}, {}, X, {}, id="Pass in JSONata"),
        pytest.param({"Type": "Succeed", "OutputPath": "$.in"}, {}, X, {"after_input_path": {"in": X}}, id="Succeed"),
        pytest.param(
            {"Type": "Wait", "Seconds": 900, "Next": "N"},
            {},
            {"in": X},
            {"after_input_path": {"in": X}},
            id="Wait: it is not waited for",
        ),
        pytest.param(
            {"Type": "Choice", "Choices": [{"Variable": "$.in.x", "IsNumeric": True, "Next": "N"}]},
            {},
            {"in": X},
            {"after_input_path": {"in": X}},
            id="Choice",
        ),
        pytest.param(
            {**TASK, "Parameters": {"P.$": "$.in"}, "ResultSelector": {"s.$": "$.r"}, "ResultPath": "$.out"},
            mocked({"r": 2}),
            {"in": X, "out": {"s": 2}},
            {
                "after_input_path": {"in": X},
                "after_parameters": {"P": X},
                "result": {"r": 2},
                "after_result_selector": {"s": 2},
                "after_result_path": {"in": X, "out": {"s": 2}},
            },
            id="Task",
        ),
        pytest.param(
            {**TASK, **JSONATA, "Arguments": {"P": "{% $states.input.in %}"}, "Output": "{% $states.result.r %}"},
            mocked({"r": 2}),
            2,
            {"after_arguments": {"P": X}, "result": {"r": 2}},
            id="Task in JSONata",
        ),
        pytest.param(
            {**PARALLEL, "InputPath": "$.in"},
            mocked([1, 2]),
            [1, 2],
            {"after_result_selector": [1, 2], "after_result_path": [1, 2]},
            id="Parallel: nothing of what its branches get",
        ),
        pytest.param(
            {**MAP, "ItemsPath": "$.list", "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "MaxConcurrency": 3},
            mocked([8, 9]),
            [8, 9],
            {
                "after_input_path": {"in": X, "list": [1, 2]},
                "after_items_path": [1, 2],
                "after_item_selector": [{"v": 1}, {"v": 2}],
                "after_result_selector": [8, 9],
                "after_result_path": [8, 9],
                "max_concurrency": 3,
            },
            id="Map",
        ),
        pytest.param(
            {**MAP, **JSONATA, "Items": "{% $states.input.list %}", "ToleratedFailurePercentage": 50},
            mocked([8, 9]),
            [8, 9],
            {"max_concurrency": 0, "tolerated_failure_percentage": 50.0},
            id="Map in JSONata",
        ),
    ],
)
async def test_what_is_told(state: Any, fields: dict[str, Any], output: Any, seen: dict[str, Any]) -> None:
    value = {"in": X, "list": [1, 2]} if state["Type"] == "Map" else {"in": X}

    answered = await answer(state, value, **fields)

    assert (answered.status, json.loads(answered.output or "")) == ("SUCCEEDED", output)
    assert answered.next_state == state.get("Next", "N" if state["Type"] == "Choice" else None)
    assert told(answered) == {"input": value, **seen}


async def test_a_fail_state_fails_with_its_error() -> None:
    answered = await answer({"Type": "Fail", "Error": "E", "CausePath": "$.why"}, {"why": "so"})

    assert (answered.status, answered.error, answered.cause, answered.output) == ("FAILED", "E", "so", None)


async def test_info_tells_nothing_but_the_outcome() -> None:
    tester = StateTester(Arns(), Limits(), lambda: 0.0, refuse)

    answered = await tester.test(t.TestStateInput(definition=json.dumps(PASS)))

    assert answered == t.TestStateOutput(output="{}", next_state="N", status="SUCCEEDED")


async def test_variables_are_those_that_came_and_those_that_were_assigned() -> None:
    state = {**PASS, **JSONATA, "Assign": {"b": "{% $a + 1 %}"}, "Output": "{% $a %}"}

    answered = await answer(state, variables='{"a": 1}')

    assert answered.output == "1"
    assert told(answered)["variables"] == {"a": 1, "b": 2}


async def test_a_state_that_fails_assigns_nothing() -> None:
    state = {**PASS, **JSONATA, "Assign": {"b": 2}, "Output": "{% $states.input.no %}"}

    answered = await answer(state, variables='{"a": 1}')

    assert answered.error == "States.QueryEvaluationError"
    assert told(answered)["variables"] == {"a": 1}


async def test_data_that_nests_too_deeply_fails_the_state() -> None:
    async def deep(*_: Any) -> str:
        raise RecursionError  # as whoever walks such data would

    answered = await answer(TASK, invoke=deep, role_arn=ROLE)

    assert (answered.status, answered.error) == ("FAILED", "States.Runtime")


# ------------------------------------------------------------------------------------------- errors

RETRY = [
    {"ErrorEquals": ["Other"]},
    {"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 2, "MaxDelaySeconds": 5},
]
CATCH = [{"ErrorEquals": ["Other"], "Next": "O"}, {"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "C"}]


@pytest.mark.parametrize(
    ("fields", "made", "status", "details"),
    [
        pytest.param({"Retry": RETRY}, 0, "RETRIABLE", (None, 1, 2), id="the first retry waits IntervalSeconds"),
        pytest.param({"Retry": RETRY}, 1, "RETRIABLE", (None, 1, 5), id="a later one at most MaxDelaySeconds"),
        pytest.param({"Retry": RETRY}, 2, "FAILED", (None, 1, None), id="no attempt is left"),
        pytest.param({"Retry": RETRY, "Catch": CATCH}, 2, "CAUGHT_ERROR", (1, 1, None), id="none left, but caught"),
        pytest.param({"Catch": CATCH}, 0, "CAUGHT_ERROR", (1, None, None), id="caught"),
        pytest.param({}, 0, "FAILED", None, id="nobody handles it"),
    ],
)
async def test_who_handles_an_error(fields: Any, made: int, status: str, details: Any) -> None:
    answered = await answer({**TASK, **fields}, {"i": 1}, **failing(retrier_retry_count=made))

    found = answered.inspection_data.error_details if answered.inspection_data else None
    assert (answered.status, answered.error, answered.cause) == (status, "E", "because")
    assert (found and (found.catch_index, found.retry_index, found.retry_backoff_interval_seconds)) == details
    if status == "CAUGHT_ERROR":
        assert answered.next_state == "C"
        assert json.loads(answered.output or "") == {"i": 1, "e": {"Error": "E", "Cause": "because"}}


@pytest.mark.parametrize(
    ("tolerance", "failed", "status"),
    [
        pytest.param({}, 3, "SUCCEEDED", id="none given: AWS takes all"),
        pytest.param({"ToleratedFailureCount": 1}, 1, "SUCCEEDED", id="as many as are tolerated"),
        pytest.param({"ToleratedFailureCount": 1}, 2, "FAILED", id="one more"),
        pytest.param({"ToleratedFailurePercentage": 50}, 2, "FAILED", id="two of three are more than half"),
        pytest.param({"ToleratedFailurePercentage": 70}, 2, "SUCCEEDED", id="and fewer than seven tenths"),
    ],
)
async def test_how_many_iterations_may_fail(tolerance: Any, failed: int, status: str) -> None:
    configuration = t.TestStateConfiguration(map_iteration_failure_count=failed)

    answered = await answer({**MAP, **tolerance}, [1, 2, 3], **mocked([0, 0, 1]), state_configuration=configuration)

    assert answered.status == status
    assert answered.error == ("States.ExceedToleratedFailureThreshold" if status == "FAILED" else None)


# ------------------------------------------------------------------------------------------- calls


async def test_a_task_without_a_mock_is_carried_out() -> None:
    answered = await answer({**TASK, "Parameters": {"P.$": "$.p"}}, {"p": 5}, invoke=echo, role_arn=ROLE)

    assert json.loads(answered.output or "") == {"got": {"P": 5}}


async def test_what_a_call_fails_with_is_the_states_error() -> None:
    catch = [{"ErrorEquals": ["Lambda.Boom"], "Next": "C"}]

    answered = await answer({**TASK, "Catch": catch}, {"p": 5}, role_arn=ROLE)

    assert (answered.status, answered.error, answered.next_state) == ("CAUGHT_ERROR", "Lambda.Boom", "C")


async def test_a_call_may_take_as_long_as_the_state_allows() -> None:
    async def never(*_: Any) -> str:
        await asyncio.Event().wait()
        return "{}"

    async def at_once(definition: Any) -> t.TestStateOutput:
        return await answer(definition, invoke=never, role_arn=ROLE)

    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "C"}]
    timeout = {"QueryLanguage": "JSONata", "TimeoutSeconds": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "LONGEST_SECONDS", 0.01)
        answered = await at_once({**TASK, **timeout, "Catch": catch})

    assert (answered.status, answered.error, answered.cause) == ("CAUGHT_ERROR", "States.Timeout", None)


class Service:
    """An integration that starts executions, fails, or breaks."""

    actions = ("startExecution", "break")

    async def invoke(self, call: IntegrationCall, /) -> str:
        if call.action == "break":
            raise ZeroDivisionError
        raise IntegrationFailed("Sfn.InvalidArnException", call.arguments)


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        ("arn:aws:states:::aws-sdk:sfn:startExecution", "Sfn.InvalidArnException"),
        ("arn:aws:states:::states:startExecution", "StepFunctions.InvalidArnException"),
        ("arn:aws:states:::aws-sdk:sfn:break", "States.TaskFailed"),
        ("arn:aws:states:::aws-sdk:sfn:nope", "States.TaskFailed"),
        (LAMBDA, "States.TaskFailed"),
    ],
)
async def test_calls_go_to_the_integrations_of_executions(resource: str, error: str) -> None:
    invoke = Invocations({"aws-sdk:sfn": Service()}).invoke

    assert (await answer({**TASK, "Resource": resource}, invoke=invoke, role_arn=ROLE)).error == error


async def test_the_role_of_the_credentials_is_passed_on() -> None:
    roles: list[str | None] = []

    class Roles:
        actions = ("sendMessage",)

        async def invoke(self, call: IntegrationCall, /) -> str:
            roles.append(call.role_arn)
            return "{}"

    invoke = Invocations({"sqs": Roles()}).invoke
    state = {**TASK, "Resource": "arn:aws:states:::sqs:sendMessage", "Credentials": {"RoleArn.$": "$.r"}}

    await answer(state, {"r": ROLE}, invoke=invoke, role_arn=ROLE)

    assert roles == [ROLE]


@pytest.mark.parametrize("reveal", [True, False])
async def test_the_http_request_and_response_of_an_http_task(reveal: bool) -> None:
    """What the connection adds is a secret: it is shown only when that is asked for."""

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, json={"no": request.url.params["page"]})

    parameters = {
        "ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "secret"},
        "InvocationHttpParameters": {
            "QueryStringParameters": [{"Key": "who", "Value": "secret"}],
            "BodyParameters": [{"Key": "pin", "Value": "secret"}],
        },
    }
    connection = Connection(authorization_type="API_KEY", auth_parameters=parameters)
    http = HttpTasks(Connections({"c": connection}), transport=httpx.MockTransport(handle))
    state = {
        **TASK,
        "Resource": "arn:aws:states:::http:invoke",
        "Parameters": {
            "ApiEndpoint": "https://example.test/orders",
            "Method": "POST",
            "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:000000000000:connection/c/1"},
            "Headers": {"X-Mine": "1"},
            "QueryParameters": {"page": 2},
            "RequestBody": {"a": 1},
        },
    }

    answered = await answer(state, invoke=Invocations({"http": http}).invoke, role_arn=ROLE, reveal_secrets=reveal)
    await http.close()

    assert answered.error == "States.Http.StatusCode.404"
    assert answered.inspection_data is not None
    request, response = answered.inspection_data.request, answered.inspection_data.response
    assert request is not None
    assert response is not None
    assert (request.protocol, request.method) == ("https", "POST")
    assert "X-Mine: 1" in str(request.headers)
    if reveal:
        assert request.url == "https://example.test/orders?page=2&who=secret"
        assert "X-Key: secret" in str(request.headers)
        assert request.body == '{"a":1,"pin":"secret"}'
    else:
        assert request.url == "https://example.test/orders?page=2"
        assert request.body == '{"a":1}'
        assert "secret" not in f"{request}{response}"
    assert (response.protocol, response.status_code, response.status_message) == ("https", "404", "Not Found")
    assert response.body == '{"no":"2"}'
    assert "content-type: application/json" in str(response.headers).lower()


# ------------------------------------------------------------------------------------------- distributed Maps


def distributed(config: Any, resource: str = "s3:getObject", **fields: Any) -> dict[str, Any]:
    read = {"Resource": f"arn:aws:states:::{resource}", "ReaderConfig": config, "Parameters": {"Bucket": "b"}}
    if resource == "s3:getObject":
        read["Parameters"]["Key"] = "k"
    processor = {**MAP["ItemProcessor"], "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    return {
        **MAP,
        "ItemProcessor": processor,
        "ItemReader": read,
        "ItemSelector": {"v.$": "$$.Map.Item.Value"},
        **fields,
    }


@pytest.mark.parametrize(
    ("config", "read", "items"),
    [
        pytest.param({"InputType": "JSON"}, "[1,2]", [1, 2], id="JSON"),
        pytest.param({"InputType": "JSON", "ItemsPointer": "/a/b"}, '{"a":{"b":[3]}}', [3], id="JSON with a pointer"),
        pytest.param({"InputType": "JSON", "MaxItems": 1}, "[1,2]", [1], id="MaxItems"),
        pytest.param({"InputType": "JSONL"}, '{"a":1}\n{"a":2}\n', [{"a": 1}, {"a": 2}], id="JSON Lines"),
        pytest.param(
            {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}, "a,b\n1,2\n", [{"a": "1", "b": "2"}], id="CSV"
        ),
        pytest.param({"InputType": "MANIFEST"}, '[{"Key":"x"}]', [{"Key": "x"}], id="the rows of a manifest's files"),
    ],
)
async def test_what_an_item_reader_reads_is_read_as_it_says(config: Any, read: str, items: list[Any]) -> None:
    given = t.TestStateConfiguration(map_item_reader_data=read)

    answered = await answer(distributed(config), **mocked([]), state_configuration=given)

    assert told(answered)["after_item_selector"] == [{"v": item} for item in items]
    assert told(answered).get("after_items_pointer") == (items if "ItemsPointer" in config else None)


async def test_a_listing_is_an_array() -> None:
    given = t.TestStateConfiguration(map_item_reader_data='[{"Key":"x"}]')

    answered = await answer(distributed({}, "s3:listObjectsV2"), **mocked([]), state_configuration=given)

    assert told(answered)["after_item_selector"] == [{"v": {"Key": "x"}}]


@pytest.mark.parametrize(
    ("config", "read"),
    [
        pytest.param({"InputType": "JSON"}, '{"a":1}', id="an object is no list"),
        pytest.param({"InputType": "JSON"}, "[1", id="JSON that ends early"),
        pytest.param({"InputType": "JSON", "ItemsPointer": "/b"}, '{"a":[1]}', id="a pointer that leads nowhere"),
        pytest.param({"InputType": "JSONL"}, "{", id="a line that is no JSON"),
        pytest.param({"InputType": "MANIFEST"}, "{}", id="no manifest"),
    ],
)
async def test_what_cannot_be_read_fails_the_map(config: Any, read: str) -> None:
    given = t.TestStateConfiguration(map_item_reader_data=read)

    answered = await answer(distributed(config), **mocked([]), state_configuration=given)

    assert (answered.status, answered.error) == ("FAILED", "States.ItemReaderFailed")


async def test_the_batches_of_an_item_batcher() -> None:
    given = t.TestStateConfiguration(map_item_reader_data="[1,2,3]")
    batcher = {"MaxItemsPerBatch": 2, "BatchInput": {"x.$": "$.x"}}
    state = distributed({"InputType": "JSON"}, ItemBatcher=batcher)

    answered = await answer(state, {"x": 7}, **mocked([]), state_configuration=given)

    assert told(answered)["after_item_batcher"] == [
        {"Items": [{"v": 1}, {"v": 2}], "BatchInput": {"x": 7}},
        {"Items": [{"v": 3}], "BatchInput": {"x": 7}},
    ]


# ------------------------------------------------------------------------------------------- the context object


async def test_a_made_up_context_names_an_express_execution() -> None:
    answered = await answer({**PASS, **JSONATA, "Output": "{% $states.context %}"}, {"p": 5}, role_arn=ROLE)

    context = json.loads(answered.output or "")
    name = context["Execution"].pop("Name")
    assert context["Execution"].pop("Id").endswith(f":express:{context['StateMachine']['Name']}:{name}")
    assert context["Execution"] == {"Input": {"p": 5}, "RoleArn": ROLE, "StartTime": "1970-01-01T00:00:00.000Z"}
    assert context["State"] == {"Name": "StateName", "EnteredTime": "1970-01-01T00:00:00.000Z"}


async def test_a_given_context_is_used_as_it_stands() -> None:
    state = {**TASK, "ResultSelector": {"c.$": "$$"}}

    answered = await answer(state, **mocked({}), context='{"Execution": {"Id": "e"}, "Task": {"Token": "t"}}')

    assert json.loads(answered.output or "") == {"c": {"Execution": {"Id": "e"}, "Task": {"Token": "t"}}}


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ("no", "Context object must be valid JSON"),
        ("[]", "Context object must be a JSON object"),
        ('{"Map": {}}', "'Map' field is not supported when mocking a Context object"),
        ('{"Nope": {}}', "Field 'Nope' is not allowed"),
        ('{"State": {"nope": 1}}', "Field 'nope' is not allowed"),
        ('{"State": []}', "State must be an object"),
        ('{"Execution": {"Id": 1}}', "Execution.Id must be a string"),
        ('{"State": {"RetryCount": "1"}}', "State.RetryCount must be a number"),
        ('{"State": {"RetryCount": true}}', "State.RetryCount must be a number"),
    ],
)
async def test_contexts_that_are_none(context: str, why: str) -> None:
    with pytest.raises(ValidationException) as refused:
        await answer(TASK, **mocked({}), context=context)

    assert refused.value.message == f"Invalid Context object provided: {why}"


# ------------------------------------------------------------------------------------------- mocks and their API

PUT_EVENTS = "arn:aws:states:::events:putEvents"
START = "arn:aws:states:::states:startExecution"
ENCRYPT = "arn:aws:states:::aws-sdk:kms:encrypt"
GET_OBJECT = "arn:aws:states:::aws-sdk:s3:getObject"
GET_FUNCTION = "arn:aws:states:::aws-sdk:lambda:getFunction"
GLUE_JOB = "arn:aws:states:::glue:startJobRun.sync"
ECS_TASK = "arn:aws:states:::ecs:runTask.sync"
BATCH_JOB = "arn:aws:states:::batch:submitJob.sync"
BUILD = "arn:aws:states:::codebuild:startBuild.sync"
DATE = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("resource", "result", "why"),
    [
        (START, {"ExecutionArn": 1, "StartDate": DATE}, "Field 'ExecutionArn' must be a string"),
        (START, {"ExecutionArn": "a", "StartDate": True}, "Field 'StartDate' must be a string"),
        (START, {"ExecutionArn": "", "StartDate": DATE}, "Field 'ExecutionArn' is smaller than the minimum length"),
        (START, {"ExecutionArn": "a" * 257, "StartDate": DATE}, "Field 'ExecutionArn' exceeds the maximum length"),
        (LAMBDA, {"StatusCode": "200"}, "Field 'StatusCode' must be a number"),
        (LAMBDA, {"StatusCode": True}, "Field 'StatusCode' must be a number"),
        (ENCRYPT, {"CiphertextBlob": 1}, "Field 'CiphertextBlob' must be a string"),
        (ENCRYPT, {"CiphertextBlob": ""}, "Field 'CiphertextBlob' is smaller than the minimum length"),
        (ENCRYPT, {"EncryptionAlgorithm": "ROT13"}, "Field 'EncryptionAlgorithm' is not an expected value"),
        (GET_OBJECT, {"DeleteMarker": "true"}, "Field 'DeleteMarker' must be a boolean"),
        (GET_OBJECT, {"Metadata": "a=b"}, "Field 'Metadata' must be an object"),
        (GET_OBJECT, {"Metadata": {"a": 1}}, "Field 'a' must be a string"),
        (GET_FUNCTION, {"Configuration": {"MemorySize": 127}}, "Field 'MemorySize' is less than the minimum value"),
        (GET_FUNCTION, {"Configuration": {"MemorySize": 10_241}}, "Field 'MemorySize' exceeds the maximum value"),
        (GET_FUNCTION, {"Configuration": []}, "Field 'Configuration' must be an object"),
        (PUT_EVENTS, {"Entries": {}}, "Field 'Entries' must be an array"),
        (PUT_EVENTS, {"Entries": [{}, {"EventId": []}]}, "Field 'EventId' must be a string"),
        (PUT_EVENTS, {"Entries": ["e"]}, "Field 'Entries' must be an object"),
        (PUT_EVENTS, [], "Mock result must be an object"),
        (GLUE_JOB, {"JobRunState": "DONE"}, "Field 'JobRunState' is not an expected value"),
        (GLUE_JOB, {"StartedOn": True}, "Field 'StartedOn' must be a string"),
        (ECS_TASK, {"Containers": [{"ExitCode": "0"}]}, "Field 'ExitCode' must be a number"),
        (BUILD, {"Build": {"Id": 1}}, "Field 'Id' must be a string"),
    ],
)
async def test_a_mocked_result_that_the_api_does_not_answer(resource: str, result: Any, why: str) -> None:
    for mode in ("STRICT", None, "PRESENT"):
        with pytest.raises(ValidationException) as refused:
            await answer({**TASK, "Resource": resource}, **mocked(result, mode))
        assert refused.value.message == f"Mock result schema validation error: {why}"

    assert (await answer({**TASK, "Resource": resource}, **mocked(result, "NONE"))).status == "SUCCEEDED"


async def test_a_job_is_mocked_as_it_is_described() -> None:
    """Times are numbers in the description of a job, where the API has timestamps."""
    run = {"JobRunState": "SUCCEEDED", "StartedOn": 1_767_225_600_000, "CompletedOn": DATE}

    assert json.loads((await answer({**TASK, "Resource": GLUE_JOB}, **mocked(run))).output or "") == run
    with pytest.raises(ValidationException, match="Required field 'JobName' is missing"):
        await answer({**TASK, "Resource": BATCH_JOB}, **mocked({"JobId": "j"}))


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_job_has_a_description_to_be_held_against(job: str) -> None:
    service, _, action = job.partition(":")
    operation, _ = RESULTS_OF_JOBS[service, action]
    resource = parse_resource(f"arn:aws:states:::{job}.sync")

    assert operation == JOBS[job].describe or service == "codebuild"  # whose result is like what began it answers
    assert resource is not None
    assert output_shape(resource) is not None


async def test_required_fields_are_asked_for_in_strict_mode_only() -> None:
    state = {**TASK, "Resource": START}
    lower = {"executionArn": "a", "startDate": DATE}  # not the names that Tasks see

    with pytest.raises(ValidationException, match="Required field 'ExecutionArn' is missing"):
        await answer(state, **mocked(lower))

    assert json.loads((await answer(state, **mocked(lower, "PRESENT"))).output or "") == lower


@pytest.mark.parametrize(
    ("resource", "result"),
    [
        pytest.param(PUT_EVENTS, {"Unknown": 1}, id="fields that the API does not know"),
        pytest.param(PUT_EVENTS, {"Entries": None}, id="null is as good as nothing"),
        pytest.param(LAMBDA, {"Payload": {"any": [1]}}, id="the optimised integration reads the payload"),
        pytest.param(f"{LAMBDA}.waitForTaskToken", "anything", id="who calls back answers what it likes"),
        pytest.param("arn:aws:states:::apigateway:invoke", [1], id="no model says what an API of others answers"),
        pytest.param("arn:aws:lambda:us-east-1:000000000000:function:f", 5, id="a function answers what it likes"),
        pytest.param("arn:aws:states:::aws-sdk:dynamodb:getItem", {"Item": {"a": {"L": [{"S": "x"}]}}}, id="recursive"),
        pytest.param("arn:aws:states:::aws-sdk:cloudwatchlogs:describeLogGroups", {"LogGroups": []}, id="renamed"),
        pytest.param("arn:aws:states:::aws-sdk:nope:nope", {"A": 1}, id="a service that there is no model of"),
        pytest.param(
            f"{START}.sync:2",
            {"ExecutionArn": "a", "StateMachineArn": "s", "Status": "SUCCEEDED", "StartDate": 1, "Output": {"a": 1}},
            id="a nested execution's output is read",
        ),
    ],
)
async def test_mocked_results_that_will_do(resource: str, result: Any) -> None:
    answered = await answer({**TASK, "Resource": resource}, **mocked(result))

    assert json.loads(answered.output or "") == result


# ------------------------------------------------------------------------------------------- refusals

CONFIGURATION = t.TestStateConfiguration
WRITTEN = {
    **MAP,
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        **MAP["ItemProcessor"],  # type: ignore[dict-item]
    },
    "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b"}},
}


@pytest.mark.parametrize(
    ("state", "fields", "error", "why"),
    [
        ("no", {}, InvalidDefinition, "Unrecognized token 'no'"),
        ({"Type": "Pass"}, {}, InvalidDefinition, "at /States/StateName"),
        (PASS, {"role_arn": "r"}, InvalidArn, "Invalid Role Arn: 'r'"),
        (PASS, {"input": "no"}, InvalidExecutionInput, "Unrecognized token 'no'"),
        (PASS, {"variables": "[]"}, ValidationException, "Variables must be a JSON object"),
        (PASS, mocked({}), ValidationException, "State type 'Pass' is not supported when a mock is specified"),
        (
            {"Type": "Fail"},
            failing(),
            ValidationException,
            "State type 'Fail' is not supported when a mock is specified",
        ),
        (TASK, {}, ValidationException, "RoleArn must be specified when testing a Task state"),
        (MAP, {"role_arn": ROLE}, InvalidDefinition, "does not support Map or Parallel states"),
        (PARALLEL, {"role_arn": ROLE}, InvalidDefinition, "does not support Map or Parallel states"),
        ({**TASK, "Resource": f"{START}.sync"}, {"role_arn": ROLE}, InvalidDefinition, "does not support the .sync"),
        (TASK, {"context": "{}"}, ValidationException, "does not support Context when a mock is not specified"),
        (
            TASK,
            {"state_configuration": CONFIGURATION(map_iteration_failure_count=0)},
            ValidationException,
            "does not support MapIterationFailureCount when a mock is not specified",
        ),
        (TASK, mocked({}) | {"reveal_secrets": True}, ValidationException, "does not support RevealSecrets"),
        (TASK, {"mock": t.MockInput()}, ValidationException, "should have one of the following fields"),
        (
            TASK,
            {"mock": t.MockInput(result="{}", error_output=t.MockErrorOutput(error="E"))},
            ValidationException,
            "only one of the following fields",
        ),
        (TASK, {"mock": t.MockInput(result="no")}, ValidationException, "Mocked result must be valid JSON"),
        (PARALLEL, mocked({}), ValidationException, "Mocked result must be an array."),
        (PARALLEL, mocked([1]), ValidationException, "same number of items as number of Parallel branches"),
        (MAP, mocked({}), ValidationException, "Mocked result must be an array."),
        (WRITTEN, mocked([]), ValidationException, "Mocked result must be an object."),
        (
            MAP,
            mocked([1, 2]) | {"state_configuration": CONFIGURATION(map_iteration_failure_count=3)},
            ValidationException,
            "Map iteration failure count must be less than or equal to the number of Map iterations",
        ),
        (MAP, failing(error_caused_by_state="Z"), ValidationException, "'Z' is not a state inside"),
    ],
)
async def test_what_is_refused(state: Any, fields: Any, error: type[StepFunctionsError], why: str) -> None:
    with pytest.raises(error) as refused:
        await answer(state, **fields)

    assert why in refused.value.message


@pytest.mark.parametrize(("name", "found"), [("M", True), ("I", True), ("StateName", False), ("no", False)], ids=str)
async def test_a_state_is_found_by_its_name_at_any_depth(name: str, found: bool) -> None:
    definition = {"StartAt": "M", "States": {"M": {**MAP, "Next": "N"}, "N": {"Type": "Succeed"}}}
    fields = mocked([1]) if name == "M" else {}

    if found:
        assert (await answer(definition, [1], state_name=name, **fields)).status == "SUCCEEDED"
    else:
        with pytest.raises(ValidationException, match="State not found in definition"):
            await answer(definition, state_name=name)
