"""Throttles and weights of block devices: which device a path is (sd(4), Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.resources import Resources

KINDS = (
    ("read_bps", "blkio.throttle.read_bps_device", "rbps"),
    ("write_bps", "blkio.throttle.write_bps_device", "wbps"),
    ("read_iops", "blkio.throttle.read_iops_device", "riops"),
    ("write_iops", "blkio.throttle.write_iops_device", "wiops"),
)
"""The field of Resources, the file of version 1, and the key in io.max of version 2."""


def throttles(wanted: Resources) -> Iterator[tuple[str, str, str, int]]:
    """Version 1 file, version 2 key, ``major:minor`` and rate of each throttle. Raises BadRequest."""
    for kind, file, key in KINDS:
        for one in getattr(wanted, kind):
            yield file, key, device_number(one.path), one.rate


def device_number(path: str) -> str:
    """``major:minor`` of a block device. Raises BadRequest if it is none."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise BadRequest(f"cannot limit the rate of {path}: {error.strerror}") from error
    if not stat.S_ISBLK(found.st_mode):
        raise BadRequest(f"cannot limit the rate of {path}: it is not a block device")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
