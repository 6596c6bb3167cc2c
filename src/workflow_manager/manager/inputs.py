"""The input of an execution: the workflow's, with its id added. What users wrote is kept to the letter."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from workflow_manager.manager.expansion import EXECUTION_NAME
from workflow_manager.model.errors import InvalidRequest


def execution_input(text: str, workflow_id: str) -> str:
    """Add ``_EXECUTION_NAME`` to a JSON object, in place of one that is there. Raises InvalidRequest."""
    try:
        fields = msgspec.json.decode(text, type=dict[str, Raw])
    except RecursionError:
        raise InvalidRequest("input is not a valid JSON object: it is nested too deeply") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidRequest(f"input is not a valid JSON object: {error}") from None
    fields[EXECUTION_NAME] = Raw(msgspec.json.encode(workflow_id))
    return msgspec.json.encode(fields).decode()
