"""What a command works with: the client for its server, and the way it prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workflow_manager.cli.exits import usage

if TYPE_CHECKING:
    from workflow_manager.cli.output import Output
    from workflow_manager.client import Client


class Session:
    """``namespace`` is the one that the settings say for commands that are given none."""

    def __init__(self, client: Client, output: Output, namespace: str) -> None:
        self.client = client
        self.output = output
        self.namespace = namespace


@contextmanager
def session(server: str | None, json: bool) -> Iterator[Session]:
    """Raises SettingsError."""
    # httpx would load a command line of its own, which doubles the time that ours takes to start
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None makes the import fail, as httpx expects
    from workflow_manager.cli.output import Output
    from workflow_manager.client import Client
    from workflow_manager.settings import ClientSettings, load

    settings = load(ClientSettings, {"server": server, "output": "json" if json else None})
    with Client(settings.server, timeout_seconds=settings.timeout_seconds) as client:
        yield Session(client, Output(settings.output), settings.namespace)


def parse_tags(tags: list[str] | None) -> dict[str, str]:
    """``key=value`` each. Raises Problem."""
    parsed = {}
    for tag in tags or ():
        key, equals, value = tag.partition("=")
        if not key or not equals:
            raise usage(f"--tag {tag!r} must be KEY=VALUE")
        parsed[key] = value
    return parsed


def now() -> datetime:
    return datetime.now(UTC)
