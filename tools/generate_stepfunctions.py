"""Write stepfunctions/types.py, errors.py and protocol.py from botocore's model of the Step Functions API.

The service model is the one source of names, required members, bounds and enumerations; the modules are
checked in so that editors and type checkers see them, and a test asks that they are what this program writes.

    python tools/generate_stepfunctions.py [--check]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session

PACKAGE = Path(__file__).parent.parent / "src" / "workflow_manager" / "stepfunctions"
SCALARS = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "boolean": "bool",
    "timestamp": "float",
    "float": "float",
    "double": "float",
}
# The longest a payload is on AWS; no part of these types, as a deployment may lift it (validation.py checks what stands).
MAX_PAYLOAD = 262_144
LIFTED = {
    "DescribeExecutionOutput",
    "SendTaskSuccessInput",
    "StartExecutionInput",
    "StartSyncExecutionInput",
    "StartSyncExecutionOutput",
}
# One history event is one type, with its details as a mapping; history.py says why.
BY_HAND = {"HistoryEvent", "HistoryEventList"}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def annotation(shape: Any, owner: str = "") -> str:
    kind = shape.type_name
    if shape.name == "HistoryEventList":
        return "list[HistoryEvent]"
    if kind == "structure":
        return str(shape.name)
    if kind == "list":
        return f"list[{annotation(shape.member)}]"
    if kind == "map":
        return f"dict[str, {annotation(shape.value)}]"
    if getattr(shape, "enum", None):
        return "Literal[" + ", ".join(f'"{value}"' for value in shape.enum) + "]"
    bounds = {}
    prefix = "length" if kind == "string" else ""
    for key, name in (("min", "min_length" if prefix else "ge"), ("max", "max_length" if prefix else "le")):
        bound = shape.metadata.get(key)
        if bound is not None and not (prefix and (bound == 0 or (bound == MAX_PAYLOAD and owner in LIFTED))):
            bounds[name] = bound
    if not bounds or kind in ("boolean", "timestamp"):
        return SCALARS[kind]
    return f"Annotated[{SCALARS[kind]}, Meta(" + ", ".join(f"{k}={v}" for k, v in bounds.items()) + ")]"


def structure(shape: Any) -> list[str]:
    lines = [f'class {shape.name}(Struct, rename="camel", omit_defaults=True, kw_only=True):']
    if not shape.members:
        return [*lines, "    pass", "", ""]
    required = [name for name in shape.members if name in shape.required_members]
    for name in [*required, *(n for n in shape.members if n not in required)]:
        member, python = shape.members[name], snake(name)
        kind = annotation(member, shape.name)
        renamed = camel(python) != name
        if name in required:
            default = f' = field(name="{name}")' if renamed else ""
        else:
            kind += " | None"
            default = f' = field(default=None, name="{name}")' if renamed else " = None"
        lines.append(f"    {python}: {kind}{default}")
    return [*lines, "", ""]


def needed(model: Any) -> list[str]:
    """Names of the structures that requests and results are made of, parts first."""
    order: list[str] = []

    def visit(shape: Any) -> None:
        if shape.name in BY_HAND:
            return
        if shape.type_name == "structure":
            for member in shape.members.values():
                visit(member)
            if shape.name not in order:
                order.append(shape.name)
        elif shape.type_name == "list":
            visit(shape.member)
        elif shape.type_name == "map":
            visit(shape.value)

    for name in model.operation_names:
        operation = model.operation_model(name)
        visit(operation.input_shape)
        visit(operation.output_shape)
    return order


def types_module(model: Any) -> str:
    lines = [
        '"""Requests and results of the Step Functions API; written by tools/generate_stepfunctions.py.',
        "",
        "Names, bounds and required members are those of botocore's service model; times are seconds since the epoch.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Annotated, Literal",
        "",
        "from msgspec import Meta, Struct, field",
        "",
        "from workflow_manager.stepfunctions.history import HistoryEvent",
        "",
        "",
    ]
    for name in needed(model):
        lines += structure(model.shape_for(name))
    return "\n".join(lines)


def errors_module(model: Any) -> str:
    lines = [
        '"""Errors of the Step Functions API; written by tools/generate_stepfunctions.py."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any, ClassVar",
        "",
        "",
        "class StepFunctionsError(Exception):",
        '    """An error that the Step Functions API answers: its code, its message, its further members."""',
        "",
        '    code: ClassVar[str] = "InternalServerError"',
        "    outcome_unknown = False",
        '    """Whether an attempt of this call may have been carried out all the same: its answer was lost on the way."""',
        "",
        "    def __init__(self, message: str, **members: Any) -> None:",
        "        super().__init__(message)",
        "        self.message = message",
        "        self.members = members",
        "",
        "",
    ]
    names = set()
    for operation in model.operation_names:
        names |= {shape.name for shape in model.operation_model(operation).error_shapes}
    # common errors, which the model does not list per operation
    for name in sorted(names | {"AccessDeniedException", "ThrottlingException", "UnknownOperationException"}):
        lines += [f"class {name}(StepFunctionsError):", f'    code = "{name}"', "", ""]
    common = [
        "class SerializationException(StepFunctionsError):",
        '    """The request is not JSON, or a member has the wrong JSON type."""',
        "",
        '    code = "SerializationException"',
        "",
        "",
        "class ServiceUnavailable(StepFunctionsError):",
        '    """Nothing was done: the disk is full, the database is locked, the server is stopping. Try again."""',
        "",
        '    code = "ServiceUnavailableException"',
        "",
        "",
        "class NotSent(ServiceUnavailable):",
        '    """Nothing was done: no connection could be made, too many calls wait, there are no credentials to sign with."""',
        "",
        "",
        "class AnswerLost(StepFunctionsError):",
        '    """The call was sent, and no answer to it came: whether anything was done is not known."""',
        "",
        '    code = "AnswerLost"',
        "    outcome_unknown = True",
        "",
        "",
        "BY_CODE: dict[str, type[StepFunctionsError]] = {",
        "    kind.code: kind for kind in StepFunctionsError.__subclasses__()",
        "}",
    ]
    return "\n".join([*lines, *common, ""])


def protocol_module(model: Any) -> str:
    lines = [
        '"""The seam: the Step Functions API as a Protocol; written by tools/generate_stepfunctions.py.',
        "",
        "Implemented by the embedded engine and by aws.py; served over HTTP by wire.py. Every method raises the errors",
        "of errors.py that the API's reference lists for its operation, and ServiceUnavailable.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Protocol",
        "",
        "from workflow_manager.stepfunctions import types as t",
        "",
        "",
        "class StepFunctions(Protocol):",
        f'    """The {len(model.operation_names)} operations of the Step Functions API."""',
        "",
    ]
    for name in model.operation_names:
        operation = model.operation_model(name)
        lines += [
            f"    async def {snake(name)}(",
            f"        self, request: t.{operation.input_shape.name}, /",
            f"    ) -> t.{operation.output_shape.name}: ...",
            "",
        ]
    lines += ["", "OPERATIONS: dict[str, tuple[str, type, type]] = {"]
    for name in model.operation_names:
        operation = model.operation_model(name)
        lines.append(
            f'    "{name}": ("{snake(name)}", t.{operation.input_shape.name}, t.{operation.output_shape.name}),'
        )
    return "\n".join(
        [
            *lines,
            "}",
            '"""Operation -> method of the Protocol, type of its request, type of its result."""',
            "",
        ]
    )


def formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / "types.py"), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a module is stale")
    options = parser.parse_args()
    model = botocore.session.get_session().get_service_model("stepfunctions")
    stale = []
    for name, make in (("types", types_module), ("errors", errors_module), ("protocol", protocol_module)):
        path, text = PACKAGE / f"{name}.py", formatted(make(model))
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not options.check:
                path.write_text(text)
    if stale:
        print(("stale: " if options.check else "written: ") + ", ".join(stale))
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
