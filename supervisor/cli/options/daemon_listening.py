"""Where ``pysup daemon`` listens, and for whom. Whoever may speak to it is as good as root: so TCP means mutual TLS."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import Flag, Given, UsageError, switch, text
from pysup.supervisor.settings import Settings

_DEFAULT = Settings()
_OTHERS = 0o007
_LARGEST_PORT = 65535
_FILES = {"tlscacert": "tls_ca", "tlscert": "tls_cert", "tlskey": "tls_key"}
_WITH_CRL = {**_FILES, "tlscrl": "tls_crl"}

FLAGS: tuple[Flag, ...] = (
    Flag("host", kinds.LIST, "Where to listen: unix:///PATH, or tcp://ADDRESS:PORT with --tlsverify", "H"),
    text("group", "The group that may use the socket (default: pysup, if there is one)", short="G"),
    text(
        "socket-mode", "The socket's mode, octal; never for everybody", default=f"{_DEFAULT.socket_mode:04o}"
    ),
    switch("tlsverify", "Have TCP clients show a certificate that --tlscacert signed"),
    text("tlscacert", "Whose signature on a client's certificate counts"),
    text("tlscert", "The daemon's certificate"),
    text("tlskey", "The key of the daemon's certificate"),
    text("tlscrl", "Which certificates of clients are revoked: the authority's list (PEM)"),
    switch("insecure-tcp", "Listen without TLS, on loopback alone: every user of this machine is root then"),
)
NAMES = frozenset(flag.name for flag in FLAGS)


def chosen(given: Given) -> dict[str, Any]:
    """Settings from FLAGS. Raises UsageError."""
    hosts = given.many("host")
    found: dict[str, Any] = {
        "socket": _unix_socket(hosts),
        "tcp": tuple(_tcp_address(one) for one in hosts if not one.startswith("unix://")),
        "socket_group": given.text("group"),
        "socket_mode": _mode(given.text("socket-mode")),
        **{
            setting: os.path.abspath(given.text(flag))
            for flag, setting in _WITH_CRL.items()
            if given.text(flag)
        },
    }
    _refuse_open_doors(given, found)
    return {name: value for name, value in found.items() if value}


def _unix_socket(hosts: list[str]) -> str:
    paths = [one.removeprefix("unix://") for one in hosts if one.startswith("unix://")]
    if len(paths) > 1 or any(not path.startswith("/") for path in paths):
        raise UsageError(
            "cannot parse the arguments: --host unix:// is one absolute path (the same as --socket)"
        )
    return paths[0] if paths else ""


def _tcp_address(host: str) -> str:
    """``127.0.0.1:2376``, ``[::1]:2376``. Names are no addresses: what they stand for may change."""
    scheme, _, rest = host.partition("://")
    address, _, port = rest.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= len(str(_LARGEST_PORT)) else 0
    try:
        found = ipaddress.ip_address("127.0.0.1" if address == "localhost" else address.strip("[]"))
    except ValueError:
        found = None
    if scheme != "tcp" or not 0 < number <= _LARGEST_PORT or found is None:
        raise UsageError(
            f"cannot parse the arguments: --host {host!r} is neither unix:///PATH nor tcp://ADDRESS:PORT "
            "with an address of this machine"
        )
    return f"[{found}]:{number}" if found.version == 6 else f"{found}:{number}"  # noqa: PLR2004


def _mode(octal: str) -> int:
    try:
        mode = int(octal, 8)
    except ValueError:
        mode = -1
    if not 0 < mode <= 0o777 or mode & _OTHERS:  # noqa: PLR2004
        raise UsageError(
            f"cannot parse the arguments: --socket-mode {octal!r}: it is an octal mode that gives nothing to others "
            "(who can use the socket is root)"
        )
    return mode


def _refuse_open_doors(given: Given, found: dict[str, Any]) -> None:
    tls = [name for name in _WITH_CRL if given.text(name)]
    if not found["tcp"]:
        if tls or given.on("tlsverify") or given.on("insecure-tcp"):
            raise UsageError(
                "cannot parse the arguments: --tls… and --insecure-tcp are for --host tcp://ADDRESS:PORT"
            )
        return
    if tls or given.on("tlsverify"):
        if not (_FILES.keys() <= set(tls) and given.on("tlsverify")):
            raise UsageError(
                "cannot parse the arguments: TLS takes --tlsverify, --tlscacert, --tlscert and --tlskey together: "
                "without a certificate of its own every client would be root"
            )
        _try_out(found)
    elif not given.on("insecure-tcp") or not all(map(_is_loopback, found["tcp"])):
        raise UsageError(
            "cannot parse the arguments: without TLS everybody who reaches a TCP port is root: give --tlsverify, "
            "--tlscacert, --tlscert and --tlskey (--insecure-tcp allows it on loopback, for every user of this machine)"
        )


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback


def _try_out(found: dict[str, Any]) -> None:
    """Have the files read by a process of its own, which tells what is wrong with them."""
    files = [found[setting] for setting in _WITH_CRL.values() if setting in found]
    argv = [sys.executable, "-P", "-m", "pysup.supervisor.api.tls", *files]
    pid = os.posix_spawn(argv[0], argv, os.environ)
    if os.waitpid(pid, 0)[1]:
        raise UsageError("cannot parse the arguments: the files of --tls… cannot be used", 1)
