"""What each line of a Dockerfile asks for, as a frozen value. Variables in it are not replaced yet (expansion.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pysup.supervisor.build.lexing import Heredoc

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all have."""

    line: int
    text: str
    """As written, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line: words to execute, or one text for a shell."""

    words: tuple[str, ...]
    shell: bool
    """Words is one text, for the image's shell (SHELL)."""

    def argv(self, shell: Sequence[str]) -> list[str]:
        """What is executed; nothing for the shell form of an empty text."""
        return [*shell, *self.words] if self.shell and self.words else list(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """The beginning of a stage."""

    base: str
    name: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """Names that a build may be given, with their defaults (None: none)."""

    args: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """Variables."""

    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """Labels."""

    pairs: Pairs
    literal: bool = False
    """From --label: a dollar sign in it means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY and ADD."""

    add: bool
    sources: tuple[str, ...]
    target: str
    contents: tuple[Heredoc, ...] = ()
    """Files whose content is in the Dockerfile."""
    origin: str = ""
    """--from: a stage or an image; empty: the context."""
    chown: str = ""
    chmod: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """A command that is executed now."""

    command: Command
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """The command of containers."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """What is put before it."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """How to know that a container is well: docker's document of it."""

    check: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """What the shell forms use from here on."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """Ports."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """Places of volumes."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Instruction):
    """One with a single text: USER, WORKDIR, STOPSIGNAL, MAINTAINER."""

    keyword: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Instruction):
    """An instruction for the images that are built on this one."""

    trigger: str
