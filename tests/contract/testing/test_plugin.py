"""The plugin in a pytest of its own: found by its entry point, silent until used, and the graph of what failed in the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FAILING = """
def test_orders(wfm):
    wfm.load({"name": "orders", "stateMachine": {"StartAt": "Reserve", "States": {
        "Reserve": {"Type": "Task", "Resource": "reserve", "Next": "Charge"},
        "Charge": {"Type": "Task", "Resource": "charge", "End": True}}}})
    wfm.stub("reserve", {"order": 7})
    wfm.stub("charge", ValueError("no credit"))
    assert wfm.run("orders").status == "succeeded"
"""

SILENT = """
import sys

def test_nothing_is_imported():
    assert not [name for name in sys.modules if name.startswith("workflow_manager.")
                and name not in ("workflow_manager.pytest_plugin",)]
"""


def run_pytest(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_a_failed_test_shows_the_graph(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, FAILING)

    assert ran.returncode == 1
    assert "- workflow orders -" in ran.stdout
    assert "✔ ▶ Reserve  (Task, succeeded)" in ran.stdout
    assert "✘ Charge  (Task, failed)" in ran.stdout
    assert "failed  Charge: ValueError" in ran.stdout
    assert "input   {'order': 7}" in ran.stdout


def test_who_does_not_use_it_does_not_pay_for_it(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, SILENT)

    assert ran.returncode == 0, ran.stdout
