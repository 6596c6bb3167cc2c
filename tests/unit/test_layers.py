"""Imports point one way (ARCHITECTURE.md, "The map"): each package names all of ours that it may import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import workflow_manager

ROOT = Path(workflow_manager.__file__).parent
MAY_IMPORT = {
    "clock": set(),
    "database": set(),
    "deadline": set(),
    "metrics": set(),
    "sender": {"deadline"},
    "threads": {"deadline"},
    "model": set(),
    "asl": set(),
    "tracing": set(),
    "stepfunctions": {"deadline", "metrics", "sender", "threads"},
    "engine": {"asl", "clock", "database", "stepfunctions"},
    "integrations": {"engine"},
    "store": {"database", "deadline", "metrics", "model", "sender", "threads"},
    "manager": {"clock", "model", "stepfunctions", "store"},
    "api": {"clock", "deadline", "definition_files", "manager", "metrics", "model", "stepfunctions"},
    "client": {"model"},
    "diagrams": {"manager"},
    "worker": {"stepfunctions"},
    "sdk": {"asl", "composition", "definition_files", "manager", "model", "settings", "stepfunctions", "worker"},
    "testing": {
        "clock",
        "database",
        "diagrams",
        "engine",
        "manager",
        "model",
        "sdk",
        "stepfunctions",
        "store",
        "worker",
    },
    "pytest_plugin": {"testing"},
    "definition_files": {"model"},
    "settings": set(),
    "aws": {"settings"},
    "garbage": set(),
}
"""Part -> parts that it may import besides itself. cli, composition and lambdas may import all."""
ROOMS = {
    "mocks": set(),
    "core": set(),
    "shell": {"core"},
    "maps": {"core", "shell"},
    "retention": {"maps", "shell"},
    "operations": {"core", "maps", "mocks", "shell"},
    "tasks": {"core", "mocks", "operations", "shell"},
    "teststate": {"core", "maps", "operations", "tasks"},
}
"""Part of the engine -> parts of it that it may import besides itself. service puts them together, and may import all."""


def imports(path: Path, of: str = "workflow_manager") -> set[str]:
    """The parts of ours that a module imports, or those of a package of ours, at whatever depth of its code."""
    package = ("workflow_manager", *path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.removeprefix(f"{of}.").split(".")[0] for name in names if name.startswith(f"{of}.")}
    return {name for name in found if not name.startswith("__")}  # the package's own docstring and version


def modules_of(place: Path) -> list[Path]:
    modules = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert modules
    return modules


def parts_in(place: Path) -> set[str]:
    parts = {
        path.stem for path in place.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    return parts - {"__init__", "__main__", "__pycache__"}


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_imports_point_one_way(part: str) -> None:
    for module in modules_of(ROOT / part):
        beyond = imports(module) - MAY_IMPORT[part] - {part}
        assert not beyond, f"{module.relative_to(ROOT)} imports {beyond}"


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_within_the_engine_point_one_way(room: str) -> None:
    for module in modules_of(ROOT / "engine" / room):
        beyond = imports(module, of="workflow_manager.engine") - ROOMS[room] - {room}
        assert not beyond, f"{module.relative_to(ROOT)} imports {beyond}"


def test_every_part_has_its_row() -> None:
    assert parts_in(ROOT) == MAY_IMPORT.keys() | {"cli", "composition", "lambdas"}
    assert parts_in(ROOT / "engine") == ROOMS.keys() | {"service"}
