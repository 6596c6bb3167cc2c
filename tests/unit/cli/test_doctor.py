"""``wfm doctor``: what each check finds. The parts that it looks at are real: a port, a folder, a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from workflow_manager.cli import doctor
from workflow_manager.cli.main import run

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class _Answer(BaseHTTPRequestHandler):
    body = b"hello"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something else that speaks HTTP."""
    server = HTTPServer(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WFM_SERVER", "WFM_DATA", "WFM_CONFIG", "WFM_OUTPUT"):
        monkeypatch.delenv(name, raising=False)


def found(server: str = "http://127.0.0.1:9") -> dict[str, tuple[str, str]]:
    return {each.check: (each.level, each.message + " " + each.advice) for each in doctor.examine(server)}


def test_a_server_that_is_not_there() -> None:
    level, said = found()["server"]

    assert level == "error"
    assert "does not answer" in said
    assert "start it with wfm serve" in said


def test_something_else_that_answers(other_server: str) -> None:
    level, said = found(other_server)["server"]

    assert (level, "is no workflow-manager" in said) == ("error", True)


def test_a_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WFM_PORT", "many")

    level, said = found()["configuration"]

    assert (level, "WFM_PORT must be a whole number" in said) == ("error", True)


def test_where_settings_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wfm.toml").write_text("port = 1\n")
    monkeypatch.setenv("WFM_NAMESPACE", "n")

    assert found()["configuration"] == ("ok", "wfm.toml; WFM_NAMESPACE ")


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "wfm serve makes it" in found()["data folder"][1]
    (tmp_path / "wfm-data").mkdir()
    assert "GiB free" in found()["data folder"][1]
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 60)
    assert found()["data folder"][0] == "warning"
    (tmp_path / "file").touch()
    monkeypatch.setenv("WFM_DATA", str(tmp_path / "file"))
    assert found()["data folder"][0] == "error"


@pytest.mark.parametrize(
    ("server_is_ahead_by", "level"),
    [(0.0, "ok"), (4.0, "ok"), (-4.0, "ok"), (60.0, "warning"), (-60.0, "warning")],
)
def test_the_clock(server_is_ahead_by: float, level: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=server_is_ahead_by), usegmt=True)

    finding = doctor._clock(date, NOW, NOW + timedelta(seconds=0.2))

    assert finding.level == level
    if level == "warning":
        assert ("behind" in finding.message) is (server_is_ahead_by > 0)


def test_no_clock_at_all() -> None:
    assert doctor._clock(None, NOW, NOW).level == "warning"


def test_a_check_that_goes_wrong_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_data_folder", lambda _: 1 / 0)

    level, said = found()["data folder"]

    assert (level, "ZeroDivisionError" in said) == ("error", True)


def test_the_exit_code_says_whether_something_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--server", "http://127.0.0.1:9", "--output", "table"]) == 1

    out = capsys.readouterr().out
    assert "✘ server: http://127.0.0.1:9 does not answer" in out
    assert "✔ data folder" in out
