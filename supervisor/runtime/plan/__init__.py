"""From a spec to the steps of a start. Pure: the same values give the same plan, and nothing is looked at.

    container.py   build(): the plan of a container's first process
    joining.py     build_exec(): the plan of a further process in it
    mounts.py      the tree of mounts (base.py: docker's defaults)
    namespaces.py  clone flags and id maps
    sources.py     how host paths are named
    facts.py       what else goes in

A plan is a list of JSON-able steps that keeper/steps.py carries out in order.
"""

from __future__ import annotations

from pysup.supervisor.runtime.plan.container import LAYER, build, needs_detached_layer
from pysup.supervisor.runtime.plan.facts import CgroupView, Facts, Machine, Step
from pysup.supervisor.runtime.plan.joining import TARGET, build_exec, joins_pid
from pysup.supervisor.runtime.plan.namespaces import (
    clone_flags,
    gid_maps,
    map_text,
    outliving,
    root_ids,
    uid_maps,
)

__all__ = [
    "LAYER",
    "TARGET",
    "CgroupView",
    "Facts",
    "Machine",
    "Step",
    "build",
    "build_exec",
    "clone_flags",
    "gid_maps",
    "joins_pid",
    "map_text",
    "needs_detached_layer",
    "outliving",
    "root_ids",
    "uid_maps",
]
