"""Small values: detach keys, name=value files, restart settings, times."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.files.cidfile import CidFile
from pysup.supervisor.cli.flags import UsageError
from pysup.supervisor.cli.options import kvfile, moment, resources
from pysup.supervisor.cli.output import timetext
from pysup.supervisor.cli.sessions import detach, signals
from pysup.supervisor.errors import PysupError


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a,b,c", b"\x01bc"),
        ("ctrl-@", b"\0"),
        ("ctrl-_", b"\x1f"),
        ("DEL", b"\x7f"),
        ("CTRL-A", b"\x01"),
    ],
)
def test_detach_keys(keys: str, made: bytes) -> None:
    assert detach.parse(keys) == made


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-1", "ab", ",", "ctrl-p,é"])
def test_invalid_detach_keys(keys: str) -> None:
    with pytest.raises(UsageError, match="invalid detach keys"):
        detach.parse(keys)


@given(st.binary(max_size=30), st.lists(st.integers(0, 30)), st.binary(min_size=1, max_size=3))
def test_the_watch_sees_the_keys_however_they_are_cut(data: bytes, cuts: list[int], keys: bytes) -> None:
    watch = detach.Watch(keys)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    seen = [watch.seen(data[start:end]) for start, end in pairwise(at)]
    assert any(seen) is (keys in data)


def test_environment(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbf# comment\n\n  A=1 \nFROM_CALLER\nABSENT\nB=x=y\r\n")
    caller = {"FROM_CALLER": "yes", "WORD": "w"}
    made = kvfile.environment([str(file)], ["C=3", "WORD", "UNSET", "D="], caller)
    assert made == ["A=1 ", "FROM_CALLER=yes", "B=x=y", "C=3", "WORD=w", "UNSET", "D="]


@pytest.mark.parametrize(("line", "cause"), [("=x", "no variable name"), ("A B=1", "whitespaces")])
def test_bad_lines(tmp_path: Path, line: str, cause: str) -> None:
    (tmp_path / "env").write_text(line)
    with pytest.raises(UsageError, match=cause):
        kvfile.environment([str(tmp_path / "env")], [])


def test_a_missing_file_and_a_missing_name() -> None:
    with pytest.raises(UsageError, match="cannot read --env-file /nope: No such file"):
        kvfile.environment(["/nope"], [])
    with pytest.raises(ValueError, match="invalid environment variable: =x"):
        kinds.read_env("=x")


def test_labels(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("a=1\nb\n")
    assert kvfile.mapping([str(tmp_path / "labels")], ["a=2", "c"]) == {"a": "2", "b": "", "c": ""}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("no", ("no", 0)),
        ("", ("no", 0)),
        ("always", ("always", 0)),
        ("on-failure", ("on-failure", 0)),
        ("on-failure:3", ("on-failure", 3)),
    ],
)
def test_restart_policies(text: str, made: tuple[str, int]) -> None:
    assert resources.restart_policy(text) == {"Name": made[0], "MaximumRetryCount": made[1]}


@pytest.mark.parametrize("text", ["on-failure:", "on-failure:x", ":3", "on-failure:--1"])
def test_bad_restart_policies(text: str) -> None:
    with pytest.raises(UsageError, match="invalid restart policy format"):
        resources.restart_policy(text)


def test_restart_limits() -> None:
    assert resources.restart_limit("5/1m") == {"Count": 5, "Window": 60.0}
    assert resources.restart_limit("0") == {"Count": 0, "Window": 0.0}
    for wrong in ("5", "x/1m", "5/x", "5/", "/1m", "0/1m"):
        with pytest.raises(UsageError, match="invalid restart limit"):
            resources.restart_limit(wrong)


def test_moments() -> None:
    assert moment.api_time("1795461245.017") == "1795461245.017"
    assert moment.api_time("10m", now=1000.0) == "400.000000000"
    assert moment.api_time("1970-01-01T00:01:00Z") == "60.000000000"
    for wrong in ("yesterday", "-1"):
        with pytest.raises(UsageError, match=f"invalid time '{wrong}'"):
            moment.api_time(wrong)


def test_rfc3339_times() -> None:
    assert timetext.parse_time("1970-01-01T00:01:00.5Z") == 60.5
    assert timetext.parse_time("1970-01-01T00:01:00.123456789+00:00") == pytest.approx(60.123456789)
    assert timetext.parse_time("1970-01-01T00:01:00Z") == 60
    assert timetext.parse_time("0001-01-01T00:00:00Z") == 0
    assert timetext.parse_time("") == 0


def test_what_is_forwarded() -> None:
    names = {signals.api_name(number) for number in signals.forwarded()}
    assert {"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM"} <= names
    assert names.isdisjoint({"KILL", "STOP", "CHLD", "PIPE", "URG", "WINCH", "TTIN", "TTOU", "TSTP", "CONT"})


def test_a_cidfile_that_exists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cid").write_text("")
    with pytest.raises(PysupError, match="container ID file found"), CidFile(str(tmp_path / "cid")):
        pass
    assert (tmp_path / "cid").exists()


def test_a_cidfile_stays_only_with_an_id(tmp_path: Path) -> None:
    with CidFile(str(tmp_path / "cid")) as file:
        file.write("abc")
    assert (tmp_path / "cid").read_text() == "abc"

    def failing_create() -> None:
        with CidFile(str(tmp_path / "other")):
            raise PysupError("cannot create container: no")

    with pytest.raises(PysupError):
        failing_create()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("word", ["", "=x", " =x"])
def test_a_label_has_a_name(word: str) -> None:
    with pytest.raises(ValueError, match="empty name"):
        kinds.read_label(word)
