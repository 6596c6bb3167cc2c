"""What of the suites that run on every pair cannot run on moto's Step Functions, and why.

moto interprets definitions itself, so what runs there is what AWS would have to do too. A case of CANNOT has to fail: one that
moto has learnt to pass is to be taken off. What would only wait until it gives up, or asks nothing of Step Functions, is not
tried. Cases are named by their functions, where all parameters fail, or in full.
"""

from __future__ import annotations

import re

import pytest
from pairs import MOTO, PAIRS

STORE_ONLY = "asks nothing of Step Functions, or no more than the others of its module"
STREAMS = "is about streams, whatever is told in them"
COMPARED = "the request is held against the store; one such case asks as much of Step Functions"
CLOCK = "moto does not go by the tests' clock"
ACTIVITIES = "moto carries out no activities, and answers GetActivityTask with 500"
TELLS = "moto tells of no changes"
ORDER = "moto tells a history in one order only"
TWICE = "moto refuses to create an activity that is there"
CAUSE = "moto forgets why an execution was stopped"

LEFT_OUT = {
    "test_manager_definitions.py": "asks for ValidateStateMachineDefinition only, which moto does not have",
    "test_manager_state_resources.py": STORE_ONLY,
}
"""Modules of which nothing is tried."""

NOT_TRIED = {
    "test_live": ACTIVITIES,
    "test_a_virtual_hour": CLOCK,
    "test_a_long_history_is_told_whole_and_in_order": f"{ORDER}, and this long a one takes it ten seconds",
    "test_cancelling[told]": TELLS,
    "test_other_content_is_refused": COMPARED,
    "test_the_same_content_in_other_words": COMPARED,
    "test_the_rate_is_bounded_however_many_there_are": "the same as on others, and moto is slow",
    # the API
    "test_a_new_definition_is_version_0": STORE_ONLY,
    "test_a_definition_in_yaml": STORE_ONLY,
    "test_a_definition_that_is_there": STORE_ONLY,
    "test_a_refused_definition_lists_every_fault": STORE_ONLY,
    "test_put_makes_the_next_version": STORE_ONLY,
    "test_put_refused": STORE_ONLY,
    "test_versions": STORE_ONLY,
    "test_no_definitions_are_an_empty_list": STORE_ONLY,
    "test_reads_refused": STORE_ONLY,
    "test_state_resources": STORE_ONLY,
    "test_filters": STORE_ONLY,
    "test_the_next_pages_path": STORE_ONLY,
    "test_a_client_that_goes_away_leaves_nothing_behind": STREAMS,
    "test_the_end_of_the_server_ends_streams": STREAMS,
    "test_a_client_that_does_not_read_stops_the_iterator_and_is_let_go": STREAMS,
    "test_a_quiet_stream_says_that_it_is_there": STREAMS,
    "test_a_stream_outlives_the_limit_of_handlers": STREAMS,
    "test_streams_are_not_compressed": STREAMS,
}

CANNOT = {
    # test_manager_follow.py
    "test_from_any_event_on[1]": ORDER,
    # test_manager_once.py
    "test_further_answers_are_the_workflow_as_it_is_then": ACTIVITIES,
    "test_a_start_that_failed_leaves_nothing_and_can_be_repeated[create_state_machine-error0-InvalidWorkflowDefinition]": TWICE,
    "test_one_that_ends_while_it_is_begun_does_not_run_on": CAUSE,
    "test_a_key_whose_workflow_is_kept_no_longer": CLOCK,
    "test_nor_is_anybody_who_asks_meanwhile": CLOCK,
    "test_whose_an_execution_is_that_cannot_be_looked_at_is_not_known_yet": CLOCK,
    # test_manager_people.py
    "test_cancelling[not told]": ACTIVITIES,
    "test_resuming_from_the_state_that_failed": ACTIVITIES,
    "test_resuming_from_a_state_that_has_no_jobs": ACTIVITIES,
    "test_a_resumed_workflow_can_be_resumed": ACTIVITIES,
    "test_an_active_workflow_is_not_resumed": ACTIVITIES,
    "test_nor_one_with_an_active_descendant": ACTIVITIES,
    "test_of_two_at_once_one_is_refused": ACTIVITIES,
    "test_a_task_that_did_not_run": ACTIVITIES,
    "test_resuming_with_another_input": ACTIVITIES,
    "test_resuming_on_a_newer_version": ACTIVITIES,
    "test_resuming_from_what_failed[the Map around the Parallel around the failed Task]": ACTIVITIES,
    "test_resuming_from_what_failed[the Task whose caught failure led to a Fail state]": ACTIVITIES,
    # test_manager_starting.py
    "test_the_execution_is_named_like_the_workflow_and_told_its_name": ACTIVITIES,
    "test_items_that_are_handed_on_as_they_are_stay_so": "moto writes outputs with spaces",
    "test_bad_requests_start_nothing[long input]": "moto takes inputs of any length",
    "test_a_start_that_fails_leaves_nothing_behind[create_state_machine-error1-StorageUnavailable]": TWICE,
    "test_a_start_that_fails_leaves_nothing_behind[create_state_machine-error2-InvalidWorkflowDefinition]": TWICE,
    "test_a_state_machine_from_before_a_restart_is_used": ACTIVITIES,
    "test_definitions_whose_names_coincide_run_their_own": "moto takes another definition for one name",
    "test_a_state_resource_says_where_the_work_is_done": ACTIVITIES,
    # test_manager_statuses.py
    "test_the_end_is_told": TELLS,
    "test_running_is_told": TELLS,
    "test_a_timeout_is_a_failure": TELLS,
    "test_a_failure_comes_with_the_job_that_failed": ACTIVITIES,
    "test_a_failure_is_told_even_when_its_history_cannot_be_read": TELLS,
    "test_jobs_of_a_workflow_under_way": ACTIVITIES,
    "test_jobs_at_every_depth_with_their_attempts": ACTIVITIES,
    "test_a_child_execution_that_has_its_parents_name_is_not_the_parent": "moto starts no executions from executions",
    # test_manager_sweeping.py
    "test_where_changes_are_pushed_what_runs_is_left_alone": TELLS,
    # test_api_events.py
    "test_from_where_on[after an event]": ORDER,
}


def pairs_of(module: str) -> list[str]:
    """The pairs that a module's tests run on."""
    return PAIRS if module in LEFT_OUT else [*PAIRS, MOTO]


def sort_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases that are not tried on moto, and expect those to fail that cannot pass."""
    left = []
    for item in items:
        full = re.sub(rf"\[{re.escape(MOTO)}\]|(?<=\[){re.escape(MOTO)}-|-{re.escape(MOTO)}(?=[\]-])", "", item.name)
        names = (full, full.partition("[")[0])
        if full == item.name or not any(name in NOT_TRIED for name in names):
            left.append(item)
        if full != item.name and (reason := next((CANNOT[name] for name in names if name in CANNOT), "")):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if len(left) < len(items):
        config.hook.pytest_deselected(items=[each for each in items if each not in left])
        items[:] = left
