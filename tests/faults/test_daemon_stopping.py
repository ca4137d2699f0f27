"""While the daemon stops its containers, each with its grace, nothing else begins: it would be left to nobody.

That it stops is known to both of its processes, so it is forgotten by neither's death.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import Mortal, until
from helpers.storage import assert_sound, rows

pytestmark = pytest.mark.kernel

DEAF = "trap '' TERM; echo deaf; read _ < /fifo"
"""Its end waits for the test, not for its stop signal."""


def test_what_would_begin_then_is_refused(tmp_path: Path) -> None:
    daemon, fifo = Daemon(tmp_path), tmp_path / "fifo"
    os.mkfifo(fifo)
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM host\nRUN sleep 1000\n")
    with daemon:
        daemon.pysup("create", "--name", "late", "--network", "none", "host", "sleep", "1000", check=True)
        flags = ["-d", "--name", "deaf", "--network", "none", "-v", f"{fifo}:/fifo", "--stop-timeout", "60"]
        daemon.pysup("run", *flags, "host", "sh", "-c", DEAF, check=True)
        until(lambda: daemon.pysup("logs", "deaf").stdout == "deaf\n", "its trap")
        os.kill(daemon.pid, signal.SIGTERM)
        until(lambda: "stopping: SIGTERM" in daemon.log.read_text(), "the daemon's end has begun")
        for words in (
            ["start", "late"],
            ["restart", "late"],
            ["run", "-d", "--network", "none", "host", "sleep", "1000"],
            ["run", "--rm", "--network", "none", "host", "sleep", "1000"],
            ["build", str(context)],
        ):
            done = daemon.pysup(*words)
            assert done.returncode == (125 if words[0] == "run" else 1), done
            assert done.stderr.endswith(": the daemon is stopping\n"), done
        fifo.write_text("\n")
    states = "SELECT name, state FROM container WHERE state <> 'removed' ORDER BY name"
    assert rows(daemon.root, states) == [("deaf", "exited"), ("late", "created")]


SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "4"))
STATES = "SELECT name, state, desired FROM container WHERE state <> 'removed' ORDER BY name"


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[int]:
    """What the container ``deaf`` reads from: a line lets it end."""
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDWR)
    yield fd
    os.close(fd)


def begin(mortal: Mortal, directory: Path) -> None:
    """One that ends by the test's leave, one that ends at once, and one in back-off, all to be there again later."""
    always = ["--restart", "always", "--network", "none", "--restart-delay", "0"]
    bound = ["-v", f"{directory}/fifo:/fifo", "--stop-timeout", "60"]
    mortal.pysup("run", "-d", "--name", "deaf", *always, *bound, "host", "sh", "-c", DEAF, check=True)
    mortal.pysup("run", "-d", "--name", "quick", *always, "--init", "host", "sleep", "1000", check=True)
    failing = [*always[:-1], "1h", "host", "false"]
    mortal.pysup("run", "-d", "--name", "waiting", *failing, check=True)
    until(lambda: mortal.pysup("logs", "deaf").stdout == "deaf\n", "its trap")
    until(lambda: ("waiting", "backoff", "run") in rows(mortal.root, STATES), "its back-off")


def stops(mortal: Mortal) -> int:
    """How many engines have begun to stop."""
    return mortal.log.read_text().count("stopping: SIGTERM")


def has_ended(mortal: Mortal) -> bool:
    """Whether nobody holds the lock of the root."""
    with (mortal.root / "pysup.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def ask_to_stop(mortal: Mortal) -> None:
    os.kill(mortal.keeper, signal.SIGTERM)
    until(lambda: stops(mortal) == 1, "the daemon's end has begun")


def end(mortal: Mortal) -> None:
    """The daemon has ended, whoever was its keeper; a killed one leaves the socket's file to the next."""
    until(lambda: has_ended(mortal), "the daemon's end")
    mortal.bury()


def waits_for_more(pid: int) -> bool:
    """Whether the process sleeps, and no signal waits for it. proc_pid_status(5)."""
    text = Path(f"/proc/{pid}/status").read_text()
    return "State:\tS" in text and f"ShdPnd:\t{0:016x}" in text


def is_dead(pid: int) -> bool:
    """Whether nothing of the process is left but its status."""
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize(
    "victims",
    [("engine",), ("keeper",), ("keeper", "engine"), ("engine", "keeper"), ("keeper", "keeper")],
    ids=" then ".join,
)
def test_the_stop_outlives_whoever_is_killed(
    mortal: Mortal, tmp_path: Path, fifo: int, victims: tuple[str, ...]
) -> None:
    begin(mortal, tmp_path)
    ask_to_stop(mortal)
    until(lambda: ("quick", "exited", "run") in rows(mortal.root, STATES), "the end of the quick one")
    for number, victim in enumerate(victims):
        mortal.kill(victim)
        until(lambda told=number + 2: stops(mortal) == told, "the next engine stops, too")
    os.write(fifo, b"\n")
    end(mortal)
    assert rows(mortal.root, STATES) == [(name, "exited", "run") for name in ("deaf", "quick", "waiting")]
    runs = "SELECT name, count(*), max(ended_by) FROM run JOIN container ON id = container_id"
    assert rows(mortal.root, f"{runs} GROUP BY name ORDER BY name") == [
        ("deaf", 1, "shutdown"),
        ("quick", 1, "shutdown"),
        ("waiting", 1, "itself"),
    ]
    assert_sound(mortal.root)
    mortal.start()
    until(lambda: ("quick", "running", "run") in rows(mortal.root, STATES), "what was wanted to run")
    mortal.pysup("rm", "-f", "deaf", "quick", "waiting", check=True)


def test_the_keeper_dies_before_the_engine_heard_of_the_stop(
    mortal: Mortal, tmp_path: Path, fifo: int
) -> None:
    """What was sent waits in the engine's socket."""
    begin(mortal, tmp_path)
    keeper, engine = mortal.keeper, mortal.engine
    assert engine is not None
    os.kill(engine, signal.SIGSTOP)
    os.kill(keeper, signal.SIGTERM)
    until(lambda: waits_for_more(keeper), "the keeper has passed the signal on")
    os.kill(keeper, signal.SIGKILL)
    until(lambda: is_dead(keeper), "the keeper's death, at which the kernel hangs up on who is stopped")
    os.kill(engine, signal.SIGCONT)
    until(lambda: stops(mortal) >= 1, "the next engine stops")
    os.write(fifo, b"\n")
    end(mortal)
    mortal.start()
    mortal.pysup("rm", "-f", "deaf", "quick", "waiting", check=True)


def test_at_any_moment(mortal: Mortal, tmp_path: Path, fifo: int) -> None:
    """Fewer engines die than the keeper puts up with (loop.STOP_TRIES)."""
    print("seed", SEED)
    dice = random.Random(SEED)
    for _ in range(ROUNDS):
        begin(mortal, tmp_path)
        ask_to_stop(mortal)
        victims = dice.choices(["engine", "keeper"], k=2)
        os.write(fifo, b"\n" * dice.randrange(2))
        for victim in victims:
            select.select([], [], [], dice.uniform(0, 0.8))  # the moment is the fault
            mortal.kill(victim)
        os.write(fifo, b"\n")
        end(mortal)
        assert {state for _, state, _ in rows(mortal.root, STATES)} == {"exited"}
        assert_sound(mortal.root)
        mortal.start()
        mortal.pysup("rm", "-f", "deaf", "quick", "waiting", check=True)
        mortal.log.write_text("")
