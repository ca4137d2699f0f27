"""Layers on disk: an archive becomes a directory named by its digest, or leaves nothing at all.

Unpacked into a directory of its own, then renamed: a layer that exists is whole. Like a blob (content.py) it lasts
once a row refers to it, before which Content.sync() is called; what a crash left is removed at the next start.
Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Callable
from typing import IO, Any, NamedTuple, cast

from pysup.supervisor.images.compression import decompressed
from pysup.supervisor.images.content import BLOBS, PARTIAL, TEMPORARY
from pysup.supervisor.images.digests import PREFIX, WrongDigest, hex_of
from pysup.supervisor.images.tar_stream import read_rest
from pysup.supervisor.images.unpack import unpack
from pysup.supervisor.kernel import inode_flags
from pysup.supervisor.runtime import trees
from pysup.supervisor.runtime.walking import walk

_BUFFER = 1 << 20
LAYERS = "layers"
EMPTY = "empty"
"""The lower layer of an image that has none: overlayfs wants one."""


class Layer(NamedTuple):
    """An unpacked layer."""

    diff_id: str
    """``sha256:…`` of the uncompressed archive (OCI image-spec, config.md, DiffID)."""
    name: str
    """Its directory below images/layers."""
    size: int
    """Bytes of its files."""


def make_directories(images: str) -> None:
    """Make images/, where it is not there. Users of the host must not reach set-uid files (0700)."""
    for name in ("", LAYERS, EMPTY, os.path.dirname(BLOBS), BLOBS, PARTIAL, TEMPORARY):
        os.makedirs(os.path.join(images, name), 0o700, exist_ok=True)
    inode_flags.spread(os.path.join(images, TEMPORARY))


def all_names(images: str) -> list[str]:
    """Every blob and layer that is there, as a path below images/."""
    return [f"{kind}/{name}" for kind in (BLOBS, LAYERS) for name in os.listdir(os.path.join(images, kind))]


def _nobody(_name: str) -> None:
    """As in content.py."""


def unpack_layer(
    source: IO[bytes],
    images: str,
    expected: str | None = None,
    *,
    plain_digest: str | None = None,
    hold: Callable[[str], None] = _nobody,
) -> Layer:
    """Unpack an archive, compressed or not, as a layer. Raises BadArchive, WrongDigest, OSError; nothing is left then.

    ``expected`` is its diff-id: a layer that is there already is not unpacked again, and nothing of ``source`` is
    read. ``plain_digest`` is the digest of the uncompressed archive, where the caller has verified that.
    """
    if expected is not None and (found := existing(images, expected, hold)) is not None:
        return found
    directory = tempfile.mkdtemp(dir=os.path.join(images, TEMPORARY))
    try:
        content = os.path.join(directory, "layer")
        os.mkdir(content, 0o755)
        diff_id, size = _unpack(source, content, plain_digest)
        if expected is not None and diff_id != expected:
            raise WrongDigest(f"cannot use layer {expected}: its content has the digest {diff_id}")
        hold(f"{LAYERS}/{hex_of(diff_id)}")
        publish(content, os.path.join(images, LAYERS, hex_of(diff_id)))
    finally:
        trees.remove(directory)
    return Layer(diff_id, hex_of(diff_id), size)


def existing(images: str, diff_id: str, hold: Callable[[str], None] = _nobody) -> Layer | None:
    """The layer, if it is there; it is held from here on."""
    name = hex_of(diff_id)
    hold(f"{LAYERS}/{name}")
    path = os.path.join(images, LAYERS, name)
    return Layer(diff_id, name, _size(path)) if os.path.isdir(path) else None


def _size(path: str) -> int:
    """As unpack() counts: bytes of regular files, each once."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        statuses = (found.status for found in walk(top))
        return sum({one.st_ino: one.st_size for one in statuses if stat.S_ISREG(one.st_mode)}.values())
    finally:
        os.close(top)


def _unpack(source: IO[bytes], content: str, plain_digest: str | None) -> tuple[str, int]:
    plain = decompressed(source)
    hashing = None if plain_digest else Hashing(plain)
    stream = plain if hashing is None else cast("IO[bytes]", io.BufferedReader(hashing, _BUFFER))
    root = os.open(content, os.O_RDONLY | os.O_DIRECTORY)
    try:
        size = unpack(stream, root)
    finally:
        os.close(root)
    if hashing is None:
        return plain_digest or "", size
    read_rest(stream)
    return PREFIX + hashing.digest.hexdigest(), size


def publish(content: str, target: str) -> None:
    """The same layer may be there already: then it is as good as this one."""
    try:
        os.rename(content, target)
    except OSError:
        if not os.path.isdir(target):
            raise


class Hashing(io.RawIOBase):
    """Reads through, and knows the digest of what went by."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = cast("Any", source)
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase."""
        count = cast("int", self._source.readinto(buffer))
        self.digest.update(memoryview(buffer)[:count])
        return count
