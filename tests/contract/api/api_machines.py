"""State machines that the tests run, and a client of an API in the same process."""

from __future__ import annotations

import httpx

from workflow_manager.api.app import Api

PASS = {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}}
WAIT = {"StartAt": "later", "States": {"later": {"Type": "Wait", "Seconds": 3600, "End": True}}}
FAIL = {
    "StartAt": "choose",
    "States": {
        "choose": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "no"}],
            "Default": "no",
        },
        "no": {"Type": "Fail", "Error": "Broken", "Cause": "as told"},
    },
}


def in_process(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test")
