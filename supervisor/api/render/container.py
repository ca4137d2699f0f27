"""One container: the list entry and the inspect document (moby api/types/container; API 1.47)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from pysup.store.containers import Container
from pysup.supervisor.api.render import networks
from pysup.supervisor.api.render.mounts import mount_points
from pysup.supervisor.api.render.networks import Attached
from pysup.supervisor.api.render.words import state_word, status_text
from pysup.supervisor.engine.containers.sizes import Sizes
from pysup.supervisor.logs.files import newest
from pysup.supervisor.runtime import masks
from pysup.supervisor.spec.container import Namespaces, Security
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.security import security
from pysup.supervisor.spec.timestamps import rfc3339

Json = dict[str, Any]

DRIVER = "overlay2"
"""Docker's name for one overlayfs mount over plain directories; tools look at it."""
_SHORT = 12
_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Places:
    """Where things of a container lie on the host."""

    directory: str
    """The container's own: upper/ work/ etc/ logs/."""
    lower: tuple[str, ...]
    """Its layers, topmost first."""
    volumes: str
    """The directory of all volumes."""


def command(config: Json) -> list[str]:
    """Entrypoint and command in one."""
    return [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]


def own_facts(row: Container) -> Json:
    """What docker has no field for: pysup's own state, the retry to come, why there is none."""
    return {
        "State": row.state,
        "Desired": row.desired,
        "RunNumber": row.run_number,
        "Retries": row.retries,
        "NextStartAt": None if row.next_start_at is None else rfc3339(row.next_start_at),
        "GaveUpReason": row.gave_up_reason,
        "StoppedByHand": row.stopped_by_hand,
        "FailedStep": row.failed_step,
    }


# -- the list ------------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """What an entry has of a container's documents; shared by all its entries, and never changed."""

    command: str
    exposed: tuple[str, ...]
    labels: Json
    mode: str
    empty: str
    hostname: str
    mounts: list[Json]


@lru_cache(maxsize=1024)
def _known(config_text: str, host_text: str, container_id: str, volumes: str) -> _Known:
    """Half of what a list costs: who asks again is told the same."""
    config, host_config = json.loads(config_text), json.loads(host_text)
    return _Known(
        command=_one_line(command(config)),
        exposed=tuple(config.get("ExposedPorts") or ()),
        labels=config.get("Labels") or {},
        mode=networks.network_mode(host_config),
        empty=networks.has_nothing(host_config),
        hostname=config.get("Hostname") or "",
        mounts=mount_points(config, host_config, container_id, volumes),
    )


def list_entry(
    row: Container, now_ns: int, volumes: str, attached: Attached, sizes: Sizes | None = None
) -> Json:
    """One entry of GET /containers/json. ``volumes``: the directory of all volumes."""
    known = _known(row.config, row.host_config, row.id, volumes)
    names = networks.dns_names(row.name, row.id, known.hostname)
    entry = {
        "Id": row.id,
        "Names": [f"/{row.name}", *attached.called],
        "Image": row.image_ref or row.image_id,
        "ImageID": row.image_id,
        "Command": known.command,
        "Created": row.created_at // _BILLION,
        "Ports": networks.port_list(attached, known.exposed, row.state),
        "Labels": known.labels,
        "State": state_word(row),
        "Status": status_text(row, now_ns),
        "HostConfig": {"NetworkMode": known.mode},
        "NetworkSettings": {"Networks": networks.endpoints(known.empty, attached, names, row.state)},
        "Mounts": known.mounts,
        "Pysup": own_facts(row),
    }
    return entry if sizes is None else {**entry, "SizeRw": sizes.rw, "SizeRootFs": sizes.root}


def _dns_names(row: Container, config: Json) -> list[str]:
    return networks.dns_names(row.name, row.id, config.get("Hostname") or "")


def _one_line(words: Sequence[str]) -> str:
    """Words with blanks are quoted, as docker does (moby daemon/container/view.go)."""
    return " ".join([*words[:1], *(f"'{word}'" if " " in word else word for word in words[1:])])


# -- inspect -------------------------------------------------------------------------------------------------


def inspect(
    row: Container,
    places: Places,
    attached: Attached,
    *,
    execs: Sequence[str] = (),
    sizes: Sizes | None = None,
) -> Json:
    """The document of GET /containers/{id}/json. ``execs``: the ids of those that run."""
    config, host_config = json.loads(row.config), json.loads(row.host_config)
    argv = command(config) or [""]
    chosen = _confinement(host_config)
    etc = f"{places.directory}/etc"
    document = {
        "Id": row.id,
        "Created": rfc3339(row.created_at),
        "Path": argv[0],
        "Args": argv[1:],
        "State": state(row),
        "Image": row.image_id,
        "ResolvConfPath": f"{etc}/resolv.conf",
        "HostnamePath": f"{etc}/hostname",
        "HostsPath": f"{etc}/hosts",
        "LogPath": newest(f"{places.directory}/logs"),
        "Name": f"/{row.name}",
        "RestartCount": row.retries,
        "Driver": DRIVER,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": chosen.apparmor,
        "ExecIDs": list(execs) or None,
        "HostConfig": _host_config(host_config, attached, chosen),
        "GraphDriver": {"Name": DRIVER, "Data": _layers(places)},
        "Mounts": mount_points(config, host_config, row.id, places.volumes),
        "Config": _config(config, row),
        "NetworkSettings": networks.settings(
            networks.has_nothing(host_config),
            attached,
            config.get("ExposedPorts") or (),
            _dns_names(row, config),
            row.state,
        ),
        "Pysup": own_facts(row),
    }
    return document if sizes is None else {**document, "SizeRw": sizes.rw, "SizeRootFs": sizes.root}


def state(row: Container) -> Json:
    """The State object. As in docker, a container that waits for its restart counts as running, too."""
    word = state_word(row)
    return {
        "Status": word,
        "Running": word in ("running", "paused", "restarting"),
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": row.oom_killed,
        "Dead": word == "dead",
        "Pid": row.pid,
        "ExitCode": row.exit_code or 0,
        "Error": row.error,
        "StartedAt": rfc3339(row.started_at),
        "FinishedAt": rfc3339(row.finished_at),
        **_health(row),
    }


def _health(row: Container) -> Json:
    """Only where somebody looks."""
    if not row.health:
        return {}
    log = json.loads(row.health_log)
    return {"Health": {"Status": row.health, "FailingStreak": row.failing_streak, "Log": log}}


def _config(config: Json, row: Container) -> Json:
    """Config as docker shows it: null for what is empty in these places, and the hostname that was made up."""
    shown = dict(config)
    shown["Hostname"] = config.get("Hostname") or row.id[:_SHORT]
    for key in ("Entrypoint", "Cmd", "Volumes", "OnBuild"):
        shown[key] = config.get(key) or None
    for key in ("ExposedPorts", "StopTimeout", "Shell", "StopSignal", "ArgsEscaped", "NetworkDisabled"):
        if not config.get(key) and config.get(key) != 0:
            shown.pop(key, None)
    return shown


def _host_config(host_config: Json, attached: Attached, chosen: Security) -> Json:
    return {
        **host_config,
        "Links": list(attached.links) or host_config.get("Links"),
        "MaskedPaths": _paths(chosen, masks.masked(chosen, 0)),
        "ReadonlyPaths": _paths(chosen, masks.read_only(chosen)),
    }


def _confinement(host_config: Json) -> Security:
    """What was checked when the container was made, on a machine that could do it."""
    return security(Fields("inspect container", host_config), Namespaces(), modules=("apparmor",))


def _paths(chosen: Security, paths: Sequence[str]) -> list[str] | None:
    """Null where a privileged container has none, as docker shows it."""
    return None if chosen.privileged and not paths else list(paths)


def _layers(places: Places) -> Json:
    return {
        "LowerDir": ":".join(places.lower),
        "MergedDir": f"{places.directory}/rootfs",
        "UpperDir": f"{places.directory}/upper",
        "WorkDir": f"{places.directory}/work",
    }
