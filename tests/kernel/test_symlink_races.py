"""Links that are exchanged while paths are looked up: two thousand tries, and none gets out.

The attacker is a process of its own that swaps a directory and a link without a pause (renameat2, RENAME_EXCHANGE).
Most tries are those of the look-up itself, which is what volumes, working directories and execs have in common; the
others go through the API, from a volume that two containers share. Compare CVE-2021-30465, CVE-2017-1002101.
"""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.daemon import Daemon
from helpers.images import layer

from pysup.supervisor.client.sync import Client
from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper.steps import binds, lookup, process
from pysup.supervisor.keeper.steps.context import Context, StepError
from pysup.supervisor.keeper.system import System

pytestmark = pytest.mark.kernel

SWAPPER = Path(__file__).parent.parent / "helpers" / "swapper.py"
TRIES = int(os.environ.get("PYSUP_TORTURE_ROUNDS", "300"))
STARTS = TRIES // 12


@contextmanager
def swapping(place: Path, target: str) -> Iterator[None]:
    """While the block runs, ``place/x`` is now a directory, now a link to ``target``."""
    place.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, str(SWAPPER), str(place), target, "x"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"swapping\n"
        try:
            yield
        finally:
            (place / "stop").touch()
            process.wait(30)
            (place / "stop").unlink()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host's that nobody may reach."""
    place = tmp_path / "outside"
    (place / "sub").mkdir(parents=True)
    (place / "host").write_text("host")
    return place


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """That of a child, with a container's root."""
    root = tmp_path / "root"
    root.mkdir()
    made = Context(System(), {})
    made.root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    yield made
    os.close(made.root)


def contents(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def attempts(found: list[str]) -> Iterator[int]:
    """TRIES, and more until one has found something: the attacker may sleep while the link is in place."""
    for number in range(100 * TRIES):
        if number >= TRIES and found:
            return
        yield number


Find = Callable[[Context, int], int]
WAYS: dict[str, Find] = {
    "a mount's directory": lambda context, number: lookup.directory(context, f"/v/x/made{number}/deep"),
    "a mount's file": lambda context, number: lookup.file(context, f"/v/x/file{number}"),
    "a working directory": lambda context, _number: lookup.existing(context, "/v/x/sub"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("leads", ["absolute", "relative"])
def test_no_look_up_leaves_the_root(
    context: Context, tmp_path: Path, outside: Path, way: str, leads: str
) -> None:
    before = contents(outside)
    target = str(outside) if leads == "absolute" else "../../outside"
    found: list[str] = []
    with swapping(tmp_path / "root" / "v", target):
        for number in attempts(found):
            try:
                fd = WAYS[way](context, number)
            except (OSError, StepError):
                continue
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
            os.close(fd)
    assert [place for place in found if not place.startswith(f"{tmp_path}/root/")] == []
    assert contents(outside) == before
    assert found  # the attack did not merely make everything fail


def test_no_subpath_of_a_volume_leaves_the_volume(tmp_path: Path, outside: Path) -> None:
    volume, found = tmp_path / "volume", list[str]()
    context = Context(System(), {})
    with swapping(volume, str(outside)):
        for _ in attempts(found):
            try:
                tree = binds._copy_of(context, str(volume), {"subpath": "x"})
            except StepError:
                continue
            found += os.listdir(f"/proc/self/fd/{tree}")
            os.close(tree)
    assert set(found) == {"sub"}


def test_no_working_directory_is_left_behind(context: Context, tmp_path: Path, outside: Path) -> None:
    here = os.getcwd()
    try:
        with swapping(tmp_path / "root" / "v", str(outside)):
            for _ in range(TRIES):
                try:
                    process.workdir(context, "/v/x/sub", False)
                except (OSError, StepError):
                    continue
                assert os.getcwd().startswith(f"{tmp_path}/root/")
    finally:
        os.chdir(here)


@pytest.fixture
def attacked(tmp_path: Path, outside: Path) -> Iterator[Daemon]:
    """A daemon, and a volume ``shared`` in which a container swaps a directory and a link that leads outside."""
    before = contents(outside)
    with Daemon(tmp_path / "d") as daemon:
        attacker = ["-v", "shared:/v", "-v", f"{SWAPPER}:/swapper.py:ro", "--name", "attacker"]
        words = ["host", "/usr/bin/python3", "/swapper.py", "/v", str(outside), "x"]
        daemon.pysup("run", "-d", "--network", "none", *attacker, *words, check=True)
        while "swapping" not in daemon.pysup("logs", "attacker").stdout:
            pass
        victim = ["--network", "none", "--name", "victim", "-v", "shared:/v", "host", "sleep", "600"]
        daemon.pysup("run", "-d", *victim, check=True)
        yield daemon
        daemon.pysup("rm", "-f", "attacker", "victim", check=True)
    assert contents(outside) == before
    assert (outside / "host").read_text() == "host"


@pytest.fixture
def client(attacked: Daemon) -> Iterator[Client]:
    made = Client(f"unix://{attacked.socket}")
    yield made
    made.close()


def test_containers_that_share_a_volume_with_an_attacker(client: Client) -> None:
    """Mount targets, subpaths, working directories, secrets and execs."""
    ends = {_mounted(client, number) for number in range(STARTS)}
    ends |= {_subpath(client) for _ in range(STARTS)}
    ends |= {_executed(client, "victim") for _ in range(STARTS)}
    ends |= {_started_in(client) for _ in range(STARTS)}
    ends |= {_with_a_secret(client, number) for number in range(STARTS)}
    assert ends <= {"inside", "refused"}
    assert "inside" in ends


@pytest.mark.parametrize("state", ["runs", "rests"])
def test_copies_from_and_into_a_volume_of_an_attacker(attacked: Daemon, client: Client, state: str) -> None:
    """CVE-2018-15664, through the API, where links of a volume and of the helper's own view meet."""
    name = "victim"
    if state == "rests":
        name = "resting"
        attacked.pysup("create", "--name", name, "-v", "shared:/v", "host", "true", check=True)
    seen = {_copied_out(client, name, number) for number in range(2 * STARTS)}
    seen |= {_copied_in(client, name, number) for number in range(2 * STARTS)}
    assert seen <= {"inside", "refused"} and "inside" in seen
    if state == "rests":
        attacked.pysup("rm", name, check=True)


SHOW = ["sh", "-c", "test -e host && echo escaped || echo inside"]


def _run(client: Client, host: dict[str, object], workdir: str = "/") -> str:
    """What a container prints that looks around in its working directory."""
    body = {
        "Image": "host",
        "Cmd": SHOW,
        "WorkingDir": workdir,
        "HostConfig": {"NetworkMode": "none", **host},
    }
    try:
        container = client.post("/containers/create", body)["Id"]
    except PysupError:
        return "refused"
    try:
        client.post(f"/containers/{container}/start")
        client.post(f"/containers/{container}/wait")
        with client.stream("GET", f"/containers/{container}/logs", query={"stdout": "1"}) as output:
            return b"".join(data for _, data in output).decode().strip()
    except PysupError:
        return "refused"
    finally:
        client.delete(f"/containers/{container}", query={"force": "1", "v": "1"})


def _mounted(client: Client, number: int) -> str:
    return _run(client, {"Binds": ["shared:/v", f"deep:/v/x/made{number}"]}, "/v/x")


def _subpath(client: Client) -> str:
    mount = {"Type": "volume", "Source": "shared", "Target": "/m", "VolumeOptions": {"Subpath": "x"}}
    return _run(client, {"Mounts": [mount]}, "/m")


def _started_in(client: Client) -> str:
    return _run(client, {"Binds": ["shared:/v"]}, "/v/x/sub")


def _with_a_secret(client: Client, number: int) -> str:
    secret = {"Data": base64.b64encode(b"secret").decode(), "Target": f"/v/x/secret{number}"}
    return _run(client, {"Binds": ["shared:/v"], "Pysup": {"Secrets": [secret]}}, "/v/x")


def _copied_out(client: Client, container: str, number: int) -> str:
    path = ("/v/x/host", "/v/x", "/v/x/sub/../host", "/v/link/host", "/v")[number % 5]
    try:
        with client.exchange("GET", f"/containers/{container}/archive", query={"path": path}) as opened:
            archive = b"".join(opened.pieces())
    except PysupError:
        return "refused"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        contents = [tar.extractfile(member) for member in tar.getmembers() if member.isreg()]
        return (
            "escaped" if any(file is not None and file.read() == b"host" for file in contents) else "inside"
        )


def _copied_in(client: Client, container: str, number: int) -> str:
    """Whether it escaped is seen outside."""
    path = ("/v/x", "/v/x/sub", "/v")[number % 3]
    member = ("host", "x/host", f"x/new{number}/deep")[number // 3 % 3]
    content = iter([layer((member, {"mode": 0o666}, b"changed"))])
    try:
        with client.exchange(
            "PUT", f"/containers/{container}/archive", query={"path": path}, body=content
        ) as opened:
            list(opened.pieces())
    except PysupError:
        return "refused"
    return "inside"


def _executed(client: Client, container: str) -> str:
    body = {"Cmd": SHOW, "WorkingDir": "/v/x", "AttachStdout": True}
    try:
        with client.hijack(f"/pysup/containers/{container}/exec", body) as stream:
            found = b""
            while (pieces := stream.receive()) is not None:
                found += b"".join(data for _, data in pieces)
    except PysupError:
        return "refused"
    return found.decode().strip() or "refused"
