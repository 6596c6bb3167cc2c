"""The shell around the core: loads executions, has them stepped, writes what was decided, and only then lets anything out.

The door is runner.py, for executions that are kept; express.py is another shell, for those that are not. rows.py, payloads.py and
schema.py are what is on disk; logs.py and cloudwatch.py what is told of executions beside that.
"""
