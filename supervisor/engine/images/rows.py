"""The rows of an image: written together, with what it is made of and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store import blobs, images
from pysup.supervisor.engine import event_rows
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.errors import Conflict
from pysup.supervisor.images.content import BLOBS
from pysup.supervisor.images.digests import hex_of
from pysup.supervisor.images.host import HOST, HOST_ID
from pysup.supervisor.images.layers import LAYERS, Layer
from pysup.supervisor.images.platforms import Platform
from pysup.supervisor.spec.reference import Reference


@dataclass(frozen=True, slots=True)
class Names:
    """How an image is to be called."""

    tags: Sequence[Reference] = ()
    digests: Sequence[Reference] = ()
    """Each with the digest of the manifest, or of the index that led to it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A candidate whose documents agree with each other and with what is on disk."""

    id: str
    config: str
    created_at: int
    """When it was made, by its config: nanoseconds since the epoch; now, if that does not say."""
    platform: Platform
    manifest: blobs.Blob
    config_blob: blobs.Blob
    layer_blobs: tuple[blobs.Blob, ...]
    layers: tuple[Layer, ...]
    """The directories that make up its root, the topmost first."""


Also = Callable[[Connection, str], None]
"""Takes the image's id, in the same transaction."""


def nothing(_conn: Connection, _image_id: str) -> None:
    """The image is all."""


def names_in_use(conn: Connection) -> set[str]:
    """Paths below images/ of all that belongs to images."""
    found = {f"{BLOBS}/{hex_of(blob.digest)}" for blob in blobs.all_blobs(conn)}
    return found | {f"{LAYERS}/{name}" for name in blobs.layers_in_use(conn)}


def write(
    conn: Connection, *, checked: Checked, names: Names, action: str, caller: Caller, also: Also = nothing
) -> None:
    """An image with its blobs, layers, names and event. Raises Conflict for a name that it cannot have.

    ``action``: empty for a step on the way to an image, of which no event tells; ``also``: more to be written with it.
    """
    known = images.get(conn, checked.id)
    if known is None:
        _insert(conn, checked)
    if known is None or not known.manifest_digest:
        for role, found in (
            ("manifest", [checked.manifest]),
            ("config", [checked.config_blob]),
            ("layer", checked.layer_blobs),
        ):
            blobs.attach(conn, checked.id, role, found)
        images.set_manifest(conn, checked.id, checked.manifest.digest)
    _give(conn, checked.id, names, action, caller)
    also(conn, checked.id)


def give_names(conn: Connection, *, image_id: str, names: Names, action: str, caller: Caller) -> bool:
    """To an image that is there, with all that it is made of; False if it is not."""
    known = images.get(conn, image_id)
    if known is None or not known.manifest_digest:
        return False
    _give(conn, image_id, names, action, caller)
    return True


def _give(conn: Connection, image_id: str, names: Names, action: str, caller: Caller) -> None:
    for name in names.tags:
        set_tag(conn, name, image_id)
    for name in names.digests:
        images.add_digest(conn, name.repository, name.digest, image_id)
    if action:
        add_event(conn, action, image_id, str([*names.tags, *names.digests, image_id][0]), caller)


def _insert(conn: Connection, checked: Checked) -> None:
    blobs.add_layers(conn, [blobs.Layer(layer.name, layer.size) for layer in checked.layers])
    images.insert(
        conn,
        id=checked.id,
        config=checked.config,
        layers=[layer.name for layer in checked.layers],
        size=sum(layer.size for layer in checked.layers),
        created_at=checked.created_at,
        os=checked.platform.os,
        architecture=checked.platform.architecture,
        variant=checked.platform.variant,
    )


def set_tag(conn: Connection, name: Reference, image_id: str) -> None:
    """The host image keeps its name: ``run host`` means the machine, always. Raises Conflict."""
    if (name.repository, name.tag) == (HOST, "latest") and image_id != HOST_ID:
        raise Conflict(f"cannot tag image {name}: the name is that of the machine's own root")
    images.set_tag(conn, name.repository, name.tag, image_id)


def add_event(conn: Connection, action: str, image_id: str, name: str, caller: Caller) -> None:
    """Note what was done to an image."""
    event_rows.note(conn, "image", action, image_id, {"name": name}, caller=caller)
