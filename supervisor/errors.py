"""Every error that a user can be told, one class for each way a caller may want to handle it.

    PysupError              cannot <verb> <thing>: <cause>
    ├── BadRequest          the request itself is wrong (API 400)
    │   ├── TooLarge        more than is read (API 413)
    │   └── NotSupported    a flag or operation that docker has and pysup does not have yet (API 501)
    ├── NotFound            no such container, image, exec, … (API 404)
    ├── Conflict            the thing exists, but not in a state that allows this (API 409)
    │   ├── NotModified     the thing is already as asked (API 304)
    │   └── StartEnded      somebody has ended the start before the program ran (API 409)
    ├── Forbidden           the caller or the kernel refuses (API 403)
    │   └── Unauthorized    a registry wants to know who asks, or knows better (API 401)
    ├── Unavailable         this machine lacks what is needed: a controller, a kernel feature (API 500)
    └── StartFailed         the container's process could not be made; names the step (API 400 or 500)

The text is complete where it is raised; a boundary (api/, cli/, a task) prints it once and never edits it.
"""

from __future__ import annotations

import errno
import os


class PysupError(Exception):
    """The base: str() is one line, ``cannot <verb> <thing>: <cause>``."""


class BadRequest(PysupError):
    """The request is wrong in itself and would be wrong at any time."""


class TooLarge(BadRequest):
    """The request has more content than is ever read."""


class NotSupported(BadRequest):
    """Docker has this; pysup does not have it yet. Never ignored, always said."""


class NotFound(PysupError):
    """The named thing does not exist."""


class Conflict(PysupError):
    """The thing exists, but its state or its name forbids this."""


class NotModified(Conflict):
    """The thing is already in the state asked for."""


class StartEnded(Conflict):
    """A start was stopped, or its container removed, before the program ran; ``who``: by whom."""

    step = "wait for the start"

    def __init__(self, what: str, how: str, who: object) -> None:
        super().__init__(f"cannot start {what}: it was {how} meanwhile by {who}")


class Forbidden(PysupError):
    """The caller is not allowed to, or the kernel refused."""


class Unauthorized(Forbidden):
    """A registry wants credentials, or other ones."""


class Unavailable(PysupError):
    """This machine lacks what the request needs; the text names it."""


NOT_EXECUTABLE, COMMAND_NOT_FOUND, SET_UP_FAILED = 126, 127, 128
"""Exit codes for a process that never ran."""


class StartFailed(PysupError):
    """A container or exec process could not be made.

    ``step`` is the step of the plan that failed ("mount /proc", "exec sh"), ``number`` its errno (0: none).
    """

    def __init__(self, what: str, step: str, number: int, detail: str = "") -> None:
        self.step = step
        self.number = number
        told = os.strerror(number) if number else "failed"
        # In lower case: docker's CLI takes its exit code from "permission denied" and the like.
        cause = detail if detail not in {"", told} else told[:1].lower() + told[1:]
        super().__init__(f"cannot start {what}: {step}: {cause}")

    @property
    def exit_code(self) -> int:
        """Docker's exit code: 127 command not found, 126 cannot be executed, else 128 (set-up failed)."""
        if self.step.startswith("workdir "):
            return SET_UP_FAILED if self.number == errno.ENOTDIR else NOT_EXECUTABLE
        if not self.step.startswith("exec "):
            return SET_UP_FAILED
        return COMMAND_NOT_FOUND if self.number in {errno.ENOENT, errno.ENOTDIR} else NOT_EXECUTABLE


class ExecFailed(StartFailed):
    """An exec process could not be made. Docker tells that the command was not found; all else is 126."""

    def __init__(self, cause: StartFailed) -> None:
        PysupError.__init__(self, str(cause))
        self.step, self.number = cause.step, cause.number

    @property
    def exit_code(self) -> int:
        """127 or 126."""
        return COMMAND_NOT_FOUND if super().exit_code == COMMAND_NOT_FOUND else NOT_EXECUTABLE
