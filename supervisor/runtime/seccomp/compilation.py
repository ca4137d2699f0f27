"""A profile to a filter program (struct sock_filter[]) for one target, by libseccomp and newer.py."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence

from pysup.supervisor.kernel import libseccomp
from pysup.supervisor.kernel.libseccomp import Builder, Comparison
from pysup.supervisor.runtime.seccomp import newer, selection
from pysup.supervisor.runtime.seccomp.selection import Target
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


class CannotCompile(Exception):
    """The profile cannot be made a filter on this machine; the text says why."""


def number_of(action: Action) -> int:
    """The value that a filter returns for an action (SECCOMP_RET_* of seccomp(2))."""
    return _ACTIONS[action.name] | action.value


def compile_profile(profile: Profile, target: Target) -> bytes:
    """The program. Takes some 30 ms: for a thread. Raises CannotCompile, and libseccomp.Missing."""
    chosen = list(selection.rules(profile, target))
    tokens = _tokens(selection.architectures(profile, target.machine))
    try:
        with Builder(number_of(profile.default)) as builder:
            for token in tokens[1:]:
                builder.add_architecture(token)
            for rule in chosen:
                _add(builder, rule, profile.default)
            program = builder.export()
    except OSError as error:
        raise CannotCompile(f"libseccomp refuses it: {error}") from error
    return _checked(_prologue(profile, chosen, tokens) + program)


def _checked(program: bytes) -> bytes:
    count = len(program) // INSTRUCTION
    if count > MOST_INSTRUCTIONS:
        raise CannotCompile(f"it takes {count} instructions, more than the kernel's {MOST_INSTRUCTIONS}")
    return program


def _tokens(names: Iterable[str]) -> list[int]:
    """This machine's own first; a name that this library does not know is left out, and its calls killed."""
    found = (libseccomp.architecture(name) for name in names)
    return list(dict.fromkeys([libseccomp.native(), *(token for token in found if token is not None)]))


def _add(builder: Builder, rule: Rule, default: Action) -> None:
    """Names that the library does not know are newer.py's, or another architecture's; runc skips them, too."""
    if rule.action == default:
        return
    for name in rule.names:
        number = libseccomp.resolve(name)
        if number is not None:
            for comparisons in _alternatives(rule.arguments):
                builder.add_rule(number_of(rule.action), number, comparisons)


def _alternatives(arguments: Sequence[Argument]) -> Iterator[list[Comparison]]:
    """All of them as one condition; each for itself where two are about one argument (runc, matchCall)."""
    made = [
        Comparison(one.index, libseccomp.OPERATORS[one.operator], one.value, one.second) for one in arguments
    ]
    if len({one.argument for one in made}) == len(made):
        yield made
    else:
        yield from ([one] for one in made)


# -- what the library does not know --------------------------------------------------------------------------


def _prologue(profile: Profile, chosen: Sequence[Rule], tokens: Sequence[int]) -> bytes:
    highest = {token: last for token in tokens if (last := _highest(profile, token)) is not None}
    return newer.prologue(highest, _beyond(profile.default), _verdicts(chosen, profile.default))


def _beyond(default: Action) -> int | None:
    """ENOSYS for what is newer than the profile, unless the default lets it through or says the same."""
    if default.name in _LETS_THROUGH or number_of(default) == _NO_SUCH_CALL:
        return None
    return _NO_SUCH_CALL


def _highest(profile: Profile, token: int) -> int | None:
    """The last number that the profile names for an architecture: that is how much its author knew.

    None if it names nothing there, and for x32, which newer.py passes by.
    """
    numbers = [number for rule in profile.rules for name in rule.names if (number := _on(token, name)) >= 0]
    last = max(numbers, default=newer.X32_BIT)
    return None if last >= newer.X32_BIT else last


def _on(token: int, name: str) -> int:
    number = libseccomp.resolve(name, token)
    return newer.NUMBERS.get(name, -1) if number is None else number


def _verdicts(chosen: Sequence[Rule], default: Action) -> dict[int, int]:
    """By number: what the rules say of calls that the library does not know. The first rule counts."""
    found: dict[int, int] = {}
    for rule in chosen:
        for name in rule.names:
            if name in newer.NUMBERS and libseccomp.resolve(name) is None and rule.action != default:
                if rule.arguments:
                    raise CannotCompile(f"this libseccomp cannot judge the arguments of {name}: it is older")
                found.setdefault(newer.NUMBERS[name], number_of(rule.action))
    return found
