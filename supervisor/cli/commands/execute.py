"""``pysup exec``: another process in a running container."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pysup.supervisor.cli import kinds, tty
from pysup.supervisor.cli.connection import Client, connect, path
from pysup.supervisor.cli.failures import as_run_failure
from pysup.supervisor.cli.flags import BAD_WORDS, Given, Syntax, many, switch, text
from pysup.supervisor.cli.options import kvfile
from pysup.supervisor.cli.sessions import attached, detach
from pysup.supervisor.cli.sessions.session import Detached, Plan, Session
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import PysupError

EXECUTE = Syntax(
    "exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    (
        switch("detach", "Detached mode: run command in the background", short="d"),
        text("detach-keys", "Override the key sequence for detaching a container"),
        many("env", "Set environment variables", short="e", kind=kinds.ENV),
        many("env-file", "Read in a file of environment variables"),
        switch("interactive", "Keep STDIN open even if not attached", short="i"),
        switch("privileged", "Give extended privileges to the command"),
        switch("tty", "Allocate a pseudo-TTY", short="t"),
        text("user", 'Username or UID (format: "<name|uid>[:<group|gid>]")', short="u"),
        text("workdir", "Working directory inside the container", short="w"),
    ),
    2,
    None,
    interspersed=False,
)


def execute(argv: Sequence[str]) -> int:
    """``pysup exec``."""
    given = EXECUTE.parse(argv)
    detached = given.on("detach")
    body = _body(given)
    if not detached:
        attached.check_terminal(tty=given.on("tty"), stdin=given.on("interactive"))
    detach.parse(given.text("detach-keys"))
    client, where = connect(), path(given.words[0], "exec")
    if detached:
        return _begin(client, where, body)
    with as_run_failure(BAD_WORDS):  # docker's code, too, where there is no such container or it does not run
        return _follow(client, where, body, given)


def _begin(client: Client, where: str, body: dict[str, Any]) -> int:
    """Nobody waits for its end, so no code is the program's: 1 if it cannot be executed, as docker's."""
    identity = client.post(where, body)["Id"]
    try:
        client.post(f"/exec/{identity}/start", {"Detach": True, "Tty": body["Tty"]})
    except PysupError as error:
        raise PysupError(str(error)) from None
    return 0


def _body(given: Given) -> dict[str, Any]:
    detached = given.on("detach")
    body = {
        "AttachStdin": given.on("interactive") and not detached,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "Cmd": given.words[1:],
        "Detach": detached,
        "DetachKeys": given.text("detach-keys"),
        "Privileged": given.on("privileged"),
        "Env": kvfile.environment(given.many("env-file"), given.many("env")),
        "Tty": given.on("tty"),
        "User": given.text("user"),
        "WorkingDir": given.text("workdir"),
    }
    now = tty.size() if given.on("tty") else None
    return body | ({"ConsoleSize": list(now)} if now else {})


def _follow(client: Client, where: str, body: dict[str, Any], given: Given) -> int:
    """All in one exchange (POST /pysup/containers/{id}/exec)."""
    with client.hijack(f"/pysup{where}", body) as stream:
        plan = Plan(
            tty=given.on("tty"),
            stdin=given.on("interactive"),
            detach_keys=given.text("detach-keys"),
            resize=attached.resizer(client, f"/exec/{stream.exec}"),
        )
        try:
            with Session(stream, plan) as session:
                session.run()
        except Detached:
            return attached.told_to_leave()
        if stream.lost:  # what the process wrote last went with the engine, whatever has become of it
            raise Lost
        return int(stream.end["ExitCode"])
