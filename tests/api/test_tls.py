"""The API by TCP: for those alone whose certificate the daemon's authority signed, through every kind of client."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import trio
from docker.tls import TLSConfig
from helpers import own_network
from helpers.certificates import Authority
from helpers.daemon import Daemon
from helpers.mortal import until

from pysup.supervisor import client as sdk

pytestmark = pytest.mark.kernel

AT_ONCE = 5.0
"""Seconds: longer than any answer takes here, shorter than every bound of the server's."""


class Served:
    """A daemon that listens by TCP, and certificates for it."""

    def __init__(self, directory: Path, *, crl: bool = False) -> None:
        own_network.enter()
        self.authority = authority = Authority("us")
        stranger = Authority("them")
        self.server = authority.write(directory / "server", "daemon")
        self.friend = authority.write(directory / "friend", "friend")
        self.expired = authority.write(directory / "expired", "expired", days=-1)
        self.foreign = stranger.write(directory / "foreign", "foreign")
        (self.foreign / "ca.pem").write_bytes((self.friend / "ca.pem").read_bytes())
        self.port = free_port()
        files = {
            "ca": self.server / "ca.pem",
            "cert": self.server / "cert.pem",
            "key": self.server / "key.pem",
        }
        words = [f"--tls{name}={path}" for name, path in (("cacert", files["ca"]), *list(files.items())[1:])]
        self.crl = directory / "revoked.pem"
        if crl:
            authority.revoke(self.crl)
            words.append(f"--tlscrl={self.crl}")
        self.daemon = Daemon(directory, "--tlsverify", *words, f"--host=tcp://127.0.0.1:{self.port}")

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def environment(self, certificates: Path) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": self.address,
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(certificates),
        }

    def command(
        self, *words: str, certificates: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """``docker`` or ``pysup`` against it."""
        argv = (
            [sys.executable, "-m", "pysup.supervisor.cli.main", *words[1:]] if words[0] == "pysup" else words
        )
        return subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self.environment(certificates or self.friend),
        )

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=AT_ONCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One daemon for all."""
    made = Served(tmp_path_factory.mktemp("tls"))
    with made.daemon:
        yield made


@pytest.mark.parametrize("tool", ["docker", "pysup"])
def test_a_friend_runs_and_attaches_and_sees_a_half_close(served: Served, tool: str) -> None:
    plain = served.command(tool, "run", "--rm", "--network", "none", "host", "echo", "hello")
    assert (plain.returncode, plain.stdout) == (0, "hello\n"), plain.stderr
    text = "".join(f"line {number}\n" for number in range(50_000))
    done = served.command(tool, "run", "--rm", "-i", "--network", "none", "host", "cat", stdin=text)
    assert (done.returncode, done.stdout == text) == (0, True), done.stderr
    failed = served.command(tool, "run", "--rm", "--network", "none", "host", "sh", "-c", "exit 7")
    assert failed.returncode == 7


def test_the_sdks_work(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers them to the file it is given
        monkeypatch.delenv(name, raising=False)
    files = [str(served.friend / name) for name in ("cert.pem", "key.pem", "ca.pem")]
    config = TLSConfig(client_cert=(files[0], files[1]), ca_cert=files[2], verify=True)
    client = docker.DockerClient(base_url=served.address.replace("tcp", "https"), tls=config, timeout=30)
    assert client.ping() is True
    client.close()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(served.friend))

    async def use() -> tuple[int, list[tuple[int, bytes]]]:
        async with sdk.connect(served.address) as pysup:
            container = await pysup.run(
                "host", ["sh", "-c", "echo hello; exit 3"], host_config={"NetworkMode": "none"}
            )
            code = await pysup.wait(container)
            async with pysup.logs(container) as lines:
                found = [line async for line in lines]
            await pysup.remove(container)
            return code, found

    assert trio.run(use) == (3, [(1, b"hello\n")])


def test_flags_name_the_files(served: Served) -> None:
    friend = served.friend
    words = [
        "--tlsverify",
        f"--tlscacert={friend}/ca.pem",
        f"--tlscert={friend}/cert.pem",
        f"--tlskey={friend}/key.pem",
    ]
    argv = [sys.executable, "-m", "pysup.supervisor.cli.main", f"--host={served.address}", *words, "ps", "-q"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_events_say_whose_certificate_it_was(served: Served) -> None:
    served.command("docker", "volume", "create", "remote")
    served.command("docker", "volume", "rm", "remote")
    query = "select caller, caller_uid, caller_gid, caller_pid from event where actor_id = 'remote'"
    rows = json.loads(served.daemon.pysup("query", "--json", query, check=True).stdout)
    assert rows == [{"caller": "friend@127.0.0.1", "caller_uid": -1, "caller_gid": -1, "caller_pid": 0}] * 2
    seen = served.daemon.pysup(
        "query", "select caller from events_readable where actor = 'remote'", check=True
    )
    assert "friend@127.0.0.1" in seen.stdout


def test_events_say_which_local_process_it_was(served: Served) -> None:
    served.daemon.docker("volume", "create", "local")
    served.daemon.docker("volume", "rm", "local")
    query = "select caller, caller_uid, caller_gid, caller_pid > 1 as pid from event where actor_id = 'local'"
    rows = json.loads(served.daemon.pysup("query", "--json", query, check=True).stdout)
    assert rows == [{"caller": "docker", "caller_uid": 0, "caller_gid": 0, "pid": 1}] * 2


# -- who is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["foreign", "expired"])
def test_certificates_of_others_and_old_ones_are_refused(served: Served, who: str) -> None:
    certificates: Path = getattr(served, who)
    for tool in ("docker", "pysup"):
        done = served.command(tool, "ps", certificates=certificates)
        assert done.returncode == 1
        assert "certificate" in done.stderr or "unknown ca" in done.stderr, done.stderr


def test_no_certificate_is_refused(served: Served) -> None:
    context = ssl.create_default_context(cafile=served.friend / "ca.pem")
    with served.raw() as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
        secured.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            secured.recv(1)


def test_a_revoked_certificate_is_refused_from_the_next_reload_on(tmp_path: Path) -> None:
    """A list that has expired, or is none any more, lets nobody in; the socket of this machine is not concerned."""
    served = Served(tmp_path, crl=True)
    other = served.authority.write(tmp_path / "other", "other")

    def comes_in(certificates: Path) -> str:
        done = served.command("docker", "ps", "-q", certificates=certificates)
        return "" if done.returncode == 0 else done.stderr

    with served.daemon as daemon:
        assert (comes_in(served.friend), comes_in(other)) == ("", "")
        served.authority.revoke(served.crl, served.friend)
        os.kill(daemon.pid, signal.SIGHUP)
        until(lambda: "revoked" in comes_in(served.friend), "the new list counts")
        assert comes_in(other) == ""
        served.authority.revoke(served.crl, days=-1)
        daemon.pysup("daemon", "--upgrade", check=True)
        until(lambda: comes_in(other) != "", "nobody comes in")
        assert daemon.docker("ps", "-q").returncode == 0


def test_a_list_without_a_list_is_refused(tmp_path: Path) -> None:
    served = Served(tmp_path)
    done = served.daemon.pysup("daemon", *served.daemon.options, f"--tlscrl={served.server}/ca.pem")
    assert done.returncode == 2 and "there is no certificate revocation list in" in done.stderr


def test_plain_http_gets_no_answer(served: Served) -> None:
    with served.raw() as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(4096)


def test_a_daemon_that_is_somebody_else_is_refused_by_the_clients(served: Served, tmp_path: Path) -> None:
    other = Authority("other").write(tmp_path / "other", "friend")
    for tool in ("docker", "pysup"):
        done = served.command(tool, "ps", certificates=other)
        assert (done.returncode, "certificate" in done.stderr) == (1, True), done.stderr


# -- what must not stop the others ---------------------------------------------------------------------------


def test_silent_and_half_open_connections_cost_the_others_nothing(served: Served) -> None:
    silent = [served.raw() for _ in range(200)]
    begun = time.monotonic()
    assert served.command("docker", "version", "-f", "{{.Server.Os}}").stdout == "linux\n"
    assert served.daemon.docker("ps", "-q").returncode == 0
    assert time.monotonic() - begun < AT_ONCE
    for sock in silent:
        sock.close()


def test_a_client_that_goes_away_is_noticed(served: Served) -> None:
    """A stream whose client is gone holds nothing: its connection is closed on the daemon's side, too."""
    process = subprocess.Popen(
        ["docker", "events"], env=served.environment(served.friend), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    deadline = time.monotonic() + 20
    while not _established(served.daemon.engine_pid) and time.monotonic() < deadline:
        os.sched_yield()
    process.kill()
    process.wait()
    process.stdout.close()
    while _established(served.daemon.engine_pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert _established(served.daemon.engine_pid) == 0


def _established(pid: int) -> int:
    """TCP connections of a process, by its descriptors."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {line.split()[9] for line in lines if line.split()[3] in ("01", "08")}
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            link = os.readlink(entry)
        except OSError:
            continue
        found += link.startswith("socket:[") and link[8:-1] in inodes
    return found


def test_a_killed_engine_refuses_no_connection(served: Served) -> None:
    for _ in range(2):
        os.kill(served.daemon.engine_pid, signal.SIGKILL)
        assert served.command("docker", "ps", "-q").returncode == 0


def test_an_upgrade_keeps_the_port(served: Served) -> None:
    served.daemon.pysup("daemon", "--upgrade", check=True)
    assert served.command("docker", "ps", "-q").returncode == 0


# -- the daemon's flags --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--host", "tcp://0.0.0.0:2375"], "everybody who reaches a TCP port is root"),
        (["--host", "tcp://127.0.0.1:2375"], "everybody who reaches a TCP port is root"),
        (["--host", "tcp://0.0.0.0:2375", "--insecure-tcp"], "everybody who reaches a TCP port is root"),
        (["--host", "tcp://[::]:2375", "--insecure-tcp"], "everybody who reaches a TCP port is root"),
        (["--host", "tcp://0.0.0.0:2376", "--tlsverify"], "TLS takes"),
        (["--host", "tcp://0.0.0.0:2376", "--tlscacert", "a", "--tlscert", "b", "--tlskey", "c"], "TLS takes"),
        (["--host", "tcp://127.0.0.1:1", "--tlsverify", "--tlscacert=/a", "--tlscert=/b", "--tlskey=/c"], "/a"),
        (["--host", "tcp://example.org:2376", "--tlsverify"], "an address of this machine"),
        (["--host", "fd://"], "neither unix"),
        (["--insecure-tcp"], "are for --host"),
        (["--tlscrl", "/a"], "are for --host"),
        (["--host", "tcp://127.0.0.1:1", "--tlscrl", "/a"], "TLS takes"),
        (["--socket-mode", "0666"], "gives nothing to others"),
        (["--socket-mode", "rw"], "gives nothing to others"),
        (["--group", "no-such-group-here"], "there is no group"),
    ],
)  # fmt: skip
def test_doors_that_are_not_opened(tmp_path: Path, words: list[str], cause: str) -> None:
    done = Daemon(tmp_path).pysup(
        "daemon", "--root", str(tmp_path / "r"), "--run", str(tmp_path / "s"), *words, timeout=20
    )
    assert done.returncode in (1, 2), done
    assert cause in done.stderr


def test_loopback_without_tls_when_it_is_asked_for_and_the_sockets_mode_and_group(tmp_path: Path) -> None:
    own_network.enter()
    port = free_port()
    words = [f"--host=tcp://127.0.0.1:{port}", "--insecure-tcp", "--socket-mode=0600", "--group=65534"]
    with Daemon(tmp_path, *words) as daemon:
        argv = [
            "docker",
            "-H",
            f"tcp://127.0.0.1:{port}",
            "run",
            "--rm",
            "-i",
            "--network",
            "none",
            "host",
            "cat",
        ]
        done = subprocess.run(argv, input="text", capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "text"), done.stderr
        found = daemon.socket.stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o600, 0, 65534)
