"""``wfm serve`` on a disk that takes longer: every flush has some milliseconds added, as a network disk would have.

python slow_disk.py MILLISECONDS serve --port ...
"""

from __future__ import annotations

import sys

from workflow_manager.cli import main
from workflow_manager.database import Database

if __name__ == "__main__":
    defaults = Database.__init__.__kwdefaults__
    assert defaults is not None
    defaults["flush_delay_seconds"] = float(sys.argv[1]) / 1000
    main(sys.argv[2:])
