"""What is on its way to become an image, so that nobody takes it for garbage meanwhile.

A name is a path below images/: ``blobs/sha256/HEX`` or ``layers/HEX``; or the id of an image on which a build stands.
Everything may be called from any thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from threading import Lock
from types import TracebackType


class Leases:
    """One for each daemon."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: Counter[str] = Counter()

    def lease(self) -> Lease:
        """``with leases.lease() as lease``: what it holds is kept until the end of the block."""
        return Lease(self)

    def hold(self, name: str) -> None:
        """Once more."""
        with self._lock:
            self._held[name] += 1

    def release(self, names: Iterable[str]) -> None:
        """Once less, each."""
        with self._lock:
            self._held.subtract(names)
            self._held = +self._held

    @property
    def held(self) -> frozenset[str]:
        """All that somebody holds."""
        with self._lock:
            return frozenset(self._held)

    def unless_held(self, name: str, remove: Callable[[], object]) -> None:
        """Remove something, if nobody holds it, and so that nobody can begin to meanwhile."""
        with self._lock:
            if not self._held[name]:
                remove()


class Lease:
    """That of one load, pull, import, …"""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._names: set[str] = set()
        self._lock = Lock()

    def hold(self, name: str) -> None:
        """Hold a name before anybody looks whether it is there."""
        with self._lock:
            if name not in self._names:
                self._names.add(name)
                self._leases.hold(name)

    @property
    def names(self) -> frozenset[str]:
        """All that it holds."""
        return frozenset(self._names)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leases.release(self._names)
