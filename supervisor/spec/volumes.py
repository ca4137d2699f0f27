"""Volumes: their names, and what the options of docker's ``local`` driver mean. Pure.

Sources: moby volume/local/local.go and local_linux.go, volume/mounts/linux_parser.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from pysup.supervisor.errors import BadRequest, NotFound, NotSupported
from pysup.supervisor.spec.container import Volume
from pysup.supervisor.spec.names import LONGEST, is_name

DRIVER = "local"
"""The only one that there is."""
ANONYMOUS = "com.docker.volume.anonymous"
"""Docker's label of a volume that nobody has named; its clients look for it."""

_KNOWN = ("type", "o", "device")
_NEEDS = {"type": ("device",), "device": ("type",), "o": ("device", "type")}
_NO_TYPE = ("", "none")


class Source(NamedTuple):
    """What is mounted for a volume that is not a plain directory of pysup's."""

    fstype: str
    """Empty: ``device`` is a directory of the host, to be bound."""
    device: str
    options: tuple[str, ...]
    """As of mount(8)."""
    recursive: bool = False
    """``rbind``."""


def check_volume_name(name: str, verb: str = "create") -> str:
    """The name. Raises BadRequest."""
    if not is_name(name):
        raise BadRequest(
            f"cannot {verb} volume {name[:LONGEST]!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, at least two "
            "characters; a directory of the host is named by its absolute path"
        )
    return name


def check_driver(driver: str) -> str:
    """The driver's name. Raises NotFound, as docker does where it looks for a plugin."""
    if driver not in ("", DRIVER):
        raise NotFound(f"cannot use the volume driver {driver[:64]!r}: there is only {DRIVER!r}")
    return DRIVER


def anonymous_name(container_id: str, destination: str) -> str:
    """What a volume is called that nobody has named: 64 hexadecimal digits, as docker's.

    It follows from the container's random id, so that nothing has to be remembered to find it again.
    """
    return hashlib.sha256(f"{container_id}:{destination}".encode()).hexdigest()


def check_volume(volume: Volume, verb: str = "create") -> None:
    """Whether it can be made. Raises BadRequest, NotFound, NotSupported."""
    check_volume_name(volume.name, verb)
    check_driver(volume.driver)
    source_of(volume.name, dict(volume.options))


def source_of(name: str, options: Mapping[str, str]) -> Source | None:
    """What the ``local`` driver's options say; None: a directory of pysup's. Raises BadRequest, NotSupported."""
    for key in options:
        if key == "size":
            raise NotSupported(
                f"cannot create volume {name}: the option 'size' is not supported yet (quotas)"
            )
        if key not in _KNOWN:
            raise BadRequest(f"cannot create volume {name}: invalid option: {key[:64]!r}")
        for needed in _NEEDS[key]:
            if needed not in options:
                raise BadRequest(f"cannot create volume {name}: missing required option: {needed!r}")
    return _source(name, options) if options else None


def _source(name: str, options: Mapping[str, str]) -> Source:
    words = [word for word in options.get("o", "").split(",") if word]
    binds = [word for word in words if word in ("bind", "rbind")]
    others = tuple(word for word in words if word not in ("bind", "rbind", "defaults"))
    fstype, device = options["type"], options["device"]
    if not binds and fstype not in _NO_TYPE:
        return Source(fstype, device, others)
    if not binds:
        raise BadRequest(f"cannot create volume {name}: type {fstype!r} needs o=bind")
    if not device.startswith("/"):
        raise BadRequest(f"cannot create volume {name}: the device {device[:64]!r} must be an absolute path")
    if set(others) - {"ro", "rw"}:
        raise BadRequest(
            f"cannot create volume {name}: beside o=bind there can be ro, not {','.join(others)!r}"
        )
    return Source("", device, others, recursive="rbind" in binds)
