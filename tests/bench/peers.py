"""The other engines, each asked for the same things in its own words."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import oci
from tests.bench.common import call, call_silently

Bind = tuple[str, str]


def available(argv: Sequence[str]) -> bool:
    """Whether a command is installed and succeeds."""
    if shutil.which(argv[0]) is None:
        return False
    return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


class Peer:
    """What a bench asks of an engine."""

    name = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def run(self, *argv: str) -> None:
        """A container from its start to its end, without network; nothing of it is left."""
        raise NotImplementedError

    def start(self, name: str, *argv: str, binds: Sequence[Bind] = (), restart: bool = False) -> None:
        """A container in the background."""
        raise NotImplementedError

    def exec(self, name: str, *argv: str) -> None:
        """A further process in it, to its end."""
        raise NotImplementedError

    def ps(self) -> None:
        """List the containers."""
        raise NotImplementedError

    def pid(self, name: str) -> int:
        """The host's pid of its first process; 0 while it has none."""
        raise NotImplementedError

    def remove(self, *names: str) -> None:
        """End and remove containers."""
        raise NotImplementedError


class Oci(Peer):
    """A runtime alone: it supervises nothing, logs nothing and makes no overlay."""

    def __init__(self, name: str, program: str, directory: Path, rootfs: Path, *, filtered: bool) -> None:
        self.name = name
        self._filtered = filtered
        self._rootfs = rootfs
        self._directory = directory / name.replace(" ", "-")
        self._directory.mkdir()
        self._words = [program, "--root", str(self._directory / "state")]
        self._bundles: dict[tuple[object, ...], Path] = {}
        self._numbers = itertools.count()
        self._started: set[str] = set()
        self._mark = uuid.uuid4().hex[:8]

    def __exit__(self, *details: object) -> None:
        self.remove(*sorted(self._started))

    def _id(self, name: str) -> str:
        """A cgroup is called by the id alone, whatever --root is: crun would end another bench's container with it."""
        return f"{name}-{self._mark}"

    def run(self, *argv: str) -> None:
        call([*self._words, "run", "--bundle", self._bundle(argv), self._id(f"bench-{self._number()}")])

    def start(self, name: str, *argv: str, binds: Sequence[Bind] = (), restart: bool = False) -> None:
        if restart:
            raise NotImplementedError("a runtime does not restart")
        words = [*self._words, "run", "--detach", "--bundle", self._bundle(argv, binds), self._id(name)]
        call_silently(words)
        self._started.add(name)

    def exec(self, name: str, *argv: str) -> None:
        call([*self._words, "exec", self._id(name), *argv])

    def remove(self, *names: str) -> None:
        for name in names:
            call([*self._words, "delete", "--force", self._id(name)])
            self._started.discard(name)

    def _bundle(self, argv: Sequence[str], binds: Sequence[Bind] = ()) -> Path:
        key = (*argv, *binds)
        if key not in self._bundles:
            target = self._directory / f"bundle-{self._number()}"
            self._bundles[key] = oci.write_bundle(
                target, self._rootfs, argv, filtered=self._filtered, binds=binds
            )
        return self._bundles[key]

    def _number(self) -> int:
        return next(self._numbers)


class DockerLike(Peer):
    """Engines with docker's command line."""

    _words: Sequence[str] = ()
    _image = ""
    _options: Sequence[str] = ("--network=none",)
    """Of every container."""

    @property
    def words(self) -> list[str]:
        """The command with what leads it to this engine."""
        return list(self._words)

    @property
    def image(self) -> str:
        """The name of the small root filesystem here."""
        return self._image

    def run(self, *argv: str) -> None:
        call([*self._words, "run", "--rm", *self._options, self._image, *argv])

    def start(self, name: str, *argv: str, binds: Sequence[Bind] = (), restart: bool = False) -> None:
        options = [f"--volume={source}:{target}" for source, target in binds]
        options += ["--restart=always"] if restart else []
        self._detach(name, options, argv)

    def _detach(self, name: str, options: Sequence[str], argv: Sequence[str]) -> None:
        call([*self._words, "run", "-d", "--name", name, *self._options, *options, self._image, *argv])

    def exec(self, name: str, *argv: str) -> None:
        call([*self._words, "exec", name, *argv])

    def ps(self) -> None:
        call([*self._words, "ps"])

    def pid(self, name: str) -> int:
        return int(json.loads(self.inspect(name))[0]["State"]["Pid"])

    def inspect(self, name: str) -> str:
        """Its document, as JSON."""
        return call([*self._words, "inspect", "--type", "container", name])

    def remove(self, *names: str) -> None:
        call([*self._words, "rm", "--force", "--volumes", *names])

    def wait(self, name: str) -> None:
        """Wait for its end."""
        call([*self._words, "wait", name])

    def logged(self, name: str, *argv: str, tty: bool) -> None:
        """A container whose output goes to the engine's log file, to its end."""
        self._detach(name, ["--tty"] if tty else [], argv)
        self.wait(name)


class Podman(DockerLike):
    """Podman with storage of its own."""

    name = "podman"
    _options = ("--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    """By default it would raise the limits, which needs CAP_SYS_RESOURCE; not every root has that."""

    def __init__(self, directory: Path, archive: Path) -> None:
        self._archive = archive
        storage = ["--root", str(directory / "root"), "--runroot", str(directory / "run")]
        self._words = ["podman", *storage, "--cgroup-manager=cgroupfs", "--events-backend=none"]

    def __enter__(self) -> Self:
        self._image = call([*self._words, "import", "--quiet", self._archive]).strip()
        return self

    def __exit__(self, *details: object) -> None:
        call([*self._words, "rm", "--all", "--force"])
        call([*self._words, "rmi", "--all", "--force"])


class Docker(DockerLike):
    """The docker daemon that runs here."""

    name = "docker"

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._words = ["docker"]

    def __enter__(self) -> Self:
        self._image = call(["docker", "import", self._archive]).strip()
        return self

    def __exit__(self, *details: object) -> None:
        call(["docker", "rmi", "--force", self._image])
