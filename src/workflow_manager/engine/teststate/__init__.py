"""TestState: one state tried by itself, with what each of its steps made.

request.py reads and refuses, evaluation.py tries (pure), invocation.py carries out what a Task calls, operation.py is the API's
operation.
"""

from workflow_manager.engine.teststate.invocation import Invocations
from workflow_manager.engine.teststate.operation import StateTester

__all__ = ["Invocations", "StateTester"]
