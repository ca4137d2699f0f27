"""What images and logs take on disk. What several images share counts once; a file with several names, too."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from pysup.store import blobs
from pysup.store.images import Image
from pysup.supervisor.engine.containers.sizes import tree_sizes
from pysup.supervisor.images.content import BLOBS, PARTIAL
from pysup.supervisor.images.digests import hex_of
from pysup.supervisor.images.host import LAYER
from pysup.supervisor.images.layers import LAYERS

_BLOCK = 512
"""Bytes (stat(2))."""
Parts = Mapping[str, frozenset[str]]
"""What each image, by its id, is made of: names as of blobs and layers below images/."""


class DiskUse(NamedTuple):
    """Bytes that are allocated (st_blocks of stat(2))."""

    size: int
    reclaimable: int
    """Of these, what goes when all goes that nobody uses."""


def parts_of_images(conn: Connection, rows: Iterable[Image]) -> Parts:
    """The blobs and layers of each of these images; another one may have come since they were read."""
    found = {row.id: {f"{LAYERS}/{name}" for name in row.layers if name != LAYER} for row in rows}
    for one in blobs.all_image_blobs(conn):
        if one.image_id in found:
            found[one.image_id].add(f"{BLOBS}/{hex_of(one.digest)}")
    return {image_id: frozenset(names) for image_id, names in found.items()}


def shared_sizes(rows: Sequence[Image], sizes: Mapping[str, int]) -> dict[str, int]:
    """Bytes of the layers that each image has together with another one. ``sizes``: of each layer, by its name."""
    users = Counter(name for row in rows for name in row.layers)
    return {row.id: sum(sizes.get(name, 0) for name in row.layers if users[name] > 1) for row in rows}


def layer_sizes(conn: Connection) -> dict[str, int]:
    """Bytes of the files of each layer, by its name."""
    return {layer.name: layer.size for layer in blobs.all_layers(conn)}


def of_images(images_dir: str, parts: Parts, used: Collection[str]) -> DiskUse:
    """``used``: ids of the images that containers are made of. Beginnings of downloads are nobody's. Blocks."""
    sizes = measured(images_dir, frozenset[str]().union(*parts.values()))
    begun = sum(map(_size, _entries(os.path.join(images_dir, PARTIAL))))
    return DiskUse(sum(sizes.values()) + begun, without(sizes, parts, used) + begun)


def measured(images_dir: str, names: Iterable[str]) -> dict[str, int]:
    """Bytes of each blob and layer. Blocks."""
    return {name: _size(os.path.join(images_dir, name)) for name in names}


def without(sizes: Mapping[str, int], parts: Parts, kept: Collection[str]) -> int:
    """Bytes of what belongs to none of the kept images."""
    still = frozenset[str]().union(*(names for image_id, names in parts.items() if image_id in kept))
    return sum(size for name, size in sizes.items() if name not in still)


def of_logs(containers_dir: str, living: Collection[str]) -> DiskUse:
    """``living``: ids of the containers that are there; the logs of others are only remembered. Blocks."""
    paths = _entries(containers_dir)
    sizes = {os.path.basename(path): _size(os.path.join(path, "logs")) for path in paths}
    return DiskUse(sum(sizes.values()), sum(size for name, size in sizes.items() if name not in living))


def _entries(directory: str) -> list[str]:
    """Paths of what is in it; nothing if nobody has needed it yet."""
    try:
        return [os.path.join(directory, name) for name in os.listdir(directory)]
    except FileNotFoundError:
        return []


def _size(path: str) -> int:
    """Of a file, or of a directory with all that is in it; 0 if it is gone."""
    try:
        own = os.lstat(path).st_blocks * _BLOCK
    except FileNotFoundError:
        return 0
    return own + tree_sizes([path])
