from __future__ import annotations

import random
import signal
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.kernel.capabilities import NAMES as KERNEL_NAMES
from pysup.supervisor.spec import capabilities
from pysup.supervisor.spec.detach_keys import parse_detach_keys
from pysup.supervisor.spec.names import ADJECTIVES, SURNAMES, check_name, is_name, random_name
from pysup.supervisor.spec.reference import Reference, looks_like_id, parse_reference
from pysup.supervisor.spec.signals import parse_signal


def test_a_made_up_name_is_a_name() -> None:
    assert len(set(ADJECTIVES)) == len(ADJECTIVES)
    assert len(set(SURNAMES)) == len(SURNAMES)
    for seed in range(50):
        assert is_name(random_name(random.Random(seed).choice))


@given(st.text(max_size=300))
def test_a_name_is_accepted_or_refused(name: str) -> None:
    with suppress(BadRequest):
        assert is_name(check_name(name))


def test_the_leading_slash_of_docker_is_not_part_of_the_name() -> None:
    assert check_name("/web") == "web"


@pytest.mark.parametrize("name", ["", "a", "-web", "we b", "web\n", "../x", "a/b", "ä" * 3, "x" * 256])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="cannot rename container"):
        check_name(name, verb="rename")


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("sigterm", 15), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("RTMIN", 34), ("IOT", 6)],
)
def test_signals_are_read(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-9", "SIGNOPE", "RTMIN+40", "RTMAX+1", "SIG", "٩"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid signal"):
        parse_signal(text)


def test_every_signal_of_this_system_has_its_name() -> None:
    for one in signal.Signals:
        assert parse_signal(one.name) == one


def test_the_capabilities_are_those_of_the_kernel_room() -> None:
    assert {name: number for number, name in enumerate(capabilities.ALL)} == KERNEL_NAMES


@pytest.mark.parametrize(
    ("add", "drop", "has", "lacks"),
    [
        ([], [], "CAP_CHOWN", "CAP_SYS_ADMIN"),
        (["SYS_ADMIN"], [], "CAP_SYS_ADMIN", "CAP_SYS_TIME"),
        (["all"], ["CAP_SYS_TIME"], "CAP_SYS_ADMIN", "CAP_SYS_TIME"),
        (["net_admin"], ["ALL"], "CAP_NET_ADMIN", "CAP_CHOWN"),
        ([], ["cap_chown"], "CAP_KILL", "CAP_CHOWN"),
    ],
)
def test_capabilities_are_added_and_dropped_as_docker_does(
    add: list[str], drop: list[str], has: str, lacks: str
) -> None:
    result = capabilities.effective(add, drop)
    assert has in result
    assert lacks not in result


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alpine", "alpine"),
        ("docker.io/library/alpine:3", "alpine:3"),
        ("index.docker.io/user/app", "user/app"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("localhost/app", "localhost/app"),
        ("Registry/app", "Registry/app"),
        ("ghcr.io/a/b__c/d-e.f:T_1", "ghcr.io/a/b__c/d-e.f:T_1"),
        ("app@sha256:" + "a" * 64, "app@sha256:" + "a" * 64),
    ],
)
def test_references_are_shown_in_their_familiar_form(text: str, shown: str) -> None:
    assert str(parse_reference(text)) == shown


def test_a_reference_without_tag_means_latest() -> None:
    assert str(parse_reference("host").tagged()) == "host:latest"
    assert parse_reference("alpine") == Reference("docker.io", "library/alpine")


@pytest.mark.parametrize(
    "text",
    ["", ":tag", "UPPER", "a:", "a@sha256:x", "a//b", "a b", "../x", "-a", "a" * 64, "a/b:c/d", "x" * 300],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid reference"):
        parse_reference(text)


@given(st.text(max_size=80))
def test_reading_a_reference_again_changes_nothing(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(reference)) == reference


def test_an_image_id_is_recognised() -> None:
    assert looks_like_id("sha256:" + "0" * 64)
    assert looks_like_id("f" * 64)
    assert not looks_like_id("f" * 12)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a,CTRL-[", b"a\x1b"),
        ("DEL", b"\x7f"),
        ("ctrl-@", b"\0"),
    ],
)
def test_detach_keys_are_read(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ab", "a,,b", "ctrl-1", "ä", ","])
def test_what_are_no_detach_keys_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid detach keys"):
        parse_detach_keys(text)
