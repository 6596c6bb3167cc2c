"""Executions that start executions: in every pattern, with children that end at once, late, badly or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, PASS, START, WAIT, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.stepfunctions import errors

FAIL = {"F": {"Type": "Fail", "Error": "E", "Cause": "why"}}
WAITING = ["sync", "sync:2"]


def calls(pattern: str, child: str, **fields: Any) -> dict[str, Any]:
    """A Task that starts ``c`` of a state machine."""
    arguments = {"StateMachineArn": child, "Name": "c", "Input": {"from": "parent"}, **fields.pop("arguments", {})}
    return task(START + (f".{pattern}" if pattern else ""), Parameters=arguments, **fields)


async def parent_of(world: World, child: dict[str, Any], pattern: str, **fields: Any) -> tuple[str, str]:
    """(parent, child), both executions."""
    machine = await world.machine(child, "child")
    parent = await world.start(await world.machine({"S": calls(pattern, machine, **fields)}, "parent"))
    return parent, f"{ARN}:execution:child:c"


async def output_of(world: World, arn: str) -> Any:
    return json.loads(str((await world.describe(arn)).output))


async def test_a_request_is_answered_when_the_child_has_started(world: World) -> None:
    parent, child = await parent_of(world, WAIT, "")

    output = await output_of(world, parent)

    assert output["ExecutionArn"] == child
    assert (await world.types(parent))[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    described = await world.describe(child)
    assert (described.status, json.loads(str(described.input))) == ("RUNNING", {"from": "parent"})
    assert output["StartDate"] == int(described.start_date * 1_000)


@pytest.mark.parametrize("pattern", WAITING)
@pytest.mark.parametrize(
    "child",
    [pytest.param(PASS, id="that ends at once"), pytest.param(WAIT, id="that takes a minute")],
)
async def test_a_parent_has_what_its_child_made(world: World, child: dict[str, Any], pattern: str) -> None:
    parent, child_arn = await parent_of(world, child, pattern)
    world.clock.advance(60)
    await world.ended(parent)

    output = await output_of(world, parent)
    made = {"from": "parent"}
    assert output["Output"] == (made if pattern == "sync:2" else json.dumps(made, separators=(",", ":")))
    assert output["Input"] == output["Output"]
    assert (output["ExecutionArn"], output["Name"], output["Status"]) == (child_arn, "c", "SUCCEEDED")
    types = await world.types(parent)
    assert types[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]


@pytest.mark.parametrize("pattern", WAITING)
@pytest.mark.parametrize("how", ["fails", "is stopped", "times out"])
async def test_a_child_that_does_not_succeed_fails_the_task(world: World, pattern: str, how: str) -> None:
    machine = await world.machine(
        FAIL if how == "fails" else {"W": {"Type": "Wait", "Seconds": 90, "End": True}},
        "child",
        top={"TimeoutSeconds": 60},
    )
    states = {
        "S": calls(pattern, machine, Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "C"}]),
        "C": {"Type": "Succeed"},
    }
    parent = await world.start(await world.machine(states, "parent"))
    child = f"{ARN}:execution:child:c"
    if how == "is stopped":
        await world.stop(child, "Stopped", "by hand")
    world.clock.advance(60)
    await world.ended(parent)

    caught = await output_of(world, parent)
    status = {"fails": "FAILED", "is stopped": "ABORTED", "times out": "TIMED_OUT"}[how]
    cause = json.loads(caught["Cause"])
    assert (caught["Error"], cause["Status"], cause["ExecutionArn"]) == ("States.TaskFailed", status, child)
    error = {"fails": ("E", "why"), "is stopped": ("Stopped", "by hand"), "times out": (None, None)}[how]
    assert (cause.get("Error"), cause.get("Cause")) == error


@pytest.mark.parametrize("pattern", ["", *WAITING, "waitForTaskToken"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param({"StateMachineArn": f"{ARN}:stateMachine:absent"}, "StateMachineDoesNotExist", id="no machine"),
        pytest.param({"StateMachineArn": "nonsense"}, "InvalidArn", id="no ARN"),
        pytest.param({"Name": "not/a name"}, "InvalidName", id="no name"),
        pytest.param({"Name": "taken"}, "ExecutionAlreadyExists", id="a name that is taken"),
    ],
)
async def test_a_child_that_cannot_be_started(world: World, arguments: dict[str, Any], code: str, pattern: str) -> None:
    machine = await world.machine(PASS, "child")
    await world.start(machine, "taken", '{"other": 1}')
    if pattern == "waitForTaskToken":
        arguments = {"Input": {"token.$": "$$.Task.Token"}, **arguments}
    parent = await world.start(await world.machine({"S": calls(pattern, machine, arguments=arguments)}, "parent"))

    described = await world.describe(parent)

    assert (described.status, described.error) == ("FAILED", f"StepFunctions.{code}Exception")
    assert f"Error Code: {code};" in str(described.cause)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"StateMachineArn": 1}, "The value for the field 'StateMachineArn' must be a STRING"),
        ({"StateMachineArn": "a", "Foo": 1}, "The field 'Foo' is not supported by Step Functions"),
        ({"stateMachineArn": "a"}, "The field 'stateMachineArn' is not supported by Step Functions"),
    ],
)
@pytest.mark.parametrize("resource", [START, "arn:aws:states:::aws-sdk:sfn:startExecution"])
async def test_arguments_that_are_no_request(world: World, arguments: dict[str, Any], why: str, resource: str) -> None:
    parent = await world.start(await world.machine({"S": task(resource, Parameters=arguments)}))

    ended = await world.ended(parent)

    sent = json.dumps(arguments, separators=(",", ":"))
    assert (ended.error, ended.cause) == (
        "States.Runtime",
        f"The Parameters '{sent}' could not be used to start the Task: [{why}]",
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "Value null at 'stateMachineArn' failed to satisfy constraint: Member must not be null"),
        (
            {"StateMachineArn": "a", "Name": "n" * 81},
            f"Value '{'n' * 81}' at 'name' failed to satisfy constraint: Member must have length less than or equal to 80",
        ),
    ],
)
@pytest.mark.parametrize(
    ("resource", "error"),
    [(START, "StepFunctions"), ("arn:aws:states:::aws-sdk:sfn:startExecution", "Sfn")],
)
async def test_arguments_that_the_api_refuses(
    world: World, arguments: dict[str, Any], why: str, resource: str, error: str
) -> None:
    parent = await world.start(await world.machine({"S": task(resource, Parameters=arguments)}))

    ended = await world.ended(parent)

    assert ended.error == f"{error}.ValidationException"
    assert str(ended.cause).startswith(f"1 validation error detected: {why} (Service: ")


async def test_a_callback_is_waited_for_though_the_child_has_ended(world: World) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)}, "child")
    asked = {"Input": {"token.$": "$$.Task.Token"}}
    states = {"S": calls("waitForTaskToken", machine, arguments=asked, HeartbeatSeconds=600)}
    parent = await world.start(await world.machine(states, "parent"))
    answer = await world.poll(activity)
    token = json.loads(str(answer.input))["token"]
    await world.succeed(answer.task_token, '"the child is done"')
    assert (await world.describe(parent)).status == "RUNNING"

    world.clock.advance(599)
    await world.beat(token)
    world.clock.advance(599)
    await world.settled()
    await world.succeed(token, '"called back"')

    assert (await world.describe(parent)).output == '"called back"'
    with pytest.raises(errors.TaskTimedOut):
        await world.succeed(token)


async def test_a_callback_that_fails_or_never_comes(world: World) -> None:
    machine = await world.machine(PASS, "child")
    asked = {"Input": {"token.$": "$$.Task.Token"}, "Name.$": "$.n"}
    state = calls("waitForTaskToken", machine, arguments=asked, TimeoutSeconds=60)
    del state["Parameters"]["Name"]
    parent = await world.machine({"S": state}, "parent")
    fails, waits = [await world.start(parent, name, json.dumps({"n": name})) for name in ("fails", "waits")]
    child = await world.describe(f"{ARN}:execution:child:fails")
    await world.fail(json.loads(str(child.input))["token"], "Called", "back")

    world.clock.advance(60)

    failed, late = await world.ended(fails), await world.ended(waits)
    assert (failed.error, failed.cause) == ("Called", "back")
    assert (late.error, (await world.types(waits))[-2]) == ("States.Timeout", "TaskTimedOut")


@pytest.mark.parametrize("pattern", WAITING)
@pytest.mark.parametrize("how", ["is stopped", "times out", "gives the task up", "fails elsewhere"])
async def test_a_parent_that_does_not_wait_any_more_stops_its_child(world: World, pattern: str, how: str) -> None:
    activity = await world.activity()
    machine = await world.machine({"T": task(activity)}, "child")
    state = calls(pattern, machine, **({"TimeoutSeconds": 30} if how == "gives the task up" else {}))
    states = {"S": state}
    if how == "fails elsewhere":
        branches = [
            {"StartAt": "S", "States": states},
            {"StartAt": "W", "States": {"W": WAIT["W"] | {"Next": "F"}, **FAIL}},
        ]
        del branches[1]["States"]["W"]["End"]
        states = {"P": {"Type": "Parallel", "Branches": branches, "End": True}}
    parent = await world.start(await world.machine(states, "parent", top={"TimeoutSeconds": 90}))
    child = f"{ARN}:execution:child:c"
    assert (await world.describe(child)).status == "RUNNING"

    if how == "is stopped":
        await world.stop(parent)
    else:
        world.clock.advance(90)
        await world.ended(parent)

    assert (await world.describe(child)).status == "ABORTED"
    assert (await world.poll(activity)).task_token is None


@pytest.mark.parametrize("pattern", ["", "waitForTaskToken"])
async def test_a_child_that_nobody_waits_for_runs_on(world: World, pattern: str) -> None:
    asked = {"Input": {"token.$": "$$.Task.Token"}} if pattern else {}
    parent, child = await parent_of(world, WAIT, pattern, arguments=asked)

    await world.stop(parent)

    assert (await world.describe(child)).status == "RUNNING"


async def test_a_family_of_which_all_end_in_one_batch(world: World) -> None:
    """Each generation starts the next and hears its end within the same step: ten deep."""
    machine = await world.machine(PASS, "g0")
    for generation in range(1, 11):
        states = {"S": calls("sync:2", machine, OutputPath="$.Output")}
        machine = await world.machine(states, f"g{generation}")
    before = world.database.commits

    arn = await world.start(machine)

    assert (await world.describe(arn)).output == '{"from":"parent"}'
    assert world.database.commits == before + 1


async def test_children_of_a_map_are_each_heard(world: World) -> None:
    child = await world.machine(
        {"P": {"Type": "Pass", "Parameters": {"twice.$": "States.MathAdd($.n, $.n)"}, "End": True}}, "c"
    )
    state = calls("sync:2", child, arguments={"Input": {"n.$": "$"}}, OutputPath="$.Output.twice")
    del state["Parameters"]["Name"]
    each = {"StartAt": "S", "States": {"S": state}}
    states = {"M": {"Type": "Map", "MaxConcurrency": 3, "ItemProcessor": each, "End": True}}
    arn = await world.start(await world.machine(states, "parent"), value=json.dumps(list(range(20))))

    assert await output_of(world, arn) == [n * 2 for n in range(20)]


async def test_a_machine_that_starts_itself(world: World) -> None:
    """Down to a bound, which the machine has to have, since the engine has none."""
    arn = f"{ARN}:stateMachine:self"
    arguments = {"Name.$": "States.Format('n{}', $.n)", "Input": {"n.$": "States.MathAdd($.n, -1)"}}
    state = calls("sync:2", arn, arguments=arguments, OutputPath="$.Output")
    del state["Parameters"]["Name"]
    states = {
        "C": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 0, "Next": "D"}], "Default": "S"},
        "S": state,
        "D": {"Type": "Pass", "Result": "bottom", "End": True},
    }
    assert await world.machine(states, "self") == arn

    assert await output_of(world, await world.start(arn, value='{"n": 50}')) == "bottom"


async def test_what_is_given_up_in_the_step_that_scheduled_it_starts_no_child(world: World) -> None:
    child = await world.machine(WAIT, "child")
    branches = [{"StartAt": "S", "States": {"S": calls("sync", child)}}, {"StartAt": "F", "States": FAIL}]
    parent = await world.start(
        await world.machine({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, "parent")
    )

    assert (await world.describe(parent)).error == "E"
    with pytest.raises(errors.ExecutionDoesNotExist):
        await world.describe(f"{ARN}:execution:child:c")


async def test_where_the_api_has_text_an_sdk_task_may_give_json(world: World) -> None:
    child = await world.machine(PASS, "child")
    arguments = {"StateMachineArn": child, "Name": "c", "Input": {"Key": ["value"]}}
    states = {"S": task("arn:aws:states:::aws-sdk:sfn:startExecution", Parameters=arguments)}
    parent = await world.start(await world.machine(states, "parent"))

    assert (await world.ended(parent)).status == "SUCCEEDED"
    assert json.loads(str((await world.describe(f"{ARN}:execution:child:c")).input)) == {"Key": ["value"]}


async def test_an_sdk_task_has_times_as_text_and_names_of_users_as_they_are(world: World) -> None:
    world.clock.advance(0.25)
    child = await world.machine({"pay": {"Type": "Pass", "Parameters": {"a.$": "$b"}, "End": True}}, "child")
    states = {
        "S": task(
            "arn:aws:states:::aws-sdk:sfn:describeStateMachine",
            Parameters={"StateMachineArn": child},
            ResultSelector={"made.$": "$.CreationDate", "refers.$": "$.VariableReferences"},
        )
    }

    ended = await world.ended(await world.start(await world.machine(states, "parent")))

    answered = json.loads(ended.output or "")
    assert answered["refers"] == {"pay": ["b"]}
    assert answered["made"].endswith(".250Z")


async def test_data_that_nest_too_deeply_to_be_passed_on_end_the_parent(tmp_path: Path, clock: VirtualClock) -> None:
    """Somewhere below the deepest input that is taken, a child's end can be written and its parent's result cannot."""
    async with running(tmp_path / "e.db", clock) as world:
        child = await world.machine(PASS, "child")
        states = {"S": task(f"{START}.sync:2", Parameters={"StateMachineArn": child, "Input.$": "$"})}
        parent = await world.machine(states, "parent")
        statuses = []
        for depth in range(1_000, 850, -1):
            try:
                arn = await world.start(parent, f"e{depth}", "[" * depth + "]" * depth)
            except errors.InvalidExecutionInput:
                continue
            statuses.append((await world.ended(arn)).status)

    assert statuses[-1] == "SUCCEEDED"
    assert "FAILED" in statuses
