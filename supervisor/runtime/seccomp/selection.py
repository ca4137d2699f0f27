"""Which rules of a profile hold for a container, on an architecture and a kernel. Pure.

Docker's rules (moby profiles/seccomp/seccomp_linux.go): an excluded architecture, capability or kernel takes a rule
away; an included architecture, all included capabilities and the kernel must be there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pysup.supervisor.spec.seccomp import Condition, Profile, Rule

_GO_NAMES = {
    "x86_64": "amd64", "i386": "x86", "i686": "x86", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le",
    "ppc64": "ppc64", "s390x": "s390x", "riscv64": "riscv64", "loongarch64": "loong64", "mips64": "mips64",
}  # fmt: skip
_LIBRARY_NAMES = {"i386": "x86", "i686": "x86", "armv7l": "arm"}


class Target(NamedTuple):
    """What a filter is made for."""

    machine: str
    """As in uname(2): ``x86_64``."""
    kernel: tuple[int, int]
    capabilities: frozenset[str]
    """The bounding set that the process will have."""


def rules(profile: Profile, target: Target) -> Iterator[Rule]:
    """Those that hold."""
    return (
        rule
        for rule in profile.rules
        if not _excluded(rule.excludes, target) and _included(rule.includes, target)
    )


def _excluded(condition: Condition, target: Target) -> bool:
    newer = condition.kernel is not None and target.kernel >= condition.kernel
    return (
        go_name(target.machine) in condition.arches
        or bool(condition.capabilities & target.capabilities)
        or newer
    )


def _included(condition: Condition, target: Target) -> bool:
    return (
        (not condition.arches or go_name(target.machine) in condition.arches)
        and condition.capabilities <= target.capabilities
        and (condition.kernel is None or target.kernel >= condition.kernel)
    )


def go_name(machine: str) -> str:
    """The name that docker's profiles have for an architecture."""
    return _GO_NAMES.get(machine, machine)


def architectures(profile: Profile, machine: str) -> tuple[str, ...]:
    """libseccomp's names of all that are judged: the machine's own, and what can run on it beside."""
    named = [_library_name(name) for name in profile.architectures]
    own = _LIBRARY_NAMES.get(machine, machine)
    for architecture, others in profile.arch_map:
        if _library_name(architecture) == own:
            named += [own, *(_library_name(name) for name in others)]
    return tuple(dict.fromkeys(named))


def _library_name(name: str) -> str:
    return name.removeprefix("SCMP_ARCH_").lower()


def kernel_version(release: str) -> tuple[int, int]:
    """``6.1.0-18-amd64`` is (6, 1), as docker compares versions."""
    major, minor = (release.split("-", 1)[0] + ".0").split(".")[:2]
    return int(major), int(minor)
