"""The first step of the guest's boot: load modules, mount the machine's tree with a tmpfs over it, run a command."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

STATUS = "pysup-guest-status:"
"""The line on the console that tells the command's exit code."""

INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /lower /upper /root
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for m in {modules}; do $b insmod /modules/$m.ko || $b echo "cannot load $m"; done
$b mount -t virtiofs -o ro machine /lower
$b mount -t tmpfs -o size=2g tmpfs /upper
$b mkdir /upper/u /upper/w
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/u,workdir=/upper/w overlay /root
$b mount -t proc proc /root/proc
$b mount -t sysfs sys /root/sys
$b mount -t devtmpfs dev /root/dev
$b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t devpts -o gid=5,mode=620,ptmxmode=0666 devpts /root/dev/pts
$b mount -t tmpfs tmpfs /root/dev/shm
$b mount -t tmpfs tmpfs /root/run
$b mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
$b ip link set lo up
$b hostname guest
{files}
exec $b switch_root /root {init}
"""
"""switch_root, not chroot: setns(2) into a mount namespace leads to its root, past any chroot."""


def build(
    target: Path, *, modules: Sequence[Path], init: Sequence[str], files: Mapping[str, str] | None = None
) -> None:
    """Write a compressed cpio archive (initramfs, Documentation/driver-api/early-userspace).

    ``init`` is the argv of process 1, ``files`` what is written over the machine's tree before it starts.
    """
    tree = target.parent / "initramfs"
    subprocess.run(["rm", "-rf", str(tree)], check=True)
    for name in ("bin", "modules"):
        (tree / name).mkdir(parents=True)
    _copy(Path("/bin/busybox"), tree / "bin" / "busybox")
    for module in modules:
        _copy(module, tree / "modules" / module.name)
    script = tree / "init"
    names = " ".join(module.stem for module in modules)
    written = "\n".join(_write(path, text) for path, text in (files or {}).items())
    script.write_text(INIT.format(modules=names, files=written, init=shlex.join(init)))
    script.chmod(0o755)
    pack = f"cd {shlex.quote(str(tree))} && find . | cpio -o -H newc --quiet | gzip -1 >{shlex.quote(str(target))}"
    subprocess.run(["sh", "-c", pack], check=True)


def _write(path: str, text: str) -> str:
    target = shlex.quote("/root" + path)
    return f"$b mkdir -p $($b dirname {target}); $b printf %s {shlex.quote(text)} >{target}"


def after(command: str) -> str:
    """The command in a shell of its own, then the line that tells its exit code, then the end of the guest."""
    return f"sh -c {shlex.quote(command)}; echo {STATUS}$?; exec /bin/busybox poweroff -f"


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
    target.chmod(0o755)
