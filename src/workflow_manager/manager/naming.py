"""What things are called on the Step Functions side: names and ARNs of state machines, executions, activities, functions."""

from __future__ import annotations

import hashlib
import json
import re

from msgspec import Struct

from workflow_manager.stepfunctions import arns

NAME_LENGTH = 80
"""How long the name of a state machine, execution or activity may be (API reference, CreateStateMachine)."""

_HASH_LENGTH = 16

FORBIDDEN = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]""")
"""Characters that no name may hold (API reference, CreateStateMachine: name)."""

_NOT_IN_LOG_GROUPS = re.compile(r"[^A-Za-z0-9_/.#-]")
"""Characters that the name of a log group may not hold (CloudWatch Logs API reference, CreateLogGroup)."""


class ManagerSettings(Struct, frozen=True, kw_only=True):
    """Where state machines, activities and functions live, and how their histories are read.

    ``environment`` is a tag of every state machine, if given. A workflow's history is read for ``history_seconds``, None is
    to its end; with ``keep_jobs`` the jobs of a finished workflow are stored with it, and read from Step Functions once.
    """

    region: str = "us-east-1"
    account_id: str = "000000000000"
    role_arn: str = "arn:aws:iam::000000000000:role/workflow-manager"
    environment: str = ""
    partition: str = "aws"
    history_seconds: float | None = None
    keep_jobs: bool = False


class Identity(Struct, frozen=True, kw_only=True):
    """What tells one state machine of ours from another."""

    namespace: str
    definition: str
    version: int
    start_at: str


def state_machine_name(identity: Identity) -> str:
    """``{namespace}--{definition}--{version}--{startAt}``, characters that are forbidden there replaced by ``-``.

    A name over 80 characters keeps its beginning and ends in a hash of the identity. Two identities that differ only in
    forbidden characters share a name; ``unambiguous_name`` parts them.
    """
    plain = f"{identity.namespace}--{identity.definition}--{identity.version}--{identity.start_at}"
    if len(plain) > NAME_LENGTH:
        return unambiguous_name(identity)
    return FORBIDDEN.sub("-", plain)


def unambiguous_name(identity: Identity) -> str:
    """A name that no other identity has: as much of the plain name as fits, then a hash of the identity."""
    plain = f"{identity.namespace}--{identity.definition}--{identity.version}--{identity.start_at}"
    key = json.dumps([identity.namespace, identity.definition, identity.version, identity.start_at])
    digest = hashlib.sha256(key.encode()).hexdigest()[:_HASH_LENGTH]
    return FORBIDDEN.sub("-", f"{plain[: NAME_LENGTH - _HASH_LENGTH - 2]}--{digest}")


def log_group_name(state_machine: str) -> str:
    """The log group of a state machine. The prefix is AWS's own for logs that its services deliver.

    Source: Step Functions Developer Guide, "Using CloudWatch Logs to log execution history".
    """
    return "/aws/vendedlogs/states/" + _NOT_IN_LOG_GROUPS.sub("-", state_machine)


def resource_name(namespace: str, name: str) -> str:
    """What shorthand in a Task stands for: the activity, function or Glue job ``{namespace}--{name}``."""
    return f"{namespace}--{name}"


class Arns:
    """ARNs in the account and region of the settings."""

    def __init__(self, settings: ManagerSettings) -> None:
        states = arns.Arns(settings.partition, settings.region, settings.account_id)
        self.state_machine = states.state_machine
        self.execution = states.execution
        self.activity = states.activity
        self.glue_start_job_run = f"arn:{settings.partition}:states:::glue:startJobRun.sync"
        self._log_groups = f"arn:{settings.partition}:logs:{settings.region}:{settings.account_id}:log-group:"
        self._functions = f"arn:{settings.partition}:lambda:{settings.region}:{settings.account_id}:function:"

    def function(self, name: str) -> str:
        return f"{self._functions}{name}"

    def log_group(self, name: str) -> str:
        """As a destination of a state machine's log, which needs the ``:*`` (API reference, CloudWatchLogsLogGroup)."""
        return f"{self._log_groups}{name}:*"
