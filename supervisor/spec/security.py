"""What a container may do: --privileged, --security-opt, the masked paths. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.spec.capabilities import effective, every, is_capability
from pysup.supervisor.spec.container import Namespaces, Security
from pysup.supervisor.spec.devices import device_rules, devices
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.seccomp import UNCONFINED, parse_profile

BUILTIN = "builtin"
EVERY_PATH = "ALL"
"""--security-opt unmask=ALL, as podman has it."""
_PROFILE_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,255}")
_ODD_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:/|$)")


@dataclass(slots=True)
class _Options:
    """--security-opt, read one by one: of an option that is given twice the last one counts, as in docker."""

    seccomp: str | None = None
    apparmor: str = ""
    no_new_privileges: bool = False
    masked: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()


def security(host: Fields, spaces: Namespaces, *, modules: Iterable[str] = ()) -> Security:
    """HostConfig's fields about confinement. ``modules``: the security modules of the kernel (``apparmor``)."""
    options, privileged = _options(host), host.flag("Privileged")
    if privileged and spaces.user == "private":
        raise host.bad(
            "--privileged conflicts with a user namespace of its own: "
            "it would have no power over the host; give --userns host"
        )
    if options.apparmor and "apparmor" not in modules:
        raise Unavailable(
            f"cannot {host.verb}: --security-opt apparmor={options.apparmor}: this kernel has no AppArmor"
        )
    return Security(
        privileged=privileged,
        seccomp=_seccomp(options, privileged=privileged),
        apparmor=options.apparmor,
        masked=_paths(host, "MaskedPaths"),
        read_only=_paths(host, "ReadonlyPaths"),
        also_masked=options.masked,
        unmasked=options.unmasked,
        devices=devices(host),
        device_rules=device_rules(host),
    )


def no_new_privileges(host: Fields) -> bool:
    """--security-opt no-new-privileges."""
    return _options(host).no_new_privileges


def capabilities(host: Fields) -> tuple[str, ...]:
    """The bounding set by --cap-add, --cap-drop and --privileged."""
    add, drop = host.texts("CapAdd"), host.texts("CapDrop")
    for flag, names in (("--cap-add", add), ("--cap-drop", drop)):
        for name in names:
            if not is_capability(name):
                raise host.bad(f"{flag} {name[:64]!r} is not a capability")
    return every(add, drop) if host.flag("Privileged") else effective(add, drop)


# -- --security-opt ------------------------------------------------------------------------------------------


def _options(host: Fields) -> _Options:
    found = _Options()
    for option in host.texts("SecurityOpt"):
        name, value = _split(option)
        match name:
            case "seccomp":
                found.seccomp = _profile(host, value)
            case "no-new-privileges":
                found.no_new_privileges = _switch(host, value)
            case "apparmor":
                found.apparmor = _apparmor(host, value)
            case "label":
                _label(host, value)
            case "mask":
                found.masked = _listed(host, name, value)
            case "unmask":
                found.unmasked = (EVERY_PATH,) if value == EVERY_PATH else _listed(host, name, value)
            case _:
                raise host.lacking(f"--security-opt {option[:64]!r}")
    return found


def _split(option: str) -> tuple[str, str]:
    """``name=value``, or the older ``name:value``, or ``disable``, which is about labels."""
    if option == "disable":
        return "label", option
    for separator in "=:":
        name, found, value = option.partition(separator)
        if found and name.isascii() and name.replace("-", "").isalpha():
            return name, value
    return option, ""


def _profile(host: Fields, value: str) -> str:
    """Empty for docker's own; a client sends a file's content, so that no path of the host is read here."""
    if value in (UNCONFINED, BUILTIN):
        return value
    try:
        parse_profile(value)
    except ValueError as error:
        raise host.bad(f"--security-opt seccomp: {error}") from None
    return value


def _seccomp(options: _Options, *, privileged: bool) -> str:
    """Docker's profile unless something else is asked for; none for a privileged container."""
    if options.seccomp is None:
        return UNCONFINED if privileged else ""
    return "" if options.seccomp == BUILTIN else options.seccomp


def _switch(host: Fields, value: str) -> bool:
    if value not in ("", "true", "false"):
        raise host.bad(f"--security-opt no-new-privileges={value[:32]!r} is neither true nor false")
    return value != "false"


def _apparmor(host: Fields, value: str) -> str:
    if value == UNCONFINED:
        return ""
    if not _PROFILE_NAME.fullmatch(value):
        raise host.bad(f"--security-opt apparmor={value[:64]!r} is not the name of a profile")
    return value


def _label(host: Fields, value: str) -> None:
    """Nothing is labelled, so ``disable`` is granted; a label that was asked for and not set would be a lie."""
    if value != "disable":
        raise host.lacking(f"--security-opt label={value[:64]!r}", "containers have no SELinux labels")


def _listed(host: Fields, name: str, value: str) -> tuple[str, ...]:
    paths = tuple(value.split(":"))
    for path in paths:
        _check_path(host, f"--security-opt {name}", path)
    return paths


# -- MaskedPaths and ReadonlyPaths ---------------------------------------------------------------------------


def _paths(host: Fields, key: str) -> tuple[str, ...] | None:
    """None: the default ones; an empty list is a choice (--security-opt systempaths=unconfined)."""
    if key not in host:
        return None
    paths = host.texts(key)
    for path in paths:
        _check_path(host, key, path)
    return tuple(paths)


def _check_path(host: Fields, what: str, path: str) -> None:
    if not path.startswith("/") or path.rstrip("/") == "" or _ODD_IN_A_PATH.search(path):
        raise host.bad(f"{what} {path[:64]!r} is not an absolute path")
