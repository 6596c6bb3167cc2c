"""Plays API Gateway's part: answers a request as a function behind it does that answers its event."""

from __future__ import annotations

import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HEADERS = {
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "Via": "1.1 conformance (CloudFront)",
    "X-Amz-Cf-Id": "id",
    "X-Amz-Cf-Pop": "pop",
    "X-Amzn-Trace-Id": "Root=1",
    "X-Cache": "Miss from cloudfront",
    "x-amz-apigw-id": "id",
    "x-amzn-RequestId": "id",
}
"""What API Gateway was recorded to send besides the length and the date."""


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @classmethod
    def serve(cls) -> int:
        """Answer on a free port of the loopback interface, from now until the process ends; the port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), cls)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        query = parse_qsl(urlsplit(self.path).query)
        if query:  # the recorded integration's request template
            body = {"body": body, "queryStringParameters": f"{{{', '.join(f'{k}={v}' for k, v in query)}}}"}
        payload = json.dumps(body, separators=(",", ":")).encode()
        self.send_response_only(200)
        for name, value in {**HEADERS, "Content-Length": str(len(payload)), "Date": formatdate(usegmt=True)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
