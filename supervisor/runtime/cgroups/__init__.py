"""Cgroups, versions 1 and 2, behind one interface.

base.py                      the interface, and what a cgroup has used (Usage)
detection.py, mounted.py     which version is used, which hierarchies are mounted
needs.py                     which controller a limit needs
convert.py                   docker's units to the kernel's; pure
v1.py v1_limits.py v1_usage.py, v2.py v2_limits.py v2_usage.py v2_devices.py
files.py, tree.py            small file I/O; what is below a cgroup
waiting.py, killing.py       bounded waits; ending every process
"""

from __future__ import annotations

from pysup.supervisor.runtime.cgroups.detection import detect

__all__ = ["detect"]
