"""``--cidfile``: a file for the id of a new container; it must not exist before, nor stay without the container."""

from __future__ import annotations

import os
from types import TracebackType

from pysup.supervisor.errors import PysupError


class CidFile:
    """Reserves the file for a with block; removes it if there is no container then. No path: does nothing."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._written = False

    def __enter__(self) -> CidFile:
        if self._path:
            try:
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                raise PysupError(
                    f"cannot create container: container ID file found, make sure the other container isn't "
                    f"running or delete {self._path}"
                ) from None
            except OSError as error:
                raise PysupError(
                    f"cannot create the container ID file {self._path}: {error.strerror}"
                ) from None
        return self

    def write(self, container_id: str) -> None:
        """Put the id there, without a newline as docker does."""
        if self._path:
            with open(self._path, "w", encoding="ascii") as file:
                file.write(container_id)
            self._written = True

    def forget(self) -> None:
        """The container is gone: so is the file, at the end of the block."""
        self._written = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path and not self._written:
            os.unlink(self._path)
