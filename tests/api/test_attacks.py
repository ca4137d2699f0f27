"""A container, and files that it or an image made, against the daemon: each test performs an attack, and it fails.

Other attacks have files of their own: contrib/SECURITY.md lists all.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from helpers.daemon import Daemon, children
from helpers.terminals import Terminal

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError

pytestmark = pytest.mark.kernel

PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon, and a container ``box`` that stays."""
    with Daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        daemon.pysup("run", "-d", "--network", "none", "--name", "box", "host", "sleep", "1000", check=True)
        yield daemon
        daemon.pysup("rm", "-f", "box", check=True)


def run(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return daemon.pysup("run", "--rm", "--network", "none", *words)


def program(text: str) -> list[str]:
    """A Python program as a container's command."""
    return [PYTHON, "-c", textwrap.dedent(text)]


# -- an exec, while it joins ---------------------------------------------------------------------------------


def test_an_exec_joins_every_namespace_and_the_cgroup(shared: Daemon) -> None:
    look = "cd /proc/$1; for n in ns/*; do readlink $n; done; cat cgroup; grep -E 'Cap|Seccomp|NoNew' status"
    first = shared.pysup("exec", "box", "sh", "-c", look, "sh", "1", check=True).stdout
    own = shared.pysup("exec", "box", "sh", "-c", look, "sh", "self", check=True).stdout
    assert own == first
    host = {os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "ipc", "uts", "net", "cgroup")}
    assert host.isdisjoint(first.split())


def test_an_exec_leaves_no_descriptor_and_no_directory(shared: Daemon) -> None:
    look = "ls /proc/$$/fd; readlink /proc/$$/cwd"
    assert shared.pysup("exec", "box", "sh", "-c", look, check=True).stdout.split() == ["0", "1", "2", "/"]


def test_a_container_sees_nothing_of_a_process_that_joins_it(shared: Daemon) -> None:
    """What joins is a copy of the keeper until its program begins: memory, descriptors and program stay hidden."""
    spy = program(
        """
        import os, sys
        seen = set()
        print("watching", flush=True)
        while not os.path.exists("/tmp/stop"):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("mem", "environ", "maps", "fd", "exe", "cwd", "root"):
                    path = f"/proc/{pid}/{name}"
                    try:
                        if name in ("exe", "cwd", "root"):
                            seen.add(f"{name} {os.readlink(path)}")
                        elif name == "fd":
                            seen.update(f"fd {os.readlink(f'{path}/{fd}')}" for fd in os.listdir(path) if int(fd) > 2)
                        else:
                            with open(path, "rb") as file:
                                if name != "mem" and b"pysup" in file.read():
                                    seen.add(f"{name} of the keeper")
                    except OSError:
                        pass
        print("\\n".join(sorted(seen)))
        """
    )
    shared.pysup("run", "-d", "--network", "none", "--name", "spy", "host", *spy, check=True)
    while "watching" not in shared.pysup("logs", "spy").stdout:
        pass
    client = Client(f"unix://{shared.socket}")
    for _ in range(40):
        made = client.post("/containers/spy/exec", {"Cmd": ["/bin/true"]})["Id"]
        client.post(f"/exec/{made}/start", {"Detach": True})
    client.close()
    shared.pysup("exec", "spy", "touch", "/tmp/stop")  # which may end with its container
    shared.pysup("wait", "spy", check=True)
    seen = shared.pysup("logs", "spy").stdout.split("\n")
    shared.pysup("rm", "spy", check=True)
    ours = (sys.executable, os.path.realpath(sys.executable), "pysup", "memfd", str(shared.root))
    assert [line for line in seen if any(word in line for word in ours)] == []


# -- programs and files of the container's -------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_program_that_is_proc_self_exe_cannot_change_the_host_s_interpreter(
    shared: Daemon, verb: str
) -> None:
    """CVE-2019-5736: the interpreter of the keeper runs in the container then, and would write to itself."""
    before = Path(os.path.realpath(sys.executable)).read_bytes()
    script = (
        "import os\nfor flags in (os.O_WRONLY, os.O_RDWR | os.O_TRUNC):\n"
        " try: os.open('/proc/self/exe', flags); print('opened')\n except OSError as error: print(error.errno)\n"
    )
    if verb == "run":
        done = run(shared, "host", "/proc/self/exe", "-c", script)
    else:
        done = shared.pysup("exec", "box", "/proc/self/exe", "-c", script)
    assert "opened" not in done.stdout
    assert Path(os.path.realpath(sys.executable)).read_bytes() == before


def test_working_directories_by_descriptor_lead_nowhere(shared: Daemon) -> None:
    """CVE-2024-21626."""
    client = Client(f"unix://{shared.socket}")
    for number in range(3, 30):
        for place in (f"/proc/self/fd/{number}", f"/proc/1/fd/{number}", f"/proc/self/fd/{number}/.."):
            made = client.post("/containers/box/exec", {"Cmd": ["pwd"], "WorkingDir": place})["Id"]
            with pytest.raises(PysupError):
                client.post(f"/exec/{made}/start", {"Detach": True})
    client.close()
    for number in (3, 5, 7, 9):
        assert run(shared, "-w", f"/proc/self/fd/{number}", "host", "pwd").returncode in (126, 127, 128)


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "link out", "endless"])
def test_passwd_and_group_of_a_container_may_be_anything(shared: Daemon, kind: str) -> None:
    made = {
        "fifo": "mkfifo /etc/passwd /etc/group",
        "device": "ln -s /dev/zero /etc/passwd; ln -s /dev/zero /etc/group",
        "directory": "mkdir /etc/passwd /etc/group",
        "link out": "ln -s /proc/1/root/../../etc/passwd /etc/passwd; ln -s /proc/self/fd/0 /etc/group",
        "endless": "yes x:x | head -c 30000000 > /etc/passwd; ln -s passwd /etc/group",
    }[kind]
    name = f"odd-{kind.replace(' ', '-')}"
    shared.pysup("run", "-d", "--network", "none", "--name", name, "host", "sleep", "1000", check=True)
    shared.pysup("exec", name, "sh", "-c", f"rm /etc/passwd /etc/group; {made}", check=True)
    assert shared.pysup("exec", "-u", "7:8", name, "id", "-u", timeout=20).stdout == "7\n"
    assert shared.pysup("exec", "-u", "somebody", name, "id", timeout=20).returncode == 126
    shared.pysup("rm", "-f", name, check=True)


def test_copying_for_a_user_opens_no_passwd_that_is_no_file(shared: Daemon, tmp_path: Path) -> None:
    """The daemon is under no devices controller, and to open a device can be enough: a watchdog starts."""
    watch = program(
        """
        import ctypes, os, signal
        libc, opened = ctypes.CDLL(None), 0x20
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.remove("/etc/passwd")
        os.mkfifo("/etc/passwd")
        events = libc.inotify_init1(os.O_NONBLOCK)
        libc.inotify_add_watch(events, b"/etc/passwd", opened)
        print("watching", flush=True)
        signal.sigwait([signal.SIGUSR1])
        def seen():
            try:
                return len(os.read(events, 4096)) > 0
            except BlockingIOError:
                return False
        print(seen())
        os.open("/etc/passwd", os.O_RDONLY | os.O_NONBLOCK)
        print(seen())
        """
    )
    shared.pysup("run", "-d", "--network", "none", "-u", "0", "--name", "watch", "host", *watch, check=True)
    while "watching" not in shared.pysup("logs", "watch").stdout:
        pass
    (tmp_path / "file").touch()
    shared.pysup("cp", "-a", str(tmp_path / "file"), "watch:/tmp/copied", check=True)
    shared.pysup("kill", "-s", "USR1", "watch", check=True)
    shared.pysup("wait", "watch", check=True)
    assert shared.pysup("logs", "watch").stdout == "watching\nFalse\nTrue\n"
    shared.pysup("rm", "watch", check=True)


def test_names_and_output_do_not_write_to_the_terminal_of_who_looks(shared: Daemon) -> None:
    """Escape sequences in a command line, in the name of a process."""
    evil = (
        "import ctypes, time; ctypes.CDLL(None).prctl(15, b'a) S 1\\n\\x1b[31m'); print('set', flush=True); "
        "time.sleep(99)"
    )
    words = ["--name", "evil", "host", PYTHON, "-c", evil, "\x1b[31m\nx"]
    shared.pysup("run", "-d", "--network", "none", *words, check=True)
    while "set" not in shared.pysup("logs", "evil").stdout:
        pass
    for command in (["ps", "--no-trunc"], ["top", "evil"], ["inspect", "evil"], ["ps", "--format", "json"]):
        done = shared.pysup(*command)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout, command
    shared.pysup("rm", "-f", "evil", check=True)


def test_nor_do_names_of_files_labels_and_errors(shared: Daemon) -> None:
    """What a terminal would obey is shown as signs; a pipe gets what it is, but for errors."""
    signs = "\x1b\x07\x9b\u202e"
    evil = f"owned{signs}"
    words = (
        "--name",
        "evil",
        "--label",
        f"{evil}={evil}",
        "host",
        "sh",
        "-c",
        'touch "/usr/$0"; : "$0"',
        evil,
    )
    shared.pysup("run", "-d", "--network", "none", *words, check=True)
    shared.pysup("wait", "evil", check=True)
    events = ("events", "--since", "1h", "--until", "0s")
    for command in (
        ["diff", "evil"], ["inspect", "-f", "{{.Config.Labels}} {{.Config.Cmd}}", "evil"], [*events],
        ["ps", "-a", "--format", "{{.Labels}}"], ["ps", "-a", "--no-trunc", "--format", "json"],
        ["query", "--csv", "select config from container"], [*events, "--format", "json"],
    ):  # fmt: skip
        terminal = Terminal(shared.command(*command), rows=30, columns=100)
        with contextlib.suppress(OSError):
            terminal.until(b"never shown")
        assert terminal.code() == 0
        assert set(signs).isdisjoint(terminal.shown.decode()) and b"owned" in terminal.shown, command
    assert evil in shared.pysup("diff", "evil").stdout
    for command in (["run", "--rm", "host", evil], ["cp", f"evil:/{evil}", "/nowhere"], ["rm", evil], [evil]):
        told = shared.pysup(*command).stderr
        assert set(signs).isdisjoint(told) and "owned" in told, command
    shared.pysup("rm", "evil", check=True)


@pytest.mark.parametrize("depth", [100, 400, 940, 960, 975, 990, 5000])
def test_a_document_of_many_levels(shared: Daemon, depth: int) -> None:
    """Whatever it is put into: it is read, and can be shown, or is refused."""
    inner = '{"a":' * depth + "1" + "}" * depth
    bodies = [f'{{"Image":"host","{name}":{inner}}}' for name in ("Unknown", "Labels", "Env", "Healthcheck")]
    found = [answer(shared, "POST", "/containers/create", body) for body in bodies]
    assert all("400 " in one and "is not JSON" in one for one in found), found
    told = answer(shared, "GET", f"/images/get?names=host&platform={quote(inner)}")
    assert ("400 " in told and "cannot use platform" in told) or "431 " in told


def answer(daemon: Daemon, method: str, path: str, body: str = "") -> str:
    """What comes to a request that no client would make."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(daemon.socket))
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        with sock.makefile("rb") as file:
            return file.read().decode()


@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "unconfined"])
def test_no_release_agent_is_written(shared: Daemon, filtered: bool) -> None:
    """CVE-2022-0492: where cgroups are mounted, and in a hierarchy mounted in further user and cgroup namespaces."""
    script = """
        for file in /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/notify_on_release /sys/fs/cgroup/*/cgroup.procs
        do test -e "$file" && echo seen && sh -c 'echo 1 > "$0"' "$file" && echo wrote "$file"; done
        mount -o remount,rw /sys/fs/cgroup && echo wrote mount
        mkdir /tmp/own
        unshare --user --map-root-user --mount --cgroup sh -c '
            for name in memory pids devices; do
                mount -t cgroup -o $name none /tmp/own || continue
                echo mounted
                echo /tmp/program > /tmp/own/release_agent && echo wrote release_agent
                umount /tmp/own
            done'
        exit 0
        """
    words = [] if filtered else ["--security-opt", "seccomp=unconfined"]
    said = run(shared, *words, "host", "sh", "-c", textwrap.dedent(script)).stdout
    first = Path("/sys/fs/cgroup/memory").is_dir()
    assert "wrote" not in said
    assert ("seen" in said, "mounted" in said) == (first, first and not filtered), (
        "what the attack needs is there"
    )


def test_keys_are_the_container_s_own(shared: Daemon) -> None:
    """With the filter off, so that keyctl(2) is reached at all: no session keyring is shared."""
    show = program(
        """
        import ctypes, platform
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
        print(libc.syscall(number, 0, -3, 0, 0, 0))
        """
    )
    own = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    words = ["--security-opt", "seccomp=unconfined", "host", *show]
    found = [run(shared, *words).stdout for _ in range(3)]
    assert len({own, *found}) == 4


# -- what lies on the host's disk ----------------------------------------------------------------------------


def test_nobody_but_root_gets_at_what_is_in_a_container(shared: Daemon) -> None:
    """CVE-2021-41091: a set-uid program in a layer is out of reach of the host's users."""
    shared.pysup("exec", "box", "sh", "-c", "cp /bin/true /su; chmod 4755 /su", check=True)
    (program_file,) = (shared.root / "containers").glob("*/upper/su")
    assert program_file.stat().st_mode & 0o7777 == 0o4755
    modes = {path: path.stat().st_mode & 0o7777 for path in (shared.root, shared.root / "pysup.db")}
    assert modes[shared.root] & 0o007 == 0, oct(modes[shared.root])
    reached = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "cat",
            str(shared.root / "pysup.lock"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert reached.returncode != 0 and "Permission denied" in reached.stderr


def test_the_daemon_listens_nowhere_but_at_its_socket(shared: Daemon) -> None:
    """No abstract name that a container in the host's network would reach (CVE-2020-15257), no second socket."""
    inodes = set()
    for pid in (shared.pid, shared.engine_pid, *children(shared.engine_pid)):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a file that is closed meanwhile
                link = os.readlink(entry)
                inodes |= {link[8:-1]} if link.startswith("socket:[") else set()
    rows = [line.split() for line in Path(f"/proc/{shared.pid}/net/unix").read_text().splitlines()[1:]]
    named = {row[7] for row in rows if len(row) > 7 and row[6] in inodes}
    assert named == {str(shared.socket)}


@pytest.mark.parametrize("kind", ["link", "fifo", "magic link", "directory of links"])
def test_a_log_cannot_be_led_elsewhere(shared: Daemon, tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    words = ["--network", "none", "--name", "logged", "host", "sh", "-c", "echo written"]
    assert shared.pysup("run", *words, check=True).stdout == "written\n"
    made = shared.pysup("inspect", "-f", "{{.Id}}", "logged", check=True).stdout.strip()
    logs = shared.root / "containers" / made / "logs"
    if kind == "directory of links":
        logs.rename(tmp_path / "logs")
        logs.symlink_to(tmp_path)
    for name in ("00000000.log", "00000000.idx", "00000001.log", "00000001.idx"):
        place = logs / name
        place.unlink(missing_ok=True)
        {
            "link": lambda place=place: place.symlink_to(victim),
            "fifo": lambda place=place: os.mkfifo(place),
            "magic link": lambda place=place: place.symlink_to("/proc/self/fd/0"),
            "directory of links": lambda place=place: place.symlink_to(victim),
        }[kind]()
    done = shared.pysup("start", "-a", made, timeout=30)
    assert done.returncode != 0 or done.stdout == "written\n"
    assert victim.read_text() == "as it was"
    assert shared.pysup("ps", "-q", timeout=20).returncode == 0
    shared.pysup("rm", "-f", made, check=True)
    assert victim.read_text() == "as it was"


@pytest.mark.parametrize("prints", [True, False])
def test_who_reads_a_log_that_was_led_elsewhere_is_told_so(
    shared: Daemon, tmp_path: Path, *, prints: bool
) -> None:
    """And everything else of its container works: an answer that was broken off would be asked for for ever."""
    program = "echo written; sleep 1000" if prints else "sleep 1000"
    words = ["--network", "none", "--name", "logged", "host", "sh", "-c", program]
    made = shared.pysup("run", "-d", *words, check=True).stdout.strip()
    logs = shared.root / "containers" / made / "logs"
    if prints:
        follower = subprocess.Popen(shared.command("logs", "-f", made), stdout=subprocess.PIPE)
        assert follower.stdout is not None and follower.stdout.readline() == b"written\n"
        follower.kill()
        follower.communicate()
        logs.rename(tmp_path / "logs")
    logs.symlink_to(tmp_path / "logs")
    for command in (("logs",), ("logs", "-f"), ("attach", "--no-stdin")):
        done = shared.pysup(*command, made, timeout=30)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "pysup: cannot open the log of container logged: Not a directory\n"
    assert shared.inspect(made)["LogPath"] == ""
    shared.pysup("rm", "-f", made, check=True)


ODD = (
    "..",
    ".",
    "../box",
    "..%2fbox",
    "%2e%2e%2fbox",
    "a/../../b",
    "x" * 300,
    "\x00",
    "\n",
    "a;b",
    "' or 1=1 --",
    "\ud83d\ude00",
)


def _refusal(client: Client, method: str, path: str, body: object, query: dict[str, str] | None) -> str:
    try:
        getattr(client, method)(path, body, query=query)
    except PysupError as error:
        return str(error)
    return ""


def test_names_are_names_and_nothing_else(shared: Daemon) -> None:
    """No path and no SQL is made of a name that does not fit the grammar; none is a server's error."""
    client = Client(f"unix://{shared.socket}")
    before = sorted(path.name for path in shared.root.iterdir())
    for odd in ODD:
        for method, path, body, query in (
            ("post", "/containers/create", {"Image": "host", "Cmd": ["true"]}, {"name": odd}),
            ("post", "/volumes/create", {"Name": odd}, None),
            ("post", "/networks/create", {"Name": odd}, None),
            ("post", "/pysup/secrets/create", {"Name": odd, "Data": "eA=="}, None),
            ("post", "/images/host/tag", None, {"repo": odd, "tag": odd}),
            ("post", "/containers/box/rename", None, {"name": odd}),
            ("post", "/containers/create", {"Image": odd, "Cmd": ["true"]}, None),
            ("post", "/containers/create", {"Image": "host", "HostConfig": {"Binds": [f"{odd}:/x"]}}, None),
        ):
            assert "internal error" not in _refusal(client, method, path, body, query), (odd, path)
    for row in client.get("/containers/json", query={"all": "1"}):
        if row["Names"] != ["/box"]:
            client.delete(f"/containers/{row['Id']}")
    for row in client.get("/networks"):
        if row["Name"] not in ("bridge", "host", "none"):
            client.delete(f"/networks/{row['Id']}")
    for row in client.get("/volumes")["Volumes"] or []:
        assert "/" not in row["Name"] and not row["Name"].startswith(".")
        client.delete(f"/volumes/{row['Name']}")
    client.close()
    assert json.loads(shared.pysup("query", "--json", "select name from container where name = 'box'").stdout)
    assert sorted(path.name for path in shared.root.iterdir()) == before
