"""Templates rendered by the docker CLI, which has Go's own text/template and fmt, and by pysup: the same bytes.

Many templates are one call of docker's, with a line between two of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.small_server import Quiet, SmallServer

from pysup.supervisor.cli.output.template import Template, TemplateError
from pysup.supervisor.cli.output.zero_values import with_zeros

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="compares with the docker CLI")

DOCUMENT: dict[str, Any] = {
    "Id": "4f2a" + "0" * 60,
    "Created": "2026-11-24T00:04:09.5Z",
    "Name": "/web",
    "Path": "sleep",
    "Args": ["1000"],
    "ExecIDs": None,
    "State": {"Status": "running", "Running": True, "Pid": 4242, "ExitCode": 0, "Error": ""},
    "RestartCount": 3,
    "HostConfig": {"Memory": 1 << 30, "NetworkMode": "host", "CapAdd": None, "PidsLimit": None, "Init": None},
    "Mounts": [],
    "Config": {
        "Hostname": "box",
        "Env": ["A=1", "B=<2>"],
        "Cmd": ["sleep", "1000"],
        "Labels": {"a": "b", "c.d": "x"},
        "Entrypoint": None,
    },
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}, "Networks": {}},
}

RENDERED = Path(__file__).with_name("templates.txt").read_text().splitlines()
"""One a line; each is right, and needs no other."""

REFUSED = [
    "{{.Name",
    "{{nofunc}}",
    "{{$x}}",
    "{{if true}}{{$x := 1}}{{end}}{{$x}}",
    "{{define `x`}}{{break}}{{end}}",
    "{{define `x`}}1{{end}}{{define `x`}}2{{end}}",
    "{{template .Name}}",
    "{{/* c }}",
    "{{nil}}",
    "{{08}}",
    "{{3a}}",
    "{{''}}",
    '{{"a\\qb"}}',
    "{{with .State}}{{else if true}}x{{end}}",
    "{{template `none`}}",
    "{{.Nope}}",
    "{{.State.Health.Status}}",
    "{{and}}",
    "{{eq .Config.Env .Config.Env}}",
    "{{printf 3}}",
    "{{truncate `hello` -1}}",
    "{{pad `x` -1 0}}",
    "{{index .Config.Labels 3}}",
    "{{slice .Name 0 1 1}}",
    "{{range $i, $j := 3}}{{end}}",
    "{{call .Name}}",
    "{{define `x`}}{{template `x`}}{{end}}{{template `x`}}",
]


class Canned(Quiet):
    """Plays a daemon with one container."""

    def do_GET(self) -> None:
        body = b"OK" if self.path.endswith("_ping") else json.dumps(DOCUMENT).encode()
        self.answer(200, body, Api_Version="1.47", Ostype="linux", Content_Type="application/json")

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with SmallServer(Canned) as server:
        yield f"tcp://{server.host}"


def docker(host: str, template: str) -> subprocess.CompletedProcess[bytes]:
    words = ["docker", "-H", host, "container", "inspect", "-f", template, "web"]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    return subprocess.run(words, capture_output=True, check=False, env=env, timeout=60)


def pysup(template: str) -> tuple[int, str]:
    try:
        return 0, Template(template).render(with_zeros(json.loads(json.dumps(DOCUMENT))))
    except TemplateError as error:
        return int(getattr(error, "exit_code", 1)), str(error)


BETWEEN = "\n-- between --\n"


def test_the_same_bytes(host: str) -> None:
    done = docker(host, BETWEEN.join(RENDERED))
    assert done.returncode == 0, done.stderr
    theirs = done.stdout.decode().removesuffix("\n").split(BETWEEN)
    assert dict(zip(RENDERED, map(pysup, RENDERED), strict=True)) == {
        template: (0, text) for template, text in zip(RENDERED, theirs, strict=True)
    }


@pytest.mark.parametrize("template", REFUSED)
def test_the_same_refusals(host: str, template: str) -> None:
    done = docker(host, template)
    assert done.returncode
    code, told = pysup(template)
    assert code == done.returncode
    assert told.startswith("cannot format: ")
    assert "\n" not in told
