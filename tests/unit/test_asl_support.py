"""docs/asl-support.md says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_what_is_supported_is_up_to_date() -> None:
    command = [sys.executable, "tools/write_asl_support.py", "docs/asl-support.md", "--check"]

    written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert written.returncode == 0, written.stderr
