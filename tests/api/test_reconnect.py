"""Commands that wait go on when the engine is killed: nothing is lost, nothing comes twice, the code is right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers.daemon import Daemon

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

WITHIN = 60.0
STEPS = 30
COUNT = """exec 3<{fifo}
for i in $(seq {steps}); do read -u 3 x; echo $i; [ $((i % 10)) = 0 ] && echo $i >&2; done
exit 7"""


class Command:
    """A command that runs, and what it has shown so far."""

    def __init__(self, argv: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        self.shown = b""

    def until(self, wanted: bytes) -> None:
        """Read until it has shown this."""
        assert self._process.stdout is not None
        while wanted not in self.shown:
            data = os.read(self._process.stdout.fileno(), 4096)
            assert data, self.end()
            self.shown += data

    def end(self) -> tuple[int, bytes, bytes]:
        """Exit code, standard output, standard error."""
        try:
            out, err = self._process.communicate(timeout=WITHIN)
        finally:
            self._process.kill()
        self.shown += out
        return self._process.returncode, self.shown, err


class Counter:
    """A container that counts to STEPS, one step for each line that it is given through a FIFO; its code is 7."""

    def __init__(self, directory: Path) -> None:
        fifo = directory / "pace"
        os.mkfifo(fifo)
        self._fd = os.open(fifo, os.O_RDWR)
        script = COUNT.format(fifo=fifo, steps=STEPS)
        self.words = ("-v", f"{directory}:{directory}", "host", "bash", "-c", script)

    def step(self, count: int = 1) -> None:
        """Let it count on."""
        os.write(self._fd, b"\n" * count)

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    (tmp_path / "shared").mkdir()
    made = Counter(tmp_path / "shared")
    yield made
    made.close()


def kill_engine(daemon: Daemon) -> None:
    os.kill(daemon.engine_pid, signal.SIGKILL)


def numbers(step: int = 1, newline: bytes = b"\n") -> bytes:
    return b"".join(b"%d%b" % (number, newline) for number in range(step, STEPS + 1, step))


def kill_while_counting(daemon: Daemon, counter: Counter, command: Command) -> None:
    """Three times; some of the output comes while there is no engine, and the end of the run, too."""
    for number in (5, 12, 19):
        counter.step(5)
        command.until(b"\n%d" % number if number > 5 else b"5")
        kill_engine(daemon)
        counter.step(2)
    command.until(b"\n21")
    kill_engine(daemon)
    counter.step(STEPS)


@pytest.mark.parametrize("flags", [[], ["--rm"]])
def test_an_attached_run(daemon: Daemon, counter: Counter, flags: list[str]) -> None:
    command = Command(daemon.command("run", *flags, *counter.words))
    kill_while_counting(daemon, counter, command)
    assert command.end() == (7, numbers(), numbers(10))
    assert daemon.pysup("ps", "-aq", check=True).stdout.count("\n") == (not flags)


def test_a_terminal(daemon: Daemon, counter: Counter) -> None:
    command = Command(daemon.command("run", "-t", "--rm", *counter.words))
    kill_while_counting(daemon, counter, command)
    code, shown, err = command.end()
    assert (code, err) == (7, b"")
    assert sorted(shown.split()) == sorted((numbers() + numbers(10)).split())


def test_start_attached_logs_wait_and_events(daemon: Daemon, counter: Counter) -> None:
    daemon.pysup("create", "--name", "counts", *counter.words, check=True)
    events = Command(
        daemon.command("events", "--format", "{{.Action}}", "--since", "1", "-f", "container=counts")
    )
    events.until(b"create\n")
    attached = Command(daemon.command("start", "-a", "counts"))
    counter.step()
    attached.until(b"1\n")
    logs = Command(daemon.command("logs", "-f", "counts"))
    timed = Command(daemon.command("logs", "-f", "-t", "--stdout", "counts"))
    logs.until(b"1\n")
    timed.until(b"1\n")
    waiting = Command(daemon.command("wait", "counts"))
    kill_while_counting(daemon, counter, logs)
    assert logs.end() == (0, numbers(), numbers(10))
    code, shown, _ = timed.end()
    assert (code, b"".join(line.split(b" ")[1] + b"\n" for line in shown.splitlines())) == (0, numbers())
    assert attached.end() == (7, numbers(), numbers(10))
    assert waiting.end()[:2] == (0, b"7\n")
    daemon.pysup("rm", "counts", check=True)
    events.until(b"destroy\n")
    assert events.shown.split() == [b"create", b"start", b"die", b"destroy"]
    assert daemon.stop() == 0
    code, shown, err = events.end()
    assert code == 125 and err.startswith(b"pysup: cannot ") and err.count(b"\n") == 1
    daemon.start()


def test_a_daemon_that_is_gone_for_good(daemon: Daemon, counter: Counter) -> None:
    command = Command(daemon.command("run", *counter.words))
    counter.step()
    command.until(b"1\n")
    keeper, engine = daemon.pid, daemon.engine_pid
    os.kill(keeper, signal.SIGSTOP)
    os.kill(engine, signal.SIGKILL)
    daemon.socket.unlink()
    code, shown, err = command.end()
    assert (code, shown) == (125, b"1\n")
    assert err.startswith(b"pysup: cannot connect to the daemon at ") and err.count(b"\n") == 1
    os.kill(keeper, signal.SIGCONT)
    assert daemon.stop() == 0
    daemon.start()


def test_an_exec_is_lost_with_its_engine_and_says_so(daemon: Daemon, counter: Counter) -> None:
    daemon.pysup("run", "-d", "--name", "box", "host", "sleep", "1000", check=True)
    command = Command(daemon.command("exec", "box", "sh", "-c", "echo here; sleep 1000"))
    command.until(b"here\n")
    kill_engine(daemon)
    code, _, err = command.end()
    assert (code, err) == (125, b"pysup: cannot reach the daemon: it closed the connection\n")
    state = json.loads(daemon.pysup("inspect", "box", check=True).stdout)[0]["State"]
    assert state["Running"]
    daemon.pysup("rm", "-f", "box", check=True)


def test_the_output_of_an_exec_that_has_ended_is_lost_and_it_says_so(daemon: Daemon, tmp_path: Path) -> None:
    """The exit code alone would say that there was no output."""
    os.mkfifo(tmp_path / "go")
    daemon.pysup(
        "run", "-d", "--name", "box", "-v", f"{tmp_path}:/given", "host", "sleep", "1000", check=True
    )
    command = Command(daemon.command("exec", "box", "sh", "-c", "echo here; read x </given/go; echo late"))
    command.until(b"here\n")
    engine = daemon.engine_pid
    os.kill(engine, signal.SIGSTOP)
    (tmp_path / "go").write_text("\n")
    os.kill(engine, signal.SIGKILL)
    assert command.end() == (125, b"here\n", b"pysup: cannot reach the daemon: it closed the connection\n")
    daemon.pysup("rm", "-f", "box", check=True)


STUBBORN = "trap '' TERM; read x </given/go; exit 0"


def run_number(daemon: Daemon, name: str) -> int:
    return int(json.loads(daemon.pysup("inspect", name, check=True).stdout)[0]["Pysup"]["RunNumber"])


def test_a_start_that_is_asked_for_again_is_not_done_twice(daemon: Daemon) -> None:
    """A second run of what has ended would be one that nobody wanted; one that failed has failed."""
    client = Client(f"unix://{daemon.socket}")
    for name, command, code in (("short", "true", 0), ("wrong", "no-such-program", 127)):
        daemon.pysup("create", "--name", name, "--network", "none", "host", command, check=True)
        assert daemon.pysup("start", name).returncode == bool(code)
        assert daemon.pysup("wait", name, check=True).stdout == f"{code}\n"
    client.post("/containers/short/start", query={"run": "0"})
    with pytest.raises(PysupError, match=r"cannot start container wrong: exec no-such-program: "):
        client.post("/containers/wrong/start", query={"run": "0"})
    assert [run_number(daemon, name) for name in ("short", "wrong")] == [1, 1]
    client.post("/containers/short/start", query={"run": "1"})
    assert run_number(daemon, "short") == 2
    daemon.pysup("rm", "-f", "short", "wrong", check=True)


def test_a_restart_whose_engine_dies_is_done_once_and_says_so(daemon: Daemon, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    fifo = os.open(tmp_path / "go", os.O_RDWR)
    options = ("--name", "box", "--network", "none", "-v", f"{tmp_path}:/given")
    daemon.pysup("run", "-d", *options, "host", "sh", "-c", STUBBORN, check=True)
    events = Command(
        daemon.command("events", "--format", "{{.Action}}", "--since", "1", "-f", "container=box")
    )
    command = Command(daemon.command("restart", "-t", "1000", "box"))
    events.until(b"kill\n")
    kill_engine(daemon)
    os.write(fifo, b"\n")
    assert command.end() == (0, b"box\n", b"")
    os.close(fifo)
    assert run_number(daemon, "box") == 2
    done = Client(f"unix://{daemon.socket}")
    done.post("/containers/box/restart", query={"run": "1", "t": "0"})
    assert run_number(daemon, "box") == 2, "it was followed by another run already"
    done.post("/containers/box/restart", query={"run": "2", "t": "0"})
    assert run_number(daemon, "box") == 3
    daemon.pysup("rm", "-f", "box", check=True)
    events.until(b"destroy\n")
    assert daemon.stop() == 0
    events.end()
    daemon.start()
