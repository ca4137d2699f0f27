"""An archive of images, taken in as it streams by: every file in it becomes a blob, whatever its name and place.

Files may come in any order, so which of them are documents and which are layers is asked afterwards
(oci_layout.py, docker_archive.py). What no image needs is garbage at the end. Everything blocks.
"""

from __future__ import annotations

import posixpath
import tarfile
from dataclasses import dataclass, field
from typing import IO

from pysup.supervisor.images import documents
from pysup.supervisor.images.compression import NONE, compression_of, decompressed
from pysup.supervisor.images.content import BLOBS, Blob, Content
from pysup.supervisor.images.digests import PREFIX, WrongDigest, is_digest
from pysup.supervisor.images.documents import BadImage, Descriptor
from pysup.supervisor.images.tar_stream import BadArchive, Stream, content, members, read_rest
from pysup.supervisor.images.unpack import parts_of

_MOST_FILES = 100_000
_MOST_LINKS = 40
"""In a row, as many as the kernel follows (path_resolution(7))."""
_BUFFER = 1 << 20
_HEAD = 512
_MAGIC = slice(257, 262)
"""Where a tar header says ``ustar`` (pax(1))."""


@dataclass
class Archive:
    """What was in it, by normalised name."""

    blobs: Content
    files: dict[str, Blob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """Older archives of docker have a layer once, and links to it."""

    def find(self, name: str) -> Blob | None:
        """The file of this name, or that a link of this name leads to."""
        for _ in range(_MOST_LINKS):
            if name not in self.links:
                return self.files.get(name)
            name = self.links[name]
        return None

    def need(self, name: str, what: str) -> Blob:
        """Raises BadImage if it is not there."""
        found = self.find(posixpath.normpath(name))
        if found is None:
            raise BadImage(f"cannot load the image: its {what} {name[:200]!r} is not in the archive")
        return found

    def described(self, one: Descriptor, what: str) -> Blob:
        """What a descriptor names. Raises BadImage, WrongDigest."""
        found = self.need(f"{BLOBS}/{one.digest.removeprefix(PREFIX)}", what)
        if found.size != one.size:
            raise WrongDigest(
                f"cannot load the image: its {what} {one.digest} has {found.size} bytes, not {one.size}"
            )
        return found

    def document(self, blob: Blob) -> bytes:
        """A small file. Raises WrongDigest if it is larger than documents are."""
        return self.blobs.read(blob.digest, documents.LARGEST)


class Watch:
    """Somebody who wants to begin before the end. Called in the thread that reads."""

    def part(self, name: str, size: int, whole: int) -> None:
        """Of the layer that lies in the archive under this name, ``size`` of ``whole`` bytes are there."""

    def layer(self, digest: str) -> None:
        """A new blob that looks like a layer is there."""


def take_in(source: IO[bytes], blobs: Content, watch: Watch) -> Archive:
    """Read an archive, compressed or not, to its end. Raises BadArchive, WrongDigest, OSError."""
    archive = Archive(blobs)
    plain = decompressed(source)
    stream = Stream(plain)
    for member in members(stream):
        try:
            _take_in(archive, stream, member, watch)
        except (ValueError, EOFError) as error:
            raise BadArchive(f"cannot load entry {member.name[:200]!r}: {error}") from error
    read_rest(plain)
    return archive


def _take_in(archive: Archive, stream: Stream, member: tarfile.TarInfo, watch: Watch) -> None:
    name = "/".join(parts_of(member.name))
    if len(archive.files) + len(archive.links) >= _MOST_FILES:
        raise ValueError(f"the archive has more than {_MOST_FILES} files")
    if member.isreg():
        archive.links.pop(name, None)
        archive.files[name] = _ingest(archive.blobs, stream, member, name, watch)
    elif member.issym():
        target = posixpath.join("/", posixpath.dirname(name), member.linkname)
        archive.links[name] = posixpath.normpath(target).lstrip("/")
    elif member.islnk():
        archive.links[name] = "/".join(parts_of(member.linkname))
    elif not member.isdir():
        raise ValueError("it is neither a file nor a directory nor a link")


def _ingest(blobs: Content, stream: Stream, member: tarfile.TarInfo, name: str, watch: Watch) -> Blob:
    """A file of an OCI layout must be what its name says."""
    if getattr(member, "sparse", None) is not None:
        raise ValueError("it is a sparse file")
    directory, _, last = name.rpartition("/")
    digest, head = PREFIX + last, b""
    with blobs.ingest() as writer:
        for data in content(stream, member):
            head = head or data[:_HEAD]
            writer.write(data)
            if looks_like_layer(head):
                watch.part(name, writer.size, member.size)
        is_new = blobs.has(writer.digest) is None
        blob = writer.commit(digest if directory == BLOBS and is_digest(digest) else None)
    if is_new and looks_like_layer(head):
        watch.layer(blob.digest)
    return blob


def looks_like_layer(head: bytes) -> bool:
    """By a file's first bytes: compressed, or a tar archive."""
    return compression_of(head) != NONE or head[_MAGIC] == b"ustar"
