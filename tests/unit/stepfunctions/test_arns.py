"""ARNs of Step Functions: what is built can be parsed, and what is none is refused in AWS's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.stepfunctions import arns
from workflow_manager.stepfunctions.arns import Arns, ParsedArn, parse
from workflow_manager.stepfunctions.errors import InvalidArn

HERE = Arns()
OWN = {"partition": "aws", "region": "us-east-1", "account": "000000000000"}
NAMES = st.text("abcXYZ019-_.", min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("arn", "text", "parsed"),
    [
        pytest.param(
            HERE.state_machine("m"),
            "arn:aws:states:us-east-1:000000000000:stateMachine:m",
            ParsedArn(kind="stateMachine", name="m", **OWN),
            id="state machine",
        ),
        pytest.param(
            HERE.state_machine("m", 3),
            "arn:aws:states:us-east-1:000000000000:stateMachine:m:3",
            ParsedArn(kind="stateMachine", name="m", qualifier="3", **OWN),
            id="version",
        ),
        pytest.param(
            HERE.state_machine("m", "live"),
            "arn:aws:states:us-east-1:000000000000:stateMachine:m:live",
            ParsedArn(kind="stateMachine", name="m", qualifier="live", **OWN),
            id="alias",
        ),
        pytest.param(
            HERE.state_machine("m", label="each"),
            "arn:aws:states:us-east-1:000000000000:stateMachine:m/each",
            ParsedArn(kind="stateMachine", name="m", label="each", **OWN),
            id="distributed Map's state machine",
        ),
        pytest.param(
            HERE.execution("m", "run"),
            "arn:aws:states:us-east-1:000000000000:execution:m:run",
            ParsedArn(kind="execution", name="m", execution_name="run", **OWN),
            id="execution",
        ),
        pytest.param(
            HERE.execution("m", "run", label="each"),
            "arn:aws:states:us-east-1:000000000000:execution:m/each:run",
            ParsedArn(kind="execution", name="m", label="each", execution_name="run", **OWN),
            id="Map Run's execution",
        ),
        pytest.param(
            HERE.express("m", "run", "42"),
            "arn:aws:states:us-east-1:000000000000:express:m:run:42",
            ParsedArn(kind="express", name="m", execution_name="run", run_id="42", **OWN),
            id="Express execution",
        ),
        pytest.param(
            HERE.activity("echo"),
            "arn:aws:states:us-east-1:000000000000:activity:echo",
            ParsedArn(kind="activity", name="echo", **OWN),
            id="activity",
        ),
        pytest.param(
            HERE.map_run("m", "each", "42"),
            "arn:aws:states:us-east-1:000000000000:mapRun:m/each:42",
            ParsedArn(kind="mapRun", name="m", label="each", run_id="42", **OWN),
            id="Map Run",
        ),
        pytest.param(
            Arns("aws-cn", "cn-north-1", "123456789012").activity("echo"),
            "arn:aws-cn:states:cn-north-1:123456789012:activity:echo",
            ParsedArn("activity", "aws-cn", "cn-north-1", "123456789012", "echo"),
            id="elsewhere",
        ),
    ],
)
def test_an_arn_is_built_and_taken_apart(arn: str, text: str, parsed: ParsedArn) -> None:
    assert arn == text
    assert parse(arn) == parsed
    assert parse(arn, parsed.kind) == parsed


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        pytest.param("foo", "Invalid Arn: 'Invalid ARN prefix: foo'", id="no ARN at all"),
        pytest.param("", "Invalid Arn: 'Invalid ARN prefix: '", id="empty"),
        pytest.param(
            HERE.express("m", "run", "42"),
            "Invalid Arn: 'Resource type not valid in this context: express'",
            id="Express where Standard is meant",
        ),
        pytest.param(
            HERE.state_machine("m"),
            "Invalid Arn: 'Resource type not valid in this context: stateMachine'",
            id="another kind",
        ),
        pytest.param(
            "arn:aws:sqs:us-east-1:000000000000:queue",
            "Invalid Arn: 'Service name is not valid for ARN: sqs'",
            id="another service",
        ),
        pytest.param(
            "arn:aws:states",
            "Invalid Arn: 'Invalid ARN: expected arn:partition:states:region:account:resource but got arn:aws:states'",
            id="cut short",
        ),
        pytest.param(
            "arn:aws:states:us-east-1:000000000000:workflow:m:run",
            "Invalid Arn: 'Invalid resource type: workflow'",
            id="no kind of Step Functions",
        ),
        pytest.param(
            "arn:aws:states:us-east-1:000000000000:execution:m",
            "Invalid Arn: 'Invalid execution ARN: arn:aws:states:us-east-1:000000000000:execution:m'",
            id="too few parts",
        ),
        pytest.param(
            "arn:aws:states:us-east-1:000000000000:execution:m:",
            "Invalid Arn: 'Invalid execution ARN: arn:aws:states:us-east-1:000000000000:execution:m:'",
            id="an empty part",
        ),
        pytest.param(
            "arn:aws:states:us-east-1:000000000000:execution:m/:run",
            "Invalid Arn: 'Invalid execution ARN: arn:aws:states:us-east-1:000000000000:execution:m/:run'",
            id="an empty label",
        ),
    ],
)
def test_what_is_no_execution_arn_is_refused(arn: str, message: str) -> None:
    with pytest.raises(InvalidArn) as refused:
        arns.parse_execution_arn(arn)

    assert refused.value.message == message


@pytest.mark.parametrize(
    ("qualifier", "version", "alias"),
    [
        pytest.param(None, None, None, id="unqualified"),
        pytest.param(12, 12, None, id="a number is a version"),
        pytest.param("live-2", None, "live-2", id="all else is an alias"),
        pytest.param("²", None, "²", id="a digit that is no number"),
    ],
)
def test_a_qualifier_is_a_version_or_an_alias(
    qualifier: str | int | None, version: int | None, alias: str | None
) -> None:
    parsed = arns.parse_state_machine_arn(HERE.state_machine("m", qualifier))

    assert (parsed.version, parsed.alias) == (version, alias)


@given(machine=NAMES, execution=NAMES)
def test_names_survive_the_round_trip(machine: str, execution: str) -> None:
    parsed = parse(HERE.execution(machine, execution), "execution")

    assert (parsed.name, parsed.execution_name) == (machine, execution)


@given(st.one_of(st.text(), st.text(":/aarn").map("arn:aws:states:".__add__)))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except InvalidArn as refused:
        assert refused.message.startswith("Invalid Arn: '")  # noqa: PT017 - parsed or refused, nothing else
    else:
        assert text.startswith(f"arn:{parsed.partition}:states:")
