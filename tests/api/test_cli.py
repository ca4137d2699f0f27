"""The commands end to end: a real daemon, real containers, the command line as people type it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.mortal import until
from helpers.terminals import Terminal

pytestmark = pytest.mark.kernel

BOUND = 30.0
"""Seconds after which a test that waits has failed."""


@pytest.fixture
def daemon(tidy: Daemon) -> Daemon:
    """One for all tests of the module."""
    return tidy


def run(daemon: Daemon, *words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
    return daemon.pysup("run", "--rm", *words, stdin=stdin)


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["host", "echo", "hello from a container"], 0, "hello from a container\n", ""),
        (["host", "sh", "-c", "echo out; echo err >&2; exit 3"], 3, "out\n", "err\n"),
        (["--pid", "host", "host", "sh", "-c", "kill -9 $$"], 137, "", ""),
        (["-e", "A=b c", "host", "sh", "-c", "echo $A"], 0, "b c\n", ""),
        (["-w", "/tmp", "host", "pwd"], 0, "/tmp\n", ""),
        (["-h", "box", "host", "hostname"], 0, "box\n", ""),
        (["--entrypoint", "echo", "host", "x"], 0, "x\n", ""),
    ],
)
def test_run(daemon: Daemon, words: list[str], code: int, out: str, err: str) -> None:
    done = run(daemon, *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)
    assert daemon.pysup("ps", "-aq", check=True).stdout == ""


def test_stdin_goes_through_unchanged(daemon: Daemon) -> None:
    data = os.urandom(300_000)
    done = subprocess.run(
        daemon.command("run", "--rm", "-i", "host", "cat"),
        input=data,
        capture_output=True,
        timeout=BOUND,
        check=True,
    )
    assert done.stdout == data


def test_without_i_the_container_has_no_stdin(daemon: Daemon) -> None:
    assert run(daemon, "host", "cat", stdin=b"ignored").stdout == ""


def test_much_output_arrives_whole(daemon: Daemon) -> None:
    done = subprocess.run(
        daemon.command("run", "--rm", "host", "head", "-c", "50000000", "/dev/zero"),
        capture_output=True,
        timeout=BOUND,
        check=True,
    )
    assert len(done.stdout) == 50_000_000


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["--pull", "never", "nosuchimage", "true"], 125, "nosuchimage"),
        (["host", "no-such-command"], 127, "no-such-command"),
        (["host", "/etc/passwd"], 126, "/etc/passwd"),
        (["-m", "1k", "host", "true"], 125, "memory"),
        (["-v", "x:/v", "host", "true"], 125, "olume"),
        (["--mount", "type=bind,src=/no/such,dst=/x", "host", "true"], 125, "/no/such"),
        (["--net", "nosuchnet", "host", "true"], 125, "nosuchnet"),
        (["--uts", "host", "-h", "x", "host", "true"], 125, "--uts host"),
    ],
)
def test_what_cannot_run_is_one_line_and_leaves_nothing(
    daemon: Daemon, words: list[str], code: int, cause: str
) -> None:
    done = daemon.pysup("run", *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("pysup: cannot ")
    assert done.stderr.count("\n") == 1
    assert cause in done.stderr
    assert daemon.pysup("ps", "-aq", check=True).stdout == ""


def test_a_file_is_a_volume_too(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content\n")
    done = run(daemon, "-v", f"{tmp_path}/file:/etc/hostname:ro", "host", "cat", "/etc/hostname")
    assert (done.returncode, done.stdout, done.stderr) == (0, "content\n", "")


def test_what_masks_a_file_is_the_host_s_and_stays_as_it_is(daemon: Daemon) -> None:
    before = os.stat("/dev/null").st_mtime_ns
    script = "touch -d 2001-01-01 /proc/timer_list 2>/dev/null || echo refused; cat /proc/timer_list"
    assert run(daemon, "host", "sh", "-c", script).stdout == "refused\n"
    assert os.stat("/dev/null").st_mtime_ns == before


def test_rm_force_says_what_is_not_there(daemon: Daemon) -> None:
    done = daemon.pysup("rm", "-f", "nosuchcontainer")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nosuchcontainer" in done.stderr


def test_a_name_that_is_taken(daemon: Daemon) -> None:
    daemon.pysup("create", "--name", "web", "host", "true", check=True)
    done = daemon.pysup("run", "--name", "web", "host", "true")
    assert done.returncode == 125
    assert "web" in done.stderr
    daemon.pysup("rm", "web", check=True)


def test_a_life(daemon: Daemon) -> None:
    identity = daemon.pysup("run", "-d", "--name", "web", "host", "sleep", "1000", check=True).stdout.strip()
    assert len(identity) == 64
    assert daemon.pysup("ps", "-q").stdout == f"{identity[:12]}\n"
    assert daemon.pysup("ps", "--format", "{{.Names}} {{.Image}} {{.State}}").stdout == "web host running\n"
    assert daemon.pysup("inspect", "-f", "{{.State.Running}}", identity[:6]).stdout == "true\n"
    assert daemon.pysup("exec", "-e", "A=1", "web", "sh", "-c", "echo $A; exit 4").returncode == 4
    assert "sleep 1000" in daemon.pysup("top", "web").stdout
    assert daemon.pysup("pause", "web").stdout == "web\n"
    assert daemon.pysup("unpause", "web").stdout == "web\n"
    assert daemon.pysup("rename", "web", "new").returncode == 0
    assert daemon.pysup("rm", "new").returncode == 1
    assert daemon.pysup("stop", "-t", "0", "new").stdout == "new\n"
    assert daemon.pysup("wait", "new").stdout == "137\n"
    assert daemon.pysup("start", "new").stdout == "new\n"
    assert daemon.pysup("kill", "-s", "KILL", "new").stdout == "new\n"
    assert daemon.pysup("wait", "new").stdout == "137\n"
    assert len(daemon.pysup("history", "new").stdout.splitlines()) == 3
    assert daemon.pysup("rm", "new").stdout == "new\n"
    assert daemon.pysup("rm", "new").returncode == 1
    assert daemon.pysup("rm", "-f", "new").returncode == 0


@pytest.mark.parametrize(
    ("command", "code", "cause"),
    [
        ("no-such-command", 127, "executable file not found in $PATH"),
        ("/etc/passwd", 126, "permission denied"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["-i"]])
def test_an_exec_that_fails_is_said_once(
    daemon: Daemon, flags: list[str], command: str, code: int, cause: str
) -> None:
    daemon.pysup("run", "-d", "--name", "box", "host", "sleep", "1000", check=True)
    done = daemon.pysup("exec", *flags, "box", command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert done.stderr.startswith("pysup: cannot ") and done.stderr.endswith(f"{cause}\n")
    daemon.pysup("rm", "-f", "box", check=True)


def test_the_name_that_it_has_is_no_new_name(daemon: Daemon) -> None:
    daemon.pysup("create", "--name", "same", "host", "true", check=True)
    for new in ("same", "/same"):
        done = daemon.pysup("rename", "same", new)
        assert done.returncode == 1
        assert done.stderr == (
            "pysup: cannot rename container same: "
            "Renaming a container with the same name as its current name\n"
        )
    daemon.pysup("rm", "same", check=True)


def test_what_is_not_utf_8_is_refused_and_harms_nothing(daemon: Daemon) -> None:
    for words in (
        ["host", b"echo", b"\xff"],
        ["-e", b"A=\xff", "host", "true"],
        ["--name", b"\xff", "host", "true"],
    ):
        done = subprocess.run(
            [*daemon.command("run"), *words], capture_output=True, timeout=BOUND, check=False
        )
        assert (done.returncode, done.stdout) == (125, b"")
        assert done.stderr == b"pysup: cannot send the request: b'\\xff' is not UTF-8\n"
    done = subprocess.run(
        [*daemon.command("inspect"), b"\xff"], capture_output=True, timeout=BOUND, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"pysup: cannot send the request: b'\\xff' is not UTF-8\n")
    assert daemon.pysup("ps", "-aq", check=True).stdout == ""


def test_logs(daemon: Daemon) -> None:
    daemon.pysup(
        "run", "--name", "logged", "host", "sh", "-c", "echo one; echo two >&2; printf three", check=True
    )
    done = daemon.pysup("logs", "logged")
    assert (done.stdout, done.stderr) == ("one\nthree", "two\n")
    assert daemon.pysup("logs", "--stderr", "logged").stdout == ""
    assert daemon.pysup("logs", "-n", "1", "logged").stdout == "three"
    assert daemon.pysup("logs", "-t", "logged").stdout.split(" ")[0].endswith("Z")
    daemon.pysup("rm", "logged", check=True)


def test_start_attached(daemon: Daemon) -> None:
    daemon.pysup("create", "-i", "--name", "cat", "host", "sh", "-c", "cat; exit 5", check=True)
    done = daemon.pysup("start", "-ai", "cat", stdin=b"through\n")
    assert (done.returncode, done.stdout) == (5, "through\n")
    daemon.pysup("rm", "cat", check=True)


def test_signals_are_forwarded(daemon: Daemon) -> None:
    script = "trap 'echo got; exit 9' USR1; echo ready; while :; do read -t 0.05 x </dev/zero; done"
    with subprocess.Popen(
        daemon.command("run", "--rm", "host", "bash", "-c", script), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == b"got\n"
        assert process.wait(BOUND) == 9


def test_cidfile(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    daemon.pysup("create", "--cidfile", str(file), "host", "true", check=True)
    identity = file.read_text()
    assert daemon.pysup("create", "--cidfile", str(file), "host", "true").returncode == 1
    daemon.pysup("rm", identity, check=True)
    other = tmp_path / "other"
    assert daemon.pysup("create", "--cidfile", str(other), "nosuchimage", "true").returncode == 1
    assert not other.exists()


@pytest.mark.parametrize("options", [(), ("--rm",), ("-d",), ("-d", "--rm")])
def test_a_run_that_fails_leaves_no_cidfile(daemon: Daemon, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Docker leaves it, and without --rm the container, too: here nothing stays, so there is nothing to be named."""
    file = tmp_path / "id"
    for words, code in ((("host", "nosuch"), 127), (("nosuchimage", "true"), 125)):
        assert (
            daemon.pysup("run", *options, "--pull", "never", "--cidfile", str(file), *words).returncode
            == code
        )
        assert not file.exists()
    done = daemon.pysup("run", *options, "--cidfile", str(file), "host", "false")
    assert (done.returncode, len(file.read_text())) == (0 if "-d" in options else 1, 64)
    daemon.pysup("rm", "-f", file.read_text())  # --rm may have been faster


def test_update_and_the_next_attempt(daemon: Daemon) -> None:
    flags = ("--restart", "always", "--restart-delay", "100", "--restart-max-delay", "100")
    assert daemon.pysup("run", "--name", "up", *flags, "host", "false").returncode == 1
    assert " in " in daemon.pysup("ps", "-a", "--format", "{{.Status}}").stdout
    assert daemon.pysup("update", "--restart", "no", "up").stdout == "up\n"
    assert daemon.pysup("update", "up").returncode == 1
    daemon.pysup("rm", "-f", "up", check=True)


def test_a_crash_loop_is_told_with_who_began_its_runs(daemon: Daemon) -> None:
    flags = ("--restart", "always", "--restart-delay", "0", "--restart-limit", "1/1h", "--network", "none")
    daemon.pysup("run", "-d", "--name", "loop", *flags, "host", "false", check=True)
    until(lambda: "gave up" in daemon.pysup("ps", "-a").stdout, "the crash loop")
    status = daemon.pysup("ps", "-a", "--format", "{{.Status}}", check=True).stdout
    assert re.fullmatch(r"Exited \(1\) .* ago \(gave up: crash loop\)\n", status)
    first, second = daemon.pysup(
        "history", "--format", "{{.AskedBy}}", "loop", check=True
    ).stdout.splitlines()
    assert re.fullmatch(r"\w+ \(pid \d+, uid 0\)", first) and second == "restart policy"
    daemon.pysup("rm", "loop", check=True)


def test_a_delay_that_is_waited_for_changes_at_once(daemon: Daemon) -> None:
    asked = "select cast(round((next_start_at - finished_at) / 1e9) as int) as wait from container where name = 'slow'"

    def wait() -> str:
        return daemon.pysup("query", "--csv", asked, check=True).stdout.split()[-1]

    daemon.pysup(
        "run", "-d", "--name", "slow", "--restart", "always", "--restart-delay", "2h", "host", "false"
    )
    until(lambda: wait().isdigit(), "the back-off")
    found = [wait()]
    for flag, value in (("delay", "1h"), ("max-delay", "90"), ("max-delay", "3h"), ("delay", "2h")):
        daemon.pysup("update", f"--restart-{flag}", value, "slow", check=True)
        found.append(wait())
    assert found == ["7200", "3600", "90", "3600", "7200"]
    daemon.pysup("rm", "-f", "slow", check=True)


def test_several_are_stopped_side_by_side(daemon: Daemon, tmp_path: Path) -> None:
    """The first ends only when the second has been told to."""
    os.mkfifo(tmp_path / "told")
    for name, word in (("first", "read x <"), ("second", "echo >")):
        script = f"trap '{word} /v/told; exit 4' TERM; touch /v/{name}; while :; do sleep 0.02; done"
        daemon.pysup("run", "-d", "--name", name, "-v", f"{tmp_path}:/v", "host", "bash", "-c", script)
    until(lambda: {"first", "second"} <= set(os.listdir(tmp_path)), "the traps")
    stopped = daemon.pysup("stop", "-t", "100", "first", "nosuch", "second")
    assert (stopped.returncode, stopped.stdout) == (1, "first\nsecond\n")
    assert "No such container: nosuch" in stopped.stderr
    codes = daemon.pysup("inspect", "-f", "{{.State.ExitCode}}", "first", "second", check=True).stdout
    assert codes == "4\n4\n"
    daemon.pysup("rm", "first", "second", check=True)


def test_history_says_who_asked_for_a_restart(daemon: Daemon) -> None:
    daemon.pysup("run", "-d", "--name", "asked", "--stop-timeout", "0", "host", "sleep", "1000", check=True)
    daemon.pysup("restart", "asked", check=True)
    runs = json.loads(
        daemon.pysup("query", "--json", "select * from history where name = 'asked'", check=True).stdout
    )
    assert [(run["cause"], run["ended_by"]) for run in runs] == [("manual", "restart"), ("manual", None)]
    assert not any("pid 0" in run["asked_by"] for run in runs)
    daemon.pysup("rm", "-f", "asked", check=True)


def test_info_version_images_and_df(daemon: Daemon) -> None:
    assert json.loads(daemon.pysup("info", "--format", "json", check=True).stdout)["Containers"] == 0
    assert "Server:" in daemon.pysup("version", check=True).stdout
    assert "host" in daemon.pysup("images", check=True).stdout
    assert "Containers" in daemon.pysup("system", "df", check=True).stdout
    assert "Total reclaimed space: 0B" in daemon.pysup("system", "prune", "-f", check=True).stdout


def test_a_terminal(daemon: Daemon) -> None:
    term = Terminal(daemon.command("run", "--rm", "-it", "host", "sh"))
    term.type(b"stty -echo; echo $((40+2))\n")
    term.until(b"42\r\n")
    term.type(b"sh -c 'echo g\"\"o; exec sleep 1000'\n")  # who says it is in the foreground by then
    term.until(b"go\r\n")
    term.type(b"\x03")
    term.until(b"# ")
    term.type(b"echo af''ter; exit 6\n")
    term.until(b"after\r\n")
    assert term.code() == 6


def test_detach_and_attach(daemon: Daemon) -> None:
    term = Terminal(daemon.command("run", "-it", "--name", "term", "host", "sh"))
    term.type(b"stty -echo; echo be''fore\n")
    term.until(b"before\r\n")
    term.type(b"\x10\x11")
    assert term.code() == 0
    assert daemon.pysup("inspect", "-f", "{{.State.Running}}", "term").stdout == "true\n"
    left = Terminal(daemon.command("attach", "term"))
    left.type(b"echo sti''ll\n")
    left.until(b"still\r\n")
    left.type(b"\x10\x11")
    left.until(b"read escape sequence\r\n")
    assert left.code() == 1, "docker's"
    process = Terminal(daemon.command("exec", "-it", "--detach-keys", "ctrl-x,x", "term", "sh"))
    process.type(b"stty -echo; echo he''re\n")
    process.until(b"here\r\n")
    process.type(b"\x18x")
    process.until(b"read escape sequence\r\n")
    assert process.code() == 1
    again = Terminal(daemon.command("attach", "term"))
    again.type(b"echo ag''ain; exit 7\n")
    again.until(b"again\r\n")
    assert again.code() == 7
    daemon.pysup("rm", "term", check=True)


def test_what_is_attached_to_again_is_drawn_again(daemon: Daemon) -> None:
    """Nobody knows what the prompt was: the program is told of another size, which lasts for a moment."""
    script = "trap 'echo drawn' WINCH; sleep 1000 & echo ready; while :; do wait; done"
    term = Terminal(
        daemon.command("run", "-it", "--name", "drawn", "host", "bash", "-c", script), rows=24, columns=80
    )
    term.until(b"ready")
    term.type(b"\x10\x11")
    assert term.code() == 0
    again = Terminal(daemon.command("attach", "drawn"), rows=24, columns=80)
    again.until(b"drawn")
    again.type(b"\x10\x11")
    assert again.code() == 1  # "read escape sequence", as with docker
    daemon.pysup("rm", "-f", "drawn", check=True)


def test_no_terminal_where_one_is_asked_for(daemon: Daemon) -> None:
    done = daemon.pysup("run", "--rm", "-it", "host", "true")
    assert done.returncode == 1
    assert "the input device is not a TTY" in done.stderr


def test_stats_ends_with_the_containers_that_were_named(daemon: Daemon) -> None:
    """One that was never there is an error; docker's words."""
    for words in (["nobody"], ["--no-stream", "nobody"]):
        done = daemon.pysup("stats", *words, timeout=60)
        assert done.stderr == "pysup: cannot find container nobody: No such container: nobody\n"
        assert done.returncode == 1
    daemon.pysup("run", "-d", "--name", "web", "--network", "none", "host", "sleep", "1000", check=True)
    command = daemon.command("stats", "--format", "{{.Name}}", "web")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        assert shown.stdout.readline() == "web\n"
        daemon.pysup("rm", "-f", "web", check=True)
        assert set(shown.stdout) <= {"web\n"}
        assert shown.wait() == 0


def test_details_of_logs_are_what_log_opt_has_chosen(daemon: Daemon) -> None:
    options = ["labels=tier", "env=MODE", "tag={{.Name}}"]
    chosen = [word for option in options for word in ("--log-opt", option)]
    given = ["--name", "web", "--label", "tier=front", "--env", "MODE=a b", *chosen, "--network", "none"]
    daemon.pysup("run", *given, "host", "echo", "said", check=True)
    shown = "MODE=a+b,tag=web,tier=front said\n"
    assert daemon.pysup("logs", "--details", "web", check=True).stdout == shown
    assert daemon.docker("logs", "--details", "web").stdout == shown
    daemon.pysup("rm", "web", check=True)


@pytest.mark.parametrize("words", [("run", "--rm"), ("exec", "web")], ids=" ".join)
def test_what_was_written_first_is_shown_first(daemon: Daemon, words: tuple[str, ...]) -> None:
    """On both streams of a run, and of an exec, though the program is over before anybody looks."""
    daemon.pysup("run", "-d", "--name", "web", "--network", "none", "host", "sleep", "1000", check=True)
    target = (*words, "--network", "none", "host") if words[0] == "run" else words
    for first, second in ((">&2", ""), ("", ">&2")):
        command = daemon.command(*target, "sh", "-c", f"echo first {first}; echo second {second}")
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        assert done.stdout == "first\nsecond\n"
    daemon.pysup("rm", "-f", "web", check=True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(daemon: Daemon, closed: str) -> None:
    """What is opened next must not take their places: the connection to the daemon."""
    command = daemon.command(
        "run", "--rm", "-i", "--network", "none", "host", "sh", "-c", "echo hello; cat; exit 3"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        input=b"",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, b"")
    assert done.stdout == (b"" if ">&-" in closed else b"hello\n")


def test_what_is_begun_in_the_background_has_no_code_of_its_own(daemon: Daemon) -> None:
    daemon.pysup("run", "-d", "--name", "box", "--network", "none", "host", "sleep", "1000", check=True)
    assert daemon.pysup("exec", "box", "nope").returncode == 127
    done = daemon.pysup("exec", "-d", "box", "nope")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.endswith("executable file not found in $PATH\n")
    daemon.pysup("rm", "-f", "box", check=True)
