"""What a command works with: the client for its server, and the way it prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workflow_manager.cli.exits import usage
from workflow_manager.cli.times import Times

if TYPE_CHECKING:
    from workflow_manager.cli.output import Output
    from workflow_manager.client import Client
    from workflow_manager.settings import ClientSettings


class Session:
    """``namespace`` is the one that the settings say for commands that are given none."""

    def __init__(self, client: Client, output: Output, namespace: str, times: Times, settings: ClientSettings) -> None:
        self.client = client
        self.output = output
        self.namespace = namespace
        self.times = times
        self.settings = settings

    def another_client(self) -> Client:
        """A further connection to the same server, for another thread; its user closes it."""
        from workflow_manager.client import Client

        return Client(self.settings.server, timeout_seconds=self.settings.timeout_seconds)


def output_of(json: bool, output: str | None) -> str | None:
    """What --json and --output ask for. Raises Problem if they differ."""
    if json and output not in (None, "json"):
        raise usage(f"--json and --output {output} are both given; give one of them")
    return "json" if json else output


@contextmanager
def session(server: str | None, json: bool, output: str | None = None, times: str | None = None) -> Iterator[Session]:
    """Raises SettingsError, and Problem if both ``json`` and another output are asked for."""
    # httpx would load a command line of its own, which doubles the time that ours takes to start
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None makes the import fail, as httpx expects
    from workflow_manager.cli.output import Output
    from workflow_manager.client import Client
    from workflow_manager.settings import ClientSettings, load

    settings = load(ClientSettings, {"server": server, "output": output_of(json, output), "times": times})
    with Client(settings.server, timeout_seconds=settings.timeout_seconds) as client:
        yield Session(client, Output(settings.output), settings.namespace, Times(settings.times, now()), settings)


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
