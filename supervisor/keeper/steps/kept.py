"""Steps that let a container's overlay outlive its process, and take it into the next one.

When the last user of an overlay goes, the kernel writes out the whole file system that its write layer lies in
(ovl_sync_fs of fs/overlayfs/super.c), and the process that ends waits for it: milliseconds on a quiet disk, seconds
on a busy one. Whoever holds a copy of the mount decides when that is.
"""

from __future__ import annotations

import os
from typing import TypedDict

from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.context import Context


class Where(TypedDict, total=False):
    """``target``, a host path, or ``at``, a path of the container."""

    target: str
    at: str


def reuse(context: Context, name: str, where: Where) -> None:
    """Mount what was kept of the run before, by the descriptor that came with the spawn (move_mount(2))."""
    if "at" in where:
        fd = lookup.directory(context, where["at"])
    else:
        target = context.host_path(where["target"])
        fd = context.system.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        context.system.move_mount(context.fd(name), fd)
    finally:
        context.system.close(fd)


def keep(context: Context, name: str, where: Where) -> None:
    """Make a detached copy of the mount, which goes to the engine with the word that all is set up."""
    if "at" not in where:
        context.kept[name] = context.system.open_tree(context.root, "")
        return
    fd = lookup.existing(context, where["at"])
    try:
        context.kept[name] = context.system.open_tree(fd, "")
    finally:
        context.system.close(fd)


def lend(context: Context, name: str, path: str) -> None:
    """Let the engine have a descriptor of the mount that is there now, before anything of the container's runs.

    Whoever takes a copy of it later (binds.borrow()) looks up no path in the container.
    """
    context.kept[name] = lookup.existing(context, path)
