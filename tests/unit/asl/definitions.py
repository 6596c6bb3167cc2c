"""Strategies that draw JSON, and definitions that are almost right."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from workflow_manager.asl import schema

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)

TEXTS = st.sampled_from(
    [
        "A",
        "B",
        "$",
        "$.a[0].b",
        "$.a[*]",
        "$$.State.Name",
        "$v.a",
        "$..x",
        "$[",
        "States.Format('{}', $.a)",
        "States.Array(",
        "States.ArrayRange(0, 5, 1)",
        "{% $states.input %}",
        "{% 1 + %}",
        "{% [1..3] %}",
        "States.ALL",
        "2016-08-18T17:33:00Z",
        "arn:aws:states:us-east-1:123456789012:activity:a",
        "arn:aws:states:::states:startExecution.sync:2",
        "JSONata",
        "INLINE",
        "DISTRIBUTED",
        "FULL",
    ]
)
FIELDS = sorted({name for fields in schema.STATES.values() for name in fields.both | fields.jsonpath | fields.jsonata})
INNER = sorted(
    {
        *schema.RETRIER.both,
        *schema.CATCHER.both,
        *schema.PROCESSOR.both,
        *schema.ITEM_READER.both,
        "Variable",
        "StringEquals",
        "NumericLessThanPath",
        "IsPresent",
        "StringMatches",
        "And",
        "Not",
        "Condition",
        "x.$",
        "Mode",
    }
)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-1, 100) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def machines(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """Draw a machine whose states have the fields of their type, holding things that could be meant for them."""
    states = {name: draw(states_of(depth)) for name in draw(st.sets(st.sampled_from("ABC"), min_size=1))}
    return {
        "StartAt": draw(st.sampled_from("ABC")),
        "States": states,
        **draw(st.dictionaries(st.sampled_from(["QueryLanguage", "TimeoutSeconds", "Comment"]), VALUES, max_size=2)),
    }


@st.composite
def states_of(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(schema.STATE_TYPES))
    names = sorted(schema.STATES[kind].both | schema.STATES[kind].jsonpath | schema.STATES[kind].jsonata)
    state = {name: draw(VALUES) for name in draw(st.sets(st.sampled_from(names), max_size=5))}
    if kind == "Parallel" and depth:
        state["Branches"] = draw(st.lists(machines(depth=depth - 1), max_size=2))
    if kind == "Map" and depth:
        state["ItemProcessor"] = draw(machines(depth=depth - 1))
    return {**state, "Type": kind, **({} if "Next" in state else {"End": True})}


# Definitions that are right: chains of states, every field of which holds something that it may hold.

PATHS = st.sampled_from(
    ["$", "$.a", "$.a[0].b", "$['a'][-1]", "$.a[*]", "$$.State.Name", "$v.a", "$v.a[1]", "$..b", "$.a[?(@.b == 1)]"]
)
REFERENCES = st.sampled_from(["$.a", "$.r", "$.a[0].b", "$.x.y.z", "$['o p']"])
CALLS = st.sampled_from(
    [
        "States.Array($.a, $$.State)",
        "States.ArrayPartition($.a, 2)",
        "States.ArrayGetItem($.a, 0)",
        "States.Format('{} {}', $.a, States.UUID())",
        "States.MathRandom(1, $.n)",
        "States.StringToJson($.a)",
        "States.JsonToString($)",
        "States.JsonMerge($, $v, false)",
    ]
)
TEMPLATES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({"k": inner}, optional={"x.$": PATHS | CALLS, "y.$": PATHS, "z": inner})
    ),
    max_leaves=6,
)
OBJECT_TEMPLATES = st.fixed_dictionaries({}, optional={"x.$": PATHS | CALLS, "k": TEMPLATES})
EXPRESSIONS = st.sampled_from(
    [
        "{% $states.input %}",
        "{% $states.input.a[0].b %}",
        "{% $states.context.State.Name & 'x' %}",
        "{% $map($states.input.a, function($i){ $i }) %}",
        "{% $v.a[0] + 1 %}",
        "{% $nothing %}",
        "{% $states.input.*.b %}",
        "{% $range(0, 4, 2) %}",
        "{% $states.input ~> $string %}",
        "{% $sort($states.input.a) %}",
        "{% $uuid() & $now() & $random() %}",
        "{% $append($states.input.a, 1) %}",
        "{% $merge([$states.input, {'a': 2}]) %}",
    ]
)
JSONATA = st.recursive(
    SCALARS | EXPRESSIONS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
FILTERS = {"InputPath": PATHS | st.none(), "OutputPath": PATHS | st.none()}
ASSIGN = {"Assign": st.fixed_dictionaries({}, optional={"v.$": PATHS | CALLS, "w": TEMPLATES})}
RESULT = {"ResultPath": REFERENCES | st.sampled_from(["$", None]), "ResultSelector": OBJECT_TEMPLATES}
TESTS = st.recursive(
    st.builds(
        lambda path, test: {"Variable": path, **test},
        PATHS,
        st.sampled_from(
            [
                {"StringEquals": "x"},
                {"NumericGreaterThanEqualsPath": "$.a"},
                {"TimestampLessThanPath": "$.a"},
                {"TimestampEquals": "2016-08-18T17:33:00Z"},
                {"BooleanEquals": True},
                {"StringMatches": "*a*"},
                {"IsPresent": True},
                {"IsTimestamp": False},
            ]
        ),
    ),
    lambda inner: (
        st.builds(lambda test: {"Not": test}, inner)
        | st.builds(
            lambda name, tests: {name: tests}, st.sampled_from(["And", "Or"]), st.lists(inner, min_size=1, max_size=3)
        )
    ),
    max_leaves=4,
)
TASK = {"Type": st.just("Task"), "Resource": st.just("arn:aws:states:us-east-1:123456789012:activity:a")}
RIGHT_STATES: dict[str, list[st.SearchStrategy[dict[str, Any]]]] = {
    "JSONPath": [
        st.fixed_dictionaries(
            {"Type": st.just("Pass")},
            optional={**FILTERS, **ASSIGN, "Parameters": TEMPLATES, "ResultPath": RESULT["ResultPath"], "Result": JSON},
        ),
        st.fixed_dictionaries(TASK, optional={**FILTERS, **ASSIGN, **RESULT, "TimeoutSecondsPath": PATHS}),
        st.fixed_dictionaries({"Type": st.just("Wait"), "SecondsPath": PATHS}, optional=FILTERS),
        st.fixed_dictionaries({"Type": st.just("Wait"), "TimestampPath": PATHS}, optional=FILTERS),
        st.builds(lambda test: {"Type": "Choice", "Choices": [{**test, "Next": "End"}], "Default": "End"}, TESTS),
        st.fixed_dictionaries(
            {
                "Type": st.just("Map"),
                "ItemProcessor": st.just({"StartAt": "In", "States": {"In": {"Type": "Succeed"}}}),
            },
            optional={
                **FILTERS,
                **ASSIGN,
                **RESULT,
                "ItemsPath": PATHS,
                "ItemSelector": OBJECT_TEMPLATES,
                "MaxConcurrencyPath": PATHS,
                "ToleratedFailurePercentagePath": PATHS,
            },
        ),
    ],
    "JSONata": [
        st.fixed_dictionaries(
            {"Type": st.just("Pass")},
            optional={"Output": JSONATA, "Assign": st.dictionaries(st.sampled_from("vw"), JSONATA)},
        ),
        st.fixed_dictionaries(TASK, optional={"Arguments": JSONATA, "Output": JSONATA, "TimeoutSeconds": EXPRESSIONS}),
        st.fixed_dictionaries({"Type": st.just("Wait"), "Timestamp": EXPRESSIONS}),
        st.builds(
            lambda test: {"Type": "Choice", "Choices": [{"Condition": test, "Next": "End"}], "Default": "End"},
            EXPRESSIONS,
        ),
        st.fixed_dictionaries(
            {
                "Type": st.just("Map"),
                "ItemProcessor": st.just({"StartAt": "In", "States": {"In": {"Type": "Succeed"}}}),
            },
            optional={"Items": EXPRESSIONS, "ItemSelector": JSONATA, "MaxConcurrency": EXPRESSIONS},
        ),
    ],
}


@st.composite
def right_machines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a machine of one state and an end, with nothing wrong in it."""
    language = draw(st.sampled_from(sorted(RIGHT_STATES)))
    state = draw(st.one_of(RIGHT_STATES[language]))
    following = {} if state["Type"] == "Choice" else {"Next": "End"}
    return {
        "StartAt": "S",
        "QueryLanguage": language,
        "States": {"S": {**state, **following}, "End": {"Type": "Succeed"}},
    }
