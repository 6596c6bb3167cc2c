"""Write the API's OpenAPI document to a file: ``python tools/write_openapi.py FILE``."""

import json
import sys
from pathlib import Path

from workflow_manager.api.app import document

Path(sys.argv[1]).write_text(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
