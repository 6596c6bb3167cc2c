"""``wfm completion``: the script that teaches a shell to complete ``wfm``, and what completes names and ids.

Completion asks the server and waits for it for a second at most; without an answer there is nothing to propose, and nothing is
said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from workflow_manager.cli.exits import usage

if TYPE_CHECKING:
    from workflow_manager.client import Client

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_WFM_COMPLETE"
"""Set by the script when the shell asks for proposals."""
TIMEOUT_SECONDS = 1.0
PROPOSALS = 100


def completion(
    shell: Annotated[
        str, typer.Argument(metavar="bash|zsh|fish", help="The shell.", autocompletion=lambda: list(SHELLS))
    ],
) -> None:
    """Print the script that completes commands, options, definitions and ids in a shell."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise usage(f"{shell!r} must be one of {', '.join(SHELLS)}")
    typer.echo(get_completion_script(prog_name="wfm", complete_var=VARIABLE, shell=shell))


def workflow_ids(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest workflows, with what tells them apart."""
    from workflow_manager.model import WorkflowQuery

    with contextlib.suppress(Exception), _client() as client:
        found = client.workflows(WorkflowQuery(limit=PROPOSALS, summary_only=True)).items
        return [
            (each.id, f"{each.status.value} {each.workflow_definition.name}")
            for each in found
            if each.id.startswith(incomplete)
        ]
    return []


def definition_names(incomplete: str) -> list[str]:
    """Names of definitions."""
    with contextlib.suppress(Exception), _client() as client:
        return [each.name for each in client.definitions() if each.name.startswith(incomplete)][:PROPOSALS]
    return []


@contextlib.contextmanager
def _client() -> Iterator[Client]:
    import sys

    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as in session: it would load a command line
    from workflow_manager.client import Client
    from workflow_manager.settings import ClientSettings, load

    with Client(load(ClientSettings).server, timeout_seconds=TIMEOUT_SECONDS) as client:
        yield client
