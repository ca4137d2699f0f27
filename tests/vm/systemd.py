"""The guest with systemd as its init: pysup as contrib/pysup.service, and a unit that runs the command and tells."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.vm import initramfs

TOP = Path(__file__).parents[2]
INIT = "/lib/systemd/systemd"
UNIT = "pysup-guest.service"
ROOT = "/run/pysup-root"
"""pysup's state: the guest's tree is an overlay, which cannot hold the upper layer of another one."""

_GUEST = """[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart={shell}
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
"""

MASKED = (
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-clean.timer",
)
"""An empty file masks a unit (systemd.unit(5)): these walk through all of the machine's /tmp, a descriptor a file."""


def files(command: str, pysup: Path) -> dict[str, str]:
    """Files for the guest's own layer, by path: its services, and an fstab that names no disk of the machine."""
    service = (TOP / "contrib" / "pysup.service").read_text().replace("/usr/local/bin/pysup", str(pysup))
    shell = shlex.join(["/bin/sh", "-c", initramfs.after(command)]).replace("%", "%%").replace("$", "$$")
    return {
        "/etc/systemd/system/pysup.service": service,
        "/etc/systemd/system/pysup.service.d/root.conf": f"[Service]\nEnvironment=PYSUP_ROOT={ROOT}\n",
        f"/etc/systemd/system/{UNIT}": _GUEST.format(shell=shell),
        "/etc/fstab": "",
        **{f"/etc/systemd/system/{name}": "" for name in MASKED},
    }
