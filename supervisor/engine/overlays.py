"""Layers as one root, in which the engine may write: an overlay that a helper has mounted for itself.

Whoever is killed: the mount goes with the helper, and what was written lies in images/tmp, which the next start
empties.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.images.content import TEMPORARY
from pysup.supervisor.kernel.files import closing
from pysup.supervisor.kernel.process import CLONE_NEWNS
from pysup.supervisor.runtime import trees
from pysup.supervisor.runtime.launch import StdioPlan, launch


class Scratch(NamedTuple):
    """A directory for one overlay."""

    path: str

    @property
    def upper(self) -> str:
        """What was written."""
        return os.path.join(self.path, "upper")


@asynccontextmanager
async def scratch(parts: Parts) -> AsyncIterator[Scratch]:
    """A directory of one's own, removed afterwards."""
    place = os.path.join(parts.settings.images_dir, TEMPORARY)
    made = Scratch(await trio.to_thread.run_sync(lambda: tempfile.mkdtemp(dir=place)))
    try:
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(made.path, name), 0o755)
        yield made
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(trees.remove, made.path, limiter=parts.disk)


@asynccontextmanager
async def mounted(parts: Parts, what: str, lower: Sequence[str], place: Scratch) -> AsyncIterator[int]:
    """A descriptor of the root: ``lower`` (topmost first), and what is written above.

    ``what`` is made with it, in the words of an error. Raises StartFailed.
    """
    target = os.path.join(place.path, "root")
    overlay = {
        "lower": list(lower),
        "upper": place.upper,
        "work": os.path.join(place.path, "work"),
        "target": target,
        "volatile": True,  # nothing waits for the disk: the layer is synced as a whole
        "options": ["userxattr"] if parts.machine.rootless else [],
    }
    helper = await launch(
        parts.link,
        what=what,
        key=f"overlay/{secrets.token_hex(8)}",
        flags=CLONE_NEWNS,
        plan=[["propagation", "private"], ["overlay", overlay], ["enter", target], ["ready"]],
        stdio=StdioPlan(),
    )
    try:
        await helper.ready()
        top = f"/proc/{helper.process.pid}/cwd"
        with closing(os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
            yield fd
    finally:
        with trio.CancelScope(shield=True):
            await helper.abort()
