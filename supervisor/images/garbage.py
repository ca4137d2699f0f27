"""Removing blobs and layers that belong to nobody: out of sight by one rename, then at leisure.

Everything blocks; call it in a thread. What a crash leaves of it lies in tmp/, which the next start empties.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable

from pysup.supervisor.images.content import BLOBS, TEMPORARY
from pysup.supervisor.images.layers import LAYERS
from pysup.supervisor.runtime import trees


def all_names(images: str) -> list[str]:
    """Every blob and layer that is there, as a path below images/."""
    return [f"{kind}/{name}" for kind in (BLOBS, LAYERS) for name in os.listdir(os.path.join(images, kind))]


def bury(images: str, name: str) -> str:
    """Take it out of sight, if it is there; where it went."""
    grave = tempfile.mkdtemp(dir=os.path.join(images, TEMPORARY))
    with contextlib.suppress(FileNotFoundError):
        os.rename(os.path.join(images, name), os.path.join(grave, "content"))
    return grave


def empty(graves: Iterable[str]) -> None:
    """Remove what was buried."""
    for grave in graves:
        trees.remove(grave)
