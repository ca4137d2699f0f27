"""What the steps of one child share while it becomes a container's process."""

from __future__ import annotations

import _socket
import json
import os
import struct

from pysup.supervisor.keeper.system import System

ENGINE_IS_GONE = 125
"""What a child ends with that was not told to go: the next engine makes the start anew."""


class StepError(Exception):
    """A step failed for a reason that an errno alone does not tell."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(detail)
        self.number = number
        self.detail = detail


class Context:
    """State of one child. A step changes what later ones use: root, identity, working directory."""

    def __init__(self, system: System, fds: dict[str, int]) -> None:
        self.system = system
        self.fds = fds
        self.init = fds.get("init", -1)
        self.opened: dict[str, str] = {}
        """Host paths by the names under which "user_namespace" has opened them."""
        self.owner: tuple[int, int] | None = None
        """Who gets what a step makes for a mount to lie on; None: this process."""
        self.root = -1
        """O_PATH descriptor of the new root, from "enter" on; -1: the process's own root is meant."""
        self.kept: dict[str, int] = {}
        """Descriptors of mounts that go to the engine with the word that all is set up."""
        self.stage = -1
        """O_PATH descriptor of what "stage" has covered; -1: there is none."""
        self.inside = False
        """The process's own root is the container's: after "pivot"."""
        self.uid = 0
        self.gid = 0
        self.groups: list[int] = []
        self.home = ""
        self.workdir = ""
        """The working directory that the "workdir" step went to."""
        self.unset_stdio: tuple[int, ...] = ()
        """Which of 0, 1 and 2 were not given, and are /dev/null."""
        self.parent: tuple[str, int] | None = None
        """The directory that the last "device" or "symlink" made a name in: its path and descriptor."""
        self.holders: dict[str, int] = {}
        """New tmpfs that further mounts fill: descriptors by path."""
        self.null_fd = -1
        self.empty_tmpfs = -1

    def fd(self, name: str) -> int:
        """A descriptor that came with the spawn."""
        try:
            return self.fds[name]
        except KeyError:
            raise StepError(9, f"no descriptor is named {name!r}") from None

    def host_path(self, path: str) -> str:
        """A host path as a step names it: ``@name/rest`` begins at a descriptor of "user_namespace"."""
        if not path.startswith("@"):
            return path
        name, slash, rest = path[1:].partition("/")
        return f"/proc/self/fd/{self.fd(name)}{slash}{rest}"

    def told(self, argument: object) -> object:
        """An argument of a step as people know it: a name becomes the path that it stands for."""
        if not isinstance(argument, str) or not argument.startswith("@"):
            return argument
        name, slash, rest = argument[1:].partition("/")
        return f"{self.opened.get(name, argument)}{slash}{rest}"

    def tell(self, message: dict[str, object], fds: tuple[int, ...] = ()) -> None:
        """Send one packet to the engine. Without an engine there is nobody to go on for."""
        sock = _socket.socket(fileno=self.init)
        try:
            ancillary = (
                [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"={len(fds)}i", *fds))] if fds else []
            )
            sock.sendmsg([json.dumps(message).encode()], ancillary, _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(ENGINE_IS_GONE)
        finally:
            sock.detach()
