"""The instance's own door: `GET /health` on a loopback port of its own, whatever the engine does."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from online_runtime.instance.spec import InstanceReport

SLOWEST_CALLER_SECONDS = 10.0  # a caller that sends no request or reads no answer is dropped


class _Handler(BaseHTTPRequestHandler):
    timeout = SLOWEST_CALLER_SECONDS
    server: Door

    def do_GET(self) -> None:
        if self.path != "/health":
            self.send_error(404, "This door knows /health only")
            return
        body = self.server.report().to_json().encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A call every two seconds is no news."""


class Door(ThreadingHTTPServer):
    """Listens as soon as it is made; `serve_forever` answers.

    `report` is called once a request, from its thread.
    """

    daemon_threads = True

    def __init__(self, report: Callable[[], InstanceReport]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.report = report

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"
