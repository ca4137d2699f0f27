"""What lies below a cgroup: a container that may write its cgroups can have made some of its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from pysup.supervisor.runtime.cgroups import files

_LINKS_OF_A_LEAF = 2
"""Its name and its own ``.``; each directory in it adds one: cheaper to ask than to read (inode(7))."""


def directories(top: str) -> Iterator[str]:
    """The cgroup itself and all below it, a parent before its children; nothing if it is gone."""
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            if os.stat(path).st_nlink > _LINKS_OF_A_LEAF:
                waiting += [f"{path}/{name}" for name in children(path)]
        except FileNotFoundError:
            continue
        yield path


def children(top: str) -> list[str]:
    """Names of the cgroups right below one."""
    try:
        with os.scandir(top) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def processes(top: str) -> list[int]:
    """Pids in it and below. 0, which stands for a process that this pid namespace cannot name, is left out."""
    pids = {int(line) for path in directories(top) for line in files.text(f"{path}/cgroup.procs").split()}
    return sorted(pids - {0})


def removed(top: str) -> bool:
    """Remove it with all below; False as long as a process (or the end of one) keeps it busy."""
    try:
        os.rmdir(top)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return _removed_with_children(top)
    return True


def _removed_with_children(top: str) -> bool:
    for path in reversed(list(directories(top))):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
