"""An Aws that answers what a test says, with the models of the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from workflow_manager.engine.tasks.integrations import IntegrationCall
from workflow_manager.integrations.aws import Answer, Aws

Answers = Callable[[str, str, dict[str, Any]], dict[str, Any]]


class StandIn(Aws):
    """``answers`` makes the members of an answer from service, operation and parameters, or raises; ``calls`` keeps them."""

    def __init__(self, answers: Answers | None = None, *, genuine: bool = False, **options: Any) -> None:
        super().__init__("us-east-1", **({"environ": {}} | options))
        self._answers = answers or (lambda *_: {})
        self._genuine = genuine
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.roles: list[str | None] = []

    async def call(self, service: str, operation: str, parameters: dict[str, Any], **options: Any) -> Answer:
        self.calls.append((service, operation, parameters))
        self.roles.append(options.get("role_arn"))
        members = self._answers(service, operation, parameters)
        return Answer(members, {"server": "test"}, 200, "11111111-1111-1111-1111-111111111111", self._genuine)

    def emulated(self, service: str, endpoint: str | None = None) -> bool:
        return not self._genuine


def called(service: str, action: str, arguments: Any, pattern: str = "request_response") -> IntegrationCall:
    return IntegrationCall(
        execution_arn="arn:aws:states:us-east-1:000000000000:execution:m:e",
        state_machine_arn="arn:aws:states:us-east-1:000000000000:stateMachine:m",
        resource=f"arn:aws:states:::{service}:{action}",
        service=service,
        action=action,
        pattern=pattern,
        arguments=json.dumps(arguments),
        task_token="token",
    )
