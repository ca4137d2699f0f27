"""The sans-I/O core: any splitting of the bytes gives the same response."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.resumption import last_frame, positioned
from pysup.supervisor.client.core import (
    Address,
    chunk,
    container_path,
    error_of,
    named_host,
    parse_address,
    request,
)
from pysup.supervisor.client.frames import MULTIPLEXED, POSITIONED, Frames
from pysup.supervisor.client.responses import Lost, ProtocolError, Response
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, Unavailable
from pysup.supervisor.logs.lines import Mark


def feed_split(data: bytes, cuts: list[int]) -> tuple[Response, bytes]:
    response, body = Response(), b""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        body += b"".join(response.feed(data[begin:end]))
    return response, body


@given(st.binary(max_size=500), st.lists(st.integers(0, 1000), max_size=8), st.binary(max_size=20))
def test_a_body_with_a_length(body: bytes, cuts: list[int], behind: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    response, found = feed_split(head + body + behind, cuts)
    assert (response.status, found, response.complete, response.rest) == (200, body, True, behind)


@given(st.lists(st.binary(min_size=1, max_size=99), max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_a_body_in_chunks(pieces: list[bytes], cuts: list[int]) -> None:
    head = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"".join(map(chunk, pieces)) + chunk(b"")
    response, found = feed_split(data, cuts)
    assert (found, response.complete) == (b"".join(pieces), True)


@given(st.binary(max_size=99), st.lists(st.integers(0, 200), max_size=4))
def test_an_upgrade_gives_the_rest_away(rest: bytes, cuts: list[int]) -> None:
    response, found = feed_split(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n" + rest, cuts)
    assert (response.upgraded, found, response.rest) == (True, b"", rest)


def test_a_body_until_the_end() -> None:
    response = Response()
    assert response.feed(b"HTTP/1.1 200 OK\r\n\r\nabc") == [b"abc"]
    assert not response.complete
    response.feed(b"")
    assert response.complete


@pytest.mark.parametrize(("version", "kept"), [("1.1", True), ("1.0", False)])
def test_an_older_server_closes_the_connection_after_its_answer(version: str, kept: bool) -> None:
    response = Response()
    assert response.feed(f"HTTP/{version} 200 OK\r\nContent-Length: 2\r\n\r\nok".encode()) == [b"ok"]
    assert response.complete
    assert response.reusable is kept


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 300_000,
    ],
)
def test_nonsense_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Response().feed(data)


def test_an_answer_that_ends_early_is_a_lost_daemon() -> None:
    response = Response()
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")
    with pytest.raises(Lost, match="closed the connection"):
        response.feed(b"")


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=50)), max_size=8),
    st.integers(1, 40),
)
def test_frames_survive_any_splitting(frames: list[tuple[int, bytes]], step: int) -> None:
    data = b"".join(bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body for stream, body in frames)
    reader = Frames(MULTIPLEXED)
    found = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
    assert found == frames


def test_addresses() -> None:
    assert parse_address("unix:///run/x.sock") == parse_address("/run/x.sock") == Address("/run/x.sock")
    assert parse_address("tcp://[::1]:2375") == Address(host="::1", port=2375)
    for bad in ("", "run/x.sock", "tcp://host", "ssh://host", "unix://x"):
        with pytest.raises(BadRequest):
            parse_address(bad)


def test_errors_have_the_daemons_words_and_code() -> None:
    assert isinstance(error_of(404, b'{"message": "gone"}'), NotFound)
    assert isinstance(error_of(409, b"{}"), Conflict)
    error = error_of(500, b'{"message": "cannot start", "exit_code": 127}')
    assert isinstance(error, Unavailable)
    assert (str(error), error.exit_code) == ("cannot start", 127)  # type: ignore[attr-defined]


def test_a_request_says_how_long_it_is() -> None:
    assert request("POST", "/x", body={"a": 1}).endswith(b'Content-Length: 8\r\n\r\n{"a": 1}')
    assert b"?a=b+c HTTP/1.1" in request("GET", "/x", query={"a": "b c"})


def test_the_transport_of_the_cli_imports_little() -> None:
    code = "import sys, pysup.supervisor.client.sync; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("anyio", "trio", "asyncio", "h11", "dataclasses", "http.client", "ssl"):
        assert f"'{heavy}'" not in loaded


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20), st.integers(0, 1 << 40)), max_size=6),
    st.integers(1, 60),
    st.booleans(),
)
def test_frames_with_positions(frames: list[tuple[int, bytes, int]], step: int, is_whole: bool) -> None:
    data = b"".join(positioned(stream, body, Mark(offset, 3, 2)) for stream, body, offset in frames)
    data += last_frame() if is_whole else b"\1\0\0\0\0\0"
    reader = Frames(POSITIONED, "5.0.0")
    found = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
    assert found == [(stream, body) for stream, body, _ in frames]
    assert reader.position == (f"{frames[-1][2]}.3.2" if frames else "5.0.0")
    assert reader.ended is is_whole


def test_what_has_no_positions_ends_with_its_connection() -> None:
    assert Frames("").ended and Frames(MULTIPLEXED).ended
    assert Frames("").feed(b"as it is") == [(1, b"as it is")]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_name_is_one_segment(name: str) -> None:
    path = container_path(name, "json")
    _, containers, segment, verb = path.split("/")
    assert (containers, unquote(segment), verb) == ("containers", name, "json")
    assert path.isascii() and "?" not in path and "#" not in path


@pytest.mark.parametrize("body", [{"Cmd": ["\udcff"]}, ["é\udc80"]])
def test_what_is_not_utf_8_is_refused(body: object) -> None:
    with pytest.raises(BadRequest, match=r"cannot send the request: b'.*' is not UTF-8"):
        request("POST", "/x", body=body)
    with pytest.raises(BadRequest):
        request("POST", "/x", query={"name": "\udcff"})


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, ""),
        ({"DOCKER_HOST": "tcp://d:1"}, "tcp://d:1"),
        ({"DOCKER_HOST": "tcp://d:1", "PYSUP_RUN": "/r"}, ""),
        ({"DOCKER_HOST": "tcp://d:1", "PYSUP_SOCKET": "/s"}, ""),
        ({"DOCKER_HOST": "tcp://d:1", "PYSUP_SOCKET": "", "PYSUP_RUN": ""}, "tcp://d:1"),
    ],
)
def test_who_names_the_daemon(
    environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_HOST", "PYSUP_RUN", "PYSUP_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert named_host() == named
