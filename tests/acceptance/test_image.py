"""What the container image runs, run here: its command with its variables, and its health check."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from server_process import ServerProcess, free_port

DOCKERFILE = (Path(__file__).parents[2] / "deploy" / "Dockerfile").read_text()

pytestmark = pytest.mark.acceptance


def health_check(port: int) -> subprocess.CompletedProcess[str]:
    program, *arguments = json.loads(re.search(r"HEALTHCHECK .*\\\n\s*CMD (\[.*\])", DOCKERFILE)[1])
    assert program == "python"
    environment = os.environ | {"WFM_PORT": str(port)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=20
    )


def test_the_health_check_finds_a_server_that_serves(tmp_path: Path) -> None:
    variables = dict(re.findall(r"\b(WFM_[A-Z_]+)=(\S+)", DOCKERFILE))
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[1]) == ["wfm"]
    assert json.loads(re.search(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[1]) == ["serve"]
    environment = {"WFM_HOST": variables["WFM_HOST"]}

    with ServerProcess(tmp_path / "data", environment=environment) as server:
        assert health_check(server.port).returncode == 0
        assert server.stop() == 0

    assert "may be reached from other machines" in server.log.read_text()


def test_the_health_check_finds_that_nobody_serves() -> None:
    assert health_check(free_port()).returncode != 0
