"""Workflows: what is saved is read, and a change is one conditional write after which final statuses stay."""

from __future__ import annotations

import asyncio

import pytest
from store_values import at, definition, workflow

from workflow_manager.model import Job, JobStatus, WorkflowChange, WorkflowStatus
from workflow_manager.model.errors import WorkflowAlreadyExists, WorkflowNotFound
from workflow_manager.store import Store

S = WorkflowStatus


async def test_a_workflow_is_read_as_it_was_saved(store: Store) -> None:
    saved = workflow(
        status=S.RUNNING,
        input='{"é": 1}',
        queue="q",
        tags={"k": "v"},
        retry_for="other",
        workflow_definition=await store.save_definition(definition("a")),
    )
    await store.save_workflow(saved)

    assert await store.workflow("w") == saved


async def test_a_definition_that_was_changed_for_a_resume_is_kept_with_its_workflow(store: Store) -> None:
    await store.save_definition(definition("a"))
    changed = definition("a", state_machine={"StartAt": "Other", "States": {"Other": {"Type": "Succeed"}}})

    await store.save_workflow(workflow(workflow_definition=changed))

    assert (await store.workflow("w")).workflow_definition == changed


async def test_an_id_is_saved_once(store: Store) -> None:
    await store.save_workflow(workflow())

    with pytest.raises(WorkflowAlreadyExists):
        await store.save_workflow(workflow(input='{"other": 1}'))
    assert (await store.workflow("w")).input == "{}"


@pytest.mark.parametrize("before", list(S))
@pytest.mark.parametrize("after", list(S))
async def test_statuses_move_forward_only(store: Store, before: S, after: S) -> None:
    rank = {S.QUEUED: 0, S.RUNNING: 1}
    allowed = rank.get(before, 2) < rank.get(after, 2)
    await store.save_workflow(workflow(status=before, output="1"))

    stored, made = await store.change_workflow("w", WorkflowChange(status=after, output="2"))

    assert made is allowed
    assert stored.status is (after if allowed else before)
    assert stored.output == ("2" if allowed else "1")
    assert await store.workflow("w") == stored


async def test_a_change_without_a_status_is_always_made(store: Store) -> None:
    await store.save_workflow(workflow(status=S.FAILED))

    stored, made = await store.change_workflow(
        "w", WorkflowChange(resolved_by_user=True, status_reason="seen", last_updated=at(5))
    )

    assert made
    assert (stored.resolved_by_user, stored.status_reason, stored.last_updated) == (True, "seen", at(5))
    assert stored.status is S.FAILED


async def test_of_many_final_statuses_at_once_one_stands(store: Store) -> None:
    await store.save_workflow(workflow(status=S.RUNNING))
    finals = [S.SUCCEEDED, S.FAILED, S.CANCELLED] * 5

    outcomes = await asyncio.gather(*(store.change_workflow("w", WorkflowChange(status=s)) for s in finals))

    assert [made for _, made in outcomes].count(True) == 1
    (winner,) = [stored for stored, made in outcomes if made]
    assert (await store.workflow("w")).status is winner.status


async def test_retries_are_appended_once_each(store: Store) -> None:
    await store.save_workflow(workflow())

    for retry in ("r1", "r2", "r1"):
        await store.change_workflow("w", WorkflowChange(add_retry=retry))

    assert (await store.workflow("w")).retries == ["r1", "r2"]


async def test_jobs_are_kept_when_they_are_given(store: Store) -> None:
    job = Job(id="4", state="S", status=JobStatus.FAILED, status_reason="why", created_at=at(1), attempts=[])
    await store.save_workflow(workflow())

    stored, _ = await store.change_workflow("w", WorkflowChange(jobs=[job], last_job=job))

    assert stored.jobs == [job]
    assert (await store.workflow("w")).last_job == job


async def test_payloads_are_replaced_and_cleared(store: Store) -> None:
    await store.save_workflow(workflow(output='{"old": 1}', last_job=Job(id="1", input="old", output="old")))

    stored, made = await store.change_workflow("w", WorkflowChange(output="", last_job=Job(id="2"), jobs=[]))

    assert made
    assert (stored.output, stored.last_job, stored.jobs) == ("", Job(id="2"), [])
    assert await store.workflow("w") == stored


async def test_a_workflow_that_is_not_there(store: Store) -> None:
    for call in (store.workflow("no"), store.change_workflow("no", WorkflowChange(status=S.FAILED))):
        with pytest.raises(WorkflowNotFound, match="no"):
            await call
    await store.delete_workflow("no")


async def test_a_deleted_workflow_is_gone(store: Store) -> None:
    await store.save_workflow(workflow(tags={"k": "v"}))
    await store.delete_workflow("w")

    with pytest.raises(WorkflowNotFound):
        await store.workflow("w")
    await store.save_workflow(workflow())


async def test_unfinished_workflows_come_longest_untouched_first(store: Store) -> None:
    for id_, status, updated in [("a", S.RUNNING, 30), ("b", S.QUEUED, 10), ("c", S.FAILED, 5), ("d", S.RUNNING, 20.5)]:
        await store.save_workflow(workflow(id_, status=status, last_updated=at(updated)))
    await store.save_workflow(workflow("e", status=S.QUEUED, last_updated=at(20)))

    assert [w.id for w in await store.unfinished_workflows(at(30), 10)] == ["b", "e", "d"]
    assert [w.id for w in await store.unfinished_workflows(at(30.001), 10)] == ["b", "e", "d", "a"]
    assert [w.id for w in await store.unfinished_workflows(at(100), 2)] == ["b", "e"]
    assert (await store.unfinished_workflows(at(11), 10))[0].workflow_definition.state_machine is None


async def test_a_workflow_that_ends_or_is_touched_moves_among_the_unfinished(store: Store) -> None:
    for id_ in ("a", "b"):
        await store.save_workflow(workflow(id_, status=S.RUNNING, last_updated=at(1)))
    await store.change_workflow("a", WorkflowChange(status=S.FAILED, last_updated=at(2)))
    await store.change_workflow("b", WorkflowChange(last_updated=at(3)))

    assert await store.unfinished_workflows(at(3), 10) == []
    assert [w.id for w in await store.unfinished_workflows(at(4), 10)] == ["b"]
