"""``pysup daemon``: this process becomes the keeper (keeper/handover.py), in the foreground."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from pysup.supervisor import settings
from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Flag, Given, Syntax, UsageError, many, switch, text
from pysup.supervisor.cli.options import daemon_listening, daemon_networks
from pysup.supervisor.errors import BadRequest, Unavailable
from pysup.supervisor.images.registry.endpoints import check_insecure, check_mirror
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.auto_ids import check_mode, parse_pool

_DEFAULT = Settings()
_MISUSE = 2
_MOST_PIDS = 1 << 22
"""The kernel's PID_MAX_LIMIT (include/linux/threads.h)."""

DAEMON = Syntax(
    "daemon",
    "[OPTIONS]",
    "Supervise containers: the server that the other commands talk to",
    (
        text("root", "State that survives a reboot (also PYSUP_ROOT)", default=_DEFAULT.root),
        text("run", "State of this boot (also PYSUP_RUN)", default=_DEFAULT.run),
        text("socket", "The API socket (also PYSUP_SOCKET; default: RUN/pysup.sock)"),
        text(
            "cgroup-root",
            "The cgroup of all containers (also PYSUP_CGROUP_ROOT)",
            default=_DEFAULT.cgroup_root,
        ),
        text(
            "secret-key",
            "The file with the key of all secrets, 32 bytes (default: ROOT/secret.key, made if missing)",
        ),
        text(
            "log-format", "Form of the log lines on standard error: text or json", default=_DEFAULT.log_format
        ),
        Flag("log-max-size", kinds.BYTES, "Size at which a container's log file rotates (default 16m)"),
        Flag("log-max-files", kinds.INT, "Log files kept for a container", default=_DEFAULT.log_max_files),
        Flag("log-total", kinds.BYTES, "Bytes that all logs together may take (default 4g)"),
        Flag("log-retention", kinds.DURATION, "How long a removed container's logs are kept (default 24h)"),
        Flag("event-retention", kinds.DURATION, "How long events are kept (default 720h)"),
        many(
            "insecure-registry", "A registry, HOST[:PORT] or network, that needs no good certificate, nor TLS"
        ),
        many("registry-mirror", "URL of a mirror of docker's hub, asked before it"),
        text(
            "registry-certs",
            "HOST[:PORT]/*.crt below it are trusted for that registry, like those in /etc/docker/certs.d",
            default=_DEFAULT.registry_certs,
        ),
        Flag(
            "max-concurrent-downloads",
            kinds.INT,
            "Layers that are downloaded at once",
            default=_DEFAULT.max_concurrent_downloads,
        ),
        Flag(
            "max-concurrent-uploads",
            kinds.INT,
            "Layers that are uploaded at once",
            default=_DEFAULT.max_concurrent_uploads,
        ),
        Flag(
            "max-download-attempts",
            kinds.INT,
            "Tries without progress before a pull or a push is given up",
            default=_DEFAULT.max_download_attempts,
        ),
        *daemon_listening.FLAGS,
        *daemon_networks.FLAGS,
        text(
            "userns", "User namespace of containers that do not say: host, auto[:OPTIONS] (also PYSUP_USERNS)"
        ),
        text(
            "userns-pool", "START:SIZE, the ids for --userns auto (default: what /etc/subuid gives to pysup)"
        ),
        Flag(
            "default-pids-limit",
            kinds.INT,
            "Processes of a container that does not say; -1: no limit",
            default=_DEFAULT.default_pids_limit,
        ),
        switch("upgrade", "Have the running daemon execute its program anew; containers run on"),
    ),
)

_FIELDS = {
    "registry-mirror": "registry_mirrors",
    "insecure-registry": "insecure_registries",
}

NEEDS = (
    "Linux 5.12 or later with namespaces, cgroups (v1 or v2), overlayfs, pidfds, mount_setattr and openat2"
)
"""What the daemon uses of the kernel; `pysup info` lists what a machine has."""


def daemon(argv: Sequence[str]) -> int:
    """``pysup daemon``."""
    try:
        given = DAEMON.parse(argv)
        chosen = chosen_settings(given)
    except UsageError as error:
        raise UsageError(str(error), _MISUSE) from None
    if sys.platform != "linux":
        raise Unavailable(f"cannot start the daemon: it needs {NEEDS}; this is {sys.platform}")
    if not given.on("upgrade"):
        _become_keeper(chosen)
    from pysup.supervisor.keeper import ground

    print(f"pysup: the daemon (pid {ground.ask_to_upgrade(chosen)}) executes its program anew")
    return 0


def _become_keeper(chosen: Settings) -> NoReturn:
    from pysup.supervisor import rootless
    from pysup.supervisor.keeper import handover

    if os.geteuid() != 0:
        rootless.enter(chosen)
    handover.begin(rootless.without_bridge(chosen))


def chosen_settings(given: Given) -> Settings:
    """The flags that were given, over the environment, over the defaults. Raises UsageError."""
    if given.text("log-format") not in ("text", "json"):
        raise UsageError(
            f"cannot parse the arguments: invalid log format {given.text('log-format')!r} (there are text and json)"
        )
    _check_registries(given)
    changed = given.changed - {"upgrade", *daemon_networks.TEXTS, *daemon_listening.NAMES}
    values = {_FIELDS.get(name, name.replace("-", "_")): _plain(given[name]) for name in changed}
    own = {**daemon_networks.chosen(given), **daemon_listening.chosen(given)}
    return _checked(settings.from_environment(**{**values, **own}))


def _checked(chosen: Settings) -> Settings:
    """What would only be found wrong when a container is made."""
    if chosen.default_pids_limit < -1 or chosen.default_pids_limit > _MOST_PIDS:
        cause = f"--default-pids-limit {chosen.default_pids_limit} is not within -1 and {_MOST_PIDS}"
        raise UsageError(f"cannot parse the arguments: {cause}")
    try:
        check_mode(chosen.userns)
        if chosen.userns_pool:
            parse_pool(chosen.userns_pool)
    except ValueError as error:
        raise UsageError(f"cannot parse the arguments: {error}") from None
    return chosen._replace(default_pids_limit=max(chosen.default_pids_limit, 0))


def _check_registries(given: Given) -> None:
    try:
        for text, check in (("registry-mirror", check_mirror), ("insecure-registry", check_insecure)):
            for one in given.many(text):
                check(one)
    except BadRequest as error:
        raise UsageError(str(error)) from None
    for name in ("max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts"):
        if given.number(name) < 1:
            raise UsageError(
                f"cannot parse the arguments: --{name} must be at least 1, not {given.number(name)}"
            )


def _plain(value: str | float | list[str]) -> str | int | tuple[str, ...]:
    """Durations are whole seconds in the settings, and lists do not change."""
    if isinstance(value, list):
        return tuple(value)
    return int(value) if isinstance(value, float) else value
