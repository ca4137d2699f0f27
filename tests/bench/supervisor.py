"""pysup itself: a daemon with directories and a cgroup of its own, driven by commands and through its API."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from pysup.supervisor.client.sync import Client
from tests.bench.common import call
from tests.bench.peers import Bind, DockerLike
from tests.helpers.daemon import Daemon

NAME = "pysup"


class Pysup(DockerLike):
    """The commands; ``api`` and ``cycle`` go through the socket."""

    name = NAME

    def __init__(self, directory: Path, archive: Path) -> None:
        directory.mkdir()
        self.daemon = Daemon(directory)
        self._archive = archive
        self._image = "bench"
        options = {
            "--root": self.daemon.root,
            "--run": self.daemon.run_dir,
            "--socket": self.daemon.socket,
        }
        program = str(Path(sys.executable).parent / "pysup")
        self._words = [program, *(str(word) for pair in options.items() for word in pair)]

    def __enter__(self) -> Self:
        self.daemon.start()
        self.daemon.pysup("import", str(self._archive), "bench", check=True)
        return self

    def __exit__(self, *details: object) -> None:
        try:
            names = self.daemon.pysup("ps", "-aq", check=True).stdout.split()
            if names:
                self.daemon.pysup("rm", "-f", *names, check=True)
        finally:
            self.daemon.stop()
            self.daemon.remove_cgroups()

    def client(self) -> Client:
        """A connection to the API."""
        return Client(f"unix://{self.daemon.socket}")

    def start(self, name: str, *argv: str, binds: Sequence[Bind] = (), restart: bool = False) -> None:
        """As the others do, but without a delay before the first retry: that is what is measured."""
        host: dict[str, object] = {"NetworkMode": "none"}
        host["Binds"] = [f"{source}:{target}" for source, target in binds]
        if restart:
            host |= {"RestartPolicy": {"Name": "always"}, "Pysup": {"RestartDelay": 0}}
        self._create(name, argv, host)
        client = self.client()
        client.post(f"/containers/{name}/start")
        client.close()

    def start_on(self, network: str, name: str, *argv: str) -> None:
        """A container on a network, in the background."""
        self._create(name, argv, {"NetworkMode": network})
        client = self.client()
        client.post(f"/containers/{name}/start")
        client.close()

    def create(self, name: str, *argv: str) -> None:
        """Create a container, without starting it."""
        self._create(name, argv, {"NetworkMode": "none"})

    def _create(self, name: str, argv: Sequence[str], host: dict[str, object]) -> None:
        client = self.client()
        body = {"Image": self._image, "Cmd": list(argv), "HostConfig": host}
        client.post("/containers/create", body, query={"name": name})
        client.close()

    def logged(self, name: str, *argv: str, tty: bool) -> None:
        """With limits that keep it all, as the others keep it."""
        self._detach(name, ["--log-opt=max-size=1g", *(["--tty"] if tty else [])], argv)
        self.wait(name)

    def ps_all(self) -> None:
        """List all."""
        call([*self._words, "ps", "-a"])

    def ps_ids(self) -> None:
        """List all by their ids alone."""
        call([*self._words, "ps", "-aq"])


def run(client: Client, image: str, argv: Sequence[str], network: str = "none") -> None:
    """A container from its creation to its removal in one exchange."""
    host = {"AutoRemove": True, "NetworkMode": network}
    body = {"Image": image, "Cmd": list(argv), "HostConfig": host}
    *_, answer = client.run(body, query={"condition": "removed"})
    if answer["StatusCode"] != 0:
        raise SystemExit(f"the container ended with {answer}")


def cycle(client: Client, image: str, argv: Sequence[str]) -> None:
    """The same in docker's three exchanges."""
    host = {"AutoRemove": True, "NetworkMode": "none"}
    made = client.post("/containers/create", {"Image": image, "Cmd": list(argv), "HostConfig": host})
    with client.wait(made["Id"], "removed") as waiting:
        client.post(f"/containers/{made['Id']}/start")
        answer = waiting.result()
    if answer["StatusCode"] != 0:
        raise SystemExit(f"the container ended with {answer}")


class Cpu(NamedTuple):
    """Seconds of CPU: in the program itself, and in the kernel for it."""

    user: float
    system: float

    @property
    def total(self) -> float:
        """Both."""
        return self.user + self.system


def cpu_of(pid: int) -> Cpu:
    """CPU time of a process, without its children (proc_pid_stat(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(*(int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]))


def cpu_seconds(pid: int) -> float:
    """All of it."""
    return cpu_of(pid).total


def pss(pid: int) -> int:
    """The proportional set size in KiB (proc_pid_smaps_rollup(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("the kernel tells no Pss")


def pids_of(program: str) -> list[int]:
    """The processes of a program."""
    found = subprocess.run(["pidof", program], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in found.split()]
