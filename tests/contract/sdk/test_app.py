"""Applications on the embedded engine: from a script, from a running event loop, and from one opening to the next."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest
from conftest import PATIENCE, MakeApp
from sdk_definitions import definition, task

from workflow_manager.model import WorkflowStatus
from workflow_manager.model.errors import (
    CancellationNotAllowed,
    InvalidRequest,
    ResumeNotAllowed,
    WorkflowDefinitionNotFound,
    WorkflowNotFound,
)
from workflow_manager.sdk import (
    App,
    CannotOpen,
    Context,
    DefinitionsRefused,
    TaskFailed,
    WorkflowCancelled,
    WorkflowFailed,
)


@dataclass
class Order:
    order: int


class Reservation(pydantic.BaseModel):
    order: int
    shelf: str


ISSUE = """
name: fulfil
defaultTags: {team: shop}
stateMachine:
  StartAt: Reserve
  States:
    Reserve: {Type: Task, Resource: reserve, Next: Ship}
    Ship: {Type: Task, Resource: ship, End: true}
---
name: again
stateMachine: {StartAt: Reserve, States: {Reserve: {Type: Task, Resource: reserve, End: true}}}
"""


@pytest.fixture
def fulfil(app: App, tmp_path: Path) -> App:
    @app.task
    def reserve(order: Order) -> Reservation:
        return Reservation(order=order.order, shelf="A7")

    @app.task
    async def ship(context: Context, reservation: Reservation) -> dict[str, Any]:
        return {"shipped": reservation.order, "from": reservation.shelf, "by": context.workflow_id}

    (tmp_path / "workflows.yaml").write_text(ISSUE)
    app.load(tmp_path / "workflows.yaml")
    return app


class TestAProgram:
    def test_as_a_script(self, fulfil: App) -> None:
        wf = fulfil.start("fulfil", {"order": 7})

        assert wf.result(PATIENCE) == {"shipped": 7, "from": "A7", "by": wf.id}
        assert wf.status() is WorkflowStatus.SUCCEEDED
        assert [job.state for job in wf.details().jobs or ()] == ["Reserve", "Ship"]

    async def test_in_a_running_loop(self, fulfil: App) -> None:
        """The loop goes on meanwhile: many are waited for at once."""
        async with fulfil as app:
            handles = await asyncio.gather(*(app.start_async("fulfil", Order(number)) for number in range(20)))
            results = await asyncio.gather(*(handle.result_async(PATIENCE) for handle in handles))

        assert [result["shipped"] for result in results] == list(range(20))

    async def test_blocking_methods_work_in_a_running_loop_too(self, fulfil: App) -> None:
        """As in Jupyter, whose cells run within one."""
        assert fulfil.start("fulfil", {"order": 7}).result(PATIENCE)["shipped"] == 7

    def test_results_have_types(self, fulfil: App) -> None:
        wf = fulfil.start("again", Order(7))

        assert wf.result(PATIENCE, type=Reservation) == Reservation(order=7, shelf="A7")
        assert wf.result() == {"order": 7, "shelf": "A7"}

    def test_from_threads(self, fulfil: App) -> None:
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda: results.append(fulfil.start("fulfil", {"order": 1}).result(PATIENCE)))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(results) == 5

    def test_tags_queue_and_search(self, fulfil: App) -> None:
        wf = fulfil.start("fulfil", {"order": 7}, queue="bulk", tags={"customer": "x"})
        fulfil.start("fulfil", {"order": 8}).wait(PATIENCE)
        wf.wait(PATIENCE)

        found = list(fulfil.workflows("fulfil", tags={"customer": "x"}, statuses=["succeeded"]))
        assert [each.id for each in found] == [wf.id]
        assert (found[0].queue, found[0].tags) == ("bulk", {"team": "shop", "customer": "x"})
        assert len(list(fulfil.workflows("fulfil"))) == 2
        with pytest.raises(InvalidRequest, match="no filter 'state'"):
            list(fulfil.workflows("fulfil", state="failed"))

    async def test_search_in_a_loop(self, fulfil: App) -> None:
        await (await fulfil.start_async("fulfil", {"order": 7})).wait_async(PATIENCE)

        assert [each.status async for each in fulfil.workflows_async("fulfil")] == ["succeeded"]


class TestLoading:
    def test_every_fault_is_listed(self, app: App) -> None:
        app.task(name="reserve")(lambda: None)
        with pytest.raises(DefinitionsRefused) as refused:
            app.load(
                definition("one", A=task("reserv", Next="B"), B=task("ship")),
                definition("two", A=task("reserve", Next="Nowhere"), M={
                    "Type": "Map",
                    "ItemProcessor": {"StartAt": "I", "States": {"I": task("pack")}},
                    "End": True,
                }),
            )  # fmt: skip

        told = [(fault.place, fault.code, fault.location) for fault in refused.value.faults]
        assert ("definition 1", "UNKNOWN_TASK", "/stateMachine/States/A/Resource") in told
        assert ("definition 1", "UNKNOWN_TASK", "/stateMachine/States/B/Resource") in told
        assert ("definition 2", "UNKNOWN_TASK", "/stateMachine/States/M/ItemProcessor/States/I/Resource") in told
        assert any(code == "MISSING_TRANSITION_TARGET" for _, code, _ in told)
        assert "did you mean 'reserve'?" in str(refused.value)
        assert app.definitions == []

    @pytest.mark.parametrize(
        "text", ["name: [", "just a word", "name: x", "name: x\nname: y"], ids=["no YAML", "no object", "half", "twice"]
    )
    def test_files_that_are_no_definitions(self, app: App, tmp_path: Path, text: str) -> None:
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(DefinitionsRefused, match=r"bad\.yaml"):
            app.load(tmp_path / "bad.yaml")

    def test_a_file_that_is_not_there(self, app: App) -> None:
        with pytest.raises(DefinitionsRefused, match="no such file"):
            app.load("nowhere.yaml")

    def test_a_name_that_stands_twice(self, app: App) -> None:
        wait = {"Type": "Wait", "Seconds": 0, "End": True}
        with pytest.raises(DefinitionsRefused, match="keep one of them"):
            app.load(definition("same", W=wait), definition("same", W=wait))

    def test_tasks_that_other_workers_do(self, app: App) -> None:
        app.load(definition("d", A=task("resize")), elsewhere={"resize"})

        assert [each.name for each in app.definitions] == ["d"]

    def test_only_a_change_makes_a_version(self, make_app: MakeApp) -> None:
        first = definition("d", P={"Type": "Pass", "End": True})
        changed = definition("d", P={"Type": "Pass", "Result": {"x": 1}, "End": True})
        for loaded, version in ((first, 0), (first, 0), (changed, 1)):
            with make_app() as app:
                app.load(loaded)
                assert app.start("d").details().workflow_definition.version == version

    def test_a_task_is_registered_once(self, app: App) -> None:
        app.task(name="a")(lambda: None)
        with pytest.raises(ValueError, match="already"):
            app.task(name="a")(lambda: None)

    def test_a_task_that_comes_too_late(self, fulfil: App) -> None:
        fulfil.open()
        with pytest.raises(CannotOpen, match="before that"):
            fulfil.task(name="late")(lambda: None)

    def test_a_function_stays_a_function(self, app: App) -> None:
        @app.task(name="other", concurrency=2)
        def double(value: int) -> int:
            return 2 * value

        assert double(4) == 8
        assert app.tasks["other"].concurrency == 2


class TestFailures:
    @pytest.fixture
    def flaky(self, app: App) -> App:
        seen: list[int | None] = []

        class CardDeclined(Exception):
            pass

        @app.task
        def charge(context: Context, value: dict[str, Any]) -> Any:
            seen.append(context.attempt)
            if value.get("own"):
                raise TaskFailed("Billing.Closed", "come back tomorrow")
            if len(seen) < value.get("failures", 99):
                raise CardDeclined(f"no credit, attempt {context.attempt}")
            return {"attempts": seen}

        retry = [{"ErrorEquals": ["CardDeclined"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1.0}]
        app.load(
            definition("plain", Charge=task("charge")),
            definition("retried", Charge=task("charge", Retry=retry)),
            definition("caught", Charge=task("charge", Catch=[{"ErrorEquals": ["CardDeclined"], "Next": "Sorry"}]),
                       Sorry={"Type": "Pass", "End": True}),
        )  # fmt: skip
        return app

    def test_retries_see_which_attempt_they_are(self, flaky: App) -> None:
        assert flaky.start("retried", {"failures": 3}).result(PATIENCE) == {"attempts": [1, 2, 3]}

    def test_a_catcher_gets_class_and_traceback(self, flaky: App) -> None:
        caught = flaky.start("caught").result(PATIENCE)

        assert caught["Error"] == "CardDeclined"
        assert 'raise CardDeclined(f"no credit' in caught["Cause"]

    def test_a_workflow_that_failed(self, flaky: App) -> None:
        wf = flaky.start("plain", {"own": True})
        with pytest.raises(WorkflowFailed, match="come back tomorrow") as failed:
            wf.result(PATIENCE)

        assert failed.value.job is not None
        assert failed.value.job.state == "Charge"
        assert failed.value.workflow.id == wf.id
        wf.resolve()
        assert wf.details().resolved_by_user

    def test_resume_from_the_state_that_failed(self, flaky: App) -> None:
        first = flaky.start("plain")
        first.wait(PATIENCE)
        again = first.resume(input={"failures": 1})

        assert again.result(PATIENCE)["attempts"] == [1, 1]
        assert again.details().retry_for == first.id
        with pytest.raises(ResumeNotAllowed, match="no state"):
            first.resume("Nowhere")

    def test_cancel(self, app: App) -> None:
        app.load(definition("waits", W={"Type": "Wait", "Seconds": 3600, "End": True}))
        wf = app.start("waits")
        with pytest.raises(TimeoutError, match="it goes on"):
            wf.wait(0.05)
        wf.cancel("not needed")

        with pytest.raises(WorkflowCancelled, match="not needed"):
            wf.result(PATIENCE)
        wf.cancel()
        assert wf.status() is WorkflowStatus.CANCELLED

    def test_cancelling_what_has_ended(self, flaky: App) -> None:
        wf = flaky.start("plain", {"failures": 1})
        wf.wait(PATIENCE)
        with pytest.raises(CancellationNotAllowed):
            wf.cancel()

    async def test_the_twins_for_coroutines(self, flaky: App) -> None:
        wf = await flaky.start_async("plain")
        assert (await wf.wait_async(PATIENCE)).status is WorkflowStatus.FAILED
        again = await wf.resume_async("Charge", input={"failures": 1})
        assert (await again.details_async()).retry_for == wf.id
        assert "attempts" in await again.result_async(PATIENCE)
        await wf.resolve_async()
        with pytest.raises(CancellationNotAllowed):
            await again.cancel_async()
        assert await again.status_async() is WorkflowStatus.SUCCEEDED

    def test_what_is_not_there(self, app: App) -> None:
        with pytest.raises(WorkflowDefinitionNotFound):
            app.start("nothing")
        with pytest.raises(WorkflowNotFound):
            app.workflow("nothing").status()

    @pytest.mark.parametrize("value", [[1], "text", 7, {"n": float("nan")}, {"o": object()}])
    def test_inputs_that_are_no_objects(self, app: App, value: Any) -> None:
        with pytest.raises(InvalidRequest, match="input"):
            app.start("any", value)


class TestRunning:
    def test_at_most_so_many_at_once(self, make_app: MakeApp) -> None:
        app = make_app(max_tasks=4)
        lock, now, most = threading.Lock(), {"a": 0, "b": 0}, {"a": 0, "b": 0, "all": 0}

        def work(name: str) -> None:
            with lock:
                now[name] += 1
                most[name] = max(most[name], now[name])
                most["all"] = max(most["all"], sum(now.values()))
            time.sleep(0.02)
            with lock:
                now[name] -= 1

        app.task(name="a", concurrency=2)(lambda: work("a"))
        app.task(name="b", concurrency=10)(lambda: work("b"))
        branches = [
            {"StartAt": f"S{number}", "States": {f"S{number}": task(name)}}
            for number, name in enumerate("abbbabbbabbbabbb")
        ]
        app.load(definition("many", All={"Type": "Parallel", "Branches": branches, "End": True}))
        app.start("many").result(PATIENCE)

        assert most["a"] <= 2
        assert most["all"] <= 4
        assert most["b"] >= 2

    def test_a_time_limit(self, app: App) -> None:
        told = threading.Event()

        @app.task(timeout=0.05)
        def slow(context: Context, value: Any) -> None:
            if context.cancellation.wait(PATIENCE):
                told.set()
                raise ValueError("stopped early")

        @app.task(timeout=0.05)
        async def slow_async() -> None:
            await asyncio.sleep(PATIENCE)

        @app.task(timeout=0.05)
        def deaf() -> None:
            time.sleep(1)

        app.load(*(definition(name, S=task(name)) for name in ("slow", "slow_async", "deaf")))
        for name in ("slow", "slow_async", "deaf"):
            wf = app.start(name)
            with pytest.raises(WorkflowFailed, match=r"S"):
                wf.result(PATIENCE)
            assert "States.Timeout" in wf.details().status_reason or "its 0.05 seconds" in wf.details().status_reason
        assert told.is_set()

    def test_a_cancelled_workflow_stops_its_function(self, app: App) -> None:
        begun, stopped = threading.Event(), threading.Event()

        @app.task(heartbeat=0.02)
        async def endless() -> None:
            begun.set()
            try:
                await asyncio.sleep(PATIENCE)
            finally:
                stopped.set()

        app.load(definition("endless", S=task("endless")))
        wf = app.start("endless")
        assert begun.wait(PATIENCE)
        wf.cancel()

        assert stopped.wait(PATIENCE)

    def test_heartbeats_are_sent_by_themselves_and_on_demand(self, app: App) -> None:
        @app.task(heartbeat=0.2)
        def slow(context: Context, _: Any) -> str:
            context.heartbeat()
            time.sleep(1.5)
            return "done"

        app.load(definition("beating", S=task("slow", HeartbeatSeconds=1)))

        assert app.start("beating").result(PATIENCE) == "done"

    def test_a_context_logs_to_the_standard_library(self, app: App, caplog: pytest.LogCaptureFixture) -> None:
        @app.task
        def tells(context: Context, _: Any) -> None:
            context.logger.info("reserved", shelf="A7")

        app.load(definition("tells", S=task("tells")))
        with caplog.at_level(logging.INFO, "workflow_manager.sdk"):
            wf = app.start("tells")
            wf.result(PATIENCE)

        (line,) = [each.getMessage() for each in caplog.records if "reserved" in each.getMessage()]
        assert f"execution={wf.id!r}" in line
        assert "state='S'" in line
        assert "attempt=1" in line
        assert "shelf='A7'" in line

    def test_an_app_that_does_no_tasks(self, make_app: MakeApp) -> None:
        starts = make_app(run_tasks=False)
        starts.task(name="a")(lambda: "done")
        starts.load(definition("d", S=task("a")))
        wf = starts.start("d")
        with pytest.raises(TimeoutError):
            wf.wait(0.1)
        starts.close()
        works = make_app()
        works.task(name="a")(lambda: "done")
        works.open()

        assert works.workflow(wf.id).result(PATIENCE) == "done"


class TestOpening:
    def test_what_runs_goes_on_at_the_next_opening(self, make_app: MakeApp) -> None:
        first = make_app()
        first.load(definition("waits", W={"Type": "Wait", "Seconds": 1, "End": True}))
        with first:
            wf = first.start("waits", {"x": 1})
        with make_app() as second:
            assert second.workflow(wf.id).result(PATIENCE) == {"x": 1}

    def test_tasks_in_hand_are_done_again_after_closing(self, make_app: MakeApp) -> None:
        """They are failed as terminated, which every Task retries."""
        begun = threading.Event()
        first = make_app()

        @first.task(name="a")
        async def never() -> None:
            begun.set()
            await asyncio.sleep(PATIENCE)

        first.load(definition("d", S=task("a", Retry=[
            {"ErrorEquals": ["sfncli.CommandTerminated"], "IntervalSeconds": 1, "MaxAttempts": 3},
        ])))  # fmt: skip
        wf = first.start("d")
        assert begun.wait(PATIENCE)
        first.close()
        second = make_app()
        second.task(name="a")(lambda: "done")
        second.open()

        assert second.workflow(wf.id).result(PATIENCE) == "done"

    def test_an_app_opens_again(self, fulfil: App) -> None:
        for number in range(2):
            with fulfil:
                assert fulfil.start("fulfil", {"order": number}).result(PATIENCE)["shipped"] == number

    def test_a_folder_that_is_in_use(self, app: App, make_app: MakeApp) -> None:
        app.open()
        with pytest.raises(CannotOpen, match="use"):
            make_app().open()

    def test_settings_that_cannot_be_used(self, make_app: MakeApp) -> None:
        with pytest.raises(CannotOpen, match="no_such_setting"):
            make_app(no_such_setting=1).open()
        with pytest.raises(CannotOpen, match="one of embedded, aws"):
            make_app(backend="azure").open()
        with pytest.raises(ValueError, match="environment"):
            make_app(environment="")

    def test_aws_says_what_it_needs(self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("WFM_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(CannotOpen, match="the backend aws needs"):
            make_app(backend="aws").open()
