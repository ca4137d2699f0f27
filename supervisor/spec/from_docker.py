"""Docker's create body into the documents that the store keeps, and those into a ContainerSpec. Pure.

Everything that a body can ask for is either done or refused by name (spec/documents.py lists what is not
there yet): BadRequest for what is wrong in itself, NotSupported for what docker could do, and nothing else,
whatever the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pysup.supervisor.spec import joining, limits, network
from pysup.supervisor.spec.container import ContainerSpec, LogLimits, Rootfs
from pysup.supervisor.spec.documents import (
    DEFAULT_SHM,
    NO_LOG,
    config_document,
    host_document,
    log_config,
    refuse_lacking,
    runtime_beside,
    unknown_fields,
)
from pysup.supervisor.spec.fields import Fields, Json
from pysup.supervisor.spec.health import health_check, merged_check
from pysup.supervisor.spec.merging import merge
from pysup.supervisor.spec.mounts import mounts
from pysup.supervisor.spec.namespaces import namespaces, sysctls
from pysup.supervisor.spec.process import process
from pysup.supervisor.spec.restart import restart_policy
from pysup.supervisor.spec.secrets import secrets
from pysup.supervisor.spec.security import security
from pysup.supervisor.spec.signals import parse_signal
from pysup.supervisor.spec.units import parse_size

CREATE = "create container"
_SHORT_ID = 12
_HOSTNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?", re.ASCII)
"""hostname(7); 64 bytes at most (HOST_NAME_MAX, sethostname(2))."""
_FOR_THE_ATTACHED = 1 << 20
_SMALLEST_LOG = 4096
_MOST_LOG_FILES = 10_000
_ODD_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:/|$)|//")


class Normalised(NamedTuple):
    """A create body, complete: what the store keeps and inspect shows."""

    config: Json
    host_config: Json
    spec: ContainerSpec
    """What container_spec() makes of the two."""
    warnings: list[str]
    joined: tuple[joining.Joining, ...] = ()
    """The networks that it is to be on."""


class Asked(NamedTuple):
    """Which root filesystem a create body asks for."""

    image: str
    """As typed; empty if a directory is asked for."""
    directory: str
    """--rootfs: an absolute host path, or empty."""


class Defaults(NamedTuple):
    """What the daemon decides for a container that does not say."""

    stop_timeout: float = 10.0
    hostname: str = ""
    """The machine's own name, for a container in the host's network or UTS namespace."""
    cpus: int = 0
    """How many CPUs the machine has; 0: not checked."""
    modules: frozenset[str] = frozenset()
    """Security modules of the kernel that are in force: ``apparmor``, ``selinux``."""


def asked_root(body: object) -> Asked:
    """What must be looked up before normalise() can be called. Raises BadRequest."""
    fields = Fields(CREATE, body)
    image = fields.text("Image")
    directory = fields.inner("HostConfig").inner("Pysup").text("Rootfs")
    if bool(image) == bool(directory):
        raise fields.bad("give an image or --rootfs, not both" if image else "no image is named")
    return Asked(image, directory)


def normalise(
    body: object,
    image_config: object,
    *,
    container_id: str = "0" * _SHORT_ID,
    lower: Sequence[str] = (),
    defaults: Defaults = Defaults(),  # noqa: B008 - frozen
) -> Normalised:
    """The whole documents, merged with the image's config and checked by making a spec of them.

    ``image_config`` is the image's ``config`` object ({} for --rootfs), ``lower`` as for container_spec().
    Normalising what came out of it with the same image changes nothing.
    """
    fields = Fields(CREATE, body)
    host = fields.inner("HostConfig")
    image = Fields(f"{CREATE}: the image's configuration is not valid", image_config)
    refuse_lacking(host)
    config = config_document(fields) | merge(fields, image) | merged_check(fields, image)
    host_config = host_document(host) | runtime_beside(fields, host)
    spec = _spec(Fields(CREATE, {**fields_of(body), **config}), host, container_id, lower, defaults)
    warnings = [*unknown_fields(fields, host), *limits.warnings(host)]
    joined = joining.joined(fields, host)
    warnings += [*network.warnings(host), *joining.option_warnings(joined)]
    return Normalised(config, _with_swap(host_config), spec, warnings, joined)


def fields_of(body: object) -> Mapping[str, Any]:
    """The body itself, if it is an object (Fields has refused anything else)."""
    return body if isinstance(body, Mapping) else {}


def _with_swap(host_config: Json) -> Json:
    """The swap limit that follows from the memory limit is shown, as docker does."""
    if host_config["Memory"] and not host_config["MemorySwap"]:
        host_config["MemorySwap"] = limits.resources(Fields(CREATE, host_config)).memory_swap
    return host_config


# -- the spec ------------------------------------------------------------------------------------------------


def container_spec(
    config: Json,
    host_config: Json,
    *,
    container_id: str,
    lower: Sequence[str],
    defaults: Defaults = Defaults(),  # noqa: B008 - frozen
    verb: str = "start container",
) -> ContainerSpec:
    """A container's spec from its stored documents. ``lower``: its layers' directories, topmost first."""
    return _spec(Fields(verb, config), Fields(verb, host_config, "HostConfig"), container_id, lower, defaults)


def _spec(
    config: Fields, host: Fields, container_id: str, lower: Sequence[str], defaults: Defaults
) -> ContainerSpec:
    spaces = namespaces(host)
    follows_host = "host" in (spaces.net, spaces.uts)
    if spaces.uts == "host" and (config.text("Hostname") or config.text("Domainname")):
        raise config.bad("--hostname and --domainname conflict with --uts host: they would change the host's")
    mounted = mounts(config, host, container_id, modules=defaults.modules)
    if spaces.user == "private" and any("shared" in mount.propagation for mount in mounted):
        raise host.bad("shared propagation conflicts with --userns private: its mounts never reach the host")
    hostname = _hostname(config) or (defaults.hostname if follows_host else "") or container_id[:_SHORT_ID]
    return ContainerSpec(
        hostname=hostname,
        domainname=_domainname(config),
        process=process(config, host, hostname=hostname),
        rootfs=Rootfs(tuple(lower), host.flag("ReadonlyRootfs")),
        mounts=mounted,
        secrets=secrets(host, mounted),
        shm_size=_shm_size(host),
        sysctls=sysctls(host, spaces),
        namespaces=spaces,
        network=network.network_spec(config, host),
        security=security(host, spaces, modules=defaults.modules),
        resources=limits.resources(host, cpus=defaults.cpus),
        cgroup_parent=_cgroup_parent(host),
        restart=restart_policy(host),
        log=_log_limits(host),
        health=health_check(config, host.inner("Pysup").text("HealthOnFailure")),
        stop_signal=_stop_signal(config),
        stop_timeout=_stop_timeout(config, defaults),
        init=host.flag("Init"),
        auto_remove=host.flag("AutoRemove"),
        run_timeout=host.inner("Pysup").seconds("RunTimeout") or 0.0,
    )


def _hostname(config: Fields) -> str:
    name = config.text("Hostname")
    if name and not _HOSTNAME.fullmatch(name):
        raise config.bad(f"invalid hostname {name[:80]!r}")
    return name


def _domainname(config: Fields) -> str:
    name = config.text("Domainname")
    if name and not _HOSTNAME.fullmatch(name):
        raise config.bad(f"invalid domain name {name[:80]!r}")
    return name


def _shm_size(host: Fields) -> int:
    size = host.integer("ShmSize", DEFAULT_SHM)
    if size < 0:
        raise host.bad(f"--shm-size cannot be negative, and is {size}")
    return size


def _cgroup_parent(host: Fields) -> str:
    """Relative to each hierarchy; docker takes ``/x`` and ``x`` for the same."""
    parent = host.text("CgroupParent").strip("/")
    if _ODD_IN_A_PATH.search(parent):
        raise host.bad(f"--cgroup-parent {parent[:64]!r} is not a plain path")
    return parent


def _log_limits(host: Fields) -> LogLimits:
    asked = log_config(host)
    if asked["Type"] == NO_LOG:
        return LogLimits(_FOR_THE_ATTACHED, 1, kept=False)
    options = asked["Config"]
    size, files = options.get("max-size"), options.get("max-file")
    return LogLimits(
        None if size is None else _log_size(host, size),
        None if files is None else _log_files(host, files),
    )


def _log_size(host: Fields, text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise host.bad(f"--log-opt max-size: {error}") from None
    if size < _SMALLEST_LOG:
        raise host.bad(f"--log-opt max-size {text!r} is below the minimum of {_SMALLEST_LOG} bytes")
    return size


def _log_files(host: Fields, text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_LOG_FILES)) else 0
    if not 1 <= count <= _MOST_LOG_FILES:
        raise host.bad(f"--log-opt max-file {text[:32]!r} is not within 1 and {_MOST_LOG_FILES}")
    return count


def _stop_signal(config: Fields) -> int:
    try:
        return parse_signal(config.text("StopSignal", "SIGTERM"))
    except ValueError as error:
        raise config.bad(f"--stop-signal: {error}") from None


def _stop_timeout(config: Fields, defaults: Defaults) -> float:
    """Seconds; every negative number means to wait for ever."""
    timeout = config.optional_integer("StopTimeout")
    return defaults.stop_timeout if timeout is None else float(max(timeout, -1))
