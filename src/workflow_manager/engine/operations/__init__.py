"""The API's operations, over what is on disk: state machines and their versions, executions, Map Runs.

The doors are machines.py, versions.py, executions.py, qualified.py and map_run_api.py, which engine/service.py puts together;
histories.py has the pages of an execution's history.
Operations on activities and task tokens are in tasks/, beside the queues that they are about; TestState is in teststate/.
"""
