"""Blobs by their digest, laid out as an OCI image layout has them: manifests, configs and layers as they came.

images/blobs/sha256/HEX     whole blobs, verified
images/tmp/                 what is being written; emptied at the daemon's start
images/partial/HEX          the beginning of a blob whose download broke off; kept for the next try

A blob lasts once a row of the store refers to it; until then it is garbage to the next start. So nothing here waits
for the disk: sync() does, once, before that row is written. Everything blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from pysup.supervisor.images.digests import PREFIX, WrongDigest, digest_of, hex_of
from pysup.supervisor.kernel.files import syncfs

TEMPORARY = "tmp"
BLOBS = "blobs/sha256"
PARTIAL = "partial"
_READ = 1 << 20


class Blob(NamedTuple):
    """A blob that is there."""

    digest: str
    size: int
    """Bytes."""


def _nobody(_name: str) -> None:
    """Nothing has to be held where there is no garbage collection (tests, tools)."""


class Content:
    """The blobs below one images directory. ``hold`` is told of each name before anybody looks for it (Lease)."""

    def __init__(self, images: str, hold: Callable[[str], None] = _nobody) -> None:
        self._images = images
        self._hold = hold

    # -- reading ---------------------------------------------------------------------------------------------

    def path(self, digest: str) -> str:
        """Where a blob is, or would be. Raises WrongDigest for a text that is no digest."""
        return os.path.join(self._images, BLOBS, hex_of(digest))

    def partial_path(self, digest: str) -> str:
        """Where the beginning of a blob is while it is downloaded. Raises WrongDigest."""
        return os.path.join(self._images, PARTIAL, hex_of(digest))

    def has(self, digest: str) -> int | None:
        """The size of a blob in bytes; None if it is not there. It will stay: it is held from here on."""
        path = self.path(digest)
        self._hold(f"{BLOBS}/{hex_of(digest)}")
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return None

    def open(self, digest: str) -> BinaryIO:
        """A blob for reading, unbuffered. Raises FileNotFoundError."""
        return open(self.path(digest), "rb", buffering=0)

    def read(self, digest: str, limit: int) -> bytes:
        """A small blob: a document. Raises WrongDigest if it has more than ``limit`` bytes, FileNotFoundError."""
        with self.open(digest) as file:
            found = file.read(limit + 1)
        if len(found) > limit:
            raise WrongDigest(f"cannot read blob {digest}: it has more than {limit} bytes")
        return found

    # -- writing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def ingest(self) -> Iterator[Writer]:
        """Take in a blob: ``with content.ingest() as writer``, write(), commit(). Nothing is left without commit()."""
        fd, path = tempfile.mkstemp(dir=os.path.join(self._images, TEMPORARY))
        with open(fd, "wb", buffering=0) as file:
            writer = Writer(self, file, path)
            try:
                yield writer
            finally:
                writer.discard()

    @contextlib.contextmanager
    def resume(self, digest: str) -> Iterator[Writer]:
        """Like ingest(), for a blob whose digest is known. What was written stays without commit(), for the next
        try: ``writer.size`` bytes are there already. Wrong content is never kept. One at a time for each digest.
        """
        path = self.partial_path(digest)
        self._hold(f"{BLOBS}/{hex_of(digest)}")
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
            writer = Writer(self, file, path)
            writer.take_over()
            yield writer

    def add_bytes(self, data: bytes) -> Blob:
        """Take in a small blob."""
        with self.ingest() as writer:
            writer.write(data)
            return writer.commit(digest_of(data))

    def publish(self, temporary: str, digest: str) -> None:
        """Give a whole, verified file its name. The same blob may be there: then it is as good."""
        self._hold(f"{BLOBS}/{hex_of(digest)}")
        os.rename(temporary, self.path(digest))

    def remove(self, digest: str) -> None:
        """Remove a blob, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(digest))

    def sync(self) -> None:
        """Wait until all blobs and layers are on disk. Raises OSError."""
        syncfs(self._images)

    def flush(self) -> None:
        """Have the disk begin; whether that succeeds is sync()'s to tell."""
        with contextlib.suppress(OSError):
            syncfs(self._images)


class Writer:
    """One blob on its way in. Made by Content.ingest() and resume()."""

    def __init__(self, content: Content, file: BinaryIO, path: str) -> None:
        self._content = content
        self._file = file
        self._path = path
        self._hash = hashlib.sha256()
        self._done = False
        self.size = 0
        """Bytes so far."""

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return PREFIX + self._hash.hexdigest()

    def take_over(self) -> None:
        """Go on behind what is in the file."""
        while data := self._file.read(_READ):
            self._hash.update(data)
            self.size += len(data)

    def write(self, data: bytes | memoryview) -> None:
        """Write some more. Raises OSError: a full disk."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        while view:
            view = view[self._file.write(view) :]

    def commit(self, expected_digest: str | None = None, expected_size: int | None = None) -> Blob:
        """Verify it and give it its name. Raises WrongDigest; nothing is left then."""
        blob = Blob(self.digest, self.size)
        try:
            verify(blob, expected_digest, expected_size)
        except WrongDigest:
            self.discard()
            raise
        self._content.publish(self._path, blob.digest)
        self._done = True
        return blob

    def discard(self) -> None:
        """Drop what was written; after commit() there is nothing to drop."""
        if not self._done:
            self._done = True
            os.unlink(self._path)


def verify(blob: Blob, digest: str | None, size: int | None) -> None:
    """Compare what came with what was announced. Raises WrongDigest."""
    if size is not None and blob.size != size:
        raise WrongDigest(
            f"cannot use blob {digest or blob.digest}: it has {blob.size} bytes instead of {size}"
        )
    if digest is not None and blob.digest != digest:
        raise WrongDigest(f"cannot use blob {digest[:100]}: its content has the digest {blob.digest}")
