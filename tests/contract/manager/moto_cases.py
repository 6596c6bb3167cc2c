"""What of the manager's tests of starting cannot run on moto's Step Functions, and why.

moto interprets definitions itself, so what is asked for there is what AWS would have to do too. Each case of the list has to
fail: one that moto has learnt to pass is to be taken off.
"""

from __future__ import annotations

MODULE = "test_manager_starting.py"
"""Runs on moto. The other modules ask the store only, or are told of changes by the engine, or take tasks and stop executions,
which moto cannot do: it answers GetActivityTask with 500, and StopExecution without its date."""

TASKS = "moto answers GetActivityTask with 500"
CANNOT = {
    "test_a_start_that_fails_leaves_nothing_behind[create_state_machine-error1-StorageUnavailable]": (
        "moto refuses to create an activity that is there"
    ),
    "test_a_start_that_fails_leaves_nothing_behind[create_state_machine-error2-InvalidWorkflowDefinition]": (
        "moto refuses to create an activity that is there"
    ),
    "test_a_state_machine_from_before_a_restart_is_used": "moto refuses to create an activity that is there",
    "test_a_state_resource_says_where_the_work_is_done": TASKS,
    "test_bad_requests_start_nothing[long input]": "moto takes inputs of any length",
    "test_definitions_whose_names_coincide_run_their_own": "moto takes another definition for one name",
    "test_items_that_are_handed_on_as_they_are_stay_so": "moto writes outputs with spaces",
    "test_the_execution_is_named_like_the_workflow_and_told_its_name": TASKS,
    "test_the_state_machine": "the engine is asked for the tags, and has none of moto's state machines",
}
