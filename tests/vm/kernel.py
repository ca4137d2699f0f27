"""The guest's kernel: Debian's, fetched and unpacked into the cache, never installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PATTERN = r"^linux-image-6\.1\.0-[0-9]+-cloud-amd64$"
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "fs/fuse/fuse",
    "fs/fuse/virtiofs",
    "fs/overlayfs/overlay",
    "drivers/net/veth",
    "drivers/net/ipvlan/ipvlan",
    "drivers/net/macvlan",
    "net/llc/llc",
    "net/802/stp",
    "net/802/garp",
    "net/802/mrp",
    "net/8021q/8021q",
    "drivers/block/loop",
    "fs/nls/nls_cp437",
    "fs/nls/nls_ascii",
    "fs/fat/fat",
    "fs/fat/vfat",
)
"""In the order in which they need each other."""


def fetch(cache: Path) -> Path:
    """The directory of an unpacked kernel package; downloaded if it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    found = sorted(cache.glob("linux-image-*-cloud-amd64"))
    if found:
        return found[-1]
    package = newest()
    # apt downloads into the current directory; its sandbox user may not write there, which it only warns of.
    subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True, stderr=subprocess.DEVNULL)
    archive = next(cache.glob(f"{package}_*.deb"))
    partial = cache / "partial"
    subprocess.run(["dpkg", "-x", str(archive), str(partial)], check=True)
    archive.unlink()
    return partial.rename(cache / package)


def newest() -> str:
    """The newest package of that name that apt knows; its lists may have to be fetched first."""
    names = listed()
    if not names:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        names = listed()
    if not names:
        raise SystemExit("cannot boot the guest: apt knows no linux-image-6.1.0-*-cloud-amd64")
    return max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def listed() -> list[str]:
    """What apt knows of that name."""
    found = subprocess.run(
        ["apt-cache", "search", "--names-only", PATTERN], capture_output=True, text=True, check=True
    ).stdout
    return [line.split()[0] for line in found.splitlines()]


def image(package: Path) -> Path:
    """The bootable kernel."""
    return next((package / "boot").glob("vmlinuz-*"))


def modules(package: Path) -> list[Path]:
    """The modules that the first step of the boot loads."""
    (base,) = (package / "lib" / "modules").glob("*/kernel")
    return [base / f"{name}.ko" for name in MODULES]
