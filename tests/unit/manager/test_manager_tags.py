"""Tags of users are texts; tags of state machines obey AWS's limits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.naming import Identity
from workflow_manager.manager.tags import checked, state_machine_tags
from workflow_manager.model.errors import InvalidRequest

IDENTITY = Identity(namespace="ns", definition="d:master", version=2, start_at="echo")


def test_tags_that_are_texts_are_taken() -> None:
    assert checked({"team": "a", "": ""}, "tags") == {"team": "a", "": ""}


def test_every_tag_that_is_no_text_is_named_by_its_pointer() -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked({"fine": "x", "a/b": 1, "c": None, "d": {}, "e": [], "f": True}, "tags")

    assert [fault["location"] for fault in refused.value.details["faults"]] == [
        "/tags/a~1b",
        "/tags/c",
        "/tags/d",
        "/tags/e",
        "/tags/f",
    ]
    assert "/tags/a~1b: the value of tag 'a/b' is a number; write it as text" in refused.value.message


def test_a_state_machine_says_whose_it_is() -> None:
    assert state_machine_tags(IDENTITY, "production", {"team": "a"}) == {
        "application": "workflow-manager",
        "environment": "production",
        "workflow-definition-name": "d:master",
        "workflow-definition-version": "2",
        "workflow-definition-start-at": "echo",
        "team": "a",
    }


@pytest.mark.parametrize(
    ("given_tags", "expected"),
    [
        pytest.param({"a#b": "c%d"}, {"a_b": "c_d"}, id="characters that AWS refuses"),
        pytest.param({"aws:x": "y", "AWS:z": "y"}, {}, id="keys that are AWS's own"),
        pytest.param({"application": "mine"}, {}, id="keys that are ours"),
        pytest.param({"": "x"}, {}, id="no key at all"),
        pytest.param({"k" * 200: "v" * 300}, {"k" * 128: "v" * 256}, id="too long"),
        pytest.param({"a#": "1", "a%": "2"}, {"a_": "1"}, id="keys that become the same"),
    ],
)
def test_default_tags_are_made_to_fit(given_tags: dict[str, str], expected: dict[str, str]) -> None:
    ours = state_machine_tags(IDENTITY, "", {})

    assert state_machine_tags(IDENTITY, "", given_tags) == {**ours, **expected}


@given(st.dictionaries(st.text(max_size=200), st.text(max_size=300), max_size=80), st.text(max_size=300))
def test_whatever_the_tags_aws_takes_them(default_tags: dict[str, str], environment: str) -> None:
    tags = state_machine_tags(IDENTITY, environment, default_tags)

    assert len(tags) <= 50
    for key, value in tags.items():
        assert key is not None
        assert value is not None
        assert re.fullmatch(r"[\w\s.:/=+\-@]{1,128}", key)
        assert re.fullmatch(r"[\w\s.:/=+\-@]{0,256}", value)
        assert not key.lower().startswith("aws:")
    assert tags["application"] == "workflow-manager"
