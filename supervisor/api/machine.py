"""What the API tells of this machine; asked once."""

from __future__ import annotations

import functools
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pysup.supervisor.api.render.system import Machine
from pysup.supervisor.kernel.own_ids import is_rootless


@functools.cache
def machine(cgroup_version: int, controllers: frozenset[str]) -> Machine:
    """This machine's facts."""
    uname = os.uname()
    release = _os_release()
    return Machine(
        name=uname.nodename,
        kernel=uname.release,
        architecture=uname.machine,
        operating_system=release.get("PRETTY_NAME", "Linux"),
        system_version=release.get("VERSION_ID", ""),
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        identity=_machine_id(),
        python=platform.python_version(),
        pysup=pysup_version(),
        cgroup_version=cgroup_version,
        controllers=controllers,
        rootless=is_rootless(),
    )


@functools.cache
def pysup_version() -> str:
    """Of the installed package."""
    try:
        return version("pysup")
    except PackageNotFoundError:
        return "0"


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _machine_id() -> str:
    """machine-id(5); a machine without one has no identity to tell."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return ""
