"""An engine, a store and a manager for one test, on a clock that jumps to whatever is due next when nothing else can happen."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from workflow_manager.clock import VirtualClock
from workflow_manager.database import Database
from workflow_manager.engine import EmbeddedStepFunctions
from workflow_manager.manager import ManagerSettings, WorkflowManager
from workflow_manager.manager.naming import Arns
from workflow_manager.model import NewWorkflow, NewWorkflowDefinition, Workflow
from workflow_manager.sdk import App
from workflow_manager.sdk.app import input_text
from workflow_manager.sdk.background import BackgroundLoop
from workflow_manager.sdk.definitions import Source, check, read
from workflow_manager.stepfunctions.history import HistoryEvent
from workflow_manager.store.memory import MemoryStore
from workflow_manager.testing.run import Run
from workflow_manager.testing.stubs import Stubs, Unstubbed

NAMESPACE = "test"
LONGEST_SECONDS = 20 * 366 * 86_400.0
"""A workflow that takes longer than this by its clock is taken for one that never ends."""
LONGEST_STEPS = 100_000
"""So often the clock may be moved in one run."""
PAUSE_SECONDS = 0.0005
QUIET = 3
"""How often the engine must be found idle before its clock is moved."""


class Anything(frozenset[str]):
    """As the names of tasks that there are: whatever a definition names can be stubbed."""

    def __contains__(self, _: object) -> bool:
        return True


class Tester:
    """Runs workflows to their ends at once. Its methods block, also in a running event loop, which they do not use.

    ``runs`` are all that were run. Use it in a ``with`` block, or call ``close``.
    """

    __test__ = False  # nor is it a class of tests, whatever pytest makes of its name

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._settings = ManagerSettings()
        self._stubs = Stubs(Arns(self._settings), NAMESPACE)
        self._clock = VirtualClock()
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="wfm-test-"))
        self._background = BackgroundLoop("wfm-test-engine")
        self._stack.callback(self._background.close)
        self._parts = AsyncExitStack()
        self._stack.callback(lambda: self._background.call(self._parts.aclose()))
        self._background.call(self._open(Path(folder)))
        self._stack.callback(self._stubs.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    # ------------------------------------------------------------------ what is to be run

    def load(self, *sources: Source) -> None:
        """Save definitions: files, folders of files, or mappings with ``name`` and ``stateMachine``.

        A Resource may name anything. Raises DefinitionsRefused, which lists every fault.
        """
        documents = read(sources)
        check(documents, Anything())
        for document in documents:
            new = NewWorkflowDefinition(
                name=document.name, state_machine=document.state_machine, default_tags=document.default_tags
            )
            self._background.call(self._save(new))

    def app(self, app: App) -> None:
        """Take over an application: the definitions it has loaded, and its functions, which do their Tasks here."""
        for function in app.tasks.values():
            self._stubs.add_function(function)
        self.load(
            *({"name": d.name, "stateMachine": d.state_machine, "defaultTags": d.default_tags} for d in app.definitions)
        )

    def stub(self, name: str, *answers: Any) -> None:
        """Answer the Tasks of a state, or those with a Resource as definitions write it.

        An answer is what the task makes, a ``Fail``, an exception, or a function of the task's input that returns or raises.
        Of several each is given once, one per attempt, and the last one stays; without any, the answer is ``{}``. A state's
        stub goes before its Resource's, and both before the function of an application.
        """
        self._stubs.add(name, answers)

    def mocks(self, file: str | Path) -> None:
        """Read a mock configuration in the format of Step Functions Local; ``run`` is told the test case.

        Raises ValueError with every fault of the file.
        """
        self._stubs.read_mocks(file)

    # ------------------------------------------------------------------ running it

    def run(
        self,
        definition: str,
        input: Any = None,  # noqa: A002 - the API's word
        *,
        test_case: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Run the latest version of a definition to its end, however long it waits and retries by its clock.

        Raises Unstubbed when a Task came that nothing answers, AssertionError when it waits for ever, and what
        ``App.start`` raises.
        """
        self._stubs.test_case = self._test_case(definition, test_case)
        self._stubs.answered = []
        self._stubs.missing = {}
        new = NewWorkflow(
            definition_name=definition,
            version=-1,
            input=input_text({} if input is None else input),
            namespace=NAMESPACE,
            tags=dict(tags or {}),
        )
        run, waits = self._background.call(self._run(new))
        self.runs.append(run)
        if self._stubs.missing:
            lines = [f"  wfm.stub({state!r}, ...)   # {arn}" for state, arn in self._stubs.missing.items()]
            raise Unstubbed("\n".join(["there is neither a stub nor a function for these states:", *lines]))
        if waits:
            raise AssertionError(f"the workflow {waits}\n{run.report()}")
        return run

    def _test_case(self, definition: str, name: str | None) -> Mapping[str, Any]:
        if name is None:
            return {}
        if self._stubs.mocks is None:
            raise ValueError(
                f"there is no mock configuration that has the test case {name!r}; read one with wfm.mocks(file)"
            )
        case = self._stubs.mocks.test_case(definition, name)
        if case is None:
            raise ValueError(f"the mock configuration has nothing at /StateMachines/{definition}/TestCases/{name}")
        return case

    async def _open(self, folder: Path) -> None:
        self._database = Database(folder / "test.db", synchronous="OFF")
        self._parts.push_async_callback(self._database.close)
        self._engine = EmbeddedStepFunctions(self._database, clock=self._clock, stand_in=self._stubs)
        self._manager = WorkflowManager(
            MemoryStore(), self._engine, settings=self._settings, changes=self._engine, clock=self._clock
        )
        await self._manager.start()
        self._parts.push_async_callback(self._manager.stop)
        await self._engine.start()
        self._parts.push_async_callback(self._engine.close)

    async def _save(self, new: NewWorkflowDefinition) -> None:
        if any(each.name == new.name for each in await self._manager.definitions()):
            await self._manager.update_definition(new.name, new)
        else:
            await self._manager.create_definition(new)

    async def _run(self, new: NewWorkflow) -> tuple[Run, str | None]:
        """The run, and what keeps it from ending, if something does."""
        began = self._clock.now()
        started = await self._manager.start_workflow(new)
        waits = None
        for _ in range(LONGEST_STEPS):
            await self._settled()
            workflow = await self._manager.workflow(started.id)
            due = self._clock.next_deadline()
            if workflow.status.final:
                break
            if due is None:
                waits = "waits for ever: nothing more can happen"
                break
            if due - began > LONGEST_SECONDS:
                waits = "takes longer than 20 years"
                break
            self._clock.advance(due - self._clock.now())
        else:
            waits = f"does not end: its clock was moved {LONGEST_STEPS} times"
        return await self._looked_at(workflow), waits

    async def _settled(self) -> None:
        """Wait until all that can happen at this time has happened."""
        quiet = 0
        while quiet < QUIET:
            await asyncio.sleep(PAUSE_SECONDS)
            due = self._clock.next_deadline()
            at_rest = self._database.idle and (due is None or due > self._clock.now())
            quiet = quiet + 1 if at_rest else 0

    async def _looked_at(self, workflow: Workflow) -> Run:
        events = [
            each async for each in self._manager.follow(workflow.id, wait=False) if isinstance(each, HistoryEvent)
        ]
        details = events[-1].details or {} if events else {}
        return Run(
            workflow.workflow_definition.name,
            workflow,
            events,
            tuple(self._stubs.answered),
            error=details.get("error"),
            cause=details.get("cause"),
        )
