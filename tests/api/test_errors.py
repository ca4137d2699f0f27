"""What can go wrong around a run, each as it is typed: one line that says what and why, docker's code, nothing left."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import CGROUPS, Daemon
from helpers.mortal import until

pytestmark = pytest.mark.kernel

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Prepared(Daemon):
    """A daemon whose mount namespace is changed before it starts; mostly one beside the module's."""

    def __init__(self, directory: Path, prepare: str = "true", *, apart: bool = True) -> None:
        super().__init__(directory, apart=apart)
        self._prepare = prepare

    def command(self, *arguments: str) -> list[str]:
        words = super().command(*arguments)
        return (
            ["sh", "-ec", f'{self._prepare}; exec "$@"', "sh", *words]
            if arguments[:1] == ("daemon",)
            else words
        )

    @property
    def seen_root(self) -> Path:
        """Its --root, as it sees it."""
        return Path(f"/proc/{self.pid}/root{self.root}")

    def directories(self) -> list[Path]:
        """The write layers of containers; the logs of a removed one stay for a while."""
        return list((self.seen_root / "containers").glob("[!.]*/upper"))

    def assert_nothing_is_left(self) -> None:
        """No row, no directory, no cgroup, no process, no mount."""
        assert self.pysup("ps", "-aq", check=True).stdout == ""
        assert self.directories() == []
        assert list(CGROUPS.glob(f"*/{self.cgroup}/*/")) == []
        assert str(self.root) not in Path("/proc/self/mounts").read_text()


def assert_told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One line of the form that all errors have."""
    assert done.returncode == code, done
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("pysup: cannot "), done
    assert all(word in done.stderr for word in words), done


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with Prepared(tmp_path_factory.mktemp("daemon"), apart=False) as started:
        yield started


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nosuch", "true"], 125, ["nosuch", "No such image"]),
        (["host", "/no/such/program"], 127, ["/no/such/program", "no such file or directory"]),
        (["host", "nosuchprogram"], 127, ["executable file not found in $PATH"]),
        (["host", "/etc/passwd"], 126, ["/etc/passwd", "permission denied"]),
        (["--memory", "lots", "host", "true"], 125, ["memory", "lots"]),
        (["--memory", "1m", "host", "true"], 125, ["minimum", "6 MiB"]),
        (["--restart", "always", "host", "true"], 125, ["--restart and --rm"]),
        (["--mount", "type=bind,src=/no/such,dst=/x", "host", "true"], 125, ["/no/such"]),
        (["--user", "nosuchuser", "host", "true"], 125, ["nosuchuser", "passwd"]),
        (["--user", "u" * 60_000, "host", "true"], 125, ["unable to find user uuu", "…"]),
        (["host", "/" + "a" * 100_000], 126, ["/aaa", "…: file name too long"]),
        (
            ["--ulimit", "nofile=1:2000000000", "host", "true"],
            125,
            ["2000000000 is more than may be had here"],
        ),
        (
            ["-v", "/etc/passwd:/etc", "host", "true"],
            125,
            ["on /etc: a file cannot be mounted on a directory"],
        ),
        (["-v", "/etc:/etc/passwd", "host", "true"], 125, ["on /etc/passwd: not a directory"]),
        (["--net", "nosuchnet", "host", "true"], 125, ["nosuchnet"]),
        (
            ["--log-driver", "foo", "host", "true"],
            125,
            ["cannot create container", "no log driver named 'foo'"],
        ),
        (["--log-opt", "foo=1", "host", "true"], 125, ["cannot create container", "--log-opt 'foo'"]),
        (["--swarm-flag", "host", "true"], 125, ["swarm-flag"]),
    ],
)
def test_a_run_that_cannot_be(daemon: Prepared, words: list[str], code: int, told: list[str]) -> None:
    done = daemon.pysup("run", "--rm", *words)
    if not done.stderr.startswith("pysup: cannot "):  # a wrong flag has docker's second line: see --help
        assert done.returncode == code and told[0] in done.stderr, done
    else:
        assert_told(done, code, *told)
    daemon.assert_nothing_is_left()


def test_a_run_without_rm_that_cannot_be(daemon: Prepared) -> None:
    """Its history stays for a while; no directory does, as there is no log."""
    assert_told(daemon.pysup("run", "--name", "never", "host", "nosuchprogram"), 127, "not found")
    assert list((daemon.seen_root / "containers").glob("[!.]*")) == []
    assert "not found" in daemon.pysup("history", "never", check=True).stdout
    assert daemon.pysup("logs", "never", check=True).stdout == ""
    daemon.assert_nothing_is_left()


def test_a_request_that_is_too_large(daemon: Prepared, tmp_path: Path) -> None:
    """The daemon says so before it has come, and does not read on."""
    variables = tmp_path / "env"
    variables.write_text("".join(f"V{number}={'x' * 1_000_000}\n" for number in range(4)))
    done = daemon.pysup("create", *["--env-file", str(variables)] * 5, "host", "true")
    assert done.returncode == 1 and done.stderr.endswith("the body is larger than 16777216 bytes\n"), done
    daemon.assert_nothing_is_left()


def test_a_name_that_is_taken(daemon: Prepared) -> None:
    daemon.pysup("create", "--name", "taken", "host", "true", check=True)
    assert_told(daemon.pysup("run", "--name", "taken", "host", "true"), 125, "taken", "container")
    daemon.pysup("rm", "taken", check=True)


def test_who_is_not_root(daemon: Prepared, tmp_path: Path) -> None:
    """Neither reaches the daemon nor starts one."""
    for words in (["ps"], ["run", "host", "true"]):
        done = subprocess.run([*NOBODY, *daemon.command(*words)], capture_output=True, text=True, check=False)
        assert_told(done, 125 if words[0] == "run" else 1, "Permission denied")
    other = Daemon(tmp_path)
    done = subprocess.run([*NOBODY, *other.command("daemon")], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "root" in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_root_without_power(tmp_path: Path) -> None:
    """That of a container which is not privileged."""
    other = Daemon(tmp_path)
    words = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *other.command("daemon")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert_told(done, 1, "cannot start the daemon", "CAP_SYS_ADMIN")
    assert not other.root.exists() and not other.run_dir.exists()


def test_a_socket_path_that_is_too_long(tmp_path: Path) -> None:
    other = Daemon(tmp_path)
    other.socket = Path("/tmp") / ("x" * 120)
    done = other.pysup("daemon")
    assert done.returncode == 1 and "longer than 107 bytes" in done.stderr, done
    assert not other.root.exists() and not other.run_dir.exists()
    assert_told(other.pysup("ps"), 1, "107 bytes")


@pytest.mark.skipif(not (CGROUPS / "pids").is_dir(), reason="version 1: on 2 the guest's tests do this")
def test_a_limit_without_its_controller(tmp_path: Path) -> None:
    """The daemon's own mount namespace lacks the pids hierarchy."""
    with Prepared(tmp_path, "umount /sys/fs/cgroup/pids") as daemon:
        for words in (["run", "--rm"], ["create"]):
            done = daemon.pysup(*words, "--pids-limit", "10", "host", "true")
            assert_told(done, 125 if words[0] == "run" else 1, "pids", "no pids controller")
        daemon.assert_nothing_is_left()
        assert daemon.pysup("run", "--rm", "host", "true").returncode == 0


FULL = re.compile(r"No space left on device|cannot write the store: database or disk is full")
"""Who meets it first: a directory, or the database that needs another page."""


def fill(path: Path) -> None:
    """A file that leaves no room for others."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk(tmp_path: Path) -> None:
    root = shlex.quote(str(tmp_path / "root"))
    with Prepared(tmp_path, f"mkdir -p {root}; mount -t tmpfs -o size=4m,mode=700 small {root}") as daemon:
        assert daemon.pysup("run", "--rm", "host", "true").returncode == 0
        daemon.pysup("create", "--name", "rests", "host", "true", check=True)
        until(lambda: not list((daemon.seen_root / "trash").iterdir()), "that no more room becomes free")
        filler = daemon.seen_root / "filler"
        fill(filler)
        no_log = "cannot open the log of container rests: No space left on device"
        assert_told(daemon.pysup("start", "-a", "rests"), 1, no_log)
        for flag in ("--rm", "-d"):
            told = daemon.pysup("run", flag, "host", "true")
            assert_told(told, 125)
            assert FULL.search(told.stderr), told
        filler.unlink()
        daemon.pysup("rm", "rests", check=True)
        done = daemon.pysup("run", "--rm", "host", "echo", "room again")
        assert (done.returncode, done.stdout) == (0, "room again\n"), done
        until(lambda: daemon.directories() == [], "that nothing is left")
        daemon.assert_nothing_is_left()


def test_output_that_no_disk_takes_is_missed_by_who_is_attached_too(tmp_path: Path) -> None:
    root = shlex.quote(str(tmp_path / "root"))
    with Prepared(tmp_path, f"mkdir -p {root}; mount -t tmpfs -o size=32m,mode=700 small {root}") as daemon:
        script = "cat /dev/zero > /filler 2>/dev/null; echo lost"
        done = daemon.pysup("run", "--name", "full", "host", "sh", "-c", script)
        assert (done.returncode, done.stdout) == (0, ""), done
        assert done.stderr == "pysup: 5 bytes of output are missing here\n"
        daemon.pysup("rm", "full", check=True)


def test_a_disk_that_has_no_room_for_a_daemon(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    script = 'mount -t tmpfs -o size=4k,mode=700 small "$0"; echo > "$0/full"; exec "$@"'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(root)]
    done = subprocess.run(
        [*words, *Daemon(tmp_path).command("daemon")], capture_output=True, text=True, check=False
    )
    assert_told(done, 1, "cannot start the daemon", f"{root}/pysup.lock: No space left on device")


@pytest.mark.parametrize("end", [["kill"], ["stop", "-t", "0"], ["rm", "-f"]])
def test_a_container_that_has_filled_the_disk_can_be_ended(tmp_path: Path, end: list[str]) -> None:
    """Each is a commit, and so is the end of the run."""
    root = shlex.quote(str(tmp_path / "root"))
    with Prepared(tmp_path, f"mkdir -p {root}; mount -t tmpfs -o size=32m,mode=700 small {root}") as daemon:
        words = ("host", "sh", "-c", "cat /dev/zero > /filler; sleep 1000")
        daemon.pysup("run", "-d", "--name", "full", "--network", "none", *words, check=True)
        until(lambda: os.statvfs(daemon.seen_root).f_bavail == 0, "the full disk")
        assert daemon.pysup(*end, "full", check=True).stdout == "full\n"
        daemon.pysup("rm", "-f", "full")
        until(lambda: daemon.directories() == [], "that nothing is left")
        daemon.assert_nothing_is_left()


def test_an_exec_that_ends_while_the_store_cannot_be_written(daemon: Prepared) -> None:
    """Its end is delayed, and concerns nobody else: somebody looks at the database, and has locked it."""
    daemon.pysup("run", "-d", "--name", "base", "host", "sleep", "1000", check=True)
    engine = daemon.engine_pid
    words = daemon.command("exec", "-i", "base", "sh", "-c", "echo up; read line; exit 7")
    with (
        contextlib.closing(sqlite3.connect(daemon.seen_root / "pysup.db", isolation_level=None)) as other,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client,
    ):
        assert client.stdout is not None and client.stdout.readline() == "up\n"
        other.execute("BEGIN IMMEDIATE")
        assert client.stdin is not None
        client.stdin.close()
        until(lambda: "trying again" in daemon.log.read_text(), "that the end cannot be committed")
        other.execute("ROLLBACK")
        assert client.wait() == 7
    assert daemon.engine_pid == engine
    daemon.pysup("rm", "-f", "base", check=True)


def test_a_root_that_is_read_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    script = f'mount -t tmpfs -o ro,mode=700 none {shlex.quote(str(root))}; exec "$@"'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
    other = Daemon(tmp_path)
    done = subprocess.run([*words, *other.command("daemon")], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert len(done.stderr.splitlines()) == 1 and "Read-only file system" in done.stderr, done
    assert other.leftovers() == []


def test_a_daemon_that_is_killed_during_a_run(tmp_path: Path) -> None:
    """Both its processes: the client says so, and the next daemon ends and removes what is left."""
    daemon = Prepared(tmp_path)
    daemon.start()
    words = daemon.command("run", "--rm", "--name", "doomed", "host", "sh", "-c", "echo up; exec sleep 1000")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None and client.stdout.readline() == "up\n"
        pids = [daemon.pid, daemon.engine_pid]
        os.kill(pids[1], signal.SIGSTOP)  # so that it cannot take the keeper's place in between
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        out, err = client.communicate(timeout=60)
    assert client.returncode == 125 and not out, (client.returncode, out, err)
    assert len(err.splitlines()) == 1 and err.startswith("pysup: cannot "), err
    daemon.stop(signal.SIGKILL)
    with daemon:
        until(lambda: daemon.pysup("ps", "-aq").stdout == "", "that the run is cleaned up")
        until(lambda: not daemon.directories() and not daemon.cgroups(), "what goes after the row")
        daemon.assert_nothing_is_left()


def test_a_daemon_that_is_killed_and_comes_back_with_another_parent_of_cgroups(tmp_path: Path) -> None:
    """Nothing of the run before goes on beside the new one."""
    daemon = Prepared(tmp_path)
    daemon.start()
    words = ["run", "-d", "--name", "one", "--restart", "always", "--network", "none", "host"]
    daemon.pysup(*words, "sleep", "1000", check=True)
    before = daemon.inspect("one")["State"]["Pid"]
    pids = [daemon.pid, daemon.engine_pid]
    os.kill(pids[1], signal.SIGSTOP)  # so that it cannot take the keeper's place in between
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    daemon.stop(signal.SIGKILL)
    first = Prepared(tmp_path)
    first.cgroup, daemon.cgroup = daemon.cgroup, f"{daemon.cgroup}-other"
    with daemon:
        until(lambda: daemon.inspect("one")["State"]["Pid"] not in {0, before}, "that it is restarted")
        assert first.cgroups() == set()  # and so no process that was in one
        assert list(CGROUPS.glob(f"*/{first.cgroup}")) == []
        daemon.pysup("rm", "-f", "one", check=True)


def test_docker_s_own_command_hears_the_same(daemon: Prepared) -> None:
    for words, code, told in (
        (["--pull=never", "nosuch", "true"], 125, "No such image"),
        (["host", "nosuchprogram"], 127, "executable file not found in $PATH"),
        (["host", "/etc/passwd"], 126, "permission denied"),
        (["--memory", "1m", "host", "true"], 125, "6 MiB"),
    ):
        done = daemon.docker("run", "--rm", "--network", "none", *words)
        assert done.returncode == code and told in done.stderr, done
    until(lambda: daemon.directories() == [], "that what failed to start is removed")
    daemon.assert_nothing_is_left()
