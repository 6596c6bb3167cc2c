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
