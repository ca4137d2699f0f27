"""An ordinary user: real ids, a home, entries in /etc/passwd and /etc/subuid, all in a mount namespace of the test's.

Nothing of the machine's is changed: /etc is a copy there, and Python, which may lie in root's home, is bound to a
place that everybody can reach. /dev/net/tun, if there is one, is everybody's, as on a machine with udev.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from helpers import own_network

REPOSITORY = Path(__file__).parents[2]
_UIDS = range(30_000, 60_000)
"""Each user has an id of his own, and further ones: what runs with them is his, and is ended with him."""
_SETTLES = 20.0
_SETUP = """
set -e
cd "$1"
cp -a /etc etc
echo "someone:x:$2:$2::$1/home:/bin/sh" >> etc/passwd
echo "someone:x:$2:" >> etc/group
if [ "$3" ]; then echo "someone:$3" | tee -a etc/subuid >> etc/subgid; fi
mkdir python repository site home run
mount --bind etc /etc
mount --bind "$4" python
mount --bind "$5" repository
mount --bind "$6" site
chown "$2:$2" home run
chmod 700 home run
if [ -d /dev/net ]; then  # the guest's kernel has no tun
    mount -t tmpfs none /dev/net
    mknod -m 666 /dev/net/tun c 10 200
fi
echo ready
exec sleep infinity
"""


class RootlessUser:
    """``with RootlessUser() as user``: commands by sh(); his daemon is started by the first that needs one."""

    def __init__(self, *, subordinate: bool = True, cgroup: Path | None = None) -> None:
        """``subordinate``: /etc/subuid gives him 65536 ids, from ``first`` on; ``cgroup``: what commands run in."""
        self.uid = secrets.choice(_UIDS)  # another run of these tests may be under way
        self.first = self.uid << 16
        self._subordinate = f"{self.first}:65536" if subordinate else ""
        self._cgroup = cgroup
        self.directory = Path(tempfile.mkdtemp(prefix="pysup-user-", dir="/run"))
        self.directory.chmod(0o755)
        self.root = self.directory / "home/.local/share/pysup"
        self.socket = self.directory / "run/pysup/pysup.sock"

    def __enter__(self) -> RootlessUser:
        own_network.enter()
        arguments = [
            self.directory,
            self.uid,
            self._subordinate,
            sys.base_prefix,
            REPOSITORY,
            sysconfig.get_path("purelib"),
        ]
        self._holder = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                _SETUP,
                "sh",
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                sys.stderr.write(self.log()[-20000:])
            self.stop()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            self._holder.kill()
            self._holder.wait()
            assert self._holder.stdout is not None
            self._holder.stdout.close()
            shutil.rmtree(self.directory)

    # -- use -------------------------------------------------------------------------------------------------

    def sh(self, script: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        """Run a script as the user; ``pysup`` is on its path."""
        home = str(self.directory)
        environment = {
            "HOME": f"{home}/home",
            "XDG_RUNTIME_DIR": f"{home}/run",
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "PYTHONPATH": f"{home}/repository/contrib/dev:{home}/site",
            "LD_LIBRARY_PATH": f"{home}/python/lib",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        python = f"{home}/python/bin/{os.path.basename(os.path.realpath(sys.executable))}"
        pysup = f'pysup() {{ {python} -m pysup.supervisor.cli.main "$@"; }}\n'
        join = f"echo $$ > {self._cgroup}/cgroup.procs; " if self._cgroup else ""
        user = f'{join}exec /usr/bin/setpriv --reuid {self.uid} --regid {self.uid} --clear-groups env -i "$@"'
        done = subprocess.run(
            ["nsenter", "--mount", "--target", str(self._holder.pid), "sh", "-c", user, "sh",
             *(f"{name}={value}" for name, value in environment.items()),
             "sh", "-c", pysup + script, "sh", *arguments],
            input=stdin, capture_output=True, timeout=120, check=False, cwd="/",
        )  # fmt: skip
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def ok(self, script: str, *arguments: str, stdin: bytes = b"") -> str:
        """The output of a script that works."""
        done = self.sh(script, *arguments, stdin=stdin)
        assert done.returncode == 0, (script, done.stdout, done.stderr, self.log())
        return done.stdout

    # -- the daemon ------------------------------------------------------------------------------------------

    @property
    def keeper(self) -> int:
        """The pid of the daemon, as its lock file says."""
        return int((self.root / "pysup.lock").read_text())

    def stop(self) -> None:
        """End the daemon as init would."""
        if not self.socket.exists():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.keeper, signal.SIGTERM)
        self.gone()

    def gone(self) -> None:
        """Wait until nothing of the daemon runs, or listens."""
        deadline = time.monotonic() + _SETTLES
        while self.socket.exists() and self.daemons():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def daemons(self) -> Sequence[int]:
        """Pids of keeper and engine."""
        return [pid for pid, words in self._commands() if b"pysup.supervisor" in words]

    def processes(self, word: bytes = b"") -> list[int]:
        """Pids of all that run as the user or one of his further ids, zombies aside, with a word in their command."""
        return [pid for pid, words in self._commands() if word in words]

    def _commands(self) -> Iterator[tuple[int, bytes]]:
        own = {self.uid, *(range(self.first, self.first + 65536) if self._subordinate else ())}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                real = int((entry / "status").read_text().partition("Uid:\t")[2].split()[0])
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if real in own and state != "Z":
                    yield int(entry.name), (entry / "cmdline").read_bytes()

    def log(self) -> str:
        """What the daemon has logged."""
        path = self.directory / "run/pysup/daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""
