"""A seccomp profile in docker's JSON form, checked and frozen. Pure.

The form is that of the OCI runtime specification (config-linux.md, seccomp) with docker's additions: archMap, and
rules that hold only for some architectures, capabilities and kernels (moby profiles/seccomp/seccomp.go).
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

UNCONFINED = "unconfined"
"""In the place of a profile: no filter at all."""

ACTIONS = (
    "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE", "SCMP_ACT_LOG", "SCMP_ACT_ALLOW",
)  # fmt: skip
WITH_VALUE = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
"""Actions that take a number: the errno, or what the tracer is told."""
OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
FLAGS = ("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW")
LARGEST_ERRNO = 4095
"""MAX_ERRNO: more than that is no error to a program (seccomp(2))."""
_ARGUMENTS = 6
_WORD = 1 << 64
_KERNEL = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Action:
    """What happens to a call; ``value`` is an errno where the action has one."""

    name: str
    value: int = 0


@dataclass(frozen=True, slots=True)
class Argument:
    """A condition on one argument; with MASKED_EQ ``value`` is the mask and ``second`` what must be left."""

    index: int
    operator: str
    value: int
    second: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """Where a rule holds, or does not hold: any of these architectures, these capabilities, this kernel."""

    arches: frozenset[str] = frozenset()
    """Names as in Go (``amd64``)."""
    capabilities: frozenset[str] = frozenset()
    kernel: tuple[int, int] | None = None
    """At least this version."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``syscalls``. Arguments must all hold."""

    names: tuple[str, ...]
    action: Action
    arguments: tuple[Argument, ...] = ()
    includes: Condition = field(default_factory=Condition)
    excludes: Condition = field(default_factory=Condition)


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole profile."""

    default: Action
    rules: tuple[Rule, ...]
    architectures: tuple[str, ...] = ()
    """``SCMP_ARCH_X86_64``, …; empty: this machine's own, and what ``arch_map`` gives it."""
    arch_map: tuple[tuple[str, tuple[str, ...]], ...] = ()
    flags: tuple[str, ...] | None = None
    """None: not said, so the runtime decides."""


def parse_profile(text: str) -> Profile:
    """Read a profile. Raises ValueError, which says what is wrong and where."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from None
    top = _object(document, "the profile")
    if top.get("architectures") and top.get("archMap"):
        raise ValueError("it has both architectures and archMap")
    for key in ("listenerPath", "listenerMetadata"):
        if top.get(key):
            raise ValueError(f"{key} is not supported: there is no agent that could be asked")
    rules = tuple(_rule(item, f"syscalls[{number}]") for number, item in enumerate(_list(top, "syscalls")))
    return Profile(
        default=_action(top.get("defaultAction"), top.get("defaultErrnoRet"), "defaultAction"),
        rules=rules,
        architectures=tuple(_text(name, "architectures") for name in _list(top, "architectures")),
        arch_map=tuple(_architecture(item) for item in _list(top, "archMap")),
        flags=_flags(top),
    )


def _rule(item: object, where: str) -> Rule:
    rule = _object(item, where)
    names = [*_list(rule, "names"), *([rule["name"]] if rule.get("name") else [])]
    if not names or (rule.get("name") and rule.get("names")):
        raise ValueError(f"{where} must have names, or one name")
    return Rule(
        names=tuple(_text(name, f"{where}.names") for name in names),
        action=_action(rule.get("action"), rule.get("errnoRet"), f"{where}.action"),
        arguments=tuple(_argument(one, f"{where}.args") for one in _list(rule, "args")),
        includes=_condition(rule.get("includes"), f"{where}.includes"),
        excludes=_condition(rule.get("excludes"), f"{where}.excludes"),
    )


def _action(name: object, value: object, where: str) -> Action:
    if name == "SCMP_ACT_NOTIFY":
        raise ValueError(f"{where} SCMP_ACT_NOTIFY is not supported: there is no agent that could be asked")
    if name not in ACTIONS:
        raise ValueError(f"{where} {name!r} is none of {', '.join(ACTIONS)}")
    assert isinstance(name, str)  # noqa: S101 - it is one of them
    if name not in WITH_VALUE:
        return Action(name)
    return Action(name, errno.EPERM if value is None else _number(value, f"{where}: errno", LARGEST_ERRNO))


def _argument(item: object, where: str) -> Argument:
    argument = _object(item, where)
    operator = _text(argument.get("op"), f"{where}.op").removeprefix("SCMP_CMP_")
    if operator not in OPERATORS:
        raise ValueError(f"{where}.op {argument.get('op')!r} is none of SCMP_CMP_{{{', '.join(OPERATORS)}}}")
    return Argument(
        _number(argument.get("index") or 0, f"{where}.index", _ARGUMENTS - 1),
        operator,
        _number(argument.get("value") or 0, f"{where}.value", _WORD - 1),
        _number(argument.get("valueTwo") or 0, f"{where}.valueTwo", _WORD - 1),
    )


def _condition(item: object, where: str) -> Condition:
    found = _object({} if item is None else item, where)
    return Condition(
        frozenset(_text(name, f"{where}.arches") for name in _list(found, "arches")),
        frozenset(_text(name, f"{where}.caps") for name in _list(found, "caps")),
        _kernel(found.get("minKernel"), f"{where}.minKernel"),
    )


def _kernel(text: object, where: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = _KERNEL.fullmatch(_text(text, where))
    if match is None:
        raise ValueError(f"{where} {text!r} is not a version like 4.8")
    return int(match[1]), int(match[2])


def _architecture(item: object) -> tuple[str, tuple[str, ...]]:
    found = _object(item, "archMap")
    others = (_text(name, "archMap") for name in _list(found, "subArchitectures"))
    return _text(found.get("architecture"), "archMap.architecture"), tuple(others)


def _flags(top: Json) -> tuple[str, ...] | None:
    if top.get("flags") is None:
        return None
    flags = tuple(_text(flag, "flags") for flag in _list(top, "flags"))
    for flag in flags:
        if flag not in FLAGS:
            raise ValueError(f"the flag {flag!r} is none of {', '.join(FLAGS)}")
    return flags


# -- JSON ----------------------------------------------------------------------------------------------------


def _of(kind: type, called: str) -> Callable[[object, str], Any]:
    def check(value: object, where: str) -> Any:  # noqa: ANN401 - of that kind
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{where} must be {called}, not {json.dumps(value, default=repr)[:80]}")  # noqa: TRY004
        return value

    return check


_object: Callable[[object, str], Json] = _of(dict, "an object")
_text: Callable[[object, str], str] = _of(str, "a string")
_integer: Callable[[object, str], int] = _of(int, "an integer")


def _list(found: Json, key: str) -> list[object]:
    value = found.get(key)
    items: list[object] = _of(list, "a list")([] if value is None else value, key)
    return items


def _number(value: object, where: str, largest: int) -> int:
    number = _integer(value, where)
    if not 0 <= number <= largest:
        raise ValueError(f"{where} {number} is not within 0 and {largest}")
    return number
