"""Executions through the seam, alike in every implementation: starting, stopping, describing, listing, history."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from embedded_world import ARN, PASS, ROLE, WAIT, World, task

from workflow_manager.engine.operations.pages import page_token
from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t

# ------------------------------------------------------------------------------------------- starting


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param('{"a":1}', '{"a":1}', id="the same text"),
        pytest.param('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', id="the same value written otherwise"),
    ],
)
async def test_a_start_that_is_repeated_is_answered_as_the_first(any_world: World, first: str, second: str) -> None:
    machine = await any_world.machine(WAIT)
    request = t.StartExecutionInput(state_machine_arn=machine, name="e", input=first)
    started = await any_world.api.start_execution(request)
    any_world.clock.advance(30)

    again = await any_world.api.start_execution(msgspec.structs.replace(request, input=second))

    assert again == started
    assert len((await listed(any_world, machine))[0]) == 1


@pytest.mark.parametrize("ended", [False, True], ids=["another input", "it has ended"])
async def test_a_name_is_used_once(any_world: World, ended: bool) -> None:
    machine = await any_world.machine(PASS if ended else WAIT)
    arn = await any_world.start(machine, value="{}")

    with pytest.raises(errors.ExecutionAlreadyExists) as raised:
        await any_world.start(machine, value="{}" if ended else '{"other": 1}')

    assert raised.value.message == f"Execution Already Exists: '{arn}'"


async def test_a_start_without_a_name_or_an_input_has_both(any_world: World) -> None:
    machine = await any_world.machine(PASS)
    arns = {
        (await any_world.api.start_execution(t.StartExecutionInput(state_machine_arn=machine))).execution_arn
        for _ in range(2)
    }

    assert len(arns) == 2
    assert (await any_world.describe(arns.pop())).input == "{}"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        pytest.param("e", "{not json", errors.InvalidExecutionInput, id="no JSON"),
        pytest.param("e", "", errors.InvalidExecutionInput, id="nothing"),
        pytest.param(
            "e",
            '"' + "x" * 262_143 + '"',
            (errors.InvalidExecutionInput, errors.ValidationException),  # the wire looks at lengths first
            id="too large",
        ),
        pytest.param("e", "[" * 100_000 + "]" * 100_000, errors.InvalidExecutionInput, id="too deep"),
        pytest.param("a/b", "{}", errors.InvalidName, id="a name with a slash"),
        pytest.param("a b", "{}", errors.InvalidName, id="a name with a space"),
    ],
)
async def test_a_start_that_is_refused(any_world: World, name: str, value: str, error: Any) -> None:
    machine = await any_world.machine(PASS)

    with pytest.raises(error):
        await any_world.start(machine, name, value)

    assert await listed(any_world, machine) == ([], None)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "Invalid execution input."),
        ('{"a":', "Unexpected end-of-input within/between Object entries"),
        ("{'a': 1}", "Unexpected character (''' (code 39)): was expecting double-quote to start field name"),
    ],
)
async def test_an_input_that_is_no_json_is_refused_with_its_fault(any_world: World, value: str, why: str) -> None:
    machine = await any_world.machine(PASS)

    with pytest.raises(errors.InvalidExecutionInput) as refused:
        await any_world.start(machine, "e", value)

    assert refused.value.message == f"Invalid State Machine Execution Input: '{why}'"


async def test_an_input_may_be_as_large_as_aws_allows(any_world: World) -> None:
    value = '"' + "x" * 262_142 + '"'
    arn = await any_world.start(await any_world.machine(PASS), value=value)

    assert (await any_world.describe(arn)).output == value


@pytest.mark.parametrize("value", ["$.no", "States.Format('{}', $.no)"])
async def test_a_path_that_leads_nowhere_is_told_with_the_input_as_it_was_given(any_world: World, value: str) -> None:
    given = '{\n  "a": 1\n}'
    machine = await any_world.machine({"A": {"Type": "Pass", "Parameters": {"x.$": value}, "End": True}})

    ended = await any_world.ended(await any_world.start(machine, value=given))

    assert str(ended.cause).endswith(f"could not be found in the input '{given}'")


# ------------------------------------------------------------------------------------------- stopping


async def test_a_stop_says_why_and_when(any_world: World) -> None:
    arn = await any_world.start(await any_world.machine(WAIT))
    any_world.clock.advance(10)

    stopped = await any_world.stop(arn, "Why", "because")

    described = await any_world.describe(arn)
    assert (described.status, described.error, described.cause) == ("ABORTED", "Why", "because")
    assert described.stop_date == pytest.approx(any_world.clock.now())
    assert stopped.stop_date == described.stop_date
    last = (await any_world.history(arn))[-1]
    assert (last.type, last.previous_event_id, last.details) == (
        "ExecutionAborted",
        0,
        {"error": "Why", "cause": "because"},
    )


async def test_a_stop_of_what_has_ended_changes_nothing(any_world: World) -> None:
    arn = await any_world.start(await any_world.machine(PASS))
    before = await any_world.describe(arn)
    any_world.clock.advance(10)

    stopped = await any_world.stop(arn, "too late")

    assert stopped.stop_date == before.stop_date
    assert await any_world.describe(arn) == before


# ------------------------------------------------------------------------------------------- describing


async def test_what_is_said_of_an_execution(any_world: World) -> None:
    machine = await any_world.machine(WAIT)
    arn = await any_world.start(machine, value='{"x": 1}')

    described = await any_world.describe(arn)
    assert (described.execution_arn, described.state_machine_arn, described.name) == (arn, machine, "e")
    assert (described.status, described.input, described.output) == ("RUNNING", '{"x": 1}', None)
    assert (described.stop_date, described.redrive_count) == (None, 0)

    any_world.clock.advance(60)
    ended = await any_world.ended(arn)
    assert (ended.status, ended.output) == ("SUCCEEDED", '{"x": 1}')
    assert ended.start_date == described.start_date
    assert ended.stop_date == pytest.approx(described.start_date + 60)


async def test_metadata_only_leaves_out_what_may_be_large(any_world: World) -> None:
    arn = await any_world.start(await any_world.machine(PASS), value='{"x": 1}')

    described = await any_world.api.describe_execution(
        t.DescribeExecutionInput(execution_arn=arn, included_data="METADATA_ONLY")
    )

    assert (described.status, described.input, described.output) == ("SUCCEEDED", None, None)


async def test_an_execution_keeps_the_definition_it_was_started_with(any_world: World) -> None:
    machine = await any_world.machine(WAIT)
    arn = await any_world.start(machine)
    role = "arn:aws:iam::000000000000:role/other"
    changed = json.dumps({"StartAt": "P", "States": PASS})
    await any_world.api.update_state_machine(
        t.UpdateStateMachineInput(state_machine_arn=machine, definition=changed, role_arn=role)
    )

    request = t.DescribeStateMachineForExecutionInput(execution_arn=arn)
    described = await any_world.api.describe_state_machine_for_execution(request)

    assert (json.loads(described.definition)["States"], described.role_arn) == (WAIT, ROLE)
    any_world.clock.advance(60)
    await any_world.ended(arn)
    assert "WaitStateExited" in await any_world.types(arn)


@pytest.mark.parametrize(
    ("arn", "error", "message"),
    [
        pytest.param("nonsense", errors.InvalidArn, "Invalid Arn: 'Invalid ARN prefix: nonsense'", id="no ARN"),
        pytest.param(
            f"{ARN}:stateMachine:m",
            errors.InvalidArn,
            "Invalid Arn: 'Resource type not valid in this context: stateMachine'",
            id="of another kind",
        ),
        pytest.param(
            f"{ARN}:execution:m:e",
            errors.ExecutionDoesNotExist,
            f"Execution Does Not Exist: '{ARN}:execution:m:e'",
            id="of nothing",
        ),
        pytest.param(
            "arn:aws:states:eu-west-1:000000000000:execution:there:e",
            errors.ExecutionDoesNotExist,
            "Execution Does Not Exist: 'arn:aws:states:eu-west-1:000000000000:execution:there:e'",
            id="of another region",
        ),
    ],
)
@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("describe_execution", t.DescribeExecutionInput),
        ("get_execution_history", t.GetExecutionHistoryInput),
        ("stop_execution", t.StopExecutionInput),
        ("describe_state_machine_for_execution", t.DescribeStateMachineForExecutionInput),
    ],
)
async def test_executions_that_are_not_there(
    world: World, method: str, request_type: Any, arn: str, error: type[errors.StepFunctionsError], message: str
) -> None:
    await world.start(await world.machine(PASS, "there"))

    with pytest.raises(error) as raised:
        await getattr(world.api, method)(request_type(execution_arn=arn))

    assert raised.value.message == message


# ------------------------------------------------------------------------------------------- lists


async def listed(world: World, machine: str, **fields: Any) -> tuple[list[str], str | None]:
    page = await world.api.list_executions(t.ListExecutionsInput(state_machine_arn=machine, **fields))
    return [item.name for item in page.executions], page.next_token


async def test_executions_are_listed_newest_first_and_in_pages(any_world: World) -> None:
    machine, other = await any_world.machine(PASS), await any_world.machine(PASS, "other")
    for n in range(7):
        await any_world.start(machine, f"e{n}")
        await any_world.start(other, f"other{n}")

    first, token = await listed(any_world, machine, max_results=3)
    await any_world.start(machine, "inserted meanwhile".replace(" ", "-"))
    second, token = await listed(any_world, machine, max_results=3, next_token=token)
    third, token = await listed(any_world, machine, max_results=3, next_token=token)

    assert (first, second, third) == (["e6", "e5", "e4"], ["e3", "e2", "e1"], ["e0"])
    assert token is None


async def test_a_page_that_is_just_full_is_the_last(any_world: World) -> None:
    machine = await any_world.machine(PASS)
    for n in range(3):
        await any_world.start(machine, f"e{n}")

    assert await listed(any_world, machine, max_results=3) == (["e2", "e1", "e0"], None)
    assert await listed(any_world, machine, max_results=0) == (["e2", "e1", "e0"], None)


async def test_executions_are_listed_by_status(any_world: World) -> None:
    activity = await any_world.activity()
    machine = await any_world.machine({"T": task(activity)}, top={"TimeoutSeconds": 60})
    ends = {"SUCCEEDED": "one", "FAILED": "two", "ABORTED": "three", "TIMED_OUT": "four", "RUNNING": "five"}
    for name in list(ends.values())[:4]:
        arn = await any_world.start(machine, name)
        match name:
            case "one":
                await any_world.succeed((await any_world.poll(activity)).task_token)
            case "two":
                await any_world.fail((await any_world.poll(activity)).task_token)
            case "three":
                await any_world.stop(arn)
            case _:
                any_world.clock.advance(60)
                await any_world.ended(arn)
    await any_world.start(machine, "five")

    for status, name in ends.items():
        assert await listed(any_world, machine, status_filter=status) == ([name], None)
    assert (await listed(any_world, machine))[0] == ["five", "four", "three", "two", "one"]


FORGED = [
    pytest.param("nonsense", id="not base64"),
    pytest.param("bm9uc2Vuc2U=", id="not ours"),
    pytest.param("é", id="not ASCII"),
    pytest.param(page_token(["a"]), id="of another shape"),
    pytest.param(page_token(-1), id="negative"),
    pytest.param(page_token(2**64 - 1), id="beyond any number"),
    pytest.param(page_token("text"), id="a text"),
    pytest.param(base64.urlsafe_b64encode(b"\x05 and more").decode(), id="with more behind it"),
]


@pytest.mark.parametrize("token", FORGED)
async def test_tokens_that_no_page_has_given(world: World, token: str) -> None:
    machine = await world.machine(PASS)
    arn = await world.start(machine)

    with pytest.raises(errors.InvalidToken):
        await listed(world, machine, next_token=token)
    for reverse in (False, True):
        with pytest.raises(errors.InvalidToken):
            await world.api.get_execution_history(
                t.GetExecutionHistoryInput(execution_arn=arn, next_token=token, reverse_order=reverse)
            )


@pytest.mark.parametrize("token", [*FORGED[:4], pytest.param(page_token(7), id="a number")])
@pytest.mark.parametrize(
    ("method", "request_type"),
    [("list_state_machines", t.ListStateMachinesInput), ("list_activities", t.ListActivitiesInput)],
)
async def test_tokens_of_lists_by_name(world: World, method: str, request_type: Any, token: str) -> None:
    with pytest.raises(errors.InvalidToken):
        await getattr(world.api, method)(request_type(next_token=token))


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_history_s_token_leads_into_no_other_history(world: World, reverse: bool) -> None:
    machine = await world.machine(PASS)
    arns = [await world.start(machine, f"e{n}") for n in range(2)]

    with pytest.raises(errors.InvalidToken):
        await world.api.get_execution_history(
            t.GetExecutionHistoryInput(execution_arn=arns[0], next_token=page_token(1 << 24), reverse_order=reverse)
        )


# ------------------------------------------------------------------------------------------- history


async def pages(world: World, arn: str, **fields: Any) -> list[list[int]]:
    found, token = [], None
    while True:
        page = await world.api.get_execution_history(
            t.GetExecutionHistoryInput(execution_arn=arn, next_token=token, **fields)
        )
        found.append([event.id for event in page.events])
        token = page.next_token
        if token is None:
            return found


@pytest.mark.parametrize("reverse", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 100])
async def test_a_history_is_read_in_pages_across_steps(world: World, size: int, reverse: bool) -> None:
    """Three steps wrote it, so pages begin and end within, at and beyond what was written at once."""
    activity = await world.activity()
    arn = await world.start(await world.machine({"A": task(activity, Next="B"), "B": task(activity)}))
    for _ in range(2):
        await world.succeed((await world.poll(activity)).task_token)
    history = await world.history(arn)
    last = len(history)
    ids = list(range(last, 0, -1)) if reverse else list(range(1, last + 1))

    found = await pages(world, arn, max_results=size, reverse_order=reverse)

    assert found == [ids[at : at + size] for at in range(0, last, size)]
    assert await spelled(world, arn, size, reverse=reverse) == [
        event.wire() for event in (reversed(history) if reverse else history)
    ]


async def spelled(world: World, arn: str, size: int, *, reverse: bool) -> list[dict[str, Any]]:
    """A history's events as the wire has them, page by page."""
    found, token = [], None
    while True:
        request = t.GetExecutionHistoryInput(
            execution_arn=arn, max_results=size, reverse_order=reverse, next_token=token
        )
        page = json.loads(await world.api.encoded_history(request))
        found += page["events"]
        token = page.get("nextToken")
        if token is None:
            return found


async def test_a_history_is_read_in_pages_by_every_implementation(any_world: World) -> None:
    arn = await any_world.start(await any_world.machine({"A": {"Type": "Pass", "Next": "P"}, **PASS}))

    assert await pages(any_world, arn, max_results=4) == [[1, 2, 3, 4], [5, 6]]
    assert await pages(any_world, arn, max_results=4, reverse_order=True) == [[6, 5, 4, 3], [2, 1]]


async def test_a_history_that_grows_between_two_pages_is_read_on(world: World) -> None:
    activity = await world.activity()
    arn = await world.start(await world.machine({"T": task(activity)}))
    request = t.GetExecutionHistoryInput(execution_arn=arn, max_results=2)
    first = await world.api.get_execution_history(request)
    await world.succeed((await world.poll(activity)).task_token)

    second = await world.api.get_execution_history(
        msgspec.structs.replace(request, max_results=100, next_token=first.next_token)
    )

    assert [event.id for event in second.events] == [3, 4, 5, 6, 7]


async def test_a_history_without_execution_data(any_world: World) -> None:
    activity = await any_world.activity()
    arn = await any_world.start(await any_world.machine({"T": task(activity)}), value='{"secret": 1}')
    await any_world.fail((await any_world.poll(activity)).task_token, "E", "secret")

    page = await any_world.api.get_execution_history(
        t.GetExecutionHistoryInput(execution_arn=arn, include_execution_data=False)
    )

    assert "secret" not in repr(page.events)
    assert [event.type for event in page.events] == await any_world.types(arn)
    entered = page.events[1].details
    assert entered is not None
    assert entered["name"] == "T"


# ------------------------------------------------------------------------------------------- values

LARGE_INTEGER = 73786976294838206464
HELD: dict[str, dict[str, Any]] = {
    "in a variable": {"A": {"Type": "Pass", "Assign": {"x.$": "$.a"}, "Next": "T"}},
    "as an item": {"A": {"Type": "Map", "ItemsPath": "$.a", "End": True}},
    "as an item of a Map Run": {"A": {"Type": "Map", "ItemsPath": "$.a", "End": True}},
    "in a batch of a Map Run": {
        "A": {
            "Type": "Map",
            "ItemsPath": "$.a",
            "ItemBatcher": {"MaxItemsPerBatch": 1, "BatchInput": {"all.$": "$.a"}},
            "End": True,
        }
    },
}


@pytest.mark.parametrize("where", HELD)
async def test_integers_of_any_size_are_held_while_an_execution_waits(world: World, where: str) -> None:
    activity = await world.activity()
    states = json.loads(json.dumps(HELD[where]))
    inner = {"StartAt": "T", "States": {"T": task(activity)}}
    if "Map Run" in where:
        inner["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    if states["A"]["Type"] == "Map":
        states["A"]["ItemProcessor"] = inner
    else:
        states["T"] = task(activity)
    arn = await world.start(await world.machine(states), value=json.dumps({"a": [LARGE_INTEGER]}))

    taken = await world.poll(activity)
    assert str(LARGE_INTEGER) in str(taken.input)
    await world.succeed(taken.task_token, str(taken.input))
    ended = await world.ended(arn)

    assert ended.status == "SUCCEEDED"
    assert str(LARGE_INTEGER) in str(ended.output)
