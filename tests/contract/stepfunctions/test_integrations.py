"""What the engine does with integrations: jobs, calls that nobody waits for any more, Credentials, mocked answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from embedded_world import ARN, START, World, running, task

from workflow_manager.clock import VirtualClock
from workflow_manager.engine.mocks import parse_mocks
from workflow_manager.engine.tasks import calls
from workflow_manager.engine.tasks.integrations import IntegrationCall, IntegrationFailed
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import InvalidDefinition, ValidationException

JOB = "arn:aws:states:::glue:startJobRun.sync"
CALL = "arn:aws:states:::glue:startJobRun"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"
INVOKE = "arn:aws:states:::lambda:invoke.waitForTaskToken"


class Jobs:
    """A service with jobs, which run until the test says what becomes of them."""

    actions = ("startJobRun", "startJobRun.sync", "invoke")

    def __init__(self) -> None:
        self.begun: list[IntegrationCall] = []
        self.cancelled: list[str] = []
        self.looked_at = 0
        self.outcome: str | IntegrationFailed | None = None
        self.refusal: IntegrationFailed | None = None
        self.answer = '{"JobRunId":"r"}'
        self.hangs = False
        self.abandoned = 0

    async def invoke(self, call: IntegrationCall, /) -> str:
        self.begun.append(call)
        if self.refusal is not None:
            raise self.refusal
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.abandoned += 1
        return self.answer

    async def result(self, call: IntegrationCall, submitted: str, /) -> str | None:
        self.looked_at += 1
        if isinstance(self.outcome, IntegrationFailed):
            raise self.outcome
        return self.outcome

    async def cancel(self, call: IntegrationCall, submitted: str, /) -> None:
        self.cancelled.append(submitted)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are looked at all the time."""
    monkeypatch.setattr(calls, "JOB_SECONDS", (0.001, 0.001))


async def until(there: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not there():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


def job(**fields: Any) -> dict[str, Any]:
    return {"S": task(JOB, Parameters={"JobName": "j"}, **fields)}


async def test_a_job_is_waited_for(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}) as world:
        arn = await world.start(await world.machine(job()))
        await until(lambda: service.looked_at > 2)
        service.outcome = '{"JobRunState":"SUCCEEDED"}'

        assert (await world.ended(arn)).output == '{"JobRunState":"SUCCEEDED"}'
        assert (await world.types(arn))[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
        assert world.rows("integration_call") == 0


async def test_a_job_that_fails_fails_its_task(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    service.outcome = IntegrationFailed("States.TaskFailed", "{}")
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}) as world:
        ended = await world.ended(await world.start(await world.machine(job())))

    assert (ended.status, ended.error, ended.cause) == ("FAILED", "States.TaskFailed", "{}")


async def test_a_job_that_cannot_be_begun(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    service.refusal = IntegrationFailed("Glue.EntityNotFoundException", "no")
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}) as world:
        arn = await world.start(await world.machine(job()))

        assert (await world.ended(arn)).error == "Glue.EntityNotFoundException"
        assert "TaskSubmitFailed" in await world.types(arn)


@pytest.mark.parametrize("pattern", ["request_response", "sync"])
@pytest.mark.parametrize("answer", ["", "no", "\0", "1e999", '"\\ud800"', "\ud800", "[" * 2_000 + "]" * 2_000])
async def test_an_answer_that_is_not_json_fails_its_task(
    tmp_path: Path, clock: VirtualClock, answer: str, pattern: str
) -> None:
    service = Jobs()
    service.outcome = answer
    if pattern == "request_response":
        service.answer = answer
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}) as world:
        machine = await world.machine({"S": task(CALL if pattern == "request_response" else JOB, Parameters={})})
        ended = await world.ended(await world.start(machine))

        assert (ended.status, ended.error) == ("FAILED", "States.TaskFailed")
        assert str(ended.cause).startswith("The result of the task is not JSON: ")
        assert world.rows("integration_call") == 0


async def test_after_a_restart_a_job_is_not_begun_again(tmp_path: Path, clock: VirtualClock) -> None:
    before, after = Jobs(), Jobs()
    async with running(tmp_path / "e.db", clock, integrations={"glue": before}) as world:
        arn = await world.start(await world.machine(job(Credentials={"RoleArn": "arn:aws:iam::1:role/r"})))
        await until(lambda: before.looked_at)

    after.outcome = '"done"'
    async with running(tmp_path / "e.db", clock, integrations={"glue": after}) as world:
        assert (await world.ended(arn)).output == '"done"'
    assert (after.begun, after.cancelled, before.cancelled) == ([], [], [])
    assert before.begun[0].role_arn == "arn:aws:iam::1:role/r"


async def test_jobs_are_taken_up_again_bit_by_bit(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start is not the later the more jobs are waited for."""
    monkeypatch.setattr(calls, "RESUMED_AT_ONCE", 2)
    before, after = Jobs(), Jobs()
    async with running(tmp_path / "e.db", clock, integrations={"glue": before}) as world:
        machine = await world.machine(job())
        arns = [await world.start(machine, f"e{number}") for number in range(7)]
        submitted = "SELECT count(*) FROM integration_call WHERE submitted IS NOT NULL"
        await until(lambda: world.database.read(submitted) == [(7,)])

    async with running(tmp_path / "e.db", clock, integrations={"glue": after}) as world:
        assert len(world.engine._runner.live._cache) == 0
        await world.stop(arns[6])  # though nobody watches its job yet
        after.outcome = '"done"'
        assert [(await world.ended(arn)).output for arn in arns[:6]] == ['"done"'] * 6
        assert after.cancelled == ['{"JobRunId":"r"}']
        assert world.rows("integration_call") == 0
    assert after.begun == []


@pytest.mark.parametrize("why", ["the execution is stopped", "the task times out"])
async def test_a_job_that_nobody_waits_for_is_cancelled(tmp_path: Path, clock: VirtualClock, why: str) -> None:
    service = Jobs()
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}) as world:
        arn = await world.start(await world.machine(job(TimeoutSeconds=10)))
        await until(lambda: service.looked_at)
        if why == "the execution is stopped":
            await world.stop(arn)
        else:
            clock.advance(10)
        await until(lambda: service.cancelled)
        await world.settled()

        assert service.cancelled == ['{"JobRunId":"r"}']
        assert (await world.describe(arn)).status in ("ABORTED", "FAILED")
        assert world.rows("integration_call") == 0


@pytest.mark.parametrize("why", ["the execution is stopped", "the task times out"])
async def test_a_call_that_nobody_waits_for_is_cancelled(tmp_path: Path, clock: VirtualClock, why: str) -> None:
    service = Jobs()
    service.hangs = True
    states = {"S": task(FUNCTION, TimeoutSeconds=10)}
    async with running(tmp_path / "e.db", clock, integrations={"lambda": service}) as world:
        arn = await world.start(await world.machine(states))
        await until(lambda: service.begun)
        if why == "the execution is stopped":
            await world.stop(arn)
        else:
            clock.advance(10)
        await until(lambda: service.abandoned)

        assert (await world.ended(arn)).status in ("ABORTED", "FAILED")
        assert service.begun[0].resource == FUNCTION
        assert (service.begun[0].service, service.begun[0].action) == ("lambda", "")


async def test_calls_are_bounded(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    service.hangs = True
    async with running(tmp_path / "e.db", clock, integrations={"glue": service}, max_invocations=2) as world:
        machine = await world.machine({"S": task(CALL, Parameters={"JobName": "j"})})
        started = [await world.start(machine, f"e{n}") for n in range(4)]
        await until(lambda: len(service.begun) == 2)
        await world.settled()
        assert len(service.begun) == 2

        await world.stop(started[0])
        await until(lambda: len(service.begun) == 3)


async def test_a_token_may_be_answered_before_the_call_itself_is(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    states = {"S": task(INVOKE, Parameters={"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}})}
    async with running(tmp_path / "e.db", clock, integrations={"lambda": service}) as world:
        arn = await world.start(await world.machine(states))
        await until(lambda: service.begun)
        token = json.loads(service.begun[0].arguments)["Payload"]["token"]
        assert token == service.begun[0].task_token
        await world.succeed(token, '"called back"')

        assert (await world.ended(arn)).output == '"called back"'


@pytest.mark.parametrize(
    ("resource", "parameters", "setting"),
    [
        (FUNCTION, {}, "lambda_functions"),
        ("arn:aws:states:::sqs:sendMessage", {"QueueUrl": "u", "MessageBody": "m"}, "aws_integrations"),
        ("arn:aws:states:::http:invoke", {"ApiEndpoint": "https://a", "Method": "GET"}, "http_connections"),
    ],
)
async def test_what_is_not_there_is_refused_when_it_is_saved(
    world: World, resource: str, parameters: dict[str, Any], setting: str
) -> None:
    with pytest.raises(InvalidDefinition, match=setting):
        await world.machine({"S": task(resource, Parameters=parameters)})


async def test_an_action_without_jobs_cannot_be_run_as_one(tmp_path: Path, clock: VirtualClock) -> None:
    class Plain(Jobs):
        actions = ("startJobRun",)

    async with running(tmp_path / "e.db", clock, integrations={"glue": Plain()}) as world:
        with pytest.raises(InvalidDefinition, match="cannot be run as a job"):
            await world.machine(job())


# ------------------------------------------------------------------------------------------- mocks

MOCKS = parse_mocks(
    json.dumps(
        {
            "StateMachines": {
                "m": {
                    "TestCases": {
                        "Well": {"S": "Well"},
                        "Again": {"S": "Again"},
                        "Badly": {"S": "Badly"},
                        "Elsewhere": {"Other": "Well"},
                    }
                }
            },
            "MockedResponses": {
                "Well": {"0": {"Return": {"n": 1}}},
                "Again": {"0-1": {"Throw": {"Error": "E", "Cause": "not yet"}}, "2": {"Return": "then"}},
                "Badly": {"0": {"Throw": {"Error": "E"}}},
            },
        }
    )
)
RETRY = [{"ErrorEquals": ["E"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 2}]


@pytest.mark.parametrize(
    ("resource", "types"),
    [
        pytest.param(FUNCTION, ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"], id="f"),
        pytest.param(CALL, ["TaskScheduled", "TaskStarted", "TaskSucceeded"], id="a service"),
        pytest.param(JOB, ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"], id="a job"),
        pytest.param(f"{ARN}:activity:a", ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"], id="activity"),
        pytest.param(START, ["TaskScheduled", "TaskStarted", "TaskSucceeded"], id="a nested execution"),
    ],
)
async def test_a_mocked_task_answers_at_once(
    tmp_path: Path, clock: VirtualClock, resource: str, types: list[str]
) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        await world.activity()
        given = {"Parameters": {"StateMachineArn": "x", "JobName": "j"}} if ":::" in resource else {}
        machine = await world.machine({"S": task(resource, **given)})
        arn = await world.start(f"{machine}#Well")

        assert (await world.describe(arn)).output == '{"n":1}'
        assert (await world.types(arn))[2:-2] == types


async def test_each_attempt_has_its_answer(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        arn = await world.start(f"{await world.machine({'S': task(FUNCTION, Retry=RETRY)})}#Again")
        for _ in range(2):
            assert (await world.describe(arn)).status == "RUNNING"
            clock.advance(1)
            await world.settled()

        assert (await world.describe(arn)).output == '"then"'


async def test_an_attempt_that_the_file_does_not_know(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        arn = await world.start(f"{await world.machine({'S': task(FUNCTION, Retry=RETRY)})}#Badly")
        clock.advance(1)
        ended = await world.ended(arn)

        assert ended.error == "States.Runtime"
        assert "'Badly' says nothing of attempt 1" in str(ended.cause)


async def test_only_the_chosen_execution_and_the_named_states_are_mocked(tmp_path: Path, clock: VirtualClock) -> None:
    service = Jobs()
    async with running(tmp_path / "e.db", clock, mocks=MOCKS, integrations={"glue": service}) as world:
        machine = await world.machine({"S": task(CALL, Parameters={"JobName": "j"})})
        for name, arn in (("plain", machine), ("other", f"{machine}#Elsewhere")):
            assert (await world.ended(await world.start(arn, name))).output == '{"JobRunId":"r"}'
        again = await world.start(f"{machine}#Well", "mocked")
        assert (await world.describe(again)).output == '{"n":1}'
    assert len(service.begun) == 2


async def test_a_test_case_outlives_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    states = {"W": {"Type": "Wait", "Seconds": 60, "Next": "S"}, "S": task(FUNCTION)}
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        arn = await world.start(f"{await world.machine(states)}#Well")

    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        clock.advance(60)
        assert (await world.ended(arn)).output == '{"n":1}'


async def test_express_executions_have_test_cases(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        machine = await world.machine({"S": task(FUNCTION, Retry=RETRY)}, type="EXPRESS")
        for case, output in (("Well", '{"n":1}'), ("Again", '"then"')):
            request = t.StartSyncExecutionInput(state_machine_arn=f"{machine}#{case}")
            waiting = asyncio.create_task(world.api.start_sync_execution(request))
            while not waiting.done():
                await asyncio.sleep(0.002)
                clock.advance(1)
            assert (await waiting).output == output
        started = t.StartExecutionInput(state_machine_arn=f"{machine}#Well")
        assert ":express:" in (await world.api.start_execution(started)).execution_arn
        with pytest.raises(ValidationException, match="/StateMachines/m/TestCases/None"):
            await world.api.start_sync_execution(t.StartSyncExecutionInput(state_machine_arn=f"{machine}#None"))


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
async def test_the_children_of_a_map_run_have_the_test_case_of_its_execution(
    tmp_path: Path, clock: VirtualClock, kind: str
) -> None:
    """At any depth."""

    def each(name: str, states: dict[str, Any]) -> dict[str, Any]:
        config = {"Mode": "DISTRIBUTED", "ExecutionType": kind if "S" in states else "STANDARD"}
        processor = {"ProcessorConfig": config, "StartAt": next(iter(states)), "States": states}
        return {name: {"Type": "Map", "Label": name, "ItemProcessor": processor, "End": True}}

    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        machine = await world.machine(each("Outer", each("Inner", {"S": task(FUNCTION)})))
        arn = await world.start(f"{machine}#Well", value="[[1,2],[3]]")
        assert (await world.ended(arn)).output == '[[{"n":1},{"n":1}],[{"n":1}]]'


@pytest.mark.parametrize("resource", [CALL, JOB, FUNCTION])
async def test_a_task_that_is_neither_mocked_nor_to_be_carried_out_fails(
    tmp_path: Path, clock: VirtualClock, resource: str
) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        ended = await world.ended(await world.start(await world.machine({"S": task(resource)})))
        answers = [(ended.status, ended.error, ended.cause)]
        if resource != JOB:  # Express has none
            express = await world.machine({"S": task(resource)}, "express", type="EXPRESS")
            request = t.StartSyncExecutionInput(state_machine_arn=express)
            answer = await asyncio.wait_for(world.api.start_sync_execution(request), 5)
            answers.append((answer.status, answer.error, answer.cause))

    assert set(answers) == {
        ("FAILED", "States.TaskFailed", f"Tasks of {resource} cannot be carried out here; mock them")
    }


async def test_a_start_that_finds_the_execution_there_mocks_no_other(tmp_path: Path, clock: VirtualClock) -> None:
    """StartExecution with the name and input of one that runs answers that one."""
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        machine = await world.machine({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
        assert await world.start(f"{machine}#Well") == await world.start(f"{machine}#Well")
        assert world.rows("mocked") == 1


async def test_test_cases_that_are_not_there(tmp_path: Path, clock: VirtualClock) -> None:
    async with running(tmp_path / "e.db", clock, mocks=MOCKS) as world:
        machine = await world.machine({"S": task(FUNCTION)})
        with pytest.raises(ValidationException, match="/StateMachines/m/TestCases/None"):
            await world.start(f"{machine}#None")
    async with running(tmp_path / "f.db", clock) as world:
        with pytest.raises(ValidationException, match="WFM_MOCK_CONFIG"):
            await world.api.start_execution(t.StartExecutionInput(state_machine_arn=f"{machine}#Well"))


@pytest.mark.parametrize(
    ("suffix", "kind"), [("", "TaskFailed"), (".sync", "TaskSubmitFailed"), (".waitForTaskToken", "TaskSubmitFailed")]
)
async def test_a_nested_execution_that_cannot_be_started(world: World, suffix: str, kind: str) -> None:
    states = {"S": task(f"{START}{suffix}", Parameters={"StateMachineArn": f"{ARN}:stateMachine:nobody"})}

    history = await world.history(await world.start(await world.machine(states)))

    failed = history[-2].wire()
    assert failed["type"] == kind
    details = failed[f"{kind[0].lower()}{kind[1:]}EventDetails"]
    assert details["error"] == "StepFunctions.StateMachineDoesNotExistException"
    assert details["resourceType"] == "states"
