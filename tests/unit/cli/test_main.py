"""The entry point: dispatch, errors in one line, and how little a command imports."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys

import pytest

from pysup.supervisor.cli import catalogue, commands, global_flags, main
from pysup.supervisor.cli.flags import HelpWanted, Syntax

EVERY = {
    **catalogue.COMMANDS,
    **{
        f"{group} {name}": entry
        for group, (_, table) in catalogue.GROUPS.items()
        for name, entry in table.items()
    },
}

HEAVY = {
    *("trio", "anyio", "sqlite_utils", "pyroute2", "h11", "hypothesis"),
    *(
        "dataclasses",
        "inspect",
        "argparse",
        "http.client",
        "subprocess",
        "asyncio",
        "logging",
        "importlib.metadata",
    ),
}
HOT = (
    "run",
    "exec",
    "ps",
    "start",
    "stop",
    "rm",
    "kill",
    "logs",
    "inspect",
    "wait",
    "create",
    "restart",
    "attach",
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYSUP_SOCKET", "PYSUP_RUN", "PYSUP_ROOT", "DOCKER_HOST"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)


def call(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pysup", *argv])
    return main.main()


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["pss"], 1, "cannot run 'pss': unknown command; did you mean \"ps\"? (see 'pysup --help')"),
        (["zzz"], 1, "cannot run 'zzz': unknown command (see 'pysup --help')"),
        (
            ["container", "lss"],
            1,
            "cannot run container 'lss': unknown command; did you mean \"ls\"? (see 'pysup container --help')",
        ),
        (
            ["buildx", "build", "."],
            125,
            "cannot run 'pysup buildx': it is not supported yet (pysup has docker's classic builder: pysup build)",
        ),
        (["--foo"], 125, "cannot parse the arguments: unknown flag: --foo (see 'pysup --help')"),
        (
            ["ps", "x"],
            1,
            "cannot parse the arguments: 'pysup ps' accepts no arguments (see 'pysup ps --help')",
        ),
        (["run", "--foo"], 125, "cannot parse the arguments: unknown flag: --foo (see 'pysup run --help')"),
        (["run"], 1, "cannot parse the arguments: an IMAGE (or --rootfs DIR) is needed"),
        (
            ["daemon", "--foo"],
            2,
            "cannot parse the arguments: unknown flag: --foo (see 'pysup daemon --help')",
        ),
        (
            ["daemon", "--log-format", "x"],
            2,
            "cannot parse the arguments: invalid log format 'x' (there are text and json)",
        ),
    ],
)
def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    code: int,
    message: str,
) -> None:
    assert call(monkeypatch, *argv) == code
    shown = capsys.readouterr()
    assert shown.err == f"pysup: {message}\n"
    assert shown.out == ""


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("pysup version ")


@pytest.mark.parametrize("argv", [[], ["--help"], ["container"], ["image", "--help"], ["system", "-h"]])
def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert call(monkeypatch, *argv) == 0
    assert capsys.readouterr().out.startswith("Usage:  pysup ")


def test_the_help_lists_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--help") == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert set(catalogue.COMMANDS) <= listed


def test_global_options_go_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///other")
    global_flags.remember(global_flags.GLOBAL.parse(["--socket", "/s", "--run=/r", "ps"]))
    assert (os.environ["PYSUP_SOCKET"], os.environ["PYSUP_RUN"]) == ("/s", "/r")
    assert "DOCKER_HOST" not in os.environ
    global_flags.remember(global_flags.GLOBAL.parse(["-H", "tcp://there:1", "ps"]))
    assert os.environ["DOCKER_HOST"] == "tcp://there:1"
    assert "PYSUP_SOCKET" not in os.environ


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_its_syntax_beside_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, function = EVERY[name].target.partition(":")
    run = catalogue.load(EVERY[name].target)
    syntax = sys.modules[f"pysup.supervisor.cli.commands.{module}"].__dict__[function.upper()]
    assert isinstance(syntax, Syntax)
    with pytest.raises(HelpWanted) as asked:
        run(["--help"])
    assert asked.value.syntax is syntax
    assert main.dispatch([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage:  pysup {syntax.name}")
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_every_module_among_the_commands_is_one() -> None:
    modules = {info.name for info in pkgutil.iter_modules(commands.__path__)}
    assert modules == {entry.target.partition(":")[0] for entry in EVERY.values()}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_command_imports_little(name: str) -> None:
    module = catalogue.COMMANDS[name].target.partition(":")[0]
    script = (
        "import sys, json; before = set(sys.modules); import pysup.supervisor.cli.main, "
        f"pysup.supervisor.cli.commands.{module}; import pysup.supervisor.client.sync; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    shown = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert HEAVY.isdisjoint(json.loads(shown))


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "load", interrupted)
    assert call(monkeypatch, "ps") == 130
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "pysup.supervisor.cli.main", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_what_starts_a_daemon() -> None:
    every = [(name, entry) for name, entry in catalogue.COMMANDS.items()]
    every += [
        (f"{group} {name}", entry)
        for group, (_, some) in catalogue.GROUPS.items()
        for name, entry in some.items()
    ]
    assert {name.rpartition(" ")[2] for name, entry in every if entry.starts} == {
        *("build", "create", "import", "load", "login", "pull", "restart", "run", "start")
    }
    lacks = [name for name, entry in every if name.endswith(" create") and not entry.starts]
    assert lacks == []


@pytest.mark.parametrize(
    "argv", [["help"], ["help", "run"], ["help", "container"], ["help", "volume", "create"]]
)
def test_help_as_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert call(monkeypatch, *argv) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage:  pysup " + " ".join(argv[1:]))
    assert call(monkeypatch, *argv[1:], "--help") == 0
    assert capsys.readouterr().out == shown


def test_help_on_what_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "help", "nope") == 1
    assert "unknown command" in capsys.readouterr().err
