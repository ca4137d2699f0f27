"""What follows the words typed so far, from the tables alone: no daemon is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli import catalogue, complete, flags, kinds
from pysup.supervisor.cli.commands import completion
from pysup.supervisor.cli.complete import Candidate, candidates, place_of
from pysup.supervisor.cli.flags import Syntax


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("PYSUP_RUN", raising=False)
    monkeypatch.setenv("PYSUP_SOCKET", str(tmp_path / "none"))


def values(*words: str) -> list[str]:
    found = candidates(words)
    assert found is not None
    return [value for value, _ in found]


def test_commands_and_groups() -> None:
    shown = {name for name, entry in catalogue.COMMANDS.items() if not entry.alias}
    assert set(values("")) == shown | set(catalogue.GROUPS)
    assert values("re") == ["rename", "restart"]
    assert values("container", "re") == ["rename", "restart"]
    assert "remove" not in values("container", "")
    assert values("nosuchcommand", "") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["rm", "--"], ["--force", "--help", "--link", "--volumes"]),
        (["run", "--restart", ""], ["no", "always", "unless-stopped", "on-failure", "on-failure:"]),
        (["run", "--restart=u"], ["--restart=unless-stopped"]),
        (["run", "--rm", "--net", "h"], ["host"]),
        (["run", "--rm", "host", "--re"], []),
        (["run", "--sig-proxy=f"], ["--sig-proxy=false"]),
        (["run", "--no-such="], []),
        (["run", "--userns", ""], ["auto", "host", "private"]),
        (["daemon", "--userns", ""], ["auto", "host"]),
        (["run", "--pid", "container:"], []),
        (["kill", "-s", "US"], ["USR1", "USR2"]),
        (["kill", "web", "--sig"], ["--signal"]),
        (["kill", "--", "--sig"], []),
        (["run", "-ite", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["--ho"], ["--host"]),
        (["-H", ""], []),
        (["-H", "tcp://127.0.0.1:1", "container", "lo"], ["logs"]),
        (["--no-such-flag", "ps", "-"], []),
        (["rename", "a", ""], []),
        (["stop", ""], []),
    ],
)  # fmt: skip
def test_flags_and_their_values(words: list[str], found: list[str]) -> None:
    assert values(*words) == found


@pytest.mark.parametrize(
    "words",
    [["import", ""], ["run", "--env-file", "x"], ["run", "-v", ""], ["--root", ""], ["run", "--rootfs="]],
)
def test_files_are_the_shell_s(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert candidates(words) is None
    completion.completion(["fish", *words])
    assert capsys.readouterr().out == ":files\n"


def test_what_is_lacking_or_hidden_is_not_offered() -> None:
    offered = values("run", "-")
    assert "--gpus" not in offered and "--rm" in offered and "-d" in offered and "--help" in offered
    assert "--time" not in values("stop", "--")


@pytest.mark.parametrize("group", ["", *catalogue.GROUPS])
def test_every_command_s_flags_are_offered(group: str) -> None:
    commands = catalogue.GROUPS[group][1] if group else catalogue.COMMANDS
    for name, entry in commands.items():
        syntax = complete._syntax_of(entry)
        shown = {f"--{flag.name}" for flag in syntax.flags if not flag.hidden and not flag.lacking}
        assert set(values(*([group] if group else []), name, "--")) == shown | {"--help"}


FLAGS = Syntax("x", "", "", (flags.switch("on", "", short="o"), flags.text("text", "", short="t")))


@given(
    st.lists(
        st.sampled_from(["word", "-", "-o", "--on", "-ot", "-ov", "--text", "--text=v", "-tv", "--", "v"])
    ),
    st.booleans(),
)
def test_the_place_is_where_the_parser_is(words: list[str], interspersed: bool) -> None:
    """What the parser takes, the completion reads in the same way."""
    syntax = FLAGS._replace(interspersed=interspersed, most=None)
    place = place_of(syntax, words)
    if place.awaiting is None and "-ov" not in words:
        assert syntax.parse(words).words == place.words
    elif place.awaiting is not None and "-ov" not in words:
        with pytest.raises(flags.UsageError, match="needs an argument"):
            syntax.parse(words)


def test_kinds_of_the_tables_have_what_is_asked_of_them() -> None:
    assert kinds.BOOL.bare is not None and kinds.TEXT.bare is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pysup ", ["pysup", ""]),
        ("pysup run  --na", ["pysup", "run", "--na"]),
        ("pysup exec 'my con", ["pysup", "exec", "my con"]),
        (r'pysup a\ b "c\"d" \'', ["pysup", "a b", 'c"d', "'"]),
        ("pysup run -e '' ", ["pysup", "run", "-e", "", ""]),
    ],
)
def test_a_line_is_split_as_a_shell_does(line: str, words: list[str]) -> None:
    assert completion.split(line) == words


def test_bash_is_given_what_follows_the_last_break(capsys: pytest.CaptureFixture[str]) -> None:
    completion.completion(["bash", "pysup run --restart=on"])
    assert capsys.readouterr().out == "on-failure\non-failure:\n"


def test_other_shells_are_given_the_meaning_too(capsys: pytest.CaptureFixture[str]) -> None:
    completion.completion(["zsh", "unp"])
    assert capsys.readouterr().out == "unpause\tUnpause all processes within one or more containers\n"


def test_an_unknown_shell() -> None:
    with pytest.raises(flags.UsageError, match="unknown shell 'csh'"):
        completion.completion(["csh"])


def test_names_that_are_typed_already_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete, "_containers", lambda _states: [Candidate("a"), Candidate("b")])
    assert values("rm", "a", "") == ["b"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_this_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.completion([shell]) == 0
    shown = capsys.readouterr().out
    assert f"completion {shell} " in shown and ":files" in shown and "pysup" in shown


def test_bash_reads_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    completion.completion(["bash"])
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)
