"""The embedded engine: executes state machines in this process, durably, behind the Step Functions API.

A functional core (``step`` and its transitions) decides; a shell with one writer (shell/runner.py) loads, writes and lets out.
Its rooms, each of which imports those above it only:

    core/         what one stimulus does to one execution; pure
    shell/        executions loaded, stepped and written, and what is told of them
    maps/         distributed Maps: items, batches, children, results
    operations/   the API's operations on state machines, versions, executions and Map Runs
    tasks/        what Tasks ask for, carried out: activities, nested executions, integrations
    teststate/    one state tried by itself

mocks.py has Tasks answer from a file, retention.py forgets what ended long ago, and service.py is the Step Functions API over
all of it.
"""

from workflow_manager.engine.core.draft import Limits
from workflow_manager.engine.service import EmbeddedStepFunctions

__all__ = ["EmbeddedStepFunctions", "Limits"]
