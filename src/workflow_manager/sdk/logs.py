"""Where an application's log goes: to the standard library's ``logging``, whose configuration is the application's own."""

from __future__ import annotations

import logging
from typing import Any

import structlog

LOGGER = "workflow_manager.sdk"


def make_logger() -> Any:
    """A logger that takes ``log.info("text", key=value)`` and writes ``text key=value``."""
    return structlog.wrap_logger(
        logging.getLogger(LOGGER),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            _one_text,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=False,
    )


def _one_text(_: Any, __: str, event: Any) -> str:
    text = str(event.pop("event", ""))
    trace = event.pop("exception", None)
    told = " ".join([text, *(f"{key}={value!r}" for key, value in event.items())])
    return told if trace is None else f"{told}\n{trace}"
