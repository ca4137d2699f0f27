"""What instructions do to an image's config. The one place for it: builds, ``--change`` of import and of commit.

A config is docker's inner ``config`` of an image (OCI image-spec, config.md). Variables have been replaced before.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import (
    Cmd,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    OnBuild,
    Shell,
    Text,
    Volume,
)
from pysup.supervisor.spec.signals import parse_signal

Config = dict[str, Any]
SHELL = ("/bin/sh", "-c")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_MOST_PORTS = 1 << 16


@dataclass(frozen=True, slots=True)
class Described:
    """What is said of an image beside its layers."""

    config: Config = field(default_factory=dict)
    author: str = ""
    command_given: bool = False
    """CMD came in this stage: a later ENTRYPOINT leaves it."""

    @property
    def shell(self) -> list[str]:
        """What the shell forms are given to."""
        return list(self.config.get("Shell") or SHELL)

    @property
    def env(self) -> dict[str, str]:
        """Variables by name."""
        return dict(entry.partition("=")[::2] for entry in self.config.get("Env") or [])

    def but(self, **changed: object) -> Described:
        """With other values of config fields; None takes one away."""
        config = {**self.config, **changed}
        return replace(self, config={key: value for key, value in config.items() if value is not None})


def begin_stage(config: Config) -> Described:
    """A stage that begins with an image: PATH is there for RUN, and stdin is closed."""
    begun = Described({key: value for key, value in config.items() if key not in {"OpenStdin", "StdinOnce"}})
    return begun if "PATH" in begun.env else begun.but(Env=[*(config.get("Env") or []), PATH])


def apply(before: Described, instruction: Instruction) -> tuple[Described, str]:
    """What is said of the image then, and docker's words for what was done (the history). Raises BadDockerfile."""
    return _EFFECTS[type(instruction)](before, instruction)


def changes_config_alone(instruction: Instruction) -> bool:
    """Whether apply() knows it: nothing is done to the file system."""
    return type(instruction) in _EFFECTS and not (
        isinstance(instruction, Text) and instruction.keyword == "WORKDIR"
    )


def quoted(words: Sequence[str]) -> str:
    """``["a" "b"]``, as docker's history shows it."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


# -- one function for each -----------------------------------------------------------------------------------


def _env(before: Described, instruction: Env) -> tuple[Described, str]:
    merged = {entry.partition("=")[0]: entry for entry in before.config.get("Env") or []}
    merged |= {name: f"{name}={value}" for name, value in instruction.pairs}
    told = " ".join(f"{name}={value}" for name, value in instruction.pairs)
    return before.but(Env=list(merged.values())), f"ENV {told}"


def _label(before: Described, instruction: Label) -> tuple[Described, str]:
    told = " ".join(f"{name}={value}" for name, value in instruction.pairs)
    return before.but(
        Labels={**(before.config.get("Labels") or {}), **dict(instruction.pairs)}
    ), f"LABEL {told}"


def _cmd(before: Described, instruction: Cmd) -> tuple[Described, str]:
    argv = instruction.command.argv(before.shell)
    return replace(before.but(Cmd=argv), command_given=bool(instruction.command.words)), f"CMD {quoted(argv)}"


def _entrypoint(before: Described, instruction: Entrypoint) -> tuple[Described, str]:
    """It takes the base image's CMD away, which was meant for another one."""
    argv = instruction.command.argv(before.shell)
    after = before.but(Entrypoint=argv or None)
    return after if before.command_given else after.but(Cmd=None), f"ENTRYPOINT {quoted(argv)}"


def _shell(before: Described, instruction: Shell) -> tuple[Described, str]:
    return before.but(Shell=list(instruction.words)), f"SHELL {quoted(instruction.words)}"


def _healthcheck(before: Described, instruction: Healthcheck) -> tuple[Described, str]:
    check = dict(instruction.check)
    return before.but(Healthcheck=check), f"HEALTHCHECK {quoted(check['Test'])}"


def _expose(before: Described, instruction: Expose) -> tuple[Described, str]:
    ports: Config = {port: {} for text in instruction.ports for port in _ports(instruction, text)}
    told = f"EXPOSE {' '.join(instruction.ports)}"
    return before.but(ExposedPorts={**(before.config.get("ExposedPorts") or {}), **ports}), told


def _ports(instruction: Expose, text: str) -> Iterator[str]:
    match = _PORT.fullmatch(text)
    first = int(match.group(1)) if match else 0
    last = int(match.group(2) or first) if match else 0
    if match is None or not 0 < first <= last < _MOST_PORTS:
        raise bad(instruction.line, f"{text[:64]} is not a port")
    for port in range(first, last + 1):
        yield f"{port}/{(match.group(3) or 'tcp').lower()}"


def _volume(before: Described, instruction: Volume) -> tuple[Described, str]:
    volumes = {**(before.config.get("Volumes") or {}), **{path: {} for path in instruction.paths}}
    return before.but(Volumes=volumes), f"VOLUME {quoted_plain(instruction.paths)}"


def quoted_plain(words: Sequence[str]) -> str:
    """``[a b]``."""
    return f"[{' '.join(words)}]"


def _on_build(before: Described, instruction: OnBuild) -> tuple[Described, str]:
    triggers = [*(before.config.get("OnBuild") or []), instruction.trigger]
    return before.but(OnBuild=triggers), f"ONBUILD {instruction.trigger}"


def _text(before: Described, instruction: Text) -> tuple[Described, str]:
    value = instruction.value
    match instruction.keyword:
        case "MAINTAINER":
            return replace(before, author=value), f"MAINTAINER {value}"
        case "WORKDIR":
            value = working_directory(before.config, value)
            return before.but(WorkingDir=value), f"WORKDIR {value}"
        case "STOPSIGNAL":
            _check_signal(instruction)
            return before.but(StopSignal=value), f"STOPSIGNAL {value}"
        case _:
            return before.but(User=value), f"USER {value}"


def _check_signal(instruction: Text) -> None:
    try:
        parse_signal(instruction.value)
    except ValueError as error:
        raise bad(instruction.line, str(error)) from None


def working_directory(config: Config, given: str) -> str:
    """A relative one begins at the one before."""
    joined = posixpath.normpath(posixpath.join("/", config.get("WorkingDir") or "/", given))
    return "/" + joined.lstrip("/")


_EFFECTS: dict[type[Instruction], Callable[[Described, Any], tuple[Described, str]]] = {
    Cmd: _cmd,
    Entrypoint: _entrypoint,
    Env: _env,
    Expose: _expose,
    Healthcheck: _healthcheck,
    Label: _label,
    OnBuild: _on_build,
    Shell: _shell,
    Text: _text,
    Volume: _volume,
}
