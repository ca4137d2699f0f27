"""The kernel's calls through their wrappers: results, and the one error class with the call's name."""

from __future__ import annotations

import errno
import os
import pty
import select
import signal
import sys
import termios
from pathlib import Path

import pytest

from pysup.supervisor.kernel import (
    capabilities,
    features,
    files,
    libc,
    mounts,
    process,
    seccomp,
    signals,
    terminal,
)
from pysup.supervisor.kernel.libc import AT_FDCWD, KernelError


def test_error_names_the_call() -> None:
    with pytest.raises(KernelError) as failure:
        process.setns(-1, 0)
    assert (failure.value.call, failure.value.errno) == ("setns", errno.EBADF)
    assert str(failure.value) == "setns: Bad file descriptor"


@pytest.mark.parametrize("value", ["a\0b", b"\0", "/tmp/x\0"])
def test_a_nul_byte_never_cuts_a_string(value: str | bytes) -> None:
    with pytest.raises(ValueError, match="NUL"):
        libc.text(value)


def test_too_many_mount_options() -> None:
    with pytest.raises(ValueError, match="more than a page"):
        mounts.mount("none", "/nowhere", "tmpfs", 0, "x" * 5000)


def end(code: int = 0, number: int = 0) -> tuple[int, int]:
    """A child that ended: its pid and pidfd."""
    pid, pidfd = process.clone3(0)
    if pid == 0:
        if number:
            os.kill(os.getpid(), number)
        os._exit(code)
    select.select([pidfd], [], [])
    return pid, pidfd


@pytest.mark.parametrize(("code", "number", "status"), [(0, 0, 0), (7, 0, 7 << 8), (0, 9, 9), (0, 15, 15)])
def test_clone_and_wait(code: int, number: int, status: int) -> None:
    pid, pidfd = end(code, number)
    assert not process.pidfd_alive(pidfd)
    assert process.waitid_pidfd(pidfd, reap=False) == status, "the zombie stays"
    assert process.pidfd_pid(pidfd) == pid
    assert pid in process.children()
    assert process.waitid_pidfd(pidfd, reap=True) == status
    assert process.pidfd_pid(pidfd) == -1
    assert process.pidfd_exit_info(pidfd) in (status, None)
    assert not process.pidfd_send_signal(pidfd, signal.SIGTERM)
    with pytest.raises(ChildProcessError):
        process.waitid_pidfd(pidfd, reap=True)
    process.reap_if_ours(pidfd)
    os.close(pidfd)


def test_a_running_child_has_no_status() -> None:
    pid, pidfd = process.clone3(0)
    if pid == 0:
        signal.pause()
    assert process.pidfd_alive(pidfd)
    assert process.waitid_pidfd(pidfd, reap=False) is None
    assert process.reap_orphan(pid) is None
    process.kill_and_reap(pidfd)
    assert process.pidfd_pid(pidfd) == -1
    os.close(pidfd)


def test_lookup_stays_in_its_root(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "way").symlink_to("/etc")
    (tmp_path / "inner" / "fd").symlink_to("/proc/self/fd/0")
    root = os.open(tmp_path / "inner", os.O_PATH)
    rules = mounts.RESOLVE_IN_ROOT | mounts.RESOLVE_NO_MAGICLINKS
    for path in ("way/passwd", "../../etc/passwd", "/etc/passwd", "fd"):
        with pytest.raises(KernelError) as failure:
            mounts.openat2(root, path, os.O_PATH, resolve=rules)
        assert failure.value.errno == errno.ENOENT, path
    os.close(root)


def test_proc_is_told_by_its_file_system() -> None:
    fd = mounts.openat2(AT_FDCWD, "/proc/self/status", os.O_RDONLY)
    assert mounts.filesystem_type(fd) == mounts.PROC_SUPER_MAGIC
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_capability_numbers() -> None:
    assert (capabilities.NAMES["CAP_CHOWN"], capabilities.NAMES["CAP_SYS_ADMIN"]) == (0, 21)
    assert capabilities.NAMES["CAP_CHECKPOINT_RESTORE"] == 40
    assert capabilities.last_cap() == int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    status = dict(
        line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    assert capabilities.own_bounding() == {n for n in range(64) if int(status["CapBnd"], 16) >> n & 1}
    assert capabilities.permitted() == {n for n in range(64) if int(status["CapPrm"], 16) >> n & 1}


def test_memory_file() -> None:
    content = os.urandom(300_000)
    fd = files.memory_file("test", content)
    assert files.read_all(fd, len(content)) == content
    os.lseek(fd, 0, os.SEEK_SET)
    with pytest.raises(ValueError, match="longer than"):
        files.read_all(fd, len(content) - 1)
    os.close(fd)


def test_what_posix_spawn_leaves_ignored_has_its_default_action_again(tmp_path: Path) -> None:
    show = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('SigIgn')])"
    script = f"from pysup.supervisor.kernel import signals; {show}; signals.default_all(); {show}"
    with (tmp_path / "out").open("w") as out:
        words = [sys.executable, "-c", script]
        actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1)]
        pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
    assert os.waitpid(pid, 0)[1] == 0
    before, after = (tmp_path / "out").read_text().splitlines()
    assert int(before[2:-2], 16) >> 31 & 3 == 3, before
    assert int(after[2:-2], 16) == 0


def test_signals_as_events() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    fd = signals.signal_descriptor({signal.SIGUSR1})
    assert signals.take_signals(fd) == []
    signal.raise_signal(signal.SIGUSR1)  # this thread alone has it blocked
    assert signals.take_signals(fd) == [signal.SIGUSR1]
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_terminal() -> None:
    master, slave = pty.openpty()
    terminal.set_window_size(master, 33, 111)
    assert termios.tcgetwinsize(slave) == (33, 111)
    terminal.unlock(master)
    again = terminal.open_slave(master)
    assert os.ttyname(again) == os.ttyname(slave)
    assert not terminal.is_ptmx(slave)
    for fd in (master, slave, again):
        os.close(fd)


@pytest.mark.parametrize("program", [b"", b"x", b"1234567", bytes(8 * 4097)])
def test_no_seccomp_filter(program: bytes) -> None:
    fd = files.sealed_memory_file("filter", program)
    with pytest.raises(ValueError, match="no array of instructions"):
        seccomp.load(fd)
    os.close(fd)


def test_a_sealed_file_cannot_be_changed() -> None:
    fd = files.sealed_memory_file("sealed", b"content")
    for change in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 1), lambda: os.ftruncate(fd, 99)):
        with pytest.raises(PermissionError):
            change()
    assert os.pread(fd, 99, 0) == b"content"
    os.close(fd)


def test_every_feature_says_what_its_lack_costs() -> None:
    found = features.probe()
    assert found["kernel"]["present"]
    for name, (_check, cost) in features._CHECKS.items():
        assert cost or name == "kernel"
        assert found[name]["cost"] == ("" if found[name]["present"] else cost)
