"""Run a command, by default the tests marked ``vm``, in a guest with cgroup v2 alone and Linux 6.1.

Usage: python -m tests.vm [COMMAND ARG...]        (from the top of the checkout)
       python -m tests.vm --systemd               (systemd is the guest's init: unit.py)

The guest is qemu without KVM, about 40 times slower than the machine. It sees the machine's tree read-only, with
a tmpfs over it; nothing that it does outlives it. Its output is this program's, and so is its exit code.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.vm import initramfs, kernel, systemd

TOP = Path(__file__).parents[2]
CACHE = TOP / ".cache" / "vm"
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
BOUND = 1800
"""Seconds for everything."""
MEMORY = "3g"
PROCESSORS = 2
SELECTED = [sys.executable, "-m", "pytest", "-q", "-m", "vm", "-p", "no:cacheprovider"]
SIDE_BY_SIDE = ["-n", str(PROCESSORS), "--dist", "loadfile"]
BASE = "--basetemp=/run/pytest"
"""/run is a tmpfs there; the rest of the tree is an overlay, which cannot hold the upper layer of another one.

/tmp stays the machine's: the checkout may lie in it.
"""


def main(arguments: list[str]) -> int:
    """Boot, run, power off; the command's exit code."""
    with_systemd = arguments == ["--systemd"]
    selection = compile_everything()
    tests = [*SELECTED, *SIDE_BY_SIDE, BASE, "--durations=10", *selection]
    command = [sys.executable, "-m", "tests.vm.unit"] if with_systemd else arguments or tests
    settings = f"export CI=true HOME=/root PATH={shlex.quote(os.environ['PATH'])}"
    script = f"cd {shlex.quote(str(TOP))} && {settings} && {shlex.join(command)}"
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pysup-vm-")))
        package = kernel.fetch(CACHE)
        init, files = (
            _under_systemd(script)
            if with_systemd
            else (["/bin/busybox", "sh", "-c", initramfs.after(script)], {})
        )
        initramfs.build(work / "initramfs.gz", modules=kernel.modules(package), init=init, files=files)
        socket = work / "fs.sock"
        sharing = stack.enter_context(_running(_share(socket)))
        guest = stack.enter_context(
            _running(_boot(kernel.image(package), work / "initramfs.gz", socket), piped=True)
        )
        assert guest.stdout is not None
        signal.signal(signal.SIGALRM, lambda *_: guest.kill())
        signal.alarm(BOUND)
        code = _relay(guest)
        del sharing
    if code is None:
        print(f"the guest ended without telling an exit code (within {BOUND} s)", file=sys.stderr)
        return 1
    return code


def _under_systemd(script: str) -> tuple[list[str], dict[str, str]]:
    argv = [systemd.INIT, "--unit", systemd.UNIT, "--show-status=no", "--log-level=warning"]
    return argv, systemd.files(script, Path(sys.executable).parent / "pysup")


def compile_everything() -> list[str]:
    """Write the byte code here, where it takes seconds; in the guest it would take minutes, and be lost.

    Returns the files with tests marked ``vm``: to collect all the others would take the guest ten minutes.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = partial(subprocess.run, cwd=TOP, env=environment, stdout=subprocess.PIPE, text=True)
    run([sys.executable, "-m", "compileall", "-q", "supervisor", "store", sys.prefix], check=False)
    collected = run([*SELECTED, "--collect-only"], check=True).stdout.splitlines()
    return sorted({line.partition("::")[0] for line in collected if "::" in line})


def _share(socket: Path) -> list[str]:
    """The machine's tree for the guest (virtiofs); the guest mounts it read-only."""
    program = next((path for path in VIRTIOFSD if Path(path).exists()), None)
    if program is None:
        raise SystemExit("cannot boot the guest: virtiofsd is not installed (qemu-system-common)")
    options = "source=/,cache=always,no_posix_lock,no_flock"
    return [program, f"--socket-path={socket}", "-o", options, "-o", "sandbox=chroot", "-o", "log_level=err"]


def _boot(image: Path, initrd: Path, socket: Path) -> list[str]:
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(PROCESSORS), "-m", MEMORY,
        "-object", f"memory-backend-memfd,id=mem,size={MEMORY},share=on", "-numa", "node,memdev=mem",
        "-chardev", f"socket,id=fs,path={socket}",
        "-device", "vhost-user-fs-pci,chardev=fs,tag=machine,queue-size=1024",
        "-kernel", str(image), "-initrd", str(initrd),
        "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off",
        "-nographic", "-no-reboot", "-net", "none", "-serial", "mon:stdio",
    ]  # fmt: skip


def _running(argv: list[str], *, piped: bool = False) -> subprocess.Popen[str]:
    """A process in a context that ends it."""
    return _Ended(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if piped else None,
        text=True,
        errors="replace",
    )


class _Ended(subprocess.Popen[str]):
    def __exit__(self, *details: object) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*details)  # type: ignore[arg-type]


def _relay(guest: subprocess.Popen[str]) -> int | None:
    """Print what the guest says as it says it; the exit code that it tells at the end, in a line of its own."""
    assert guest.stdout is not None
    code, line, shown = None, "", 0
    for sign in iter(partial(guest.stdout.read, 1), ""):
        line += sign
        if line.startswith(initramfs.STATUS):
            code = int(line.removeprefix(initramfs.STATUS)) if sign == "\n" else None
        elif sign == "\n" or not initramfs.STATUS.startswith(line):
            sys.stdout.write(line[shown:])
            sys.stdout.flush()
            shown = len(line)
        if sign == "\n":
            line, shown = "", 0
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
