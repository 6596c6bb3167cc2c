"""An application on the embedded engine, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_manager.sdk import App

PATIENCE = 30.0

MakeApp = Callable[..., App]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make applications on one data folder; whatever is open at the end is closed."""
    made: list[App] = []

    def make(**options: Any) -> App:
        made.append(
            App("orders", **({"environment": "dev", "data": tmp_path / "data", "grace_seconds": 0.2} | options))
        )
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(make_app: MakeApp) -> App:
    return make_app()
