"""HostConfig.Binds, Mounts and Tmpfs into the ordered list of mounts. Pure: sources are sought at start."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pysup.supervisor.spec.container import Mount
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.mount_syntax import PROPAGATIONS, clean, parse_volume

_VOLUMES = "volumes come later"
_TMPFS = ("noexec", "nosuid", "nodev")
"""Docker's options of a tmpfs; one that is given after them wins."""
_FLAGS = (
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync mand nomand atime noatime diratime "
    "nodiratime relatime norelatime strictatime nostrictatime"
)
_TMPFS_FLAGS = frozenset(_FLAGS.split())
_TMPFS_VALUES = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})


def mounts(host: Fields) -> tuple[Mount, ...]:
    """Every mount, a parent directory before what lies in it (moby container/mounts sortMounts)."""
    found = [
        *(_bind(host, text) for text in host.texts("Binds")),
        *(_mount(item) for item in host.inners("Mounts")),
        *(_tmpfs(host, path, options) for path, options in host.mapping("Tmpfs").items()),
    ]
    seen: set[str] = set()
    for mount in found:
        if mount.target in seen:
            raise host.bad(f"duplicate mount point {mount.target!r}")
        seen.add(mount.target)
    return tuple(sorted(found, key=lambda mount: mount.target.count("/")))


def refuse_volumes(config: Fields, host: Fields, of_image: Container[str]) -> None:
    """Anonymous volumes are not there yet; those that an image declares stay part of the write layer."""
    for path in config.names("Volumes"):
        if path not in of_image:
            raise config.lacking(
                f"--volume {path[:64]!r}", f"{_VOLUMES}; name a directory of the host: /DIR:TARGET"
            )
    if host.text("VolumeDriver") not in ("", "local"):
        raise host.lacking("--volume-driver", _VOLUMES)


# -- -v ------------------------------------------------------------------------------------------------------


def _bind(host: Fields, text: str) -> Mount:
    try:
        bind = parse_volume(text)
    except ValueError as error:
        raise host.bad(str(error)) from None
    if not bind.source.startswith("/"):
        raise host.lacking(f"--volume {text[:64]!r}", f"{_VOLUMES}; the source must be an absolute path")
    return Mount(
        "bind",
        bind.target,
        clean(bind.source),
        read_only=bind.read_only,
        propagation=bind.propagation or "rprivate",
        create_source=True,
    )


# -- --mount -------------------------------------------------------------------------------------------------


def _mount(item: Fields) -> Mount:
    kind = item.text("Type")
    if kind == "bind":
        return _typed_bind(item)
    if kind == "tmpfs":
        return _typed_tmpfs(item)
    if kind in ("volume", "image", "npipe", "cluster"):
        raise item.lacking(f"--mount type={kind}", _VOLUMES)
    raise item.bad(f"{item.where}.Type {kind[:64]!r} is not bind or tmpfs")


def _mount_target(item: Fields) -> str:
    target = item.text("Target")
    if not target.startswith("/") or clean(target) == "/":
        raise item.bad(f"{item.where}.Target {target[:64]!r} must be an absolute path, and not the root")
    return clean(target)


def _typed_bind(item: Fields) -> Mount:
    source, options = item.text("Source"), item.inner("BindOptions")
    if not source.startswith("/"):
        raise item.bad(f"{item.where}.Source {source[:64]!r} must be an absolute path")
    propagation = options.text("Propagation", "rprivate")
    if propagation not in PROPAGATIONS:
        raise item.bad(
            f"{item.where}: propagation {propagation[:64]!r} is not one of {', '.join(sorted(PROPAGATIONS))}"
        )
    if options.flag("ReadOnlyNonRecursive"):
        raise item.lacking("--mount bind-recursive=writable", "read-only holds for the mounts below, too")
    if options.flag("ReadOnlyForceRecursive") and not item.flag("ReadOnly"):
        raise item.bad(f"{options.where}.ReadOnlyForceRecursive needs ReadOnly")
    return Mount(
        "bind",
        _mount_target(item),
        clean(source),
        read_only=item.flag("ReadOnly"),
        propagation=propagation,
        recursive=not options.flag("NonRecursive"),
        create_source=options.flag("CreateMountpoint"),
    )


def _typed_tmpfs(item: Fields) -> Mount:
    if item.text("Source"):
        raise item.bad(f"{item.where}.Source must be empty for a tmpfs")
    options = item.inner("TmpfsOptions")
    size, mode = options.integer("SizeBytes"), options.integer("Mode")
    if size < 0 or not 0 <= mode <= 0o7777:  # noqa: PLR2004 - the permission bits
        raise item.bad(f"{options.where}: the size cannot be negative, and the mode is within 0 and 07777")
    if options.raw("Options"):
        raise item.lacking("--mount tmpfs-options", "use --tmpfs PATH:OPTIONS")
    given = [*([f"size={size}"] if size else []), *([f"mode={mode:o}"] if mode else [])]
    return Mount("tmpfs", _mount_target(item), read_only=item.flag("ReadOnly"), options=(*_TMPFS, *given))


# -- --tmpfs -------------------------------------------------------------------------------------------------


def _tmpfs(host: Fields, path: str, text: str) -> Mount:
    if not path.startswith("/") or clean(path) == "/":
        raise host.bad(f"--tmpfs {path[:64]!r} must be an absolute path, and not the root")
    options = [option for option in text.split(",") if option and option != "defaults"]
    for option in options:
        name, equals, value = option.partition("=")
        if not (name in _TMPFS_VALUES and value if equals else name in _TMPFS_FLAGS):
            raise host.bad(f"--tmpfs {path[:64]!r} has the unknown option {option[:64]!r}")
    kept = tuple(option for option in options if option not in ("ro", "rw"))
    last = [option for option in options if option in ("ro", "rw")][-1:]
    return Mount("tmpfs", clean(path), read_only=last == ["ro"], options=(*_TMPFS, *kept))


def normal_mount(item: Fields) -> dict[str, Any]:
    """A Mounts entry as docker's inspect shows it: only what is given."""
    kept: dict[str, Any] = {
        "Type": item.text("Type"),
        "Source": item.text("Source"),
        "Target": item.text("Target"),
    }
    if item.flag("ReadOnly"):
        kept["ReadOnly"] = True
    if item.text("Consistency"):
        kept["Consistency"] = item.text("Consistency")
    for options, readers in _OPTIONS.items():
        found = item.inner(options)
        given = {key: read(found, key) for key, read in readers.items() if found.raw(key)}
        if given:
            kept[options] = given
    return kept


_OPTIONS: dict[str, dict[str, Any]] = {
    "BindOptions": {
        "Propagation": Fields.text,
        "NonRecursive": Fields.flag,
        "CreateMountpoint": Fields.flag,
        "ReadOnlyNonRecursive": Fields.flag,
        "ReadOnlyForceRecursive": Fields.flag,
    },
    "TmpfsOptions": {"SizeBytes": Fields.integer, "Mode": Fields.integer},
}
