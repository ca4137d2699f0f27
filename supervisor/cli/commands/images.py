"""``pysup images``, ``import``, ``rmi``, ``tag``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import urlencode

from pysup.supervisor.cli.connection import Client, connect, segment
from pysup.supervisor.cli.each import each
from pysup.supervisor.cli.flags import Syntax, lacking, many, switch, text
from pysup.supervisor.cli.kinds import BOOL, LIST
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.output.listing import FORMAT, Column, Item, Listing, filter_flag, filters, write
from pysup.supervisor.cli.output.table import short_id
from pysup.supervisor.errors import NotFound, PysupError

NONE, UNKNOWN = "<none>", "N/A"
_PIECE = 1 << 20
ONE_PLATFORM = "an image here is of one platform"
"""Why commands on images have no choice of one."""

IMAGES = Syntax(
    "images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    (
        switch("all", "Show all images (default hides intermediate images)", short="a"),
        switch("digests", "Show digests"),
        filter_flag(),
        FORMAT,
        switch("no-trunc", "Don't truncate output"),
        switch("quiet", "Only show image IDs", short="q"),
        lacking("tree", BOOL, "List multi-platform images as a tree", "pysup image tree shows layers"),
    ),
    0,
    1,
)
IMPORT_ = Syntax(
    "import",
    "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    (
        many("change", "Apply Dockerfile instruction to the created image", short="c"),
        text("message", "Set commit message for imported image", short="m"),
        text("platform", "Set platform, os/arch[/variant], if it is not this machine's"),
    ),
    1,
    2,
)
RMI = Syntax(
    "rmi",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    (
        switch("force", "Force removal of the image", short="f"),
        switch("no-prune", "Do not delete untagged parents"),
        lacking("platform", LIST, "Remove only the given platform variant", ONE_PLATFORM),
    ),
    1,
    None,
)
TAG = Syntax(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    (),
    2,
    2,
)


def images(argv: Sequence[str]) -> int:
    """``pysup images``."""
    given = IMAGES.parse(argv)
    chosen = filters(given) | ({"reference": given.words} if given.words else {})
    query = {"filters": json.dumps(chosen)} if chosen else {}
    if given.on("all"):
        query["all"] = "1"
    form = given.text("format")
    if given.on("digests") and form.startswith("table ") and ".Digest" not in form:
        given.values["format"] = form + "\t{{.Digest}}"
    rows = [row for image in connect().get("/images/json", query=query) for row in tagged(image)]
    write(DIGESTS if given.on("digests") else TAGS, rows, given, short=not given.on("no-trunc"))
    return 0


def tagged(image: Any) -> Iterator[Any]:
    """One row for each tag of an image."""
    for reference in image.get("RepoTags") or [f"{NONE}:{NONE}"]:
        repository, _, tag_name = reference.rpartition(":")
        yield {**image, "Repository": repository, "Tag": tag_name}


def split_reference(reference: str) -> tuple[str, str]:
    """``name[:tag]`` as repository and tag; a registry's port is no tag."""
    head, colon, tail = reference.rpartition(":")
    return (head, tail) if colon and "/" not in tail else (reference, "")


def import_(argv: Sequence[str]) -> int:
    """``pysup import``: prints the new image's id."""
    given = IMPORT_.parse(argv)
    source, *name = given.words
    repository, tag_name = split_reference(name[0]) if name else ("", "")
    query: list[tuple[str, str]] = [("fromSrc", "-"), ("repo", repository), ("tag", tag_name)]
    query += [("message", given.text("message")), ("platform", given.text("platform"))]
    query += [("changes", change) for change in given.many("change")]
    last = {}
    with _opened(source) as file:
        wanted = urlencode([(key, value) for key, value in query if value])
        for last in connect().stream_json("POST", f"/images/create?{wanted}", body=_pieces(file)):
            if "error" in last:
                raise PysupError(f"cannot import {source}: {last['error']}")
    print(last.get("status", ""))
    return 0


def _opened(source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    if source.startswith(("http://", "https://")):
        raise PysupError(
            f"cannot import {source}: URLs are not supported yet; pipe it: curl URL | pysup import - NAME"
        )
    try:
        return open(source, "rb")
    except OSError as error:
        raise PysupError(f"cannot import {source}: {error.strerror}") from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def rmi(argv: Sequence[str]) -> int:
    """``pysup rmi``: prints what was untagged and deleted."""
    given = RMI.parse(argv)
    query = {name: "1" for name, flag in (("force", "force"), ("noprune", "no-prune")) if given.on(flag)}

    def action(client: Client, name: str) -> str | None:
        try:
            done = client.delete(f"/images/{segment(name)}", query=query) or []
        except NotFound as error:
            if not given.on("force"):
                raise
            print(f"pysup: {error}", file=sys.stderr)  # and the exit code is 0, as docker's
            return None
        return "\n".join(f"{what}: {identity}" for one in done for what, identity in one.items()) or None

    return each(given.words, action)


def tag(argv: Sequence[str]) -> int:
    """``pysup tag``."""
    source, target = TAG.parse(argv).words
    repository, tag_name = split_reference(target)
    connect().post(f"/images/{segment(source)}/tag", query={"repo": repository, "tag": tag_name or "latest"})
    return 0


def _id(one: Item) -> str:
    return short_id(one.raw["Id"], short=one.short)


def _digest(raw: Any) -> str:
    digests = raw.get("RepoDigests") or []
    return str(digests[0]).rpartition("@")[2] if digests else NONE


def _size(raw: Any) -> str:
    from pysup.supervisor.spec.units import format_decimal_size

    return format_decimal_size(raw["Size"])


def _exact(size: int) -> str:
    from pysup.supervisor.spec.units import format_long_decimal_size

    return format_long_decimal_size(size) if size >= 0 else UNKNOWN


def _unique(raw: Any) -> int:
    shared = int(raw.get("SharedSize", -1))
    return int(raw["Size"]) - shared if shared >= 0 else -1


def _counted(number: int) -> str:
    return str(number) if number >= 0 else UNKNOWN


def _created(raw: Any) -> str:
    return timetext.ago(raw["Created"], time.time()) if raw.get("Created") else UNKNOWN


_COLUMNS = {
    "Repository": Column("REPOSITORY", lambda one: one.raw["Repository"]),
    "Tag": Column("TAG", lambda one: one.raw["Tag"]),
    "Digest": Column("DIGEST", lambda one: _digest(one.raw)),
    "ID": Column("IMAGE ID", _id),
    "CreatedSince": Column("CREATED", lambda one: _created(one.raw)),
    "CreatedAt": Column("CREATED AT", lambda one: timetext.local(one.raw["Created"])),
    "Size": Column("SIZE", lambda one: _size(one.raw)),
    "VirtualSize": Column("SIZE", lambda one: _exact(one.raw["Size"])),
    "SharedSize": Column("SHARED SIZE", lambda one: _exact(one.raw.get("SharedSize", -1))),
    "UniqueSize": Column("UNIQUE SIZE", lambda one: _exact(_unique(one.raw))),
    "Containers": Column("CONTAINERS", lambda one: _counted(one.raw.get("Containers", -1))),
}
_RAW = """\
repository: {{.Repository}}
tag: {{.Tag}}
image_id: {{.ID}}
created_at: {{.CreatedAt}}
virtual_size: {{.Size}}
"""
_RAW_DIGESTS = _RAW.replace("image_id", "digest: {{.Digest}}\nimage_id")

TAGS = Listing(_COLUMNS, ("Repository", "Tag", "ID", "CreatedSince", "Size"), raw=_RAW)
DIGESTS = Listing(_COLUMNS, ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"), raw=_RAW_DIGESTS)
