"""``pysup cp``: files out of a container and into it; ``-`` is a tar archive on a standard stream."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pysup.supervisor.cli.connection import Client, connect
from pysup.supervisor.cli.files import local_files
from pysup.supervisor.cli.files.copy_names import Place, Target, followed, split, split_argument, target_of
from pysup.supervisor.cli.flags import BAD_WORDS, Given, Syntax, switch
from pysup.supervisor.client.core import container_path
from pysup.supervisor.errors import NotFound, PysupError

CP = Syntax(
    "cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    (
        switch("archive", "Archive mode (copy all uid/gid information)", short="a"),
        switch("follow-link", "Always follow symbol link in SRC_PATH", short="L"),
        switch(
            "quiet",
            "Suppress progress output during copy. Progress output is automatically suppressed if no terminal "
            "is attached",
            short="q",
        ),
    ),
    2,
    2,
)
_STAT = "x-docker-container-path-stat"
_DIRECTORY, _LINK, _OTHER = 1 << 31, 1 << 27, 1 << 26 | 1 << 25 | 1 << 24 | 1 << 19
"""Go's io/fs.FileMode."""
_PIECE = 256 << 10


def cp(argv: Sequence[str]) -> int:
    """``pysup cp``."""
    given = CP.parse(argv)
    source, destination = map(split_argument, given.words)
    if source[0] and destination[0]:
        raise PysupError("cannot copy: copying between containers is not supported")
    if not (source[0] or destination[0]):
        CP.refuse("must specify at least one container source", BAD_WORDS)
    if source[0]:
        copied = _copy_out(connect(), *source, destination[1], given)
        shown = local_files.resolved(destination[1])
    else:
        copied, shown = _copy_in(connect(), source[1], *destination, given)
    if not given.on("quiet") and sys.stdout.isatty() and destination[1] != "-":
        _tell(copied, shown)
    return 0


def _tell(copied: int, shown: str) -> None:
    from pysup.supervisor.spec.units import format_decimal_size

    print(f"Successfully copied {format_decimal_size(copied)} to {shown}", file=sys.stderr)


# -- out of a container --------------------------------------------------------------------------------------


def _copy_out(client: Client, container: str, path: str, local: str, given: Given) -> int:
    """How many bytes the archive had."""
    destination = None if local == "-" else local_files.destination(local_files.resolved(local))
    place = _followed(client, container, path) if given.on("follow-link") else Place(path)
    counted = _Counted()
    with client.exchange("GET", _archive(container), query={"path": place.path}) as opened:
        pieces = counted.through(opened.pieces())
        if destination is None:
            _write_out(pieces)
        else:
            found = _stat_of(opened.header(_STAT))
            source = place._replace(exists=True, is_directory=bool(found["mode"] & _DIRECTORY))
            target = target_of(source, destination)
            local_files.unpack(pieces, target, keeps_owners=given.on("archive"))
            for _rest in pieces:
                pass
    return counted.total


def _followed(client: Client, container: str, path: str) -> Place:
    """The source, or what it leads to if it is a link."""
    try:
        found = _stat(client, container, path)
    except NotFound:
        return Place(path)
    return followed(path, _target(found, path)) if found["mode"] & _LINK else Place(path)


def _write_out(pieces: Iterator[bytes]) -> None:
    if sys.stdout.isatty():
        raise PysupError("cannot copy: refusing to write an archive to a terminal; redirect standard output")
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


# -- into a container ----------------------------------------------------------------------------------------


def _copy_in(client: Client, local: str, container: str, path: str, given: Given) -> tuple[int, str]:
    """How many bytes the archive had, and where it went."""
    destination = _destination(client, container, path)
    counted = _Counted()
    if local == "-":
        if not destination.is_directory:
            raise PysupError(f"cannot copy: destination {container}:{path} must be a directory")
        target = Target(destination.path)
        pieces = iter(lambda: os.read(sys.stdin.fileno(), _PIECE), b"")
    else:
        source = local_files.source(local_files.resolved(local), follow=given.on("follow-link"))
        target = target_of(source, destination)
        pieces = local_files.archive(source, target)
    query = {"path": target.directory, "noOverwriteDirNonDir": "true"}
    if given.on("archive"):
        query["copyUIDGID"] = "true"
    with client.exchange("PUT", _archive(container), query=query, body=counted.through(pieces)) as opened:
        for _rest in opened.pieces():
            pass
    return counted.total, f"{container}:{destination.path}"


def _destination(client: Client, container: str, path: str) -> Place:
    """What is there, if anything; a link is followed."""
    place = path
    try:
        found = _stat(client, container, path)
        if found["mode"] & _LINK:
            place = _target(found, path)
            found = _stat(client, container, place)
    except NotFound:
        return Place(place)
    if found["mode"] & _OTHER:
        raise PysupError(f"cannot copy: destination {container}:{path} must be a directory or a regular file")
    return Place(place, exists=True, is_directory=bool(found["mode"] & _DIRECTORY))


# -- what is at a path ---------------------------------------------------------------------------------------


def _archive(container: str) -> str:
    return container_path(container, "archive")


def _stat(client: Client, container: str, path: str) -> Any:
    """Docker's PathStat. Raises NotFound; an answer to HEAD has no words for why, that to GET has."""
    try:
        return _stat_by("HEAD", client, container, path)
    except NotFound:
        raise
    except PysupError:
        return _stat_by("GET", client, container, path)


def _stat_by(verb: str, client: Client, container: str, path: str) -> Any:
    with client.exchange(verb, _archive(container), query={"path": path}) as opened:
        return _stat_of(opened.header(_STAT))


def _stat_of(header: str) -> Any:
    return json.loads(base64.b64decode(header))


def _target(found: Any, path: str) -> str:
    return posixpath.join(split(path)[0], found["linkTarget"])


class _Counted:
    """Pieces that are counted as they go by."""

    total = 0

    def through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.total += len(piece)
            yield piece
