"""What can be reached from a state, and how deep values are nested."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.graphs import deeper_than, starting_at, states

MACHINE: dict[str, Any] = {
    "StartAt": "first",
    "TimeoutSeconds": 9,
    "States": {
        "first": {"Type": "Task", "Next": "choose", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "caught"}]},
        "choose": {
            "Type": "Choice",
            "Choices": [{"Next": "left"}, {"And": [{"Next": "not a transition"}], "Next": "right"}],
            "Default": "other",
        },
        "left": {"Type": "Pass", "Next": "done"},
        "right": {
            "Type": "Parallel",
            "Branches": [{"StartAt": "in", "States": {"in": {"Type": "Pass"}}}],
            "Next": "done",
        },
        "other": {"Type": "Wait", "Next": "choose"},
        "caught": {"Type": "Fail"},
        "done": {"Type": "Succeed"},
    },
}


@pytest.mark.parametrize(
    ("start_at", "kept"),
    [
        pytest.param("first", list(MACHINE["States"]), id="from the start: all"),
        pytest.param("choose", ["choose", "left", "right", "other", "done"], id="rules, Default, and back again"),
        pytest.param("right", ["right", "done"], id="Next"),
        pytest.param("caught", ["caught"], id="the end"),
    ],
)
def test_what_cannot_be_reached_is_left_out(start_at: str, kept: list[str]) -> None:
    machine = starting_at(MACHINE, start_at)

    assert machine == {
        "StartAt": start_at,
        "TimeoutSeconds": 9,
        "States": {name: MACHINE["States"][name] for name in kept},
    }


def test_a_catcher_is_a_way_on() -> None:
    assert "caught" in starting_at(MACHINE, "first")["States"]
    assert MACHINE["StartAt"] == "first"


@given(st.data())
def test_beginning_again_later_leaves_what_beginning_there_at_once_does(data: st.DataObject) -> None:
    """So that a workflow resumed from a resumed one runs the state machine that its name says."""
    names = [str(number) for number in range(6)]
    nexts = data.draw(st.lists(st.sampled_from(names), min_size=6, max_size=6))
    catches = data.draw(st.lists(st.sampled_from(names), min_size=6, max_size=6))
    machine = {
        "States": {
            name: {"Type": "Task", "Next": after, "Catch": [{"Next": caught}]}
            for name, after, caught in zip(names, nexts, catches, strict=True)
        }
    }
    first = starting_at(machine, data.draw(st.sampled_from(names)))
    second = data.draw(st.sampled_from(sorted(first["States"])))

    assert starting_at(first, second) == starting_at(machine, second)


def test_states_are_told_with_their_places() -> None:
    machine = {
        "States": {
            "a/b": {"Type": "Parallel", "Branches": [{}, {"States": {"c": {"Type": "Pass"}}}]},
            "m~": {"Type": "Map", "ItemProcessor": {"States": {"d": {"Type": "Pass"}}}},
            "odd": 1,
        }
    }

    assert [(at, name) for at, name, _ in states(machine)] == [
        ("/States/a~1b", "a/b"),
        ("/States/m~0", "m~"),
        ("/States/a~1b/Branches/1/States/c", "c"),
        ("/States/m~0/ItemProcessor/States/d", "d"),
    ]


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


@pytest.mark.parametrize(
    ("depth", "limit", "answer"),
    [(0, 0, False), (1, 0, True), (5, 5, False), (6, 5, True), (3000, 200, True)],
)
def test_depth(depth: int, limit: int, answer: bool) -> None:
    value = nested(depth)

    assert deeper_than(value, limit) is answer
    while isinstance(value, (dict, list)):  # taken apart here, for freeing it at one go would recurse
        value = value.pop("x") if isinstance(value, dict) else value.pop()
