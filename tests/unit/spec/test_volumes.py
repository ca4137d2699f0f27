"""Volumes in a create body: which there are, in which order of precedence, and what the local driver can be told."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, NotFound, NotSupported, PysupError
from pysup.supervisor.spec.container import Mount, Volume
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.from_docker import Defaults, container_spec, normalise
from pysup.supervisor.spec.mount_syntax import parse_mount
from pysup.supervisor.spec.mounts import inheritable, with_inherited
from pysup.supervisor.spec.volumes import (
    ANONYMOUS,
    Source,
    anonymous_name,
    check_driver,
    check_volume_name,
    source_of,
)

ID = "1" * 64
Json = dict[str, Any]


def mounts_of(host: Json | None = None, image: Json | None = None, **config: Any) -> dict[str, Mount]:
    """By target, of a container that was made, and read from its documents again."""
    body = {"Image": "x", "Cmd": ["true"], **config, "HostConfig": host or {}}
    made = normalise(body, image or {}, container_id=ID)
    again = container_spec(made.config, made.host_config, container_id=ID, lower=())
    assert again.mounts == made.spec.mounts
    return {mount.target: mount for mount in made.spec.mounts}


def test_a_name_is_a_volume_and_a_path_is_none() -> None:
    found = mounts_of({"Binds": ["data:/data:ro", "/srv:/srv"]})
    assert found["/data"] == Mount("volume", "/data", read_only=True, volume=Volume("data"), mode="ro")
    assert found["/srv"].volume is None


def test_a_volume_without_a_name_gets_one_that_follows_from_its_container() -> None:
    found = mounts_of({"Mounts": [{"Type": "volume", "Target": "/b"}]}, Volumes={"/a": {}})
    names = {target: mount.volume.name for target, mount in found.items() if mount.volume}
    assert names == {target: anonymous_name(ID, target) for target in ("/a", "/b")}
    assert all(mount.volume and mount.volume.anonymous for mount in found.values())
    assert len({*names.values(), anonymous_name("2" * 64, "/a")}) == 3


def test_the_image_declares_volumes_where_nothing_else_is() -> None:
    image = {"Volumes": {"/data/": {}, "/logs": {}, "/run": {}}}
    found = mounts_of({"Binds": ["mine:/data"], "Tmpfs": {"/run": ""}}, image)
    assert {target: mount.kind for target, mount in found.items()} == {
        "/data": "volume",
        "/logs": "volume",
        "/run": "tmpfs",
    }
    assert found["/data"].volume == Volume("mine")


def test_every_key_of_a_volume_mount_is_read() -> None:
    options = {
        "NoCopy": True,
        "Subpath": "a/b",
        "Labels": {"k": "v"},
        "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}},
    }
    item = {"Type": "volume", "Source": "data", "Target": "/d", "ReadOnly": True, "VolumeOptions": options}
    assert mounts_of({"Mounts": [item]})["/d"] == Mount(
        "volume",
        "/d",
        read_only=True,
        volume=Volume(
            "data",
            copy=False,
            subpath="a/b",
            options=(("type", "tmpfs"), ("device", "tmpfs")),
            labels=(("k", "v"),),
        ),
    )


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"Binds": ["a:/x"]}, "at least two characters"),
        ({"Binds": ["a/b:/x"]}, "absolute path"),
        ({"Binds": ["data:/x:rshared"]}, "no propagation"),
        ({"Binds": ["data:/x"], "VolumeDriver": "other"}, "volume driver 'other'"),
        ({"Binds": ["data:/x", "more:/x"]}, "duplicate mount point"),
        ({"Mounts": [{"Type": "volume", "Source": "d2", "Target": "/"}]}, "not the root"),
        (
            {"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"Subpath": "../x"}}]},
            "relative path inside",
        ),
        ({"VolumesFrom": ["web:x"]}, "--volumes-from"),
    ],
)
def test_what_is_wrong_is_said(host: Json, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        mounts_of(with_inherited("create container", {"HostConfig": host}, lambda _ref: [])["HostConfig"])


def test_a_driver_that_makes_no_volume_is_nobodys_error() -> None:
    assert mounts_of({"VolumeDriver": "other"}) == {}


def test_labels_are_refused_where_selinux_would_need_them() -> None:
    body = {"Image": "x", "Cmd": ["true"], "HostConfig": {"Binds": ["/a:/b:z"]}}
    normalise(body, {})
    with pytest.raises(NotSupported, match="SELinux"):
        normalise(body, {}, defaults=Defaults(modules=frozenset({"selinux"})))


# -- from other containers -----------------------------------------------------------------------------------

OTHER = "2" * 64


def objects(host: Json, **config: Any) -> list[Json]:
    """What another container brings."""
    return inheritable(Fields("x", config), Fields("x", host), OTHER)


def inherited(asked: str, found: list[Json], **host: Any) -> dict[str, Mount]:
    body = with_inherited("create", {"HostConfig": {"VolumesFrom": [asked], **host}}, lambda _ref: found)
    return mounts_of(body["HostConfig"])


def test_binds_and_volumes_come_with_their_names() -> None:
    found = inherited("web", objects({"Binds": ["data:/d:ro", "/s:/s:rslave"], "Tmpfs": {"/t": ""}}))
    assert found.keys() == {"/d", "/s"}
    assert found["/d"] == Mount("volume", "/d", read_only=True, volume=Volume("data", copy=False))
    assert found["/s"] == Mount("bind", "/s", "/s", propagation="rslave", create_source=True)


def test_an_anonymous_volume_stays_the_other_containers_and_anonymous() -> None:
    volume = inherited("web", objects({}, Volumes={"/v": {}}))["/v"].volume
    assert volume is not None
    assert (volume.name, volume.anonymous, volume.copy) == (anonymous_name(OTHER, "/v"), True, False)


def test_they_can_be_made_read_only_and_give_way_to_ones_own() -> None:
    other = objects({"Binds": ["data:/d", "more:/m"]})
    found = inherited("web:ro", other, Binds=["mine:/m"])
    assert (found["/d"].read_only, found["/m"].read_only) == (True, False)
    assert found["/m"].volume == Volume("mine")


def test_what_a_body_says_it_has_inherited_is_found_anew() -> None:
    claimed = {"Inherited": [{"Type": "bind", "Source": "/etc", "Target": "/e"}]}
    body = with_inherited("create", {"HostConfig": {"Pysup": claimed}}, lambda _ref: [])
    assert mounts_of(body["HostConfig"]) == {}


# -- names and options ---------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_a_name_is_a_file_name_that_leads_nowhere(name: str) -> None:
    with suppress(BadRequest):
        assert check_volume_name(name) == name
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert 2 <= len(name.encode()) <= 255


def test_there_is_one_driver() -> None:
    assert check_driver("") == check_driver("local") == "local"
    with pytest.raises(NotFound, match="only 'local'"):
        check_driver("nfs")


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({}, None),
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5"},
            Source("tmpfs", "tmpfs", ("size=1m", "uid=5")),
        ),
        ({"type": "none", "device": "/srv", "o": "bind"}, Source("", "/srv", ())),
        ({"type": "", "device": "/srv", "o": "rbind,ro"}, Source("", "/srv", ("ro",), recursive=True)),
        (
            {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1,rw"},
            Source("nfs", ":/x", ("addr=10.0.0.1", "rw")),
        ),
    ],
)
def test_the_options_of_the_local_driver(options: dict[str, str], source: Source | None) -> None:
    assert source_of("data", options) == source


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "1"}, "invalid option: 'x'"),
        ({"type": "tmpfs"}, "missing required option: 'device'"),
        ({"o": "ro"}, "missing required option"),
        ({"size": "1G"}, "'size' is not supported yet"),
        ({"type": "none", "device": "/x"}, "needs o=bind"),
        ({"type": "none", "device": "x", "o": "bind"}, "absolute path"),
        ({"type": "none", "device": "/x", "o": "bind,size=1"}, "size=1"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        source_of("data", options)


@given(st.dictionaries(st.sampled_from(["type", "o", "device", "size", "x"]), st.text(max_size=12)))
def test_any_options_are_a_source_or_an_error(options: dict[str, str]) -> None:
    with suppress(PysupError):
        source_of("data", options)


def test_dockers_label_makes_a_volume_anonymous() -> None:
    item = {"Type": "volume", "Source": "d2", "Target": "/d", "VolumeOptions": {"Labels": {ANONYMOUS: ""}}}
    volume = mounts_of({"Mounts": [item]})["/d"].volume
    assert volume is not None
    assert volume.anonymous


def test_a_directory_with_the_containers_ids_is_inherited_with_them() -> None:
    host = {"Binds": ["/srv:/data:idmap"], "Mounts": [{"Type": "bind", "Source": "/x", "Target": "/y"}]}
    found = inheritable(Fields("x", {}), Fields("x", host), OTHER)
    assert [one["BindOptions"].get("IDMap", False) for one in found] == [True, False]
    again = normalise({"Image": "host", "Cmd": ["x"], "HostConfig": {"Mounts": found}}, {}).spec.mounts
    assert [mount.idmap for mount in again] == [True, False]
    assert parse_mount("type=bind,src=/a,dst=/b,idmap")["BindOptions"] == {"IDMap": True}
