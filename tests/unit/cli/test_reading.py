"""Files that flags name, and standard input: what has no end is an error, and a pipe is as good as a file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pysup.supervisor.cli.files import build_context, reading
from pysup.supervisor.cli.flags import UsageError
from pysup.supervisor.cli.options import confinement, kvfile, secret_values
from pysup.supervisor.cli.registries import docker_config
from pysup.supervisor.errors import PysupError

ENDLESS = "/dev/zero"


@contextlib.contextmanager
def file_of(content: bytes) -> Iterator[str]:
    """The name of a pipe with this content."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("look", "error"),
    [
        (lambda: kvfile.environment([ENDLESS], []), UsageError),
        (lambda: kvfile.mapping([ENDLESS], []), UsageError),
        (lambda: confinement.security([f"seccomp={ENDLESS}"]), ValueError),
        (lambda: secret_values.entry(f"src={ENDLESS},target=x"), UsageError),
        (lambda: build_context.source_of("/etc", ENDLESS, None), PysupError),
    ],
)
def test_a_file_without_an_end(look: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"it has more than 4 MiB|must have 1 to \d+ bytes"):
        look()


def test_ignore_rules_and_a_config_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dockerignore").symlink_to(ENDLESS)
    with pytest.raises(PysupError, match="it has more than 4 MiB"):
        build_context.source_of(str(tmp_path), "", b"FROM x")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").symlink_to(ENDLESS)
    with pytest.raises(PysupError, match="it has more than 4 MiB"):
        docker_config.load()


def test_pipes_and_nothing() -> None:
    with file_of(b"\xef\xbb\xbfA=1\r\n# no\nB=2") as name:
        assert kvfile.environment([name], []) == ["A=1", "B=2"]
    with file_of(b'{"defaultAction": "SCMP_ACT_ALLOW"}') as name:
        assert confinement.security([f"seccomp={name}"])["SecurityOpt"]
    assert kvfile.environment(["/dev/null"], ["A=1"]) == ["A=1"]
    assert reading.content("/dev/null") == b""


def test_a_profile_of_a_thousand_levels() -> None:
    with file_of(b"[" * 50_000) as name, pytest.raises(ValueError, match="is not JSON"):
        confinement.security([f"seccomp={name}"])


@pytest.mark.parametrize(
    "words",
    [["build", "-"], ["build", "-f", "-", "/etc/ssl"], ["login", "-u", "me", "--password-stdin", "x.test"]],
)
def test_standard_input_without_an_end(words: list[str]) -> None:
    """Refused before a daemon is asked: there is none."""
    argv = [sys.executable, "-m", "pysup.supervisor.cli.main", "--socket", "/nonexistent", *words]
    with open(ENDLESS, "rb") as zeros:
        done = subprocess.run(argv, stdin=zeros, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode and "it has more than 4 MiB" in done.stderr
