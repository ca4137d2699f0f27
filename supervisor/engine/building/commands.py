"""What RUN executes, and docker's create body of the container that does it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pysup.supervisor.build.effects import Described
from pysup.supervisor.build.instructions import Run
from pysup.supervisor.build.lexing import Heredoc, heredoc_of

_SCRIPTS = "/dev/pipes/"
"""Where a here-document is that is a program of its own, as in BuildKit: no layer has anything of it."""


class CommandLine(NamedTuple):
    """What is executed, and how it is told."""

    argv: list[str]
    told: list[str]
    """For the history, on one line."""
    script: Heredoc | None = None
    """What is a program of its own (``#!``)."""


def command_line(instruction: Run, shell: Sequence[str]) -> CommandLine:
    """A here-document alone is the script itself; others are given to the shell, which knows them."""
    command, heredocs = instruction.command, instruction.heredocs
    if not (heredocs and command.shell):
        argv = command.argv(shell)
        return CommandLine(argv, argv)
    text = command.words[0]
    told = [*shell, f"{text} ({_first_line(heredocs[0])}…)"]
    if heredoc_of(text) is None:
        whole = text + "".join(f"\n{one.content}{one.name}" for one in heredocs)
        return CommandLine([*shell, whole], told)
    (script,) = heredocs
    if script.text.startswith("#!"):
        return CommandLine([*shell, _SCRIPTS + script.name], told, script)
    return CommandLine([*shell, script.text], told)


def _first_line(heredoc: Heredoc) -> str:
    return heredoc.text.partition("\n")[0].strip()[:40]


def container_body(
    image_id: str,
    described: Described,
    line: CommandLine,
    *,
    arguments: Mapping[str, str],
    host: Mapping[str, Any],
    script: str,
) -> dict[str, Any]:
    """Docker's create body. ``script``: the host's file with the here-document, if it is a program."""
    mounts = (
        [{"Type": "bind", "Source": script, "Target": _SCRIPTS + line.script.name, "ReadOnly": True}]
        if line.script
        else []
    )
    env = [*(described.config.get("Env") or []), *(f"{name}={value}" for name, value in arguments.items())]
    return {
        "Image": image_id,
        "Cmd": line.argv,
        "Entrypoint": [""],
        "Env": env,
        "User": described.config.get("User") or "",
        "WorkingDir": described.config.get("WorkingDir") or "",
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {**host, **({"Mounts": mounts} if mounts else {})},
    }
