"""What a task tells of itself besides its input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workflow_manager.worker.task import Task


@pytest.mark.parametrize(
    ("fields", "told", "expected"),
    [
        pytest.param({}, {}, (None, None), id="nothing"),
        pytest.param({}, {"state": "S", "attempt": 2}, ("S", 2), id="as the endpoint says"),
        pytest.param({"_STATE_NAME": "S", "_RETRY_COUNT": 0}, {}, ("S", 1), id="as the definition passes it"),
        pytest.param(
            {"_STATE_NAME": "T", "_RETRY_COUNT": 9}, {"state": "S", "attempt": 2}, ("S", 2), id="the endpoint knows"
        ),
        pytest.param({"_STATE_NAME": 7, "_RETRY_COUNT": True}, {}, (None, None), id="something else"),
        pytest.param({"_STATE_NAME": "", "_RETRY_COUNT": -1}, {}, (None, None), id="nothing of use"),
    ],
)
def test_state_and_attempt(fields: dict[str, Any], told: dict[str, Any], expected: tuple[Any, Any]) -> None:
    task = Task("t", json.dumps(fields), **told)

    assert (task.state, task.attempt) == expected
