"""Whether the file system under --root can hold what containers write.

It is tried, by the very step of a start: no list of file systems says what a kernel takes for the upper layer of an
overlay (kernel: filesystems/overlayfs). Most do not take another overlay, NFS, FAT, or what has no names of its own.
"""

from __future__ import annotations

import errno
from functools import partial

from pysup.supervisor.engine.overlays import mounted, scratch
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import PysupError, StartFailed
from pysup.supervisor.kernel.features import Feature
from pysup.supervisor.runtime.filesystems import type_of
from pysup.supervisor.runtime.on_mount import Finding

_STEP = "overlay"


async def lack(parts: Parts) -> str:
    """Why it cannot; empty: it can, or cannot be asked (a full disk). It is tried once for each mount."""
    try:
        return await parts.upper_layers.ask(partial(_try, parts))
    except OSError:
        return ""


async def _try(parts: Parts) -> Finding:
    try:
        async with scratch(parts) as place, mounted(parts, "containers", [parts.settings.ground], place):
            return Finding("", lasts=True)
    except StartFailed as error:
        if error.step != _STEP:
            return Finding("", lasts=False)
        return Finding(_told(parts.settings.root, error), lasts=error.number == errno.EINVAL)


def _told(root: str, error: StartFailed) -> str:
    if error.number == errno.ENODEV:
        return "this kernel has no overlayfs"
    return f"the file system under --root {root} ({type_of(root)}) cannot hold the upper layer of an overlay"


async def explained(parts: Parts, what: str, error: PysupError) -> PysupError:
    """The error of a start, with the cause where the kernel only says that an argument is invalid."""
    if isinstance(error, StartFailed) and error.step == _STEP and (cause := await lack(parts)):
        return StartFailed(what, error.step, error.number, cause)
    return error


async def feature(parts: Parts) -> Feature:
    """For ``pysup info``."""
    found = await lack(parts)
    cost = f"containers cannot start: {found}" if found else ""
    return Feature(present=not found, detail="" if found else type_of(parts.settings.root), cost=cost)
