"""``wfm init-store``: make what a store needs before a server can use it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from workflow_manager.cli.exits import ExitCode, Problem
from workflow_manager.cli.serve import SETTINGS, setting
from workflow_manager.settings import Settings, load


def init_store(
    store: Annotated[str | None, setting("store")] = None,
    dynamodb_prefix: Annotated[str | None, setting("dynamodb_prefix")] = None,
    dynamodb_endpoint_url: Annotated[str | None, setting("dynamodb_endpoint_url")] = None,
    region: Annotated[str | None, setting("region")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file [WFM_CONFIG; default: wfm.toml, if it is there].",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make what the store needs, or check that it is there: the tables in DynamoDB.

    What is missing is made and said; what is there is left as it is, so that this can be run at any time. The other stores
    make their own when the server starts.
    """
    flags = {name: value for name, value in locals().items() if name in SETTINGS}
    settings = load(Settings, flags, file=config)
    if settings.store != "dynamodb":
        typer.echo(f"the store {settings.store} needs nothing made beforehand")
        return
    from workflow_manager.composition import dynamodb_calls
    from workflow_manager.model.errors import StorageUnavailable
    from workflow_manager.store.dynamodb_tables import init_tables

    async def init() -> None:
        calls = dynamodb_calls(settings)
        try:
            await init_tables(calls, settings.dynamodb_prefix, say=typer.echo)
        finally:
            await calls.close()

    try:
        asyncio.run(init())
    except StorageUnavailable as error:
        raise Problem(error.message, ExitCode.FAILED) from None
