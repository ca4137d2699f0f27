"""Where a copy goes, and how what is copied is called there: docker's rules (moby pkg/archive/copy.go). Pure.

A path keeps what is behind its last name: with a slash it means a directory, with ``/.`` what is in it.
"""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from pysup.supervisor.errors import PysupError


class Place(NamedTuple):
    """One end of a copy."""

    path: str
    exists: bool = False
    is_directory: bool = False
    called: str = ""
    """What the top of the archive is to be called, if a link that was followed leads to another name."""


class Target(NamedTuple):
    """What to do with an archive."""

    directory: str
    """Where to unpack it."""
    old: str = ""
    new: str = ""
    """The first part of each name is changed from the one to the other; both empty: as it is."""

    def renamed(self, name: str) -> str:
        """A name in the archive, as it is to be."""
        return name if self.old == self.new else name.replace(self.old, self.new, 1)


def split_argument(argument: str) -> tuple[str, str]:
    """``container:path``, or an empty container for a path of this machine."""
    if argument.startswith("/"):
        return "", argument
    container, colon, path = argument.partition(":")
    return (container, path) if colon and not container.startswith(".") else ("", argument)


def means_content(path: str) -> bool:
    """Whether a path ends with a dot: what is in the directory is meant."""
    return posixpath.basename(path) == "."


def means_directory(path: str) -> bool:
    """Whether a path says of itself that it is one."""
    return path.endswith("/") or means_content(path)


def kept_end(clean: str, given: str) -> str:
    """A cleaned path, with the end that was taken off (PreserveTrailingDotOrSeparator)."""
    if means_content(given) and not means_content(clean):
        return clean.rstrip("/") + "/."
    return clean + "/" if given.endswith("/") and not clean.endswith("/") else clean


def split(path: str) -> tuple[str, str]:
    """Directory and last name (SplitPathDirEntry)."""
    clean = posixpath.normpath(path)
    if means_content(path):
        clean = posixpath.join(clean, ".")
    above, name = posixpath.split(clean)
    return above or ".", name or "/"


def followed(path: str, link_target: str) -> Place:
    """A link that is followed: its target, under the link's own name (GetRebaseName)."""
    resolved = kept_end(link_target, path)
    name, found = (posixpath.basename(one.rstrip("/")) for one in (path, resolved))
    return Place(resolved, called=name if name != found else "")


def target_of(source: Place, destination: Place) -> Target:
    """What to do (PrepareArchiveCopy). Raises PysupError."""
    if destination.exists and destination.is_directory:
        if source.called:
            return Target(destination.path, _of_archive(source), source.called)
        return Target(destination.path)
    if destination.exists and source.is_directory:
        raise PysupError("cannot copy directory")
    if not (destination.exists or source.is_directory) and means_directory(destination.path):
        raise PysupError("cannot copy: no such directory")
    above, name = split(destination.path)
    return Target(above, _of_archive(source), name)


def _of_archive(source: Place) -> str:
    """How the archive calls the source; the root has no name in it."""
    name = split(source.path)[1]
    return "" if name == "/" else name
