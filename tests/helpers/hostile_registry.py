"""A registry that misbehaves as a test wants it to, on the loopback interface of the tests' own network namespace."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_MANIFEST

from . import own_network
from .images import Image


class Content(NamedTuple):
    """What is at a path."""

    body: bytes
    media_type: str = "application/octet-stream"


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


Misdeed = Callable[["Handler", Content], None]


def answers(status: int, **headers: str) -> Misdeed:
    """Refuse with a status, and headers (``_`` stands for ``-``)."""

    def act(handler: Handler, _content: Content) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return act


def breaks_off_after(count: int) -> Misdeed:
    """Send the head and some bytes, then close the connection."""

    def act(handler: Handler, content: Content) -> None:
        handler.send_head(content)
        handler.wfile.write(handler.part(content)[:count])
        handler.close_connection = True

    return act


def hangs_up() -> Misdeed:
    """Close the connection without a word."""

    def act(handler: Handler, _content: Content) -> None:
        handler.close_connection = True

    return act


def gives(
    body: bytes, media_type: str = "application/octet-stream", status: int = 200, **headers: str
) -> Misdeed:
    """Something else."""

    def act(handler: Handler, _content: Content) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", media_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def ignores_ranges() -> Misdeed:
    """All of it, whatever was asked for."""
    return lambda handler, content: gives(content.body, content.media_type)(handler, content)


def waits_for(event: threading.Event, then: Misdeed) -> Misdeed:
    """Go on when the test says so."""

    def act(handler: Handler, content: Content) -> None:
        event.wait()
        then(handler, content)

    return act


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """A misdeed, or what is there."""
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers)))
        content = self.server.content.get(self.path.partition("?")[0])
        misdeeds = self.server.misdeeds[self.path.partition("?")[0]]
        if misdeeds:
            misdeeds.pop(0)(self, content or Content(b""))
        elif content is None:
            gives(b'{"errors":[{"code":"UNKNOWN","message":"no such thing"}]}', status=404)(
                self, Content(b"")
            )
        else:
            self.send_head(content)
            self.wfile.write(self.part(content))

    do_HEAD = do_POST = do_GET

    def part(self, content: Content) -> bytes:
        """From where the client wants it."""
        return content.body[self._begin() :]

    def _begin(self) -> int:
        return int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])

    def send_head(self, content: Content) -> None:
        """Of a whole answer, or a part."""
        begin, size = self._begin(), len(content.body)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Type", content.media_type)
        self.send_header("Content-Length", str(size - begin))
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    """With what the handlers need."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.content: dict[str, Content] = {"/v2/": Content(b"{}")}
        self.misdeeds: defaultdict[str, list[Misdeed]] = defaultdict(list)


class HostileRegistry:
    """``with HostileRegistry() as registry``."""

    def __init__(self) -> None:
        own_network.enter()
        self._server = Server()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.asked = self._server.asked
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> HostileRegistry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, repository: str, tag: str, image: Image) -> str:
        """An image; the whole name."""
        self.put_manifest(repository, tag, image.manifest)
        for blob in (*image.blobs, image.document):
            self._server.content[f"/v2/{repository}/blobs/{digest_of(blob)}"] = Content(blob)
        return f"{self.host}/{repository}:{tag}"

    def put_manifest(self, repository: str, tag: str, content: bytes, kind: str = OCI_MANIFEST) -> None:
        """A manifest or an index."""
        for name in (tag, digest_of(content)):
            self._server.content[f"/v2/{repository}/manifests/{name}"] = Content(content, kind)

    def misbehave(self, path: str, *misdeeds: Misdeed) -> None:
        """At the next requests of a path, one misdeed each."""
        self._server.misdeeds[path] = list(misdeeds)
