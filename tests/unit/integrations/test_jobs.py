"""The table of jobs agrees with the models of the services."""

from __future__ import annotations

from typing import Any

import pytest
from stand_ins import StandIn

from workflow_manager.asl.resources import is_known_integration, parse_resource
from workflow_manager.integrations.jobs import JOBS, at
from workflow_manager.integrations.optimised import SERVICES

AWS = StandIn()


class Anything(dict[str, Any]):
    """Arguments or an answer that has every member."""

    def __missing__(self, name: str) -> Any:
        return [Anything()] if name == "Tasks" else Anything() if name in ("Build", "BuildBatch", "Job") else "x"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


@pytest.mark.parametrize("name", sorted(JOBS))
def test_the_operations_take_what_they_are_given(name: str) -> None:
    service, job = SERVICES[name.split(":", maxsplit=1)[0]], JOBS[name]
    model = AWS.read_model(service.client)
    described = model.operation_model(job.describe).input_shape

    assert set(described.required_members) <= set(job.parameters(Anything(), Anything())) <= set(described.members)
    if job.stop is not None:
        stopped = model.operation_model(job.stop).input_shape
        given = set(job.stop_parameters(Anything(), Anything()))
        assert set(stopped.required_members) <= given <= set(stopped.members)


@pytest.mark.parametrize("name", sorted(JOBS))
def test_the_service_and_its_action_are_known(name: str) -> None:
    service, action = name.split(":")
    resource = parse_resource(f"arn:aws:states:::{name}.sync")

    assert action in SERVICES[service].actions
    assert resource is not None
    assert is_known_integration(resource)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_action_is_an_operation(service: str) -> None:
    found = SERVICES[service]
    for action in found.actions:
        client, operation = found.operations.get(action, (found.client, action[:1].upper() + action[1:]))
        assert operation in AWS.read_model(client).operation_names


@pytest.mark.parametrize(
    ("name", "described", "verdict"),
    [
        ("glue:startJobRun", {"JobRun": {"JobRunState": "RUNNING"}}, None),
        ("glue:startJobRun", {"JobRun": {"JobRunState": "SUCCEEDED"}}, True),
        ("glue:startJobRun", {"JobRun": {"JobRunState": "TIMEOUT"}}, False),
        ("batch:submitJob", {"Jobs": []}, None),
        ("batch:submitJob", {"Jobs": [{"Status": "FAILED"}]}, False),
        ("ecs:runTask", {"Tasks": [{"LastStatus": "RUNNING"}]}, None),
        ("ecs:runTask", {"Tasks": [{"LastStatus": "STOPPED", "Containers": [{"ExitCode": 0}]}]}, True),
        ("ecs:runTask", {"Tasks": [{"LastStatus": "STOPPED", "Containers": [{"ExitCode": 1}]}]}, False),
        ("ecs:runTask", {"Failures": [{"Reason": "MISSING"}]}, False),
        ("codebuild:startBuild", {"Builds": [{"BuildStatus": "FAULT"}]}, False),
        ("athena:startQueryExecution", {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}, True),
    ],
)
def test_verdicts(name: str, described: dict[str, Any], verdict: bool | None) -> None:
    assert JOBS[name].verdict(described) is verdict


def test_what_stands_at_a_path() -> None:
    assert at({"a": [{"b": 1}]}, "a", 0, "b") == 1
    assert at({"a": []}, "a", 0, "b") is None
    assert at(None, "a") is None


@pytest.mark.parametrize(
    ("resource", "known"),
    [
        ("glue:startJobRun.sync", True),
        ("glue:startJobRun.waitForTaskToken", False),
        ("glue:startJobRun.sync:2", False),
        ("sqs:sendMessage.waitForTaskToken", True),
        ("sqs:sendMessage.sync", False),
        ("states:startExecution.sync:2", True),
        ("aws-sdk:dynamodb:putItem.waitForTaskToken", True),
        ("aws-sdk:dynamodb:putItem.sync", False),
        ("sqs:receiveMessage", False),
    ],
)
def test_which_patterns_step_functions_has(resource: str, known: bool) -> None:
    parsed = parse_resource(f"arn:aws:states:::{resource}")

    assert parsed is not None
    assert is_known_integration(parsed) is known


def test_every_job_that_step_functions_has_is_in_the_table() -> None:
    """But for those of Kubernetes, and nested executions, which are the engine's own."""
    from workflow_manager.asl.resources import _JOBS

    assert _JOBS - {"eks:runJob", "states:startExecution"} == JOBS.keys()
