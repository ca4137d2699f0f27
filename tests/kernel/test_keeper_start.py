"""A container of the host's root, through a real keeper: what runs, what it sees, how it ends, how it
fails.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio
from helpers.containers import kept, outcome, read_all, run, start
from helpers.keepers import FLAGS, KeeperProcess, linked, plan

from pysup.supervisor.errors import StartFailed
from pysup.supervisor.runtime.launch import StdioPlan, launch

pytestmark = pytest.mark.kernel


async def test_output_and_exit_code(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        result = await run(link, tmp_path / "c", ["sh", "-c", "echo out; echo err >&2; exit 7"])
        assert result == (7 << 8, "out\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_status_of_a_signal(keeper: KeeperProcess, tmp_path: Path, number: int) -> None:
    async with linked(keeper) as link:
        launched = await start(link, tmp_path / "c", ["sh", "-c", "trap - TERM; echo up; exec sleep 100"],
                               flags=FLAGS & ~0x20000000)  # fmt: skip
        assert launched.stdio.stdout is not None
        await trio.lowlevel.wait_readable(launched.stdio.stdout)
        assert launched.process.kill(number)
        assert (await outcome(link, launched)).code == -number


async def test_only_stdio_crosses_the_exec(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        argv = ["sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/cwd; cat /proc/$$/stat | cut -d' ' -f1,5,6"]
        result = await run(link, tmp_path / "c", argv)
        assert result.stdout.split("\n")[:4] == ["0", "1", "2", "/"]
        assert "1 1 1" in result.stdout, "pid 1 leads its session and its process group"


async def test_what_the_process_is(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Signals, capabilities, groups and limits as a program expects them at its start."""
    async with linked(keeper) as link:
        result = await run(
            link, tmp_path / "c", ["sh", "-c", "ulimit -n; ulimit -Hn; umask; exec cat /proc/self/status"]
        )
        status = dict(line.split(":\t", 1) for line in result.stdout.splitlines() if ":\t" in line)
        for name in ("SigBlk", "SigIgn", "CapInh", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert status["CapBnd"] == status["CapEff"] == status["CapPrm"] == "00000000a80425fb"
        assert status["Groups"].split() == ["0"]
        assert result.stdout.splitlines()[:3] == ["1024", "4096", "0022"]


async def test_another_user(keeper: KeeperProcess, tmp_path: Path) -> None:
    """Not root: no capability is in force, groups are those of the container's group file, HOME of its
    passwd.
    """
    async with linked(keeper) as link:
        etc = tmp_path / "c" / "upper" / "etc"
        etc.mkdir(parents=True)
        (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:1234:55::/srv/web:/bin/sh\n")
        (etc / "group").write_text("root:x:0:\nprint:x:70:other,web\nwww:x:55:\n")
        script = "id -u; id -G; echo $HOME; cat /proc/self/status; echo hi >/dev/stdout"
        steps = plan(tmp_path / "c", ["sh", "-c", script], user="web")
        result = await run(link, tmp_path / "c", [], steps=steps)
        assert result.stdout.split("\n")[:3] == ["1234", "55 70", "/srv/web"]
        assert "CapEff:\t0000000000000000" in result.stdout
        assert result.stdout.endswith("hi\n"), "its own stdout can be opened again by name"


async def test_masked_and_read_only_paths(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        script = (
            "ls -A /sys/firmware /proc/acpi; cat /proc/keys /proc/timer_list; : > /proc/sys/kernel/hostname"
        )
        result = await run(link, tmp_path / "c", ["bash", "-c", script])
        assert result.stdout.split() == ["/proc/acpi:", "/sys/firmware:"]
        assert "Read-only file system" in result.stderr


async def test_nothing_is_mounted_on_the_host(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        launched = await start(
            link, tmp_path / "c", ["sh", "-c", "cat; cat /proc/self/mountinfo"], open_stdin=True
        )
        assert str(tmp_path) not in host_mounts()
        await link.release("run/c/1", ["stdin"])
        mounts = (await outcome(link, launched)).stdout.splitlines()
        assert not [line for line in mounts if line.split()[4].startswith(str(tmp_path))]


def host_mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


async def test_stdin(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        launched = await start(link, tmp_path / "c", ["cat"], open_stdin=True)
        assert launched.stdio.writable is not None
        os.write(launched.stdio.writable, b"hello")
        await link.release("run/c/1", ["stdin"])
        assert (await outcome(link, launched)).stdout == "hello"


async def test_terminal(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The slave is 0, 1 and 2, it is the controlling terminal and /dev/console, and job control works."""
    async with linked(keeper) as link:
        script = "tty; readlink /proc/$$/fd/0 /proc/$$/fd/2; test /dev/console -ef /dev/pts/0 && echo same; "
        script += "ps -o tty= -p $$"
        launched = await start(link, tmp_path / "c", ["sh", "-c", script], tty=True)
        result = await outcome(link, launched)
        assert result.stdout.split() == ["/dev/pts/0", "/dev/pts/0", "/dev/pts/0", "same", "pts/0"]


@pytest.mark.parametrize(
    ("argv", "step", "code"),
    [
        (["no-such-program"], "exec no-such-program", 127),
        (["/no/such"], "exec /no/such", 127),
        (["/etc/passwd"], "exec /etc/passwd", 126),
        (["/etc"], "exec /etc", 126),
    ],
)
async def test_a_program_that_cannot_be_executed(
    keeper: KeeperProcess, tmp_path: Path, argv: list[str], step: str, code: int
) -> None:
    async with linked(keeper) as link:
        with pytest.raises(StartFailed) as failure:
            await run(link, tmp_path / "c", argv)
        assert (failure.value.step, failure.value.exit_code) == (step, code)
        assert await kept(link) == [], "nothing is left at the keeper"


async def test_a_failing_step_is_named(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        steps = [["mount", "nosuchfs", "none", "/mnt", 0, ""]]
        with pytest.raises(StartFailed) as failure:
            await run(link, tmp_path, [], steps=[*plan(tmp_path / "c", ["true"])[:4], *steps])
        assert str(failure.value) == "cannot start container web: mount nosuchfs on /mnt: no such device"
        assert failure.value.exit_code == 128


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (["explode"], "step ['explode']: no such step"),
        (["hostname", "x" * 65], "hostname " + "x" * 65 + ": invalid argument"),
        (["hostname", "a\0b"], "hostname a\0b: ValueError: 'a\\x00b' has a NUL byte"),
        (["setns", "nothing", 0], "enter the namespace nothing: no descriptor is named 'nothing'"),
        (["umask"], "umask: TypeError: umask() missing 1 required positional argument: 'value'"),
        (["user", "ghost", []], "user ghost: unable to find user ghost: no matching entries in passwd file"),
        (["rlimit", "nonsense", 1, 1], "rlimit nonsense: no limit is named 'nonsense'"),
    ],
)
async def test_bad_steps(keeper: KeeperProcess, tmp_path: Path, step: list[object], text: str) -> None:
    async with linked(keeper) as link:
        with pytest.raises(StartFailed) as failure:
            await run(link, tmp_path, [], steps=[step])
        assert str(failure.value) == f"cannot start container web: {text}"


async def test_working_directory(keeper: KeeperProcess, tmp_path: Path) -> None:
    """It is made if it is missing, and belongs to root as with docker."""
    async with linked(keeper) as link:
        steps = plan(tmp_path / "c", ["sh", "-c", "pwd; stat -c %u:%a ."], user="65534", cwd="/srv/made/here")
        result = await run(link, tmp_path / "c", [], steps=steps)
        assert result.stdout.split() == ["/srv/made/here", "0:755"]


@pytest.mark.parametrize("number", range(3, 12))
async def test_working_directory_through_a_descriptor(
    keeper: KeeperProcess, tmp_path: Path, number: int
) -> None:
    """CVE-2024-21626: no descriptor of the set-up is a way out."""
    async with linked(keeper) as link:
        steps = plan(tmp_path / "c", ["true"], cwd=f"/proc/self/fd/{number}")
        with pytest.raises(StartFailed):
            await run(link, tmp_path / "c", [], steps=steps)


async def test_links_of_an_image_stay_inside(keeper: KeeperProcess, tmp_path: Path) -> None:
    """/dev/shm and a bind's target as links to the host: what is made is made in the container."""
    async with linked(keeper) as link:
        upper = tmp_path / "c" / "upper"
        outside = tmp_path / "outside"
        upper.mkdir(parents=True)
        (upper / "way").symlink_to(outside)
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "file").touch()
        extra = ["bind", f"{tmp_path}/source", "/way/out", {"recursive": True, "read_only": True}]
        steps = plan(tmp_path / "c", ["sh", "-c", f"ls {outside}/out; touch /way/out/x"])
        steps.insert(4, extra)
        result = await run(link, tmp_path / "c", [], steps=steps)
        assert result.stdout == "file\n"
        assert "Read-only file system" in result.stderr
        assert not outside.exists()


async def test_proc_must_not_be_a_link(keeper: KeeperProcess, tmp_path: Path) -> None:
    """CVE-2019-19921: masks would land beside the file system that they are to hide."""
    async with linked(keeper) as link:
        (tmp_path / "l" / "elsewhere").mkdir(parents=True)
        (tmp_path / "l" / "proc").symlink_to("elsewhere")
        steps = plan(tmp_path / "c", ["true"])
        next(step for step in steps if step[0] == "overlay")[1]["lower"] = [str(tmp_path / "l")]
        with pytest.raises(StartFailed, match="mount proc on /proc: too many levels of symbolic links"):
            await run(link, tmp_path / "c", [], steps=steps)


async def test_engine_gone_before_go(keeper: KeeperProcess, tmp_path: Path) -> None:
    """A child whose engine died while it waited does not run its program."""
    async with linked(keeper) as link:
        steps = plan(tmp_path / "c", ["sh", "-c", "echo ran"])
        launched = await launch(
            link, what="container web", key="run/c/1", flags=FLAGS, plan=steps, stdio=StdioPlan()
        )
        await launched.ready()
        launched._init.close()
        assert (await outcome(link, launched)) == (125 << 8, "", "")


async def test_a_child_that_was_let_go_waits_for_nothing(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        steps = plan(tmp_path / "c", ["sh", "-c", "echo ran"])
        launched = await launch(
            link, what="container web", key="run/c/1", flags=FLAGS, plan=steps, stdio=StdioPlan()
        )
        launched.let_go()
        assert await read_all(launched.process.fds["stdout"]) == "ran\n"
        await launched.go()
        assert (await outcome(link, launched)) == (0, "", "")


async def test_engine_gone_after_it_let_a_child_go(keeper: KeeperProcess, tmp_path: Path) -> None:
    """The word came while the child was set up, which lasts here until the FIFO has a reader."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with linked(keeper) as link:
        steps = [["join_cgroups", [str(gate)]], *plan(tmp_path / "c", ["sh", "-c", "echo ran"])]
        launched = await launch(
            link, what="container web", key="run/c/1", flags=FLAGS, plan=steps, stdio=StdioPlan()
        )
        launched.let_go()
        launched._init.close()
        reader = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert (await outcome(link, launched)) == (125 << 8, "", "")
        finally:
            os.close(reader)


async def test_abort_leaves_nothing(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        before = len(os.listdir("/proc/self/fd"))
        steps = plan(tmp_path / "c", ["sleep", "100"])
        launched = await launch(
            link, what="container web", key="run/c/1", flags=FLAGS, plan=steps, stdio=StdioPlan()
        )
        await launched.ready()
        await launched.abort()
        await launched.abort()
        assert await kept(link) == []
        assert len(os.listdir("/proc/self/fd")) == before
        with pytest.raises(ProcessLookupError):
            os.kill(launched.process.pid, 0)


async def test_cancelled_start_leaves_nothing(keeper: KeeperProcess, tmp_path: Path) -> None:
    async with linked(keeper) as link:
        before = len(os.listdir("/proc/self/fd"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await run(link, tmp_path / "c", ["true"])
        assert scope.cancelled_caught
        assert await kept(link) == []
        assert len(os.listdir("/proc/self/fd")) == before
