"""A registry that misbehaves as a test wants it to, on the loopback interface of the tests' own network namespace.

It takes uploads in parts, and knows how far each has come (distribution-spec, Pushing Blobs).
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import count
from typing import NamedTuple
from urllib.parse import parse_qsl

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_MANIFEST

from . import own_network
from .images import Image
from .small_server import Quiet, SmallServer

WITHIN = 60.0
"""Seconds: longer than any test waits."""


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
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        handler.answer(status, **headers)

    return act


def breaks_off_after(size: int, end: threading.Event | None = None) -> Misdeed:
    """Send the head and some bytes, then close the connection: at once, or when the test says so."""

    def act(handler: Handler, content: Content) -> None:
        handler.send_head(content)
        handler.wfile.write(handler.part(content)[:size])
        if end is not None:
            end.wait(WITHIN)
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

    return lambda handler, _content: handler.answer(status, body, Content_Type=media_type, **headers)


def mounts_nothing(place: str) -> Misdeed:
    """Begin an upload instead."""
    return lambda handler, _content: handler.answer(202, Location=place)


def takes(size: int) -> Misdeed:
    """Take so many bytes of an upload, then close the connection."""

    def act(handler: Handler, _content: Content) -> None:
        handler.take(size)
        handler.close_connection = True

    return act


def answers_nobody() -> Misdeed:
    """Do what is asked, and close the connection instead of answering."""

    def act(handler: Handler, _content: Content) -> None:
        answer, handler.answer = handler.answer, lambda *_, **__: None  # type: ignore[method-assign]
        handler.put()
        handler.answer, handler.close_connection = answer, True  # type: ignore[method-assign]

    return act


def forgets_uploads() -> Misdeed:
    """Forget all uploads, and close the connection."""

    def act(handler: Handler, _content: Content) -> None:
        handler.server.uploads.clear()
        handler.close_connection = True

    return act


def ignores_ranges() -> Misdeed:
    """All of it, whatever was asked for."""
    return lambda handler, content: gives(content.body, content.media_type)(handler, content)


def waits_for(event: threading.Event, then: Misdeed) -> Misdeed:
    """Go on when the test says so."""

    def act(handler: Handler, content: Content) -> None:
        event.wait(WITHIN)
        then(handler, content)

    return act


class Handler(Quiet):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: HostileRegistry

    def do_GET(self) -> None:
        """A misdeed, how far an upload has come, or what is there."""
        self._noted()
        if self._misdeed():
            return
        content, upload = self._content(), self.server.uploads.get(self._path())
        if upload is not None:
            self.answer(204, Range=f"0-{max(0, len(upload) - 1)}", Location=self._path())
        elif self._path().endswith("/tags/list"):
            self._page()
        elif content is None:
            gives(b'{"errors":[{"code":"UNKNOWN","message":"no such thing"}]}', status=404)(
                self, Content(b"")
            )
        else:
            self.send_head(content)
            self.wfile.write(self.part(content))

    def _page(self) -> None:
        """Of the list of tags: one tag, and where the next one is."""
        prefix = self._path().removesuffix("tags/list") + "manifests/"
        found = [path.removeprefix(prefix) for path in self.server.content if path.startswith(prefix)]
        tags = sorted(tag for tag in found if ":" not in tag and tag > self._query().get("last", ""))
        body = json.dumps({"tags": tags[:1]}).encode()
        link = f'<{self._path()}?last={tags[0]}>; rel="next"' if len(tags) > 1 else ""
        gives(body, "application/json", Link=link)(self, Content(b""))

    def do_HEAD(self) -> None:
        """As a GET, without the content."""
        self._noted()
        if not self._misdeed():
            self.answer(200 if self._content() else 404)

    def do_POST(self) -> None:
        """Mount a blob, or begin an upload."""
        self._noted()
        if self._misdeed():
            return None
        repository, query = self._path().removeprefix("/v2/").removesuffix("/blobs/uploads/"), self._query()
        origin = self.server.content.get(f"/v2/{query.get('from')}/blobs/{query.get('mount')}")
        if origin is not None:
            self.server.content[f"/v2/{repository}/blobs/{query['mount']}"] = origin
            return self.answer(201)
        place = f"/v2/{repository}/blobs/uploads/{next(self.server.numbers)}"
        self.server.uploads[place] = b""
        return self.answer(202, Location=place)

    def do_DELETE(self) -> None:
        """An upload that nobody wants any more."""
        self._noted()
        self.answer(204 if self.server.uploads.pop(self._path(), None) is not None else 404)

    def do_PATCH(self) -> None:
        """A part of a blob."""
        self._noted()
        if not self._misdeed():
            self.take(int(self.headers["Content-Length"]))
            self.answer(202, Location=self._path())

    def do_PUT(self) -> None:
        """The end of a blob, or a manifest."""
        self._noted()
        if not self._misdeed():
            self.put()

    def put(self) -> None:
        """Without a misdeed."""
        if "/manifests/" in self._path():
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.content[self._path()] = Content(content, self.headers["Content-Type"])
            return self.answer(201, Docker_Content_Digest=digest_of(content))
        self.take(int(self.headers["Content-Length"]))
        content = self.server.uploads.pop(self._path())
        if digest_of(content) != (digest := self._query()["digest"]):
            return self.answer(400)
        self.server.content[self._path().rpartition("/uploads/")[0] + "/" + digest] = Content(content)
        return self.answer(201)

    def take(self, size: int) -> None:
        """Up to so many bytes of an upload, which stay whatever comes."""
        self.server.uploads[self._path()] += self.rfile.read(size)

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(self.path.partition("?")[2]))

    def _content(self) -> Content | None:
        return self.server.content.get(self._path())

    def _noted(self) -> None:
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers)))

    def _misdeed(self) -> bool:
        """Whether this request is one of those that go wrong, and has."""
        misdeeds = (
            self.server.misdeeds[f"{self.command} {self._path()}"] or self.server.misdeeds[self._path()]
        )
        if not misdeeds:
            return False
        misdeeds.pop(0)(self, self._content() or Content(b""))
        return True

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


class HostileRegistry(SmallServer):
    """``with HostileRegistry() as registry``."""

    def __init__(self) -> None:
        own_network.enter()
        super().__init__(Handler)
        self.asked: list[Asked] = []
        self.content: dict[str, Content] = {"/v2/": Content(b"{}")}
        self.uploads: dict[str, bytes] = {}
        self.numbers = count()
        self.misdeeds: defaultdict[str, list[Misdeed]] = defaultdict(list)

    def add(self, repository: str, tag: str, image: Image) -> str:
        """An image; the whole name."""
        self.put_manifest(repository, tag, image.manifest)
        for blob in (*image.blobs, image.document):
            self.content[f"/v2/{repository}/blobs/{digest_of(blob)}"] = Content(blob)
        return f"{self.host}/{repository}:{tag}"

    def put_manifest(self, repository: str, tag: str, content: bytes, kind: str = OCI_MANIFEST) -> None:
        """A manifest or an index."""
        for name in (tag, digest_of(content)):
            self.content[f"/v2/{repository}/manifests/{name}"] = Content(content, kind)

    def methods(self, path: str) -> list[str]:
        """How a path, and what is below it, was asked for."""
        return [one.method for one in self.asked if one.path.startswith(path)]

    def misbehave(self, path: str, *misdeeds: Misdeed) -> None:
        """At the next requests of a path, or of ``METHOD PATH``, one misdeed each."""
        self.misdeeds[path] = list(misdeeds)
