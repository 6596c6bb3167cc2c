"""A state machine as it stands: what executions are started of."""

from __future__ import annotations

import msgspec

from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.arns import Arns


class Settings(msgspec.Struct, omit_defaults=True):
    """What a state machine was made with besides its definition."""

    logging: t.LoggingConfiguration | None = None
    tracing: t.TracingConfiguration | None = None
    encryption: t.EncryptionConfiguration | None = None


class Machine(msgspec.Struct, frozen=True):
    """A state machine as it stands. ``tracked``: status changes of its executions are told to subscribers."""

    id: int
    name: str
    arn: str
    status: str
    definition: int
    role_arn: str
    type: str
    created: float
    updated: float
    revision: str | None
    settings: Settings
    tracked: bool
    arns: Arns

    def execution_arn(self, name: str) -> str:
        if self.id < 0 and self.type == "EXPRESS":  # a child of a Map Run
            return self.arns.express(self.name, name, name)
        return self.arns.execution(self.name, name)
