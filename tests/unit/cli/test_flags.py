"""Flags against pflag's rules; the messages are those of the docker CLI 28 with pysup's prefix."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import (
    Flag,
    HelpWanted,
    Syntax,
    UsageError,
    lacking,
    many,
    number,
    switch,
    text,
)
from pysup.supervisor.cli.options import run_flags
from pysup.supervisor.cli.usage import command_help
from pysup.supervisor.errors import NotSupported

FLAGS = (
    switch("interactive", "", short="i"),
    switch("tty", "", short="t"),
    switch("sig-proxy", "", default=True),
    text("name", ""),
    text("user", "", short="u"),
    number("count", "", short="n", default=-1),
    many("env", "", short="e"),
    Flag("memory", kinds.SWAP, "", "m"),
    lacking("publish", kinds.LIST, "", "networks come later", short="p"),
    lacking("privileged", kinds.BOOL, "", "devices come later"),
)
EAGER = Syntax("run", "[OPTIONS] IMAGE", "Run", FLAGS, 0, None, interspersed=False)
LAZY = Syntax("ps", "[OPTIONS]", "List", FLAGS, 0, None)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--name=web"], "name", "web"),
        (["--name", "web"], "name", "web"),
        (["--name="], "name", ""),
        (["--name=a=b"], "name", "a=b"),
        (["--name", "--tty"], "name", "--tty"),
        (["-u", "me"], "user", "me"),
        (["-ume"], "user", "me"),
        (["-u=me"], "user", "me"),
        (["-u="], "user", "="),
        (["-itu", "me"], "user", "me"),
        (["-itume"], "user", "me"),
        (["-n", "-1"], "count", -1),
        (["-n0x10"], "count", 16),
        (["--tty"], "tty", True),
        (["--tty=false"], "tty", False),
        (["--sig-proxy=0"], "sig-proxy", False),
        (["-t=false"], "tty", False),
        (["-e", "A=1", "-eB=2", "--env=C"], "env", ["A=1", "B=2", "C"]),
        (["-m", "512m"], "memory", 512 << 20),
        (["-m-1"], "memory", -1),
        (["--privileged=false"], "privileged", False),
    ],
)
def test_one_flag(argv: list[str], name: str, value: object) -> None:
    found = EAGER.parse(argv)
    assert found[name] == value
    assert name in found.changed
    assert found.words == []


def test_a_boolean_never_swallows_the_next_word() -> None:
    found = EAGER.parse(["-it", "false", "--name", "x"])
    assert found.on("tty")
    assert found.words == ["false", "--name", "x"]


def test_the_first_word_ends_the_flags_or_not() -> None:
    argv = ["host", "--tty", "ls", "-i"]
    assert EAGER.parse(argv).words == argv
    found = LAZY.parse(argv)
    assert found.words == ["host", "ls"]
    assert found.on("tty")
    assert found.on("interactive")


def test_two_dashes_end_the_flags_once() -> None:
    assert LAZY.parse(["a", "--", "-i", "--"]).words == ["a", "-i", "--"]
    assert EAGER.parse(["--", "host", "--", "-x"]).words == ["host", "--", "-x"]
    assert EAGER.parse(["host", "sh", "--", "-x"]).words == ["host", "sh", "--", "-x"]


def test_a_single_dash_is_a_word() -> None:
    assert LAZY.parse(["-", "-i"]).words == ["-"]


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-itx"], "unknown shorthand flag: 'x' in -itx"),
        (["--name"], "flag needs an argument: --name"),
        (["-itu"], "flag needs an argument: 'u' in -u"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (
            ["--tty=x"],
            'invalid argument "x" for "-t, --tty" flag: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        (
            ["-n", "x"],
            'invalid argument "x" for "-n, --count" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (["-m", "x"], 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
    ],
)
def test_what_cannot_be_parsed(argv: list[str], cause: str) -> None:
    with pytest.raises(UsageError) as caught:
        EAGER.parse(argv)
    assert str(caught.value) == f"cannot parse the arguments: {cause} (see 'pysup run --help')"
    assert caught.value.exit_code == 125


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UsageError, match='unknown flag: --nmae; did you mean "--name"'):
        EAGER.parse(["--nmae", "x"])


@pytest.mark.parametrize("argv", [["--publish", "80:80"], ["-p80:80"], ["--privileged"]])
def test_what_docker_has_and_pysup_not_yet(argv: list[str]) -> None:
    with pytest.raises(NotSupported, match=r"cannot use 'pysup run --p\w+': it is not supported yet"):
        EAGER.parse(argv)


@pytest.mark.parametrize(
    ("least", "most", "argv", "cause"),
    [
        (0, 0, ["x"], "'pysup x' accepts no arguments"),
        (1, 1, [], "'pysup x' requires 1 argument"),
        (2, 2, ["a"], "'pysup x' requires 2 arguments"),
        (1, None, [], "'pysup x' requires at least 1 argument"),
        (0, 1, ["a", "b"], "'pysup x' requires at most 1 argument"),
        (1, 2, [], "'pysup x' requires at least 1 and at most 2 arguments"),
    ],
)
def test_the_count_of_words(least: int, most: int | None, argv: list[str], cause: str) -> None:
    with pytest.raises(UsageError) as caught:
        Syntax("x", "", "", (), least, most).parse(argv)
    assert str(caught.value) == f"cannot parse the arguments: {cause} (see 'pysup x --help')"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("argv", [["-i", "--help"], ["-h"], ["-ih"]])
def test_help_is_told_of_the_command(argv: list[str]) -> None:
    with pytest.raises(HelpWanted) as asked:
        EAGER.parse(argv)
    shown = command_help(asked.value.syntax)
    assert shown.startswith("Usage:  pysup run [OPTIONS] IMAGE\n\nRun\n\nOptions:\n")


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1)


@given(VALUES, st.sampled_from(["--user={}", "-u={}", "-itu={}"]))
def test_every_value_arrives_as_it_is(value: str, form: str) -> None:
    assert EAGER.parse([form.format(value)]).text("user") == value


@given(
    st.lists(st.sampled_from(["-i", "-t", "-it", "--tty", "--env=A", "-eB", "--name=x"])), st.lists(VALUES)
)
def test_what_stands_behind_two_dashes_is_never_touched(before: list[str], words: list[str]) -> None:
    assert LAZY.parse([*before, "--", *words]).words == words
    assert EAGER.parse([*before, "image", *words]).words == ["image", *words]


@given(st.lists(VALUES))
def test_any_command_line_parses_or_is_refused(argv: list[str]) -> None:
    with suppress(HelpWanted, UsageError, NotSupported):
        EAGER.parse(argv)


def _docker_flags(command: str) -> set[str]:
    if shutil.which("docker") is None:
        pytest.skip("needs the docker CLI, to read its help")
    shown = subprocess.run(
        ["docker", *command.split(), "--help"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split() for line in shown.splitlines() if line.lstrip().startswith("-")]
    return {word.removeprefix("--") for words in lines for word in words[:2] if word.startswith("--")}


@pytest.mark.parametrize(("command", "flags"), [("run", run_flags.RUN), ("create", run_flags.CREATE)])
def test_every_flag_of_dockers_run_is_known(command: str, flags: tuple[Flag, ...]) -> None:
    missing = _docker_flags(command) - {flag.name for flag in flags} - {"help"}
    assert missing == set()


def test_no_flag_is_there_twice() -> None:
    names = [flag.name for flag in run_flags.RUN]
    shorts = [flag.short for flag in run_flags.RUN if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)


@given(st.integers(0, 10**6), st.integers(0, 999_999_999))
def test_cpus_are_exact(whole: int, nano: int) -> None:
    assert kinds.read_nano(f"{whole}.{nano:09d}") == whole * 10**9 + nano
    assert kinds.read_nano(f"-{whole}.{nano:09d}") == -(whole * 10**9 + nano)  # for the daemon to refuse


@pytest.mark.parametrize("wrong", ["", ".", "-", "x", "--1", "1.0000000001", "1e3", "٣"])
def test_what_is_no_count_of_cpus(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"rational|precise"):
        kinds.read_nano(wrong)
