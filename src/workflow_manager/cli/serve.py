"""``wfm serve``: start the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_manager.cli.exits import ExitCode, Problem


def _option(name: str, *short: str) -> Any:
    """The flag of a setting, with what settings.py says about it."""
    from workflow_manager.settings import Settings, options

    setting = options(Settings)[name]
    default = f"default: {setting.default}" if str(setting.default) else "empty by default"
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    return typer.Option(
        setting.flag,
        *short,
        metavar="|".join(setting.choices) or None,
        help=f"{setting.description}{choices if not setting.choices else ''} [{setting.variable}; {default}]",
        show_default=False,
    )


def serve(
    host: Annotated[str | None, _option("host")] = None,
    port: Annotated[int | None, _option("port", "-p")] = None,
    data: Annotated[str | None, _option("data", "-d")] = None,
    backend: Annotated[str | None, _option("backend")] = None,
    store: Annotated[str | None, _option("store")] = None,
    region: Annotated[str | None, _option("region")] = None,
    account_id: Annotated[str | None, _option("account_id")] = None,
    role_arn: Annotated[str | None, _option("role_arn")] = None,
    environment: Annotated[str | None, _option("environment")] = None,
    log_level: Annotated[str | None, _option("log_level")] = None,
    log_format: Annotated[str | None, _option("log_format")] = None,
    body_limit_bytes: Annotated[int | None, _option("body_limit_bytes")] = None,
    request_seconds: Annotated[float | None, _option("request_seconds")] = None,
    head_seconds: Annotated[float | None, _option("head_seconds")] = None,
    body_seconds: Annotated[float | None, _option("body_seconds")] = None,
    write_seconds: Annotated[float | None, _option("write_seconds")] = None,
    keep_alive_seconds: Annotated[float | None, _option("keep_alive_seconds")] = None,
    shutdown_seconds: Annotated[float | None, _option("shutdown_seconds")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings file. [WFM_CONFIG; default: wfm.toml, if it is there]")
    ] = None,
) -> None:
    """Start the server: the HTTP API, its documentation, and the Step Functions API, on one port.

    A setting comes from its flag, else from the environment, else from the settings file, else it has its default.
    """
    flags = {name: value for name, value in locals().items() if name != "config"}
    from workflow_manager.composition import CannotServe, run_server
    from workflow_manager.settings import Settings, is_loopback, load

    settings = load(Settings, flags, file=config)

    def started(url: str) -> None:
        if not is_loopback(settings.host):
            typer.echo(
                f"wfm: warning: listening on {settings.host}, which other machines may reach, without authentication",
                err=True,
            )
        typer.echo(
            f"workflow-manager listens on {url} (documentation: {url}/docs; Step Functions endpoint_url: {url}); "
            f"its data is in {settings.data}"
        )

    try:
        run_server(settings, started=started)
    except CannotServe as error:
        raise Problem(str(error), ExitCode.FAILED) from None
