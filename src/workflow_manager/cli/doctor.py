"""``wfm doctor``: whether everything that ``wfm`` needs is there, and what to do where it is not.

Each check looks at one thing and answers findings; none changes anything, and none that fails keeps the next from being made.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from msgspec import Struct

from workflow_manager.cli.exits import ExitCode
from workflow_manager.cli.options import Json, OutputFormat, Server
from workflow_manager.cli.session import output_of

if TYPE_CHECKING:
    from workflow_manager.settings import ClientSettings, Settings

SKEW_SECONDS = 5.0
"""More than this between two clocks is worth a word: ages and time filters are wrong by it."""
LEAST_FREE_BYTES = 1 << 30
MARKS = {"ok": ("✔", "green"), "warning": ("!", "yellow"), "error": ("✘", "red")}


class Finding(Struct, frozen=True, omit_defaults=True):
    """What a check found. ``advice`` is what to do, where there is something to do."""

    check: str
    level: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""


def doctor(server: Server = None, json: Json = False, output: OutputFormat = None) -> None:
    """Check configuration, server, clock, data folder and AWS, and say what to do."""
    from workflow_manager.cli.output import Output

    printer = Output(_kind(json, output))
    failed = False
    for finding in examine(server):
        failed = failed or finding.level == "error"
        if printer.structured:
            printer.line(finding)
            continue
        mark, style = MARKS[finding.level]
        printer.show(f"{mark} {finding.check}: {finding.message}", style=style)
        if finding.advice:
            printer.show(f"    {finding.advice}")
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _version() -> str:
    from importlib.metadata import version

    return version("workflow-manager")


def _kind(json: bool, output: str | None) -> Any:
    from workflow_manager.settings import ClientSettings, SettingsError, load

    asked = output_of(json, output)
    try:
        return load(ClientSettings, {"output": asked}).output
    except SettingsError:  # which is one of the things to be told
        return asked or "auto"


def examine(server: str | None) -> Iterator[Finding]:
    """Every finding, in an order in which a later one may follow from an earlier one."""
    from workflow_manager.settings import ClientSettings, Settings, SettingsError, load

    yield Finding("version", "ok", f"wfm {_version()}, Python {sys.version.split()[0]}")
    client: ClientSettings | None = None
    settings: Settings | None = None
    try:
        client, settings = load(ClientSettings, {"server": server}), load(Settings)
        yield Finding("configuration", "ok", _sources())
    except SettingsError as error:
        yield Finding("configuration", "error", str(error), "mend it; until then its other values are not known")
    if client is not None:
        yield from _guarded("server", lambda: _server(client))
    if settings is not None:
        if settings.backend == "embedded":
            yield from _guarded("data folder", lambda: _data_folder(settings.data))
        if settings.backend == "aws" or str(settings.store) == "dynamodb":
            yield from _guarded("AWS", lambda: _aws(settings))


def _guarded(check: str, findings: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings; what goes wrong unexpectedly is one, too."""
    try:
        yield from findings()
    except Exception as error:  # noqa: BLE001 - a doctor does not fall over what is wrong
        yield Finding(check, "error", f"could not be checked ({type(error).__name__}: {error})")


def _sources() -> str:
    """Where values come from."""
    from workflow_manager.settings import FILE, FILE_VARIABLE, PREFIX

    file = Path(os.environ.get(FILE_VARIABLE) or FILE)
    variables = sorted(name for name in os.environ if name.startswith(PREFIX))
    return f"{file if file.exists() else 'no settings file'}; {', '.join(variables) or f'no variable {PREFIX}*'}"


def _server(settings: ClientSettings) -> Iterator[Finding]:
    import httpx

    start = "start it with wfm serve, or name another one with --server or WFM_SERVER"
    asked = datetime.now(UTC)
    try:
        answer = httpx.get(f"{settings.server}/openapi.json", timeout=min(settings.timeout_seconds, 5.0))
    except httpx.HTTPError as error:
        yield Finding("server", "error", f"{settings.server} does not answer ({error or type(error).__name__})", start)
        return
    answered = datetime.now(UTC)
    try:
        info = answer.json()["info"]
        title, version = info["title"], info["version"]
    except (ValueError, KeyError, TypeError):
        title, version = "", ""
    if answer.status_code != httpx.codes.OK or title != "workflow-manager":
        yield Finding(
            "server",
            "error",
            f"what answers at {settings.server} is no workflow-manager (status {answer.status_code})",
            start,
        )
        return
    yield Finding("server", "ok", f"{settings.server} answers in {(answered - asked).total_seconds() * 1000:.0f} ms")
    if version == _version():
        yield Finding("server's version", "ok", version)
    else:
        yield Finding(
            "server's version",
            "warning",
            f"the server is {version}, this command {_version()}",
            "install the same version on both, or take care with what is new in one of them",
        )
    yield _clock(answer.headers.get("date"), asked, answered)
    listed = httpx.get(f"{settings.server}/workflows", params={"limit": 1, "workflowDefinitionName": ""}, timeout=10.0)
    if listed.status_code == httpx.codes.OK:
        yield Finding("server's store", "ok", "workflows can be listed")
    else:
        yield Finding(
            "server's store", "error", f"workflows cannot be listed: {listed.text[:200]}", "see the server's log"
        )


def _clock(date: str | None, asked: datetime, answered: datetime) -> Finding:
    """The server's Date has whole seconds, and was made somewhen between asking and being answered."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("clock", "warning", "the server does not tell its time", "compare the clocks of both machines")
    ahead = max((theirs - answered).total_seconds(), 0.0) + min((theirs - asked).total_seconds() + 1.0, 0.0)
    if abs(ahead) <= SKEW_SECONDS:
        return Finding("clock", "ok", "agrees with the server's")
    side = "behind" if ahead > 0 else "ahead of"
    return Finding(
        "clock",
        "warning",
        f"this machine is {abs(ahead):.0f} s {side} the server; ages and time filters are wrong by that",
        "set both clocks by NTP",
    )


def _data_folder(folder: Path) -> Iterator[Finding]:
    """Of this machine; the server that is asked may run elsewhere."""
    if not folder.exists():
        parent = next((each for each in folder.absolute().parents if each.exists()), Path("/"))
        if os.access(parent, os.W_OK):
            yield Finding("data folder", "ok", f"{folder} is not there; wfm serve makes it")
        else:
            yield Finding(
                "data folder",
                "error",
                f"{folder} cannot be made in {parent}",
                "choose another one with --data, or make it",
            )
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "data folder", "error", f"{folder} is no folder that can be written", "choose another one with --data"
        )
        return
    free = shutil.disk_usage(folder).free
    said = f"{folder} has {free / (1 << 30):.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        yield Finding("data folder", "warning", said, "make room: on a full disk nothing can be started")
    else:
        yield Finding("data folder", "ok", said)


def _aws(settings: Settings) -> Iterator[Finding]:
    """Who we are there, and whether what the server calls may be called. Every call only reads."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    session = boto3.Session()
    region = settings.region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"

    def call(check: str, service: Any, operation: str, advice: str, **arguments: Any) -> Iterator[Finding]:
        try:
            answer = getattr(session.client(service, region_name=region, config=config), operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            yield Finding(check, "error", str(error), advice)
        else:
            said = f"{answer['Arn']} in {region}" if operation == "get_caller_identity" else "can be read"
            yield Finding(check, "ok", said)

    yield from call(
        "AWS credentials",
        "sts",
        "get_caller_identity",
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
    if settings.backend == "aws":
        yield from call(
            "Step Functions", "stepfunctions", "list_state_machines", "allow states:ListStateMachines", maxResults=1
        )
    if str(settings.store) == "dynamodb":
        yield from call("DynamoDB", "dynamodb", "list_tables", "allow dynamodb:ListTables", Limit=1)
