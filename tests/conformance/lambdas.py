"""Plays Lambda's part: answers Invoke with the behaviours that the recorded functions had, by name."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

PREFIX = "conf-"
"""What the names of the recorded functions begin with; there are no others."""
WAIT_SECONDS = 60


def behave(name: str, event: Any) -> tuple[bool, Any]:
    """Whether the function fails, and what it answers."""
    if "raise_custom_exception" in name:
        return True, _exception("CustomException", "")
    if "raise_exception" in name:
        return True, _exception("Exception", "Some exception was raised.")
    if "echo_function" in name:
        return False, {"Return": "HelloWorld"}
    if "return_decorated_input" in name:
        return False, f"input-event-{event}"
    if "return_bytes_str" in name:
        return False, "HelloWorld!"
    if "large_output_string" in name:
        return False, "a" * (257 * 1024)
    if "wait_60_seconds" in name:
        time.sleep(WAIT_SECONDS)
    return False, event


def _exception(kind: str, message: str) -> dict[str, Any]:
    stack = ['  File "/var/task/handler.py", line 2, in handler\n']
    return {"errorMessage": message, "errorType": kind, "requestId": str(uuid.uuid4()), "stackTrace": stack}


def _unknown(name: str) -> dict[str, Any]:
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}:$LATEST"
    return {"Type": "User", "Message": f"Function not found: {arn}"}


class Lambda(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @classmethod
    def serve(cls, port: int = 0) -> int:
        """Answer on this port of the loopback interface (0: a free one), from now until the process ends; the port."""
        server = ThreadingHTTPServer(("127.0.0.1", port), cls)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        name = unquote(self.path.split("/functions/")[-1].split("/")[0])
        name = name.split(":")[6] if name.count(":") >= 6 else name.split(":")[0]
        known = name.startswith(PREFIX)
        failed, answer = behave(name, json.loads(body or b"{}")) if known else (False, _unknown(name))
        payload = json.dumps(answer).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.send_header("x-amzn-requestid", str(uuid.uuid4()))
        if known:
            self.send_header("x-amz-executed-version", "$LATEST")
        else:
            self.send_header("x-amzn-errortype", "ResourceNotFoundException")
        if failed:
            self.send_header("x-amz-function-error", "Unhandled")
        self.end_headers()
        self.wfile.write(payload)
