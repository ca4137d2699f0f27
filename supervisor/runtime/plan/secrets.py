"""Secrets: a tmpfs of the container's own below /run, filled before anybody is in it, then read-only."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pysup.supervisor.kernel.mounts import MS_BIND, MS_RDONLY, MS_REMOUNT
from pysup.supervisor.runtime.plan import base
from pysup.supervisor.runtime.plan.facts import SECRETS, Step
from pysup.supervisor.spec.container import ContainerSpec, Secret
from pysup.supervisor.spec.secrets import DIRECTORY


def secret_steps(spec: ContainerSpec) -> Iterator[Step]:
    """After all other mounts: none covers them. The values come in the descriptor SECRETS, in the spec's order."""
    if not spec.secrets:
        return
    files = [[_file(number, one), one.uid, one.gid, one.mode] for number, one in enumerate(spec.secrets)]
    yield base.tmpfs(DIRECTORY, base.PLAIN, "mode=755")
    yield ["secrets", SECRETS, DIRECTORY, files]
    yield base.tmpfs(DIRECTORY, MS_REMOUNT | MS_BIND | MS_RDONLY | base.PLAIN, "")
    for number, one in enumerate(spec.secrets):
        if not _plain(one):
            yield ["show", f"{DIRECTORY}/{_file(number, one)}", one.target]


def _plain(secret: Secret) -> bool:
    return posixpath.dirname(secret.target) == DIRECTORY


def _file(number: int, secret: Secret) -> str:
    """One that is shown elsewhere has a name here that is nobody's."""
    return posixpath.basename(secret.target) if _plain(secret) else f".{number}"
