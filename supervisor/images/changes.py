"""--change: Dockerfile instructions that set fields of an image's config. Pure.

Source: docker's reference of ``docker import --change`` and of the Dockerfile.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from pysup.supervisor.errors import BadRequest

Config = dict[str, Any]


def apply_changes(changes: Iterable[str]) -> Config:
    """The config that the instructions make, one after the other. Raises BadRequest."""
    config: Config = {}
    for change in changes:
        for line in filter(None, map(str.strip, change.splitlines())):
            word, _, rest = line.partition(" ")
            instruction = INSTRUCTIONS.get(word.upper())
            if instruction is None:
                raise _bad(line, f"{word.upper()} is not one of {', '.join(INSTRUCTIONS)}")
            if not rest.strip():
                raise _bad(line, "it has no argument")
            instruction(config, rest.strip(), line)
    return config


def _bad(line: str, cause: str) -> BadRequest:
    return BadRequest(f"cannot apply change {line[:128]!r}: {cause}")


def _command(field: str) -> Callable[[Config, str, str], None]:
    def apply(config: Config, rest: str, line: str) -> None:
        config[field] = _exec_form(rest, line) or ["/bin/sh", "-c", rest]

    return apply


def _exec_form(rest: str, line: str) -> list[str] | None:
    """``["a", "b"]``; None for the shell form."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except ValueError as error:
        raise _bad(line, f"not a JSON array: {error}") from None
    if not all(isinstance(word, str) for word in words):
        raise _bad(line, "not an array of strings")
    return list(words)


def _words(rest: str, line: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise _bad(line, str(error).lower()) from None


def _pairs(rest: str, line: str) -> list[tuple[str, str]]:
    """``a=b c="d e"``, or the old form ``a b c``: one name, and the rest is its value."""
    name, _, value = rest.partition(" ")
    if "=" not in name:
        if not value:
            raise _bad(line, "it has no value")
        return [(name, value.strip())]
    words = [word.partition("=") for word in _words(rest, line)]
    if not all(name and equals for name, equals, _ in words):
        raise _bad(line, "a name without a value")
    return [(name, value) for name, _, value in words]


def _env(config: Config, rest: str, line: str) -> None:
    merged = {entry.partition("=")[0]: entry for entry in config.get("Env", [])}
    merged |= {name: f"{name}={value}" for name, value in _pairs(rest, line)}
    config["Env"] = list(merged.values())


def _label(config: Config, rest: str, line: str) -> None:
    config.setdefault("Labels", {}).update(_pairs(rest, line))


def _expose(config: Config, rest: str, line: str) -> None:
    for word in _words(rest, line):
        port, _, protocol = word.partition("/")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16) or protocol not in {
            "",
            "tcp",
            "udp",
            "sctp",
        }:
            raise _bad(line, f"{word} is not a port")
        config.setdefault("ExposedPorts", {})[f"{port}/{protocol or 'tcp'}"] = {}


def _volume(config: Config, rest: str, line: str) -> None:
    for path in _exec_form(rest, line) or _words(rest, line):
        config.setdefault("Volumes", {})[path] = {}


def _text(field: str) -> Callable[[Config, str, str], None]:
    def apply(config: Config, rest: str, _line: str) -> None:
        config[field] = rest

    return apply


def _on_build(config: Config, rest: str, _line: str) -> None:
    config.setdefault("OnBuild", []).append(rest)


INSTRUCTIONS: dict[str, Callable[[Config, str, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _text("StopSignal"),
    "USER": _text("User"),
    "VOLUME": _volume,
    "WORKDIR": _text("WorkingDir"),
}
