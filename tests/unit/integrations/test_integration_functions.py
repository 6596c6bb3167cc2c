"""Lambda functions that are Python callables, and what Step Functions makes of what functions answer."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from stand_ins import StandIn, called

from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.integrations.functions import LambdaFunctions, UnusableFunction, load_functions
from workflow_manager.integrations.refusals import Refused, Unreachable

ARN = "arn:aws:lambda:us-east-1:000000000000:function"


class CustomError(Exception):
    pass


def fails(_: Any) -> None:
    raise CustomError("why")


async def later(event: Any) -> Any:
    return {"later": event}


FUNCTIONS = {
    "same": lambda event: event,
    "context": lambda event, context: [context.function_name, context.invoked_function_arn],
    "fails": fails,
    "later": later,
    "unwritable": lambda _: object(),
    "thread": lambda _: threading.current_thread() is threading.main_thread(),
}
LAMBDAS = LambdaFunctions(FUNCTIONS)


def direct(name: str, event: Any) -> IntegrationCall:
    made = called("lambda", "", event)
    return IntegrationCall(
        **{name: getattr(made, name) for name in made.__struct_fields__} | {"resource": f"{ARN}:{name}"}
    )


async def invoked(lambdas: LambdaFunctions = LAMBDAS, **arguments: Any) -> Any:
    return json.loads(await lambdas.invoke(called("lambda", "invoke", arguments)))


@pytest.mark.parametrize("event", [None, 0, 0.5, "text", [], {"a": {"b": "ü"}}])
async def test_a_function_by_its_arn_answers_its_value(event: Any) -> None:
    assert json.loads(await LAMBDAS.invoke(direct("same", event))) == event


async def test_a_function_may_be_asynchronous_and_others_run_in_threads() -> None:
    assert json.loads(await LAMBDAS.invoke(direct("later", 1))) == {"later": 1}
    assert json.loads(await LAMBDAS.invoke(direct("thread", 1))) is False


async def test_a_function_that_takes_two_arguments_gets_a_context() -> None:
    assert json.loads(await LAMBDAS.invoke(direct("context", 1))) == ["context", f"{ARN}:context"]


@pytest.mark.parametrize("name", ["same", f"{ARN}:same", f"{ARN}:same:prod", "000000000000:function:same", "same:7"])
async def test_names_of_functions(name: str) -> None:
    assert (await invoked(FunctionName=name, Payload={"a": 1}))["Payload"] == {"a": 1}


@pytest.mark.parametrize(
    ("payload", "event"),
    [({"a": 1}, {"a": 1}), ("0", 0), ('"text"', "text"), ([], []), (None, {})],
)
async def test_payloads(payload: Any, event: Any) -> None:
    """Text is the payload itself, anything else is written as JSON."""
    assert (await invoked(FunctionName="same", Payload=payload))["Payload"] == event


async def test_the_result_of_an_invocation() -> None:
    result = await invoked(FunctionName="same", Payload={}, LogType="Tail")

    assert result.keys() == {
        "ExecutedVersion",
        "LogResult",
        "Payload",
        "SdkHttpMetadata",
        "SdkResponseMetadata",
        "StatusCode",
    }
    headers = result["SdkHttpMetadata"]["HttpHeaders"]
    assert headers["Content-Length"] == "2"
    assert headers["X-Amz-Log-Result"] == result["LogResult"] == ""


async def test_an_event_is_accepted() -> None:
    result = await invoked(FunctionName="same", Payload={}, InvocationType="Event")

    assert (result["StatusCode"], result["Payload"]) == (202, "")


async def failure(call: IntegrationCall, lambdas: LambdaFunctions = LAMBDAS) -> IntegrationFailed:
    with pytest.raises(IntegrationFailed) as failed:
        await lambdas.invoke(call)
    return failed.value


async def test_an_exception_is_the_function_s_error() -> None:
    failed = await failure(direct("fails", {}))

    assert failed.error == "CustomError"
    cause = json.loads(str(failed.cause))
    assert (cause["errorType"], cause["errorMessage"]) == ("CustomError", "why")
    assert len(cause["stackTrace"]) == 1, "the frames of the function alone"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (direct("unwritable", {}), "Runtime.MarshalError"),
        (direct("nobody", {}), "Lambda.ResourceNotFoundException"),
        (called("lambda", "invoke", {"FunctionName": "nobody"}), "Lambda.ResourceNotFoundException"),
        (called("lambda", "invoke", {"FunctionName": "same", "Payload": "{"}), "Lambda.InvalidRequestContentException"),
        (called("lambda", "invoke", {"FunctionName": None}), "Lambda.AWSLambdaException"),
        (called("lambda", "invoke", {"FunctionName": 1}), "States.Runtime"),
        (called("lambda", "invoke", {"FunctionName": "same", "Other": 1}), "States.Runtime"),
        (called("lambda", "invoke", []), "States.Runtime"),
    ],
)
async def test_errors(call: IntegrationCall, error: str) -> None:
    assert (await failure(call)).error == error


# ------------------------------------------------------------------------------------------- elsewhere


def remote(members: dict[str, Any] | Exception) -> LambdaFunctions:
    def answers(*_: Any) -> dict[str, Any]:
        if isinstance(members, Exception):
            raise members
        return members

    return LambdaFunctions({"here": lambda _: "here"}, aws=StandIn(answers))


async def test_registered_functions_go_first() -> None:
    lambdas = remote({"StatusCode": 200, "Payload": b'"there"'})

    assert await lambdas.invoke(direct("here", {})) == '"here"'
    assert await lambdas.invoke(direct("there", {})) == '"there"'


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"FunctionError": "Unhandled", "Payload": b'{"errorType":"Exception","errorMessage":"x"}'}, "Exception"),
        ({"FunctionError": "Unhandled", "Payload": b'{"errorMessage":"Task timed out"}'}, "Lambda.Unknown"),
        ({"FunctionError": "Unhandled", "Payload": b"no JSON"}, "Lambda.Unknown"),
        (Refused("TooManyRequestsException", "", 429, ""), "Lambda.TooManyRequestsException"),
        (Refused("ServiceException", "", 500, ""), "Lambda.ServiceException"),
        (Refused("AccessDeniedException", "", 403, ""), "Lambda.AWSLambdaException"),
        (Unreachable("away"), "Lambda.SdkClientException"),
    ],
)
async def test_errors_of_functions_elsewhere(answer: Any, error: str) -> None:
    assert (await failure(direct("there", {}), remote(answer))).error == error


# ------------------------------------------------------------------------------------------- registering


def test_functions_are_imported_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registered_here.py").write_text("class A:\n    @staticmethod\n    def b(event): return [event]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    assert load_functions({"f": "registered_here:A.b"})["f"](1) == [1]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("json", "must be named as module:callable"),
        ("no_such_module:f", "ModuleNotFoundError"),
        ("json:nothing", "AttributeError"),
        ("json:__name__", "cannot be called"),
    ],
)
def test_what_cannot_be_registered(place: str, why: str) -> None:
    with pytest.raises(UnusableFunction, match=rf"'f'.*{why}"):
        load_functions({"f": place})
