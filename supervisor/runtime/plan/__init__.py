"""From a spec to the steps of a start. Pure: the same values give the same plan, and nothing is looked at.

    container.py   build(): the plan of a container's first process
    joining.py     build_exec(): the plan of a further process in it
    preparing.py   build_preparation(): what is made before a user namespace begins
    outside.py     build_outside(): what is joined and shown before it is entered
    root.py        the layers (mounts.py: the mounts in them; base.py: docker's defaults)
    namespaces.py  clone flags and id maps
    stage.py       what can be done before the container is known
    secrets.py     files with the values of secrets
    looking.py     what helpers do through which files are looked at
    own.py         which mount targets are pysup's own
    sources.py     how host paths are named
    facts.py       what else goes in

A plan is a list of JSON-able steps that keeper/steps/__init__.py carries out in order.
"""

from __future__ import annotations

from pysup.supervisor.runtime.plan.base import is_host_image
from pysup.supervisor.runtime.plan.container import build
from pysup.supervisor.runtime.plan.facts import (
    DONOR,
    EVERY_ID,
    LENT,
    SECCOMP,
    SECRETS,
    USER,
    Below,
    CgroupView,
    Facts,
    Machine,
    Shown,
    Step,
)
from pysup.supervisor.runtime.plan.joining import TARGET, build_exec, joins_pid
from pysup.supervisor.runtime.plan.looking import (
    build_at_rest,
    build_copy_of_root,
    build_visit,
    further,
    not_exported,
)
from pysup.supervisor.runtime.plan.mounts import ETC_FILES
from pysup.supervisor.runtime.plan.namespaces import (
    clone_flags,
    gid_maps,
    has_network,
    host_id,
    map_text,
    outliving,
    root_ids,
    uid_maps,
)
from pysup.supervisor.runtime.plan.outside import build_outside
from pysup.supervisor.runtime.plan.own import own_targets
from pysup.supervisor.runtime.plan.preparing import build_preparation
from pysup.supervisor.runtime.plan.program import bounding
from pysup.supervisor.runtime.plan.root import (
    LAYER,
    detached_layers,
    layers_of,
    mount_directory,
    needs_preparation,
)
from pysup.supervisor.runtime.plan.stage import Stage, stage_of, usual
from pysup.supervisor.runtime.plan.user_mounts import Bound, mapped_mounts

__all__ = [
    "DONOR",
    "ETC_FILES",
    "EVERY_ID",
    "LAYER",
    "LENT",
    "SECCOMP",
    "SECRETS",
    "TARGET",
    "USER",
    "Below",
    "Bound",
    "CgroupView",
    "Facts",
    "Machine",
    "Shown",
    "Stage",
    "Step",
    "bounding",
    "build",
    "build_at_rest",
    "build_copy_of_root",
    "build_exec",
    "build_outside",
    "build_preparation",
    "build_visit",
    "clone_flags",
    "detached_layers",
    "further",
    "gid_maps",
    "has_network",
    "host_id",
    "is_host_image",
    "joins_pid",
    "layers_of",
    "map_text",
    "mapped_mounts",
    "mount_directory",
    "needs_preparation",
    "not_exported",
    "outliving",
    "own_targets",
    "root_ids",
    "stage_of",
    "uid_maps",
    "usual",
]
