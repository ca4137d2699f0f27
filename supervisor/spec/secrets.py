"""Secrets of a container: the grammar of ``--secret``, and what HostConfig.Pysup.Secrets says. Pure.

A value travels in a create body only (``Data``, base64), and is taken out of it before anything else is done with
the body: the documents that the store keeps name secrets, and have no field for a value.
Names and sizes are docker's (swarmkit manager/controlapi/secret.go), the options those of podman-run(1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os.path
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.container import Mount, Secret
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.mount_syntax import clean

DIRECTORY = "/run/secrets"
LARGEST = 500 << 10
"""Bytes of a value, as with docker."""
MODE = 0o444
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,62}[a-zA-Z0-9])?", re.ASCII)
_FILE = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")
_MOST_BITS = 0o777
_LARGEST_ID = (1 << 32) - 2


class Given(NamedTuple):
    """A value that came with a container."""

    name: str
    value: bytes


def check_secret_name(name: str, verb: str = "create secret") -> str:
    """The name. Raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"cannot {verb} {name[:64]!r}: a secret's name has at most 64 characters of [a-zA-Z0-9-_.], "
            "and begins and ends with one of [a-zA-Z0-9]"
        )
    return name


def decoded(data: object, verb: str) -> bytes:
    """A value out of JSON. Raises BadRequest, and says nothing of the value then."""
    try:
        value = base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (ValueError, binascii.Error):
        value = None
    if not value or len(value) > LARGEST:
        raise BadRequest(
            f"cannot {verb}: Data must be base64 text of a value of 1 to {LARGEST} bytes"
        ) from None
    return value


def anonymous_name(container_id: str, target: str) -> str:
    """What a secret is called that came with a container; it follows from the container's random id."""
    return hashlib.sha256(f"{container_id}:secret:{target}".encode()).hexdigest()


# -- a create body -------------------------------------------------------------------------------------------


def without_values(body: Json, container_id: str, verb: str) -> tuple[Json, list[Given]]:
    """The body with a name in the place of each value, and the values. Raises BadRequest."""
    host = Fields(verb, body).inner("HostConfig")
    entries = host.inner("Pysup").inners("Secrets")
    if not any("Data" in entry for entry in entries):
        return body, []
    given: list[Given] = []
    kept = [_named(entry, container_id, given) for entry in entries]
    own = {**body["HostConfig"]["Pysup"], "Secrets": kept}
    return {**body, "HostConfig": {**body["HostConfig"], "Pysup": own}}, given


def _named(entry: Fields, container_id: str, given: list[Given]) -> Json:
    if "Data" not in entry:
        return normal(entry)
    if entry.text("Name"):
        raise entry.bad("a secret has a Name or Data, not both")
    target = target_of(entry)
    name = anonymous_name(container_id, target)
    given.append(Given(name, decoded(entry.raw("Data"), entry.verb)))
    return normal(Fields(entry.verb, {**{key: entry.raw(key) for key in _OTHERS}, "Name": name}, entry.where))


# -- the documents -------------------------------------------------------------------------------------------

_OTHERS = ("Target", "UID", "GID", "Mode")


def normal(entry: Fields) -> Json:
    """An entry of HostConfig.Pysup.Secrets, complete."""
    for key in entry:
        if key not in {"Name", *_OTHERS}:
            raise entry.bad(f"{entry.where}.{key[:64]!r} is not a setting of a secret")
    return {
        "Name": check_secret_name(entry.text("Name"), f"{entry.verb}: use secret"),
        "Target": target_of(entry),
        "UID": _id(entry, "UID"),
        "GID": _id(entry, "GID"),
        "Mode": _mode(entry),
    }


def target_of(entry: Fields) -> str:
    """The path in the container: absolute, or a file name below /run/secrets. Raises BadRequest."""
    target = entry.text("Target") or entry.text("Name")
    if target.startswith("/") and clean(target) != "/":
        return clean(target)
    if not _FILE.fullmatch(target) or target in (".", ".."):
        raise entry.bad(f"the target of a secret is a file name or an absolute path, not {target[:64]!r}")
    return f"{DIRECTORY}/{target}"


def _id(entry: Fields, key: str) -> int:
    number = entry.integer(key)
    if not 0 <= number <= _LARGEST_ID:
        raise entry.bad(f"{entry.where}.{key} {number} is no id")
    return number


def _mode(entry: Fields) -> int:
    mode = entry.optional_integer("Mode")
    if mode is not None and not 0 <= mode <= _MOST_BITS:
        raise entry.bad(f"the mode of a secret is within 0 and 0777, not {mode:o}")
    return MODE if mode is None else mode


def secrets(host: Fields, mounts: Iterable[Mount]) -> tuple[Secret, ...]:
    """The secrets of a container, from its documents. Raises BadRequest."""
    entries = [normal(entry) for entry in host.inner("Pysup").inners("Secrets")]
    found = tuple(Secret(one["Name"], one["Target"], one["UID"], one["GID"], one["Mode"]) for one in entries)
    _refuse_conflicts(host, [one.target for one in found], [mount.target for mount in mounts])
    return found


def _refuse_conflicts(host: Fields, targets: list[str], mounted: list[str]) -> None:
    for target in targets:
        if targets.count(target) > 1 or target in mounted:
            raise host.bad(f"two things are to be at {target}, and one is a secret")
        if os.path.dirname(target) != DIRECTORY and (target + "/").startswith(DIRECTORY + "/"):
            raise host.bad(f"a secret cannot be at {target}: {DIRECTORY} has no directories")
    if targets and any((path + "/").startswith(DIRECTORY + "/") for path in mounted):
        raise host.bad(f"a mount at or below {DIRECTORY} conflicts with secrets, which are there")


# -- the command line ----------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """One ``--secret``."""

    file: str
    """The client's file with the value; empty: a secret that the daemon has."""
    entry: dict[str, Any]


def parse_secret(text: str) -> Asked:
    """``NAME[,target=…,uid=…,gid=…,mode=0400]`` as podman's, ``src=FILE[,…]`` as docker build's. Raises ValueError."""
    first, _, rest = text.partition(",")
    entry: dict[str, Any] = {}
    file = ""
    if first and "=" not in first:
        entry["Name"] = first
    for field in (rest.split(",") if rest else []) if "Name" in entry else text.split(","):
        key, equals, value = field.partition("=")
        if not equals or not value:
            raise ValueError(f"invalid field {field!r}: it must be a key=value pair")
        if key in ("src", "source"):
            file = value
        elif key in _KEYS:
            name, read = _KEYS[key]
            entry[name] = _read(read, field, value)
        else:
            raise ValueError(f"unexpected key {key!r} in {field!r} (there is src, target, uid, gid, mode)")
    return _checked(entry, file)


def _checked(entry: dict[str, Any], file: str) -> Asked:
    if bool(file) == ("Name" in entry):
        raise ValueError("it is the name of a secret or src=FILE, and not both")
    if file and "Target" not in entry:
        entry["Target"] = os.path.basename(file)
    return Asked(file, entry)


def _read(read: Callable[[str], Any], field: str, value: str) -> object:
    try:
        return read(value)
    except ValueError:
        raise ValueError(f"invalid value in {field!r}: it must be a number, mode an octal one") from None


def _octal(text: str) -> int:
    return int(text, 8)


_KEYS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "target": ("Target", str),
    "id": ("Target", str),
    "uid": ("UID", int),
    "gid": ("GID", int),
    "mode": ("Mode", _octal),
}
