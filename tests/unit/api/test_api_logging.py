"""Logs: JSON lines away from a terminal, whoever writes them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from workflow_manager.api.logging import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    chatty = {name: logging.getLogger(name).level for name in ("uvicorn.error", "botocore", "urllib3", "httpx")}
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in chatty.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_with_the_request() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("request", status=200)
        logging.getLogger("elsewhere").warning("from %s", "afar")
    logging.getLogger("httpx").info("chatter")

    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["status"], ours["level"], ours["request_id"]) == ("request", 200, "info", "r-1")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("from afar", "warning", "r-1")
    assert ours["timestamp"].endswith("Z")


def test_tracebacks_are_one_line_of_json() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    try:
        raise KeyError("x")  # noqa: TRY301 - a traceback is wanted
    except KeyError as error:
        structlog.get_logger().error("unexpected error", exc_info=error)

    assert "KeyError: 'x'" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize(
    ("style", "stream", "is_json"),
    [
        ("auto", io.StringIO(), True),
        ("auto", Terminal(), False),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
)
def test_styles(style: str, stream: io.StringIO, *, is_json: bool) -> None:
    configure_logging(stream=stream, style=style)

    structlog.get_logger().info("hello")

    assert stream.getvalue().startswith("{") == is_json


def test_levels() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, level=logging.WARNING)

    structlog.get_logger().info("unheard")
    logging.getLogger("elsewhere").info("unheard")

    assert stream.getvalue() == ""
