"""Logs: structured, for people on a terminal and as JSON lines elsewhere, on standard error.

What other libraries log by the standard library's means comes out the same way. Whatever is logged while a request is dealt
with has its ``request_id``. Bodies, headers and query strings are never logged.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO

import msgspec
import structlog

_SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(*, level: int = logging.INFO, style: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for the process; once, by whoever owns it. ``stream`` is standard error if not given.

    ``style``: ``console``, ``json``, or ``auto``: console on a terminal, JSON lines elsewhere.
    """
    stream = sys.stderr if stream is None else stream
    if style == "console" or (style == "auto" and stream.isatty()):
        last: list[Any] = [structlog.dev.ConsoleRenderer(colors=stream.isatty() and not os.environ.get("NO_COLOR"))]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    structlog.configure(
        processors=[*_SHARED, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("uvicorn.error", "botocore", "urllib3", "httpx"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


def _json(event: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
