"""Trees that are deeper than any stack, and than any path is long."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pysup.supervisor.runtime import trees


@contextlib.contextmanager
def removed(directory: Path) -> Iterator[Path]:
    """After the block it is gone: pytest removes what is old by recursion, in a later run of somebody else's."""
    try:
        yield directory
    finally:
        trees.remove(str(directory))


def make(top: Path, depth: int, name: str = "d", leaf: str = "leaf") -> None:
    """Directories of one name below each other, and a file at the end that says so."""
    os.mkdir(top)
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    with open(os.open(leaf, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd), "w") as file:
        file.write("here")
    os.close(fd)


def depth_of(top: Path, name: str = "d", leaf: str = "leaf") -> int:
    """How deep the file of make() is."""
    fd, depth = os.open(top, os.O_RDONLY | os.O_DIRECTORY), 0
    try:
        while name in os.listdir(fd):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd, depth = below, depth + 1
        assert os.listdir(fd) == [leaf]
    finally:
        os.close(fd)
    return depth
