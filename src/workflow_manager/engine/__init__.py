"""The embedded engine: executes state machines in this process, durably, behind the Step Functions API.

A functional core (``step`` and its transitions) decides; a shell with one writer (runner.py) loads, writes and lets out.
"""

from workflow_manager.engine.draft import Limits
from workflow_manager.engine.service import EmbeddedStepFunctions

__all__ = ["EmbeddedStepFunctions", "Limits"]
