"""Testing workflows: an engine for one test, whose clock does not wait and whose tasks are functions and stubs.

pytest users have the fixture ``wfm`` (pytest_plugin.py); ``Tester`` is the same without pytest.
"""

from workflow_manager.testing.run import Run, TaskRun
from workflow_manager.testing.stubs import Fail, Unstubbed
from workflow_manager.testing.tester import Tester

__all__ = ["Fail", "Run", "TaskRun", "Tester", "Unstubbed"]
