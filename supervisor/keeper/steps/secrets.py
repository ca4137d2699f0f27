"""Secrets: files in a new tmpfs whose values come in a memory file, so that no plan holds them (tmpfs(5))."""

from __future__ import annotations

import binascii
import json
import os

from pysup.supervisor.keeper.steps import lookup
from pysup.supervisor.keeper.steps.context import Context

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def secrets(context: Context, name: str, directory: str, files: list[tuple[str, int, int, int]]) -> None:
    """Make the files, each ``[name, uid, gid, mode]``. The descriptor ``name`` has a JSON list of base64 texts.

    Read by pread(2): another child may have read it before.
    """
    memory = context.fd(name)
    values: list[str] = json.loads(context.system.pread(memory, context.system.fstat(memory).st_size, 0))
    parent = lookup.existing(context, directory)
    try:
        for (file, uid, gid, mode), value in zip(files, values, strict=True):
            _write(context, parent, file, binascii.a2b_base64(value), (uid, gid, mode))
    finally:
        context.system.close(parent)


def _write(context: Context, parent: int, name: str, value: bytes, owner: tuple[int, int, int]) -> None:
    uid, gid, mode = owner
    fd = context.system.open(name, _NEW, 0o600, dir_fd=parent)
    try:
        view = memoryview(value)
        while view:
            view = view[context.system.write(fd, view) :]
        context.system.fchown(fd, uid, gid)
        context.system.fchmod(fd, mode)
    finally:
        context.system.close(fd)
