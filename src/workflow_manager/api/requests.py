"""A request as handlers see it, and the bodies they take, with the leniency of the HTTP contract.

Field names match case-insensitively at the request's own levels, never inside a state machine, an input or tags; unknown
fields are dropped; null stands for absent, except where null is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct, field

from workflow_manager.api.bodies import read_body
from workflow_manager.api.documents import JsonText, StateMachine
from workflow_manager.model.errors import InvalidRequest

B = TypeVar("B", bound=Struct)

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, extra_json_schema={"format": "int64"})]
AnyTags = Annotated[
    dict[str, Any],
    Meta(
        description="Free names and values to find workflows by; values are text.",
        examples=[{"team": "billing"}],
        extra_json_schema={"additionalProperties": {"type": "string"}},
    ),
]


class NewWorkflowDefinitionRequest(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A definition to create, or the next version of one."""

    name: Annotated[str, Meta(description="Of the definition.", examples=["sfncli-test:master"])] = ""
    manager: Annotated[str, Meta(description="`step-functions`, or absent.", examples=["step-functions"])] = (
        "step-functions"
    )
    state_machine: StateMachine
    default_tags: AnyTags = field(default_factory=dict)


class WorkflowDefinitionRef(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Which definition to run."""

    name: Annotated[str, Meta(description="Of the definition.", examples=["sfncli-test:master"])] = ""
    version: Annotated[Integer, Meta(description="Absent is version 0, negative the latest.", examples=[-1])] = 0


class StartWorkflowRequest(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A workflow to start."""

    workflow_definition: WorkflowDefinitionRef
    input: Annotated[JsonText, Meta(description="A JSON object, as text; empty is `{}`.")] = ""
    namespace: Annotated[str, Meta(description="Where Resources resolve.", examples=["production"])] = ""
    queue: Annotated[str, Meta(description="Where it waits; `default` if absent.", examples=["default"])] = ""
    tags: AnyTags = field(default_factory=dict)
    id_suffix: Annotated[str, Meta(description="Taken and ignored.", examples=["nightly"])] = ""


class CancelReason(Struct, omit_defaults=True, kw_only=True):
    """Why a workflow is cancelled."""

    reason: Annotated[str, Meta(description="Becomes the status reason.", examples=["no longer needed"])] = ""


class WorkflowDefinitionOverrides(Struct, rename={"from_failed": "fromFailed"}, omit_defaults=True, kw_only=True):
    """Where to resume a workflow, and with what."""

    StartAt: Annotated[
        str, Meta(description="A top-level state; one that ran, unless `input` is given.", examples=["echo"])
    ] = ""
    from_failed: Annotated[
        bool,
        Meta(
            description="Instead of `StartAt`: start at the top-level state that the workflow ended in, "
            "which may be a Parallel or Map around what failed.",
            examples=[False],
        ),
    ] = False
    input: Annotated[
        JsonText, Meta(description="A JSON object, as text, in place of the input that the state had.")
    ] = ""
    version: Annotated[
        Integer | None,
        Meta(description="Run in this version of the definition, negative is the latest; absent is the one it ran in."),
    ] = None


class NewStateResource(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What a Task's Resource is to resolve to in a namespace."""

    name: Annotated[str, Meta(description="The Resource.", examples=["echo"])] = ""
    namespace: Annotated[str, Meta(description="Where it resolves so.", examples=["production"])] = ""
    uri: Annotated[
        str,
        Meta(
            description="An ARN.",
            examples=["arn:aws:states:us-east-1:123456789012:activity:production--echo"],
        ),
    ] = ""


class Request:
    """What a handler gets. ``path`` holds the path's parameters; ``body`` is read, within its limit."""

    __slots__ = ("_query", "body", "depth_limit", "id", "path", "scope")

    def __init__(self, scope: Mapping[str, Any], *, body: bytes = b"", depth_limit: int, request_id: str) -> None:
        self.scope = scope
        self.path: dict[str, str] = scope["path_params"]
        self.body = body
        self.depth_limit = depth_limit
        self.id = request_id
        self._query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        if self._query is None:
            self._query = {}
            if raw := self.scope["query_string"]:
                for key, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
                    self._query.setdefault(key, []).append(value)
        return self._query

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == wanted), None)

    def values(self, where: str, name: str, /) -> list[str]:
        """The values of a parameter, none if it is absent."""
        if where == "query":
            return self.query.get(name, [])
        value = self.path.get(name) if where == "path" else self.header(name)
        return [] if value is None else [value]

    def decode(self, kind: type[B], *, yaml: bool = False) -> B:
        """The body as a ``kind``. Raises InvalidRequest, naming the place by a JSON pointer."""
        value = read_body(self.body, self.header("content-type") or "", depth_limit=self.depth_limit, yaml=yaml)
        try:
            return msgspec.convert(_canonical(value, kind), kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(_explain(str(error))) from None


def _canonical(value: Any, kind: type[Struct]) -> Any:
    """The value with the names of ``kind``'s fields spelled as ``kind`` spells them, other fields and nulls dropped.

    A later field goes before an earlier one, however they are spelled, as in Go.
    """
    if not isinstance(value, dict):
        return value
    fields = _FIELDS.get(kind) or _FIELDS.setdefault(kind, _fields(kind))
    canonical = {}
    for name, each in value.items():
        if (known := fields.get(name) or fields.get(name.casefold())) is None:
            continue
        spelling, nested = known
        if each is not None or spelling in _NULL_IS_A_MISTAKE:
            canonical[spelling] = _canonical(each, nested) if nested is not None else each
    return canonical


def _fields(kind: type[Struct]) -> dict[str, tuple[str, type[Struct] | None]]:
    """Folded name -> (spelling, the Struct that the field holds, if it holds one)."""
    return {
        each.encode_name.casefold(): (
            each.encode_name,
            each.type if isinstance(each.type, type) and issubclass(each.type, Struct) else None,
        )
        for each in msgspec.structs.fields(kind)
    }


_FIELDS: dict[type[Struct], dict[str, tuple[str, type[Struct] | None]]] = {}
_NULL_IS_A_MISTAKE = {"input"}
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_WRONG = re.compile(r"(?P<what>.*?) - at `\$(?P<path>.*)`", re.DOTALL)
_TYPES = {
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`object`": "an object",
    "`array`": "a list",
    "`null`": "null",
}


def _explain(complaint: str) -> str:
    """A complaint of msgspec's as ours: JSON pointer first, and in JSON's words."""
    if missing := _MISSING.fullmatch(complaint):
        return f"{_pointer(missing['path'] or '')}/{missing['field']} is missing: it must be given"
    wrong = _WRONG.fullmatch(complaint)
    what = wrong["what"] if wrong else complaint
    for theirs, ours in _TYPES.items():
        what = what.replace(theirs, ours)
    what = what[:1].lower() + what[1:]
    return f"{_pointer(wrong['path']) if wrong else 'the body'}: {what}"


def _pointer(path: str) -> str:
    return re.sub(r"\.|\[(?=\d)", "/", path).replace("]", "")
