"""A System that does nothing but remember: to try the child's steps in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pysup.supervisor.keeper.system import System

ANSWERS: dict[str, Any] = {
    "permitted": frozenset(range(41)), "last_cap": 40, "getcwd": "/", "is_ptmx": True, "filesystem_type": 0x1CD1,
    "read": b"1", "openat2": 50, "open": 51, "open_tree": 52, "open_slave": 53, "write": 1,
}  # fmt: skip
"""What each call returns; the rest return None."""
ROOT = "/root"
"""Where the container's root is on the host."""
PLACES = {"/proc/self/fd/40": ROOT}
"""What is told of descriptors; a container's root is 40."""


class RecordingSystem(System):
    """``calls`` is every call in order, as (name, arguments). ``answers`` and ``fails`` override by name."""

    def __init__(
        self, answers: dict[str, Any] | None = None, fails: dict[str, OSError] | None = None
    ) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers = {**ANSWERS, **(answers or {})}
        self.fails = fails or {}

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("calls", "answers", "fails", "names", "of"):
            return object.__getattribute__(self, name)
        assert hasattr(System, name), name
        return self._recorder(name)

    def _recorder(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *([named] if named else [])))
            if name in self.fails:
                raise self.fails[name]
            if name == "fstat" and name not in self.answers:
                return os.stat("/")
            if name == "readlink" and name not in self.answers:
                return PLACES.get(arguments[0], f"{ROOT}/place")
            return self.answers.get(name)

        return call

    def names(self) -> list[str]:
        """The calls' names."""
        return [call[0] for call in self.calls]

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of this name."""
        return [call[1:] for call in self.calls if call[0] == name]
