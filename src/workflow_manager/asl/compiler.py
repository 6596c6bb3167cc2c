"""Compiles a definition: checks it whole and turns it into a Program.

Every fault is reported in one go; a Program comes out only when there is none. One method per state type; what a field may
hold is reader.py's business, which fields there are schema.py's, how states follow each other flow.py's.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from . import choice, distributed, durations, jsonata, paths, schema
from .diagnostics import Diagnostic, InvalidDefinition
from .document import UnreadableDefinitionError, read_document
from .flow import Step, Transition, check_flow
from .jsontext import to_text
from .program import (
    Catcher,
    ChoiceRule,
    ChoiceState,
    Env,
    Expr,
    FailState,
    Failure,
    Graph,
    Json,
    MapState,
    ParallelState,
    PassState,
    Program,
    Retrier,
    State,
    SucceedState,
    TaskResource,
    TaskState,
    WaitState,
)
from .reader import Findings, Reader, pointer
from .resources import is_known_integration, parse_resource
from .templates import constant
from .timestamps import parse_seconds

MachineType = Literal["STANDARD", "EXPRESS"]

MAX_STATE_NAME = 80

_TEXT_FUNCTIONS = frozenset({"Format", "JsonToString", "ArrayGetItem", "Base64Encode", "Base64Decode", "Hash", "UUID"})
"""What ErrorPath and CausePath may call (ASL, "Fail State")."""

_VARIABLE = re.compile(r"[^\W\d]\w{0,79}")


def compile_definition(
    definition: str | bytes | dict[str, Any], *, state_machine_type: MachineType = "STANDARD"
) -> Program:
    """Compile a definition in Amazon States Language, JSON text or what it decodes to.

    Raises InvalidDefinition, which lists every fault.
    """
    program, diagnostics = _run(definition, state_machine_type)
    if program is None:
        raise InvalidDefinition(diagnostics)
    return program


def diagnose(
    definition: str | bytes | dict[str, Any], *, state_machine_type: MachineType = "STANDARD"
) -> list[Diagnostic]:
    """List everything found in a definition, errors and warnings. Never raises, whatever the definition is."""
    return _run(definition, state_machine_type)[1]


def _run(definition: object, machine_type: MachineType) -> tuple[Program | None, list[Diagnostic]]:
    try:
        document = read_document(definition)
    except UnreadableDefinitionError as error:
        return None, [error.diagnostic]
    findings = Findings(list(document.warnings))
    with _uncollected():
        program = _Compiler(findings, express=machine_type == "EXPRESS").machine(document.root)
    failed = any(diagnostic.severity == "ERROR" for diagnostic in findings.diagnostics)
    return (None if failed else program), findings.diagnostics


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector out: all that is made here stays, and looking through it again and again doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(slots=True)
class _Compiler:
    """Compiles one state machine. ``express``: whether the states being compiled run in an Express execution."""

    findings: Findings
    express: bool
    graphs: list[Graph | None] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # of all states, with their pointers

    def machine(self, root: dict[str, Any]) -> Program | None:
        reader = Reader(root, "", self.findings)
        reader.check_fields(schema.MACHINE)
        language = reader.choice("QueryLanguage", "JSONPath", "JSONata") or "JSONPath"
        version = reader.text("Version")
        if version not in (None, "1.0"):
            reader.error("The field 'Version' should have one of these values: [1.0]", "Version")
        comment = reader.text("Comment")
        timeout = reader.integer("TimeoutSeconds", 1, durations.MAX_SECONDS)
        self.graph(Reader(root, "", self.findings, jsonata=language == "JSONata"))
        return Program(
            graphs=tuple(graph for graph in self.graphs if graph is not None),
            timeout_seconds=timeout,
            comment=comment,
            query_language="JSONata" if language == "JSONata" else "JSONPath",
            variable_references={state: tuple(sorted(names)) for state, names in self.findings.references.items()},
        )

    def graph(self, reader: Reader) -> int:
        """Compile ``StartAt`` and ``States`` of the root, a branch or a processor; return the graph's index."""
        index = len(self.graphs)
        self.graphs.append(None)  # keeps the place: the graphs inside come after the one that holds them
        start = reader.text("StartAt")
        found = reader.object("States")
        states: dict[str, State] = {}
        steps: dict[str, Step] = {}
        for name, data in (found or {}).items():
            location = reader.at("States", name)
            self.check_name(reader, name, location)
            if not isinstance(data, dict):
                reader.error("Expected value of type Object", "States", name)
                steps[name] = Step(location, [], terminal=True)
                continue
            inner = Reader(data, location, self.findings, reader.jsonata, name)
            state = self.state(inner, root_is_jsonata=reader.jsonata)
            if state is not None:
                states[name] = state
            steps[name] = _step(inner)
        if found == {}:
            reader.error("Value cannot be empty", "States")
        if found:
            first = None if start is None else Transition(start, "StartAt", reader.at("StartAt"))
            self.findings.diagnostics.extend(check_flow(first, steps, reader.at("States")))
        self.graphs[index] = Graph(start or "", states)
        return index

    def check_name(self, reader: Reader, name: str, location: str) -> None:
        if not name:
            reader.error("The name of a state cannot be empty", "States", name)
        elif len(name) > MAX_STATE_NAME:
            reader.error(f"The name of a state has at most {MAX_STATE_NAME} characters", "States", name)
        if name in self.names:
            reader.error(
                f"Duplicate State name: {name}, which is also at {self.names[name]}",
                "States",
                name,
                code="DUPLICATE_STATE_NAME",
            )
        self.names.setdefault(name, location)

    def state(self, reader: Reader, *, root_is_jsonata: bool) -> State | None:
        kind = reader.data.get("Type")
        if not isinstance(kind, str) or kind not in schema.STATES:
            if "Type" in reader.data:
                reader.choice("Type", *schema.STATE_TYPES)
            else:
                reader.error("These fields are required: [Type]")
            return None
        language = reader.choice("QueryLanguage", "JSONPath", "JSONata")
        if language == "JSONPath" and root_is_jsonata:
            reader.error("'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine")
        if language == "JSONata" and not root_is_jsonata:
            reader = Reader(reader.data, reader.location, reader.findings, jsonata=True, state=reader.state)
        reader.check_fields(schema.STATES[kind])
        reader.text("Comment")
        build: Callable[[Reader, dict[str, Any], bool], State | None] = getattr(self, f"_{kind.lower()}")
        return build(reader, self.common(reader), root_is_jsonata)

    def common(self, reader: Reader) -> dict[str, Any]:
        """Read what all states share."""
        following = None
        if "Next" in schema.STATES[reader.data["Type"]].both:
            following = reader.text("Next", empty=False)
            end = reader.boolean("End")
            if following is not None and end:
                reader.error("A state has either a Next or an End, not both")
            elif "Next" not in reader.data and not end:
                reader.error("A state needs a Next, or 'End': true")
        return {
            "name": reader.state,
            "next": following,
            "pointer": reader.location,
            "jsonata": reader.jsonata,
            "input_path": None if reader.jsonata else reader.filter_path("InputPath"),
            "output_path": None if reader.jsonata else reader.filter_path("OutputPath"),
            "assign": self.assign(reader),
            "output": reader.template("Output") if reader.jsonata else None,
        }

    def assign(self, reader: Reader) -> Expr | None:
        values = reader.object("Assign")
        for key in values or ():
            name = key if reader.jsonata else key.removesuffix(".$")
            if not _VARIABLE.fullmatch(name):
                reader.error(
                    f"'{name}' is no name for a variable: letters, digits and '_', no digit first, at most 80", "Assign"
                )
            elif name == "states" and reader.jsonata:
                reader.error("A variable cannot be called 'states', which JSONata keeps for itself", "Assign")
        return None if values is None else reader.template("Assign")

    # One method per state type: (reader, common fields, whether JSONata is set around it) -> state.

    def _pass(self, reader: Reader, common: dict[str, Any], _root: bool) -> State:
        if reader.jsonata:
            return PassState(**common)
        return PassState(
            **common,
            result=constant(reader.data["Result"]) if "Result" in reader.data else None,
            arguments=reader.template("Parameters"),
            result_path=reader.result_path(),
        )

    def _succeed(self, reader: Reader, common: dict[str, Any], _root: bool) -> State:
        del reader
        return SucceedState(**common)

    def _fail(self, reader: Reader, common: dict[str, Any], _root: bool) -> State:
        return FailState(**common, error=self.fail_text(reader, "Error"), cause=self.fail_text(reader, "Cause"))

    def fail_text(self, reader: Reader, name: str) -> Expr | None:
        if reader.jsonata:
            text = reader.text(name)
            if text is None:
                return None
            return reader.jsonata_template(name, jsonata.text) if reader.is_expression(text) else constant(text)
        if reader.only_one_of(name, f"{name}Path") == f"{name}Path":
            return reader.text_path(f"{name}Path", _TEXT_FUNCTIONS)
        text = reader.text(name)
        return None if text is None else constant(text)

    def _wait(self, reader: Reader, common: dict[str, Any], _root: bool) -> State:
        forms = ("Seconds", "Timestamp") if reader.jsonata else ("Seconds", "Timestamp", "SecondsPath", "TimestampPath")
        given = reader.only_one_of(*forms)
        if given is None:
            reader.error(f"One of these fields is required: [{', '.join(forms)}]")
        timestamp = None
        if given == "Timestamp":
            timestamp = self.timestamp(reader)
        elif given == "TimestampPath" and (path := reader.path("TimestampPath")) is not None:
            timestamp = durations.timestamp_path(path, "TimestampPath")
        seconds = reader.seconds_field("Seconds", 0) if given in ("Seconds", "SecondsPath") else None
        return WaitState(**common, seconds=seconds, timestamp=timestamp)

    def timestamp(self, reader: Reader) -> Expr | None:
        text = reader.text("Timestamp")
        if text is None:
            return None
        if reader.is_expression(text):
            return reader.jsonata_template("Timestamp", jsonata.timestamp)
        seconds = parse_seconds(text)
        if seconds is None:
            reader.error("String does not match RFC3339 timestamp", "Timestamp")
            return None
        return constant(seconds)

    def _choice(self, reader: Reader, common: dict[str, Any], _root: bool) -> State:
        rules = [rule for inner in reader.objects("Choices") if (rule := self.choice_rule(inner)) is not None]
        return ChoiceState(**common, rules=tuple(rules), default=reader.text("Default", empty=False))

    def choice_rule(self, reader: Reader) -> ChoiceRule | None:
        following = reader.text("Next", empty=False)
        if reader.jsonata:
            reader.check_fields(schema.CHOICE_RULE)
            if "Condition" not in reader.data:
                reader.error("These fields are required: [Condition]")
                return None
            condition = self.condition(reader)
        else:
            if "Next" not in reader.data:
                reader.error("These fields are required: [Next]")
            reader.text("Comment")
            condition = self.test(reader, top=True)
        assign = self.assign(reader)
        output = reader.template("Output") if reader.jsonata else None
        if condition is None or following is None:
            return None
        return ChoiceRule(condition, following, assign, output)

    def condition(self, reader: Reader) -> Expr | None:
        value = reader.data["Condition"]
        if isinstance(value, bool):
            return constant(value)
        if not reader.is_expression(value):
            reader.error("A Condition is true, false or a JSONata expression in '{% %}'", "Condition")
            return None
        return reader.jsonata_template("Condition", jsonata.boolean)

    def test(self, reader: Reader, *, top: bool = False) -> Expr | None:
        """Compile one test: And, Or, Not around tests, or a comparison of a Variable."""
        data = reader.data
        given = [name for name in data if name in choice.OPERATORS or name in ("And", "Or", "Not")]
        allowed = {"Variable", "Comment", *given, *(("Next", "Assign") if top else ())}
        for name in data:
            if name not in allowed:
                reader.error("Field is not supported; this is no comparison operator", name)
        if len(given) != 1:
            found = ", ".join(given) or "none"
            reader.error(f"A rule needs exactly one comparison operator, or one of And, Or and Not, but has: {found}")
            return None
        name = given[0]
        if name == "Not":
            inner = reader.object("Not")
            rule = None if inner is None else self.test(reader.inner(inner, "Not"))
            return None if rule is None else choice.negation(rule)
        if name in ("And", "Or"):
            tests = [self.test(inner) for inner in reader.objects(name)]
            rules = tuple(rule for rule in tests if rule is not None)
            return choice.all_of(rules) if name == "And" else choice.any_of(rules)
        return self.comparison(reader, name)

    def comparison(self, reader: Reader, name: str) -> Expr | None:
        if "Variable" not in reader.data:
            reader.error("These fields are required: [Variable]")
            return None
        path = reader.path("Variable")
        if path is None:
            return None
        if name == "IsPresent":
            expected = reader.boolean(name)
            return None if expected is None else _presence(path, expected=expected)
        variable = paths.getter(path, _invalid_reference(path))
        if name in choice.TYPE_TESTS:
            expected = reader.boolean(name)
            return None if expected is None else choice.type_test(variable, name, expected=expected)
        if name == "StringMatches":
            pattern = reader.text(name)
            return None if pattern is None else choice.string_matches(variable, pattern)
        if name in choice.COMPARISONS:
            operand = reader.data[name]
            fits, expected_operand = choice.OPERANDS[choice.COMPARISONS[name][0]]
            if not fits(operand):
                reader.error(f"The field '{name}' must be {expected_operand}", name)
                return None
            return choice.comparison(variable, name, operand)
        other = reader.path(name)
        if other is None:
            return None
        return choice.path_comparison(
            variable, name.removesuffix("Path"), paths.getter(other, _invalid_reference(other))
        )

    def _task(self, reader: Reader, common: dict[str, Any], _root: bool) -> State | None:
        resource = self.resource(reader)
        timeout = reader.seconds_field("TimeoutSeconds", 1)
        heartbeat = reader.seconds_field("HeartbeatSeconds", 1)
        longest, beat = reader.data.get("TimeoutSeconds"), reader.data.get("HeartbeatSeconds")
        if isinstance(longest, int) and isinstance(beat, int) and beat >= longest:
            reader.error("The value must be smaller than TimeoutSeconds", "HeartbeatSeconds")
        work = self.work(reader)
        credentials = self.credentials(reader)
        if resource is None:
            return None
        return TaskState(
            **common,
            **work,
            arguments=reader.template("Arguments" if reader.jsonata else "Parameters"),
            resource=resource,
            timeout_seconds=timeout,
            heartbeat_seconds=heartbeat,
            credentials=credentials,
        )

    def resource(self, reader: Reader) -> TaskResource | None:
        text = reader.text("Resource")
        if text is None:
            return None
        resource = parse_resource(text)
        if resource is None:
            reader.error("Value is not a valid resource ARN", "Resource")
            return None
        if resource.kind == "service" and not is_known_integration(resource):
            reader.error(
                f"The resource provided {text} is not recognized. The value is not a valid resource ARN, "
                "or the resource is not available in this region.",
                "Resource",
            )
        if self.express and resource.kind == "activity":
            reader.error("Express state machine does not support Activity ARN", "Resource")
        if self.express and resource.pattern != "request_response":
            suffix = resource.pattern.partition(":")[0]
            # The blank at the end is AWS's.
            reader.error(f"Express state machine does not support '.{suffix}' service integration ", "Resource")
        return resource

    def credentials(self, reader: Reader) -> Expr | None:
        data = reader.data.get("Credentials")
        if isinstance(data, dict):
            inner = reader.inner(data, "Credentials")
            if not ("RoleArn" in data or (not reader.jsonata and "RoleArn.$" in data)):
                inner.error("The field 'RoleArn' is required but was missing")
                return None
            inner.check_fields(schema.CREDENTIALS)
        return reader.object_template("Credentials")

    def work(self, reader: Reader) -> dict[str, Any]:
        """Read what Task, Parallel and Map share."""
        return {
            "result_selector": None if reader.jsonata else reader.object_template("ResultSelector"),
            "result_path": None if reader.jsonata else reader.result_path(),
            "retry": self.retriers(reader),
            "catch": self.catchers(reader),
        }

    def retriers(self, reader: Reader) -> tuple[Retrier, ...]:
        retriers = []
        inners = list(reader.objects("Retry", empty=True))
        for inner in inners:
            inner.check_fields(schema.RETRIER)
            errors = self.error_names(inner, last=inner is inners[-1])
            interval = inner.integer("IntervalSeconds", 1, durations.MAX_SECONDS)
            longest = inner.integer("MaxDelaySeconds", 1, 31_622_400)
            if longest is not None and longest <= (interval or 1):
                inner.error("The value must be greater than IntervalSeconds", "MaxDelaySeconds")
            attempts = inner.integer("MaxAttempts", 0, 99_999_999)
            rate = inner.number("BackoffRate", 1, 99_999_999)
            retriers.append(
                Retrier(
                    errors,
                    interval_seconds=1 if interval is None else interval,
                    max_attempts=3 if attempts is None else attempts,
                    backoff_rate=2.0 if rate is None else float(rate),
                    max_delay_seconds=longest,
                    full_jitter=inner.choice("JitterStrategy", "FULL", "NONE") == "FULL",
                )
            )
        return tuple(retriers)

    def catchers(self, reader: Reader) -> tuple[Catcher, ...]:
        catchers = []
        inners = list(reader.objects("Catch", empty=True))
        for inner in inners:
            inner.check_fields(schema.CATCHER)
            catchers.append(
                Catcher(
                    self.error_names(inner, last=inner is inners[-1]),
                    inner.text("Next", empty=False) or "",
                    result_path=None if reader.jsonata else inner.result_path(),
                    assign=self.assign(inner),
                    output=inner.template("Output") if reader.jsonata else None,
                )
            )
        return tuple(catchers)

    def error_names(self, reader: Reader, *, last: bool) -> tuple[str, ...]:
        """Read ErrorEquals. ``States.ALL`` stands alone and last (ASL, "Errors")."""
        names = reader.array("ErrorEquals") or []
        for index, name in enumerate(names):
            if not isinstance(name, str):
                reader.error("Expected value of type String", "ErrorEquals", index)
        if "States.ALL" in names and len(names) > 1:
            reader.error("States.ALL must appear alone", "ErrorEquals")
        elif "States.ALL" in names and not last:
            reader.error(
                "States.ALL must be in the last element of the list, since it matches every error", "ErrorEquals"
            )
        return tuple(name for name in names if isinstance(name, str))

    def _parallel(self, reader: Reader, common: dict[str, Any], root: bool) -> State:
        branches = []
        for inner in reader.objects("Branches"):
            inner.check_fields(schema.BRANCH)
            branches.append(self.graph(self.nested(inner, root)))
        return ParallelState(
            **common,
            **self.work(reader),
            branches=tuple(branches),
            arguments=reader.template("Arguments" if reader.jsonata else "Parameters"),
        )

    def nested(self, reader: Reader, root_is_jsonata: bool) -> Reader:
        """Read inner states in the language of the whole state machine: a state's own language is its own alone."""
        return Reader(reader.data, reader.location, reader.findings, root_is_jsonata)

    def _map(self, reader: Reader, common: dict[str, Any], root: bool) -> State | None:
        name = reader.only_one_of("ItemProcessor", "Iterator")
        if name is None:
            reader.error("These fields are required: [ItemProcessor]")
        processor = None if name is None else reader.object(name)
        if name is None or processor is None:
            return None
        inner = reader.inner(processor, name)
        inner.check_fields(schema.PROCESSOR)
        config = inner.object("ProcessorConfig")
        configured = inner.inner(config or {}, "ProcessorConfig")
        configured.check_fields(schema.PROCESSOR_CONFIG)
        mode = configured.choice("Mode", "INLINE", "DISTRIBUTED") or "INLINE"
        execution_type = configured.choice("ExecutionType", "STANDARD", "EXPRESS")
        further = self.distributed(reader, configured, mode, execution_type)
        express, self.express = self.express, self.express or (mode == "DISTRIBUTED" and execution_type == "EXPRESS")
        index = self.graph(self.nested(inner, root))
        self.express = express
        return MapState(
            **common,
            **self.work(reader),
            processor=index,
            items=self.items(reader) or _input_items(reader.jsonata),
            item_selector=self.item_selector(reader),
            max_concurrency=reader.number_field("MaxConcurrency", 0, durations.MAX_SECONDS, durations.count_path),
            tolerated_failure_count=reader.number_field(
                "ToleratedFailureCount", 0, durations.MAX_SECONDS, durations.count_path
            ),
            tolerated_failure_percentage=reader.number_field(
                "ToleratedFailurePercentage", 0, 100, durations.percentage_path, fraction=True
            ),
            distributed=further,
        )

    def items(self, reader: Reader) -> Expr | None:
        if not reader.jsonata:
            path = reader.path("ItemsPath")
            return None if path is None else _items_at(path)
        if "Items" not in reader.data:
            return None
        value = reader.data["Items"]
        if not isinstance(value, (list, dict)) and not reader.is_expression(value):
            reader.error("Items is an array, or a JSONata expression in '{% %}' that makes one", "Items")
            return None
        return reader.jsonata_template("Items", jsonata.array)

    def item_selector(self, reader: Reader) -> Expr | None:
        if reader.jsonata:
            return reader.template("ItemSelector")
        name = reader.only_one_of("ItemSelector", "Parameters")
        return None if name is None else reader.object_template(name)

    def distributed(
        self, reader: Reader, config: Reader, mode: str, execution_type: str | None
    ) -> Mapping[str, Any] | None:
        """Read what only a Map with Mode DISTRIBUTED has (distributed.py); None for one with Mode INLINE."""
        if mode != "DISTRIBUTED":
            for name in ("ItemReader", "ItemBatcher", "ResultWriter", "Label"):
                if name in reader.data:
                    reader.error("Field is supported only when the ItemProcessor's Mode is DISTRIBUTED", name)
            return None
        if self.express:
            config.error("Express state machine does not support Mode DISTRIBUTED", "Mode")
        if execution_type is None:
            config.error("The field 'ExecutionType' is required when Mode is DISTRIBUTED")
        return distributed.fields(reader, execution_type)


def _step(reader: Reader) -> Step:
    """Say where a state leads, as far as its fields can be read at all."""
    data = reader.data
    transitions: list[Transition] = []

    def leads(holder: dict[str, Any], name: str, location: str) -> None:
        target = holder.get(name)
        if isinstance(target, str) and target:
            transitions.append(Transition(target, name, location + pointer(name)))

    leads(data, "Next", reader.location)
    leads(data, "Default", reader.location)
    for name in ("Choices", "Catch"):
        rules = data.get(name)
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(rule, dict):
                leads(rule, "Next", reader.at(name, index))
    kind = data.get("Type")
    known = isinstance(kind, str) and kind in schema.STATES
    # A state that has no way on has been reported for that; it counts as an end so that it is not reported twice.
    terminal = not known or kind in ("Succeed", "Fail") or data.get("End") is True or not transitions
    return Step(reader.location, transitions, terminal)


def _presence(path: paths.Path, *, expected: bool) -> Expr:
    get = paths.getter(path, _invalid_reference(path))
    definite = path.keys is not None

    def present(data: Json, env: Env) -> bool:
        try:
            value = get(data, env)
        except Failure:
            return not expected
        return (definite or value != []) is expected

    return present


def _invalid_reference(path: paths.Path) -> paths.Missing:
    def missing(_data: Json, _env: Env) -> Failure:
        return Failure(
            "States.Runtime",
            f"Invalid path '{path.text}': The choice state's condition path references an invalid value.",
        )

    return missing


def _items_at(path: paths.Path) -> Expr:
    get = paths.getter(path, paths.invalid_path(path))

    def items(data: Json, env: Env) -> list[Any]:
        value = get(data, env)
        if not isinstance(value, list):
            text = path.text.removeprefix("$") if path.root == "$$" else path.text  # as AWS writes it
            raise Failure("States.Runtime", f'Reference path "{text}" must point to array.')
        return value

    return items


def _input_items(jsonata_state: bool) -> Expr:
    if not jsonata_state:
        return _items_at(paths.parse("$"))

    def items(_data: Json, env: Env) -> list[Any]:
        if not isinstance(env.input, list):
            raise Failure(
                "States.QueryEvaluationError", f"Map state input must be an array but was: {to_text(env.input)}"
            )
        return env.input

    return items
