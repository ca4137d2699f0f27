"""The plan is pure: what holds for every spec."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.runtime import plan
from pysup.supervisor.runtime.plan import namespaces
from pysup.supervisor.spec.container import ContainerSpec, Mount, Namespaces, Process, Rlimit, Rootfs, Volume
from pysup.supervisor.spec.id_maps import IdMap

DIRECTORY = "/state/containers/abc"
TINI = "/usr/bin/tini-static"
MOUNTS = {"mount", "bind", "overlay", "attach", "device", "bind_device", "console", "mask", "read_only"}
TARGETS = ["/dev", "/dev/shm", "/proc", "/run", "/tmp", "/etc", "/etc/hosts", "/data", "/data/a", "/data/a/b"]
MAPPED = (IdMap(0, 100000, 65536),)


def facts(**changes: Any) -> plan.Facts:
    machine = plan.Machine(capabilities=("CAP_KILL", "CAP_CHOWN"), cpus=2, init=TINI)
    view = plan.CgroupView("memory", "cgroup", "memory", "/cg/memory/pysup/abc")
    chosen = {"cgroup_tasks": ("/cg/memory/pysup/abc/tasks",), "cgroup_views": (view,), **changes}
    return plan.Facts(
        **{
            "machine": machine,
            "directory": DIRECTORY,
            "stage": "/stage",
            "hidden": ("/state", "/run/pysup"),
            **chosen,
        }
    )


modes = st.sampled_from(["private", "host"])
spaces = st.builds(
    Namespaces, pid=modes, ipc=modes, uts=modes, net=st.sampled_from(["none", "host"]), cgroup=modes, user=modes,
    uid_maps=st.sampled_from([(), MAPPED, (IdMap(0, 0, 65536),)]),
)  # fmt: skip
mounts = st.lists(
    st.builds(
        Mount, st.sampled_from(["bind", "tmpfs"]), st.sampled_from(TARGETS), st.sampled_from(["/srv", "/home/x"]),
        propagation=st.sampled_from(["rprivate", "slave"]),
    ),
    unique_by=lambda mount: mount.target, max_size=6,
)  # fmt: skip
processes = st.builds(
    Process, st.just(("run", "it")), tty=st.booleans(), no_new_privileges=st.booleans(),
    capabilities=st.just(("CAP_KILL", "CAP_SYS_ADMIN")), rlimits=st.just((Rlimit("nofile", 1, 2),)),
)  # fmt: skip
specs = st.builds(
    ContainerSpec, hostname=st.just("box"), process=processes, mounts=mounts.map(tuple), namespaces=spaces,
    rootfs=st.builds(Rootfs, st.sampled_from([("/",), ("/l/1", "/l/2")]), st.booleans()),
    init=st.booleans(), auto_remove=st.booleans(),
    sysctls=st.sampled_from([(), (("net.ipv4.ip_forward", "1"),)]),
)  # fmt: skip


def ops(steps: list[plan.Step]) -> list[str]:
    return [step[0] for step in steps]


def targets(steps: list[plan.Step], target: str) -> list[plan.Step]:
    where = {"mount": 3, "bind": 2}
    return [step for step in steps if step[0] in where and step[where[step[0]]] == target]


@given(specs, st.sampled_from([None, 0, 4]))
def test_order(spec: ContainerSpec, seccomp: int | None) -> None:
    steps = plan.build(spec, facts(seccomp=seccomp))
    assert steps == json.loads(json.dumps(steps))
    names = ops(steps)
    first_mount = min(index for index, name in enumerate(names) if name in MOUNTS)
    assert names.index("propagation") < first_mount
    joined = names.index("join_cgroups")
    before = (
        {"propagation", "attach", "overlay", "enter", "keep"} if spec.namespaces.user == "host" else set()
    )
    assert set(names[:joined]) == before - ({"attach", "keep"} - set(names))
    assert max(index for index, name in enumerate(names) if name in MOUNTS) < names.index("pivot")
    assert all(names.index(name) < names.index("read_only") for name in names if name == "sysctl")
    after = set(names[names.index("credentials") + 1 :])
    assert after <= {"no_new_privileges", "seccomp", "ready", "exec"}
    assert names[-2:] == ["ready", "exec"]
    assert names.count("exec") == names.count("credentials") == names.count("pivot") == 1
    assert [step[1:] for step in steps if step[0] == "seccomp"] == (
        [] if seccomp is None else [["seccomp", seccomp]]
    )
    if seccomp is not None:
        assert (names.index("seccomp") > names.index("credentials")) == spec.process.no_new_privileges


@given(specs)
def test_a_user_s_mount_replaces_a_default_and_comes_after_its_parents(spec: ContainerSpec) -> None:
    steps = plan.build(spec, facts())
    for mount in spec.mounts:
        assert len(targets(steps, mount.target)) == 1, mount
    order = [step[3] if step[0] == "mount" else step[2] for step in steps if step[0] in ("mount", "bind")]
    own = [target for target in order if target in {mount.target for mount in spec.mounts}]
    assert all(not later.startswith(f"{earlier}/") or own.index(earlier) < own.index(later)
               for earlier in own for later in own)  # fmt: skip
    if "/dev" in {mount.target for mount in spec.mounts}:
        assert "device" not in ops(steps)
        assert not targets(steps, "/dev/pts")


@given(specs)
def test_only_known_host_paths_are_named(spec: ContainerSpec) -> None:
    """Sources come from the facts, the layers, the user's binds, or are the system's own."""
    steps = plan.build(spec, facts())
    opened = next((step[1] for step in steps if step[0] == "user_namespace" and len(step) > 1), {})

    def real(path: str) -> str:
        name, slash, rest = path[1:].partition("/")
        return f"{opened[name]}{slash}{rest}" if path.startswith("@") else path

    named = {real(step[1]) for step in steps if step[0] == "bind"} | set(opened.values())
    allowed = {"/proc", "/sys", "/sys/fs/cgroup", "/dev/shm", TINI, DIRECTORY, "/cg/memory/pysup/abc"}
    allowed |= set(spec.rootfs.lower) | {mount.source for mount in spec.mounts}
    allowed |= {f"{DIRECTORY}/etc/{name}" for name in ("hostname", "hosts", "resolv.conf")}
    assert named <= allowed


@given(specs)
def test_capabilities_stay_within_the_daemon_s(spec: ContainerSpec) -> None:
    (kept,) = (step[1] for step in plan.build(spec, facts()) if step[0] == "credentials")
    assert kept == (["CAP_KILL", "CAP_SYS_ADMIN"] if spec.namespaces.user == "private" else ["CAP_KILL"])


def host_image(**changes: Any) -> ContainerSpec:
    return ContainerSpec(
        **{"hostname": "box", "process": Process(("true",)), "rootfs": Rootfs(("/",)), **changes}
    )


@pytest.mark.parametrize(
    ("lower", "covered"), [("/", ["/state"]), ("/state/images/x", []), ("/srv", []), ("/run", ["/pysup"])]
)
def test_the_daemon_s_directories_are_covered(lower: str, covered: list[str]) -> None:
    """/run is fresh in the host image, so what lies there needs no cover."""
    steps = plan.build(host_image(rootfs=Rootfs((lower,))), facts())
    assert [step[3] for step in steps if step[0] == "mount" and step[-1] == "mode=555,size=4k"] == covered


@pytest.mark.parametrize(
    ("maps", "last_group", "wanted"),
    [
        ((), 0xFFFFFFFE, "0 2147483647"),
        ((), 65536, "0 65536"),
        ((IdMap(0, 70000, 1000), IdMap(1000, 5, 1)), 0xFFFFFFFE, "0 1000"),
    ],
)
def test_everybody_in_a_new_network_may_ping(maps: tuple[IdMap, ...], last_group: int, wanted: str) -> None:
    """As far as there are groups."""
    known = facts()
    known = dataclasses.replace(known, machine=dataclasses.replace(known.machine, last_group=last_group))
    spaces = Namespaces(user="private", uid_maps=maps) if maps else Namespaces()
    found = plan.build(host_image(namespaces=spaces), known)
    assert ["default_sysctl", "net.ipv4.ping_group_range", wanted] in found


def test_a_held_network_is_joined_and_not_made() -> None:
    spec = host_image()
    steps = plan.build(spec, facts(held=("net",)))
    assert ["setns", "net", 0x40000000] in steps
    assert not {"loopback", "default_sysctl"} & set(ops(steps))
    assert plan.clone_flags(spec) & 0x40000000
    assert not plan.clone_flags(spec, ("net",)) & 0x40000000


def test_a_user_namespace_is_held_with_its_network() -> None:
    spec = host_image(namespaces=Namespaces(user="private"))
    assert plan.outliving(spec.namespaces) == ("user", "net")
    assert plan.clone_flags(spec) - plan.clone_flags(spec, ("user", "net")) == 0x10000000 + 0x40000000
    assert plan.outliving(Namespaces(user="private", net="host")) == ("user",)


@pytest.mark.parametrize(
    ("lower", "attached", "named"),
    [
        (("/l/a",), {"layer": "/l/a"}, ["@0/lower"]),
        (("/l/a", "/l/b"), {"layer-stored": "/l"}, ["@0/layers/a", "@0/layers/b"]),
        (("/l/a", "/"), {"layer": "/", "layer-stored": "/l/a"}, ["@0/layers", "@0/lower"]),
    ],
)
def test_mapped_layers_come_as_few_mounts(
    lower: tuple[str, ...], attached: dict[str, str], named: list[str]
) -> None:
    spec = host_image(rootfs=Rootfs(lower), namespaces=Namespaces(user="private", uid_maps=MAPPED))
    assert plan.detached_layers(spec, (), idmapped=True) == attached
    steps = plan.build(spec, facts(idmapped=True))
    assert {step[1]: step[2] for step in steps if step[0] == "attach"}.keys() == attached.keys()
    (overlay,) = (step[1] for step in steps if step[0] == "overlay")
    assert overlay["lower"] == named


def test_what_is_mapped_needs_preparation_only_in_directories_of_the_host() -> None:
    spaces = Namespaces(user="private", uid_maps=MAPPED)
    inner = Mount("tmpfs", "/data/inner")
    bound = host_image(namespaces=spaces, mounts=(Mount("bind", "/data", "/srv"), inner))
    volume = host_image(namespaces=spaces, mounts=(Mount("volume", "/data", volume=Volume("v")), inner))
    assert [plan.needs_preparation(one, idmapped=True) for one in (bound, volume)] == [True, False]
    assert plan.needs_preparation(volume, idmapped=False)
    assert not plan.needs_preparation(host_image(mounts=bound.mounts), idmapped=False)


def test_refusals() -> None:
    with pytest.raises(Unavailable, match="cannot use --init"):
        plan.build(host_image(init=True), facts(machine=plan.Machine(capabilities=())))


def test_ids() -> None:
    maps = (IdMap(0, 100000, 10), IdMap(10, 5, 1))
    assert plan.map_text(maps) == "0 100000 10\n10 5 1\n"
    assert namespaces.host_id(maps, 3) == 100003
    assert namespaces.host_id(maps, 10) == 5
    assert not namespaces.has_id(maps, 11)
    assert plan.root_ids(Namespaces()) == (0, 0)
    assert plan.root_ids(Namespaces(user="private", uid_maps=MAPPED)) == (100000, 100000)


@given(spaces, st.booleans())
def test_exec(chosen: Namespaces, tty: bool) -> None:
    steps = plan.build_exec(Process(("ls",), tty=tty), host_image(namespaces=chosen), facts())
    names = ops(steps)
    assert names[0] == "join_cgroups"
    assert names[-2:] == ["ready", "exec"]
    assert not steps[names.index("setns")][2] & 0x20000000, "the keeper enters the pid namespace"
    assert ("user_namespace" in names) == (chosen.user == "private")
    assert ("console" in names) == tty


UNIFIED = plan.CgroupView("", "cgroup2", "", "/cg/pysup/abc")


@given(specs, st.sampled_from([(), ("net",)]), st.booleans())
def test_a_stage_takes_steps_away_and_changes_none(
    spec: ContainerSpec, held: tuple[str, ...], unified: bool
) -> None:
    found = facts(held=held, **({"cgroup_views": (UNIFIED,)} if unified else {}))
    stage = plan.stage_of(spec, found)
    whole = plan.build(spec, found)
    if stage is None:
        return
    rest = plan.build(spec, found, stage)
    both = [step for step in (*stage.steps, *rest) if step[0] not in {"stage", "place"}]
    assert sorted(map(json.dumps, both)) == sorted(map(json.dumps, whole))
    assert [step[1] for step in rest if step[0] == "place"] == list(stage.tops)
    assert ("/sys" in stage.tops) == (not held)
    assert DIRECTORY not in json.dumps(stage.steps), "nothing of the container is on the stage"


def test_what_cgroups_are_shown_in_is_on_the_stage_where_they_are_several() -> None:
    for views, there in (((), True), ((UNIFIED,), False)):
        stage = plan.stage_of(host_image(), facts(cgroup_views=views))
        assert stage is not None
        assert ("/sys/fs/cgroup" in [step[3] for step in stage.steps if step[0] == "mount"]) == there


def test_what_is_not_usual_has_no_stage() -> None:
    found = facts()
    assert plan.stage_of(host_image(), found) in list(plan.usual(found))
    for odd in (
        host_image(sysctls=(("net.ipv4.ip_forward", "1"),)),
        host_image(mounts=(Mount("tmpfs", "/dev/shm"),)),
        host_image(mounts=(Mount("bind", "/x", "/x", propagation="rslave"),)),
        host_image(namespaces=Namespaces(user="private")),
        host_image(namespaces=Namespaces(pid="host")),
    ):
        assert plan.stage_of(odd, found) is None
    smaller = plan.stage_of(host_image(shm_size=4096), found)
    assert smaller is not None and smaller not in list(plan.usual(found))
