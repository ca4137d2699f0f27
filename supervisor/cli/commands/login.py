"""``pysup login`` and ``logout``: who one is at a registry, kept where docker's tools look (docker_config.py)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pysup.supervisor.cli.connection import connect
from pysup.supervisor.cli.files import reading
from pysup.supervisor.cli.flags import Given, Syntax, UsageError, switch, text
from pysup.supervisor.cli.registries import docker_config
from pysup.supervisor.cli.registries.docker_config import Auth
from pysup.supervisor.errors import PysupError

_HUB = "docker.io"

LOGIN = Syntax(
    "login",
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry; to docker's hub if none is named",
    (
        text("password", "Password or personal access token", short="p"),
        switch("password-stdin", "Take the password from standard input"),
        text("username", "Username", short="u"),
    ),
    0,
    1,
)
LOGOUT = Syntax("logout", "[SERVER]", "Log out from a registry; from docker's hub if none is named", (), 0, 1)


def login(argv: Sequence[str]) -> int:
    """``pysup login``: keeps what the registry has accepted, and nothing else."""
    given = LOGIN.parse(argv)
    server = given.words[0] if given.words else _HUB
    auth = _typed(given, server) or docker_config.find(server) or _asked_for(given, server)
    answer = connect().post("/auth", {**auth, "serveraddress": docker_config.key_of(server)})
    token = answer.get("IdentityToken")
    if token and auth.get("username"):
        auth = {"username": auth["username"], "identitytoken": token}
    if "username" in auth and not docker_config.store(server, auth):
        print(f"WARNING! The password is kept unencrypted in {docker_config.path()}.", file=sys.stderr)
        print("A credential helper keeps it safe: credsStore in that file.", file=sys.stderr)
    print(answer.get("Status") or "Login Succeeded")
    return 0


def _typed(given: Given, server: str) -> Auth:
    """By flags; {} if none was given. Raises UsageError."""
    name, password = given.text("username"), given.text("password")
    if given.on("password-stdin"):
        if "password" in given.changed:
            raise UsageError("cannot log in: --password and --password-stdin are mutually exclusive", 1)
        if not name:
            raise UsageError("cannot log in: --password-stdin needs --username", 1)
        password = _from_stdin().removesuffix("\n").removesuffix("\r")
    elif password:
        print("WARNING! Others may see a --password: use --password-stdin.", file=sys.stderr)
    if not name and not password:
        return {}
    return _asked_for(given, server) if not (name and password) else {"username": name, "password": password}


def _from_stdin() -> str:
    try:
        return reading.rest_of(sys.stdin.buffer).decode()
    except ValueError as error:
        raise UsageError(f"cannot log in: cannot read the password: {error}", 1) from None


def _asked_for(given: Given, server: str) -> Auth:
    """By the person at the terminal. Raises PysupError if there is none."""
    from getpass import getpass

    name, password = given.text("username"), given.text("password")
    if not sys.stdin.isatty():
        raise PysupError(
            f"cannot log in to {server}: nobody is at a terminal to be asked (use --username and --password-stdin)"
        )
    try:
        name = name or input(f"Username for {server}: ").strip()
        password = password or getpass()
    except EOFError:
        name = ""
    if not name or not password:
        raise PysupError(f"cannot log in to {server}: a name and a password are needed")
    return {"username": name, "password": password}


def logout(argv: Sequence[str]) -> int:
    """``pysup logout``: no daemon is needed."""
    given = LOGOUT.parse(argv)
    server = docker_config.key_of(given.words[0] if given.words else _HUB)
    if docker_config.erase(server):
        print(f"Removing login credentials for {server}")
    else:
        print(f"Not logged in to {server}")
    return 0
