"""Write the table of what is supported: ``python tools/write_asl_support.py FILE [--check]``.

Everything in it is looked up: fields, operators and functions in the tables that the compiler and the evaluator work by,
operations in the engine, features by asking a running engine to save a state machine that has them, and how many recorded cases
pass in the lists that the conformance tests hold the engine to. Only the notes on differences are written here, and each must
belong to something.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow_manager.asl import choice, intrinsics, jsonata, schema
from workflow_manager.asl.jsonata_evaluator import MAX_DEPTH, MAX_SIZE, MAX_STEPS
from workflow_manager.asl.jsonata_functions import STANDARD
from workflow_manager.asl.resources import OPTIMISED
from workflow_manager.composition import service
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.settings import Settings
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import StepFunctionsError
from workflow_manager.stepfunctions.protocol import OPERATIONS

ROOT = Path(__file__).parents[1]
CONFORMANCE = ROOT / "tests" / "conformance"
ROLE = "arn:aws:iam::123456789012:role/r"
YES = "supported"

DIFFERENCES: dict[tuple[str, str], str] = {
    ("intrinsic", "MathRandom"): "with a seed: the same number every time, but not the one that AWS makes of that seed",
    ("jsonata", "random"): "takes a seed; the same number every time, but not the one that AWS makes of that seed",
    ("jsonata", "base64encode"): "encodes text as UTF-8",
    ("jsonata", "base64decode"): "decodes to text as UTF-8",
    ("jsonata", "formatInteger"): "words are exact as far as 64 bits go; Roman numerals up to 100,000",
    ("jsonata", "toMillis"): "texts of at most 1,000 characters where there is a picture",
    ("jsonata", "parseInteger"): "texts of at most 1,000 characters",
    ("jsonata", "match"): "regular expressions without backreferences and lookaround",
    ("jsonata", "contains"): "regular expressions without backreferences and lookaround",
    ("jsonata", "replace"): "regular expressions without backreferences and lookaround",
    ("jsonata", "split"): "regular expressions without backreferences and lookaround",
    ("feature", "Express workflows"): "they run in memory, and end with the process",
    ("field", "Task.Credentials"): "accepted; which role a call is made with is the deployment's",
}
"""(kind, name) -> what differs from AWS. Names are checked to exist."""

OBJECTS = {
    "State machine": schema.MACHINE,
    **{f"{name} state": fields for name, fields in schema.STATES.items()},
    "Choice rule": schema.CHOICE_RULE,
    "Retrier": schema.RETRIER,
    "Catcher": schema.CATCHER,
    "Branch": schema.BRANCH,
    "ItemProcessor": schema.PROCESSOR,
    "ProcessorConfig": schema.PROCESSOR_CONFIG,
    "ItemReader": schema.ITEM_READER,
    "ReaderConfig": schema.READER_CONFIG,
    "ItemBatcher": schema.ITEM_BATCHER,
    "ResultWriter": schema.RESULT_WRITER,
    "WriterConfig": schema.WRITER_CONFIG,
    "Credentials": schema.CREDENTIALS,
}


def machine(state: dict[str, Any], name: str = "S", **fields: Any) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {"End": True, **state}}, **fields}


def task(resource: str, **fields: Any) -> dict[str, Any]:
    return machine({"Type": "Task", "Resource": resource, **fields})


PASS = machine({"Type": "Pass"})
INNER = machine({"Type": "Pass"}, "Inner")


def distributed(**fields: Any) -> dict[str, Any]:
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **INNER}
    return machine({"Type": "Map", "ItemProcessor": processor, **fields})


S3 = "arn:aws:states:::s3:"
SDK = "arn:aws:states:::aws-sdk:"
FEATURES: dict[str, tuple[str, dict[str, Any]]] = {
    "Standard workflows": ("STANDARD", PASS),
    "Express workflows": ("EXPRESS", PASS),
    "JSONPath": ("STANDARD", machine({"Type": "Pass", "InputPath": "$.a[?(@.b =~ /x.*/)]"})),
    "JSONata": ("STANDARD", machine({"Type": "Pass", "Output": "{% $states.input %}"}, QueryLanguage="JSONata")),
    "Languages mixed by state": ("STANDARD", machine({"Type": "Pass", "QueryLanguage": "JSONata", "Output": 1})),
    "Variables": ("STANDARD", machine({"Type": "Pass", "Assign": {"x.$": "$.a"}})),
    "Map, inline": ("STANDARD", machine({"Type": "Map", "ItemProcessor": INNER})),
    "Map, distributed": ("STANDARD", distributed()),
    "Map, distributed, items from S3": (
        "STANDARD",
        distributed(ItemReader={"Resource": f"{S3}listObjectsV2", "Parameters": {"Bucket": "b"}}),
    ),
    "Activities": ("STANDARD", task("arn:aws:states:us-east-1:123456789012:activity:a")),
    "Lambda functions as Resource": ("STANDARD", task("arn:aws:lambda:us-east-1:123456789012:function:f")),
    "Nested executions, request and response": ("STANDARD", task("arn:aws:states:::states:startExecution")),
    "Nested executions, .sync": ("STANDARD", task("arn:aws:states:::states:startExecution.sync")),
    "Nested executions, .sync:2": ("STANDARD", task("arn:aws:states:::states:startExecution.sync:2")),
    "Nested executions, .waitForTaskToken": (
        "STANDARD",
        task("arn:aws:states:::states:startExecution.waitForTaskToken"),
    ),
    "The SDK's calls of Step Functions itself": ("STANDARD", task(f"{SDK}sfn:listExecutions")),
    "The SDK's calls of other services": ("STANDARD", task(f"{SDK}sqs:listQueues")),
}
"""Name -> type of state machine, and one that needs the feature."""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)]


def note(kind: str, name: str) -> str:
    difference = DIFFERENCES.get((kind, name))
    return YES if difference is None else f"differs: {difference}"


def fields() -> list[str]:
    rows = []
    for name, known in OBJECTS.items():
        kind = name.removesuffix(" state")
        for language, names in (("both", known.both), ("JSONPath", known.jsonpath), ("JSONata", known.jsonata)):
            plain = sorted(n for n in names if ("field", f"{kind}.{n}") not in DIFFERENCES)
            if plain:
                rows.append((name, language, ", ".join(f"`{n}`" for n in plain), YES))
            rows += [
                (name, language, f"`{n}`", note("field", f"{kind}.{n}"))
                for n in sorted(names)
                if ("field", f"{kind}.{n}") in DIFFERENCES
            ]
    return table(("of", "language", "fields", ""), rows)


def arguments(signature: intrinsics.Signature) -> str:
    least, most = signature.least, signature.most
    return f"{least} or more" if most is None else str(least) if least == most else f"{least} to {most}"


def functions() -> list[str]:
    return table(
        ("function", "arguments", ""),
        [
            (f"`States.{name}`", arguments(signature), note("intrinsic", name))
            for name, signature in sorted(intrinsics.FUNCTIONS.items())
        ],
    )


def jsonata_functions() -> list[str]:
    added = [(f"`${name}`", "Step Functions", note("jsonata", name)) for name in sorted(jsonata.ADDED)]
    standard = [
        (f"`${name}`", "JSONata", note("jsonata", name)) for name in sorted(STANDARD) if name not in jsonata.ADDED
    ]
    banned = [(f"`${name}`", "JSONata", "refused, as AWS does") for name in sorted(jsonata.BANNED)]
    return table(("function", "of", ""), [*standard, *added, *banned])


def operations() -> list[str]:
    rows = []
    for name, (method, *_) in sorted(OPERATIONS.items()):
        code = inspect.unwrap(getattr(EmbeddedStepFunctions, method)).__code__
        rows.append((f"`{name}`", "not supported" if "_lacking" in code.co_names else note("operation", name)))
    return table(("operation", ""), rows)


async def features() -> list[str]:
    """Ask an engine, put together as users run it, to save a state machine that needs each feature."""
    optimised = {
        f"Optimised integration: {name}": ("STANDARD", task(f"arn:aws:states:::{name}:{min(actions)}"))
        for name, actions in sorted(OPTIMISED.items())
        if name != "states"
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with service(Settings(store="memory", port=0, data=Path(folder))) as running:
            for index, (name, (kind, definition)) in enumerate({**FEATURES, **optimised}.items()):
                request = t.CreateStateMachineInput(
                    name=f"m{index}",
                    definition=json.dumps(definition),
                    role_arn=ROLE,
                    type="EXPRESS" if kind == "EXPRESS" else "STANDARD",
                )
                try:
                    await running.stepfunctions.create_state_machine(request)
                except StepFunctionsError as error:
                    if not any(word in str(error) for word in ("UNSUPPORTED_FEATURE", "Express")):
                        raise SystemExit(f"{name}: the definition is wrong: {error}") from None
                    rows.append((name, "not supported: a state machine that needs it is refused"))
                else:
                    rows.append((name, note("feature", name)))
    return table(("feature", ""), rows)


def listed(name: str) -> dict[str, str]:
    """What is expected to fail -> the reason."""
    lines = (CONFORMANCE / name).read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def recorded(folder: Path) -> tuple[set[str], set[str]]:
    """The recorded cases that are replayed: those that need Step Functions alone (tier 1), and the others."""
    cases = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    replayed = [case for case in cases if not case.get("manual")]
    alone = {case["id"] for case in replayed if case["tier"] == 1}
    return alone, {case["id"] for case in replayed} - alone


def judged() -> list[str]:
    data = CONFORMANCE / "data"
    definitions = json.loads((data / "definitions" / "index.json").read_text())["definitions"]
    expressions = (data / "jsonata" / "cases.jsonl").read_text().splitlines()
    alone, with_others = recorded(data / "cases")
    cases = listed("expected_failures.txt")
    suites = (
        ("Recorded calls of AWS that need nothing else", len(alone), [cases[each] for each in cases.keys() & alone]),
        (
            "Recorded calls of AWS that need Lambda or other services, too",
            len(with_others),
            [cases[each] for each in cases.keys() & with_others],
        ),
        ("Definitions", len(definitions), listed("expected_definition_failures.txt").values()),
        ("JSONata reference suite", len(expressions), listed("expected_jsonata_failures.txt").values()),
    )
    lines = ["What is replayed, and how to replay it: [how it is held to AWS](explanation/conformance.md).", ""]
    for name, count, failing in suites:
        others = sorted(Counter(failing).items(), key=lambda row: (-row[1], row[0]))
        lines += [
            f"**{name}**: {count - len(failing):,} of {count:,} as recorded.{' The others:' if others else ''}",
            "",
        ]
        if others:
            lines += [*table(("how many", "why"), [(str(n), reason) for reason, n in others]), ""]
    return lines


def check_differences() -> None:
    """Refuse notes on what does not exist."""
    known = {("intrinsic", name) for name in intrinsics.FUNCTIONS} | {
        ("jsonata", name) for name in jsonata.FUNCTIONS.bindings
    }
    known |= {("feature", name) for name in FEATURES} | {("operation", name) for name in OPERATIONS}
    for name, known_fields in OBJECTS.items():
        every = known_fields.both | known_fields.jsonpath | known_fields.jsonata
        known |= {("field", f"{name.removesuffix(' state')}.{field}") for field in every}
    if unknown := DIFFERENCES.keys() - known:
        raise SystemExit(f"DIFFERENCES speaks of what does not exist: {sorted(unknown)}")


def text() -> str:
    """The whole document."""
    check_differences()
    lines = [
        "# What is supported of the Amazon States Language and the Step Functions API",
        "",
        "Written by `make docs` from the tables the engine works by, and from what the conformance tests hold it to; a test",
        "fails when it is out of date. The AWS backend supports what AWS does: this page is about the embedded engine.",
        "",
        "## Features",
        "",
        *asyncio.run(features()),
        "",
        "## Fields",
        "",
        "Those that belong to a feature above are as supported as it is.",
        "",
        *fields(),
        "",
        "## Comparison operators of Choice rules (JSONPath)",
        "",
        "All are supported: " + ", ".join(f"`{name}`" for name in sorted({*choice.OPERATORS, "And", "Or", "Not"})) + ".",
        "",
        "## Intrinsic functions (JSONPath)",
        "",
        *functions(),
        "",
        "## Functions of JSONata",
        "",
        *jsonata_functions(),
        "",
        f"One evaluation takes at most {MAX_STEPS:,} steps, {MAX_DEPTH} levels of nesting at a time, and makes no value of more",
        f"than {MAX_SIZE:,} characters or items; beyond them it ends with States.QueryEvaluationError. AWS does not publish",
        "its own bounds. Regular expressions take time linear in the text, in both languages.",
        "",
        "## Operations",
        "",
        *operations(),
        "",
        "## How it is judged",
        "",
        *judged(),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true", help="say whether the file is up to date, and change nothing")
    options = parser.parse_args()
    made = text()
    if not options.check:
        options.file.write_text(made)
    elif not options.file.exists() or options.file.read_text() != made:
        sys.exit(f"{options.file} is out of date: run make docs")


if __name__ == "__main__":
    main()
