"""Namespaces: an exec in a running container, a user namespace with maps, and a namespace that is shared by fd."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from helpers.containers import Outcome, kept, outcome, run, start
from helpers.daemon import children as process_children
from helpers.keepers import CAPABILITIES, ENV, FLAGS, HERE, KeeperProcess, linked, plan

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.keeper.client.link import Link
from pysup.supervisor.keeper.codec import close_all
from pysup.supervisor.kernel import mounts, process
from pysup.supervisor.kernel.libc import AT_FDCWD
from pysup.supervisor.runtime.launch import Launched, StdioPlan, launch

pytestmark = [pytest.mark.kernel, pytest.mark.vm]
ENTERED = FLAGS | process.CLONE_NEWCGROUP


def exec_plan(
    argv: list[str], *, tty: bool = False, flags: int = ENTERED, more: list[list[Any]] | None = None
) -> list[Any]:
    """Enter all namespaces of the target and execute argv there."""
    return [
        ["setns", "target", flags],
        *(more or []),
        *([["console"]] if tty else []),
        ["umask", 0o022],
        ["user", "", []],
        ["credentials", CAPABILITIES],
        ["ready"],
        ["exec", argv, ENV, "/"],
    ]


async def execute(link: Link, into: Launched, base: Path, argv: list[str], **more: Any) -> Outcome:
    steps = exec_plan(argv, tty=more.get("tty", False))
    target = into.process.pidfd
    return await run(link, base, [], key="exec/1", flags=0, target=target, steps=steps, **more)


async def test_exec_in_a_container(keeper: KeeperProcess, tmp_path: Path) -> None:
    """It is in every namespace of the container, as a process of its own, with nothing but stdio open."""
    async with linked(keeper) as link:
        container = await start(link, tmp_path / "c", ["cat"], open_stdin=True)
        script = "hostname; ls /proc/$$/fd | tr '\\n' ' '; cat /proc/1/comm; readlink /proc/$$/ns/* | sort"
        result = await execute(link, container, tmp_path, ["sh", "-c", script])
        name, fds, *namespaces = result.stdout.splitlines()
        assert (result.status, name, fds) == (0, "box", "0 1 2 cat")
        assert namespaces == namespaces_of(container.process.pid)
        assert await kept(link) == [container.process.key]
        await link.release(container.process.key, ["stdin"])
        assert (await outcome(link, container)).code == 0


def namespaces_of(pid: int) -> list[str]:
    return sorted(os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns"))


async def test_exec_with_a_terminal(keeper: KeeperProcess, tmp_path: Path) -> None:
    """A terminal of the container's own devpts; its mounts stay as they are."""
    async with linked(keeper) as link:
        container = await start(link, tmp_path / "c", ["cat"], open_stdin=True)
        result = await execute(link, container, tmp_path, ["sh", "-c", "tty; ls /dev/console"], tty=True)
        assert result.stdout.split("\r\n")[0] == "/dev/pts/0"
        assert "No such file" in result.stdout
        await container.abort()


async def test_the_keeper_comes_back_to_its_own_pid_namespace(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        container = await start(link, tmp_path / "c", ["cat"], open_stdin=True)
        assert (await execute(link, container, tmp_path, ["true"])).code == 0
        links = [os.readlink(f"/proc/{keeper.process.pid}/ns/{name}") for name in ("pid", "pid_for_children")]
        assert links[0] == links[1]
        await container.abort()


async def test_exec_in_a_dead_container(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        container = await start(link, tmp_path / "c", ["true"])
        await container.process.wait()
        with pytest.raises(StartFailed):
            await execute(link, container, tmp_path, ["true"])
        assert await kept(link) == [container.process.key]
        await link.reap(container.process.key)


def in_user_namespace(base: Path, argv: list[str]) -> list[list[Any]]:
    """The plan of a container whose ids are mapped: its own directories belong to its root."""
    steps = plan(base, argv)
    layers = next(step for step in steps if step[0] == "overlay")
    layers[1] |= {"options": ["userxattr"], "volatile": False, "lower": [f"{base}/lower"]}
    steps.insert(steps.index(layers), ["attach", "layer", f"{base}/lower"])
    for name in ("upper", "work", "rootfs", "lower"):
        (base / name).mkdir(exist_ok=True)
        os.chown(base / name, 100_000, 100_000)
    return [["user_namespace"], *(step for step in steps if step[0] not in ("device", "mask", "rlimit"))]


def let_everybody_through(directory: Path) -> None:
    """To a new directory of the tests: those above it that are pytest's are closed to others."""
    for path in (directory, *directory.parents):
        if path.stat().st_mode & stat.S_IXOTH:
            break
        path.chmod(0o711)


async def test_user_namespace(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Root inside is another id outside; the maps are there before the first step that needs them."""
    let_everybody_through(tmp_path)
    layer = mounts.open_tree(AT_FDCWD, "/")  # the host's root without the mounts below, which would be locked
    async with linked(keeper) as link:
        steps = in_user_namespace(
            tmp_path / "c", ["sh", "-c", "id -u; cat /proc/self/uid_map; touch /made; cat"]
        )
        container = await start(
            link, tmp_path / "c", [], steps=steps, flags=FLAGS | process.CLONE_NEWUSER, open_stdin=True,
            uid_map="0 100000 65536\n", gid_map="0 100000 65536\n", attach={"layer": layer},
        )  # fmt: skip
        assert os.stat(f"/proc/{container.process.pid}").st_uid == 100_000
        inside = exec_plan(["sh", "-c", "id -u; grep CapEff /proc/self/status"], flags=ENTERED | process.CLONE_NEWUSER,
                           more=[["user_namespace"]])  # fmt: skip
        second = await run(
            link, tmp_path, [], key="exec/1", flags=0, target=container.process.pidfd, steps=inside
        )
        assert second.stdout == "0\nCapEff:\t00000000a80425fb\n"
        await link.release(container.process.key, ["stdin"])
        result = await outcome(link, container)
        assert (result.stdout.split(), result.stderr) == (["0", "0", "100000", "65536"], "")
        assert os.stat(tmp_path / "c" / "upper" / "made").st_uid == 100_000
    os.close(layer)


@contextlib.asynccontextmanager
async def namespace(link: Link, maps: str) -> AsyncIterator[int]:
    """A descriptor of a user namespace whose maker has ended."""
    maker = await launch(
        link, what="maker", key="user/1", flags=process.CLONE_NEWUSER, plan=[["user_namespace"], ["ready"]],
        stdio=StdioPlan(), uid_map=maps, gid_map=maps,
    )  # fmt: skip
    await maker.ready()
    fd = os.open(f"/proc/{maker.process.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    await maker.abort()
    yield fd
    os.close(fd)


async def test_born_in_a_user_namespace_that_is_there(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Again and again, each a child of the keeper, with namespaces of its own or the host's."""
    script = "cat /proc/self/uid_map; readlink /proc/self/ns/user /proc/self/ns/net"
    let_everybody_through(tmp_path)
    async with linked(keeper) as link, namespace(link, "0 100000 65536\n") as user:
        found = []
        for name in ("c1", "c2"):
            layer = mounts.open_tree(AT_FDCWD, "/")
            steps = in_user_namespace(tmp_path / name, ["sh", "-c", script])
            done = await run(link, tmp_path / name, [], steps=steps, user=user, attach={"layer": layer})
            os.close(layer)
            assert done.stderr == ""
            found.append(done.stdout.split())
        assert [words[:3] for words in found] == [["0", "100000", "65536"]] * 2
        assert [words[3] for words in found] == [os.readlink(f"/proc/self/fd/{user}")] * 2
        assert os.readlink("/proc/self/ns/net") not in {words[4] for words in found}
        assert await kept(link) == []


async def test_what_the_helper_meets_is_told(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Something that is no user namespace; and nothing is left of the helper."""
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    async with linked(keeper) as link:
        before = process_children(keeper.process.pid)
        with pytest.raises(StartFailed, match="enter the user namespace: invalid argument"):
            await run(link, tmp_path, [], steps=[], user=null)
        assert await kept(link) == []
        while process_children(keeper.process.pid) != before:
            await trio.lowlevel.checkpoint()
    os.close(null)


@contextlib.contextmanager
def silent_memory() -> Iterator[dict[str, int]]:
    """Descriptors of a mount namespace and of its /dev/shm, which keeps whoever looks at it waiting for ever."""
    argv = [sys.executable, "-P", str(HERE / "silent_fuse.py")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        proc = f"/proc/{server.pid}"
        found = {
            "donor": os.open(f"{proc}/ns/mnt", os.O_RDONLY),
            "lent": os.open(f"{proc}/root/dev/shm", os.O_PATH),
        }
        try:
            yield found
        finally:
            close_all(found.values())
            server.kill()


LOOKS = [["borrow", "donor", "lent", "shm"], ["give_ids", "shm", "user", 0]]
"""What hangs in that."""


@contextlib.asynccontextmanager
async def hanging(
    keeper: KeeperProcess, link: Link, base: Path, user: int, donor: dict[str, int]
) -> AsyncIterator[list[StartFailed]]:
    """In the block a start waits for a helper that hangs; what has come of it."""
    failures: list[StartFailed] = []

    async def try_it() -> None:
        try:
            await run(link, base, [], key="run/h/1", steps=[], user=user, attach=donor, outside=LOOKS)
        except StartFailed as error:
            failures.append(error)

    before = process_children(keeper.process.pid)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(try_it)
        while process_children(keeper.process.pid) == before:
            await trio.lowlevel.checkpoint()
        yield failures


async def test_a_container_cannot_hold_up_the_keeper(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The helper hangs in another container's file system, past its kill; that start fails, and others do not wait.

    Once the file system is gone, so is the helper.
    """
    async with linked(keeper) as link, namespace(link, "0 100000 65536\n") as user:
        assert await kept(link) == []
        before = set(process_children(keeper.process.pid))
        with silent_memory() as donor:
            async with hanging(keeper, link, tmp_path, user, donor) as failures:
                assert await kept(link) == []
                assert failures == []  # the keeper has answered, and that start still waits
            assert "has not answered within" in str(failures[0])
            assert (await run(link, tmp_path / "c", ["true"])).code == 0
            assert await kept(link) == []
            (helper,) = set(process_children(keeper.process.pid)) - before
            pidfd = os.pidfd_open(helper)
        await trio.lowlevel.wait_readable(pidfd)
        os.close(pidfd)
        while set(process_children(keeper.process.pid)) != before:
            await trio.lowlevel.checkpoint()


async def test_a_start_that_hangs_goes_with_its_engine(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The next one knows nothing of it, and may use its key."""
    async with linked(keeper) as link, namespace(link, "0 100000 65536\n") as user:
        with silent_memory() as donor:
            async with hanging(keeper, link, tmp_path, user, donor) as failures:
                keeper.kill_engine()
                await keeper.lost.wait()
            assert "ask the keeper" in str(failures[0])
            async with linked(keeper) as second:
                assert await kept(second) == []
                assert (await run(second, tmp_path / "c", ["true"], key="run/h/1")).code == 0


@pytest.mark.parametrize("text", ["nonsense", "0 0 1\n0 0 1\n"])
async def test_wrong_maps(keeper: KeeperProcess, tmp_path: Path, text: str) -> None:
    """The step is named, and the child that waited for its maps is gone."""
    async with linked(keeper) as link:
        with pytest.raises(StartFailed, match="cannot start container web: write gid_map: invalid argument"):
            await run(link, tmp_path, [], steps=[], flags=process.CLONE_NEWUSER, uid_map=text, gid_map=text)
        assert await kept(link) == []


async def test_a_shared_network_namespace(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Held by the daemon, it outlives its maker and is entered by the next run through a descriptor."""
    async with linked(keeper) as link:
        container = await start(link, tmp_path / "a", ["cat"], open_stdin=True)
        fd = os.open(f"/proc/{container.process.pid}/ns/net", os.O_RDONLY)
        name = os.readlink(f"/proc/{container.process.pid}/ns/net")
        await link.hold("ns/a", {"net": fd})
        await container.abort()
        steps = plan(tmp_path / "b", ["readlink", "/proc/self/ns/net"])
        steps.insert(0, ["setns", "net", process.CLONE_NEWNET])
        result = await run(
            link,
            tmp_path / "b",
            [],
            steps=steps,
            flags=FLAGS & ~process.CLONE_NEWNET,
            attach=link.held("ns/a"),
        )
        assert result.stdout == f"{name}\n"
        await link.release("ns/a", ["net"])
        assert await kept(link) == []


@pytest.mark.parametrize("flags", [1 << 8, 1 << 63, process.CLONE_NEWTIME])
async def test_flags_that_are_no_namespaces(keeper: KeeperProcess, tmp_path: Path, flags: int) -> None:
    async with linked(keeper) as link:
        with pytest.raises(StartFailed, match="a flag that is no namespace"):
            await run(link, tmp_path, [], steps=[], flags=flags & (2**63 - 1) or 1)
