"""Diagrams: the graph of a definition, where its parts stand, how it is written, and what is different between two."""

from __future__ import annotations

import copy
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.diagrams.conditions import condition
from workflow_manager.diagrams.difference import Difference, differences
from workflow_manager.diagrams.dot import dot
from workflow_manager.diagrams.graph import Edge, graph_of
from workflow_manager.diagrams.layout import Drawing, lay_out
from workflow_manager.diagrams.mermaid import mermaid
from workflow_manager.diagrams.outline import text
from workflow_manager.diagrams.svg import svg

ORDER: dict[str, Any] = {
    "StartAt": "check",
    "States": {
        "check": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericGreaterThan": 5, "Next": "fan"},
                {"Variable": "$.later", "BooleanEquals": True, "Next": "wait"},
            ],
            "Default": "bad",
        },
        "wait": {"Type": "Wait", "Seconds": 3, "Next": "check"},
        "fan": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "a", "End": True}}},
                {
                    "StartAt": "map",
                    "States": {
                        "map": {
                            "Type": "Map",
                            "ItemProcessor": {"StartAt": "b", "States": {"b": {"Type": "Pass", "End": True}}},
                            "End": True,
                        }
                    },
                },
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "bad"}],
            "Next": "done",
        },
        "done": {"Type": "Succeed"},
        "bad": {"Type": "Fail", "Error": "E"},
    },
}


def with_(change: Any) -> dict[str, Any]:
    """ORDER, changed."""
    machine = copy.deepcopy(ORDER)
    change(machine)
    return machine


# ---------------------------------------------------------------------------------------------- the graph


def test_every_state_is_a_node_and_every_transition_an_edge() -> None:
    graph = graph_of(ORDER)

    assert [node.id for node in graph.walk()] == [
        "check",
        "wait",
        "fan",
        "fan/branch 1/a",
        "fan/branch 2/map",
        "fan/branch 2/map/each item/b",
        "done",
        "bad",
    ]
    assert graph.start == "check"
    assert graph.edges == (
        Edge("check", "fan", "choice", "$.n > 5"),
        Edge("check", "wait", "choice", "$.later = true"),
        Edge("check", "bad", "default"),
        Edge("wait", "check", "next"),
        Edge("fan", "done", "next"),
        Edge("fan", "bad", "catch", "States.ALL"),
    )
    assert [node.name for node in graph.walk() if node.ends] == ["a", "map", "b", "done", "bad"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"Variable": "$.a", "StringEquals": "x"}, '$.a = "x"'),
        ({"Variable": "$.a", "NumericLessThanEqualsPath": "$.b"}, "$.a <= $.b"),
        ({"Variable": "$.a", "TimestampGreaterThanEquals": "2024-01-01T00:00:00Z"}, '$.a >= "2024-01-01T00:00:00Z"'),
        ({"Variable": "$.a", "StringMatches": "a*"}, '$.a matches "a*"'),
        ({"Variable": "$.a", "IsPresent": True}, "$.a is present"),
        ({"Variable": "$.a", "IsNull": False}, "$.a is not null"),
        ({"Not": {"Variable": "$.a", "IsNull": True}}, "not $.a is null"),
        (
            {"And": [{"Variable": "$.a", "IsNull": True}, {"Or": [{"Variable": "$.b", "IsNull": True}]}]},
            "$.a is null and ($.b is null)",
        ),
        ({"Condition": "{% $states.input.n > 5 %}"}, "$states.input.n > 5"),
        ({"Condition": f"{{% {'a' * 99} %}}"}, f"{'a' * 59}…"),
        ({"Next": "x"}, ""),
        ({"And": ["?"]}, "…"),
    ],
)
def test_a_condition_is_said_shortly(rule: dict[str, Any], said: str) -> None:
    assert condition(rule) == said


# ---------------------------------------------------------------------------------------------- where things stand


def boxes_of(drawing: Drawing) -> dict[str, tuple[float, float, float, float]]:
    return {box.node.id: (box.x, box.y, box.x + box.width, box.y + box.height) for box in drawing.boxes}


def test_what_follows_stands_below() -> None:
    places = boxes_of(lay_out(graph_of(ORDER)))

    assert places["check"][3] < places["fan"][1] < places["fan"][3] < places["done"][1]
    assert places["check"][3] < places["wait"][1]


def check_layout(drawing: Drawing) -> None:
    """No two boxes overlap, everything lies inside, every edge leads from its source's border to its target's."""
    places = boxes_of(drawing)
    for name, (left, top, right, bottom) in places.items():
        assert left >= 0, name
        assert top >= 0, name
        assert right <= drawing.width, name
        assert bottom <= drawing.height, name
        for other, (left2, top2, right2, bottom2) in places.items():
            apart = right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            assert name == other or apart, (name, other)
    for path in drawing.paths:
        for (x, y), end in ((path.points[0], path.edge.source), (path.points[-1], path.edge.target)):
            left, top, right, bottom = places[end]
            if path.edge.source == path.edge.target:  # a loop at the right border
                assert (x, top <= y <= bottom) == (pytest.approx(right), True), path.edge
            else:
                assert left <= x <= right, path.edge
                assert pytest.approx(y) in (top, bottom), path.edge
    for box in drawing.boxes:
        for inner in box.inner:
            assert inner.x >= 0
            assert inner.x + inner.width <= box.width
            assert inner.y + inner.height <= box.height
            check_layout(inner)


NAMES = [f"s{n}" for n in range(8)]


@st.composite
def machines(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """State machines with any transitions, backwards, to themselves and to nowhere, too."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True))
    target = st.sampled_from([*NAMES, "nowhere"])
    states: dict[str, Any] = {}
    for name in names:
        kind = draw(st.sampled_from(["Pass", "Choice", "Task", *(["Parallel", "Map"] if depth else [])]))
        state: dict[str, Any] = {"Type": kind, "Next": draw(target)}
        if kind == "Choice":
            state = {
                "Type": kind,
                "Choices": [{"Condition": "x", "Next": each} for each in draw(st.lists(target, max_size=3))],
            }
        elif kind == "Parallel":
            state["Branches"] = draw(st.lists(machines(depth - 1), max_size=2))
        elif kind == "Map":
            state["ItemProcessor"] = draw(machines(depth - 1))
        states[name] = state
    return {"StartAt": draw(target), "States": states}


@given(machine=machines())
def test_any_graph_is_laid_out_without_overlaps(machine: dict[str, Any]) -> None:
    check_layout(lay_out(graph_of(machine)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["States", "StartAt", "Type", "Next", "Choices", "Catch", "Branches", "Iterator", "Parallel", "a"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(machine=st.dictionaries(st.sampled_from(["States", "StartAt", "x"]), JSON))
def test_nothing_is_too_odd_to_be_drawn(machine: dict[str, Any]) -> None:
    graph = graph_of(machine)

    ET.fromstring(svg(graph))
    assert mermaid(graph)
    assert dot(graph)
    assert text(graph)
    assert differences(machine, machine) == []


def test_ten_thousand_states_that_all_lead_back_are_drawn() -> None:
    states = {
        f"s{n}": {"Type": "Choice", "Choices": [{"Condition": "x", "Next": "s0"}], "Default": f"s{n + 1}"}
        for n in range(10_000)
    }

    assert len(lay_out(graph_of({"StartAt": "s0", "States": states})).paths) == 19_999


# ---------------------------------------------------------------------------------------------- how it is written


def test_the_outline_tells_the_way() -> None:
    assert (
        text(graph_of(ORDER), {"check": "succeeded", "a": "failed"})
        == """\
✔ ▶ check  (Choice, succeeded)
  → fan  if $.n > 5
  → wait  if $.later = true
  → bad  otherwise
• fan  (Parallel)
  ┌ branch 1
    ✘ ▶ a  (Task, failed)
      ■ end
  ┌ branch 2
    • ▶ map  (Map)
      ┌ each item
        • ▶ b  (Pass)
          ■ end
      ■ end
  → done
  ⚠ bad  on States.ALL
• wait  (Wait)
  → check
• bad  (Fail)
  ■ end
• done  (Succeed)
  ■ end
"""
    )


def test_mermaid_has_subgraphs_and_colours() -> None:
    drawn = mermaid(graph_of(ORDER), {"a": "failed"})

    assert drawn.startswith("flowchart TD\n")
    for line in (
        '  s0{{"check (Choice)"}}',
        '  subgraph s2 ["fan (Parallel)"]',
        '    subgraph s2g0 ["branch 1"]',
        '  s0 -->|"if $.n #62; 5"| s2',
        '  s2 -.->|"on States.ALL"| s7',
        "  s1 --> s0",
        "  class s3 failed",
    ):
        assert f"{line}\n" in drawn


def test_dot_has_clusters_and_colours() -> None:
    drawn = dot(graph_of(ORDER), {"a": "failed"})

    for line in (
        "  subgraph cluster_s2_0 {",
        '    s3 [label="a\\nTask" fillcolor="#ef9a9a" peripheries=2]',
        '  s2 -> s7 [label="on States.ALL" style=dashed]',
        "  start -> s0",
    ):
        assert f"{line}\n" in drawn


def test_svg_has_every_state_with_its_status() -> None:
    root = ET.fromstring(svg(graph_of(ORDER), {"a": "failed"}))
    states = {each.get("data-state"): each.get("data-status") for each in root.iter() if each.get("class") == "state"}

    assert states == {"check": "", "wait": "", "fan": "", "a": "failed", "map": "", "b": "", "done": "", "bad": ""}


HOSTILE = ['"><script>alert(1)</script>', 'a"]; evil [label="', "x|y#;`\\n", "end", "\x00\ud800", "line\nbreak"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_only_names(name: str) -> None:
    graph = graph_of({"StartAt": name, "States": {name: {"Type": "Pass", "Next": "b"}, "b": {"Type": "Succeed"}}})

    root = ET.fromstring(svg(graph))
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    assert len(mermaid(graph).splitlines()) == 5
    for line in (*mermaid(graph).splitlines(), *dot(graph).splitlines()):
        assert line.replace('\\"', "").count('"') % 2 == 0
    assert len(text(graph).splitlines()) == 4


# ---------------------------------------------------------------------------------------------- differences


def rename(machine: dict[str, Any]) -> None:
    machine["States"]["fan"]["Branches"][0]["States"]["c"] = machine["States"]["fan"]["Branches"][0]["States"].pop("a")
    machine["States"]["fan"]["Branches"][0]["StartAt"] = "c"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda m: m.update(StartAt="fan"), [("transition", "changed", "", "StartAt", "check", "fan")], id="start"
        ),
        pytest.param(
            lambda m: m["States"]["wait"].update(Next="done"),
            [("transition", "changed", "wait", "then", "check", "done")],
            id="next",
        ),
        pytest.param(
            lambda m: m["States"]["check"]["Choices"].pop(1),
            [
                ("transition", "removed", "check", "if $.later = true", "wait", None),
                ("field", "removed", "check", "/Choices/1", {"Variable": "$.later", "BooleanEquals": True}, None),
            ],
            id="a choice is removed",
        ),
        pytest.param(
            lambda m: m["States"].update(extra={"Type": "Pass", "Next": "done"}),
            [("state", "added", "extra", "", None, "Pass")],
            id="a state is added, its transitions with it",
        ),
        pytest.param(
            rename,
            [
                ("state", "removed", "fan/branch 1/a", "", "Task", None),
                ("state", "added", "fan/branch 1/c", "", None, "Task"),
                ("transition", "changed", "fan/branch 1", "StartAt", "a", "c"),
            ],
            id="a state within a branch is renamed",
        ),
        pytest.param(
            lambda m: m["States"]["fan"]["Branches"][0]["States"]["a"].update(Resource="b", TimeoutSeconds=5),
            [
                ("field", "changed", "fan/branch 1/a", "/Resource", "a", "b"),
                ("field", "added", "fan/branch 1/a", "/TimeoutSeconds", None, 5),
            ],
            id="fields",
        ),
        pytest.param(
            lambda m: m["States"]["bad"].update(Error=1),
            [("field", "changed", "bad", "/Error", "E", 1)],
            id="another type",
        ),
        pytest.param(
            lambda m: m.update(TimeoutSeconds=9), [("field", "added", "", "/TimeoutSeconds", None, 9)], id="machine"
        ),
        pytest.param(
            lambda m: m["States"]["fan"].pop("Catch"),
            [
                ("transition", "removed", "fan", "on States.ALL", "bad", None),
                ("field", "removed", "fan", "/Catch", [{"ErrorEquals": ["States.ALL"]}], None),
            ],
            id="a catcher is removed",
        ),
        pytest.param(
            lambda m: m["States"].update(dict(reversed(m["States"].items()))), [], id="the order of states says nothing"
        ),
    ],
)
def test_differences(change: Any, told: list[tuple[Any, ...]]) -> None:
    assert differences(ORDER, with_(change)) == [Difference(*each) for each in told]


def test_one_is_true_is_not_one() -> None:
    assert differences({"A": 1}, {"A": True}) == [Difference("field", "changed", "", "/A", 1, True)]


@given(before=machines(), after=machines())
def test_there_are_differences_exactly_where_machines_differ(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Back and forth they are mirror images; what is told of a transition to nowhere may be nothing."""
    there, back = differences(before, after), differences(after, before)

    mirrored = {"added": "removed", "removed": "added", "changed": "changed"}
    assert sorted(json.dumps([d.kind, d.at, d.change]) for d in there if d.kind != "field") == sorted(
        json.dumps([d.kind, d.at, mirrored[d.change]]) for d in back if d.kind != "field"
    )
    assert differences(before, copy.deepcopy(before)) == []
