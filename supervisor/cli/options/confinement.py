"""--security-opt and --device of run and create, as fields of HostConfig (docker/cli container/opts.go)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pysup.supervisor.cli.files import reading

_KEPT = ("unconfined", "builtin")
"""Words in the place of a seccomp profile's file."""
_ALONE = "no-new-privileges"
_OPEN_PATHS = "systempaths=unconfined"


def security(options: Iterable[str]) -> dict[str, Any]:
    """SecurityOpt, MaskedPaths and ReadonlyPaths. A seccomp profile is read here and sent as text.

    Raises ValueError.
    """
    sent: list[str] = []
    found: dict[str, Any] = {}
    for option in options:
        if option in (_OPEN_PATHS, _OPEN_PATHS.replace("=", ":")):
            found = {"MaskedPaths": [], "ReadonlyPaths": []}
        else:
            sent.append(_option(option))
    return ({"SecurityOpt": sent} if sent else {}) | found


def _option(option: str) -> str:
    name, equals, value = option.partition("=")
    if not equals:
        name, _, value = option.partition(":")
    if not value and name != _ALONE:
        raise ValueError(f'Invalid --security-opt: "{option}"')
    return f"seccomp={_profile(value)}" if name == "seccomp" and value not in _KEPT else option


def _profile(path: str) -> str:
    try:
        found = reading.text(path)
    except OSError as error:
        raise ValueError(f"opening seccomp profile ({path}) failed: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"reading seccomp profile ({path}) failed: {error}") from error
    try:
        return json.dumps(json.loads(found), separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the seccomp profile ({path}) is not JSON: {error}") from error


def device(text: str) -> dict[str, Any]:
    """An entry of Devices. Raises ValueError."""
    from pysup.supervisor.spec.devices import parse_device

    found = parse_device(text)
    for path in (found["PathOnHost"], found["PathInContainer"]):
        if not path.startswith("/") and "=" not in path:  # VENDOR/CLASS=NAME is CDI's
            raise ValueError(f"{path} is not an absolute path")
    return found


def device_rule(text: str) -> str:
    """An entry of DeviceCgroupRules. Raises ValueError."""
    from pysup.supervisor.spec.devices import parse_rule

    return parse_rule(text)
