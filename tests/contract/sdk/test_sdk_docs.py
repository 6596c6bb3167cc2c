"""What the pages show is what the example has, and the example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "orders"


def blocks(page: str) -> list[str]:
    return re.findall(r"^```\w+\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "file"),
    [("sdk.md", "orders.py"), ("sdk.md", "workflows.yaml"), ("testing.md", "test_orders.py")],
)
def test_pages_show_the_example(page: str, file: str) -> None:
    assert (EXAMPLE / file).read_text() in blocks(page)


def copy_of_the_example(folder: Path) -> Path:
    for file in EXAMPLE.iterdir():
        if file.is_file():
            (folder / file.name).write_text(file.read_text())
    return folder


def test_the_example_runs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "orders.py"], cwd=copy_of_the_example(tmp_path), capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert "'charged': {'receipt': 1007}" in ran.stdout


def test_its_tests_pass(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "."]
    ran = subprocess.run(command, cwd=copy_of_the_example(tmp_path), capture_output=True, text=True, check=False)

    assert "3 passed" in ran.stdout, ran.stdout


def test_the_deployment_is_yaml() -> None:
    (deployment,) = [block for block in blocks("workers-in-production.md") if block.startswith("apiVersion")]
    (container,) = yaml.safe_load(deployment)["spec"]["template"]["spec"]["containers"]

    assert container["args"][:4] == ["wfm", "worker", "--app", "orders:app"]
