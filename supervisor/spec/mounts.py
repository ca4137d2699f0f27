"""Everything that is to be mounted in a container, as one ordered list. Pure: sources are sought at start.

What is given by ``-v``, ``--mount`` and ``--tmpfs`` comes before what ``--volumes-from`` brings at the same place,
and that before the volumes that the image, or ``-v /PATH``, declares (moby daemon/volumes.go registerMountPoints).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from pysup.supervisor.spec.container import Mount, Volume
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.mount_syntax import Bind, From, clean, parse_volume, parse_volumes_from
from pysup.supervisor.spec.typed_mounts import TMPFS, mount_object, typed_mount, volume_mount
from pysup.supervisor.spec.volumes import anonymous_name

_FLAGS = (
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync mand nomand atime noatime diratime "
    "nodiratime relatime norelatime strictatime nostrictatime"
)
_TMPFS_FLAGS = frozenset(_FLAGS.split())
_TMPFS_VALUES = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})


def mounts(
    config: Fields, host: Fields, container_id: str, *, modules: Collection[str] = ()
) -> tuple[Mount, ...]:
    """Every mount, a parent directory before what lies in it. ``modules``: security modules in force."""
    tmpfs = [_tmpfs(host, path, options) for path, options in host.mapping("Tmpfs").items()]
    given = _given(host, container_id, modules)
    _refuse_duplicates(host, [*given, *tmpfs])
    taken = {mount.target for mount in tmpfs}
    found = [*_with_others(config, host, given, container_id, taken), *tmpfs]
    return tuple(sorted(found, key=lambda mount: mount.target.count("/")))


def points(config: Fields, host: Fields, container_id: str) -> list[Mount]:
    """What docker calls mount points: all but --tmpfs."""
    return _with_others(config, host, _given(host, container_id), container_id)


def inheritable(config: Fields, host: Fields, container_id: str) -> list[Json]:
    """What --volumes-from of this container brings, as Mount objects: its binds and volumes."""
    found = points(config, host, container_id)
    return [mount_object(mount) for mount in found if mount.kind != "tmpfs"]


def with_inherited(verb: str, body: Json, find: Callable[[str], list[Json]]) -> Json:
    """The create body with what --volumes-from brings, for good; ``find``: the Mount objects of a container.

    Those that a body brings along (somebody sends what inspect has shown) are found anew. Raises BadRequest.
    """
    host = Fields(verb, body).inner("HostConfig")
    objects = [
        one | ({"ReadOnly": True} if asked.read_only else {})
        for asked in _asked(host)
        for one in find(asked.container)
    ]
    own = {**(host.raw("Pysup") or {}), "Inherited": objects}
    if not objects and "Inherited" not in host.inner("Pysup"):
        return body
    return {**body, "HostConfig": {**body["HostConfig"], "Pysup": own}}


def _asked(host: Fields) -> list[From]:
    try:
        return [parse_volumes_from(text) for text in host.texts("VolumesFrom")]
    except ValueError as error:
        raise host.bad(str(error)) from None


# -- from everywhere -----------------------------------------------------------------------------------------


def _given(host: Fields, container_id: str, modules: Collection[str] = ()) -> list[Mount]:
    return [
        *(_bind(host, text, container_id, modules) for text in host.texts("Binds")),
        *(typed_mount(item, container_id) for item in host.inners("Mounts")),
    ]


def _refuse_duplicates(host: Fields, found: Iterable[Mount]) -> None:
    seen: set[str] = set()
    for mount in found:
        if mount.target in seen:
            raise host.bad(f"duplicate mount point {mount.target!r}")
        seen.add(mount.target)


def _with_others(
    config: Fields, host: Fields, given: Sequence[Mount], container_id: str, taken: Collection[str] = ()
) -> list[Mount]:
    """The ones given, then what other containers and the image add in places that are free."""
    inherited = [typed_mount(item, container_id) for item in host.inner("Pysup").inners("Inherited")]
    found: dict[str, Mount] = {}
    for mount in (*given, *reversed(inherited), *_declared(config, host, container_id)):
        if mount.target not in taken:
            found.setdefault(mount.target, mount)
    return list(found.values())


def _declared(config: Fields, host: Fields, container_id: str) -> Iterator[Mount]:
    """Anonymous volumes: Config.Volumes, the image's among them."""
    for path in config.names("Volumes"):
        if not path.startswith("/") or clean(path) == "/":
            raise config.bad(f"the volume {path[:64]!r} must be an absolute path, and not the root")
        yield _anonymous(host, clean(path), container_id)


def _anonymous(host: Fields, target: str, container_id: str, bind: Bind | None = None) -> Mount:
    bind = bind or Bind("", target)
    volume = Volume(
        anonymous_name(container_id, target),
        anonymous=True,
        copy=not bind.no_copy,
        driver=host.text("VolumeDriver", "local"),
    )
    return volume_mount(host, target, volume, read_only=bind.read_only, mode=bind.mode)


# -- -v ------------------------------------------------------------------------------------------------------


def _bind(host: Fields, text: str, container_id: str, modules: Collection[str]) -> Mount:
    try:
        bind = parse_volume(text)
    except ValueError as error:
        raise host.bad(str(error)) from None
    if bind.relabel and "selinux" in modules:
        raise host.lacking(f"--volume {text[:64]!r}", "SELinux is in force, and pysup labels no files")
    if not bind.source:
        return _anonymous(host, bind.target, container_id, bind)
    if not bind.source.startswith("/"):
        return _named(host, bind)
    return Mount(
        "bind",
        bind.target,
        clean(bind.source),
        read_only=bind.read_only,
        propagation=bind.propagation or "rprivate",
        idmap=bind.idmap,
        create_source=True,
        mode=bind.mode,
    )


def _named(host: Fields, bind: Bind) -> Mount:
    if bind.propagation:
        raise host.bad(f"--volume {bind.source[:64]}: a volume has no propagation ({bind.propagation})")
    volume = Volume(bind.source, copy=not bind.no_copy, driver=host.text("VolumeDriver", "local"))
    return volume_mount(host, bind.target, volume, read_only=bind.read_only, mode=bind.mode)


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
    return Mount("tmpfs", clean(path), read_only=last == ["ro"], options=(*TMPFS, *kept))
