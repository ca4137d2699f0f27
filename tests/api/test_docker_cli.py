"""The real docker CLI against pysup: what people have in their fingers and scripts must work unchanged."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import tarfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

BOUND = 60.0
"""Seconds after which a test that waits has failed."""
FOREVER = ("sleep", "infinity")


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def ok(daemon: Daemon, *words: str, stdin: bytes | None = None) -> str:
    """What docker prints; it must succeed."""
    done = daemon.docker(*words, stdin=stdin, timeout=BOUND)
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fails(daemon: Daemon, *words: str) -> tuple[int, str]:
    """Exit code and what docker says."""
    done = daemon.docker(*words, timeout=BOUND)
    assert done.returncode != 0, f"{words}: {done.stdout}"
    return done.returncode, done.stderr


def shown(daemon: Daemon, name: str, template: str) -> str:
    return ok(daemon, "inspect", "--type", "container", "-f", template, name).strip()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces to a client of the docker CLI."""
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)


@contextmanager
def started(daemon: Daemon, *words: str, stdin: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    """A docker command that runs beside the test."""
    command = ["docker", "-H", f"unix://{daemon.socket}", *words]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """The output up to this text."""
    assert process.stdout is not None
    seen = b""
    while text not in seen:
        readable, _, _ = select.select([process.stdout], [], [], BOUND)
        assert readable, seen
        data = os.read(process.stdout.fileno(), 4096)
        assert data, seen
        seen += data
    return seen


# -- the daemon ----------------------------------------------------------------------------------------------


def test_version_and_info(daemon: Daemon) -> None:
    assert ok(daemon, "version", "-f", "{{.Server.APIVersion}} {{.Server.Os}}") == "1.47 linux\n"
    assert ok(daemon, "info", "-f", "{{.Containers}} {{.OSType}} {{.Driver}}") == "0 linux overlay2\n"
    assert "Server Version" in ok(daemon, "info")


def test_lists_of_what_there_is_none_of(daemon: Daemon) -> None:
    assert ok(daemon, "volume", "ls", "-q") == ""
    assert ok(daemon, "plugin", "ls", "-q") == ""
    assert ok(daemon, "network", "ls", "--format", "{{.Name}}").split() == ["bridge", "host", "none"]
    assert "swarm" in fails(daemon, "node", "ls")[1]
    assert "No such object: nope" in fails(daemon, "inspect", "nope")[1]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--gpus", "all", "host", "true"),
        ("network", "create", "-d", "overlay", "x"),
    ],
)
def test_what_is_not_there_yet_says_so(daemon: Daemon, words: tuple[str, ...]) -> None:
    assert "not supported yet" in fails(daemon, *words)[1]
    assert ok(daemon, "ps", "-aq") == ""


# -- run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (("host", "echo", "hello"), 0, "hello\n", ""),
        (("host", "sh", "-c", "echo out; echo err >&2; exit 3"), 3, "out\n", "err\n"),
        (("host", "sh", "-c", "exec 2>/dev/null; sh -c 'kill -9 $$'; exit $?"), 137, "", ""),
        (("-e", "A=b c", "-w", "/tmp", "host", "sh", "-c", "echo $A; pwd"), 0, "b c\n/tmp\n", ""),
        (("--hostname", "box", "--entrypoint", "hostname", "host"), 0, "box\n", ""),
        (("-u", "65534:65534", "host", "id", "-u"), 0, "65534\n", ""),
        (("--read-only", "host", "sh", "-c", "touch /x 2>/dev/null || echo no"), 0, "no\n", ""),
        (("--tmpfs", "/t:size=1m", "host", "stat", "-fc", "%T", "/t"), 0, "tmpfs\n", ""),
    ],
)
def test_run(daemon: Daemon, words: tuple[str, ...], code: int, out: str, err: str) -> None:
    done = daemon.docker("run", "--rm", *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)
    assert ok(daemon, "ps", "-aq") == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("host", "no-such-command"), 127),
        (("host", "/no/such/path"), 127),
        (("host", "/etc/passwd"), 126),
        (("-m", "1m", "host", "true"), 125),
        (("localhost:1/no-such-image", "true"), 125),
        (("--mount", "type=bind,src=/no/such,dst=/x", "host", "true"), 125),
    ],
)
def test_a_run_that_cannot_be_has_dockers_exit_code(
    daemon: Daemon, words: tuple[str, ...], code: int
) -> None:
    found, message = fails(daemon, "run", "--rm", *words)
    assert (found, "\n\n" in message.strip() or message.count("\n") <= 4) == (code, True)
    assert ok(daemon, "ps", "-aq") == ""


def test_stdin_goes_through_and_its_end_too(daemon: Daemon) -> None:
    data = os.urandom(200_000)
    command = ["docker", "-H", f"unix://{daemon.socket}", "run", "--rm", "-i", "host", "cat"]
    assert subprocess.run(command, input=data, capture_output=True, timeout=BOUND, check=True).stdout == data


def test_much_output_arrives_whole(daemon: Daemon) -> None:
    words = ("run", "--rm", "host", "sh", "-c", "seq 200000; seq 200000 >&2")
    done = daemon.docker(*words, timeout=BOUND)
    expected = "".join(f"{number}\n" for number in range(1, 200001))
    assert done.stdout == expected
    assert done.stderr == expected


def test_a_terminal_is_a_terminal(daemon: Daemon) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    command = ["docker", "-H", f"unix://{daemon.socket}", "run", "--rm", "-it", "host", "sh"]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        seen = type_and_read(master, b"tty; stty size; exit 7\n", b"exit 7")
        seen += drain(master)
        assert process.wait(BOUND) == 7
    os.close(master)
    assert b"/dev/pts/0" in seen
    assert b"33 111" in seen


def type_and_read(master: int, typed: bytes, until_seen: bytes) -> bytes:
    os.write(master, typed)
    seen = b""
    while until_seen not in seen:
        readable, _, _ = select.select([master], [], [], BOUND)
        assert readable, seen
        seen += os.read(master, 4096)
    return seen


def drain(master: int) -> bytes:
    seen = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # EIO: nobody has the other side open any more
            return seen
        seen += data


def test_detach_keys_leave_it_running(daemon: Daemon) -> None:
    master, slave = pty.openpty()
    command = ["docker", "-H", f"unix://{daemon.socket}", "run", "-it", "--name", "db", "host", "sh"]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        type_and_read(master, b"echo re''ady\n", b"ready")
        os.write(master, b"\x10\x11")
        assert process.wait(BOUND) == 0
    os.close(master)
    assert shown(daemon, "db", "{{.State.Running}}") == "true"
    ok(daemon, "rm", "-f", "db")


def test_sigint_is_passed_on(daemon: Daemon) -> None:
    script = "trap 'echo got; exit 5' INT; echo ready; while :; do sleep 0.1; done"
    with started(daemon, "run", "--rm", "host", "sh", "-c", script, stdin=subprocess.DEVNULL) as process:
        read_until(process, b"ready\n")
        process.send_signal(signal.SIGINT)
        read_until(process, b"got\n")
        assert process.wait(BOUND) == 5


# -- life ----------------------------------------------------------------------------------------------------


def test_the_life_of_a_container(daemon: Daemon) -> None:
    name = ok(daemon, "create", "--name", "web", "--label", "a=b", "host", *FOREVER).strip()
    assert shown(daemon, "web", "{{.State.Status}} {{.State.Running}}") == "created false"
    assert ok(daemon, "start", "web") == "web\n"
    assert ok(daemon, "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.State}}") == (
        f"{name} web host running\n"
    )
    ok(daemon, "pause", "web")
    assert "(Paused)" in ok(daemon, "ps", "--format", "{{.Status}}")
    assert "paused" in fails(daemon, "pause", "web")[1]
    ok(daemon, "unpause", "web")
    ok(daemon, "rename", "web", "db")
    ok(daemon, "restart", "-t", "0", "db")
    assert "is running" in fails(daemon, "rm", "db")[1] or "running" in fails(daemon, "rm", "db")[1]
    ok(daemon, "stop", "-t", "0", name[:6])
    assert shown(daemon, "db", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    assert ok(daemon, "stop", "db") == "db\n"
    assert "not running" in fails(daemon, "kill", "db")[1]
    assert ok(daemon, "ps", "-aq", "-f", "label=a=b", "-f", "status=exited").strip() == name[:12]
    ok(daemon, "rm", "db")
    assert "No such container" in fails(daemon, "rm", "db")[1]


def test_a_name_is_taken_once(daemon: Daemon) -> None:
    ok(daemon, "create", "--name", "web", "host", "true")
    code, message = fails(daemon, "run", "--name", "web", "host", "true")
    assert (code, "web" in message) == (125, True)
    assert len(ok(daemon, "ps", "-aq").split()) == 1
    ok(daemon, "rm", "web")


def test_wait_tells_the_exit_code(daemon: Daemon) -> None:
    ok(daemon, "run", "-d", "--name", "web", "host", *FOREVER)
    with started(daemon, "wait", "web") as waiting:
        ok(daemon, "kill", "web")
        assert waiting.stdout is not None
        assert waiting.stdout.read() == b"137\n"
    ok(daemon, "rm", "-f", "web")


def test_a_restart_policy_is_in_force_and_can_be_changed(daemon: Daemon) -> None:
    ok(daemon, "run", "-d", "--name", "web", "--restart", "on-failure:2", "host", "false")
    until(lambda: shown(daemon, "web", "{{.State.Status}}") == "exited")
    assert shown(daemon, "web", "{{.RestartCount}}") == "2"
    ok(daemon, "update", "--restart", "always", "--pids-limit", "50", "web")
    format_ = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.PidsLimit}}"
    assert shown(daemon, "web", format_) == "always 50"
    ok(daemon, "rm", "-f", "web")


def test_prune_removes_what_rests(daemon: Daemon) -> None:
    keep = ok(daemon, "run", "-d", "host", *FOREVER).strip()
    gone = ok(daemon, "create", "--label", "x", "host", "true").strip()
    assert gone in ok(daemon, "container", "prune", "-f", "--filter", "label=x")
    assert ok(daemon, "ps", "-aq", "--no-trunc").strip() == keep
    ok(daemon, "rm", "-f", keep)


# -- streams -------------------------------------------------------------------------------------------------


def test_logs(daemon: Daemon) -> None:
    ok(daemon, "run", "--name", "web", "host", "sh", "-c", "seq 5; echo err >&2; printf last")
    both = daemon.docker("logs", "web")
    assert (both.stdout, both.stderr) == ("1\n2\n3\n4\n5\nlast", "err\n")
    assert daemon.docker("logs", "--tail", "1", "web").stdout == "last"
    assert daemon.docker("logs", "--since", "1h", "--until", "30m", "web").stdout == ""
    stamped = daemon.docker("logs", "-t", "web").stdout.splitlines()[0]
    assert stamped[10] == "T"
    assert stamped.endswith("Z 1")
    ok(daemon, "rm", "web")


def test_logs_are_followed_to_the_end(daemon: Daemon) -> None:
    ok(daemon, "run", "-d", "--name", "web", "host", "sh", "-c", "echo one; sleep 1; echo two")
    assert ok(daemon, "logs", "-f", "web") == "one\ntwo\n"
    ok(daemon, "rm", "web")


def test_attach_sees_what_comes_and_the_exit_code(daemon: Daemon) -> None:
    ok(daemon, "run", "-di", "--name", "web", "host", "sh", "-c", "read x; echo got $x; exit 4")
    with started(daemon, "attach", "web") as attached:
        assert attached.stdin is not None
        attached.stdin.write(b"word\n")
        attached.stdin.flush()
        assert attached.stdout is not None
        assert attached.stdout.read() == b"got word\n"
        assert attached.wait(BOUND) == 4
    ok(daemon, "rm", "web")


def test_start_attached(daemon: Daemon) -> None:
    ok(daemon, "create", "--name", "web", "host", "sh", "-c", "echo hi; exit 2")
    done = daemon.docker("start", "-a", "web")
    assert (done.returncode, done.stdout) == (2, "hi\n")
    ok(daemon, "rm", "web")


def test_exec(daemon: Daemon) -> None:
    ok(daemon, "run", "-d", "--name", "web", "-e", "A=1", "host", *FOREVER)
    assert (
        ok(daemon, "exec", "-e", "B=2", "-w", "/tmp", "web", "sh", "-c", "echo $A $B; pwd") == "1 2\n/tmp\n"
    )
    assert ok(daemon, "exec", "-i", "web", "cat", stdin=b"typed") == "typed"
    assert daemon.docker("exec", "web", "sh", "-c", "exit 6").returncode == 6
    assert daemon.docker("exec", "web", "no-such-command").returncode == 127
    assert ok(daemon, "exec", "-d", "web", "touch", "/made") == ""
    until(lambda: daemon.docker("exec", "web", "test", "-e", "/made").returncode == 0)
    ok(daemon, "stop", "-t", "0", "web")
    assert "not running" in fails(daemon, "exec", "web", "true")[1]
    ok(daemon, "rm", "web")


def test_top_and_stats(daemon: Daemon) -> None:
    ok(daemon, "run", "-d", "--name", "web", "host", *FOREVER)
    assert "sleep infinity" in ok(daemon, "top", "web")
    assert ok(daemon, "top", "web", "-o", "pid,comm").splitlines()[1].split()[1] == "sleep"
    name, pids = ok(daemon, "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "web").split()
    assert (name, pids) == ("web", "1")
    ok(daemon, "rm", "-f", "web")


def test_events(daemon: Daemon) -> None:
    before = str(time.time())
    assert daemon.docker("run", "--rm", "--name", "ev", "host", "sh", "-c", "exit 3").returncode == 3
    words = ("events", "--since", before, "--until", str(time.time()), "--filter", "container=ev")
    actions = ok(daemon, *words, "--format", "{{.Action}}").split()
    assert actions == ["create", "start", "die", "destroy"]
    ok(daemon, "run", "-d", "--name", "again", "host", *FOREVER)
    ok(daemon, "restart", "-t", "0", "again")
    ok(daemon, "stop", "-t", "0", "again")
    ok(daemon, "restart", "again")
    told = ("events", "--since", before, "--until", str(time.time()), "--filter", "container=again")
    assert ok(daemon, *told, "--format", "{{.Action}}").split() == [
        *("create", "start"),
        *("kill", "die", "stop", "start", "restart"),
        *("kill", "die", "stop"),
        *("start", "restart"),
    ]
    ok(daemon, "rm", "-f", "again")
    died = json.loads(ok(daemon, *words, "--filter", "event=die", "--format", "{{json .}}"))
    assert died["Actor"]["Attributes"]["exitCode"] == "3"


def test_events_as_they_happen(daemon: Daemon) -> None:
    with started(daemon, "events", "--format", "{{.Action}} {{.Actor.Attributes.name}}") as watching:
        # The CLI says nothing when it is subscribed: events are made until one is seen.
        assert watching.stdout is not None
        seen: list[object] = []
        while not seen:
            ok(daemon, "create", "--name", "ev", "host", "true")
            ok(daemon, "rm", "ev")
            seen, _, _ = select.select([watching.stdout], [], [], 0)
        read_until(watching, b" ev\n")


# -- inspect, images -----------------------------------------------------------------------------------------


def test_inspect_has_what_people_look_for(daemon: Daemon, tmp_path: Path) -> None:
    words = (
        "--memory",
        "64m",
        "--cpus",
        "1.5",
        "-v",
        f"{tmp_path}:/data:ro",
        "--label",
        "x=y",
        "--network",
        "host",
    )
    ok(daemon, "run", "-d", "--name", "web", *words, "host", *FOREVER)
    [document] = json.loads(ok(daemon, "inspect", "web"))
    assert document["HostConfig"]["Memory"] == 64 << 20
    assert document["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert document["Mounts"][0]["Destination"] == "/data"
    assert document["NetworkSettings"]["Networks"].keys() == {"host"}
    assert document["Config"]["Labels"] == {"x": "y"}
    assert document["State"]["Pid"] > 0
    assert document["LogPath"] == ""  # it has written nothing yet
    ok(daemon, "rm", "-f", "web")


def test_inspect_tells_where_the_log_is(daemon: Daemon) -> None:
    ok(daemon, "run", "--name", "said", "host", "echo", "hello")
    [document] = json.loads(ok(daemon, "inspect", "said"))
    assert Path(document["LogPath"]).read_text() == "hello\n"
    ok(daemon, "rm", "said")


def test_images(daemon: Daemon) -> None:
    assert ok(daemon, "images", "--format", "{{.Repository}}:{{.Tag}}") == "host:latest\n"
    assert json.loads(ok(daemon, "image", "inspect", "host"))[0]["Os"] == "linux"
    ok(daemon, "tag", "host", "mine:1")
    assert ok(daemon, "images", "--filter", "reference=mine", "-q").strip()
    assert ok(daemon, "run", "--rm", "mine:1", "echo", "x") == "x\n"
    ok(daemon, "rmi", "mine:1")
    assert "No such image" in fails(daemon, "image", "inspect", "mine:1")[1]
    assert "No such image" in fails(daemon, "rmi", "nope")[1]
    ok(daemon, "history", "host")


def test_an_archive_becomes_an_image(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the archive\n")
    with tarfile.open(tmp_path / "r.tar", "w") as archive:
        archive.add(tmp_path / "file", "file")
    words = ("import", "-c", 'CMD ["cat", "/file"]', "-m", "why", str(tmp_path / "r.tar"), "mine:2")
    image = ok(daemon, *words).strip()
    assert image.startswith("sha256:")
    assert (
        ok(daemon, "image", "inspect", "-f", "{{.Config.Cmd}} {{.Comment}}", "mine:2") == "[cat /file] why\n"
    )
    ok(daemon, "rmi", "mine:2")


def test_disk_usage(daemon: Daemon) -> None:
    ok(daemon, "run", "--name", "web", "host", "sh", "-c", "head -c 1000000 /dev/zero > /x")
    assert "Containers" in ok(daemon, "system", "df")
    assert "1.0" in ok(daemon, "ps", "-as", "--format", "{{.Size}}") or "MB" in ok(
        daemon, "ps", "-as", "--format", "{{.Size}}"
    )
    ok(daemon, "rm", "web")
