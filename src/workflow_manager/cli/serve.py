"""``wfm serve``: start the server."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_manager.cli.exits import ExitCode, Problem
from workflow_manager.settings import Settings, is_loopback, load, options

SETTINGS = options(Settings)


def setting(name: str, *short: str) -> Any:
    """The flag of a setting, with what settings.py says about it. Values stay text here, so that all sources agree."""
    option = SETTINGS[name]
    default = f"default: {option.default}" if str(option.default) else "default: empty"
    return typer.Option(
        option.flag,
        *short,
        metavar="|".join(option.choices) or option.name.rsplit("_", 1)[-1].upper(),
        help=f"{option.description} [{option.variable}; {default}]",
        show_default=False,
    )


def serve(
    host: Annotated[str | None, setting("host")] = None,
    port: Annotated[str | None, setting("port", "-p")] = None,
    data: Annotated[str | None, setting("data", "-d")] = None,
    backend: Annotated[str | None, setting("backend")] = None,
    store: Annotated[str | None, setting("store")] = None,
    dynamodb_prefix: Annotated[str | None, setting("dynamodb_prefix")] = None,
    dynamodb_ttl_days: Annotated[str | None, setting("dynamodb_ttl_days")] = None,
    dynamodb_endpoint_url: Annotated[str | None, setting("dynamodb_endpoint_url")] = None,
    dynamodb_threads: Annotated[str | None, setting("dynamodb_threads")] = None,
    region: Annotated[str | None, setting("region")] = None,
    account_id: Annotated[str | None, setting("account_id")] = None,
    role_arn: Annotated[str | None, setting("role_arn")] = None,
    aws_profile: Annotated[str | None, setting("aws_profile")] = None,
    aws_endpoint_url: Annotated[str | None, setting("aws_endpoint_url")] = None,
    aws_threads: Annotated[str | None, setting("aws_threads")] = None,
    aws_queue: Annotated[str | None, setting("aws_queue")] = None,
    execution_logs: Annotated[str | None, setting("execution_logs")] = None,
    history_seconds: Annotated[str | None, setting("history_seconds")] = None,
    environment: Annotated[str | None, setting("environment")] = None,
    aws_integrations: Annotated[str | None, setting("aws_integrations")] = None,
    lambda_functions: Annotated[str | None, setting("lambda_functions")] = None,
    lambda_endpoint: Annotated[str | None, setting("lambda_endpoint")] = None,
    http_connections: Annotated[str | None, setting("http_connections")] = None,
    mock_config: Annotated[str | None, setting("mock_config")] = None,
    max_invocations: Annotated[str | None, setting("max_invocations")] = None,
    aws_passthrough: Annotated[str | None, setting("aws_passthrough")] = None,
    map_files: Annotated[str | None, setting("map_files")] = None,
    log_level: Annotated[str | None, setting("log_level")] = None,
    log_format: Annotated[str | None, setting("log_format")] = None,
    cloudwatch_logs: Annotated[str | None, setting("cloudwatch_logs")] = None,
    max_payload_bytes: Annotated[str | None, setting("max_payload_bytes")] = None,
    max_history_events: Annotated[str | None, setting("max_history_events")] = None,
    body_limit_bytes: Annotated[str | None, setting("body_limit_bytes")] = None,
    request_seconds: Annotated[str | None, setting("request_seconds")] = None,
    head_seconds: Annotated[str | None, setting("head_seconds")] = None,
    body_seconds: Annotated[str | None, setting("body_seconds")] = None,
    write_seconds: Annotated[str | None, setting("write_seconds")] = None,
    keep_alive_seconds: Annotated[str | None, setting("keep_alive_seconds")] = None,
    shutdown_seconds: Annotated[str | None, setting("shutdown_seconds")] = None,
    status_queue_url: Annotated[str | None, setting("status_queue_url")] = None,
    status_receivers: Annotated[str | None, setting("status_receivers")] = None,
    status_dead_letter_queue_url: Annotated[str | None, setting("status_dead_letter_queue_url")] = None,
    status_most_receives: Annotated[str | None, setting("status_most_receives")] = None,
    retention_days: Annotated[str | None, setting("retention_days")] = None,
    sweep_after_seconds: Annotated[str | None, setting("sweep_after_seconds")] = None,
    sweep_per_second: Annotated[str | None, setting("sweep_per_second")] = None,
    otel_endpoint: Annotated[str | None, setting("otel_endpoint")] = None,
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
    """Start the server: the HTTP API, its documentation, and the Step Functions API, on one port.

    A setting comes from its flag, else from its environment variable, else from the settings file, which spells it
    like the flag with underscores (log_level = "debug").
    """
    flags = {name: value for name, value in locals().items() if name in SETTINGS}
    settings = load(Settings, flags, file=config)
    from workflow_manager.composition import CannotServe, run_server

    if not is_loopback(settings.host):
        typer.echo(
            f"wfm: warning: {settings.host} may be reached from other machines, and there is no authentication yet: "
            "whoever reaches the port can do everything",
            err=True,
        )
    try:
        run_server(settings, started=lambda url: announce(settings, url))
    except CannotServe as error:
        raise Problem(str(error), ExitCode.FAILED) from None


def announce(settings: Settings, url: str) -> None:
    """Say that requests are answered now, and what a person needs to send some."""
    where = settings.data if settings.store == "sqlite" else settings.store
    executes = "its backend is AWS Step Functions"
    if settings.backend == "embedded":
        executes = f"endpoint_url of boto3 and the AWS CLI: {url}"
    line = f"workflow-manager listens on {url} (documentation: {url}/docs; {executes}); its data is in {where}"
    with contextlib.suppress(BrokenPipeError):  # a server serves, whether or not anyone reads what it prints
        typer.echo(line)
        sys.stdout.flush()
