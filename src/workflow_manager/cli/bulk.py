"""The same for many workflows: counted first, asked about, done at a rate, told in a table.

What was done stays done: a run that was interrupted is repeated, and does what is left.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from msgspec import Struct

from workflow_manager.cli.exits import ExitCode, usage

if TYPE_CHECKING:
    from rich.progress import Progress

    from workflow_manager.cli.session import Session
    from workflow_manager.client import Client
    from workflow_manager.model import Workflow, WorkflowQuery

THREADS = 8
EXAMPLES = 3
"""How many ids of an outcome the table shows."""
ERROR_LENGTH = 80


class Outcome(Struct, frozen=True):
    """What became of one workflow: ``done``, ``skipped`` or ``failed``, and why or how."""

    id: str
    outcome: str
    message: str = ""


Act = Callable[["Client", "Workflow"], Outcome]
"""Does it to one workflow. May raise the client's errors."""


def for_each(
    at: Session, queries: Sequence[WorkflowQuery], verb: str, act: Act, *, yes: bool, rate: float | None
) -> ExitCode:
    """Do something to every workflow of the queries; answer how that went.

    ``rate``: how many a second at most. Raises Problem, and typer.Abort if the answer is no.
    """
    found = _count(at, queries)
    if not found:
        _say(at, "no such workflows")
        return ExitCode.OK
    _say(at, *_counted(found))
    if not yes:
        _ask(f"{verb} {_workflows(len(found))}?")
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if at.output.structured:
            at.output.line(outcome)

    interrupted = _carry_out(at, found, act, rate, verb, tell)
    if not at.output.structured:
        _table(at, outcomes, left=len(found) - len(outcomes))
    if interrupted:
        _say(at, f"interrupted with {_workflows(len(found) - len(outcomes))} left; the same command does what is left")
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if any(each.outcome == "failed" for each in outcomes) else ExitCode.OK


def _workflows(count: int) -> str:
    return f"{count:,} workflow{'' if count == 1 else 's'}"


def _say(at: Session, *lines: str) -> None:
    """To people: on standard error, where standard output is a program's."""
    for line in lines:
        if at.output.structured:
            sys.stderr.write(f"{line}\n")
        else:
            at.output.show(line)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise usage(f"nobody can be asked here: {question.rstrip('?')} with --yes")
    import typer

    typer.confirm(question, abort=True, err=True)


def _count(at: Session, queries: Sequence[WorkflowQuery]) -> list[Workflow]:
    """Every workflow that a query finds, once, the queries' order kept."""
    found: dict[str, Workflow] = {}
    for query in queries:
        for workflow in at.client.iterate_workflows(query):
            found.setdefault(workflow.id, workflow)
    return list(found.values())


def _counted(found: Sequence[Workflow]) -> Iterator[str]:
    yield f"{_workflows(len(found))}:"
    counts = Counter((each.workflow_definition.name, each.namespace, each.status.value) for each in found)
    for (name, namespace, status), count in counts.most_common(20):
        yield f"  {count:>7,}  {status:<10} {name}" + (f" in {namespace}" if namespace else "")
    if len(counts) > 20:
        yield f"  and {len(counts) - 20} more kinds"


def _carry_out(
    at: Session, found: Sequence[Workflow], act: Act, rate: float | None, verb: str, tell: Callable[[Outcome], None]
) -> bool:
    """Tell the outcomes as they come; whether it was interrupted. What is under way then is still waited for."""
    local = threading.local()
    clients: list[Client] = []

    def one(workflow: Workflow) -> Outcome:
        if not hasattr(local, "client"):
            local.client = at.another_client()
            clients.append(local.client)
        return _attempt(local.client, workflow, act)

    begun = time.monotonic()
    under_way: set[Future[Outcome]] = set()
    done = 0

    def take(block: bool) -> None:
        """Tell of what is done; ``block`` until something is."""
        nonlocal under_way, done
        finished, under_way = wait(under_way, timeout=None if block else 0, return_when=FIRST_COMPLETED)
        for future in finished:
            done += 1
            progress.update(bar, completed=done, rate=f"{done / max(time.monotonic() - begun, 0.001):.1f}/s")
            tell(future.result())

    with _progress() as progress, ThreadPoolExecutor(THREADS) as pool:
        bar = progress.add_task(verb, total=len(found), rate="")
        try:
            for number, workflow in enumerate(found):
                if rate is not None:
                    time.sleep(max(0.0, begun + number / rate - time.monotonic()))
                under_way.add(pool.submit(one, workflow))
                take(block=len(under_way) >= THREADS)
            while under_way:
                take(block=True)
        except KeyboardInterrupt:
            while under_way:
                take(block=True)
            return True
        finally:
            for client in clients:
                client.close()
    return False


def _progress() -> Progress:
    """A bar with rate and time left on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _attempt(client: Client, workflow: Workflow, act: Act) -> Outcome:
    from workflow_manager.client import ClientError

    try:
        return act(client, workflow)
    except ClientError as error:
        return Outcome(workflow.id, "failed", str(error))


def _table(at: Session, outcomes: Sequence[Outcome], *, left: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("OUTCOME", "WORKFLOWS", "WHY", "FOR EXAMPLE"):
        table.add_column(column, overflow="fold", justify="right" if column == "WORKFLOWS" else "left")
    styles = {"done": "green", "failed": "red", "skipped": "yellow"}
    groups: dict[tuple[str, str], list[str]] = {}
    for each in outcomes:
        why = "" if each.outcome == "done" else each.message.replace(each.id, "ID")[:ERROR_LENGTH]
        groups.setdefault((each.outcome, why), []).append(each.id)
    for (outcome, why), ids in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
        shown = "" if outcome == "done" else ", ".join(ids[:EXAMPLES])
        table.add_row(Text(outcome, style=styles[outcome]), f"{len(ids):,}", Text(why), shown)
    if left:
        table.add_row("left", f"{left:,}", "", "")
    at.output.show(table)
