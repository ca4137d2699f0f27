"""The context: the files that a client has sent, unpacked into a directory of the build's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, cast

from pysup.supervisor.build.ignoring import read_ignore_file
from pysup.supervisor.build.lexing import LARGEST
from pysup.supervisor.engine.building.orders import DOCKERFILE
from pysup.supervisor.engine.files.opening import open_regular
from pysup.supervisor.engine.images.feeding import Interruptible, feed
from pysup.supervisor.errors import BadRequest
from pysup.supervisor.images.compression import decompressed
from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.images.tar_stream import read_rest
from pysup.supervisor.images.unpack import Bounds, unpack
from pysup.supervisor.kernel.libc import KernelError
from pysup.supervisor.kernel.mounts import openat2

BOUNDS = Bounds(whiteouts=False, files=2_000_000, size=64 << 30, padded=False, devices=False)
"""Of a context: entries, and bytes of their files together."""
_LARGEST = 4 * LARGEST
"""Bytes of a Dockerfile, of which a sign has four at most."""
_IGNORE = ".dockerignore"


@dataclass(frozen=True, slots=True)
class Context:
    """Its directory, and the Dockerfile as it was."""

    path: str
    dockerfile: str


async def receive(chunks: AsyncIterator[bytes], path: str, dockerfile: str) -> Context:
    """Unpack a context as it comes. Raises BadArchive, BadRequest, Unavailable (a full disk)."""
    return await feed(chunks, partial(_unpack, path=path, dockerfile=dockerfile), "read the build context")


def _unpack(archive: IO[bytes], *, path: str, dockerfile: str) -> Context:
    source = decompressed(cast("IO[bytes]", Interruptible(archive)))
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        unpack(source, root, BOUNDS)
        read_rest(source)
        text = _read(root, dockerfile) or _read(root, dockerfile.lower() if dockerfile == DOCKERFILE else "")
        if text is None:
            raise BadRequest(f"cannot build: Cannot locate specified Dockerfile: {dockerfile[:200]}")
        _remove_ignored(root, dockerfile)
    finally:
        os.close(root)
    return Context(path, text)


def _read(root: int, name: str) -> str | None:
    """A text file of the context; None if there is none."""
    if not name:
        return None
    try:
        fd = open_regular(root, name)
    except KernelError:
        return None
    with open(fd, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise BadRequest(f"cannot build: {name[:200]} has more than {_LARGEST} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"cannot build: {name[:200]} is not UTF-8: {error}") from None


def _remove_ignored(root: int, dockerfile: str) -> None:
    """A client sends these two in any case; they are no part of the context if .dockerignore says so."""
    ignored = read_ignore_file(_read(root, _IGNORE) or "")
    for name in (_IGNORE, dockerfile):
        if ignored(os.path.normpath(name)):
            with suppress(KernelError, OSError):
                _remove(root, name)


def _remove(root: int, name: str) -> None:
    above, last = os.path.split(os.path.normpath(name))
    parent = openat2(root, above or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=INSIDE)
    try:
        os.unlink(last, dir_fd=parent)
    finally:
        os.close(parent)
