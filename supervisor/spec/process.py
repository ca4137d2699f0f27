"""What is executed, from docker's Config and HostConfig, or from the body of an exec. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pysup.supervisor.spec.capabilities import ALL
from pysup.supervisor.spec.container import Process
from pysup.supervisor.spec.detach_keys import parse_detach_keys
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.limits import rlimits
from pysup.supervisor.spec.security import capabilities, no_new_privileges

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Docker's PATH where the image has none (moby oci/defaults.go)."""
_OOM_SCORES = range(-1000, 1001)
_USER = re.compile(r"[^\s:]*(?::[^\s:]*)?")


def process(config: Fields, host: Fields, *, hostname: str) -> Process:
    """A container's first process."""
    tty = config.flag("Tty")
    return Process(
        argv=argv(config),
        env=environment(base_environment(hostname, tty=tty), _env(config)),
        cwd=working_directory(config) or "/",
        user=_user(config),
        groups=tuple(host.texts("GroupAdd")),
        tty=tty,
        console_size=_console_size(host),
        open_stdin=config.flag("OpenStdin"),
        stdin_once=config.flag("StdinOnce"),
        rlimits=rlimits(host),
        oom_score_adj=_oom_score(host),
        capabilities=capabilities(host),
        no_new_privileges=no_new_privileges(host),
    )


def argv(config: Fields) -> tuple[str, ...]:
    """Entrypoint and command; one of them must be there."""
    words = (*(config.words("Entrypoint") or ()), *(config.words("Cmd") or ()))
    if not words or not words[0]:
        raise config.bad("no command specified")
    return words


def working_directory(config: Fields) -> str:
    """An absolute path, or nothing."""
    path = config.text("WorkingDir")
    if path and not path.startswith("/"):
        raise config.bad(f"the working directory {path[:64]!r} is not an absolute path")
    return path


def _user(config: Fields) -> str:
    user = config.text("User")
    if not _USER.fullmatch(user):
        raise config.bad(f"invalid user {user[:64]!r} (it is NAME|UID[:GROUP|GID])")
    return user


def _console_size(fields: Fields) -> tuple[int, int]:
    rows, columns = fields.size("ConsoleSize")
    return rows, columns


# -- environment ---------------------------------------------------------------------------------------------


def base_environment(hostname: str, *, tty: bool) -> tuple[str, ...]:
    """What docker sets before the image's and the user's own (moby container/env.go)."""
    return (PATH, f"HOSTNAME={hostname}", *(("TERM=xterm",) if tty else ()))


def environment(base: Iterable[str], changes: Iterable[str]) -> tuple[str, ...]:
    """The later setting of a name wins; a name without ``=`` takes the variable away (docker's -e NAME)."""
    merged: dict[str, str] = {}
    for entry in (*base, *changes):
        name, equals, _ = entry.partition("=")
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    return tuple(merged.values())


def _env(config: Fields) -> list[str]:
    entries = config.texts("Env")
    for entry in entries:
        if not entry or entry.startswith("="):
            raise config.bad(f"invalid environment variable {entry[:64]!r}")
    return entries


# -- privileges ----------------------------------------------------------------------------------------------


def _oom_score(host: Fields) -> int:
    score = host.integer("OomScoreAdj")
    if score not in _OOM_SCORES:
        raise host.bad(f"--oom-score-adj {score} is not within -1000 and 1000")
    return score


# -- exec ----------------------------------------------------------------------------------------------------


def exec_process(body: object, container: Process, *, verb: str = "create exec") -> Process:
    """The process of an exec: what the body does not say is as in the container (moby daemon/exec.go).

    Of the container's environment what was set for it is kept; TERM comes with the exec's own tty. Privileged means
    all capabilities; the container's filter and masks stay.
    """
    asked = Fields(verb, body)
    _check_detach_keys(asked)
    tty = asked.flag("Tty")
    terminal = ("TERM=xterm",) if tty and not _has(container.env, "TERM") else ()
    return Process(
        argv=_exec_argv(asked),
        env=environment((*container.env, *terminal), _env(asked)),
        cwd=working_directory(asked) or container.cwd,
        user=_user(asked) or container.user,
        groups=container.groups,
        tty=tty,
        console_size=_console_size(asked),
        open_stdin=asked.flag("AttachStdin"),
        stdin_once=True,
        rlimits=container.rlimits,
        oom_score_adj=container.oom_score_adj,
        capabilities=ALL if asked.flag("Privileged") else container.capabilities,
        no_new_privileges=container.no_new_privileges,
    )


def _exec_argv(asked: Fields) -> tuple[str, ...]:
    words = tuple(asked.words("Cmd") or ())
    if not words or not words[0]:
        raise asked.bad("no exec command specified")
    return words


def _check_detach_keys(asked: Fields) -> None:
    try:
        parse_detach_keys(asked.text("DetachKeys"))
    except ValueError as error:
        raise asked.bad(str(error)) from None


def _has(env: Sequence[str], name: str) -> bool:
    return any(entry.startswith(f"{name}=") for entry in env)
