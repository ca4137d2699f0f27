from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.spec.mount_syntax import (
    Bind,
    From,
    clean,
    parse_mount,
    parse_volume,
    parse_volumes_from,
)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("/a:/b", Bind("/a", "/b")),
        ("/a:/b:ro", Bind("/a", "/b", read_only=True, mode="ro")),
        (
            "/a:/b/../c/:rw,rshared,z",
            Bind("/a", "/c", propagation="rshared", relabel=True, mode="rw,rshared,z"),
        ),
        ("data:/b:nocopy", Bind("data", "/b", no_copy=True, mode="nocopy")),
        ("/anonymous", Bind("", "/anonymous")),
        ("/a:/b:idmap,ro", Bind("/a", "/b", read_only=True, idmap=True, mode="idmap,ro")),
    ],
)
def test_volumes_are_read(text: str, bind: Bind) -> None:
    assert parse_volume(text) == bind


@pytest.mark.parametrize(
    "text", ["", ":/b", "/a:b", "/a:/", "/a:/..", "/a:/b:ro,rw", "/a:/b:x", "/a:/b:ro:z", "/a:"]
)
def test_bad_volumes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid volume specification"):
        parse_volume(text)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        (
            "type=bind,src=/a,dst=/b,readonly",
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True},
        ),
        (
            "type=bind,source=/a,target=/b,bind-propagation=shared,bind-recursive=disabled",
            {
                "Type": "bind",
                "Source": "/a",
                "Target": "/b",
                "BindOptions": {"Propagation": "shared", "NonRecursive": True},
            },
        ),
        (
            "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1777",
            {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1777}},
        ),
        ('type=bind,"src=/a,b",dst=/b', {"Type": "bind", "Source": "/a,b", "Target": "/b"}),
        ("source=data,target=/d", {"Type": "volume", "Source": "data", "Target": "/d"}),
        (
            "source=d,target=/d,volume-label=a=b,volume-driver=x,volume-opt=o=1",
            {
                "Type": "volume",
                "Source": "d",
                "Target": "/d",
                "VolumeOptions": {"Labels": {"a": "b"}, "DriverConfig": {"Name": "x", "Options": {"o": "1"}}},
            },
        ),
    ],
)
def test_mounts_are_read(text: str, mount: dict[str, Any]) -> None:
    assert parse_mount(text) == mount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "type=bind,src=/a",
        "type=bind,src=/a,dst",
        "type=bind,src=/a,dst=/b,what=1",
        "type=bind,src=/a,dst=/b,ro=maybe",
        "type=tmpfs,dst=/b,tmpfs-mode=9",
        "type=tmpfs,dst=/b,bind-propagation=shared",
        "type=bind,dst=/b,bind-recursive=readonly",
        "type=bind,dst=/b,bind-recursive=x",
        'type=bind,"dst=/b',
    ],
)
def test_bad_mounts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_mount(text)


@given(st.text(alphabet='=,"abdestyprinocmf-/:0', max_size=60))
def test_any_text_is_a_mount_or_a_value_error(text: str) -> None:
    for parse in (parse_mount, parse_volume):
        with suppress(ValueError):
            parse(text)


def test_a_relative_source_is_taken_from_the_directory_given() -> None:
    assert parse_mount("type=bind,src=./a,dst=/b", cwd="/home/me")["Source"] == "/home/me/a"
    assert parse_mount("type=bind,src=./a,dst=/b")["Source"] == "./a"


@pytest.mark.parametrize(
    ("text", "asked"),
    [("web", From("web")), ("web:ro", From("web", read_only=True)), ("web:rw,z", From("web", relabel=True))],
)
def test_volumes_from_are_read(text: str, asked: From) -> None:
    assert parse_volumes_from(text) == asked


@pytest.mark.parametrize("text", ["", ":ro", "web:ro,rw", "web:nocopy", "web:x"])
def test_bad_volumes_from_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid --volumes-from"):
        parse_volumes_from(text)


@given(st.text(alphabet="./a", max_size=20))
def test_a_clean_path_stays_inside(path: str) -> None:
    cleaned = clean(path)
    assert cleaned.startswith("/")
    assert not {"..", "."} & set(cleaned.split("/"))
    assert clean(cleaned) == cleaned
