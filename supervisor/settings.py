"""Where the daemon keeps its things, and what it was told at start. Light: the CLI and the keeper import it."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

DEFAULT_ROOT = "/var/lib/pysup"
DEFAULT_RUN = "/run/pysup"


class Settings(NamedTuple):
    """One daemon's configuration; immutable, passed as JSON from the keeper to the engine."""

    root: str = DEFAULT_ROOT
    """State that survives a reboot: pysup.db, containers/, images/, volumes/, seccomp/, trash/."""
    run: str = DEFAULT_RUN
    """State of this boot: sockets, the autostart log."""
    secret_key: str = ""
    """The file with the key of all secrets, 32 bytes; empty: ``<root>/secret.key``, which is made when it is needed."""
    socket: str = ""
    """The API socket; empty means ``<run>/pysup.sock``."""
    socket_mode: int = 0o660
    """The API socket's mode."""
    socket_group: str = ""
    """The group that may use it, name or number; empty: ``pysup``, if there is one."""
    tcp: tuple[str, ...] = ()
    """Where the API is served by TCP, too: ``ADDRESS:PORT``."""
    tls_ca: str = ""
    """File: who signs the certificates of TCP clients; empty: no TLS (cli/options/daemon_listening.py says when)."""
    tls_cert: str = ""
    tls_key: str = ""
    tls_crl: str = ""
    """File: which of those certificates count no more; empty: all count."""
    cgroup_root: str = "pysup"
    """The cgroup that holds every container's cgroup, relative to each hierarchy's mount."""
    default_pids_limit: int = 2048
    """Processes and threads of a container that does not say; 0: no limit. The number is podman's."""
    log_format: str = "text"
    """"text" or "json": the daemon's own log lines on stderr."""
    log_max_size: int = 16 << 20
    """Default size in bytes that a container's log file may have, with its index."""
    log_max_files: int = 4
    """Default count of log files kept for a container."""
    log_total: int = 4 << 30
    """Bytes that the logs of all containers may take, with their indexes; the oldest files go first."""
    log_retention: int = 24 * 3600
    """Seconds that the logs and the history of a removed container are kept (not with --rm)."""
    event_retention: int = 30 * 24 * 3600
    """Seconds that event rows are kept."""
    registry_mirrors: tuple[str, ...] = ()
    """URLs of mirrors of docker's hub."""
    insecure_registries: tuple[str, ...] = ()
    """Registries, HOST[:PORT] or networks, that need no good certificate, nor TLS at all."""
    registry_certs: str = "/etc/pysup/certs.d"
    """HOST[:PORT]/*.crt below it: whom to trust as that registry; /etc/docker/certs.d counts, too."""
    max_concurrent_downloads: int = 3
    """Layers that are downloaded at once, of all pulls together."""
    max_concurrent_uploads: int = 5
    """Layers that are uploaded at once, of all pushes together."""
    max_download_attempts: int = 5
    """Tries in a row without any progress, after which a pull or push is given up."""
    bridge: str = "pysup0"
    """The interface of the default network; "none": there is none, and containers begin without a network."""
    bip: str = ""
    """Address and subnet of the default bridge, 192.0.2.1/24; empty: from the pools."""
    address_pools: str = ""
    """Where subnets of networks are taken from, "172.20.0.0/14,16 192.168.0.0/16,20"; empty: docker's own."""
    publish_default: str = ""
    """The address of the host that ports are published on if they name none; empty: all."""
    ip_forward_no_drop: bool = False
    """Whether the machine forwards for everybody once it does for containers."""
    dns: str = ""
    """Name servers of containers that name none, with blanks between; empty: the host's."""
    userns: str = ""
    """The user namespace of containers that do not say: "auto" with its options; empty or "host": the host's."""
    userns_pool: str = ""
    """START:SIZE, the ids that ranges are taken from; empty: those in /etc/subuid, or a usual pool."""
    mtu: int = 0
    """Of the default network, bytes; 0: the kernel's default."""

    @property
    def socket_path(self) -> str:
        """The API socket's path."""
        return self.socket or os.path.join(self.run, "pysup.sock")

    @property
    def forwarding_note(self) -> str:
        """Says what the machine did not forward before: a file that is gone after a boot."""
        return os.path.join(self.run, "forwarding")

    @property
    def network_path(self) -> str:
        """Shows an ordinary user's network namespace to the program that leads it out, while that begins."""
        return os.path.join(self.run, "network")

    @property
    def database(self) -> str:
        """The store's file."""
        return os.path.join(self.root, "pysup.db")

    @property
    def key_file(self) -> str:
        """What seals the values of secrets; not in the database."""
        return self.secret_key or os.path.join(self.root, "secret.key")

    @property
    def key_files(self) -> tuple[str, ...]:
        """What must not be seen in a container that shows the machine's own files."""
        return tuple(path for path in (self.secret_key, self.tls_key) if path)

    @property
    def lock(self) -> str:
        """Locked (flock) by the one daemon that owns this root."""
        return os.path.join(self.root, "pysup.lock")

    @property
    def containers_dir(self) -> str:
        """One directory for each container."""
        return os.path.join(self.root, "containers")

    def container_dir(self, container_id: str) -> str:
        """A container's directory: upper/ work/ etc/ logs/."""
        return f"{self.containers_dir}/{container_id}"

    @property
    def stage(self) -> str:
        """An empty directory: what a container's set-up covers in its own mount namespace."""
        return os.path.join(self.root, "stage")

    @property
    def ground(self) -> str:
        """The lowest layer of containers: nothing but what their mounts lie on."""
        return os.path.join(self.root, "ground")

    @property
    def trash(self) -> str:
        """What is removed waits here to be unlinked."""
        return os.path.join(self.root, "trash")

    @property
    def filters_dir(self) -> str:
        """Compiled seccomp filters: a cache."""
        return os.path.join(self.root, "seccomp")

    @property
    def images_dir(self) -> str:
        """Unpacked layers: images/layers/<name>/."""
        return os.path.join(self.root, "images")

    @property
    def skeleton(self) -> str:
        """The host image's lowest layer, for a daemon without root."""
        return os.path.join(self.root, "images", "host")

    @property
    def volumes_dir(self) -> str:
        """Volumes: volumes/<name>/_data/."""
        return os.path.join(self.root, "volumes")

    def to_json(self) -> str:
        """Encode for the engine's command line."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Decode what to_json() made."""
        return cls.from_document(json.loads(text))

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Settings:
        """From what JSON made of _asdict(): it knows no tuples."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        return cls(**fields)


def from_environment(**given: str | int | tuple[str, ...] | None) -> Settings:
    """Settings from PYSUP_ROOT, PYSUP_RUN, PYSUP_SOCKET and PYSUP_CGROUP_ROOT; a given value wins."""
    env = {
        "root": os.environ.get("PYSUP_ROOT"),
        "run": os.environ.get("PYSUP_RUN"),
        "socket": os.environ.get("PYSUP_SOCKET"),
        "cgroup_root": os.environ.get("PYSUP_CGROUP_ROOT"),
        "bridge": os.environ.get("PYSUP_BRIDGE"),
        "userns": os.environ.get("PYSUP_USERNS"),
    }
    chosen = {key: value for key, value in {**env, **given}.items() if value is not None and value != ""}
    for key in ("root", "run", "socket"):
        if key in chosen:
            chosen[key] = os.path.abspath(str(chosen[key]))
    return Settings(**{**_of_this_user(), **chosen})  # type: ignore[arg-type]


def socket_to_use() -> str:
    """Where a client finds its daemon: an ordinary user's own, unless there is none and he may use the machine's."""
    chosen = from_environment()
    named = os.environ.get("PYSUP_RUN") or os.environ.get("PYSUP_SOCKET")
    machine = Settings().socket_path
    if named or os.path.exists(chosen.socket_path) or not os.access(machine, os.W_OK):
        return chosen.socket_path
    return machine


def _of_this_user() -> dict[str, str]:
    """The directories of a daemon without root (XDG base directory specification); root has the machine's."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return {}
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    root = os.path.join(home, "pysup")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return {"root": root, "run": os.path.join(runtime, "pysup") if runtime else os.path.join(root, "run")}
