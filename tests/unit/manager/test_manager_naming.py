"""State machine names: ``{namespace}--{definition}--{version}--{startAt}`` within what Step Functions allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.manager.naming import (
    FORBIDDEN,
    NAME_LENGTH,
    Arns,
    Identity,
    ManagerSettings,
    state_machine_name,
    unambiguous_name,
)

identities = st.builds(
    Identity,
    namespace=st.text(max_size=60),
    definition=st.text(max_size=120),
    version=st.integers(0, 2**40),
    start_at=st.text(max_size=90),
)


@pytest.mark.parametrize(
    ("definition", "start_at", "name"),
    [
        pytest.param("sfncli-test", "echo", "ns--sfncli-test--3--echo", id="plain"),
        pytest.param("sfncli-test:master", "echo", "ns--sfncli-test-master--3--echo", id="a colon becomes a hyphen"),
        pytest.param("d", 'a <b>{c}[d]?*"#%\\^|~`$&,;:/', f"ns--d--3--a--b--c--d{'-' * 17}", id="all of them"),
        pytest.param("é", "ü", "ns--é--3--ü", id="letters beyond ASCII are allowed"),
        pytest.param("d\x07", "e\x9f", "ns--d---3--e-", id="control characters are not"),
    ],
)
def test_the_form_of_names(definition: str, start_at: str, name: str) -> None:
    identity = Identity(namespace="ns", definition=definition, version=3, start_at=start_at)

    assert state_machine_name(identity) == name


def test_eighty_characters_are_kept_and_eighty_one_are_shortened() -> None:
    fits = Identity(namespace="n", definition="d" * 67, version=0, start_at="start")
    longer = Identity(namespace="n", definition="d" * 68, version=0, start_at="start")

    assert state_machine_name(fits) == f"n--{'d' * 67}--0--start"
    assert len(state_machine_name(longer)) == NAME_LENGTH
    assert state_machine_name(longer).startswith("n--ddd")


@given(identities)
def test_every_name_is_one_that_step_functions_takes(identity: Identity) -> None:
    for name in (state_machine_name(identity), unambiguous_name(identity)):
        assert 1 <= len(name) <= NAME_LENGTH
        assert not FORBIDDEN.search(name)


@given(identities, identities)
def test_different_identities_have_different_unambiguous_names(one: Identity, other: Identity) -> None:
    assert (unambiguous_name(one) == unambiguous_name(other)) == (one == other)


@given(st.text(alphabet="ab", max_size=3), st.text(alphabet="ab", max_size=3))
def test_long_names_that_begin_alike_stay_apart(one: str, other: str) -> None:
    names = {
        end: state_machine_name(Identity(namespace="n", definition="d" * 100 + end, version=0, start_at="s"))
        for end in (one, other)
    }

    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("ns", "a:b"), ("ns", "a-b"), id="characters that become the same"),
        pytest.param(("ns--a", "b"), ("ns", "a--b"), id="separators within the parts"),
    ],
)
def test_names_that_coincide_have_unambiguous_ones(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = (
        Identity(namespace=namespace, definition=definition, version=0, start_at="s")
        for namespace, definition in (one, other)
    )

    assert state_machine_name(first) == state_machine_name(second)
    assert unambiguous_name(first) != unambiguous_name(second)


def test_arns_are_of_the_settings_place() -> None:
    arns = Arns(ManagerSettings(region="eu-west-1", account_id="123456789012", partition="aws-cn"))

    assert arns.state_machine("m") == "arn:aws-cn:states:eu-west-1:123456789012:stateMachine:m"
    assert arns.execution("m", "e") == "arn:aws-cn:states:eu-west-1:123456789012:execution:m:e"
    assert arns.activity("a") == "arn:aws-cn:states:eu-west-1:123456789012:activity:a"
    assert arns.function("f") == "arn:aws-cn:lambda:eu-west-1:123456789012:function:f"
    assert arns.glue_start_job_run == "arn:aws-cn:states:::glue:startJobRun.sync"
