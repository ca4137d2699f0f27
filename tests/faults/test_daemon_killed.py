"""SIGKILL of the daemon's processes while containers start, write, end and restart: nothing is lost or left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import storage
from helpers.mortal import Mortal, until
from helpers.storage import assert_sound
from helpers.storms import Storm, storming

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

ROUNDS = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "8"))
SEED = int(os.environ.get("PYSUP_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LATEST = 0.25
"""Seconds after the beginning of a round until which the kill comes."""


class Pace:
    """A FIFO by which a test lets a container go on, a line for each step."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / name
        os.mkfifo(self.path)
        self.path.chmod(0o666)
        self._fd = os.open(self.path, os.O_RDWR)

    def step(self, count: int = 1) -> None:
        os.write(self._fd, b"\n" * count)

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def rows(mortal: Mortal, sql: str, *values: object) -> list[tuple[Any, ...]]:
    return storage.rows(mortal.root, sql, *values)


def state(mortal: Mortal, name: str) -> str:
    ((found,),) = rows(mortal, "SELECT state FROM container WHERE name = ? AND state <> 'removed'", name)
    return str(found)


def runs(mortal: Mortal, name: str) -> list[tuple[Any, ...]]:
    sql = "SELECT number, run.exit_code, ended_by FROM run JOIN container ON id = container_id WHERE name = ?"
    return rows(mortal, sql + " ORDER BY number", name)


def start(mortal: Mortal, shared: Path, name: str, script: str, *flags: str) -> None:
    words = ["run", "-d", "--name", name, "-v", f"{shared}:{shared}", *flags, "host", "bash", "-c", script]
    mortal.pysup(*words, check=True)


def running_once(userns: str = "") -> Callable[[Client], None]:
    """A --rm container from its start to its removal."""
    host = {"AutoRemove": True, "NetworkMode": "none", "UsernsMode": userns}
    body = {"Image": "host", "Cmd": ["sh", "-c", "echo x; exit 5"], "HostConfig": host}

    def act(client: Client) -> None:
        *_, answer = client.run(body, query={"condition": "removed"})
        assert answer.get("StatusCode") == 5, answer

    return act


@pytest.mark.parametrize("victims", [("engine",), ("keeper",), ("engine", "keeper")], ids=" and ".join)
def test_whoever_is_killed_nothing_is_lost(mortal: Mortal, shared: Path, victims: tuple[str, ...]) -> None:
    """``engine`` and ``keeper`` are killed in turns, not at once: one of the two always survives."""
    print("seed", SEED)
    dice = random.Random(f"{SEED} {victims}")
    count, phoenix = Pace(shared, "count"), Pace(shared, "phoenix")
    steps = 20 * ROUNDS
    counting = f"exec 3<{count.path}; for i in $(seq {steps}); do read -u 3 x; echo $i; done; exit 7"
    start(mortal, shared, "counter", counting)
    dying = f"echo born; exec 3<>{phoenix.path}; read -u 3 x; exit 3"
    start(mortal, shared, "phoenix", dying, "--restart", "always", "--restart-delay", "0", "--userns", "auto")
    with storming(Storm(mortal, act) for act in (running_once(), running_once(userns="auto"))):
        for number in range(ROUNDS):
            count.step(20)
            phoenix.step()
            select.select([], [], [], dice.uniform(0, LATEST))  # the moment is the fault
            mortal.kill(victims[number % len(victims)])
            mortal.wait_until_it_serves()
    until(lambda: state(mortal, "counter") == "exited", "the counter's end")
    assert runs(mortal, "counter") == [(1, 7, "itself")]
    log = mortal.pysup("logs", "counter", check=True).stdout
    assert log == "".join(f"{number}\n" for number in range(1, steps + 1))
    until(lambda: len(rows(mortal, "SELECT 1 FROM container WHERE state <> 'removed'")) == 2, "--rm")
    _assert_reborn(mortal)
    assert_sound(mortal.root)
    mortal.pysup("rm", "-f", "counter", "phoenix", check=True)
    assert rows(mortal, "SELECT * FROM id_range") == []
    for pace in (count, phoenix):
        pace.close()


def _assert_reborn(mortal: Mortal) -> None:
    """A death for each step that was read; a start that the engine's death cut off was made again."""
    until(lambda: sum(1 for _, code, _ in runs(mortal, "phoenix") if code == 3) == ROUNDS, "its last death")
    until(lambda: state(mortal, "phoenix") == "running", "the next run")
    *ended, last = runs(mortal, "phoenix")
    assert {code for _, code, by in ended if by == "itself"} <= {3}, rows(
        mortal, "SELECT number, run.error, run.failed_step, ended_by FROM run WHERE exit_code = 128"
    )
    assert all(by in {"itself", "restart"} for _, _, by in ended)
    assert last[1:] == (None, None)
    born = mortal.pysup("logs", "phoenix", check=True).stdout.count("born\n")
    assert born == 1 + ROUNDS


def test_an_end_in_the_engine_s_absence_is_recorded(mortal: Mortal, shared: Path) -> None:
    pace = Pace(shared, "pace")
    start(mortal, shared, "brief", f"read x <{pace.path}; echo last words; exit 9")
    mortal.kill("engine")
    pace.step()
    mortal.wait_until_it_serves()
    until(lambda: state(mortal, "brief") == "exited", "its end")
    assert runs(mortal, "brief") == [(1, 9, "itself")]
    assert mortal.pysup("logs", "brief", check=True).stdout == "last words\n"
    pace.close()


def test_a_program_that_ends_as_a_start_does_that_was_cut_off(mortal: Mortal, shared: Path) -> None:
    """The engine dies before it notes that the program runs; its exit code is that of a child that was never let go."""
    pace = Pace(shared, "pace")
    start(mortal, shared, "brief", f"echo once; read x <{pace.path}; exit 125")
    ((pid,),) = rows(mortal, "SELECT pid FROM container")
    assert mortal.engine is not None
    os.kill(mortal.engine, signal.SIGSTOP)
    with contextlib.closing(sqlite3.connect(mortal.root / "pysup.db")) as conn, conn:
        conn.execute("UPDATE container SET state = 'starting'")
    pace.step()
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "its end")
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    until(lambda: state(mortal, "brief") == "exited", "the record of it")
    assert runs(mortal, "brief") == [(1, 125, "itself")]
    assert mortal.pysup("logs", "brief", check=True).stdout == "once\n"
    pace.close()


def test_a_retry_whose_start_was_cut_off(mortal: Mortal, shared: Path) -> None:
    """What comes in its place is the same retry: of the policy's, and counted once."""
    start(mortal, shared, "looping", "exit 1", "--restart", "on-failure:9", "--restart-delay", "1h")
    until(lambda: state(mortal, "looping") == "backoff", "the first back-off")
    assert mortal.engine is not None
    os.kill(mortal.engine, signal.SIGSTOP)
    with contextlib.closing(sqlite3.connect(mortal.root / "pysup.db")) as conn, conn:
        conn.execute("UPDATE container SET state = 'starting', run_number = 2, next_start_at = NULL")
        retry = "SELECT container_id, 2, started_at, 'policy', 'restart policy' FROM run"
        conn.execute(f"INSERT INTO run (container_id, number, started_at, cause, asked_by) {retry}")
    mortal.kill("engine")
    mortal.wait_until_it_serves()
    until(lambda: state(mortal, "looping") == "backoff", "the second back-off")
    sql = "SELECT number, exit_code, ended_by, cause, asked_by <> 'restart policy' FROM run ORDER BY number"
    assert rows(mortal, sql) == [
        (1, 1, "itself", "manual", 1),
        (2, 128, "restart", "policy", 0),
        (3, 1, "itself", "policy", 0),
    ]
    assert rows(mortal, "SELECT retries FROM container") == [(2,)]
    assert rows(mortal, "SELECT sum(restarts) FROM restarts_per_hour") == [(1,)]
    mortal.pysup("rm", "-f", "looping", check=True)


def pidfds(pid: int | None) -> int:
    """How many processes this process holds on to."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        return sum("pidfd" in link for link in links)
    return 0


def test_the_keeper_dies_while_the_next_engine_is_still_loading(mortal: Mortal, shared: Path) -> None:
    """The new engine has taken over before it imports anything: half a second before it can serve."""
    pace = Pace(shared, "pace")
    for name in ("first", "second"):
        start(mortal, shared, name, f"read x <{pace.path}; echo {name}; exit 9")
    for _ in range(3):
        before = mortal.engine
        mortal.kill("engine")
        until(lambda gone=before: mortal.engine != gone and pidfds(mortal.engine) == 2, "that it takes over")
        mortal.kill("keeper")
        mortal.wait_until_it_serves()
        assert [state(mortal, name) for name in ("first", "second")] == ["running", "running"]
    pace.step(2)
    until(lambda: {state(mortal, name) for name in ("first", "second")} == {"exited"}, "their ends")
    for name in ("first", "second"):
        assert runs(mortal, name) == [(1, 9, "itself")]
        assert mortal.pysup("logs", name, check=True).stdout == f"{name}\n"
    pace.close()


def test_paused_and_waiting_ones_stay_so(mortal: Mortal, shared: Path) -> None:
    start(mortal, shared, "paused", "sleep 1000")
    mortal.pysup("pause", "paused", check=True)
    start(mortal, shared, "waiting", "exit 1", "--restart", "always", "--restart-delay", "1h")
    until(lambda: state(mortal, "waiting") == "backoff", "back-off")
    due = rows(mortal, "SELECT next_start_at FROM container WHERE name = 'waiting'")
    for victim in ("engine", "keeper"):
        mortal.kill(victim)
        mortal.wait_until_it_serves()
        assert [state(mortal, name) for name in ("paused", "waiting")] == ["paused", "backoff"]
        assert rows(mortal, "SELECT next_start_at FROM container WHERE name = 'waiting'") == due
    mortal.pysup("unpause", "paused", check=True)
    assert mortal.pysup("exec", "paused", "echo", "awake", check=True).stdout == "awake\n"
    mortal.pysup("rm", "-f", "paused", "waiting", check=True)


@pytest.mark.parametrize("victim", ["engine", "keeper"])
def test_an_end_that_has_begun_goes_on(mortal: Mortal, shared: Path, victim: str) -> None:
    """What was asked for by hand is heeded by the next engine: whose wish, by which signal, how long to wait."""
    deaf = "trap '' TERM; trap 'echo asked' INT; while :; do sleep 0.05; done"
    start(mortal, shared, "patient", deaf, "--restart", "always")
    start(mortal, shared, "killed", "trap 'sleep 1; exit 3' TERM; sleep 1000 & wait", "--restart", "always")
    stop = mortal.command("stop", "-s", "INT", "-t", "3600", "patient")
    stopping = subprocess.Popen(stop, stdout=subprocess.PIPE, text=True)
    until(lambda: state(mortal, "patient") == "stopping", "the stop")
    mortal.pysup("kill", "-s", "TERM", "killed", check=True)
    due = "SELECT ended_by, end_signal, kill_at > 1e18 FROM run WHERE ended_at IS NULL AND ended_by = 'stop'"
    assert rows(mortal, due) == [("stop", 2, 1)]
    mortal.kill(victim)
    mortal.wait_until_it_serves()
    until(lambda: state(mortal, "killed") == "exited", "the end of the killed one")
    assert runs(mortal, "killed") == [(1, 3, "kill")]
    assert state(mortal, "patient") == "stopping"
    assert rows(mortal, due) == [("stop", 2, 1)]
    mortal.pysup("stop", "-t", "0", "patient", check=True)
    assert stopping.communicate()[0] == "patient\n"
    assert state(mortal, "patient") == "exited"
    assert runs(mortal, "patient") == [(1, 137, "stop")]
    assert "asked" in mortal.pysup("logs", "patient", check=True).stdout
    mortal.pysup("rm", "patient", "killed", check=True)


def test_a_whole_daemon_that_was_killed(mortal: Mortal, shared: Path) -> None:
    """Both at once leaves nobody who knows: the next daemon says that the ends are lost, and starts by policy."""
    start(mortal, shared, "plain", "sleep 1000")
    start(mortal, shared, "always", "sleep 1000", "--restart", "always")
    start(mortal, shared, "gone", "sleep 1000", "--rm")
    mortal.kill("keeper", "engine")
    mortal.bury()
    mortal.start()
    until(lambda: state(mortal, "always") == "running", "the restart")
    until(lambda: not rows(mortal, "SELECT 1 FROM container WHERE name = 'gone'"), "the removal")
    until(lambda: state(mortal, "plain") == "exited", "the word that it is lost")
    assert runs(mortal, "plain") == [(1, 255, "lost")]
    assert runs(mortal, "always")[0] == (1, 255, "lost")
    ((kept,),) = rows(mortal, "SELECT id FROM container WHERE name = 'always'")
    until(lambda: mortal.cgroups() == {kept}, "the end of the processes")
    assert_sound(mortal.root)
    mortal.pysup("rm", "-f", "plain", "always", check=True)


def test_policies_across_a_restart_of_the_daemon(mortal: Mortal, shared: Path) -> None:
    policies = ("no", "on-failure", "unless-stopped", "always")
    for policy in policies:
        for name in (policy, f"{policy}-stopped"):
            start(mortal, shared, name, "sleep 1000", "--restart", policy, "--stop-timeout", "0")
    mortal.pysup("stop", *(f"{policy}-stopped" for policy in policies), check=True)
    assert mortal.stop() == 0
    mortal.start()
    running = {"on-failure", "unless-stopped", "always", "always-stopped"}
    names = {*policies, *(f"{policy}-stopped" for policy in policies)}
    until(lambda: {name for name in names if state(mortal, name) == "running"} == running, "the policies")
    assert {state(mortal, name) for name in names - running} == {"exited"}
    documents = json.loads(mortal.pysup("inspect", *sorted(running), check=True).stdout)
    assert {one["State"]["Status"] for one in documents} == {"running"}
    mortal.pysup("rm", "-f", *sorted(names), check=True)
