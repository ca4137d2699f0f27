"""Secrets: what a container gets, and that the value is nowhere else: no document, event, log, file or message."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import busybox

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

VALUE = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def clean(shared: Daemon) -> Iterator[None]:
    """No container and no secret, before and after."""
    yield
    shared.remove_containers()
    with closing(shared.client()) as client:
        for one in client.get("/pysup/secrets"):
            client.delete(f"/pysup/secrets/{one['Name']}")
    assert _rows(shared, "secret") == _rows(shared, "secret_use") == 0


def _rows(daemon: Daemon, table: str) -> int:
    with sqlite3.connect(daemon.root / "pysup.db") as conn:
        return len(conn.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 - names of our own


def make(daemon: Daemon, name: str = "token", value: str = VALUE) -> None:
    daemon.pysup("secret", "create", "--label", "a=1", name, "-", stdin=value.encode(), check=True)


def run(daemon: Daemon, *words: str) -> str:
    return daemon.pysup("run", "--rm", "--network", "none", *words, check=True).stdout


def found(place: Path, value: str) -> list[str]:
    """The files below a directory that hold a text, as it is or as JSON carries it."""
    texts = [value.encode(), base64.b64encode(value.encode()).rstrip(b"=")]
    files = [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(text in path.read_bytes() for text in texts)]


# -- in the container ----------------------------------------------------------------------------------------


def test_a_secret_is_a_read_only_file_on_a_tmpfs_of_the_containers_own(shared: Daemon) -> None:
    make(shared)
    script = (
        "cat /run/secrets/token; echo; stat -c '%a %u %g' /run/secrets/token; stat -f -c %T /run/secrets; "
        "touch /run/secrets/token /run/secrets/x 2>&1 | grep -c 'Read-only file system'"
    )
    out = run(shared, "--secret", "token", "host", "sh", "-c", script).split("\n")
    assert out == [VALUE, "444 0 0", "tmpfs", "2", ""]


def test_owner_mode_and_places_are_as_asked(shared: Daemon, tmp_path: Path) -> None:
    make(shared)
    file = tmp_path / "password"
    file.write_text("other")
    words = ["--secret", "token,uid=65534,gid=7,mode=0400,target=mine", "--secret", f"src={file}"]
    words += ["--secret", "token,target=/etc/app/key", "--user", "65534:65534"]
    script = (
        "cd /run/secrets; stat -c '%n %a %u %g' mine password /etc/app/key; cat mine password /etc/app/key"
    )
    out = run(shared, *words, "host", "sh", "-c", script)
    assert out == ("mine 400 65534 7\npassword 444 0 0\n/etc/app/key 444 0 0\n" + VALUE + "other" + VALUE)


def test_execs_see_it_and_a_private_user_namespace_has_it(shared: Daemon) -> None:
    make(shared)
    maps = ["--userns", "private", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
    words = ["--secret", "token,uid=33,mode=0400,target=/srv/key", "--user", "33"]
    assert run(shared, *maps, *words, "host", "cat", "/srv/key") == VALUE
    shared.pysup("run", "-d", "--name", "web", "--secret", "token", "host", "sleep", "60", check=True)
    assert shared.pysup("exec", "web", "cat", "/run/secrets/token").stdout == VALUE


def test_nothing_of_it_is_in_the_environment_or_in_an_open_file(shared: Daemon) -> None:
    make(shared)
    script = "cat /proc/1/environ /proc/self/environ /proc/1/cmdline | tr '\\0' '\\n'; ls /proc/1/fd"
    out = run(shared, "--secret", "token", "host", "sh", "-c", script)
    assert VALUE not in out
    assert out.split("\n")[-4:] == ["0", "1", "2", ""]


# -- nowhere else --------------------------------------------------------------------------------------------


def test_the_value_is_in_no_document_event_log_or_file(shared: Daemon, tmp_path: Path) -> None:
    make(shared)
    file = tmp_path / "own"
    file.write_text(VALUE)
    words = ["--secret", "token", "--secret", f"src={file},target=/key", "--restart", "always"]
    shared.pysup("run", "-d", "--name", "web", *words, "host", "sleep", "60", check=True)
    shared.pysup("restart", "-t", "0", "web", check=True)
    told = [
        shared.pysup("inspect", "web").stdout,
        shared.pysup("secret", "inspect", "token").stdout,
        shared.pysup("events", "--since", "1h", "--until", "0s", "--format", "json").stdout,
        shared.pysup("query", "--json", "select * from event").stdout,
        shared.pysup("query", "--json", "select config, host_config from container").stdout,
        shared.pysup("query", "--json", "select * from secrets").stdout,
        shared.pysup("logs", "web").stdout,
    ]
    assert not any(VALUE in text for text in told)
    assert found(shared.root, VALUE) == found(shared.run_dir, VALUE) == []
    assert VALUE not in shared.log.read_text()
    kept = json.loads(told[0])[0]["HostConfig"]["Pysup"]["Secrets"]
    assert kept[0] == {"Name": "token", "Target": "/run/secrets/token", "UID": 0, "GID": 0, "Mode": 0o444}


def test_the_key_is_a_private_file_beside_the_database(shared: Daemon) -> None:
    make(shared)
    key = (shared.root / "secret.key").stat()
    assert (stat.S_IMODE(key.st_mode), key.st_size, key.st_uid) == (0o600, 32, 0)


def test_bad_requests_are_refused_and_do_not_repeat_the_value(shared: Daemon) -> None:
    client = Client(f"unix://{shared.socket}")
    for entry, cause in (
        ({"Data": VALUE * 3 + "!", "Target": "x"}, "Data must be base64"),
        ({"Data": 5, "Target": "x"}, "Data must be base64"),
        ({"Name": "token", "Data": "eA=="}, "not both"),
        ({"Name": "token"}, "No such secret"),
        ({"Name": "../token"}, "a secret's name has"),
        ({"Name": "x", "Target": ".."}, "a file name or an absolute path"),
        ({"Name": "x", "Target": "/run/secrets/a/b"}, "has no directories"),
        ({"Name": "x", "Mode": 0o4755}, "within 0 and 0777"),
        ({"Name": "x", "UID": -1}, "is no id"),
        ({"Name": "x", "Value": VALUE}, "is not a setting of a secret"),
    ):
        body = {"Image": "host", "Cmd": ["true"], "HostConfig": {"Pysup": {"Secrets": [entry]}}}
        with pytest.raises(Exception, match=cause) as error:
            client.post("/containers/create", body)
        assert VALUE not in str(error.value)
    assert VALUE not in shared.log.read_text()
    assert shared.docker("ps", "-aq").stdout == ""


# -- rows ----------------------------------------------------------------------------------------------------


def test_a_used_secret_stays_and_its_user_is_named(shared: Daemon) -> None:
    make(shared)
    again = shared.pysup("secret", "create", "token", "-", stdin=b"x")
    missing = shared.pysup("run", "--rm", "--secret", "src=/nowhere", "host", "true")
    assert (missing.returncode, "cannot read the secret /nowhere: No such" in missing.stderr) == (125, True)
    assert (again.returncode, "there is one of this name" in again.stderr) == (1, True)
    shared.pysup("create", "--name", "web", "--secret", "token", "host", "true", check=True)
    refused = shared.pysup("secret", "rm", "token")
    assert (refused.returncode, "in use by container web" in refused.stderr) == (1, True)
    shared.pysup("rm", "web", check=True)
    assert shared.pysup("secret", "rm", "token").stdout == "token\n"
    assert "no such secret" in shared.pysup("secret", "inspect", "token").stderr


def test_dockers_own_secrets_are_a_swarms(shared: Daemon) -> None:
    make(shared)
    assert "not a swarm manager" in shared.docker("secret", "ls").stderr


def test_no_image_and_no_archive_takes_it_along(shared: Daemon, tmp_path: Path) -> None:
    make(shared)
    (tmp_path / "root.tar").write_bytes(busybox())
    shared.pysup("import", str(tmp_path / "root.tar"), "small", check=True)
    words = [
        "--secret",
        "token",
        "--secret",
        "token,target=/etc/key",
        "--name",
        "web",
        "small",
        "sleep",
        "60",
    ]
    shared.pysup("run", "-d", "--network", "none", *words, check=True)
    assert shared.pysup("exec", "web", "cat", "/etc/key").stdout == VALUE
    shared.pysup("commit", "web", "taken", check=True)
    for command in (("export", "web"), ("save", "taken")):
        done = subprocess.run(shared.command(*command), capture_output=True, check=True)
        assert VALUE.encode() not in done.stdout and len(done.stdout) > 1 << 20
    assert run(shared, "taken", "sh", "-c", "cat /etc/key; ls /run/secrets") == ""


def test_the_keys_of_the_daemon_are_hidden_where_the_machine_s_files_are_shown(tmp_path: Path) -> None:
    place = Path("/var/tmp") / f"pysup-{os.getpid()}"
    place.mkdir()
    key = place / "secret.key"
    try:
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        with Daemon(tmp_path, f"--secret-key={key}") as daemon:
            make(daemon)
            assert run(daemon, "--secret", "token", "host", "cat", "/run/secrets/token") == VALUE
            assert run(daemon, "host", "sh", "-c", f"cat {key}; ls {place}") == "secret.key\n"
            assert not (daemon.root / "secret.key").exists()
    finally:
        key.unlink()
        place.rmdir()


# -- across deaths -------------------------------------------------------------------------------------------


def test_secrets_survive_the_death_of_engine_and_daemon(tmp_path: Path) -> None:
    file = tmp_path / "own"
    file.write_text("mine")
    daemon = Daemon(tmp_path, apart=True)
    with daemon:
        make(daemon)
        words = ["--name", "web", "--stop-signal", "KILL", "--secret", "token", "--secret", f"src={file}"]
        daemon.pysup("run", "-d", *words, "host", "sleep", "1000", check=True)
        read = ("exec", "web", "cat", "/run/secrets/token", "/run/secrets/own")
        os.kill(daemon.engine_pid, signal.SIGKILL)
        assert daemon.pysup(*read).stdout == f"{VALUE}mine"
        daemon.pysup("restart", "-t", "0", "web", check=True)
        assert daemon.pysup(*read).stdout == f"{VALUE}mine"
        daemon.stop()
        daemon.start()
        daemon.pysup("start", "web", check=True)
        assert daemon.pysup(*read).stdout == f"{VALUE}mine"
        daemon.pysup("stop", "-t", "0", "web", check=True)
        (daemon.root / "secret.key").chmod(0o640)
        assert "is open to others" in daemon.pysup("start", "web").stderr
        (daemon.root / "secret.key").chmod(0o600)
        (daemon.root / "secret.key").write_bytes(bytes(32))
        assert "was not sealed with the key" in daemon.pysup("start", "web").stderr
        daemon.pysup("rm", "-f", "web", check=True)
        assert _rows(daemon, "secret") == 1
