"""What functions may take, what they are called with, and what their ends mean."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.sdk import Context, TaskFailed
from workflow_manager.sdk.functions import call, call_async, task_function
from workflow_manager.worker.limits import MAX_CAUSE, cut_cause
from workflow_manager.worker.outcome import Failure, Outcome, Success


@dataclass
class Order:
    order: int
    at: datetime | None = None


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    order: int


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    order: int
    ids: list[UUID] = []


def context(workflow_id: str | None = "w1") -> Context:
    return Context(task="t", workflow_id=workflow_id, state="S", attempt=1, logger=None)


def run(function: Callable[..., Any], value: Any = None, workflow_id: str | None = None) -> Outcome:
    made = task_function(function, name="t")
    return call(made, made.converter(), json.dumps(value), context(workflow_id))


def output(outcome: Outcome) -> Any:
    assert isinstance(outcome, Success), outcome
    return json.loads(outcome.output)


def no_argument() -> str:
    return "nothing"


def with_default(value: dict[str, Any] | None = None, factor: int = 2) -> Any:
    return [value, factor]


def of_context(context: Context) -> Any:
    return context.workflow_id


def of_both(context: Context, value: Any) -> Any:
    return [context.state, value]


def of_two(context, value):
    return [context.attempt, value]


class Doubles:
    def __call__(self, value: Order) -> int:
        return value.order


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(no_argument, "nothing", id="nothing"),
        pytest.param(lambda value: value["order"], 7, id="an input"),
        pytest.param(with_default, [{"order": 7}, 2], id="an input that has a default"),
        pytest.param(of_context, "w1", id="a context"),
        pytest.param(of_both, ["S", {"order": 7}], id="a context and an input"),
        pytest.param(of_two, [1, {"order": 7}], id="two arguments without annotations: the context comes first"),
        pytest.param(Doubles(), 7, id="an object that can be called"),
    ],
)
def test_what_a_function_is_called_with(function: Callable[..., Any], expected: Any) -> None:
    assert output(run(function, {"order": 7}, "w1")) == expected


def wants_keyword(value: Any, *, key: str) -> None: ...


def takes_three(a: Any, b: Any, c: Any) -> None: ...


def context_last(value: Any, context: Context) -> None: ...


async def asynchronous() -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "why"),
    [
        pytest.param(wants_keyword, {}, "'key', which nobody gives it", id="a keyword argument"),
        pytest.param(takes_three, {}, "takes 3 arguments", id="three arguments"),
        pytest.param(context_last, {}, "the context comes first", id="the context last"),
        pytest.param(asynchronous, {"run_in": "process"}, "runs in an event loop", id="async in a process"),
        pytest.param(no_argument, {"run_in": "fiber"}, "'thread' or 'process'", id="no such place"),
        pytest.param(no_argument, {"concurrency": 0}, "at least 1", id="no concurrency"),
        pytest.param(no_argument, {"timeout": 0}, "more than 0 seconds", id="no time"),
        pytest.param(no_argument, {"heartbeat": float("nan")}, "more than 0 seconds", id="no number of seconds"),
        pytest.param(no_argument, {"memory_mb": 10}, "run_in='process'", id="memory of a thread"),
    ],
)
def test_what_cannot_be_a_task(function: Callable[..., Any], options: dict[str, Any], why: str) -> None:
    with pytest.raises((TypeError, ValueError), match="the task") as refused:
        task_function(function, **options)
    assert why in str(refused.value)


def test_times_may_be_timedeltas() -> None:
    made = task_function(no_argument, timeout=timedelta(minutes=2), heartbeat=1.5)

    assert (made.timeout_seconds, made.heartbeat_seconds) == (120.0, 1.5)


def take_order(value: Order) -> Any:
    return value


def take_orders(value: list[Order]) -> Any:
    return value[0]


def take_strict(value: Strict) -> Any:
    return value


def take_model(value: Model) -> Any:
    return value


def take_models(value: dict[str, Model]) -> Any:
    return value


ID = "5f0c9f4e-0c53-4f5c-9d3c-0a5a5f0c9f4e"


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        pytest.param(
            take_order,
            {"order": 7, "at": "2026-01-02T03:04:05Z"},
            {"order": 7, "at": "2026-01-02T03:04:05Z"},
            id="dataclass",
        ),
        pytest.param(take_orders, [{"order": 7}], {"order": 7, "at": None}, id="list of dataclasses"),
        pytest.param(take_strict, {"order": 7}, {"order": 7}, id="Struct"),
        pytest.param(take_model, {"order": 7, "ids": [ID]}, {"order": 7, "ids": [ID]}, id="pydantic model"),
        pytest.param(take_models, {"a": {"order": 7}}, {"a": {"order": 7, "ids": []}}, id="pydantic models in a dict"),
    ],
)
def test_types_of_inputs_and_outputs(function: Callable[..., Any], value: Any, expected: Any) -> None:
    assert output(run(function, value)) == expected


@pytest.mark.parametrize("function", [take_order, take_strict, take_model])
def test_the_workflows_id_is_the_contexts_and_not_the_inputs(function: Callable[..., Any]) -> None:
    """Types that take no other fields take it; the output has it, so that the next state does."""
    assert output(run(function, {"order": 7, "_EXECUTION_NAME": "w1"}, "w1"))["_EXECUTION_NAME"] == "w1"


@pytest.mark.parametrize(
    ("function", "value", "where"),
    [
        pytest.param(take_order, {"order": "x"}, "$.order", id="dataclass"),
        pytest.param(take_order, [], "Expected `object`", id="no object"),
        pytest.param(take_strict, {"order": 7, "more": 1}, "`more`", id="unknown field"),
        pytest.param(take_model, {"order": "x"}, "order", id="pydantic model"),
        pytest.param(take_models, {"a": {}}, "Field required", id="pydantic model in a dict"),
    ],
)
def test_an_input_of_another_type_has_an_error_of_its_own(function: Callable[..., Any], value: Any, where: str) -> None:
    failed = run(function, value)

    assert isinstance(failed, Failure)
    assert failed.error == "InvalidTaskInput"
    assert where in failed.cause


@pytest.mark.parametrize("value", [object(), {"n": float("nan")}, [float("inf")], {1: object()}, "\ud800"])
def test_an_output_that_is_no_json_has_an_error_of_its_own(value: Any) -> None:
    failed = run(lambda: value)

    assert isinstance(failed, Failure)
    assert failed.error == "InvalidTaskOutput"


def test_a_type_that_json_cannot_make_is_refused_beforehand() -> None:
    def takes_lock(value: asyncio.Lock) -> None: ...

    failed = None
    try:
        made = task_function(takes_lock)
        failed = call(made, made.converter(), "{}", context())
    except TypeError as error:
        assert "takes_lock" in str(error)  # noqa: PT017 - either way is a way of telling
    assert failed is None or isinstance(failed, Failure)


def test_a_type_that_is_not_there_is_told_with_the_task() -> None:
    def takes_unknown(value: Unknown) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match=r"'takes_unknown'.*Unknown"):
        task_function(takes_unknown).converter()


class CardDeclined(Exception):
    pass


def decline() -> None:
    raise CardDeclined("no credit")


def deep() -> None:
    deep()


def leave() -> None:
    raise SystemExit(3)


def own() -> None:
    raise TaskFailed("Billing.CardDeclined", "no credit")


def long_message() -> None:
    raise CardDeclined("x" * 100_000 + "the end")


@pytest.mark.parametrize(
    ("function", "error", "end"),
    [
        pytest.param(decline, "CardDeclined", "CardDeclined: no credit", id="the class names the error"),
        pytest.param(own, "Billing.CardDeclined", "no credit", id="an error named by the task"),
        pytest.param(leave, "SystemExit", "SystemExit: 3", id="leaving ends the task"),
        pytest.param(deep, "RecursionError", "maximum recursion depth exceeded", id="recursion"),
        pytest.param(long_message, "CardDeclined", "the end", id="a long message"),
    ],
)
def test_exceptions_are_failures(function: Callable[..., Any], error: str, end: str) -> None:
    failed = run(function, {})

    assert isinstance(failed, Failure)
    assert failed.error == error
    assert end in failed.cause
    assert cut_cause(failed.cause).endswith(failed.cause[-20:])
    assert len(cut_cause(failed.cause)) <= MAX_CAUSE


def test_the_cause_is_the_functions_own_traceback() -> None:
    failed = run(decline)

    assert isinstance(failed, Failure)
    assert "in decline" in failed.cause
    assert "sdk/functions.py" not in failed.cause


async def test_async_functions() -> None:
    async def double(value: Order) -> int:
        await asyncio.sleep(0)
        return 2 * value.order

    async def fail() -> None:
        raise CardDeclined("no credit")

    made = task_function(double, localns=globals())
    assert output(await call_async(made, made.converter(), '{"order": 7}', context())) == 14
    failed = await call_async(task_function(fail), lambda value: value, "{}", context())
    assert isinstance(failed, Failure)
    assert failed.error == "CardDeclined"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_plain_json_comes_back_as_it_was(value: Any) -> None:
    def same(given: Any) -> Any:
        return given

    text = msgspec.json.encode(value).decode() if not isinstance(value, str) else json.dumps(value)
    made = task_function(same)
    result = call(made, made.converter(), text, context(None))

    if isinstance(result, Failure):  # half a surrogate pair, which UTF-8 cannot hold
        assert result.error in ("InvalidTaskInput", "InvalidTaskOutput")
    else:
        assert json.loads(result.output) == json.loads(text)


def test_pydantic_is_not_imported_by_the_sdk() -> None:
    code = "import workflow_manager.sdk, sys; sys.exit('pydantic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
