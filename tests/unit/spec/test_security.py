"""HostConfig's fields about confinement, and seccomp profiles as untrusted JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, NotSupported, PysupError, Unavailable
from pysup.supervisor.runtime import masks
from pysup.supervisor.spec.capabilities import ALL
from pysup.supervisor.spec.container import HostDevice, Namespaces, Security
from pysup.supervisor.spec.devices import parse_device
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.seccomp import Action, Argument, Condition, parse_profile
from pysup.supervisor.spec.security import capabilities, no_new_privileges, security

SMALL = '{"defaultAction":"SCMP_ACT_ALLOW"}'


def fields(**host: Any) -> Fields:
    return Fields("create container", host, "HostConfig")


def read(modules: tuple[str, ...] = (), **host: Any) -> Security:
    return security(fields(**host), Namespaces(), modules=modules)


def options(*words: str, **more: Any) -> Security:
    return read(SecurityOpt=list(words), **more)


# -- --security-opt ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "privileged", "wanted"),
    [
        ([], False, ""),
        (["seccomp=builtin"], False, ""),
        (["seccomp=unconfined"], False, "unconfined"),
        (["seccomp:unconfined"], False, "unconfined"),
        ([f"seccomp={SMALL}"], False, SMALL),
        (["seccomp=unconfined", "seccomp=builtin"], False, ""),
        ([], True, "unconfined"),
        (["seccomp=builtin"], True, ""),
        ([f"seccomp={SMALL}"], True, SMALL),
    ],
)
def test_seccomp(words: list[str], privileged: bool, wanted: str) -> None:
    assert options(*words, Privileged=privileged).seccomp == wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], False),
        (["no-new-privileges"], True),
        (["no-new-privileges:true"], True),
        (["no-new-privileges=false"], False),
        (["no-new-privileges", "no-new-privileges=false"], False),
    ],
)
def test_no_new_privileges(words: list[str], wanted: bool) -> None:
    assert no_new_privileges(fields(SecurityOpt=words)) is wanted


def test_an_apparmor_profile_needs_a_kernel_that_has_it() -> None:
    assert options("apparmor=unconfined").apparmor == ""
    assert read(("apparmor",), SecurityOpt=["apparmor=web"]).apparmor == "web"
    with pytest.raises(
        Unavailable, match="cannot create container: --security-opt apparmor=web: this kernel has no"
    ):
        options("apparmor=web")


def test_labels_are_granted_only_where_that_is_true() -> None:
    assert options("label=disable") == options("disable") == Security()
    with pytest.raises(NotSupported, match="--security-opt label='level:s0'"):
        options("label=level:s0")


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("no-new-privileges=perhaps", "neither true nor false"),
        ("apparmor=a b", "not the name of a profile"),
        ("mask=etc", "not an absolute path"),
        ("mask=/proc/../etc", "not an absolute path"),
        ("mask=/", "not an absolute path"),
        ("unmask=", "not an absolute path"),
        ("seccomp=", "it is not JSON"),
        ("seccomp=/etc/profile.json", "it is not JSON"),
        ("seccomp={}", "defaultAction None is none of"),
    ],
)
def test_wrong_options(word: str, cause: str) -> None:
    with pytest.raises(BadRequest, match=cause):
        options(word)


@given(st.lists(st.text(max_size=40) | st.text("seclabmp=:/{}\"' ", max_size=20), max_size=4))
def test_no_option_breaks_anything(words: list[str]) -> None:
    try:
        options(*words)
    except PysupError as error:
        assert str(error).startswith("cannot create container: ")  # noqa: PT017 - every error is to be looked at


# -- masks ---------------------------------------------------------------------------------------------------


def test_masks_by_default_and_changed() -> None:
    usual = masks.masked(Security(), 2)
    assert {"/proc/kcore", "/proc/interrupts", "/sys/firmware"} < set(usual)
    assert usual[-1] == "/sys/devices/system/cpu/cpu1/thermal_throttle"
    assert "/proc/sys" in masks.read_only(Security())
    assert masks.masked(options("mask=/etc/a:/etc/b"), 0)[-2:] == ("/etc/a", "/etc/b")
    opened = options("unmask=/proc/kcore:/proc/s*")
    assert set(usual) - set(masks.masked(opened, 2)) == {"/proc/kcore", "/proc/sched_debug", "/proc/scsi"}
    assert set(masks.READ_ONLY) - set(masks.read_only(opened)) == {"/proc/sys", "/proc/sysrq-trigger"}
    assert masks.masked(options("unmask=/*"), 2) == usual, "a star does not go deeper"
    everything = options("unmask=ALL", "mask=/etc/a")
    assert masks.masked(everything, 2) == ("/etc/a",)
    assert masks.read_only(everything) == ()


def test_paths_that_are_listed_take_the_place_of_docker_s() -> None:
    chosen = read(MaskedPaths=["/proc/kcore"], ReadonlyPaths=[])
    assert masks.masked(chosen, 8) == ("/proc/kcore",)
    assert masks.read_only(chosen) == ()
    assert read(MaskedPaths=None).masked is None
    with pytest.raises(BadRequest, match="MaskedPaths 'proc' is not an absolute path"):
        read(MaskedPaths=["proc"])


def test_privileged() -> None:
    chosen = read(Privileged=True)
    assert masks.masked(chosen, 8) == masks.read_only(chosen) == ()
    assert masks.masked(read(Privileged=True, SecurityOpt=["mask=/etc/a"]), 8) == ("/etc/a",)
    with pytest.raises(BadRequest, match="--privileged conflicts with a user namespace"):
        security(fields(Privileged=True), Namespaces(user="private"))


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"Privileged": True}, set(ALL)),
        ({"Privileged": True, "CapDrop": ["net_admin"]}, set(ALL) - {"CAP_NET_ADMIN"}),
        ({"Privileged": True, "CapDrop": ["ALL"], "CapAdd": ["KILL"]}, {"CAP_KILL"}),
        ({"Privileged": True, "CapDrop": ["ALL"], "CapAdd": ["ALL"]}, set()),
        ({"CapDrop": ["ALL"]}, set()),
        ({"CapAdd": ["ALL"], "CapDrop": ["CAP_SYS_ADMIN"]}, set(ALL) - {"CAP_SYS_ADMIN"}),
    ],
)
def test_capabilities(host: dict[str, Any], wanted: set[str]) -> None:
    assert set(capabilities(fields(**host))) == wanted


# -- devices -------------------------------------------------------------------------------------------------


def test_devices() -> None:
    entries = [
        {"PathOnHost": "/dev/a"},
        {"PathOnHost": "/dev/b", "PathInContainer": "/x", "CgroupPermissions": "r"},
    ]
    chosen = read(Devices=entries, DeviceCgroupRules=["c 42:* rmw"])
    assert chosen.devices == (HostDevice("/dev/a", "/dev/a", "rwm"), HostDevice("/dev/b", "/x", "r"))
    assert chosen.device_rules == ("c 42:* rmw",)


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ({"Devices": [{"PathOnHost": "dev/a"}]}, "'dev/a' is not an absolute path"),
        ({"Devices": [{"PathOnHost": "/dev/../etc"}]}, "not an absolute path"),
        ({"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "a"}]}, "'a' is not an absolute path"),
        (
            {"Devices": [{"PathOnHost": "/dev/a", "CgroupPermissions": "rx"}]},
            "'rx', which are not letters of rwm",
        ),
        ({"Devices": [{"PathOnHost": "/dev/a", "CgroupPermissions": "rr"}]}, "'rr'"),
        ({"DeviceCgroupRules": ["c 1:3"]}, "invalid device cgroup format"),
        ({"DeviceCgroupRules": ["a *:* rwm\nb"]}, "invalid device cgroup format"),
        ({"DeviceCgroupRules": ["c 4294967296:0 r"]}, "invalid device cgroup format"),
    ],
)
def test_wrong_devices(host: dict[str, Any], cause: str) -> None:
    with pytest.raises(BadRequest, match=cause):
        read(**host)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/dev/a", ("/dev/a", "/dev/a", "rwm")),
        ("/dev/a:/b", ("/dev/a", "/b", "rwm")),
        ("/dev/a:rw", ("/dev/a", "/dev/a", "rw")),
        ("/dev/a:/b:m", ("/dev/a", "/b", "m")),
    ],
)
def test_device_syntax(text: str, wanted: tuple[str, str, str]) -> None:
    assert tuple(parse_device(text).values()) == wanted


# -- profiles ------------------------------------------------------------------------------------------------


def profile(**more: Any) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **more})


def test_a_profile_is_read_whole() -> None:
    rule = {
        "names": ["ioctl"],
        "action": "SCMP_ACT_TRACE",
        "errnoRet": 7,
        "args": [{"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 5, "valueTwo": 4}],
        "includes": {"caps": ["CAP_KILL"], "arches": ["amd64"], "minKernel": "4.8"},
        "excludes": None,
    }
    named = {"name": "read", "action": "SCMP_ACT_KILL_PROCESS", "args": None}
    found = parse_profile(profile(defaultErrnoRet=38, syscalls=[rule, named], flags=[]))
    assert found.default == Action("SCMP_ACT_ERRNO", 38)
    assert found.flags == ()
    first, second = found.rules
    assert first.action == Action("SCMP_ACT_TRACE", 7)
    assert first.arguments == (Argument(1, "MASKED_EQ", 5, 4),)
    assert first.includes == Condition(frozenset({"amd64"}), frozenset({"CAP_KILL"}), (4, 8))
    assert (second.names, second.action) == (("read",), Action("SCMP_ACT_KILL_PROCESS"))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[]", "the profile must be an object"),
        ("[" * 100000, "not JSON"),
        (profile(syscalls={}), "syscalls must be a list"),
        (profile(syscalls=[{"action": "SCMP_ACT_ALLOW"}]), r"syscalls\[0\] must have names"),
        (profile(syscalls=[{"names": ["a"], "name": "b", "action": "SCMP_ACT_ALLOW"}]), "or one name"),
        (profile(syscalls=[{"names": [1], "action": "SCMP_ACT_ALLOW"}]), "names must be a string"),
        (profile(syscalls=[{"names": ["a"], "action": "ALLOW"}]), "action 'ALLOW' is none of"),
        (profile(syscalls=[{"names": ["a"], "action": "SCMP_ACT_NOTIFY"}]), "no agent"),
        (profile(syscalls=[{"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096}]), "4096 is not within"),
        (profile(defaultErrnoRet=True), "must be an integer"),
        (profile(architectures=["X"], archMap=[{"architecture": "X"}]), "both architectures and archMap"),
        (profile(listenerPath="/run/agent"), "listenerPath is not supported"),
        (profile(flags=["SECCOMP_FILTER_FLAG_NEW_LISTENER"]), "is none of"),
        (profile(syscalls=[{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]),
         "index 6 is not within 0 and 5"),
        (profile(syscalls=[{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "="}]}]),
         "op '=' is none of"),
        (profile(syscalls=[{"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "six"}}]),
         "'six' is not a version"),
    ],
)  # fmt: skip
def test_wrong_profiles(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        parse_profile(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("SCMP_ACT_ALLOW"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["names", "action", "args", "index", "op", "includes"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["defaultAction", "syscalls", "archMap", "flags", "architectures"]), values
    )
)
def test_no_json_breaks_the_parser(document: dict[str, Any]) -> None:
    try:
        parse_profile(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **document}))
    except ValueError as error:
        assert str(error)  # noqa: PT017
