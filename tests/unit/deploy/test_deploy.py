"""The infrastructure as code: what its linter says, that it allows what the code calls and no more, that both agree on names."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from template import FILE, ROOT, allowed, resources, template

from workflow_manager.settings import Settings, options
from workflow_manager.stepfunctions.events import STATUS_CHANGE
from workflow_manager.stepfunctions.protocol import OPERATIONS

SOURCE = ROOT / "src" / "workflow_manager"


def test_its_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    answer = subprocess.run(
        [linter, "--non-zero-exit-code", "informational", FILE], capture_output=True, text=True, check=False
    )

    assert (answer.stdout, answer.returncode) == ("", 0)


# ---------------------------------------------------------------------- rights

SFN = {method: f"states:{operation}" for operation, (method, *_) in OPERATIONS.items()}
SQS = {
    "change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "delete_message_batch": "sqs:DeleteMessage",
    "get_queue_attributes": "sqs:GetQueueAttributes",
    "receive_message": "sqs:ReceiveMessage",
    "send_message_batch": "sqs:SendMessage",
}
DYNAMODB = {
    method: "dynamodb:" + "".join(part.capitalize() for part in method.split("_"))
    for method in (
        "batch_get_item",
        "batch_write_item",
        "delete_item",
        "describe_continuous_backups",
        "describe_table",
        "describe_time_to_live",
        "get_item",
        "put_item",
        "query",
        "scan",
        "update_item",
    )
} | {"ConditionCheck": "dynamodb:ConditionCheckItem"}
"""A transaction needs the rights of what it does, which are those of its members' names (Put as PutItem) and of a check."""
LOGS = {
    "create_log_group": "logs:CreateLogGroup",
    "describe_log_groups": "logs:DescribeLogGroups",
    "put_retention_policy": "logs:PutRetentionPolicy",
}


def called(names: dict[str, str], *places: str) -> set[str]:
    """The actions whose methods some modules call, as methods or by their names."""
    found = set()
    modules = [module for place in places for module in SOURCE.glob(place)]
    assert modules
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Attribute(attr=name) | ast.Constant(value=str(name)) if name in names:
                    found.add(names[name])
    return found


def of(service: str, *names: str) -> set[str]:
    return {action for action in allowed(*names) if action.startswith(f"{service}:")}


def test_the_server_may_call_of_step_functions_what_the_manager_calls() -> None:
    assert of("states", "ServerPolicy") == called(SFN, "manager/*.py")


def test_the_function_may_ask_about_executions() -> None:
    assert of("states", "FunctionRole") == called(SFN, "manager/executions.py", "manager/histories.py") & {
        "states:DescribeExecution",
        "states:GetExecutionHistory",
    }


def test_workers_may_call_what_the_worker_calls() -> None:
    assert allowed("WorkerPolicy") == called(SFN, "worker/*.py")


def test_the_server_may_call_of_sqs_what_the_receivers_call() -> None:
    assert of("sqs", "ServerPolicy") == called(SQS, "stepfunctions/queue.py")


def test_whoever_has_the_store_may_call_what_it_calls() -> None:
    assert of("dynamodb", "StorePolicy") == called(DYNAMODB, "store/dynamodb*.py")


def test_the_server_may_make_log_groups() -> None:
    assert of("logs", "ServerPolicy") == called(LOGS, "stepfunctions/awslogs.py") | {"logs:TagResource"}


def test_nothing_may_do_everything() -> None:
    actions = [
        action
        for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
        for name in resources(kind)
        for action in allowed(name)
    ]

    assert len(actions) > 40
    assert not [action for action in actions if "*" in action]


# ---------------------------------------------------------------------- names


def test_the_tables_are_those_that_the_store_expects() -> None:
    schema = importlib.import_module("workflow_manager.store.dynamodb_schema")
    prefix = template()["Parameters"]["Prefix"]["Default"]
    wanted = {
        request["TableName"]: table(request) for request in schema.create_requests(schema.Tables.of(prefix)).values()
    }
    found = {}
    for properties in resources("AWS::DynamoDB::Table").values():
        name = properties["TableName"]["Fn::Sub"].replace("${Prefix}", prefix)
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        found[name] = table({**properties, "TableName": name})

    assert found == wanted
    assert prefix == options(Settings)["dynamodb_prefix"].default
    assert resources("AWS::DynamoDB::Table")["Workflows"]["TimeToLiveSpecification"]["AttributeName"] == "_ttl"


def table(request: dict[str, Any]) -> dict[str, Any]:
    """What must be equal, without the order of what has none."""
    return {
        "key": request["KeySchema"],
        "attributes": sorted(
            (each["AttributeName"], each["AttributeType"]) for each in request["AttributeDefinitions"]
        ),
        "billing": request["BillingMode"],
        "indexes": {
            index["IndexName"]: (index["KeySchema"], index["Projection"])
            for index in request.get("GlobalSecondaryIndexes", [])
        },
    }


def test_the_rule_lets_through_what_is_read() -> None:
    (rule,) = resources("AWS::Events::Rule").values()

    assert rule["EventPattern"]["detail-type"] == [STATUS_CHANGE]


@pytest.mark.parametrize("name", ["StatusFunction", "LogFunction"])
def test_the_functions_are_there_and_their_variables_are_settings(name: str) -> None:
    function = resources("AWS::Lambda::Function")[name]
    module, _, handler = function["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), handler))
    assert set(function["Environment"]["Variables"]) <= {option.variable for option in options(Settings).values()}
    assert (
        function["Timeout"] * 6 <= resources("AWS::SQS::Queue")["StatusQueue"]["VisibilityTimeout"]
        or name != "StatusFunction"
    )


def test_sources_of_events_report_what_failed() -> None:
    sources = resources("AWS::Lambda::EventSourceMapping")

    assert len(sources) == 2
    assert all(source["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for source in sources.values())


# ---------------------------------------------------------------------- the image

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, comments left out and lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_the_image_is_small_and_nobody_s_root() -> None:
    """Two stages, of which the last has no build tools; a user by number, as Kubernetes wants to see it."""
    found = instructions()
    stages = [arguments for name, arguments in found if name == "FROM"]
    last = found[max(place for place, (name, _) in enumerate(found) if name == "FROM") :]

    assert len(stages) == 2
    assert all("slim" in stage for stage in stages)
    assert [arguments for name, arguments in last if name == "COPY"] == ["--from=build /opt/wfm /opt/wfm"]
    assert not [arguments for name, arguments in last if name == "RUN" and "pip" in arguments]
    assert dict(last)["USER"] == "10001:10001"
    assert [name for name, _ in last].index("USER") < [name for name, _ in last].index("ENTRYPOINT")
    assert dict(last)["STOPSIGNAL"] == "SIGTERM"


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [
        source
        for name, arguments in instructions()
        if name == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert "src" in copied
    assert ignored[1] == "*"
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_its_variables_are_settings() -> None:
    variables = re.findall(r"\b(WFM_[A-Z_]+)=", DOCKERFILE)

    assert variables
    assert set(variables) <= {option.variable for option in options(Settings).values()}
