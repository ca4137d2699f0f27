"""--chown and --chmod: names as the image's own /etc/passwd and /etc/group have them."""

from __future__ import annotations

import re

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import Copy
from pysup.supervisor.engine.building.placing import Manner
from pysup.supervisor.engine.files.opening import read_text
from pysup.supervisor.keeper import names

_MODE = re.compile(r"0?[0-7]{1,4}", re.ASCII)


def manner(copy: Copy, root: int) -> Manner:
    """How the files are to be put. ``root``: a descriptor of the image's. Raises BadDockerfile.

    What comes from another image keeps its owners, if none is named; what comes from the context belongs to root.
    """
    owner = (0, 0) if not copy.origin else None
    if copy.chown:
        owner = owner_of(copy, root)
    return Manner(owner, mode_of(copy))


def owner_of(copy: Copy, root: int) -> tuple[int, int]:
    """``user[:group]``; a user alone has the group of the same name or number (Dockerfile reference, COPY --chown)."""
    user, _, group = copy.chown.partition(":")
    passwd, groups = (read_text(root, path, names.MAX_FILE) for path in (names.PASSWD, names.GROUP))
    try:
        uid = names.identify(user, [], passwd, groups).uid
        gid = names.identify(f"0:{group or user}", [], "", groups).gid
    except names.UnknownName as error:
        raise bad(copy.line, f"unable to convert uid/gid chown string to host mapping: {error}") from None
    return uid, gid


def mode_of(copy: Copy) -> int | None:
    """An octal number. Raises BadDockerfile."""
    if not copy.chmod:
        return None
    if not _MODE.fullmatch(copy.chmod):
        raise bad(copy.line, f"--chmod={copy.chmod[:64]}: it is not an octal number, as 755 or 0644")
    return int(copy.chmod, 8)
