"""What somebody asked to be mounted: directories of the host, volumes, memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pysup.supervisor.errors import NotSupported, Unavailable
from pysup.supervisor.kernel import mounts
from pysup.supervisor.runtime.plan import base
from pysup.supervisor.runtime.plan.facts import Facts, Shown, Step
from pysup.supervisor.runtime.plan.sources import Sources
from pysup.supervisor.spec.container import ContainerSpec, Mount, Volume
from pysup.supervisor.spec.volumes import Source

FLAGS = {
    "nosuid": mounts.MS_NOSUID,
    "nodev": mounts.MS_NODEV,
    "noexec": mounts.MS_NOEXEC,
    "relatime": mounts.MS_RELATIME,
    "strictatime": mounts.MS_STRICTATIME,
    "ro": mounts.MS_RDONLY,
    "sync": 0x10,
    "dirsync": 0x80,
    "mand": 0x40,
    "noatime": 0x400,
    "nodiratime": 0x800,
}
"""Options of mount(8) that are flags of mount(2); the kernel itself refuses ``mand`` since Linux 5.15."""
CLEARS = {
    "rw": "ro",
    "suid": "nosuid",
    "dev": "nodev",
    "exec": "noexec",
    "atime": "noatime",
    "diratime": "nodiratime",
    "async": "sync",
    "nomand": "mand",
    "norelatime": "relatime",
    "nostrictatime": "strictatime",
}
"""Options that take an earlier one back."""


def user_mount(mount: Mount, facts: Facts, sources: Sources) -> Step:
    """The step of one mount. Raises Unavailable (a volume that is gone), NotSupported."""
    if mount.kind == "tmpfs":
        return base.tmpfs(mount.target, *_flags(mount.options, mount))
    if mount.volume is not None:
        return _volume(mount, mount.volume, facts, sources)
    options = {
        "recursive": mount.recursive,
        "read_only": mount.read_only,
        "propagation": mount.propagation,
        "create": mount.create_source,
        **_mapped(mount, facts),
    }
    if mount.read_only and not mount.read_only_below:
        options["read_only_below"] = False
    return ["bind", sources.name(mount.source), mount.target, options]


def _volume(mount: Mount, volume: Volume, facts: Facts, sources: Sources) -> Step:
    shown = next((one for one in facts.volumes if one.name == volume.name), None)
    if shown is None:
        raise Unavailable(f"cannot mount volume {volume.name}: there is no such volume")
    if shown.source is not None and shown.source.fstype:
        return _file_system(mount, volume, shown.source)
    return _directory(mount, volume, shown, facts, sources)


def _directory(mount: Mount, volume: Volume, shown: Shown, facts: Facts, sources: Sources) -> Step:
    """Of pysup's, or with o=bind of the host's, as it is outside of the container: what is mounted later stays out."""
    source = shown.source
    path = shown.path if source is None else source.device
    options: dict[str, Any] = {
        "recursive": source is not None and source.recursive,
        "read_only": mount.read_only or (source is not None and "ro" in source.options),
        "propagation": "rprivate",
        "create": False,
        **_mapped(mount, facts),
    }
    if volume.subpath and "tree" not in options:
        options["subpath"] = volume.subpath
    return ["bind", sources.name(path), mount.target, options]


def _mapped(mount: Mount, facts: Facts) -> dict[str, str]:
    """The tree with the container's ids that is mounted in its place, by its descriptor's name."""
    name = dict(facts.mapped).get(mount.target)
    return {} if name is None else {"tree": name}


class Bound(NamedTuple):
    """What is to be shown with the container's ids (runtime/layers.py)."""

    path: str
    """On the host."""
    subpath: str = ""
    """Relative, looked up inside."""
    recursive: bool = False


def mapped_mounts(spec: ContainerSpec, volumes: Iterable[Shown]) -> dict[str, Bound]:
    """By target: a volume of pysup's holds the container's own ids, a directory of the host only if asked (idmap)."""
    if spec.namespaces.user != "private":
        return {}
    data = {one.name: one.path for one in volumes if one.source is None}
    found = {}
    for mount in spec.mounts:
        if mount.volume is not None and mount.volume.name in data:
            found[mount.target] = Bound(data[mount.volume.name], mount.volume.subpath)
        elif mount.kind == "bind" and mount.idmap:
            found[mount.target] = Bound(mount.source, recursive=mount.recursive)
    return found


def _file_system(mount: Mount, volume: Volume, source: Source) -> Step:
    """Mounted by each container for itself, in its own mount namespace: nothing stays on the host."""
    flags, data = _flags(source.options, mount)
    step = ["mount", source.fstype, source.device, mount.target, flags, data]
    if not volume.subpath:
        return step
    if source.fstype == "tmpfs":
        raise NotSupported(
            f"cannot mount volume {volume.name}: a volume in memory begins empty in each container, so there is "
            f"no subpath {volume.subpath}"
        )
    return ["mount_part", *step[1:], volume.subpath]


def _flags(options: Iterable[str], mount: Mount) -> tuple[int, str]:
    """Split mount(8)'s options into mount(2)'s flags and the file system's own data; the last one wins."""
    flags: set[str] = set()
    data = []
    for option in options:
        if option in CLEARS:
            flags.discard(CLEARS[option])
        elif option in FLAGS:
            flags.add(option)
        else:
            data.append(option)
    if mount.read_only:
        flags.add("ro")
    return sum(FLAGS[flag] for flag in flags), ",".join(data)
