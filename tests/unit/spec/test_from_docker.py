from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, Conflict, NotSupported
from pysup.supervisor.spec import capabilities, documents, own_documents
from pysup.supervisor.spec.container import ContainerSpec, LogLimits, Mount, Rlimit
from pysup.supervisor.spec.from_docker import Defaults, asked_root, container_spec, normalise
from pysup.supervisor.spec.id_maps import IdMap
from pysup.supervisor.spec.process import exec_process
from pysup.supervisor.spec.resources import DeviceRate
from pysup.supervisor.spec.update import merge_update

ID = "0123456789abcdef" * 4
IMAGE = {
    "Env": ["PATH=/bin", "LANG=C"],
    "Entrypoint": ["/entry"],
    "Cmd": ["serve"],
    "WorkingDir": "/srv",
    "User": "app",
    "Labels": {"from": "image", "both": "image"},
    "StopSignal": "SIGQUIT",
    "Volumes": {"/data": {}},
    "ExposedPorts": {"80/tcp": {}},
}
AS_THE_DOCKER_CLI_SENDS_IT = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": True,
    "AttachStderr": True,
    "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": ["true"], "Image": "host",
    "Volumes": {}, "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": {},
    "HostConfig": {
        "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "", "Config": {}}, "NetworkMode":
        "default",
        "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": True,
        "VolumeDriver": "", "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None, "CapDrop": None,
        "CgroupnsMode": "", "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None,
        "GroupAdd": None,
        "IpcMode": "", "Cgroup": "", "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False,
        "PublishAllPorts": False, "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": 0, "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0, "CgroupParent": "",
        "BlkioWeight": 0, "BlkioWeightDevice": [], "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [], "CpuPeriod": 0, "CpuQuota": 0,
        "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices":
        [],
        "DeviceCgroupRules": None, "DeviceRequests": None, "MemoryReservation": 0, "MemorySwap": 0,
        "MemorySwappiness": -1, "OomKillDisable": False, "PidsLimit": 0, "Ulimits": [], "CpuCount": 0,
        "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "MaskedPaths": None,
        "ReadonlyPaths": None,
    },
    "NetworkingConfig": {
        "EndpointsConfig": {
            "default": {"IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "",
            "DriverOpts": None}
        }
    },
}  # fmt: skip


def spec_of(host: dict[str, Any] | None = None, image: Any = None, **config: Any) -> ContainerSpec:
    body = {"Image": "host", "Cmd": ["true"], **config, "HostConfig": host or {}}
    made = normalise(body, image or {})
    return container_spec(made.config, made.host_config, container_id=ID, lower=("/",))


def check_line(error: Exception, beginning: str = "cannot ") -> None:
    assert str(error).startswith(beginning)
    assert "\n" not in str(error)


def refusal(host: dict[str, Any] | None = None, **config: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        spec_of(host, **config)
    assert str(caught.value).startswith("cannot create container: ")
    return str(caught.value)


def test_what_the_docker_cli_sends_is_taken_without_a_word() -> None:
    made = normalise(AS_THE_DOCKER_CLI_SENDS_IT, {})
    assert made.warnings == []
    assert made.host_config["NetworkMode"] == "bridge"
    assert [one.network for one in made.joined] == ["bridge"]
    assert container_spec(made.config, made.host_config, container_id=ID, lower=("/",)).auto_remove


# -- merging with the image ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "argv"),
    [
        ({}, ("/entry", "serve")),
        ({"Cmd": ["x"]}, ("/entry", "x")),
        ({"Cmd": "x"}, ("/entry", "x")),
        ({"Entrypoint": ["/mine"]}, ("/mine",)),
        ({"Entrypoint": ["/mine"], "Cmd": ["x"]}, ("/mine", "x")),
        ({"Entrypoint": [""], "Cmd": ["x"]}, ("x",)),
        ({"Entrypoint": [], "Cmd": ["x"]}, ("x",)),
    ],
)
def test_entrypoint_and_command_follow_dockers_rules(body: dict[str, Any], argv: tuple[str, ...]) -> None:
    made = normalise({"Image": "x", **body}, IMAGE)
    assert container_spec(made.config, made.host_config, container_id=ID, lower=()).process.argv == argv


def test_an_empty_entrypoint_leaves_no_command_of_the_image() -> None:
    with pytest.raises(BadRequest, match="no command specified"):
        normalise({"Image": "x", "Entrypoint": [""]}, IMAGE)


def test_the_images_values_stand_where_the_body_is_silent() -> None:
    made = normalise({"Image": "x", "Env": ["LANG=de"], "Labels": {"both": "body"}}, IMAGE)
    assert made.config["Env"] == ["LANG=de", "PATH=/bin"]
    assert made.config["Labels"] == {"from": "image", "both": "body"}
    assert made.config["WorkingDir"] == "/srv"
    assert made.config["Volumes"] == {"/data": {}}
    spec = container_spec(made.config, made.host_config, container_id=ID, lower=())
    assert (spec.stop_signal, spec.process.user, spec.process.cwd) == (3, "app", "/srv")


def test_a_name_without_value_takes_a_variable_away() -> None:
    env = spec_of(Env=["PATH", "A=1"], Tty=True).process.env
    assert env == (f"HOSTNAME={ID[:12]}", "TERM=xterm", "A=1")


def test_the_health_check_of_an_image_is_the_container_s() -> None:
    image = {**IMAGE, "Healthcheck": {"Test": ["CMD", "true"], "Retries": 5}}
    found = normalise({"Image": "x", "Healthcheck": {"Retries": 2}}, image)
    assert found.config["Healthcheck"] == {"Test": ["CMD", "true"], "Retries": 2}
    assert found.spec.health is not None and found.spec.health.retries == 2
    assert normalise({"Image": "x", "Healthcheck": {"Test": ["NONE"]}}, image).spec.health is None


# -- the spec ------------------------------------------------------------------------------------------------


def test_limits_reach_the_spec() -> None:
    limits = spec_of(
        {
            "Memory": 64 << 20,
            "NanoCpus": 1_500_000_000,
            "PidsLimit": 5,
            "CpusetCpus": "0-1,3",
            "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1024}],
        }
    ).resources
    assert (limits.memory, limits.memory_swap) == (64 << 20, 128 << 20)
    assert (limits.cpu_quota, limits.cpu_period) == (150_000, 100_000)
    assert (limits.pids, limits.cpuset_cpus) == (5, "0-1,3")
    assert limits.read_bps == (DeviceRate("/dev/sda", 1024),)


def test_mounts_are_ordered_so_that_a_parent_comes_first() -> None:
    spec = spec_of(
        {
            "Binds": ["/h:/a/b:ro"],
            "Mounts": [{"Type": "bind", "Source": "/h/../g", "Target": "/a"}],
            "Tmpfs": {"/t": "size=1m,exec,ro"},
        }
    )
    assert spec.mounts == (
        Mount("bind", "/a", "/g"),
        Mount("tmpfs", "/t", read_only=True, options=("noexec", "nosuid", "nodev", "size=1m", "exec")),
        Mount("bind", "/a/b", "/h", read_only=True, create_source=True, mode="ro"),
    )


def test_settings_of_pysup_reach_the_spec() -> None:
    own = {
        "RestartDelay": 0,
        "RestartMaxDelay": 5,
        "RestartLimit": {"Count": 3, "Window": 60},
        "RunTimeout": 1.5,
    }
    spec = spec_of({"RestartPolicy": {"Name": "always"}, "Pysup": own})
    assert (spec.restart.name, spec.restart.delay, spec.restart.max_delay) == ("always", 0, 5)
    assert (spec.restart.limit_count, spec.restart.limit_window, spec.run_timeout) == (3, 60, 1.5)


def test_id_maps_make_a_user_namespace() -> None:
    spaces = spec_of({"Pysup": {"UidMaps": [[0, 100000, 65536]]}}).namespaces
    assert (spaces.user, spaces.uid_maps) == ("private", (IdMap(0, 100000, 65536),))
    assert spaces.gid_maps == spaces.uid_maps


def test_log_options_rlimits_and_times() -> None:
    spec = spec_of(
        {
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
        },
        StopTimeout=-5,
        StopSignal="RTMIN+3",
    )
    assert spec.log == LogLimits(10 << 20, 3)
    assert spec.process.rlimits == (Rlimit("nofile", 10, 20),)
    assert (spec.stop_timeout, spec.stop_signal) == (-1, 37)


def test_a_container_in_the_hosts_network_has_the_hosts_name() -> None:
    made = normalise({"Image": "host", "Cmd": ["x"], "HostConfig": {"NetworkMode": "host"}}, {})
    defaults = Defaults(hostname="machine")
    spec = container_spec(made.config, made.host_config, container_id=ID, lower=(), defaults=defaults)
    assert spec.hostname == "machine"


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"Memory": 4 << 20}, "6 MiB"),
        ({"Memory": 64 << 20, "MemorySwap": 32 << 20}, "--memory-swap"),
        ({"MemorySwap": 64 << 20}, "needs --memory"),
        ({"Memory": 8 << 20, "MemoryReservation": 9 << 20}, "--memory-reservation"),
        ({"NanoCpus": 10**9, "CpuQuota": 5000}, "--cpus conflicts with --cpu-quota"),
        ({"NanoCpus": 1}, "--cpus"),
        ({"CpuPeriod": 10}, "--cpu-period"),
        ({"CpuShares": -1}, "--cpu-shares"),
        ({"CpusetCpus": "3-1"}, "--cpuset-cpus"),
        ({"CpusetMems": "x"}, "--cpuset-mems"),
        ({"BlkioWeight": 5}, "--blkio-weight"),
        ({"OomScoreAdj": 1001}, "--oom-score-adj"),
        ({"RestartPolicy": {"Name": "sometimes"}}, "unknown restart policy"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, "maximum retry count"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}}, "maximum retry count"),
        ({"RestartPolicy": {"Name": "always"}, "AutoRemove": True}, "--rm conflicts"),
        ({"Binds": ["/a:/b", "/c:/b"]}, "duplicate mount point"),
        ({"Mounts": [{"Type": "bind", "Source": "a", "Target": "/b"}]}, "absolute"),
        ({"Tmpfs": {"/t": "user_xattr=1"}}, "--tmpfs"),
        ({"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]}, "--ulimit"),
        ({"Ulimits": [{"Name": "files", "Soft": 2, "Hard": 3}]}, "--ulimit"),
        ({"Sysctls": {"kernel.panic": "1"}}, "--sysctl"),
        ({"Sysctls": {"net.ipv4.ip_forward": "1"}, "NetworkMode": "host"}, "conflicts with --network host"),
        ({"CgroupParent": "a/../../b"}, "--cgroup-parent"),
        ({"LogConfig": {"Config": {"max-file": "0"}}}, "max-file"),
        ({"LogConfig": {"Config": {"max-size": "1"}}}, "max-size"),
        ({"LogConfig": {"Config": {"max-size": "-1"}}}, "max-size: invalid size"),
        ({"LogConfig": {"Config": {"max-size": ""}}}, "max-size: invalid size"),
        ({"LogConfig": {"Config": {"max-file": "-1"}}}, "max-file"),
        ({"LogConfig": {"Config": {"max-file": "1e2"}}}, "max-file"),
        ({"LogConfig": {"Config": {"nonsense": "1"}}}, "'nonsense'"),
        ({"CapAdd": ["CAP_NOPE"]}, "--cap-add"),
        ({"Pysup": {"Nope": 1}}, "not a setting of pysup"),
        ({"Pysup": {"UidMaps": [[1, 0, 1]]}}, "id 0"),
        ({"UsernsMode": "private"}, "or --uidmap 0:100000:65536"),
        ({"Pysup": {"UidMaps": [[0, 0, 10], [5, 20, 10]]}}, "overlap"),
        ({"Pysup": {"RestartLimit": {"Count": 3}}}, "--restart-limit"),
        ({"MemorySwappiness": 101}, "--memory-swappiness"),
        ({"Memory": "1g"}, "must be an integer"),
        ({"Binds": "x"}, "must be a list"),
    ],
)
def test_wrong_values_are_refused_by_name(host: dict[str, Any], words: str) -> None:
    assert words in refusal(host)


def test_a_log_driver_that_is_not_there_is_refused_in_dockers_words() -> None:
    """docker-py's own tests compare the whole text."""
    with pytest.raises(BadRequest) as caught:
        spec_of({"LogConfig": {"Type": "asdf"}})
    assert str(caught.value) == "logger: no log driver named 'asdf' is registered"


@pytest.mark.parametrize(
    ("host", "flag"),
    [
        ({"Devices": [{"PathOnHost": "vendor.com/gpu=all"}]}, "--device"),
        ({"DeviceRequests": [{"Count": -1}]}, "--gpus"),
        ({"Mounts": [{"Type": "image", "Source": "d", "Target": "/x"}]}, "--mount type=image"),
        ({"SecurityOpt": ["label=type:x"]}, "--security-opt"),
        ({"SecurityOpt": ["credentialspec=x"]}, "--security-opt"),
        ({"LogConfig": {"Type": "json-file", "Config": {"compress": "1"}}}, "--log-opt"),
        ({"Runtime": "kata"}, "--runtime"),
        ({"StorageOpt": {"size": "1G"}}, "--storage-opt"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_its_flag(host: dict[str, Any], flag: str) -> None:
    with pytest.raises(NotSupported) as caught:
        spec_of(host)
    assert f"cannot create container: {flag}" in str(caught.value)
    assert "is not supported yet" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Hostname": "a b"}, "hostname"),
        ({"WorkingDir": "x"}, "working directory"),
        ({"User": "a b"}, "invalid user"),
        ({"Env": ["=x"]}, "environment variable"),
        ({"StopSignal": "NOPE"}, "--stop-signal"),
        ({"Volumes": {"x": {}}}, "absolute path"),
        ({"Volumes": {"/": {}}}, "not the root"),
        ({"Healthcheck": {"Test": ["CMD"]}}, "Healthcheck.Test must be"),
        ({"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}}, "cannot be negative"),
        ({"Cmd": ["a\0b"]}, "NUL"),
        ({"Cmd": ["\ud800"]}, "Unicode"),
        ({"Cmd": [], "Entrypoint": []}, "no command"),
    ],
)
def test_wrong_configs_are_refused(config: dict[str, Any], words: str) -> None:
    assert words in refusal(None, **config)


def test_an_unknown_field_is_said_to_have_no_effect() -> None:
    made = normalise({"Image": "x", "Cmd": ["x"], "New": 1, "HostConfig": {"Newer": [1], "Old": None}}, {})
    assert made.warnings == [
        "'New' is not known to pysup, and has no effect",
        "'HostConfig.Newer' is not known to pysup, and has no effect",
    ]


def test_the_root_is_an_image_or_a_directory() -> None:
    assert asked_root({"Image": "host"}).image == "host"
    assert asked_root({"HostConfig": {"Pysup": {"Rootfs": "/srv/r"}}}).directory == "/srv/r"
    both = {"Image": "x", "HostConfig": {"Pysup": {"Rootfs": "/r"}}}
    bodies: tuple[Any, ...] = ({}, both, {"Image": 5}, [], None)
    for body in bodies:
        with pytest.raises(BadRequest):
            asked_root(body)


# -- any JSON ------------------------------------------------------------------------------------------------

_PLAUSIBLE = st.sampled_from(
    [
        *(None, "", "host", "private", "0-3", "/a", "/a:/b", "always", "json-file", 0, 1, -1, 7 << 20, 10**9),
        *(0.5, 1e400, True, False, [], {}, [""], ["/a:/b:ro"], ["x=y"], ["A=1", "A"], [[0, 0, 1]]),
        *({"/t": "size=1m"}, {"a": "b"}, {"Name": "on-failure", "MaximumRetryCount": 2}),
        [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        [{"Type": "bind", "Source": "/s", "Target": "/t"}],
        [{"Type": "tmpfs", "Target": "/u"}],
        [{"Type": "volume", "Source": "data", "Target": "/v", "VolumeOptions": {"Subpath": "a"}}],
        ["data:/v:ro"],
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _PLAUSIBLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_HOST_KEYS = [*documents._HOST, *documents._LACKING, "MaskedPaths", "X"]
_CONFIG_KEYS = [*documents._CONFIG, *documents._MERGED, "NetworkingConfig", "X"]
_OWN = st.dictionaries(st.sampled_from([*own_documents.OWN, "X"]), _PLAUSIBLE | _JSON, max_size=3)
_HOST = st.dictionaries(st.sampled_from(_HOST_KEYS), _PLAUSIBLE | _JSON, max_size=4)
_BODY = st.builds(
    lambda config, host, own: {"Cmd": ["x"], **config, "HostConfig": {**host, "Pysup": own}},
    st.dictionaries(st.sampled_from(_CONFIG_KEYS), _PLAUSIBLE | _JSON, max_size=4),
    _HOST,
    _OWN | st.none(),
)


@settings(max_examples=400)
@given(_BODY | _JSON, st.just({}) | st.just(IMAGE) | _JSON)
def test_any_body_is_normal_or_refused_and_normal_stays_normal(body: Any, image: Any) -> None:
    try:
        made = normalise(body, image)
    except BadRequest as error:
        check_line(error)
        return
    found = container_spec(made.config, made.host_config, container_id="0" * 12, lower=())
    assert found == made.spec
    again = normalise({**made.config, "HostConfig": made.host_config}, image)
    assert (again.config, again.host_config) == (made.config, made.host_config)
    spec = container_spec(made.config, made.host_config, container_id=ID, lower=("/",))
    assert spec == container_spec(again.config, again.host_config, container_id=ID, lower=("/",))


@settings(max_examples=300)
@given(_HOST | _BODY | _JSON)
def test_any_update_is_merged_or_refused(body: Any) -> None:
    current = normalise({"Image": "x", "Cmd": ["x"], "HostConfig": {"Memory": 64 << 20}}, {}).host_config
    try:
        merged = merge_update(current, body)
    except (BadRequest, Conflict) as error:
        check_line(error)
        return
    assert normalise({"Image": "x", "Cmd": ["x"], "HostConfig": merged}, {}).host_config == merged


@given(_JSON | _BODY)
def test_any_exec_is_a_process_or_refused(body: Any) -> None:
    container = spec_of().process
    try:
        assert exec_process(body, container).argv
    except BadRequest as error:
        check_line(error, "cannot create exec: ")


# -- update and exec -----------------------------------------------------------------------------------------


def current(**host: Any) -> dict[str, Any]:
    return normalise({"Image": "x", "Cmd": ["x"], "HostConfig": host}, {}).host_config


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    before = current(Memory=64 << 20, CpuShares=100, Pysup={"RestartDelay": 2, "RunTimeout": 9})
    body = {
        "Memory": 100 << 20,
        "CpuShares": 0,
        "PidsLimit": None,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
        "Pysup": {"RunTimeout": None, "RestartMaxDelay": 1},
    }
    after = merge_update(before, body)
    assert (after["Memory"], after["MemorySwap"], after["CpuShares"]) == (100 << 20, 128 << 20, 100)
    assert after["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
    assert after["Pysup"] == {"RestartDelay": 2.0, "RestartMaxDelay": 1.0}


def test_a_pids_limit_is_taken_away_by_minus_one() -> None:
    assert merge_update(current(PidsLimit=5), {"PidsLimit": -1})["PidsLimit"] is None
    assert merge_update(current(PidsLimit=5), {"PidsLimit": 0})["PidsLimit"] == 5


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ({"Memory": 64 << 20}, {"Memory": 1 << 30}),
        ({"AutoRemove": True}, {"RestartPolicy": {"Name": "always"}}),
        ({"NanoCpus": 10**9}, {"CpuQuota": 5000}),
        ({"CpuPeriod": 5000}, {"NanoCpus": 10**9}),
    ],
)
def test_an_update_that_conflicts_is_a_conflict(before: dict[str, Any], body: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match=r"^cannot update container: "):
        merge_update(current(**before), body)


@pytest.mark.parametrize(
    "body",
    [
        {"Memory": 1},
        {"Pysup": {"Rootfs": "/x"}},
        {"CgroupParent": "x"},
        {"Devices": [{}]},
        {"RestartPolicy": {"Name": "x"}},
        {"Pysup": {"RunTimeout": -1}},
        {"Pysup": {"RunTimeout": 1 << 31}},
        [1],
    ],
)
def test_an_update_that_is_wrong_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest, match=r"^cannot update container: "):
        merge_update(current(), body)


def test_an_exec_is_as_its_container_where_it_says_nothing() -> None:
    container = spec_of({"GroupAdd": ["7"]}, Env=["A=1"], User="app", WorkingDir="/w").process
    made = exec_process({"Cmd": ["ls"], "Env": ["B=2"], "Tty": True}, container)
    assert (made.argv, made.user, made.cwd, made.groups) == (("ls",), "app", "/w", ("7",))
    assert made.env[-3:] == ("A=1", "TERM=xterm", "B=2")
    assert exec_process({"Cmd": ["ls"], "User": "0", "WorkingDir": "/"}, container).user == "0"


def test_a_privileged_exec_has_all_capabilities() -> None:
    container = spec_of({"CapDrop": ["ALL"]}).process
    assert container.capabilities == exec_process({"Cmd": ["ls"]}, container).capabilities == ()
    assert exec_process({"Cmd": ["ls"], "Privileged": True}, container).capabilities == capabilities.ALL
