"""What every implementation of the seam does alike, so that managers and workers need not know which one they have."""

from __future__ import annotations

import asyncio
import json

import pytest

from workflow_manager.stepfunctions import errors
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.protocol import StepFunctions

ROLE = "arn:aws:iam::000000000000:role/any"
PASS = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
NOWHERE = "arn:aws:states:us-east-1:000000000000:"


async def finished(stepfunctions: StepFunctions, execution_arn: str) -> t.DescribeExecutionOutput:
    while True:
        execution = await stepfunctions.describe_execution(t.DescribeExecutionInput(execution_arn=execution_arn))
        if execution.status != "RUNNING":
            return execution
        await asyncio.sleep(0.01)


async def machine(stepfunctions: StepFunctions, definition: str = PASS, name: str = "m") -> str:
    made = await stepfunctions.create_state_machine(
        t.CreateStateMachineInput(name=name, definition=definition, role_arn=ROLE)
    )
    return made.state_machine_arn


async def test_an_execution_from_start_to_history(stepfunctions: StepFunctions) -> None:
    arn = await machine(stepfunctions)

    started = await stepfunctions.start_execution(
        t.StartExecutionInput(state_machine_arn=arn, name="run", input='{"a": 1.5}')
    )
    execution = await finished(stepfunctions, started.execution_arn)
    history = await stepfunctions.get_execution_history(t.GetExecutionHistoryInput(execution_arn=started.execution_arn))

    assert started.execution_arn.endswith(":execution:m:run")
    assert (execution.status, execution.input, execution.output) == ("SUCCEEDED", '{"a": 1.5}', '{"a": 1.5}')
    assert execution.start_date == pytest.approx(started.start_date, abs=0.001)
    assert execution.stop_date is not None
    assert execution.stop_date >= execution.start_date
    assert [(event.id, event.previous_event_id, event.type) for event in history.events] == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "PassStateEntered"),
        (3, 2, "PassStateExited"),
        (4, 3, "ExecutionSucceeded"),
    ]
    assert history.events[1].details is not None
    assert history.events[1].details["name"] == "a"
    assert all(started.start_date - 1 < event.timestamp < execution.stop_date + 1 for event in history.events)


async def test_an_activity_task_from_poll_to_output(stepfunctions: StepFunctions) -> None:
    activity = (await stepfunctions.create_activity(t.CreateActivityInput(name="echo"))).activity_arn
    states = {"a": {"Type": "Task", "Resource": activity, "End": True}}
    arn = await machine(stepfunctions, json.dumps({"StartAt": "a", "States": states}))
    poll = asyncio.ensure_future(
        stepfunctions.get_activity_task(t.GetActivityTaskInput(activity_arn=activity, worker_name="w"))
    )

    started = await stepfunctions.start_execution(t.StartExecutionInput(state_machine_arn=arn, input='{"a": 1}'))
    task = await poll
    assert task.task_token is not None
    await stepfunctions.send_task_heartbeat(t.SendTaskHeartbeatInput(task_token=task.task_token))
    await stepfunctions.send_task_success(t.SendTaskSuccessInput(task_token=task.task_token, output='{"b": 2}'))
    execution = await finished(stepfunctions, started.execution_arn)

    assert task.input == '{"a": 1}'
    assert execution.output == '{"b": 2}'


async def test_a_poll_without_a_task_ends_empty(stepfunctions: StepFunctions) -> None:
    activity = (await stepfunctions.create_activity(t.CreateActivityInput(name="echo"))).activity_arn

    assert (
        await stepfunctions.get_activity_task(t.GetActivityTaskInput(activity_arn=activity))
        == t.GetActivityTaskOutput()
    )


async def test_lists_are_paged(stepfunctions: StepFunctions) -> None:
    made = {await machine(stepfunctions, name=f"m{number}") for number in range(5)}

    found, token = set(), None
    for _ in range(3):
        page = await stepfunctions.list_state_machines(t.ListStateMachinesInput(max_results=2, next_token=token))
        found |= {item.state_machine_arn for item in page.state_machines}
        token = page.next_token

    assert token is None
    assert found == made


@pytest.mark.parametrize(
    ("method", "request_", "error", "message"),
    [
        pytest.param(
            "describe_execution",
            t.DescribeExecutionInput(execution_arn="foo"),
            errors.InvalidArn,
            "Invalid Arn: 'Invalid ARN prefix: foo'",
            id="InvalidArn",
        ),
        pytest.param(
            "describe_execution",
            t.DescribeExecutionInput(execution_arn=f"{NOWHERE}execution:m:n"),
            errors.ExecutionDoesNotExist,
            f"Execution Does Not Exist: '{NOWHERE}execution:m:n'",
            id="ExecutionDoesNotExist",
        ),
        pytest.param(
            "start_execution",
            t.StartExecutionInput(state_machine_arn=f"{NOWHERE}stateMachine:m"),
            errors.StateMachineDoesNotExist,
            f"State Machine Does Not Exist: '{NOWHERE}stateMachine:m'",
            id="StateMachineDoesNotExist",
        ),
        pytest.param(
            "get_activity_task",
            t.GetActivityTaskInput(activity_arn=f"{NOWHERE}activity:a"),
            errors.ActivityDoesNotExist,
            f"Activity Does Not Exist: '{NOWHERE}activity:a'",
            id="ActivityDoesNotExist",
        ),
        pytest.param(
            "create_activity",
            t.CreateActivityInput(name="a b"),
            errors.InvalidName,
            "Invalid Name: 'a b'",
            id="InvalidName",
        ),
        pytest.param(
            "send_task_success",
            t.SendTaskSuccessInput(task_token="unknown", output="{}"),
            errors.InvalidToken,
            "Invalid Token: 'Invalid token'",
            id="InvalidToken",
        ),
    ],
)
async def test_errors_are_the_same_everywhere(
    stepfunctions: StepFunctions,
    method: str,
    request_: object,
    error: type[errors.StepFunctionsError],
    message: str,
) -> None:
    with pytest.raises(error) as raised:
        await getattr(stepfunctions, method)(request_)

    assert raised.value.message == message
