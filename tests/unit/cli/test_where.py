"""``--where``: what it asks for, and what it says of what it does not understand."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_manager.cli.exits import Problem
from workflow_manager.cli.where import PAGE, parse_where
from workflow_manager.model import WorkflowQuery, WorkflowStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
S = WorkflowStatus


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("status=failed", {"statuses": (S.FAILED,)}),
        ("status=queued|running", {"statuses": (S.QUEUED, S.RUNNING)}),
        ("definition=order:v1,namespace=prod", {"definition_name": "order:v1", "namespace": "prod"}),
        (" queue = nightly ", {"queue": "nightly"}),
        ("tag.team=billing,tag.x=a=b", {"tags": {"team": "billing", "x": "a=b"}}),
        (r"tag.x=a\,b\\c", {"tags": {"x": r"a,b\c"}}),
        ("resolved=false", {"resolved_by_user": False}),
        ("after=2d", {"created_after": NOW - timedelta(days=2)}),
        (
            "after=2026-03-01,before=1h",
            {"created_after": datetime(2026, 3, 1, tzinfo=UTC), "created_before": NOW - timedelta(hours=1)},
        ),
    ],
)
def test_what_is_asked_for(text: str, fields: dict[str, Any]) -> None:
    assert parse_where([text], NOW) == [WorkflowQuery(limit=PAGE, summary_only=True, **fields)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--where is empty"),
        (",", "--where is empty"),
        ("failed", "'failed' must be KEY=VALUE, for example status=failed"),
        ("status=", "'status=' must be KEY=VALUE"),
        ("status=done", "status=done: must be one of queued, running, succeeded, failed, cancelled"),
        ("definitions=x", "there is no key 'definitions'; did you mean definition?"),
        ("tag.=x", "there is no key 'tag.'"),
        ("zzz=1", "the keys are status, definition"),
        ("resolved=maybe", "resolved=maybe: must be true or false"),
        ("after=noon", "after: 'noon' is no time"),
        ("status=failed,status=queued", "status stands twice"),
    ],
)
def test_what_is_not_understood(text: str, said: str) -> None:
    with pytest.raises(Problem) as problem:
        parse_where([text], NOW)
    assert said in problem.value.message


def test_defaults_stand_where_the_text_does_not_say_otherwise() -> None:
    one, other = parse_where(["queue=a", "status=running"], NOW, statuses=(S.FAILED,), resolved_by_user=False)

    assert (one.statuses, one.resolved_by_user, one.queue) == ((S.FAILED,), False, "a")
    assert (other.statuses, other.resolved_by_user, other.queue) == ((S.RUNNING,), False, None)


@given(text=st.text())
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(Problem):
        [query] = parse_where([text], NOW)
        assert query != WorkflowQuery(limit=PAGE, summary_only=True)
