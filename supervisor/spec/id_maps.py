"""One line of a map of ids. A module of its own: the keeper has it too, and nothing else of a container's spec."""

from __future__ import annotations

from typing import NamedTuple


class IdMap(NamedTuple):
    """One line of uid_map or gid_map (user_namespaces(7))."""

    container: int
    host: int
    size: int
