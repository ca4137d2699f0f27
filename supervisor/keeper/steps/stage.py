"""Steps that make /proc, /dev and /sys before the container's root is there, and move them into it."""

from __future__ import annotations

import os

from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.context import Context
from pysup.supervisor.kernel import mounts


def stage(context: Context, directory: str) -> None:
    """Cover a host directory for this mount namespace, and take it as the root until "enter"."""
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    context.system.mount("tmpfs", directory, "tmpfs", flags, "mode=700,size=4k,nr_inodes=8")
    context.stage = context.root = context.system.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def place(context: Context, top: str) -> None:
    """Move a tree of mounts from the stage to the same path of the container, which may be no link (CVE-2019-19921).

    The kernel moves what is mounted in it along (move_mount(2)).
    """
    tree = context.system.open_tree(context.stage, top.lstrip("/"), clone=False)
    try:
        fd = lookup.plain_directory(context, top)
        try:
            context.system.move_mount(tree, fd)
        finally:
            context.system.close(fd)
    finally:
        context.system.close(tree)
