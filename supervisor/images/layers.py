"""Layers on disk: an archive becomes a directory named by its digest, or leaves nothing at all.

Unpacked into a directory of its own, synced, then renamed: a layer that exists is whole. What a crash left in
tmp/ is removed at the next start. Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable
from typing import IO, Any, NamedTuple, cast

from pysup.supervisor.images.unpack import BadArchive, unpack
from pysup.supervisor.runtime import trees

_READ = 1 << 20
_MAGIC: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_LONGEST_MAGIC = b"\xfd7zXZ\x00"
_TEMPORARY = "tmp"
_LAYERS = "layers"


class Layer(NamedTuple):
    """An unpacked layer."""

    diff_id: str
    """``sha256:…`` of the uncompressed archive (OCI image-spec, config.md, DiffID)."""
    name: str
    """Its directory below images/layers."""
    size: int
    """Bytes of its files."""


def make_directories(images: str) -> None:
    """Make images/ with layers/ and an empty tmp/. Users of the host must not reach set-uid files (0700)."""
    os.makedirs(images, 0o700, exist_ok=True)
    os.makedirs(os.path.join(images, _LAYERS), 0o700, exist_ok=True)
    trees.remove(os.path.join(images, _TEMPORARY))
    os.makedirs(os.path.join(images, _TEMPORARY), 0o700, exist_ok=True)


def import_layer(archive: IO[bytes], images: str) -> Layer:
    """Unpack an archive, compressed or not, as a layer. Raises BadArchive, OSError; nothing is left then."""
    directory = tempfile.mkdtemp(dir=os.path.join(images, _TEMPORARY))
    try:
        content = os.path.join(directory, "layer")
        os.mkdir(content, 0o755)
        plain = Hashing(decompressed(archive))
        size = _unpack(plain, content)
        name = plain.digest.hexdigest()
        _publish(content, os.path.join(images, _LAYERS, name))
    finally:
        trees.remove(directory)
    return Layer(f"sha256:{name}", name, size)


def remove_layer(images: str, name: str) -> None:
    """Remove a layer that no image has any more; out of sight first, so that a crash leaves no half of it."""
    grave = tempfile.mkdtemp(dir=os.path.join(images, _TEMPORARY))
    with contextlib.suppress(FileNotFoundError):
        os.rename(os.path.join(images, _LAYERS, name), os.path.join(grave, "layer"))
    trees.remove(grave)


def _unpack(plain: Hashing, content: str) -> int:
    root = os.open(content, os.O_RDONLY | os.O_DIRECTORY)
    try:
        size = unpack(cast("IO[bytes]", plain), root)
        plain.drain()
        os.sync()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadArchive(f"cannot unpack the archive: {error}") from error
    finally:
        os.close(root)
    return size


def _publish(content: str, target: str) -> None:
    """The same layer may be there already: then it is as good as this one."""
    with contextlib.suppress(FileExistsError, OSError) if os.path.isdir(target) else contextlib.nullcontext():
        os.rename(content, target)
    fd = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def decompressed(archive: IO[bytes]) -> IO[bytes]:
    """The archive without its compression, which its first bytes tell."""
    buffered = io.BufferedReader(cast("io.RawIOBase", archive), _READ)
    head = buffered.peek(len(_LONGEST_MAGIC))
    if head.startswith(_ZSTANDARD):
        raise BadArchive("cannot unpack the archive: zstd is not supported yet; use gzip, xz or bzip2")
    opened = next((opened for magic, opened in _MAGIC if head.startswith(magic)), None)
    return cast("IO[bytes]", buffered if opened is None else opened(buffered))


class Hashing(io.RawIOBase):
    """Reads through, and knows the digest of what went by."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes."""
        data = self._source.read(size)
        self.digest.update(data)
        return data

    def drain(self) -> None:
        """Read what tar left: padding behind the end is part of the digest."""
        while self.read(_READ):
            pass
