"""The pytest plugin: the fixture ``wfm``, and the state graphs of a failed test's workflows in its report.

It is loaded by every pytest that runs where this package is installed, so it imports nothing of it before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workflow_manager.testing.tester import Tester

SHOWN = 5
"""Of how many workflows a failed test shows the graph: the last ones."""

_TESTER = pytest.StashKey["Tester"]()


@pytest.fixture
def wfm(request: pytest.FixtureRequest) -> Iterator[Tester]:
    """An engine for this test, with a clock that does not wait: ``wfm.load``, ``wfm.stub``, ``wfm.run`` (docs/testing.md)."""
    from workflow_manager.testing.tester import Tester

    with Tester() as tester:
        request.node.stash[_TESTER] = tester
        yield tester


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    tester = item.stash.get(_TESTER, None)
    if call.when == "call" and report.failed and tester is not None:
        for run in tester.runs[-SHOWN:]:
            report.sections.append((f"workflow {run.definition}", run.report()))
    return report
