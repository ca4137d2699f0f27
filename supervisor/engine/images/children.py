"""An image with a layer on top becomes another image: for commit, and for each step of a build.

async with admissions.begin() as admission:
    parent = await parent_of(store, admission, image_id)
    written = ...                                      # images/write_layers.py, in a thread
    image_id = await admit_child(admission, child_of(parent, config, step, written), names, "commit", caller)
"""

from __future__ import annotations

import json

import trio

from pysup.store import blobs, images
from pysup.store.images import Image as Row
from pysup.store.store import Store
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.admission import Admission, Candidate
from pysup.supervisor.engine.images.rows import Also, Names, nothing
from pysup.supervisor.errors import BadRequest, NotFound, Unavailable
from pysup.supervisor.images.children import MANIFEST, Child, Parent
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.digests import hex_of
from pysup.supervisor.images.documents import diff_ids
from pysup.supervisor.images.host import HOST_ID, architecture
from pysup.supervisor.images.layers import Layer

SCRATCH = Parent({"architecture": architecture(), "os": "linux"})
"""For an image that begins with nothing."""


async def parent_of(store: Store, admission: Admission, image_id: str) -> Parent:
    """An image that is there, held with all that it is made of. Raises NotFound, BadRequest, Unavailable."""
    row = _row(store, image_id)
    kept = blobs.of_image(store.read(), image_id, "layer")
    config = json.loads(row.config)
    sizes = {layer.name: layer.size for layer in blobs.all_layers(store.read())}
    layers = [Layer(one, hex_of(one), sizes.get(hex_of(one), 0)) for one in diff_ids(config)]
    await trio.to_thread.run_sync(_hold, admission, row, kept)
    _row(store, image_id)  # what is held from now on was not removed just before
    return Parent(config, tuple(layers), tuple((Blob(one.digest, one.size), one.media_type) for one in kept))


def _row(store: Store, image_id: str) -> Row:
    row = images.get(store.read(), image_id)
    if row is None:
        raise NotFound(f"cannot find image {image_id}: No such image: {image_id}")
    if row.id == HOST_ID:
        raise BadRequest(
            "cannot make an image of the machine's own root with a layer on top: it is no layer; export it instead"
        )
    if not row.manifest_digest:
        raise BadRequest(
            f"cannot use image {image_id}: it was imported by a version that kept no archive; import it anew"
        )
    return row


def _hold(admission: Admission, row: Row, kept: list[blobs.Blob]) -> None:
    admission.hold_layers(row.layers)
    for one in kept:
        if admission.content.has(one.digest) != one.size:
            raise Unavailable(f"cannot use image {row.id}: blob {one.digest} is damaged or missing")


async def admit_child(
    admission: Admission, child: Child, names: Names, action: str, caller: Caller, *, also: Also = nothing
) -> str:
    """Make it an image, in one transaction; its id. Raises as Admission.admit()."""
    candidate = Candidate(child.manifest, MANIFEST, child.config, child.layers)
    return await admission.admit(candidate, names, action, caller, also=also)
