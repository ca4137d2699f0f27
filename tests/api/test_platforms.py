"""On another platform the command line drives a daemon over TCP, and says what a daemon there would need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import elsewhere
from helpers.daemon import Daemon
from helpers.relay import relay
from helpers.terminals import Terminal

pytestmark = pytest.mark.kernel

PLATFORMS = ("darwin", "win32")


@pytest.fixture
def port(daemon: Daemon) -> Iterator[int]:
    with relay(daemon.socket) as number:
        yield number


def command(platform: str, *words: str) -> list[str]:
    return [sys.executable, str(Path(elsewhere.__file__)), platform, *words]


def pysup(platform: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYSUP_")}
    return subprocess.run(
        command(platform, *words), input=stdin, capture_output=True, timeout=60, check=False, env=environment
    )


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_remote_daemon_is_driven(platform: str, port: int, tmp_path: Path) -> None:
    def remote(*words: str) -> bytes:
        done = pysup(platform, "-H", f"tcp://127.0.0.1:{port}", *words)
        assert (done.returncode, done.stderr) == (0, b""), words
        return done.stdout

    script = "echo out; echo err >&2; sleep 1000"
    remote("run", "-d", "--name", "far", "host", "sh", "-c", script)
    assert remote("ps", "--format", "{{.Names}}") == b"far\n"
    assert json.loads(remote("inspect", "far"))[0]["Name"] == "/far"
    assert b"script" not in remote("top", "far")
    assert remote("stats", "--no-stream", "--format", "{{.Name}}", "far") == b"far\n"
    assert remote("kill", "far") == b"far\n"
    assert remote("wait", "far") == b"137\n"
    done = pysup(platform, "-H", f"tcp://127.0.0.1:{port}", "logs", "-f", "far")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert b"die" in remote("events", "--since", "1", "--until", "0s", "--format", "{{.Action}}")
    assert len(remote("history", "far").splitlines()) == 2
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /there\n")
    remote("build", "-q", "-t", "built:1", str(tmp_path))
    assert b"built" in remote("images", "built")
    remote("rmi", "built:1")
    remote("cp", "far:/etc/passwd", str(tmp_path / "here"))
    assert (tmp_path / "here").read_bytes()
    assert remote("images", "-q") and remote("info") and remote("version") and remote("system", "df")
    remote("rm", "far")


def test_attached_over_tcp(port: int) -> None:
    words = ("-H", f"tcp://127.0.0.1:{port}", "run", "--rm", "-i", "host", "sh", "-c", "cat; exit 3")
    done = pysup("darwin", *words, stdin=b"there and back")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"there and back", b"")
    done = pysup("win32", *words)
    assert done.returncode == 1
    assert done.stderr.startswith(b"pysup: cannot attach: this platform has no poll(2)")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_needs_linux_says_so(platform: str, tmp_path: Path) -> None:
    done = pysup(platform, "daemon")
    assert done.returncode == 1
    assert done.stderr.startswith(
        b"pysup: cannot start the daemon: it needs Linux 5.12 or later with namespaces"
    )
    assert done.stderr.endswith(b"this is %s\n" % platform.encode())
    done = pysup(platform, "--socket", str(tmp_path / "s"), "run", "-d", "host", "true")
    assert done.returncode == 125
    assert done.stderr.startswith(b"pysup: cannot connect to the daemon at ")
    assert done.stderr.count(b"\n") == 1
    done = pysup(platform, "-H", "tcp://127.0.0.1:9", "query", "select 1")
    assert done.returncode == 1
    assert done.stderr.endswith(b"its database is a file; run pysup query on its machine\n")


def test_a_terminal_of_another_platform(port: int) -> None:
    words = (
        "-H",
        f"tcp://127.0.0.1:{port}",
        "run",
        "--rm",
        "-it",
        "host",
        "sh",
        "-c",
        "stty size; read x; exit $x",
    )
    terminal = Terminal(command("darwin", *words), rows=30, columns=90)
    terminal.until(b"30 90\r\n")
    terminal.type(b"7\n")
    assert terminal.code() == 7


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_module_of_the_client_is_imported(platform: str) -> None:
    script = """
import sys, pathlib, asyncio, anyio, anyio._backends._asyncio
from helpers.elsewhere import become
become(sys.argv[1])
import importlib, pysup.supervisor
root = pathlib.Path(pysup.supervisor.__file__).parent
for room in ("cli", "client"):
    for file in sorted((root / room).rglob("*.py")):
        name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        importlib.import_module("pysup.supervisor." + name)
"""
    tests = str(Path(elsewhere.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", script, platform], check=True, env={**os.environ, "PYTHONPATH": tests}
    )
