"""Who a process is to be, from the text of passwd and group files; as docker decides it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.keeper.names import Identity, UnknownName, group_id, identify, read

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/false\nshort:x:7:8\n# comment:x:1:1\n"
GROUP = "root:x:0:\nprint:x:70:other,web\nwww:x:34:\nvideo:x:44:web\nbad:x:nan:web\n"


@pytest.mark.parametrize(
    ("user", "extra", "wanted"),
    [
        ("", [], Identity(0, 0, [0], "/root")),
        ("root", [], Identity(0, 0, [0], "/root")),
        ("web", [], Identity(33, 34, [34, 70, 44], "/var/www")),
        ("33", [], Identity(33, 34, [34, 70, 44], "/var/www")),
        ("web:print", [], Identity(33, 70, [70], "/var/www")),
        ("web:5", ["video", "6"], Identity(33, 5, [5, 44, 6], "/var/www")),
        ("4242", [], Identity(4242, 0, [0], "")),
        ("4242:4343", ["4343"], Identity(4242, 4343, [4343], "")),
        ("short", [], Identity(7, 8, [8], "")),
    ],
)
def test_identify(user: str, extra: list[str], wanted: Identity) -> None:
    assert identify(user, extra, PASSWD, GROUP) == wanted


@pytest.mark.parametrize(
    "user", ["ghost", "-1", "4294967296", "2147483648", "web:ghost", "web:-5", "#", "1.5", "²"]
)
def test_unknown(user: str) -> None:
    with pytest.raises(UnknownName):
        identify(user, [], PASSWD, GROUP)


@given(st.text(max_size=40), st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_an_identity_or_an_error(user: str, passwd: str, group: str) -> None:
    try:
        identity = identify(user, [], passwd, group)
    except UnknownName:
        return
    assert identity.uid >= 0
    assert identity.groups[0] == identity.gid >= 0


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert read(str(tmp_path / "none")) == read(str(tmp_path / "fifo")) == read("/dev/zero") == ""
    assert group_id("pysup", "") is None
