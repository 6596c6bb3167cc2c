"""A workflow that was run in a test: the path it took, what its states got and made, and its graph as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from workflow_manager.diagrams.graph import graph_of
from workflow_manager.diagrams.outline import text
from workflow_manager.model import Workflow
from workflow_manager.sdk.conversion import without_id
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.testing.stubs import Answered

TaskRun = Answered

LONGEST = 300
"""How much of an input or a cause a report shows, in characters."""


@dataclass(frozen=True, slots=True)
class Run:
    """``status`` is succeeded, failed or cancelled; ``output`` is JSON, None unless it succeeded."""

    definition: str
    workflow: Workflow
    events: Sequence[HistoryEvent] = field(repr=False)
    tasks: Sequence[TaskRun] = field(repr=False)
    error: str | None = None
    cause: str | None = None

    @property
    def id(self) -> str:
        return self.workflow.id

    @property
    def status(self) -> str:
        return self.workflow.status.value

    @property
    def output(self) -> Any:
        return without_id(msgspec.json.decode(self.workflow.output)) if self.workflow.output else None

    @property
    def path(self) -> list[str]:
        """The names of the states that were entered, in this order; those of branches and items as they came."""
        return [_detail(event, "name") for event in self.events if event.type.endswith("StateEntered")]

    @property
    def seconds(self) -> float:
        """How long it took by its own clock."""
        return self.events[-1].timestamp - self.events[0].timestamp

    def inputs(self, state: str) -> list[Any]:
        """What the state was entered with, each time."""
        return self._told(state, "StateEntered", "input")

    def outputs(self, state: str) -> list[Any]:
        """What the state was left with, each time."""
        return self._told(state, "StateExited", "output")

    def calls(self, state: str) -> list[TaskRun]:
        """Every attempt of the state's Task: what it was given, and what it answered."""
        return [each for each in self.tasks if each.state == state]

    def retries(self, state: str) -> int:
        """How often the state's Task was tried again."""
        return sum(each.attempt > 1 for each in self.calls(state))

    def variables(self, state: str) -> list[dict[str, Any]]:
        """What the state assigned, each time it was left."""
        return [
            {name: msgspec.json.decode(value) for name, value in assigned.items()}
            for event in self.events
            if event.type.endswith("StateExited") and _detail(event, "name") == state
            for assigned in [(event.details or {}).get("assignedVariables") or {}]
        ]

    # ------------------------------------------------------------------ assertions

    def assert_succeeded(self, output: Any = ...) -> None:
        """It has succeeded, with this output if one is given."""
        __tracebackhide__ = True
        if self.status != "succeeded":
            raise AssertionError(f"the workflow {self.status}: {self.error}: {self.cause}\n{self.report()}")
        if output is not ...:
            assert self.output == output, f"the output is {self.output!r}, not {output!r}\n{self.report()}"

    def assert_failed(self, error: str | None = None) -> None:
        """It has failed, with this error if one is given."""
        __tracebackhide__ = True
        if self.status != "failed":
            raise AssertionError(f"the workflow {self.status}, with {self.output!r}\n{self.report()}")
        if error is not None:
            assert self.error == error, f"the error is {self.error!r}, not {error!r}\n{self.report()}"

    def assert_path(self, *states: str) -> None:
        """These states were entered, in this order, and no others."""
        __tracebackhide__ = True
        assert self.path == list(states), f"the path is {self.path}, not {list(states)}\n{self.report()}"

    # ------------------------------------------------------------------ as text

    @property
    def statuses(self) -> Mapping[str, str]:
        """State -> succeeded, failed, or running for one that was entered and not left; the last time counts."""
        found: dict[str, str] = {}
        for event in self.events:
            if event.type.endswith("StateEntered"):
                found[_detail(event, "name")] = "running"
            elif event.type.endswith("StateExited"):
                found[_detail(event, "name")] = "succeeded"
        if self.status == "failed":
            return {state: "failed" if status == "running" else status for state, status in found.items()}
        return found

    def report(self) -> str:
        """The state graph with the state of every state, the path, and what the state that failed was given."""
        lines = [
            text(graph_of(self.workflow.workflow_definition.state_machine or {}), self.statuses).rstrip(),
            "",
            f"status  {self.status}, after {self.seconds:g} s",
            f"path    {' > '.join(self.path)}",
        ]
        failed = [state for state, status in self.statuses.items() if status == "failed"]
        if failed:
            lines.append(f"failed  {failed[-1]}: {self.error or 'no error'}: {_short(self.cause or 'no cause')}")
            lines += [f"input   {_short(str(value))}" for value in self.inputs(failed[-1])[-1:]]
        retried = {each.state: each.attempt for each in self.tasks if each.attempt > 1}
        lines += [f"retried {state}: {attempt - 1} times" for state, attempt in retried.items()]
        return "\n".join(lines) + "\n"

    def _told(self, state: str, kind: str, field_: str) -> list[Any]:
        return [
            without_id(msgspec.json.decode(_detail(event, field_)))
            for event in self.events
            if event.type.endswith(kind) and _detail(event, "name") == state
        ]


def _detail(event: HistoryEvent, name: str) -> str:
    return str((event.details or {}).get(name, ""))


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"...{value[-LONGEST:]}"
