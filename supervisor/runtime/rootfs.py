"""A container's own directories: the write layer, and the files of /etc that are not the image's.

DIRECTORY/upper   what the container has written (overlayfs)   DIRECTORY/etc  hostname hosts resolv.conf
DIRECTORY/work    overlayfs's own
DIRECTORY/lower   where a user namespace has its lower layer mounted, DIRECTORY/layers those of an image,
DIRECTORY/rootfs  and its root: that of others is mounted on the daemon's stage/
DIRECTORY/mounts  the same three for each further file system of the machine (host image)
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from pysup.supervisor.kernel.files import text_of
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.runtime import plan, trees
from pysup.supervisor.spec.container import ContainerSpec

_MODES = {"upper": 0o755, "work": 0o700, "etc": 0o755}
_MAPPED = ("lower", "layers", "rootfs")
_SOMETIMES = (*_MAPPED, "mounts")
_ROOT = (0, 0)
HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
"""What docker writes for a container without an address (moby libnetwork/etchosts)."""


def make(directory: str) -> None:
    """Make what every container has, with nothing of any in it. Raises OSError, and leaves what there is then."""
    os.makedirs(directory, 0o700, exist_ok=True)
    for name, mode in _MODES.items():
        os.mkdir(f"{directory}/{name}", mode)
    _make_etc_files(directory)


def furnish(directory: str, spec: ContainerSpec) -> None:
    """Make it this container's, after make(): its root owns it. Raises OSError."""
    ids = plan.root_ids(spec.namespaces)
    if spec.namespaces.user == "private":
        for name in _MAPPED:
            os.mkdir(f"{directory}/{name}", 0o755)
    if ids != _ROOT:
        _give_away(directory, ids)
    for name, content in _etc(spec).items():
        _write(f"{directory}/etc/{name}", content, ids)


def make_ground(directory: str) -> None:
    """Make the lowest layer of all containers, which only has what their mounts lie on. Raises OSError."""
    for name in ("dev", "etc", "proc", "sys"):
        os.makedirs(f"{directory}/{name}", 0o755, exist_ok=True)
    _make_etc_files(directory)


def _give_away(directory: str, ids: tuple[int, int]) -> None:
    """The container's root may pass through by its group; the directories above let nobody come so far."""
    for name in (*_MODES, "lower", "rootfs"):
        os.chown(f"{directory}/{name}", *ids)
    os.chown(directory, -1, ids[1])
    os.chmod(directory, 0o710)  # noqa: S103 - nobody else


def renew(
    directory: str, spec: ContainerSpec, below: Sequence[plan.Below] = (), *, idmapped: bool = False
) -> None:
    """Before each run: what a volatile overlay left is dropped.

    ``below``: further file systems of the host image; each gets a write layer of its own, whose root belongs to the
    container's ids if the layers are ``idmapped``.
    A volatile overlay marks its work directory, and the kernel refuses it from then on, since after a crash
    the layer may be incomplete. Here it is not: a reboot ends a container that is removed by itself.
    """
    if spec.auto_remove:
        trees.remove(f"{directory}/work/work")
    ids = plan.root_ids(spec.namespaces)
    for point, _flags in below:
        _renew_layer(f"{directory}/{plan.mount_directory(point)}", point, spec, ids, idmapped=idmapped)


def write_names(directory: str, spec: ContainerSpec, files: Mapping[str, str]) -> None:
    """Write files of /etc anew, for what is only known at a start. Raises OSError."""
    for name, content in files.items():
        _write(f"{directory}/etc/{name}", content, plan.root_ids(spec.namespaces))


def write_layers(directory: str) -> Iterator[str]:
    """The directories with all that the container has written."""
    yield f"{directory}/upper"
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(f"{directory}/mounts"):
            yield f"{directory}/mounts/{name}/upper"


def _renew_layer(
    directory: str, point: str, spec: ContainerSpec, ids: tuple[int, int], *, idmapped: bool
) -> None:
    """The root of a write layer is what shows as the mount point: it looks like the directory there."""
    if not os.path.isdir(f"{directory}/upper"):
        for name in ("work", "lower", "upper"):
            os.makedirs(f"{directory}/{name}", exist_ok=True)
            os.chown(f"{directory}/{name}", *ids)
        there = os.stat(point)
        if there.st_uid or there.st_gid:
            os.chown(f"{directory}/upper", *_owner(there, spec, idmapped=idmapped))
        os.chmod(f"{directory}/upper", stat.S_IMODE(there.st_mode))
    if spec.auto_remove:
        trees.remove(f"{directory}/work/work")


def _owner(there: os.stat_result, spec: ContainerSpec, *, idmapped: bool) -> tuple[int, int]:
    """Whose a copy of a directory is on the host; the container's root has what is nobody's in there."""
    root, spaces = plan.root_ids(spec.namespaces), spec.namespaces
    if is_rootless() or (spaces.user == "private" and not idmapped):
        return root  # most of what is the host's is nobody's
    if not idmapped:
        return there.st_uid, there.st_gid
    return (
        plan.host_id(plan.uid_maps(spaces), there.st_uid, root[0]),
        plan.host_id(plan.gid_maps(spaces), there.st_gid, root[1]),
    )


def make_sources(spec: ContainerSpec) -> None:
    """Make missing sources of -v, whose root is nobody to the directory above. Raises OSError.

    They are the container's root's (moby MkdirAllAndChownNew), or the host's root's if they show its ids as they are.
    """
    ids = plan.root_ids(spec.namespaces)
    for mount in spec.mounts:
        if mount.kind == "bind" and mount.create_source:
            _make_source(mount.source, _ROOT if mount.idmap else ids)


def _make_source(path: str, ids: tuple[int, int]) -> None:
    if os.path.lexists(path):
        return
    _make_source(os.path.dirname(path), ids)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o755)
        os.chown(path, *ids, follow_symlinks=False)


def parts(directory: str) -> tuple[str, ...]:
    """All of it; the logs beside it are not."""
    return tuple(f"{directory}/{name}" for name in (*_MODES, *_SOMETIMES))


# -- /etc ----------------------------------------------------------------------------------------------------


def _write(path: str, content: str, ids: tuple[int, int]) -> None:
    """Written over and then cut: what was cut to nothing before goes to the disk when it is closed (ext4(5),
    auto_da_alloc), while the start's row waits for that.
    """
    data = content.encode("utf-8", "surrogateescape")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        if ids != _ROOT:
            os.fchown(fd, *ids)
        os.write(fd, data)
        if os.fstat(fd).st_size > len(data):
            os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


def _make_etc_files(directory: str) -> None:
    for name in plan.ETC_FILES:
        _write(f"{directory}/etc/{name}", "", _ROOT)


def _etc(spec: ContainerSpec) -> dict[str, str]:
    """The files; with the host's network those are the host's (moby libnetwork/sandbox_dns_unix.go)."""
    host_network = spec.namespaces.net == "host"
    name = os.uname().nodename if spec.namespaces.uts == "host" else spec.hostname
    resolver = text_of("/etc/resolv.conf")
    return {
        "hostname": f"{name}\n",
        "hosts": text_of("/etc/hosts") if host_network else HOSTS,
        "resolv.conf": resolver if host_network else without_local_servers(resolver),
    }


def without_local_servers(resolver: str) -> str:
    """resolv.conf(5) without name servers on the host's loopback, which is not the container's."""
    return "".join(f"{line}\n" for line in resolver.splitlines() if not _is_local_server(line))


def _is_local_server(line: str) -> bool:
    fields = line.split()
    if len(fields) < 2 or fields[0] != "nameserver":  # noqa: PLR2004 - the word and the address
        return False
    try:
        return ipaddress.ip_address(fields[1].partition("%")[0]).is_loopback
    except ValueError:
        return False
