"""Docker's Mount objects (``--mount``, HostConfig.Mounts), into mounts and back. Pure."""

from __future__ import annotations

from typing import Any

from pysup.supervisor.errors import NotSupported, PysupError
from pysup.supervisor.spec.container import Mount, Volume
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.mount_syntax import PROPAGATIONS, clean
from pysup.supervisor.spec.volumes import ANONYMOUS, anonymous_name, check_volume

TMPFS = ("noexec", "nosuid", "nodev")
"""Docker's options of a tmpfs; one that is given after them wins."""


def typed_mount(item: Fields, container_id: str) -> Mount:
    """One Mount object. Raises BadRequest, NotSupported."""
    kind = item.text("Type")
    if kind == "bind":
        return _bind(item)
    if kind == "tmpfs":
        return _tmpfs(item)
    if kind == "volume":
        return _volume(item, container_id)
    if kind in ("image", "npipe", "cluster"):
        raise item.lacking(f"--mount type={kind}")
    raise item.bad(f"{item.where}.Type {kind[:64]!r} is not bind, tmpfs or volume")


def _target(item: Fields) -> str:
    target = item.text("Target")
    if not target.startswith("/") or clean(target) == "/":
        raise item.bad(f"{item.where}.Target {target[:64]!r} must be an absolute path, and not the root")
    return clean(target)


def _bind(item: Fields) -> Mount:
    source, options = item.text("Source"), item.inner("BindOptions")
    if not source.startswith("/"):
        raise item.bad(f"{item.where}.Source {source[:64]!r} must be an absolute path")
    propagation = options.text("Propagation", "rprivate")
    if propagation not in PROPAGATIONS:
        raise item.bad(
            f"{item.where}: propagation {propagation[:64]!r} is not one of {', '.join(sorted(PROPAGATIONS))}"
        )
    _check_read_only(item, options)
    return Mount(
        "bind",
        _target(item),
        clean(source),
        read_only=item.flag("ReadOnly"),
        read_only_below=not options.flag("ReadOnlyNonRecursive"),
        propagation=propagation,
        recursive=not options.flag("NonRecursive"),
        idmap=options.flag("IDMap"),
        create_source=options.flag("CreateMountpoint"),
    )


def _check_read_only(item: Fields, options: Fields) -> None:
    for key in ("ReadOnlyNonRecursive", "ReadOnlyForceRecursive"):
        if options.flag(key) and not item.flag("ReadOnly"):
            raise item.bad(f"{options.where}.{key} needs ReadOnly")
    if options.flag("ReadOnlyNonRecursive") and options.flag("ReadOnlyForceRecursive"):
        raise item.bad(f"{options.where}: ReadOnlyForceRecursive and ReadOnlyNonRecursive conflict")


def _tmpfs(item: Fields) -> Mount:
    if item.text("Source"):
        raise item.bad(f"{item.where}.Source must be empty for a tmpfs")
    options = item.inner("TmpfsOptions")
    size, mode = options.integer("SizeBytes"), options.integer("Mode")
    if size < 0 or not 0 <= mode <= 0o7777:  # noqa: PLR2004 - the permission bits
        raise item.bad(f"{options.where}: the size cannot be negative, and the mode is within 0 and 07777")
    if options.raw("Options"):
        raise item.lacking("--mount tmpfs-options", "use --tmpfs PATH:OPTIONS")
    given = [*([f"size={size}"] if size else []), *([f"mode={mode:o}"] if mode else [])]
    return Mount("tmpfs", _target(item), read_only=item.flag("ReadOnly"), options=(*TMPFS, *given))


def _volume(item: Fields, container_id: str) -> Mount:
    target, name = _target(item), item.text("Source")
    options = item.inner("VolumeOptions")
    driver = options.inner("DriverConfig")
    subpath = options.text("Subpath")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise item.bad(f"{options.where}.Subpath {subpath[:64]!r} must be a relative path inside the volume")
    volume = Volume(
        name or anonymous_name(container_id, target),
        anonymous=not name or ANONYMOUS in options.mapping("Labels"),
        copy=not options.flag("NoCopy"),
        subpath=subpath,
        driver=driver.text("Name", "local"),
        options=tuple(driver.mapping("Options").items()),
        labels=tuple(options.mapping("Labels").items()),
    )
    return volume_mount(item, target, volume, read_only=item.flag("ReadOnly"))


def volume_mount(
    fields: Fields, target: str, volume: Volume, *, read_only: bool = False, mode: str = ""
) -> Mount:
    """The mount of a volume that can be made. Raises BadRequest, NotSupported."""
    try:
        check_volume(volume)
    except NotSupported as error:
        raise NotSupported(f"cannot {fields.verb}: {error}") from None
    except PysupError as error:
        raise fields.bad(str(error)) from None
    return Mount("volume", target, read_only=read_only, volume=volume, mode=mode)


# -- documents -----------------------------------------------------------------------------------------------


def normal_mounts(host: Fields, key: str) -> list[Json]:
    """The entries of Mounts as docker's inspect shows them: only what is given."""
    return [_normal_mount(item) for item in host.inners(key)]


def _normal_mount(item: Fields) -> Json:
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


def _driver_config(options: Fields, key: str) -> Json:
    driver = options.inner(key)
    given = {"Name": driver.text("Name"), "Options": driver.mapping("Options")}
    return {key: value for key, value in given.items() if value}


_OPTIONS: dict[str, dict[str, Any]] = {
    "BindOptions": {
        "Propagation": Fields.text,
        "NonRecursive": Fields.flag,
        "CreateMountpoint": Fields.flag,
        "ReadOnlyNonRecursive": Fields.flag,
        "ReadOnlyForceRecursive": Fields.flag,
        "IDMap": Fields.flag,
    },
    "TmpfsOptions": {"SizeBytes": Fields.integer, "Mode": Fields.integer},
    "VolumeOptions": {
        "NoCopy": Fields.flag,
        "Labels": Fields.mapping,
        "Subpath": Fields.text,
        "DriverConfig": _driver_config,
    },
}


def mount_object(mount: Mount) -> Json:
    """A bind or volume as a Mount object, which another container takes over (--volumes-from).

    The other container has the same volume by its name, and copies nothing into it.
    """
    made: Json = {"Type": mount.kind, "Target": mount.target}
    if mount.read_only:
        made["ReadOnly"] = True
    if mount.volume is not None:
        labels = {ANONYMOUS: ""} if mount.volume.anonymous else {}
        options = {"NoCopy": True, "Subpath": mount.volume.subpath, "Labels": labels}
        given = {key: value for key, value in options.items() if value}
        return made | {"Source": mount.volume.name, "VolumeOptions": given}
    bind = {
        "Propagation": mount.propagation,
        "NonRecursive": not mount.recursive,
        "IDMap": mount.idmap,
        "CreateMountpoint": mount.create_source,
        "ReadOnlyNonRecursive": mount.read_only and not mount.read_only_below,
    }
    return made | {
        "Source": mount.source,
        "BindOptions": {key: value for key, value in bind.items() if value},
    }
