"""How a plan names host paths, which a process with mapped ids could not reach by itself."""

from __future__ import annotations

from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.spec.container import Namespaces


class Sources:
    """Host paths on their way into a plan.

    A process in a user namespace whose root is not the host's may not search the daemon's directories
    (0700, 0710). Between clone3(2) and the change of its ids it still may, as their owner: so the
    user_namespace step opens every path that a later step names, and that step says ``@name`` instead.
    The container's own directory lets its root search it (runtime/rootfs.py): ``@name/upper`` works too.
    """

    def __init__(self, spaces: Namespaces) -> None:
        self._by_name = namespaces.root_ids(spaces) != (0, 0)
        self._names: dict[str, str] = {}

    def name(self, path: str) -> str:
        """The path as a step is to give it."""
        if not self._by_name:
            return path
        return "@" + self._names.setdefault(path, str(len(self._names)))

    def opened(self) -> dict[str, str]:
        """Host path by name, for the user_namespace step; complete when the plan is."""
        return {name: path for path, name in self._names.items()}
