"""A volume's directory: VOLUMES/NAME/_data holds its content, and what lies beside that is unfinished work.

Made under another name, synced and renamed: a directory of a volume's name is whole. A name that begins with a dot
is never a volume's. Everything here blocks; call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Iterator

from pysup.supervisor.kernel.files import sync_directory

_DATA = "_data"
_NEW = ".new-"


def prepare(volumes: str) -> None:
    """Make the directory of all volumes. Nobody but root gets into it (0711 would do, and show names)."""
    os.makedirs(volumes, 0o700, exist_ok=True)


def data_of(volumes: str, name: str) -> str:
    """Where a volume's content is; what inspect shows as its mount point."""
    return os.path.join(volumes, name, _DATA)


def make(volumes: str, name: str) -> None:
    """Make an empty volume; nothing happens if it is there. Raises OSError, and leaves nothing then."""
    if os.path.isdir(os.path.join(volumes, name)):
        return
    new = tempfile.mkdtemp(prefix=_NEW, dir=volumes)
    try:
        os.mkdir(os.path.join(new, _DATA), 0o755)
        sync_directory(new)
        os.rename(new, os.path.join(volumes, name))
    except BaseException:
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(new, _DATA))
            os.rmdir(new)
        raise
    sync_directory(volumes)


def leftovers(volumes: str, known: Collection[str]) -> Iterator[str]:
    """The paths of directories that are no volume's: what a crash left of making and removing."""
    for name in os.listdir(volumes):
        if name not in known:
            yield os.path.join(volumes, name)
