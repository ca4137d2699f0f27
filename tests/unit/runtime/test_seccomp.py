"""Docker's profile as a filter: every call's verdict is the one that the JSON says, on each architecture."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from helpers.bpf import ALLOW, ERRNO, KILL, Program
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.kernel import libseccomp
from pysup.supervisor.runtime.seccomp import compilation, newer, selection, tree
from pysup.supervisor.runtime.seccomp.filters import default_profile
from pysup.supervisor.runtime.seccomp.selection import Target
from pysup.supervisor.spec.capabilities import ALL, DEFAULT
from pysup.supervisor.spec.seccomp import parse_profile

Json = dict[str, Any]

X86_64, I386, X32 = 0xC000003E, 0x40000003, 0x40000000
AARCH64 = 0xC00000B7
PROFILE: Json = json.loads(default_profile())
KERNEL = (6, 1)
DEFAULT_ERRNO = ERRNO | PROFILE["defaultErrnoRet"]
ENOSYS = ERRNO | 38
LAST = 480
I386_DIRECT = {
    "socket": 359, "socketpair": 360, "bind": 361, "connect": 362, "listen": 363, "accept4": 364,
    "getsockopt": 365, "setsockopt": 366, "getsockname": 367, "getpeername": 368, "sendto": 369, "sendmsg": 370,
    "recvfrom": 371, "recvmsg": 372, "shutdown": 373, "semget": 393, "semctl": 394, "shmget": 395, "shmctl": 396,
    "shmat": 397, "shmdt": 398, "msgget": 399, "msgsnd": 400, "msgrcv": 401, "msgctl": 402, "recvmmsg": 337,
    "sendmmsg": 345,
}  # fmt: skip
"""arch/x86/entry/syscalls/syscall_32.tbl: what socketcall(2) and ipc(2) can do as well."""
OPERATORS = {
    "SCMP_CMP_EQ": lambda value, rule: value == rule["value"],
    "SCMP_CMP_LT": lambda value, rule: value < rule["value"],
    "SCMP_CMP_MASKED_EQ": lambda value, rule: value & rule["value"] == rule.get("valueTwo", 0),
}
FIRST_ARGUMENTS = [0, 1, 2, 8, 12, 16, 38, 40, 44, 46, 131072, 131080, 0xFFFFFFFF, 1 << 32 | 38, 1 << 32, 0x7E020000,
                   0x10000000, 0x11]  # fmt: skip
"""Families, personalities, clone flags, and such with bits beyond the 32 that the kernel looks at."""

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers here are those of x86-64")


def holds(rule: Json, capabilities: frozenset[str]) -> bool:
    """The conditions of a rule, read anew from the JSON."""
    included, excluded = rule.get("includes", {}), rule.get("excludes", {})
    if set(excluded.get("caps", [])) & capabilities or "amd64" in excluded.get("arches", []):
        return False
    if not set(included.get("caps", [])) <= capabilities or "amd64" not in included.get("arches", ["amd64"]):
        return False
    return tuple(map(int, included.get("minKernel", "0.0").split("."))) <= KERNEL


def expected(name: str, arguments: list[int], capabilities: frozenset[str]) -> int:
    for rule in PROFILE["syscalls"]:
        if name in rule["names"] and holds(rule, capabilities):
            tests = rule.get("args", [])
            if all(OPERATORS[test["op"]](arguments[test["index"]], test) for test in tests):
                return ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else ERRNO | rule["errnoRet"]
    return DEFAULT_ERRNO


@cache
def program(capabilities: frozenset[str]) -> Program:
    target = Target("x86_64", KERNEL, capabilities)
    return Program(compilation.compile_profile(parse_profile(default_profile()), target))


@cache
def numbers(architecture: str) -> dict[int, str]:
    """Every number with the name of its call, for all names of the profile."""
    token = libseccomp.architecture(architecture)
    names = {name for rule in PROFILE["syscalls"] for name in rule["names"]}
    resolved = {name: libseccomp.resolve(name, token) for name in names}
    found = {number: name for name, number in resolved.items() if number is not None and number >= 0}
    if architecture == "x86":
        found |= {number: name for name, number in I386_DIRECT.items() if name in names}
    if architecture != "x32":
        found |= {number: name for name, number in newer.NUMBERS.items() if name in names}
    return found


SETS = [
    DEFAULT,
    frozenset(ALL),
    frozenset(),
    DEFAULT | {"CAP_SYS_ADMIN"},
    DEFAULT | {"CAP_SYSLOG", "CAP_SYS_PTRACE"},
]


@pytest.mark.parametrize("capabilities", SETS, ids=["default", "all", "none", "admin", "some"])
@pytest.mark.parametrize(("architecture", "token"), [("x86_64", X86_64), ("x86", I386), ("x32", X86_64)])
def test_every_call_gets_the_verdict_of_the_json(
    architecture: str, token: int, capabilities: frozenset[str]
) -> None:
    judged, named = program(capabilities), numbers(architecture)
    first = X32 if architecture == "x32" else 0
    highest = max(named)
    wrong: list[tuple[Any, ...]] = []
    for number in range(first, first + LAST + 80):
        name = named.get(number, "")
        for argument in FIRST_ARGUMENTS if name in ("socket", "personality", "clone") else [0]:
            arguments = [
                argument & ((1 << 64) - 1 if architecture == "x86_64" else 0xFFFFFFFF),
                0,
                0,
                0,
                0,
                0,
            ]
            wanted = expected(name, arguments, capabilities)
            if number > highest and architecture != "x32":
                wanted = ENOSYS
            verdict = judged.run(number, token, arguments)
            if verdict != wanted:
                wrong.append((number, name, hex(argument), hex(verdict), hex(wanted)))
    assert wrong == []
    assert len(named) > 300


def test_what_is_known_of_docker_s_profile() -> None:
    """A few verdicts written down by hand, so that a mistake in the evaluation above would show."""
    judged = program(DEFAULT)
    verdicts = {
        number: judged.run(number, X86_64)
        for number in (0, 59, 101, 165, 272, 304, 321, 435, 425, 462, 463, 457, 469, 470, 1000)
    }
    assert verdicts == {
        0: ALLOW, 59: ALLOW, 101: ALLOW, 165: DEFAULT_ERRNO, 272: DEFAULT_ERRNO, 304: DEFAULT_ERRNO,
        321: DEFAULT_ERRNO, 435: ENOSYS, 425: DEFAULT_ERRNO, 462: ALLOW, 463: ALLOW, 457: ALLOW,
        469: ENOSYS, 470: ENOSYS, 1000: ENOSYS,
    }  # fmt: skip
    assert judged.run(41, X86_64, [38]) == DEFAULT_ERRNO, "AF_ALG"
    assert judged.run(41, X86_64, [1 << 32 | 38]) == DEFAULT_ERRNO, "AF_ALG again: the kernel sees 32 bits"
    assert judged.run(41, X86_64, [2]) == ALLOW
    assert judged.run(56, X86_64, [0x10000000]) == DEFAULT_ERRNO, "clone with CLONE_NEWUSER"
    assert judged.run(56, X86_64, [0x11]) == ALLOW
    assert judged.run(0, AARCH64) == KILL, "an architecture that does not run here"


@given(st.integers(0, (1 << 32) - 1), st.lists(st.integers(0, (1 << 64) - 1), min_size=6, max_size=6))
def test_no_call_beyond_the_profile_gets_through(number: int, arguments: list[int]) -> None:
    """Whatever number and arguments a program makes up (the sign bit, both x32 ranges)."""
    verdict = program(frozenset()).run(number, X86_64, arguments)
    if number not in numbers("x86_64") and number not in numbers("x32"):
        assert verdict in (DEFAULT_ERRNO, ENOSYS)


# -- the rules of selection and compilation ------------------------------------------------------------------


def compiled(**profile: Any) -> Program:
    text = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], **profile})
    return Program(compilation.compile_profile(parse_profile(text), Target("x86_64", KERNEL, DEFAULT)))


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: Any) -> Json:
    return {"names": list(names), "action": action, **more}


@pytest.mark.parametrize(
    ("conditions", "there"),
    [
        ({"includes": {"arches": ["amd64"]}}, True),
        ({"includes": {"arches": ["arm64", "s390x"]}}, False),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"includes": {"minKernel": "5.19"}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_KILL"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_KILL"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"excludes": {"minKernel": "6.1"}}, False),
        ({"excludes": {"minKernel": "6.2"}, "includes": {"caps": ["CAP_CHOWN"]}}, True),
    ],
)
def test_conditions(conditions: Json, there: bool) -> None:
    judged = compiled(syscalls=[rule("getpid", **conditions)])
    assert (judged.run(39, X86_64) == ALLOW) == there


@pytest.mark.parametrize(
    ("operator", "value", "second", "holds_for"),
    [
        ("NE", 7, 0, lambda number: number != 7),
        ("LT", 7, 0, lambda number: number < 7),
        ("LE", 7, 0, lambda number: number <= 7),
        ("EQ", 1 << 33, 0, lambda number: number == 1 << 33),
        ("GE", 1 << 33, 0, lambda number: number >= 1 << 33),
        ("GT", 7, 0, lambda number: number > 7),
        ("MASKED_EQ", 0xF0, 0x30, lambda number: number & 0xF0 == 0x30),
    ],
)
def test_argument_rules(operator: str, value: int, second: int, holds_for: Callable[[int], bool]) -> None:
    test = {"index": 2, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": second}
    judged = compiled(syscalls=[rule("ioctl", args=[test])])
    candidates = {
        0,
        6,
        7,
        8,
        0x30,
        0x3F,
        0x40,
        (1 << 33) - 1,
        1 << 33,
        (1 << 33) + 1,
        1 << 40,
        1 << 40 | 0x31,
    }
    passed = {one for one in candidates if judged.run(16, X86_64, [0, 0, one]) == ALLOW}
    assert passed == set(filter(holds_for, candidates))


def test_two_conditions_on_one_argument_are_alternatives_and_on_two_must_both_hold() -> None:
    same = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value} for value in (1, 2)]
    judged = compiled(syscalls=[rule("ioctl", args=same)])
    assert [judged.run(16, X86_64, [value]) == ALLOW for value in (0, 1, 2)] == [False, True, True]
    both = [{"index": index, "op": "SCMP_CMP_EQ", "value": 1} for index in (0, 1)]
    judged = compiled(syscalls=[rule("ioctl", args=both)])
    assert [judged.run(16, X86_64, pair) == ALLOW for pair in ([1, 0], [0, 1], [1, 1])] == [
        False,
        False,
        True,
    ]


ACTIONS = [
    ("SCMP_ACT_KILL", None, 0),
    ("SCMP_ACT_KILL_PROCESS", None, 0x80000000),
    ("SCMP_ACT_TRAP", None, 0x00030000),
    ("SCMP_ACT_TRACE", 5, 0x7FF00005),
    ("SCMP_ACT_LOG", None, 0x7FFC0000),
    ("SCMP_ACT_ERRNO", None, ERRNO | 1),
    ("SCMP_ACT_ERRNO", 13, ERRNO | 13),
]


@pytest.mark.parametrize(("action", "value", "verdict"), ACTIONS)
def test_actions(action: str, value: int | None, verdict: int) -> None:
    judged = compiled(
        defaultAction="SCMP_ACT_ALLOW", syscalls=[rule("getpid", "mseal", action=action, errnoRet=value)]
    )
    assert judged.run(39, X86_64) == judged.run(462, X86_64) == verdict
    assert judged.run(40, X86_64) == judged.run(1000, X86_64) == ALLOW, "what is newer passes, too"


def test_a_profile_that_names_no_call_has_no_newer_ones() -> None:
    judged = compiled(defaultAction="SCMP_ACT_KILL_PROCESS")
    assert judged.run(0, X86_64) == judged.run(1000, X86_64) == 0x80000000


def test_another_architecture_is_killed_unless_it_is_asked_for() -> None:
    assert compiled(syscalls=[rule("getpid")]).run(20, I386) == KILL
    both = compiled(architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], syscalls=[rule("getpid")])
    assert both.run(20, I386) == both.run(39, X86_64) == ALLOW
    mapped = compiled(
        architectures=[],
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        syscalls=[rule("getpid")],
    )
    assert mapped.run(20, I386) == ALLOW


def test_what_cannot_be_compiled() -> None:
    test = [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}]
    with pytest.raises(compilation.CannotCompile, match="cannot judge the arguments of file_setattr"):
        compiled(syscalls=[rule("file_setattr", args=test)])
    values = [number << 32 | number for number in range(2500)]
    tests = [rule("ioctl", args=[{"index": 1, "op": "SCMP_CMP_EQ", "value": value}]) for value in values]
    with pytest.raises(compilation.CannotCompile, match="more than the kernel's 4096"):
        compiled(syscalls=tests)


@pytest.mark.parametrize(
    ("release", "version"), [("6.1.0-18-amd64", (6, 1)), ("4.8-rc5", (4, 8)), ("7", (7, 0))]
)
def test_kernel_versions(release: str, version: tuple[int, int]) -> None:
    assert selection.kernel_version(release) == version


# -- the profile itself --------------------------------------------------------------------------------------


def names_allowed(profile: Json) -> Iterator[str]:
    for entry in profile["syscalls"]:
        if entry["action"] == "SCMP_ACT_ALLOW" and not any(map(entry.get, ("args", "includes", "excludes"))):
            yield from entry["names"]


def test_dangerous_calls_are_not_for_everybody() -> None:
    """https://docs.docker.com/engine/security/seccomp/ lists what docker blocks, and why."""
    blocked = {
        "acct", "add_key", "bpf", "clock_settime", "clone3", "create_module", "delete_module", "finit_module",
        "get_kernel_syms", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
        "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount", "move_mount",
        "move_pages", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pivot_root",
        "ptrace", "query_module", "quotactl", "reboot", "request_key", "set_mempolicy", "setns", "settimeofday",
        "stime", "swapoff", "swapon", "sysfs", "umount", "unshare", "uselib", "userfaultfd", "ustat", "vm86",
        "socket", "clone",
    }  # fmt: skip
    assert blocked & set(names_allowed(PROFILE)) == set()


# -- the tree ------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.integers(0, 600), st.sampled_from([ALLOW, ERRNO | 1, ERRNO | 38, None]), max_size=400),
    st.sampled_from([ERRNO | 1, None]),
)
def test_a_tree_says_what_its_map_says(verdicts: dict[int, int | None], gap: int | None) -> None:
    """Also a big one, in which jumps are too far for one conditional instruction."""
    line = [*tree.ranges(verdicts, gap, 0, 601), tree.Range(601, ERRNO | 38)]
    follows = 0x7FFC0000
    judged = Program(tree.program({X86_64: line}) + b"\x06\0\0\0" + follows.to_bytes(4, "little"))
    for number in range(620):
        wanted = verdicts.get(number, gap) if number < 601 else ERRNO | 38
        assert judged.run(number, X86_64) == (follows if wanted is None else wanted)
    assert judged.run(0, I386) == follows


def test_every_second_number() -> None:
    """The tree that is as big as can be."""
    verdicts: dict[int, int | None] = dict.fromkeys(range(0, 600, 2), ALLOW)
    test = tree.program({X86_64: [*tree.ranges(verdicts, ERRNO | 1, 0, 601), tree.Range(601, ERRNO | 38)]})
    judged = Program(test + b"\x06\0\0\0" + KILL.to_bytes(4, "little"))
    assert [judged.run(number, X86_64) for number in range(602)] == [
        *[ALLOW, ERRNO | 1] * 300,
        ERRNO | 1,
        ENOSYS,
    ]
