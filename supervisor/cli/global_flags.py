"""The options that stand before the command: which daemon is meant, and by which keys it is spoken to."""

from __future__ import annotations

import os

from pysup.supervisor.cli import flags, kinds
from pysup.supervisor.cli.flags import Flag, Given, Syntax

GLOBAL = Syntax(
    "",
    "[OPTIONS] COMMAND",
    "An init-like supervisor for containers",
    (
        Flag(
            "host", kinds.LIST, "Daemon to talk to: unix:///path or tcp://host:port (also DOCKER_HOST)", "H"
        ),
        flags.switch("tls", "Use TLS; implied by --tlsverify"),
        flags.switch("tlsverify", "Use TLS and verify the remote (also DOCKER_TLS_VERIFY)"),
        flags.text("tlscacert", "Trust certs signed only by this CA (default: DOCKER_CERT_PATH/ca.pem)"),
        flags.text("tlscert", "Path to TLS certificate file (default: DOCKER_CERT_PATH/cert.pem)"),
        flags.text("tlskey", "Path to TLS key file (default: DOCKER_CERT_PATH/key.pem)"),
        flags.text("socket", "The daemon's socket (also PYSUP_SOCKET; default: RUN/pysup.sock)"),
        flags.text("root", "The daemon's lasting state (also PYSUP_ROOT; default: /var/lib/pysup)"),
        flags.text("run", "The daemon's state of this boot (also PYSUP_RUN; default: /run/pysup)"),
        flags.switch("version", "Print version information and quit", short="v"),
    ),
    most=None,
    interspersed=False,
)


_TLS = {
    "tls": "DOCKER_TLS",
    "tlsverify": "DOCKER_TLS_VERIFY",
    "tlscacert": "PYSUP_TLS_CA",
    "tlscert": "PYSUP_TLS_CERT",
    "tlskey": "PYSUP_TLS_KEY",
}


def remember(given: Given) -> None:
    """Put the global options where every command and a daemon started by one look: the environment."""
    for name in ("socket", "root", "run"):
        if name in given.changed:
            os.environ[f"PYSUP_{name.upper()}"] = given.text(name)
            os.environ.pop("DOCKER_HOST", None)
    if "run" in given.changed and "socket" not in given.changed:
        os.environ.pop("PYSUP_SOCKET", None)
    for flag, variable in _TLS.items():
        if flag in given.changed:
            value = given[flag]
            os.environ[variable] = value if isinstance(value, str) else "1" if value else ""
    if "host" in given.changed:
        os.environ["DOCKER_HOST"] = given.many("host")[-1]
        os.environ.pop("PYSUP_SOCKET", None)
        os.environ.pop("PYSUP_RUN", None)
