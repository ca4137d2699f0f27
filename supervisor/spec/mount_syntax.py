"""The grammar of ``-v``, ``--mount`` and ``--tmpfs``, into docker's API values. Pure and light.

What is wrong raises ValueError with the cause alone. Whether pysup can do what is asked is judged by the
daemon (spec/mounts.py): here a volume and a bind are both well-formed. Sources: docker/cli opts/mount.go,
moby volume/mounts/linux_parser.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_RELABEL = frozenset({"z", "Z"})
"""For SELinux, shared or not; where it is not in force there is nothing to label."""
_NO_MEANING_HERE = frozenset({"consistent", "cached", "delegated"})
"""Hints for Docker Desktop: docker on Linux accepts and ignores them."""


class Bind(NamedTuple):
    """One ``-v SOURCE:TARGET[:OPTIONS]``."""

    source: str
    """An absolute path, or a volume's name; empty for an anonymous volume."""
    target: str
    read_only: bool = False
    propagation: str = ""
    no_copy: bool = False
    relabel: bool = False
    """z or Z."""
    idmap: bool = False
    """The container's ids are those in the source, whatever ids of the host they are (podman's option)."""
    mode: str = ""
    """The options as they were typed."""


class From(NamedTuple):
    """One ``--volumes-from CONTAINER[:OPTIONS]``."""

    container: str
    read_only: bool = False
    relabel: bool = False


def parse_volumes_from(text: str) -> From:
    """Read an entry of HostConfig.VolumesFrom (moby volume/mounts/linux_parser.go ParseVolumesFrom)."""
    container, _, options = text.partition(":")
    words = [word for word in options.split(",") if word]
    if not container or not set(words) <= {"ro", "rw", *_RELABEL} or {"ro", "rw"} <= set(words):
        raise ValueError(f"invalid --volumes-from {text!r} (it is CONTAINER[:ro|rw])")
    return From(container, "ro" in words, not _RELABEL.isdisjoint(words))


def parse_volume(text: str) -> Bind:
    """Read a ``-v``, or an entry of HostConfig.Binds."""
    parts = text.split(":")
    if len(parts) == 1:
        return Bind("", _target(text, parts[0]))
    if len(parts) > 3 or not parts[0]:  # noqa: PLR2004 - source, target, options
        raise ValueError(f"invalid volume specification: {text!r} (it is SOURCE:TARGET[:OPTIONS])")
    mode = parts[2] if len(parts) == 3 else ""  # noqa: PLR2004
    options = mode.split(",") if len(parts) == 3 else []  # noqa: PLR2004
    return _with_options(text, Bind(parts[0], _target(text, parts[1]), mode=mode), options)


def _target(text: str, path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(
            f"invalid volume specification: {text!r}: the target {path!r} is not an absolute path"
        )
    if clean(path) == "/":
        raise ValueError(f"invalid volume specification: {text!r}: the target cannot be '/'")
    return clean(path)


def _with_options(text: str, bind: Bind, options: list[str]) -> Bind:
    seen: set[str] = set()
    for option in options:
        kind = "mode" if option in ("ro", "rw") else "propagation" if option in PROPAGATIONS else option
        if kind in seen:
            raise ValueError(
                f"invalid volume specification: {text!r}: option {option!r} conflicts or is repeated"
            )
        seen.add(kind)
        if kind == "mode":
            bind = bind._replace(read_only=option == "ro")
        elif kind == "propagation":
            bind = bind._replace(propagation=option)
        elif option == "nocopy":
            bind = bind._replace(no_copy=True)
        elif option == "idmap":
            bind = bind._replace(idmap=True)
        elif option in _RELABEL:
            bind = bind._replace(relabel=True)
        elif option not in _NO_MEANING_HERE:
            raise ValueError(f"invalid volume specification: {text!r}: unknown option {option!r}")
    return bind


def clean(path: str) -> str:
    """An absolute path without ``.``, ``..``, and doubled or trailing slashes (Go's path.Clean)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept)


def parse_mount(text: str, *, cwd: str = "") -> dict[str, Any]:
    """``type=bind,source=/a,target=/b,readonly`` to docker's Mount object (docker/cli opts/mount.go).

    A source that begins with a dot is taken relative to ``cwd``, if one is given.
    """
    mount: dict[str, Any] = {"Type": "volume"}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        known = _KEYS.get(key.strip().lower())
        if known is None:
            raise ValueError(f"unexpected key {key!r} in {field!r}")
        if not equals and key.strip().lower() not in _FLAGS:
            raise ValueError(f"invalid field {field!r}: it must be a key=value pair")
        known(mount, value.strip() if equals else "true")
    return _checked_mount(mount, cwd)


def _fields(text: str) -> list[str]:
    """The comma-separated fields; a quoted one may contain commas."""
    if '"' not in text:
        return text.split(",")
    import csv  # noqa: PLC0415 - hardly anyone quotes, and everyone would wait for the import

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(f"invalid mount {text!r}: {error}") from None
    return rows[0] if rows else []


def _checked_mount(mount: dict[str, Any], cwd: str) -> dict[str, Any]:
    kind = mount["Type"]
    if not mount.get("Target"):
        raise ValueError("target is required")
    for options, owner in (("BindOptions", "bind"), ("TmpfsOptions", "tmpfs"), ("VolumeOptions", "volume")):
        if options in mount and kind != owner:
            raise ValueError(f"cannot mix {owner} options with mount type {kind!r}")
    if mount.get("BindOptions", {}).get("ReadOnlyForceRecursive") and not mount.get("ReadOnly"):
        raise ValueError("bind-recursive=readonly needs readonly")
    if kind == "bind" and cwd and str(mount.get("Source", "")).startswith("."):
        mount["Source"] = clean(f"{cwd}/{mount['Source']}")
    return mount


Setter = Callable[[dict[str, Any], str], None]


def _put(name: str, read: Callable[[str], Any] = str) -> Setter:
    def put(mount: dict[str, Any], value: str) -> None:
        mount[name] = read(value)

    return put


def _put_in(options: str, name: str, read: Callable[[str], Any] = str) -> Setter:
    def put(mount: dict[str, Any], value: str) -> None:
        mount.setdefault(options, {})[name] = read(value)

    return put


def _truth(value: str) -> bool:
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("false", "0", "f"):
        return False
    raise ValueError(f"invalid value {value!r}: it is true or false")


def _propagation(value: str) -> str:
    if value not in PROPAGATIONS:
        raise ValueError(f"invalid propagation {value!r}: it is one of {', '.join(sorted(PROPAGATIONS))}")
    return value


def _size(value: str) -> int:
    from pysup.supervisor.spec.units import parse_size  # noqa: PLC0415 - only where a tmpfs is asked for

    return parse_size(value)


def _octal(value: str) -> int:
    if value and all(digit in "01234567" for digit in value) and len(value) <= 5:  # noqa: PLR2004 - 01777
        return int(value, 8)
    raise ValueError(f"invalid mode {value!r}: it is octal, like 1777")


def _bind_recursive(mount: dict[str, Any], value: str) -> None:
    fields = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in fields:
        raise ValueError(f"invalid value {value!r} for bind-recursive: it is one of {', '.join(fields)}")
    mount.setdefault("BindOptions", {}).update(fields[value])


def _pair_in(name: str) -> Setter:
    def put(mount: dict[str, Any], value: str) -> None:
        key, _, content = value.partition("=")
        options = mount.setdefault("VolumeOptions", {})
        if name == "Labels":
            options.setdefault("Labels", {})[key] = content
        else:
            options.setdefault("DriverConfig", {}).setdefault("Options", {})[key] = content

    return put


def _driver(mount: dict[str, Any], value: str) -> None:
    mount.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})["Name"] = value


_KEYS: dict[str, Setter] = {
    "type": _put("Type", str.lower),
    **dict.fromkeys(("source", "src"), _put("Source")),
    **dict.fromkeys(("target", "dst", "destination"), _put("Target")),
    **dict.fromkeys(("readonly", "ro"), _put("ReadOnly", _truth)),
    "consistency": _put("Consistency", str.lower),
    "bind-propagation": _put_in("BindOptions", "Propagation", _propagation),
    "bind-nonrecursive": _put_in("BindOptions", "NonRecursive", _truth),
    "bind-recursive": _bind_recursive,
    "idmap": _put_in("BindOptions", "IDMap", _truth),
    "bind-create-src": _put_in("BindOptions", "CreateMountpoint", _truth),
    "volume-nocopy": _put_in("VolumeOptions", "NoCopy", _truth),
    "volume-subpath": _put_in("VolumeOptions", "Subpath"),
    "volume-label": _pair_in("Labels"),
    "volume-driver": _driver,
    "volume-opt": _pair_in("Options"),
    "tmpfs-size": _put_in("TmpfsOptions", "SizeBytes", _size),
    "tmpfs-mode": _put_in("TmpfsOptions", "Mode", _octal),
}
_FLAGS = frozenset({"readonly", "ro", "idmap", "bind-nonrecursive", "bind-create-src", "volume-nocopy"})
"""Keys that mean true when they stand alone."""
