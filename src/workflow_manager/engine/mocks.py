"""Mocked integrations: what Tasks answer in a test case, instead of being carried out. Pure.

The file is the one known from Step Functions Local:

    {"StateMachines": {"Orders": {"TestCases": {"Declined": {"Pay": "PaymentDeclined"}}}},
     "MockedResponses": {"PaymentDeclined": {"0": {"Throw": {"Error": "Declined", "Cause": "no credit"}},
                                             "1-2": {"Return": {"receipt": 7}}}}}

An execution that is started as ``<state machine ARN>#Declined`` gets, for every Task that the test case names, the response
for the attempt: 0 is the first, 1 its first retry. Tasks that it does not name are carried out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import msgspec

_ATTEMPTS = re.compile(r"(0|[1-9][0-9]*)(?:-(0|[1-9][0-9]*))?")


class InvalidMocks(Exception):
    """The file is not a mock configuration; the message lists every fault with the JSON pointer to it."""


@dataclass(frozen=True, slots=True)
class Return:
    """The task succeeds. ``output`` is JSON text."""

    output: str


@dataclass(frozen=True, slots=True)
class Throw:
    """The task fails."""

    error: str
    cause: str | None = None


Response: TypeAlias = Return | Throw


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A Task that is to be answered: ``attempt`` is 0 at first, ``arguments`` is JSON text, ``resource`` the expanded ARN."""

    execution: str
    state: str
    attempt: int
    resource: str
    arguments: str


class StandIn(Protocol):
    """What answers Tasks of any execution, in the place of whatever would carry them out; for tests.

    Called by the writer, in its batch, so that time stands still meanwhile. None leaves the Task to be carried out.
    """

    def answer(self, asked: Asked, /) -> Response | None: ...


@dataclass(frozen=True, slots=True)
class Attempts:
    """The responses of one state: ``(first attempt, last attempt, response)``, in order. ``name`` is theirs in the file."""

    name: str
    responses: tuple[tuple[int, int, Response], ...]

    def response(self, attempt: int) -> Response | None:
        """What the attempt answers; 0 is the first. None when the file says nothing of it."""
        return next((answer for first, last, answer in self.responses if first <= attempt <= last), None)

    def answer(self, attempt: int) -> Response:
        """What the attempt answers; one that the file says nothing of fails, saying so."""
        why = f"The mocked response '{self.name}' says nothing of attempt {attempt}; add it to MockedResponses"
        return self.response(attempt) or Throw("States.Runtime", why)


TestCase: TypeAlias = Mapping[str, Attempts]
"""State name -> its responses."""


@dataclass(frozen=True, slots=True)
class Mocks:
    """What a file says: state machine name -> test case -> state name -> responses."""

    machines: Mapping[str, Mapping[str, TestCase]]

    def test_case(self, machine: str, name: str) -> TestCase | None:
        return self.machines.get(machine, {}).get(name)


def parse_mocks(text: str | bytes) -> Mocks:
    """Read a mock configuration. Raises InvalidMocks, which names every fault."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidMocks(f"not JSON: {error}") from None
    faults: list[str] = []
    responses = {
        name: _attempts(name, value, f"/MockedResponses/{_escaped(name)}", faults)
        for name, value in _members(document, "MockedResponses", "", faults).items()
    }
    machines: dict[str, dict[str, TestCase]] = {}
    for machine, value in _members(document, "StateMachines", "", faults).items():
        at = f"/StateMachines/{_escaped(machine)}"
        machines[machine] = {}
        for case, states in _members(value, "TestCases", at, faults).items():
            where = f"{at}/TestCases/{_escaped(case)}"
            machines[machine][case] = _test_case(states, where, responses, faults)
    if faults:
        raise InvalidMocks("; ".join(faults))
    return Mocks(machines)


def _test_case(states: Any, at: str, responses: Mapping[str, Attempts], faults: list[str]) -> TestCase:
    if not isinstance(states, dict):
        faults.append(f"{at}: must be an object of state names, each with the name of a mocked response")
        return {}
    found = {}
    for state, name in states.items():
        if isinstance(name, str) and name in responses:
            found[state] = responses[name]
        else:
            faults.append(
                f"{at}/{_escaped(state)}: must be the name of a member of MockedResponses, not {_shown(name)}"
            )
    return found


def _attempts(name: str, value: Any, at: str, faults: list[str]) -> Attempts:
    responses: list[tuple[int, int, Response]] = []
    if not isinstance(value, dict) or not value:
        faults.append(f'{at}: must be an object of attempts, as "0" or "1-2", each with Return or Throw')
        return Attempts(name, ())
    for attempts, response in value.items():
        where = f"{at}/{_escaped(attempts)}"
        found = _ATTEMPTS.fullmatch(attempts)
        first = int(found[1]) if found else 0
        last = int(found[2]) if found and found[2] else first
        if not found or last < first:
            faults.append(f'{where}: must be the number of an attempt or a range of them, as "0" or "1-2"')
        elif any(first <= until and since <= last for since, until, _ in responses):
            faults.append(f"{where}: another member speaks of one of these attempts, too")
        answer = _response(response, where, faults)
        if answer is not None:
            responses.append((first, last, answer))
    return Attempts(name, tuple(responses))


def _response(value: Any, at: str, faults: list[str]) -> Response | None:
    match value:
        case {"Return": output, **rest} if not rest:
            return Return(msgspec.json.encode(output).decode())
        case {"Throw": {"Error": str(error), **details}, **rest} if not rest and set(details) <= {"Cause"}:
            cause = details.get("Cause")
            if cause is None or isinstance(cause, str):
                return Throw(error, cause)
            faults.append(f"{at}/Throw/Cause: must be text")
        case {"Throw": _, **rest} if not rest:
            faults.append(f"{at}/Throw: must be an object with the text Error and, if wanted, the text Cause")
        case _:
            faults.append(f"{at}: must have one member, Return or Throw")
    return None


def _members(value: Any, field: str, at: str, faults: list[str]) -> dict[str, Any]:
    found = value.get(field) if isinstance(value, dict) else None
    if isinstance(found, dict):
        return found
    faults.append(f"{at}/{field}: must be there, an object")
    return {}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
