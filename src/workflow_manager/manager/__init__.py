"""What workflow-manager adds: naming, shorthand, starting, cancelling, resuming, jobs, status updates."""

from workflow_manager.manager.manager import WorkflowManager
from workflow_manager.manager.naming import ManagerSettings
from workflow_manager.manager.sweeping import SweepSettings

__all__ = ["ManagerSettings", "SweepSettings", "WorkflowManager"]
