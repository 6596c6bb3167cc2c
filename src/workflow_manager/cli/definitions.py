"""``wfm definitions``: the stored definitions, the versions of one, or one version."""

from __future__ import annotations

from typing import Annotated

import typer

from workflow_manager.cli.completion import definition_names
from workflow_manager.cli.exits import usage
from workflow_manager.cli.options import Json, OutputFormat, Server, Times
from workflow_manager.cli.session import session


def definitions(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME[@VERSION]]",
            help="A definition: its versions; or one version: all of it.",
            autocompletion=definition_names,
        ),
    ] = None,
    times: Times = None,
    server: Server = None,
    json: Json = False,
    output: OutputFormat = None,
) -> None:
    """List definitions, the versions of one, or show one version."""
    name, version = split_version(name) if name else (None, None)
    with session(server, json, output, times) as at:
        if name is not None and version is not None:
            found = at.client.latest_definition(name) if version < 0 else at.client.definition(name, version)
            if at.output.structured:
                at.output.line(found)
            else:
                from workflow_manager.definition_files import dump_yaml

                shown = {"name": found.name, "version": found.version, "manager": found.manager.value}
                machine = {"stateMachine": found.state_machine}
                tags = {"defaultTags": found.default_tags} if found.default_tags else {}
                at.output.show(dump_yaml(shown | machine | tags).rstrip("\n"))
            return
        listed = at.client.definition_versions(name) if name else at.client.definitions()
        if at.output.structured:
            for each in listed:
                at.output.line(each)
        elif not listed:
            at.output.show("no definitions yet; make one with wfm apply FILE")
        else:
            from workflow_manager.cli.views import definitions_table

            at.output.show(definitions_table(listed, at.times))


def split_version(text: str) -> tuple[str, int | None]:
    """``NAME``, ``NAME@3`` or ``NAME@latest`` (-1). Raises Problem."""
    name, at, version = text.rpartition("@")
    if not at:
        return text, None
    if not name:
        raise usage(f"{text!r} lacks a name before the @; write NAME@VERSION")
    if version == "latest":
        return name, -1
    if version.isascii() and version.isdigit() and len(version) < 19:
        return name, int(version)
    raise usage(f"the version in {text!r} must be a number or latest")
