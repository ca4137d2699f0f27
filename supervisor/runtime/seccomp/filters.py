"""The daemon's filter programs: each compiled once, kept in memory files and on disk.

A child gets a descriptor and loads the bytes: nothing is parsed or compiled in a start. The files below the daemon's
root spare a new engine the compilation; they are checked by a digest, and anything odd is compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import weakref
from collections import OrderedDict
from functools import lru_cache
from importlib import resources

import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import libraries, libseccomp, seccomp
from pysup.supervisor.kernel.files import sealed_memory_file
from pysup.supervisor.runtime.seccomp import compilation, selection
from pysup.supervisor.runtime.seccomp.selection import Target
from pysup.supervisor.spec.seccomp import UNCONFINED, Profile, parse_profile

_FORMAT = 3
"""To be counted up when the same input gives another program."""
_MOST = 64
"""Programs kept in memory, and files kept on disk; the one that was not used for the longest time goes."""
_DIGEST = hashlib.sha256().digest_size
_KNOWN_ACTIONS = "/proc/sys/kernel/seccomp/actions_avail"
_FLAGS = {
    "SECCOMP_FILTER_FLAG_LOG": seccomp.FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.FILTER_FLAG_SPEC_ALLOW,
}
"""TSYNC is left out: a child has one thread."""


class Program:
    """A filter as a sealed memory file; the descriptor lives as long as this object."""

    def __init__(self, code: bytes, flags: int) -> None:
        self.flags = flags
        """For seccomp(2)."""
        self.fd = sealed_memory_file("pysup-seccomp", code)
        weakref.finalize(self, os.close, self.fd)


class Filters:
    """Programs by profile and capabilities. ``directory`` is made when it is first needed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._programs: OrderedDict[tuple[str, tuple[str, ...]], Program] = OrderedDict()
        self._making = trio.Lock()

    async def program(self, profile: str, capabilities: tuple[str, ...]) -> Program | None:
        """The filter for a profile (empty: docker's; or its JSON) and a bounding set; None for ``unconfined``.

        Raises Unavailable if it cannot be made on this machine.
        """
        if profile == UNCONFINED:
            return None
        key = (profile, capabilities)
        if key not in self._programs:
            async with self._making:
                if key not in self._programs:
                    self._programs[key] = await trio.to_thread.run_sync(self._make, *key)
        self._programs.move_to_end(key)
        while len(self._programs) > _MOST:
            self._programs.popitem(last=False)
        return self._programs[key]

    # -- in a thread -----------------------------------------------------------------------------------------

    def _make(self, text: str, capabilities: tuple[str, ...]) -> Program:
        if not os.path.exists(_KNOWN_ACTIONS):
            raise Unavailable(_told("this kernel is built without CONFIG_SECCOMP_FILTER"))
        try:
            profile = parse_profile(text or default_profile())
            return Program(self._code(text, profile, target_of(capabilities)), flags_of(profile))
        except libraries.Missing as error:
            raise Unavailable(_told(str(error))) from error
        except (compilation.CannotCompile, ValueError) as error:
            raise Unavailable(f"cannot use the seccomp profile: {error}") from error

    def _code(self, text: str, profile: Profile, target: Target) -> bytes:
        path = f"{self._directory}/{_name(text or default_profile(), target)}"
        code = _read(path)
        if code is None:
            code = compilation.compile_profile(profile, target)
            with contextlib.suppress(OSError):  # without a cache it is compiled again
                self._write(path, code)
        return code

    def _write(self, path: str, code: bytes) -> None:
        """Not synced: a file that a crash tore is found out by its digest."""
        os.makedirs(self._directory, 0o700, exist_ok=True)
        with open(f"{path}.new", "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.rename(f"{path}.new", path)
        with os.scandir(self._directory) as entries:
            files = sorted(entries, key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)
        for entry in files[:-_MOST]:
            os.unlink(entry.path)


def _told(cause: str) -> str:
    return (
        f"cannot filter system calls: {cause}; containers without a filter: --security-opt seccomp=unconfined"
    )


def _name(text: str, target: Target) -> str:
    """A digest of all that the program depends on."""
    facts = [_FORMAT, libseccomp.version(), text, target.machine, target.kernel, sorted(target.capabilities)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(path: str) -> bytes | None:
    """What was kept; None if there is nothing, or not what was written."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def target_of(capabilities: tuple[str, ...]) -> Target:
    """This machine, with a bounding set."""
    uname = os.uname()
    return Target(uname.machine, selection.kernel_version(uname.release), frozenset(capabilities))


def flags_of(profile: Profile) -> int:
    """The flags for seccomp(2); SPEC_ALLOW where a profile says nothing, as runc has it since 1.2."""
    if profile.flags is None:
        return seccomp.FILTER_FLAG_SPEC_ALLOW
    return sum(_FLAGS.get(flag, 0) for flag in set(profile.flags))


@lru_cache(maxsize=1)
def default_profile() -> str:
    """Docker's profile, as text."""
    return resources.files(__package__).joinpath("default.json").read_text(encoding="utf-8")
