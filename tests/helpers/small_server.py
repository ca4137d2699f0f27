"""An HTTP server that plays somebody for a test, on a port of the loopback interface."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class SmallServer(ThreadingHTTPServer):
    """``with SmallServer(Handler) as server``: it serves in the block; its handlers find it as ``self.server``."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class Quiet(BaseHTTPRequestHandler):
    """A handler whose log nobody reads."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; ``_`` in the name of a header stands for ``-``. To a HEAD it goes without the body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Nothing."""
