"""What pysup itself puts into a container's root: it is neither a change of the container's nor part of a layer."""

from __future__ import annotations

from pysup.supervisor.runtime.plan.base import is_host_image
from pysup.supervisor.runtime.plan.mounts import ETC_FILES, INIT
from pysup.supervisor.spec.container import ContainerSpec

_DIRECTORIES = ("/dev", "/etc", "/proc", "/sys")
_OF_THE_MACHINE = ("/run", "/tmp")  # noqa: S108 - mount points


def own_targets(spec: ContainerSpec) -> frozenset[str]:
    """Paths of its mount targets, and of the directories made for them. An empty file or directory there is its own.

    Docker has them in a layer below the container's (moby daemon/initlayer). Where somebody mounts a volume is made
    in the write layer, and is seen as a change there, as with docker.
    """
    init = ("/sbin", INIT) if spec.init else ()
    machine = _OF_THE_MACHINE if is_host_image(spec) else ()
    return frozenset((*_DIRECTORIES, *machine, *(f"/etc/{name}" for name in ETC_FILES), *init))
