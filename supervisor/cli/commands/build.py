"""``pysup build``: an image of a Dockerfile and the files beside it."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, TextIO
from urllib.parse import urlencode

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.failures import RunFailure
from pysup.supervisor.cli.files import build_context, reading
from pysup.supervisor.cli.flags import (
    CONTENT_TRUST,
    Flag,
    Given,
    Syntax,
    UsageError,
    lacking,
    many,
    number,
    switch,
    text,
)
from pysup.supervisor.cli.options import judged
from pysup.supervisor.cli.options.kvfile import mapping
from pysup.supervisor.cli.output.progress_lines import Lines
from pysup.supervisor.cli.registries import docker_config
from pysup.supervisor.errors import PysupError

_BUILDKIT = "it is BuildKit's; pysup has docker's classic builder"
_PIECE = 1 << 20
_TAR = slice(257, 262)
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""gzip, bzip2, xz, zstd."""

BUILD = Syntax(
    "build",
    "[OPTIONS] PATH | -",
    "Build an image from a Dockerfile",
    (
        many("add-host", 'Add a custom host-to-IP mapping ("host:ip")', kind=judged.EXTRA_HOST),
        many("build-arg", "Set build-time variables", kind=kinds.ENV),
        many("cache-from", "Images to consider as cache sources", kind=kinds.Kind("strings", str, many=True)),
        text("cgroup-parent", 'Set the parent cgroup for the "RUN" instructions during build'),
        switch("compress", "Compress the build context using gzip"),
        number("cpu-period", "Limit the CPU CFS (Completely Fair Scheduler) period"),
        number("cpu-quota", "Limit the CPU CFS (Completely Fair Scheduler) quota"),
        number("cpu-shares", "CPU shares (relative weight)", short="c"),
        text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
        text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
        CONTENT_TRUST,
        text("file", 'Name of the Dockerfile (Default is "PATH/Dockerfile")', short="f"),
        switch("force-rm", "Always remove intermediate containers"),
        text("iidfile", "Write the image ID to the file"),
        text("isolation", "Container isolation technology"),
        many("label", "Set metadata for an image", kind=kinds.LABEL),
        Flag("memory", kinds.BYTES, "Memory limit", short="m"),
        Flag("memory-swap", kinds.SWAP, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
        text("network", 'Set the networking mode for the "RUN" instructions during build', default="default"),
        switch("no-cache", "Do not use cache when building the image"),
        text("platform", "Set platform of the base images"),
        switch("pull", "Always attempt to pull a newer version of the image"),
        switch("quiet", "Suppress the build output and print image ID on success", short="q"),
        switch("rm", "Remove intermediate containers after a successful build", default=True),
        many("security-opt", "Security options", kind=kinds.Kind("strings", str, many=True)),
        Flag("shm-size", kinds.BYTES, 'Size of "/dev/shm"'),
        lacking("squash", kinds.BOOL, "Squash newly built layers", "layers are what the cache and registries share"),
        many("tag", 'Name and optionally a tag in the "name:tag" format', short="t", kind=judged.TAG),
        text("target", "Set the target build stage to build"),
        many("ulimit", "Ulimit options", kind=judged.ULIMIT),
        *(
            lacking(name, kinds.TEXT, usage, _BUILDKIT)
            for name, usage in (
                ("build-context", "Additional build contexts"),
                ("cache-to", "Cache export destinations"),
                ("output", "Output destination"),
                ("progress", "Set type of progress output"),
                ("secret", "Secret to expose to the build"),
                ("ssh", "SSH agent socket or keys to expose to the build"),
            )
        ),
        lacking("load", kinds.BOOL, "Load the image into docker", _BUILDKIT),
        lacking("push", kinds.BOOL, "Push the image to a registry", _BUILDKIT),
    ),
    1,
    1,
)  # fmt: skip


def build(argv: Sequence[str]) -> int:
    """``pysup build``: prints what is done, or with -q the image's id. Exits with the code of a RUN that failed."""
    given = BUILD.parse(argv)
    dockerfile, pieces = _context(given.words[0], given.text("file"))
    query = urlencode(_query(given, dockerfile), doseq=True)
    body: Iterable[bytes] = _compressed(pieces) if given.on("compress") else pieces
    show = _Shown(quiet=given.on("quiet"))
    for line in connect().stream_json(
        "POST", f"/build?{query}", body=_told(body, show), headers=_credentials()
    ):
        show.line(line)
    show.done()
    if given.text("iidfile"):
        _write(given.text("iidfile"), show.image_id)
    return 0


# -- the context ---------------------------------------------------------------------------------------------


def _context(place: str, dockerfile: str) -> tuple[str, Iterator[bytes]]:
    """The Dockerfile's name in the context, and the context."""
    if place.startswith(("http://", "https://", "git://", "git@", "github.com/")):
        raise PysupError(f"cannot build of {place}: clone or download it yourself, and give the directory")
    if place == "-":
        if dockerfile == "-":
            raise UsageError("cannot build: both the context and the Dockerfile would be standard input", 1)
        return _from_stdin(sys.stdin.buffer, dockerfile)
    given = _dockerfile(b"", sys.stdin.buffer) if dockerfile == "-" else None
    source = build_context.source_of(place, dockerfile, given)
    return source.dockerfile, build_context.pack(source)


def _from_stdin(file: BinaryIO, dockerfile: str) -> tuple[str, Iterator[bytes]]:
    """A tar archive, compressed or not; or a Dockerfile, without any context."""
    if file.isatty():
        raise PysupError("cannot build from the terminal: redirect standard input")
    head = file.read(512)
    if head[_TAR] == b"ustar" or head.startswith(_MAGIC):
        return dockerfile, _rest(head, file)
    if dockerfile:
        raise PysupError(
            f"cannot build: --file {dockerfile}: what comes by standard input is the Dockerfile itself"
        )
    return "Dockerfile", build_context.pack(build_context.Source("", "Dockerfile", _dockerfile(head, file)))


def _dockerfile(head: bytes, file: BinaryIO) -> bytes:
    """What comes by standard input. Raises PysupError."""
    try:
        return head + reading.rest_of(file)
    except ValueError as error:
        raise PysupError(f"cannot build: cannot read the Dockerfile of standard input: {error}") from None


def _rest(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield head
    while piece := file.read(_PIECE):
        yield piece


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)  # gzip's header
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _told(pieces: Iterable[bytes], show: _Shown) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if piece:
            yield piece
    show.sent(size)


# -- the request ---------------------------------------------------------------------------------------------

_WORDS = {
    "cgroupparent": "cgroup-parent", "cpusetcpus": "cpuset-cpus", "cpusetmems": "cpuset-mems", "isolation": "isolation",
    "networkmode": "network", "platform": "platform", "target": "target",
}  # fmt: skip
_NUMBERS = {
    "cpuperiod": "cpu-period", "cpuquota": "cpu-quota", "cpushares": "cpu-shares", "memory": "memory",
    "memswap": "memory-swap", "shmsize": "shm-size",
}  # fmt: skip
_SWITCHES = {"nocache": "no-cache", "pull": "pull", "q": "quiet", "forcerm": "force-rm"}


def _query(given: Given, dockerfile: str) -> dict[str, Any]:
    query: dict[str, Any] = {"rm": "1" if given.on("rm") else "0"}
    query |= {"dockerfile": dockerfile} if dockerfile else {}
    query |= {name: given.text(flag) for name, flag in _WORDS.items() if given.text(flag)}
    query |= {name: given.number(flag) for name, flag in _NUMBERS.items() if given.number(flag)}
    query |= {name: "1" for name, flag in _SWITCHES.items() if given.on(flag)}
    documents: dict[str, Any] = {
        "buildargs": _arguments(given.many("build-arg")),
        "labels": mapping((), given.many("label")),
        "cachefrom": [name for text_ in given.many("cache-from") for name in text_.split(",")],
        "securityopt": given.many("security-opt"),
        "ulimits": given["ulimit"],
    }
    query |= {name: json.dumps(value) for name, value in documents.items() if value}
    return query | {"t": given.many("tag"), "extrahosts": given.many("add-host")}


def _arguments(words: Iterable[str]) -> dict[str, str | None]:
    """A name alone has the value of the environment."""
    parted = (word.partition("=") for word in words)
    return {name: value if equals else os.environ.get(name) for name, equals, value in parted}


def _credentials() -> dict[str, str]:
    """Who one is at each registry, for base images."""
    known = docker_config.everywhere()
    content = base64.urlsafe_b64encode(json.dumps(known).encode()).decode()
    return {"X-Registry-Config": content} if known else {}


# -- the answer ----------------------------------------------------------------------------------------------


class _Shown:
    """What is told goes to standard output, and so does the progress of a pull.

    With -q the daemon tells the id alone, or everything if the build fails: that goes to standard error, so
    that ``id=$(pysup build -q .)`` never is anything else.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._out: TextIO = io.StringIO() if quiet else sys.stdout
        self._pulls = Lines(self._out)
        self.image_id = ""
        """Of the last stage that is done."""

    def sent(self, size: int) -> None:
        """The context is with the daemon."""
        from pysup.supervisor.spec.units import format_decimal_size

        if not self._quiet:
            print(f"Sending build context to the daemon  {format_decimal_size(size)}\n", flush=True)

    def line(self, line: dict[str, Any]) -> None:
        """One message. Raises PysupError."""
        if "error" in line:
            self._tell(sys.stderr)
            code = (line.get("errorDetail") or {}).get("code")
            raise RunFailure(line["error"], code) if code else PysupError(line["error"])
        if "aux" in line:
            self.image_id = str(line["aux"].get("ID") or "")
        elif "status" in line:
            self._pulls.show(line)
        else:
            self._out.write(line.get("stream", ""))
            self._out.flush()

    def done(self) -> None:
        """The image is there."""
        self._tell(sys.stdout)

    def _tell(self, out: TextIO) -> None:
        """What was held back."""
        if isinstance(self._out, io.StringIO):
            out.write(self._out.getvalue())
            out.flush()


def _write(path: str, image_id: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(image_id)
    except OSError as error:
        raise PysupError(f"cannot write {path}: {error.strerror}") from None
