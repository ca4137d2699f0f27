"""Every route of a real daemon, asked in ways that nobody thought of: it answers, and never with an internal error."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers.daemon import Daemon
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pysup.supervisor.api.router import Route
from pysup.supervisor.api.routes import ALL_ROUTES
from pysup.supervisor.client.responses import Response

pytestmark = pytest.mark.kernel

WITHIN = 20.0
ENDLESS = re.compile(
    r"/(wait|attach|start|stats|export)$|^/events$|^/exec/|^/pysup/containers/{id}/exec$|^/auth$|^/distribution/"
)
"""These may take as long as a container lives, are as long as the machine (an export of what the host image shows), or
ask registries that cannot be reached (500): tests of their own ask them.
"""
ASKED = tuple(route for route in ALL_ROUTES if not ENDLESS.search(route.pattern))

NAMES = st.sampled_from(
    ["box", "host", "host:latest", "nosuch", "", ".", "..", "a/b", "%", "\x00", "é", "x" * 300, "0"]
)
NUMBERS = st.sampled_from(
    ["0", "1", "-1", "9" * 18, "9" * 19, "1.5", "x", "", "inf", "nan", "\x00", "1e400", "²"]
)
WORDS = st.sampled_from(
    ["true", "all", "box", "SIGTERM", "{}", '{"label":["a"]}', '{"until":["1"]}', "[", "é", "no", "a=b"]
)
PARAMETERS = st.sampled_from(
    [
        *(
            "all",
            "limit",
            "size",
            "filters",
            "name",
            "signal",
            "t",
            "force",
            "v",
            "tail",
            "since",
            "until",
            "resume",
        ),
        *(
            "stdout",
            "stderr",
            "timestamps",
            "h",
            "w",
            "ps_args",
            "repo",
            "tag",
            "fromSrc",
            "fromImage",
            "changes",
        ),
        *("run", "resumable", "type", "dangling", "message", "condition"),
    ]
)
QUERIES = st.dictionaries(PARAMETERS, NUMBERS | WORDS | NAMES, max_size=4)
FIELDS = st.sampled_from(
    [
        *(
            "Image",
            "Cmd",
            "Env",
            "Labels",
            "HostConfig",
            "Memory",
            "RestartPolicy",
            "Name",
            "NanoCpus",
            "Tty",
        ),
        *(
            "Binds",
            "Mounts",
            "Pysup",
            "Ulimits",
            "Entrypoint",
            "User",
            "WorkingDir",
            "NetworkMode",
            "Healthcheck",
        ),
        *("ExposedPorts", "StopSignal", "StopTimeout", "Sysctls", "LogConfig", "Type", "Config", "PidsLimit"),
    ]
)
NUMERIC = st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMERIC | WORDS | NAMES
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.none() | st.dictionaries(FIELDS, VALUES, max_size=4) | VALUES


def ask(path: Path, data: bytes) -> tuple[int, bytes]:
    """Status and body of the answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(WITHIN)
        sock.connect(str(path))
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        response, body = Response(data.partition(b" ")[0].decode()), b""
        while not response.complete:
            body += b"".join(response.feed(sock.recv(1 << 16)))
        return response.status, body


def request(route: Route, name: str, query: dict[str, str], body: object) -> bytes:
    path = re.sub(r"\{\w+\*?\}", lambda _: quote(name, safe="/") or "x", route.pattern)
    pairs = "&".join(
        f"{key}={quote(value)}" for key, value in query.items() if value != "1" or key != "follow"
    )
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{route.method} /v1.47{path}?{pairs} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def test_no_request_is_an_internal_error(daemon: Daemon) -> None:
    daemon.pysup("create", "--name", "box", "host", "true", check=True)

    @given(st.sampled_from(ASKED), NAMES, QUERIES, BODIES)
    @settings(
        max_examples=400,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    def asked(route: Route, name: str, query: dict[str, str], body: object) -> None:
        status, told = ask(daemon.socket, request(route, name, query, body))
        assert status != 500, (route.pattern, told)
        if status >= 400 and route.method != "HEAD":
            assert json.loads(told)["message"]

    asked()
    left = daemon.pysup("ps", "-aq", "--no-trunc", check=True).stdout.split()
    if left:
        daemon.pysup("rm", "-f", *left, check=True)
    assert "internal error" not in daemon.log.read_text() and "Traceback" not in daemon.log.read_text()
