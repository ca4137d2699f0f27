"""Registries that want to know who asks: by a password (htpasswd), by tokens; docker's config.json and helpers."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from helpers.daemon import Daemon
from helpers.docker_configs import DockerConfig
from helpers.image_store import forget_images
from helpers.images import Image, layer, oci_archive
from helpers.registries import Registry
from helpers.terminals import Terminal
from helpers.tokens import TokenServer, User

pytestmark = pytest.mark.kernel

NAME, PASSWORD = "anna", "top: secret"
"""A password may have colons in it."""
AUTH = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
IMAGE = Image([layer(("file", {}, b"secret"))])

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("login"), "--max-download-attempts", "2") as started:
        yield started


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    yield shared
    forget_images(shared)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with a password."""
    directory = tmp_path_factory.mktemp("guarded")
    made = subprocess.run(["htpasswd", "-nbB", NAME, PASSWORD], capture_output=True, check=True)
    (directory / "htpasswd").write_bytes(made.stdout)
    auth = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    with Registry(directory, auth=auth) as started:
        yield started


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    users = {NAME: User(PASSWORD, ("pull", "push")), "reader": User("r", ("pull",))}
    with TokenServer(tmp_path_factory.mktemp("tokens"), users) as started:
        yield started


@pytest.fixture(scope="module")
def tokened(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Registry]:
    """A registry that believes the token server."""
    with Registry(tmp_path_factory.mktemp("tokened"), auth=tokens.auth) as started:
        yield started


@pytest.fixture
def config(tmp_path: Path) -> DockerConfig:
    return DockerConfig(tmp_path / "config")


@pytest.fixture(params=["docker", "pysup"])
def command(request: pytest.FixtureRequest, config: DockerConfig, daemon: Daemon) -> Command:
    """Either command line."""
    run = config.docker if request.param == "docker" else config.pysup
    return lambda *arguments, stdin="": run(daemon, *arguments, stdin=stdin)


def loaded(daemon: Daemon, name: str) -> str:
    daemon.pysup("load", stdin=oci_archive(Image(IMAGE.layers, names=[name])), check=True)
    return name


def log_in(command: Command, server: str, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    return command("login", "--username", NAME, "--password-stdin", server, stdin=f"{password}\n")


# -- by a password -------------------------------------------------------------------------------------------


def test_in_push_pull_and_out(
    daemon: Daemon, guarded: Registry, config: DockerConfig, command: Command
) -> None:
    name = loaded(daemon, f"{guarded.host}/private/app:1")
    refused = command("push", name)
    assert refused.returncode == 1 and "authentication required" in refused.stderr
    assert log_in(command, guarded.host).stdout == "Login Succeeded\n"
    assert config.document["auths"] == {guarded.host: {"auth": AUTH}}
    assert command("push", name).returncode == 0
    command("rmi", name)
    assert command("pull", name).returncode == 0
    out = command("logout", guarded.host)
    assert out.stdout == f"Removing login credentials for {guarded.host}\n" and out.returncode == 0
    assert not config.document.get("auths")
    command("rmi", name)
    assert "authentication required" in command("pull", name).stderr


def test_a_wrong_password_is_not_kept(guarded: Registry, config: DockerConfig, command: Command) -> None:
    refused = log_in(command, guarded.host, "wrong")
    assert refused.returncode == 1
    assert f"cannot log in to {guarded.host}: wrong name or password" in refused.stderr
    assert not config.document.get("auths")


def test_each_command_line_reads_what_the_other_wrote(
    daemon: Daemon, guarded: Registry, config: DockerConfig
) -> None:
    name = loaded(daemon, f"{guarded.host}/both:1")
    for writer, reader in ((config.docker, config.pysup), (config.pysup, config.docker)):
        assert log_in(lambda *a, w=writer, **k: w(daemon, *a, **k), guarded.host).returncode == 0
        assert reader(daemon, "push", name).returncode == 0
        assert reader(daemon, "logout", guarded.host).returncode == 0
        assert writer(daemon, "push", name).returncode == 1


@pytest.mark.parametrize("kind", ["credsStore", "credHelpers"])
def test_a_credential_helper_keeps_it(
    daemon: Daemon, guarded: Registry, config: DockerConfig, command: Command, kind: str
) -> None:
    kept = config.add_helper("tests") / f"kept-{guarded.host}"
    config.write({kind: "tests" if kind == "credsStore" else {guarded.host: "tests"}})
    name = loaded(daemon, f"{guarded.host}/helped:1")
    assert log_in(command, guarded.host).returncode == 0
    assert PASSWORD in kept.read_text() and PASSWORD not in str(config.document)
    assert config.document.get("auths", {}).get(guarded.host, {}) == {}
    assert command("push", name).returncode == 0
    assert command("logout", guarded.host).returncode == 0
    assert not kept.exists()


def test_what_is_wrong_with_a_login(daemon: Daemon, config: DockerConfig) -> None:
    for words, cause in (
        (["-u", "a"], "nobody is at a terminal"),
        (["--password-stdin"], "--password-stdin needs --username"),
        (["-u", "a", "-p", "b", "--password-stdin"], "mutually exclusive"),
        (["-u", "a", "-p", "b", "127.0.0.1:1"], "Connection refused"),
    ):
        refused = config.pysup(daemon, "login", *words)
        assert refused.returncode == 1 and cause in refused.stderr and refused.stdout == "", words
    config.write({"credsStore": "nosuch"})
    assert "docker-credential-nosuch: No such file" in config.pysup(daemon, "login", "x.example").stderr
    (config.directory / "config.json").write_text("{")
    assert "it is not JSON" in config.pysup(daemon, "pull", "x.example/y").stderr
    searched = config.docker(daemon, "search", "x")
    assert searched.returncode == 1 and "only docker's hub has a search" in searched.stderr


def test_somebody_at_a_terminal_is_asked(
    daemon: Daemon, guarded: Registry, config: DockerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(config.directory))
    terminal = Terminal(daemon.command("login", guarded.host))
    terminal.until(f"Username for {guarded.host}: ".encode())
    terminal.type(f"{NAME}\n".encode())
    terminal.until(b"Password: ")
    terminal.type(f"{PASSWORD}\n".encode())
    shown = terminal.until(b"Login Succeeded")
    assert PASSWORD.encode() not in shown and terminal.code() == 0
    assert config.document["auths"] == {guarded.host: {"auth": AUTH}}
    again = Terminal(daemon.command("login", guarded.host))
    again.until(b"Login Succeeded")
    assert again.code() == 0, "it knows who one is"


def test_docker_py_logs_in(daemon: Daemon, guarded: Registry, config: DockerConfig) -> None:
    name = loaded(daemon, f"{guarded.host}/sdk:latest")
    client = docker.DockerClient(base_url=f"unix://{daemon.socket}")
    with contextlib.closing(client):
        with pytest.raises(APIError, match="wrong name or password") as caught:
            client.login(NAME, "wrong", registry=guarded.host, dockercfg_path=str(config.directory))
        assert caught.value.response.status_code == 401
        answer = client.login(NAME, PASSWORD, registry=guarded.host, dockercfg_path=str(config.directory))
        assert answer == {"IdentityToken": "", "Status": "Login Succeeded"}
        assert "error" not in client.images.push(name)
        given = {"username": NAME, "password": PASSWORD}
        assert "error" not in client.images.push(name, auth_config=given)


# -- by tokens -----------------------------------------------------------------------------------------------


def test_an_identity_token_is_kept_instead_of_the_password(
    daemon: Daemon, tokened: Registry, tokens: TokenServer, config: DockerConfig, command: Command
) -> None:
    name = loaded(daemon, f"{tokened.host}/by/token:1")
    assert log_in(command, tokened.host).returncode == 0
    (entry,) = config.document["auths"].values()
    assert entry["identitytoken"] and PASSWORD not in base64.b64decode(entry["auth"]).decode()
    tokens.asked.clear()
    assert command("push", name).returncode == 0
    assert [(one.user, one.by_refresh) for one in tokens.asked] == [(NAME, True)], "one token for all of it"
    assert tokens.asked[0].scopes[0] == "repository:by/token:pull,push"
    command("rmi", name)
    assert command("pull", name).returncode == 0


def test_a_mount_asks_for_the_other_repository(
    daemon: Daemon, tokened: Registry, tokens: TokenServer, config: DockerConfig
) -> None:
    name = loaded(daemon, f"{tokened.host}/first:1")
    log_in(lambda *a, **k: config.pysup(daemon, *a, **k), tokened.host)
    config.pysup(daemon, "push", name)
    config.pysup(daemon, "tag", name, f"{tokened.host}/second:1")
    tokens.asked.clear()
    told = config.pysup(daemon, "push", f"{tokened.host}/second:1").stdout
    assert "Mounted from first" in told
    assert tokens.asked[0].scopes[:2] == ["repository:second:pull,push", "repository:first:pull"]


def test_who_may_only_read(daemon: Daemon, tokened: Registry, config: DockerConfig) -> None:
    name = loaded(daemon, f"{tokened.host}/read:1")
    log_in(lambda *a, **k: config.pysup(daemon, *a, **k), tokened.host)
    assert config.pysup(daemon, "push", name).returncode == 0
    reader = ("login", "-u", "reader", "-p", "r", tokened.host)
    assert config.pysup(daemon, *reader).returncode == 0
    assert config.pysup(daemon, "pull", name).returncode == 0
    refused = config.pysup(daemon, "push", name)
    assert refused.returncode == 1 and f"cannot push {name}: " in refused.stderr
    assert "authentication required" in refused.stderr or "access denied" in refused.stderr


def test_a_token_server_that_knows_nobody(daemon: Daemon, tokened: Registry, config: DockerConfig) -> None:
    refused = config.pysup(daemon, "login", "-u", "x", "-p", "y", tokened.host)
    cause = "wrong name or password: nobody of this name and password"
    assert refused.stderr.endswith(f"cannot log in to {tokened.host}: {cause}\n")
