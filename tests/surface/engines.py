"""The same probe in the same root filesystem, in pysup and in what else is installed; nothing of it stays."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

PROBE = Path(__file__).parent / "probe.py"
GOLDEN = Path(__file__).parent / "golden.json"
CGROUPS = Path("/sys/fs/cgroup")
Surface = dict[str, Any]
Engine = Callable[[Path], "contextlib.AbstractContextManager[Sequence[str]]"]

_DIRECTORIES = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr")
_LINKS = ("bin", "lib", "lib64", "sbin")
_STARTS_WITHIN = 30.0
BOUND = 400.0
"""Seconds for the probe: in the guest (python -m tests.vm) it takes forty times as long."""


def archive(path: Path) -> Path:
    """A root filesystem with nothing in it: the machine's /usr is shown in it."""
    with tarfile.open(path, "w") as tar:
        for name in (*_DIRECTORIES, *_LINKS):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            if name in _LINKS:
                info.type, info.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(info, io.BytesIO())
    return path


def probed(words: Sequence[str], *options: str) -> Surface:
    """The surface of a container with default settings (and ``options``). ``words``: an engine's command."""
    binds = ["--volume=/usr:/usr:ro", f"--volume={PROBE}:/probe.py:ro"]
    run = [
        *words,
        "run",
        "--rm",
        "--network=none",
        *binds,
        *options,
        "probe",
        "/usr/bin/python3",
        "/probe.py",
    ]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=BOUND)
    if done.returncode:
        raise AssertionError(f"{run}: {done.returncode}: {done.stderr}")
    found: Surface = json.loads(done.stdout)
    return found


def flat(surface: Surface) -> set[str]:
    """One line for each thing that is seen."""
    lines = set()
    for kind, found in surface.items():
        for name, value in _items(found):
            lines.add(f"{kind}: {name}{'' if value is None else f' = {value}'}")
    return lines


def _items(found: object) -> Iterator[tuple[str, object]]:
    if isinstance(found, dict):
        for name, value in found.items():
            for inner, rest in _items(value) if isinstance(value, dict | list) else [("", value)]:
                yield f"{name} {inner}".strip(), rest
    elif isinstance(found, list):
        yield from ((str(one), None) for one in found)


# -- other engines -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def pysup(directory: Path) -> Iterator[Sequence[str]]:
    """The one of this checkout."""
    words = [
        sys.executable,
        "-m",
        "pysup.supervisor.cli.main",
        f"--root={directory}/root",
        f"--run={directory}/run",
    ]
    cgroup = f"pysup-surface-{os.getpid()}"
    with _running(
        [*words, "daemon", f"--cgroup-root={cgroup}", "--bridge=none"], [*words, "info"], directory
    ):
        subprocess.run([*words, "import", archive(directory / "root.tar"), "probe"], check=True, stdout=-3)
        yield words
    for parent in (*CGROUPS.glob(f"*/{cgroup}"), *CGROUPS.glob(cgroup)):
        parent.rmdir()


@contextlib.contextmanager
def docker(directory: Path) -> Iterator[Sequence[str]]:
    """A docker daemon of our own."""
    words = ["docker", "-H", f"unix://{directory}/docker.sock"]
    paths = [f"--data-root={directory}/data", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid"]
    off = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]
    with _running(["dockerd", *words[1:], *paths, *off], [*words, "info"], directory):
        subprocess.run([*words, "import", archive(directory / "root.tar"), "probe"], check=True, stdout=-3)
        yield words


@contextlib.contextmanager
def podman(directory: Path) -> Iterator[Sequence[str]]:
    """Podman with storage of its own."""
    storage = [f"--root={directory}/data", f"--runroot={directory}/run", "--storage-driver=vfs"]
    words = ["podman", *storage, "--cgroup-manager=cgroupfs", "--events-backend=none"]
    subprocess.run(
        [*words, "import", "--quiet", archive(directory / "root.tar"), "probe"], check=True, stdout=-3
    )
    yield words


OTHERS: dict[str, tuple[str, Engine, tuple[str, ...]]] = {
    "docker": ("dockerd", docker, ()),
    # By default it would raise the limits, which needs CAP_SYS_RESOURCE; not every root has that.
    "podman": ("podman", podman, ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")),
}


def installed() -> list[str]:
    """The others that are here."""
    return [name for name, (program, _, _) in OTHERS.items() if shutil.which(program)]


@contextlib.contextmanager
def _running(argv: Sequence[str], ask: Sequence[str], directory: Path) -> Iterator[None]:
    """A daemon that answers."""
    with (directory / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + _STARTS_WITHIN
            while subprocess.run(ask, capture_output=True, check=False).returncode:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{argv[0]} did not start: " + (directory / "log").read_text())
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
