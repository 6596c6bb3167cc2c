"""Messages as EventBridge puts them into a queue."""

from __future__ import annotations

import json
from typing import Any

from workflow_manager.stepfunctions.arns import Arns

ARNS = Arns()


def message(name: str, status: str = "SUCCEEDED", machine: str = "ns--d--0--echo", **detail: Any) -> str:
    final = status != "RUNNING"
    return json.dumps(
        {
            "version": "0",
            "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states",
            "detail": {
                "executionArn": ARNS.execution(machine, name),
                "stateMachineArn": ARNS.state_machine(machine),
                "name": name,
                "status": status,
                "startDate": 1_700_000_000_000,
                "stopDate": 1_700_000_001_000 if final else None,
                "output": "{}" if status == "SUCCEEDED" else None,
                "error": None,
                "cause": None,
                **detail,
            },
        }
    )
