"""``wfm``, the command line. One module per group of commands; what is heavy is imported where a command needs it."""

from workflow_manager.cli.main import main

__all__ = ["main"]
