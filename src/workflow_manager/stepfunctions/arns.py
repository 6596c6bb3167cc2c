"""The names of Step Functions resources: building their ARNs, and taking them apart.

    arn:{partition}:states:{region}:{account}:stateMachine:{name}              a state machine
    ...:stateMachine:{name}:{qualifier}                                        its version (a number) or alias
    ...:stateMachine:{name}/{label}                                            the part of it that a distributed Map runs
    ...:execution:{machine}:{execution}                                        a Standard execution
    ...:execution:{machine}/{label}:{execution}                                a child execution of a Map Run
    ...:express:{machine}:{execution}:{run id}                                 an Express execution
    ...:activity:{name}                                                        an activity
    ...:mapRun:{machine}/{label}:{run id}                                      a Map Run

Pure; what is not one of these is refused with InvalidArn, in AWS's words where they are known.
Source: Service Authorization Reference, "Resource types defined by AWS Step Functions".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from workflow_manager.stepfunctions.errors import InvalidArn

Kind: TypeAlias = Literal["stateMachine", "execution", "activity", "mapRun", "express"]

PARTS: dict[str, tuple[int, int]] = {
    "stateMachine": (1, 2),
    "execution": (2, 2),
    "activity": (1, 1),
    "mapRun": (2, 2),
    "express": (3, 3),
}
"""Kind of resource -> how many parts, separated by colons, may follow it: least and most."""

LABELLED = {"stateMachine", "execution", "mapRun", "express"}
"""Kinds whose name may carry the label of a distributed Map after a slash."""


@dataclass(frozen=True, slots=True)
class ParsedArn:
    """An ARN's parts. ``name`` is the state machine's or the activity's; what a kind does not have is None.

    ``qualifier`` is a version's number or an alias's name; ``label`` that of a distributed Map;
    ``run_id`` tells apart Map Runs, and Express executions of one name.
    """

    kind: Kind
    partition: str
    region: str
    account: str
    name: str
    execution_name: str | None = None
    qualifier: str | None = None
    label: str | None = None
    run_id: str | None = None

    @property
    def version(self) -> int | None:
        """The version's number, if the qualifier is one (aliases may not be all digits)."""
        return int(self.qualifier) if self.qualifier is not None and _is_number(self.qualifier) else None

    @property
    def alias(self) -> str | None:
        """The alias's name, if the qualifier is one."""
        return None if self.qualifier is None or _is_number(self.qualifier) else self.qualifier


@dataclass(frozen=True, slots=True)
class Arns:
    """Builds ARNs of one account in one region."""

    partition: str = "aws"
    region: str = "us-east-1"
    account: str = "000000000000"

    def of(self, kind: Kind, rest: str) -> str:
        return f"arn:{self.partition}:states:{self.region}:{self.account}:{kind}:{rest}"

    def state_machine(self, name: str, qualifier: str | int | None = None, *, label: str | None = None) -> str:
        """Of a state machine; with a qualifier, of its version or alias; with a label, of its distributed Map."""
        return self.of("stateMachine", _labelled(name, label) + (f":{qualifier}" if qualifier is not None else ""))

    def execution(self, machine_name: str, name: str, *, label: str | None = None) -> str:
        return self.of("execution", f"{_labelled(machine_name, label)}:{name}")

    def express(self, machine_name: str, name: str, run_id: str) -> str:
        return self.of("express", f"{machine_name}:{name}:{run_id}")

    def activity(self, name: str) -> str:
        return self.of("activity", name)

    def map_run(self, machine_name: str, label: str, run_id: str) -> str:
        return self.of("mapRun", f"{_labelled(machine_name, label)}:{run_id}")


def parse(arn: str, *kinds: Kind) -> ParsedArn:
    """Take apart an ARN of one of the given kinds (of any, when none is given). Raises InvalidArn."""
    if not arn.startswith("arn:"):
        raise _invalid(f"Invalid ARN prefix: {arn}")
    parts = arn.split(":")
    if len(parts) < 6 or not parts[1]:
        raise _invalid(f"Invalid ARN: expected arn:partition:states:region:account:resource but got {arn}")
    _, partition, service, region, account, kind, *rest = parts
    if service != "states":
        raise _invalid(f"Service name is not valid for ARN: {service}")
    if kind not in PARTS:
        raise _invalid(f"Invalid resource type: {kind}")
    if kinds and kind not in kinds:
        raise _invalid(f"Resource type not valid in this context: {kind}")
    least, most = PARTS[kind]
    if not least <= len(rest) <= most or not all(rest):
        raise _invalid(f"Invalid {kind} ARN: {arn}")
    name, slash, label = rest[0].partition("/") if kind in LABELLED else (rest[0], "", "")
    if not name or (slash and not label) or (kind == "mapRun" and not label):
        raise _invalid(f"Invalid {kind} ARN: {arn}")
    return ParsedArn(
        kind=cast("Kind", kind),
        partition=partition,
        region=region,
        account=account,
        name=name,
        execution_name=rest[1] if kind in ("execution", "express") else None,
        qualifier=rest[1] if kind == "stateMachine" and len(rest) > 1 else None,
        label=label or None,
        run_id=rest[-1] if kind in ("express", "mapRun") else None,
    )


def parse_state_machine_arn(arn: str) -> ParsedArn:
    """Of a state machine, its version or its alias. Raises InvalidArn."""
    return parse(arn, "stateMachine")


def parse_execution_arn(arn: str) -> ParsedArn:
    """Of a Standard execution: the API's operations on executions refuse Express ones. Raises InvalidArn."""
    return parse(arn, "execution")


def parse_activity_arn(arn: str) -> ParsedArn:
    """Raises InvalidArn."""
    return parse(arn, "activity")


def _labelled(name: str, label: str | None) -> str:
    return name if label is None else f"{name}/{label}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _invalid(why: str) -> InvalidArn:
    return InvalidArn(f"Invalid Arn: '{why}'")
