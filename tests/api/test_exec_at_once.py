"""POST /pysup/containers/{id}/exec: creation, start, output and exit code in one exchange."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.daemon import Daemon
from helpers.terminals import BOUND, Terminal

from pysup.supervisor.client.opened import Stream
from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import BadRequest, Conflict, NotFound, PysupError

pytestmark = pytest.mark.kernel


@pytest.fixture
def box(tidy: Daemon) -> Iterator[Client]:
    """A client of a daemon with a running container of this name."""
    tidy.pysup("run", "-d", "--name", "box", "host", "sleep", "1000", check=True)
    with contextlib.closing(Client(f"unix://{tidy.socket}")) as client:
        yield client


@contextlib.contextmanager
def executed(client: Client, *argv: str, **options: Any) -> Iterator[Stream]:
    body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True, **options}
    with client.hijack("/pysup/containers/box/exec", body) as stream:
        yield stream


def wait_for_output(stream: Stream) -> None:
    """It may have come together with the head, which wakes no select."""
    if not stream.take_early():
        select.select([stream], [], [])


def output(stream: Stream) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while True:
        select.select([stream], [], [])
        chunks = stream.receive()
        if chunks is None:
            return found
        found += chunks


def row_of(daemon: Daemon, stream: Stream) -> dict[str, Any]:
    (row,) = (row for row in query(daemon, "select * from exec") if row["id"] == stream.exec)
    return row


def query(daemon: Daemon, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(daemon.pysup("query", "--json", sql, check=True).stdout)
    return found


def test_output_comes_in_order_and_the_code_with_the_end(box: Client, tidy: Daemon) -> None:
    with executed(box, "sh", "-c", "echo one; echo two >&2; exit 7") as stream:
        assert output(stream) == [(1, b"one\n"), (2, b"two\n")]
        assert (stream.lost, stream.end) == (False, {"ExitCode": 7})
    row = row_of(tidy, stream)
    assert (row["state"], row["exit_code"], row["pid"]) == ("exited", 7, 0)
    assert row["created_at"] <= row["started_at"] <= row["ended_at"]
    told = query(
        tidy, "select action, caller_uid from event where action like 'exec%' order by id desc limit 3"
    )
    assert [event["action"].partition(":")[0] for event in told] == ["exec_die", "exec_start", "exec_create"]
    assert {event["caller_uid"] for event in told[1:]} == {os.getuid()}
    assert box.get(f"/exec/{stream.exec}/json")["ExitCode"] == 7


def test_input_goes_to_the_process_and_its_end_too(box: Client) -> None:
    with executed(box, "sort", AttachStdin=True) as stream:
        assert stream.send_some(b"b\na\n") == 4
        stream.close_write()
        assert output(stream) == [(1, b"a\nb\n")]
        assert stream.end == {"ExitCode": 0}


def test_a_terminal_has_its_size_from_the_beginning(box: Client) -> None:
    with executed(box, "stty", "size", Tty=True, AttachStdin=True, ConsoleSize=[11, 22]) as stream:
        assert b"".join(data for _, data in output(stream)) == b"11 22\r\n"
        assert stream.end == {"ExitCode": 0}


@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/etc", 126)])
def test_what_cannot_be_executed_is_an_error_answer_and_a_row(
    box: Client, tidy: Daemon, program: str, code: int
) -> None:
    with pytest.raises(PysupError) as caught, executed(box, program):
        pass
    assert caught.value.exit_code == code  # type: ignore[attr-defined]
    (row,) = query(tidy, "select state, exit_code, error from exec order by created_at desc limit 1")
    assert (row["state"], row["exit_code"]) == ("exited", code)
    assert row["error"] == str(caught.value)


def test_what_is_refused_leaves_no_row(box: Client, tidy: Daemon) -> None:
    before = query(tidy, "select id from exec")
    with pytest.raises(BadRequest, match="no exec command"), executed(box):
        pass
    with (
        pytest.raises(NotFound, match="No such container: nobody"),
        box.hijack("/pysup/containers/nobody/exec", {}),
    ):
        pass
    tidy.pysup("pause", "box", check=True)
    with pytest.raises(Conflict, match="it is paused"), executed(box, "true"):
        pass
    assert query(tidy, "select id from exec") == before


@pytest.mark.parametrize("route", ["/containers/box/exec", "/pysup/containers/box/exec"])
@pytest.mark.parametrize("body", [5, True, [], ["detachKeys"], "detachKeys", {"detachKeys": 5}, {"Cmd": 5}])
def test_a_body_that_is_of_another_kind_is_a_bad_request(box: Client, route: str, body: object) -> None:
    with pytest.raises(BadRequest, match=r"cannot create exec: .* must be"), box.hijack(route, body):
        pass


def test_detach_keys_are_read_in_the_spelling_of_docker_py_too(box: Client) -> None:
    with executed(box, "cat", Tty=True, AttachStdin=True, detachKeys="x") as stream:
        assert stream.send_some(b"x") == 1
        output(stream)
        assert stream.lost  # it runs on: there is no exit code


def test_a_client_that_leaves_before_the_start_leaves_an_exec_that_others_can_start(
    box: Client, tidy: Daemon
) -> None:
    exec_id = box.post("/containers/box/exec", {"Cmd": ["true"]})["Id"]
    with socket.socket(socket.AF_UNIX) as leaver:
        leaver.connect(str(tidy.socket))
        leaver.sendall(
            f"POST /exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
        )
    assert any(_is_started(box, exec_id) for _ in range(100))  # at the first try, or just after it has left


def _is_started(client: Client, exec_id: str) -> bool:
    with contextlib.suppress(Conflict):
        client.post(f"/exec/{exec_id}/start", {"Detach": True})
        return True
    return False


def test_a_client_that_leaves_lets_it_run_on(box: Client, tidy: Daemon) -> None:
    with executed(box, "sh", "-c", "echo up; read line; sleep 1000", AttachStdin=True) as stream:
        wait_for_output(stream)
    row = row_of(tidy, stream)
    assert row["state"] == "running"
    os.kill(row["pid"], signal.SIGKILL)


def ends_with(box: Client, exec_id: str, code: int) -> bool:
    """Soon."""
    return any(box.get(f"/exec/{exec_id}/json")["ExitCode"] == code for _ in range(1000))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo up; exec sleep 1000", 129),  # SIGHUP
        ("trap '' HUP; echo up; cat; exit 6", 6),  # it reads the end of its input
        ("trap '' HUP; echo up; while echo more; do :; done 2>/dev/null; exit 7", 7),  # and cannot write
    ],
)
@pytest.mark.parametrize("stdin", [True, False])
def test_a_client_that_leaves_hangs_up_its_terminal(box: Client, script: str, code: int, stdin: bool) -> None:
    with executed(box, "sh", "-c", script, Tty=True, AttachStdin=stdin) as stream:
        wait_for_output(stream)
    assert ends_with(box, stream.exec, code)


def test_a_client_that_leaves_before_the_program_runs_hangs_up_its_terminal(
    box: Client, tidy: Daemon
) -> None:
    os.kill(tidy.pid, signal.SIGSTOP)  # nothing can be started
    try:
        with socket.socket(socket.AF_UNIX) as leaver:
            leaver.connect(str(tidy.socket))
            body = json.dumps({"Cmd": ["sleep", "1001"], "Tty": True, "AttachStdin": True})
            head = ("POST /pysup/containers/box/exec HTTP/1.1", "Host: x", "Content-Type: application/json")
            leaver.sendall("\r\n".join((*head, f"Content-Length: {len(body)}", "", body)).encode())
            while struct.unpack("i", fcntl.ioctl(leaver, termios.TIOCOUTQ, bytes(4)))[0]:  # unix(7)
                os.sched_yield()
            for _ in range(3):  # these are answered after what was read is begun
                box.get("/containers/box/json")
    finally:
        os.kill(tidy.pid, signal.SIGCONT)
    wanted = "select id from exec where process like '%1001%'"
    rows = next(filter(None, (query(tidy, wanted) for _ in range(100))))
    assert ends_with(box, rows[0]["id"], 129)


@pytest.mark.parametrize("how", ["killed", "terminal gone"])
def test_a_command_that_is_gone_hangs_up_the_terminal(box: Client, tidy: Daemon, how: str) -> None:
    person = Terminal(tidy.command("exec", "-it", "box", "sh", "-c", "echo up; exec sleep 1000"))
    person.until(b"up")
    if how == "killed":
        person.process.kill()
        person.code()
    else:
        os.close(person.master)
        person.process.wait(BOUND)
    (row,) = query(tidy, "select id from exec order by created_at desc limit 1")
    assert ends_with(box, row["id"], 129)


def test_a_terminal_is_left_as_it_is_by_the_detach_keys(box: Client, tidy: Daemon) -> None:
    tidy.pysup("exec", "box", "mkfifo", "/tmp/on", check=True)
    script = "echo up; read line < /tmp/on; exit 5"
    person = Terminal(tidy.command("exec", "-it", "box", "sh", "-c", script))
    person.until(b"up")
    person.type(b"\x10\x11")
    person.until(b"read escape sequence")
    assert person.code() == 1
    (row,) = query(tidy, "select id from exec where state = 'running'")
    tidy.pysup("exec", "box", "sh", "-c", "echo > /tmp/on", check=True)
    assert ends_with(box, row["id"], 5)


def test_by_docker_s_route_a_terminal_outlives_its_client_as_with_docker(box: Client, tidy: Daemon) -> None:
    tidy.pysup("exec", "box", "mkfifo", "/tmp/on", check=True)
    script = "echo up; read line < /tmp/on; exit 5"
    body = {"Cmd": ["sh", "-c", script], "Tty": True, "AttachStdin": True, "AttachStdout": True}
    exec_id = box.post("/containers/box/exec", body)["Id"]
    with box.hijack(f"/exec/{exec_id}/start", {"Tty": True}) as stream:
        wait_for_output(stream)
    tidy.pysup("exec", "box", "sh", "-c", "echo > /tmp/on", check=True)
    assert ends_with(box, exec_id, 5)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_client_that_leaves_gives_no_more_input(box: Client, at_once: bool) -> None:
    body = {"Cmd": ["sh", "-c", "echo up; cat; exit 5"], "AttachStdin": True, "AttachStdout": True}
    if at_once:
        with box.hijack("/pysup/containers/box/exec", body) as stream:
            wait_for_output(stream)
        exec_id = stream.exec
    else:
        exec_id = box.post("/containers/box/exec", body)["Id"]
        with box.hijack(f"/exec/{exec_id}/start", {}) as stream:
            wait_for_output(stream)
    assert any(box.get(f"/exec/{exec_id}/json")["ExitCode"] == 5 for _ in range(1000))


def test_an_exec_that_nobody_follows_reads_the_end_of_its_input(box: Client) -> None:
    exec_id = box.post("/containers/box/exec", {"Cmd": ["cat"], "AttachStdin": True})["Id"]
    box.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert any(box.get(f"/exec/{exec_id}/json")["ExitCode"] == 0 for _ in range(1000))


def test_an_engine_that_is_killed_breaks_it_off(box: Client, tidy: Daemon) -> None:
    with executed(box, "sh", "-c", "echo up; exec sleep 1000") as stream:
        wait_for_output(stream)
        os.kill(tidy.engine_pid, signal.SIGKILL)
        output(stream)
        assert stream.lost
    os.kill(row_of(tidy, stream)["pid"], signal.SIGKILL)


@pytest.mark.parametrize("tty", [False, True])
def test_what_nobody_follows_runs_on_when_the_engine_is_killed(box: Client, tidy: Daemon, tty: bool) -> None:
    tidy.pysup("exec", "box", "mkfifo", "/tmp/go", check=True)
    script = "read line < /tmp/go && head -c 300000 /dev/zero && exit 6"
    exec_id = box.post("/containers/box/exec", {"Cmd": ["sh", "-c", script], "Tty": tty})["Id"]
    box.post(f"/exec/{exec_id}/start", {"Detach": True, "Tty": tty})
    os.kill(tidy.engine_pid, signal.SIGKILL)
    tidy.pysup("exec", "box", "sh", "-c", "echo > /tmp/go", check=True)
    assert any(box.get(f"/exec/{exec_id}/json")["ExitCode"] == 6 for _ in range(1000))
