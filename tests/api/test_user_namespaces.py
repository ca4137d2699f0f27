"""User namespaces: files show with the container's own ids, and what a container has made stays with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from helpers.daemon import Daemon

pytestmark = pytest.mark.kernel

MAPPED = ("--uidmap", "0:100000:65536")
OTHER = ("--uidmap", "0:300000:65536")


def run(daemon: Daemon, *words: str) -> str:
    done = daemon.pysup("run", "--rm", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def links(daemon: Daemon, name: str) -> list[str]:
    """Of the user and network namespace of its first process."""
    pid = daemon.inspect(name)["State"]["Pid"]
    return [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("user", "net")]


def test_the_images_files_are_the_containers(shared: Daemon) -> None:
    """The host's program is root's inside; what is written over it belongs to the container's range outside."""
    script = "stat -c %u /usr/bin/true /usr /root; chown 33 /usr/bin/true; stat -c %u /usr/bin/true"
    shared.pysup("run", "--name", "files", *MAPPED, "host", "sh", "-ec", script, check=True)
    assert shared.pysup("logs", "files").stdout == "0\n0\n0\n33\n"
    written = shared.root / "containers" / str(shared.inspect("files")["Id"]) / "upper/usr/bin/true"
    assert (written.stat().st_uid, os.stat("/usr/bin/true").st_uid) == (100033, 0)
    shared.pysup("rm", "files", check=True)


def test_namespaces_and_the_overlay_stay_over_a_restart(shared: Daemon) -> None:
    flags = ("--restart", "on-failure", *MAPPED, "--network", "none")
    script = "readlink /proc/self/ns/user /proc/self/ns/net; [ -e /ran ] && exit 0; touch /ran; exit 1"
    shared.pysup("run", "-d", "--name", "again", *flags, "host", "sh", "-c", script, check=True)
    user, network, *rest = shared.pysup("logs", "-f", "again").stdout.splitlines()
    assert rest == [user, network], "the second run has the same two"
    assert shared.inspect("again")["RestartCount"] == 1
    shared.pysup("rm", "again", check=True)


def test_a_server_is_there_again_after_a_restart(shared: Daemon) -> None:
    """Bound to a port below 1024, by the container's root, in a network that it did not make in this run."""
    words = ("busybox", "httpd", "-f", "-p", "80", "-h", "/etc")
    shared.pysup("run", "-d", "--name", "web", "-h", "box", *MAPPED, "host", *words, check=True)
    before = links(shared, "web")
    ask = (
        "sh",
        "-c",
        "until busybox wget -qO- 127.0.0.1/hostname; do :; done; id -u; cat /proc/self/uid_map",
    )
    answer = shared.pysup("exec", "web", *ask, check=True).stdout.split()
    assert answer == ["box", "0", "0", "100000", "65536"]
    shared.pysup("restart", "-t", "0", "web", check=True)
    assert shared.pysup("exec", "web", *ask, check=True).stdout.split() == answer
    assert links(shared, "web") == before
    shared.pysup("rm", "-f", "web", check=True)


def test_volumes_hold_the_ids_of_containers(shared: Daemon) -> None:
    """Whatever their ranges are: what one writes as 33, the other, and one without a namespace, see as 33."""
    run(shared, *MAPPED, "-v", "ids:/v", "host", "sh", "-c", "echo one > /v/a; chown 33:44 /v/a")
    script = "stat -c '%u %g' /v /v/a; echo two >> /v/a; chown 0 /v/a"
    assert run(shared, *OTHER, "-v", "ids:/v", "host", "sh", "-ec", script) == "0 0\n33 44\n"
    assert run(shared, "-v", "ids:/v", "host", "stat", "-c", "%u", "/v", "/v/a") == "0\n0\n"
    assert (shared.root / "volumes/ids/_data/a").read_text() == "one\ntwo\n"


def test_a_part_of_a_volume_read_only(shared: Daemon) -> None:
    run(shared, "-v", "parts:/v", "host", "sh", "-c", "mkdir /v/in; echo x > /v/in/file; ln -s / /v/out")
    mount = "type=volume,src=parts,dst=/p,volume-subpath=in,readonly"
    assert (
        run(shared, *MAPPED, "--mount", mount, "host", "sh", "-c", "cat /p/file; touch /p/new || :") == "x\n"
    )
    refused = shared.pysup(
        "run", "--rm", *MAPPED, "--mount", "type=volume,src=parts,dst=/p,volume-subpath=no", "host", "true"
    )
    assert refused.returncode == 125 and "_data/no: no such file or directory" in refused.stderr.lower()


def test_a_directory_of_the_host_shows_its_ids_unless_asked(shared: Daemon, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/root").touch()
    script = "stat -c %u /d/root; touch /d/$0"
    bind = f"{tmp_path}/dir:/d"
    refused = shared.pysup("run", "--rm", *MAPPED, "-v", bind, "host", "sh", "-c", script, "plain")
    assert (refused.stdout, refused.returncode) == ("65534\n", 1)
    assert run(shared, *MAPPED, "-v", f"{bind}:idmap", "host", "sh", "-c", script, "mapped") == "0\n"
    assert (tmp_path / "dir/mapped").stat().st_uid == 0
    missing = f"{tmp_path}/new/er:/d"
    run(shared, *MAPPED, "-v", missing, "host", "touch", "/d/file")
    assert (tmp_path / "new/er").stat().st_uid == (tmp_path / "new/er/file").stat().st_uid == 100000


def test_a_set_uid_program_gains_no_more_than_the_containers_root(shared: Daemon) -> None:
    """It belongs to the range: who finds it on the host becomes nobody that matters."""
    script = "cp /bin/busybox /usr/local/su; chmod 4755 /usr/local/su; stat -c %a /usr/local/su"
    shared.pysup("run", "--name", "suid", *MAPPED, "host", "sh", "-ec", script, check=True)
    program = shared.root / "containers" / str(shared.inspect("suid")["Id"]) / "upper/usr/local/su"
    found = program.stat()
    assert found.st_mode & stat.S_ISUID and found.st_uid == 100000
    shared.pysup("rm", "suid", check=True)


# -- --userns auto -------------------------------------------------------------------------------------------


def uid_map(daemon: Daemon, *flags: str) -> list[int]:
    return [int(word) for word in run(daemon, *flags, "host", "cat", "/proc/self/uid_map").split()]


def test_each_container_has_ids_that_no_other_one_has(shared: Daemon) -> None:
    words = ("--userns", "auto:size=2000", "-v", "auto:/v", "host", "sh", "-c", "touch /v/$0; exec sleep 60")
    for name in ("one", "two"):
        shared.pysup("run", "-d", "--name", name, *words, name, check=True)
    rows = json.loads(shared.pysup("query", "--json", "select * from id_ranges").stdout)
    assert [row["container"] for row in rows] == ["one", "two"]
    assert rows[0]["last"] < rows[1]["start"] and rows[0]["size"] == 2000
    chosen = shared.inspect("two")["HostConfig"]
    assert chosen["UsernsMode"] == "auto:size=2000"  # type: ignore[index]
    assert chosen["Pysup"]["IdRange"] == {"Start": rows[1]["start"], "Size": 2000}  # type: ignore[index]
    assert shared.pysup("exec", "two", "stat", "-c", "%u", "/v/one", "/etc/passwd").stdout == "0\n0\n"
    pid = shared.inspect("two")["State"]["Pid"]
    assert os.stat(f"/proc/{pid}").st_uid == rows[1]["start"]
    shared.pysup("rm", "-f", "one", check=True)
    assert uid_map(shared, "--userns", "auto:size=2000") == [0, rows[0]["start"], 2000], "it is free again"
    shared.pysup("rm", "-f", "two", check=True)


def test_some_ids_may_be_the_hosts(shared: Daemon, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 1234, 1234)
    flags = ("--userns", "auto:uidmapping=1000:1234:1,gidmapping=1000:1234:1", "-u", "1000:1000")
    run(shared, *flags, "-v", f"{tmp_path}/home:/home", "host", "touch", "/home/file")
    assert (tmp_path / "home/file").stat().st_uid == 1234


def test_files_are_copied_with_the_containers_ids(shared: Daemon, tmp_path: Path) -> None:
    """While it rests, too: into the host image, whose further file systems are mounted after its root."""
    (tmp_path / "one").write_text("one\n")
    script = "cat /root/one; stat -c %u /root/one; chown 33 /root/one"
    shared.pysup("create", "--name", "copied", "--userns", "auto", "host", "sh", "-c", script, check=True)
    shared.pysup("cp", "-q", f"{tmp_path}/one", "copied:/root/one", check=True)
    assert shared.pysup("start", "-a", "copied", check=True).stdout == "one\n0\n"
    assert shared.pysup("diff", "copied").stdout == "C /root\nA /root/one\n"
    shared.pysup("rm", "copied", check=True)


def test_a_daemons_default(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--userns", "auto:size=3000", "--userns-pool", "500000:4000", apart=True) as daemon:
        assert uid_map(daemon) == [0, 500000, 3000]
        assert uid_map(daemon, "--userns", "host") == [0, 0, 4294967295]
        assert uid_map(daemon, *MAPPED) == [0, 100000, 65536]
        assert daemon.docker("run", "--rm", "host", "cat", "/proc/self/uid_map").stdout.split()[1] == "500000"
        refused = daemon.docker("run", "--rm", "--privileged", "host", "true")
        assert refused.returncode == 125 and "give --userns host" in refused.stderr
        assert run(daemon, "--privileged", "--userns", "host", "host", "id", "-u") == "0\n"
        assert "name=userns" in json.loads(
            daemon.docker("info", "--format", "{{json .SecurityOptions}}").stdout
        )
        daemon.pysup("create", "--name", "full", "host", "true", check=True)
        full = daemon.pysup("create", "host", "true")
        assert full.returncode == 1
        assert "no 3000 ids in a row are free for it in --userns-pool 500000:4000" in full.stderr
        daemon.pysup("create", "--userns", "host", "host", "true", check=True)


def test_a_file_system_without_idmapped_mounts_is_named(shared: Daemon, tmp_path: Path) -> None:
    """An overlay is none that the kernel can map: what is asked for is refused, or given up if that was asked for."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    enter = ["nsenter", "--mount", "--target", str(shared.pid)]
    subprocess.run([*enter, "mount", "-t", "overlay", "o", "-o", options, f"{tmp_path}/merged"], check=True)
    (tmp_path / "lower/bin").mkdir()
    shutil.copy("/bin/busybox", tmp_path / "lower/bin/cat")
    rootfs = ("--rootfs", f"{tmp_path}/merged")
    refused = shared.pysup("run", "--rm", "--userns", "auto", *rootfs, "cat", "/proc/self/uid_map")
    assert refused.returncode == 125
    assert f"cannot show {tmp_path}/merged with the ids of a user namespace" in refused.stderr
    assert "(overlay) has no idmapped mounts" in refused.stderr
    fallen = shared.pysup(
        "run", "--rm", "--userns", "auto:fallback=host", *rootfs, "cat", "/proc/self/uid_map"
    )
    assert fallen.stdout.split() == ["0", "0", "4294967295"]
    assert "no user namespace of its own: cannot show" in fallen.stderr
    plain = shared.pysup("run", "--rm", *MAPPED, *rootfs, "cat", "/proc/self/uid_map")
    assert plain.stdout.split() == ["0", "100000", "65536"], "--uidmap does with the host's ids"
    subprocess.run([*enter, "umount", f"{tmp_path}/merged"], check=True)


def test_what_is_made_stays_when_the_engine_is_killed(shared: Daemon) -> None:
    shared.pysup("run", "-d", "--name", "kept", "--userns", "auto", "host", "sleep", "60", check=True)
    before, rows = links(shared, "kept"), shared.pysup("query", "select * from id_ranges").stdout
    os.kill(shared.engine_pid, signal.SIGKILL)
    shared.pysup("exec", "kept", "sh", "-c", "kill -9 1 || :")
    shared.pysup("restart", "-t", "0", "kept", check=True)
    assert links(shared, "kept") == before
    assert shared.pysup("query", "select * from id_ranges").stdout == rows
    shared.pysup("rm", "-f", "kept", check=True)
