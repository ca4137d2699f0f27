"""A profile to a filter program (struct sock_filter[]) for one target, by libseccomp and newer.py."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pysup.supervisor.kernel import libseccomp
from pysup.supervisor.kernel.libseccomp import Builder, Comparison
from pysup.supervisor.runtime.seccomp import newer, selection, tree
from pysup.supervisor.runtime.seccomp.selection import Target
from pysup.supervisor.runtime.seccomp.tree import Range
from pysup.supervisor.spec.seccomp import Action, Argument, Profile, Rule

MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS of linux/bpf_common.h."""
INSTRUCTION = 8
_ACTIONS = {
    "SCMP_ACT_KILL": libseccomp.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": libseccomp.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": libseccomp.KILL_PROCESS,
    "SCMP_ACT_TRAP": libseccomp.TRAP,
    "SCMP_ACT_ERRNO": libseccomp.ERRNO,
    "SCMP_ACT_TRACE": libseccomp.TRACE,
    "SCMP_ACT_LOG": libseccomp.LOG,
    "SCMP_ACT_ALLOW": libseccomp.ALLOW,
}
_LETS_THROUGH = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
_NO_SUCH_CALL = libseccomp.ERRNO | errno.ENOSYS
_MULTIPLEXED = range(-299, -100)
"""What libseccomp calls socket(2) and its kin, shmat(2) and its kin, where they are parts of one call."""
X86_64, X32 = 0xC000003E, 0x4000003E
"""AUDIT_ARCH_X86_64, and libseccomp's own token for x32, which the kernel calls x86-64 with this bit in the number:"""
X32_BIT = 0x40000000


class CannotCompile(Exception):
    """The profile cannot be made a filter on this machine; the text says why."""


def number_of(action: Action) -> int:
    """The value that a filter returns for an action (SECCOMP_RET_* of seccomp(2))."""
    return _ACTIONS[action.name] | action.value


def compile_profile(profile: Profile, target: Target) -> bytes:
    """The program. Takes some 20 ms: for a thread. Raises CannotCompile, and libraries.Missing.

    What depends on a call's number alone is decided by a tree of ranges; libseccomp makes the rest: rules about
    arguments, calls that are reached in two ways (socketcall), and foreign architectures.
    """
    chosen = [rule for rule in selection.rules(profile, target) if rule.action != profile.default]
    tokens = _tokens(selection.architectures(profile, target.machine))
    plain, rest = _parted(chosen, tokens)
    try:
        with Builder(number_of(profile.default)) as builder:
            for token in tokens[1:]:
                builder.add_architecture(token)
            for rule in rest:
                _add(builder, rule)
            program = builder.export()
    except OSError as error:
        raise CannotCompile(f"libseccomp refuses it: {error}") from error
    return _checked(tree.program(_trees(profile, tokens, plain, rest)) + program)


def _checked(program: bytes) -> bytes:
    count = len(program) // INSTRUCTION
    if count > MOST_INSTRUCTIONS:
        raise CannotCompile(f"it takes {count} instructions, more than the kernel's {MOST_INSTRUCTIONS}")
    return program


def _tokens(names: Iterable[str]) -> list[int]:
    """This machine's own first; a name that this library does not know is left out, and its calls killed."""
    found = (libseccomp.architecture(name) for name in names)
    return list(dict.fromkeys([libseccomp.native(), *(token for token in found if token is not None)]))


def _add(builder: Builder, rule: Rule) -> None:
    """Names that the library does not know are another architecture's; runc skips them, too."""
    for name in rule.names:
        number = libseccomp.resolve(name)
        if number is not None:
            for comparisons in _alternatives(rule.arguments):
                builder.add_rule(number_of(rule.action), number, comparisons)
        elif rule.arguments and name in newer.NUMBERS:
            raise CannotCompile(f"this libseccomp cannot judge the arguments of {name}: it is older")


def _alternatives(arguments: Sequence[Argument]) -> Iterator[list[Comparison]]:
    """All of them as one condition; each for itself where two are about one argument (runc, matchCall)."""
    made = [
        Comparison(one.index, libseccomp.OPERATORS[one.operator], one.value, one.second) for one in arguments
    ]
    if len({one.argument for one in made}) == len(made):
        yield made
    else:
        yield from ([one] for one in made)


# -- what depends on the number alone ------------------------------------------------------------------------


def _parted(chosen: Sequence[Rule], tokens: Sequence[int]) -> tuple[dict[str, int], list[Rule]]:
    """Verdicts by name, of calls that no rule says more about (of two rules the first counts); the other rules."""
    special = {name for rule in chosen if rule.arguments for name in rule.names}
    special |= {name for rule in chosen for name in rule.names if _is_multiplexed(name, tokens)}
    plain: dict[str, int] = {}
    for rule in chosen:
        for name in rule.names:
            if name not in special:
                plain.setdefault(name, number_of(rule.action))
    rest = [replace(rule, names=tuple(name for name in rule.names if name in special)) for rule in chosen]
    return plain, [rule for rule in rest if rule.names]


def _is_multiplexed(name: str, tokens: Sequence[int]) -> bool:
    """Whether it is also a part of socketcall(2) or ipc(2) somewhere: libseccomp gives it a number like -101."""
    numbers = (libseccomp.resolve(name, token) for token in tokens)
    return any(number is not None and number in _MULTIPLEXED for number in numbers)


def _trees(
    profile: Profile, tokens: Sequence[int], plain: Mapping[str, int], rest: Sequence[Rule]
) -> dict[int, list[Range]]:
    """By architecture. The numbers of x32 lie above those of x86-64, in the same tree."""
    others = {name for rule in rest for name in rule.names}
    lines = {token: _line(profile, token, _verdicts(token, plain, others)) for token in tokens}
    x32 = lines.pop(X32, [Range(X32_BIT, None)])
    if X86_64 in lines:
        lines[X86_64] += x32
    return lines


def _verdicts(token: int, plain: Mapping[str, int], others: Iterable[str]) -> dict[int, int | None]:
    """By number; None for the calls that libseccomp judges."""
    found: dict[int, int | None] = {_on(token, name): verdict for name, verdict in plain.items()}
    found |= dict.fromkeys(_on(token, name) for name in others)
    return {number: verdict for number, verdict in found.items() if number >= 0}


def _line(profile: Profile, token: int, verdicts: Mapping[int, int | None]) -> list[Range]:
    """All numbers of an architecture. Those of multiplexed calls, and what lies beyond x32, only libseccomp knows."""
    names = [name for rule in profile.rules for name in rule.names]
    first, gap = X32_BIT if token == X32 else 0, number_of(profile.default)
    end = max((_on(token, name) for name in names), default=-1) + 1
    if end <= first:
        return [Range(first, None if token == X32 else gap)]
    beyond = None if token == X32 else _beyond(profile.default)
    between = None if any(_on(token, name) in _MULTIPLEXED for name in names) else gap
    return [*tree.ranges(verdicts, between, first, end), Range(end, beyond)]


def _beyond(default: Action) -> int:
    """ENOSYS, not EPERM, for what is newer than the profile: programs do without it then (as runc has it).

    Not where the default lets a call through.
    """
    return number_of(default) if default.name in _LETS_THROUGH else _NO_SUCH_CALL


def _on(token: int, name: str) -> int:
    """The number on an architecture; negative if there is none."""
    number = libseccomp.resolve(name, token)
    return newer.NUMBERS.get(name, -1) if number is None else number
