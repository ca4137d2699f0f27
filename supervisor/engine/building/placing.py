"""What COPY and ADD put into an image's root: every name looked up in that root, no link leads out of it (openat2(2)).

Docker's rules (moby builder/dockerfile/copy.go): a directory gives its content; a file goes below its own name into
what is a directory or ends with a slash; an existing directory stays, anything else makes room. A link in the image
that leads to a directory is that directory, as in BuildKit. Everything blocks.
"""

from __future__ import annotations

import os
import posixpath
from typing import IO, NamedTuple, cast

from pysup.supervisor.engine.building.copying import MADE, Chosen, Copying, make_room
from pysup.supervisor.engine.building.sources import Source, directories
from pysup.supervisor.engine.building.targets import DIRECTORY, is_directory, opened, through_links
from pysup.supervisor.engine.files.opening import open_regular
from pysup.supervisor.images.compression import compression_of, decompressed
from pysup.supervisor.images.directories import INSIDE
from pysup.supervisor.images.tar_stream import BadArchive, Stream, members
from pysup.supervisor.images.unpack import Bounds, unpack
from pysup.supervisor.kernel.mounts import openat2

_HEAD = 1 << 10
"""Bytes by which an archive is known."""


class Manner(NamedTuple):
    """How it is to be put."""

    owner: tuple[int, int] | None = (0, 0)
    """None: as in the source."""
    mode: int | None = None
    """Permissions of all files and directories (--chmod)."""

    @property
    def maker(self) -> tuple[int, int]:
        """Whose the directories on the way are."""
        return self.owner or (0, 0)


def target_path(working_directory: str, given: str) -> str:
    """An absolute path in the image; the slash at its end, which says that it is a directory, stays."""
    joined = posixpath.normpath(posixpath.join("/", working_directory, given))
    joined = "/" + joined.lstrip("/")
    named = given.endswith(("/", "/.")) or given in {"", ".", ".."}
    return joined.rstrip("/") + "/" if named else joined


# -- placing -------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where something is put, and how."""

    root: int
    """A descriptor of the image's root."""
    path: str
    """Absolute; with a slash at its end a directory."""
    manner: Manner

    def file(self, name: str) -> tuple[str, str]:
        """The directory and the name of a file that is put here, ``name`` being its own."""
        path = self.path
        if path.endswith("/") or is_directory(self.root, path):
            path = posixpath.join(path, name)
        return posixpath.split(through_links(self.root, path))


def place(origin: int, source: Source, there: Place) -> None:
    """Put a source into the image. Raises OSError, BadRequest."""
    copy = Copying(Chosen(owner=there.manner.owner), there.manner.mode)
    if source.is_directory:
        try:
            _place_tree(copy, origin, source, there)
        finally:
            copy.close()
        return
    above, name = there.file(source.name)
    fd = open_regular(origin, source.path)
    try:
        with opened(there.root, above, there.manner.maker) as parent:
            copy.regular(fd, parent, name)
    finally:
        os.close(fd)


def place_content(content: bytes, name: str, there: Place) -> None:
    """Put a file whose content is in the Dockerfile (a here-document) into the image."""
    above, last = there.file(name)
    with opened(there.root, above, there.manner.maker) as parent:
        make_room(parent, last)
        fd = os.open(last, MADE, 0o644, dir_fd=parent)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(fd, *there.manner.maker)
            os.fchmod(fd, 0o644 if there.manner.mode is None else there.manner.mode)


def _place_tree(copy: Copying, origin: int, source: Source, there: Place) -> None:
    """Directories that are there stay as they are; the new ones become like those of the source."""
    above = there.path.rstrip("/")
    new = [] if is_directory(there.root, there.path) else [""]
    for path, here, names in directories(origin, source.path):
        target = posixpath.join(above, path)
        with opened(there.root, target, there.manner.maker) as parent:
            known = {name for name in names if is_directory(there.root, posixpath.join(target, name))}
            new += [posixpath.join(path, name) for name in copy.entries(here, parent, names, known)]
    for path in reversed(new):
        _finish(copy, origin, posixpath.join(source.path, path), there.root, posixpath.join(above, path))


def _finish(copy: Copying, origin: int, path: str, root: int, wanted: str) -> None:
    """A directory's mode and times come last: making entries in it changes them."""
    here = openat2(origin, path, DIRECTORY, resolve=INSIDE)
    try:
        there = openat2(root, wanted, DIRECTORY, resolve=INSIDE)
        try:
            copy.like(here, there)
        finally:
            os.close(there)
    finally:
        os.close(here)


# -- archives ------------------------------------------------------------------------------------------------


def is_archive(origin: int, source: Source) -> bool:
    """Whether ADD unpacks it: a tar archive, compressed or not, whatever its name."""
    if source.is_directory:
        return False
    fd = open_regular(origin, source.path)
    with open(fd, "rb") as file:
        head = file.read(_HEAD)
        file.seek(0)
        if not (compression_of(head) or head[257:262] == b"ustar"):
            return False
        try:
            return next(members(Stream(decompressed(cast("IO[bytes]", file)))), None) is not None
        except (BadArchive, OSError, EOFError, ValueError):
            return False


def unpack_into(origin: int, source: Source, place: Place) -> None:
    """What ADD does with an archive: its owners stay, unless one is chosen. Raises BadArchive, OSError."""
    fd = open_regular(origin, source.path)
    with open(fd, "rb") as file, opened(place.root, place.path.rstrip("/") or "/", (0, 0)) as there:
        bounds = Bounds(whiteouts=False, owner=place.manner.owner)
        unpack(decompressed(cast("IO[bytes]", file)), there, bounds)
