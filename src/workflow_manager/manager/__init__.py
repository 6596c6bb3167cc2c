"""What workflow-manager adds: naming, shorthand, starting, cancelling, resuming, jobs, status updates."""

from workflow_manager.manager.manager import WorkflowManager
from workflow_manager.manager.naming import ManagerSettings

__all__ = ["ManagerSettings", "WorkflowManager"]
