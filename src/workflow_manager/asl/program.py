"""What a definition compiles to: immutable values in which every expression is already parsed.

``compile`` (compiler.py) makes a Program; the engine steps it. A Program holds no clock, no randomness and does no I/O:
what needs them takes them from the Env that the engine passes to every expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Json: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None. Never changed in place once it is in an execution."""


class Failure(Exception):  # raised inside asl, caught by the engine's step; never crosses it
    """A state failed: ``error`` is what Retry and Catch match, ``cause`` is for people.

    ``cause`` comes without AWS's prefix "An error occurred while executing the state ...", which the engine adds when
    ``runtime`` is true. ``location`` is the field of a JSONata expression (EvaluationFailed events need it).
    """

    def __init__(
        self, error: str, cause: str | None = None, *, runtime: bool = True, location: str | None = None
    ) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause
        self.runtime = runtime
        self.location = location


ABSENT: Any = object()
"""In the place of a value that is not there, where null would be one."""

MAX_WORK = 3_000_000
"""Steps that the expressions of a state may take together: each has a bound of its own, but a state may have very many."""


class Given(Protocol):
    """A value together with the text that it was read from."""

    @property
    def text(self) -> str: ...


class Env:
    """What an expression may refer to besides its data.

    ``context`` is the context object (``$$``), made when first asked for. ``variables`` are those of the frame.
    ``input``, ``result`` and ``error_output`` are JSONata's ``$states``; the two last are there only once they exist (ABSENT and
    None until then); ``given`` is what ``input`` was read from, whose text messages quote. ``uuid``, ``random`` and ``now`` are
    the only sources of what a pure function cannot know: a UUID as text, a float in [0, 1), the time in seconds since the epoch.
    ``work_left`` is what all the expressions that are given this Env may still cost together, in steps of JSONata.
    """

    __slots__ = (
        "_context",
        "_make_context",
        "error_output",
        "given",
        "input",
        "now",
        "random",
        "result",
        "uuid",
        "variables",
        "work_left",
    )

    def __init__(
        self,
        make_context: Callable[[], dict[str, Json]],
        variables: Mapping[str, Json],
        *,
        uuid: Callable[[], str],
        random: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._context: dict[str, Json] | None = None
        self._make_context = make_context
        self.variables = variables
        self.uuid = uuid
        self.random = random
        self.now = now
        self.input: Json = None
        self.given: Given | None = None
        self.result: Json = ABSENT
        self.error_output: Json = None
        self.work_left = MAX_WORK

    @property
    def context(self) -> dict[str, Json]:
        if self._context is None:
            self._context = self._make_context()
        return self._context


Expr: TypeAlias = Callable[[Json, Env], Any]
"""A compiled path, template, intrinsic function or JSONata expression: (``$``, env) -> value. Raises Failure."""

ResultPath: TypeAlias = Callable[[Json, Json], Json]
"""(raw input, result) -> the raw input with the result placed in it; makes new containers along the path."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """ASL, "Retrying after error". Times in seconds."""

    error_equals: tuple[str, ...]
    interval_seconds: float = 1
    max_attempts: int = 3
    backoff_rate: float = 2.0
    max_delay_seconds: float | None = None
    full_jitter: bool = False


@dataclass(frozen=True, slots=True)
class Catcher:
    """ASL, "Fallback states". ``result_path`` None: the error output replaces the input."""

    error_equals: tuple[str, ...]
    next: str
    result_path: ResultPath | None = None
    assign: Expr | None = None
    output: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What all states share. Expressions are None where they are the identity (``$``) or absent.

    The order (ASL, "Input and Output Processing"): raw input -> ``input_path`` -> ``arguments`` -> the state's work ->
    ``result_selector`` -> ``result_path`` -> ``output_path``; ``assign`` sees the result before ``output``.
    ``input_path`` answers ``{}`` for a null InputPath; so does ``output_path``.
    ``arguments`` is Parameters (JSONPath) or Arguments (JSONata).
    ``next`` None: End.
    """

    name: str
    next: str | None = None
    pointer: str = ""
    jsonata: bool = False
    input_path: Expr | None = None
    output_path: Expr | None = None
    assign: Expr | None = None
    output: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassState(State):
    result: Expr | None = None  # constant Result
    arguments: Expr | None = None
    result_path: ResultPath | None = None


@dataclass(frozen=True, slots=True)
class TaskResource:
    """Where a Task goes.

    kind ``activity``: ``arn`` is the activity. ``lambda``: ``arn`` is the function. ``service``: an integration such as
    ``arn:aws:states:::states:startExecution.sync:2``, split into ``service`` ("states", "aws-sdk:sfn"), ``action``
    ("startExecution") and ``pattern``. ``resource_type`` and ``resource`` are what history events call it
    ("states", "startExecution.sync:2").
    """

    kind: Literal["activity", "lambda", "service"]
    arn: str
    service: str = ""
    action: str = ""
    pattern: Literal["request_response", "sync", "sync:2", "waitForTaskToken"] = "request_response"
    resource_type: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState(State):
    resource: TaskResource
    arguments: Expr | None = None
    result_selector: Expr | None = None
    result_path: ResultPath | None = None
    timeout_seconds: Expr | None = None  # -> int > 0, seconds
    heartbeat_seconds: Expr | None = None
    credentials: Expr | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """One rule of a Choice. Expr answers true or false; in JSONata ``condition`` is the Condition."""

    condition: Expr
    next: str
    assign: Expr | None = None
    output: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceState(State):
    rules: tuple[ChoiceRule, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitState(State):
    """Exactly one of the two. ``seconds`` -> number of seconds >= 0; ``timestamp`` -> seconds since the epoch."""

    seconds: Expr | None = None
    timestamp: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedState(State):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class FailState(State):
    """``error`` and ``cause`` -> str; None where the field is absent."""

    error: Expr | None = None
    cause: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelState(State):
    branches: tuple[int, ...]  # indexes into Program.graphs
    arguments: Expr | None = None
    result_selector: Expr | None = None
    result_path: ResultPath | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(State):
    """A Map, inline or distributed.

    ``items`` -> list (ItemsPath, Items, or the input itself). ``item_selector`` is ItemSelector or the old
    Parameters; None: the item itself. ``max_concurrency`` -> int, 0 for no bound. The tolerated failures -> number; None:
    none given.

    ``distributed``: Mode DISTRIBUTED, with its further fields in ``distributed``; None for INLINE.
    """

    processor: int  # index into Program.graphs
    items: Expr
    item_selector: Expr | None = None
    max_concurrency: Expr | None = None
    tolerated_failure_count: Expr | None = None
    tolerated_failure_percentage: Expr | None = None
    result_selector: Expr | None = None
    result_path: ResultPath | None = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()
    distributed: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """One sequence of states: the root's, a Parallel branch's or a Map processor's."""

    start_at: str
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Program:
    """A checked definition. ``graphs[0]`` is the root; states refer to the others by index."""

    graphs: tuple[Graph, ...]
    timeout_seconds: int | None = None
    comment: str | None = None
    query_language: Literal["JSONPath", "JSONata"] = "JSONPath"
    variable_references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
