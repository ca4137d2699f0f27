"""docker update: new limits and another restart policy, in force at once and for every later run."""

from __future__ import annotations

import json

from pysup.supervisor.engine import commands
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.record import Record, Told
from pysup.supervisor.engine.run import Run
from pysup.supervisor.engine.specs import spec_of
from pysup.supervisor.spec.update import merge_update


async def apply_update(parts: Parts, record: Record, run: Run | None, command: commands.Update) -> list[str]:
    """Check everything, change the cgroup, then commit; returns warnings.

    A limit that the kernel refuses (less memory than is in use) leaves the row as it was.
    """
    host_config = merge_update(json.loads(record.row.host_config), command.body)
    spec = spec_of(parts.images, record.row, host_config)
    parts.hierarchy.check(spec.resources)
    if run is not None and run.cgroup is not None:
        run.cgroup.apply(spec.resources)
    await record.note([Told("update", {}, command.caller)], columns={"host_config": host_config})
    record.spec = spec
    return []
