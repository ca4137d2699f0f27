"""Manifests, indexes, configs and platforms: what is taken, and what is wrong with the rest."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images import documents
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import BadImage, Descriptor, Index, Manifest, parse, parse_config
from pysup.supervisor.images.platforms import Platform, choose, parse_platform, platform_of

D = digest_of(b"")
CONFIG = {"mediaType": documents.OCI_CONFIG, "digest": D, "size": 2}
LAYER = {"mediaType": documents.OCI_LAYER, "digest": D, "size": 0}


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_manifest_and_an_index() -> None:
    manifest = parse(encoded({"schemaVersion": 2, "config": CONFIG, "layers": [LAYER]}))
    assert manifest == Manifest(
        documents.OCI_MANIFEST,
        Descriptor(documents.OCI_CONFIG, D, 2),
        (Descriptor(documents.OCI_LAYER, D, 0),),
    )
    entry = {**LAYER, "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {"a": "b", "c": 1}}
    index = parse(encoded({"manifests": [entry]}), documents.DOCKER_INDEX)
    assert isinstance(index, Index) and index.media_type == documents.DOCKER_INDEX
    assert index.manifests[0].annotations == {"a": "b"}


@pytest.mark.parametrize(
    ("document", "media_type", "cause"),
    [
        ([], "", "not a JSON object"),
        ({"manifests": [], "layers": []}, "", "a manifest and an index at once"),
        ({"manifests": [], "config": CONFIG}, "", "a manifest and an index at once"),
        ({"mediaType": documents.OCI_MANIFEST, "manifests": []}, "", "not that of"),
        ({"mediaType": documents.OCI_INDEX, "config": CONFIG}, "", "not that of"),
        ({"mediaType": documents.OCI_INDEX, "manifests": []}, documents.OCI_MANIFEST, "came as"),
        ({"mediaType": "text/plain", "config": CONFIG}, "", "not supported"),
        ({"layers": [LAYER]}, "", "config is not a descriptor"),
        ({"config": {**CONFIG, "digest": "sha256:../x"}}, "", "no valid digest"),
        ({"config": {**CONFIG, "size": -1}}, "", "no valid size"),
        ({"config": {**CONFIG, "size": True}}, "", "no valid size"),
        ({"config": CONFIG, "layers": {}, "mediaType": documents.OCI_MANIFEST}, "", None),
        ({"config": CONFIG, "layers": "x"}, "", "layers is not an array"),
        ({"config": CONFIG, "layers": [LAYER] * 501}, "", "501 layers"),
    ],
)
def test_manifests_that_are_refused(document: Any, media_type: str, cause: str | None) -> None:
    if cause is None:
        assert parse(encoded(document), media_type)
        return
    with pytest.raises(BadImage, match=cause):
        parse(encoded(document), media_type)


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ({}, "no rootfs.diff_ids"),
        ({"rootfs": {"diff_ids": ["x"]}}, "not an array of digests"),
        ({"layers": [], "rootfs": {}}, "it is a manifest"),
        ({"rootfs": {}, "config": []}, "config is of the wrong type"),
        ({"rootfs": {}, "config": {"Env": "A=b"}}, "Env is of the wrong type"),
        ({"rootfs": {}, "config": {"Cmd": [1]}}, "Cmd is not an array of strings"),
        ({"rootfs": {}, "config": {"Labels": {"a": 1}}}, "a label is not a string"),
        ({"rootfs": {}, "history": ["x"]}, "history is not"),
        ({"rootfs": {}, "os": 7}, "os is of the wrong type"),
    ],
)
def test_configs_that_are_refused(document: Any, cause: str) -> None:
    with pytest.raises(BadImage, match=cause):
        parse_config(encoded(document))


FIELDS = [
    "config",
    "layers",
    "manifests",
    "mediaType",
    "digest",
    "size",
    "rootfs",
    "diff_ids",
    "Env",
    "Labels",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_document_is_taken_or_refused(document: Any) -> None:
    for read in (parse, parse_config):
        with contextlib.suppress(BadImage):
            read(encoded(document))


@given(st.binary(max_size=64))
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    for read in (parse, parse_config):
        with contextlib.suppress(BadImage):
            read(content)


def test_times() -> None:
    assert documents.created_ns({"created": "2020-01-01T00:00:00.123456789Z"}) == 1577836800 * 10**9
    assert documents.created_ns({"created": "0001-01-01T00:00:00Z"}) == 0
    assert documents.created_ns({"created": "yesterday"}) is None
    assert documents.created_ns({}) is None


# -- platforms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("arm64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("Linux/X86_64", Platform("linux", "amd64")),
        ("linux/arm/v7", Platform("linux", "arm")),
        ("linux/arm/v6", Platform("linux", "arm", "v6")),
        ("linux/armhf", Platform("linux", "arm")),
    ],
)
def test_platforms(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize("text", ["", "/", "linux/", "linux//v7", "a/b/c/d"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(BadRequest, match="cannot use platform"):
        parse_platform(text)


def entry(name: str, **platform: str) -> Descriptor:
    return Descriptor("", digest_of(name.encode()), 0, {}, platform or None)


def test_the_choice_of_an_index() -> None:
    v6 = entry("v6", os="linux", architecture="arm", variant="v6")
    v7 = entry("v7", os="linux", architecture="arm", variant="v7")
    amd = entry("amd", os="linux", architecture="amd64")
    attestation = Descriptor("", D, 0, {"vnd.docker.reference.type": "attestation-manifest"}, amd.platform)
    entries = [attestation, v6, v7, amd]
    assert choose(entries, parse_platform("linux/arm/v7")) == v7
    assert choose(entries, parse_platform("linux/arm/v6")) == v6
    assert choose([v6], parse_platform("linux/arm/v7")) == v6
    assert choose(entries, platform_of({"architecture": "x86_64"})) == amd
    assert choose([entry("only")], Platform("linux", "s390x")) == entry("only")
    with pytest.raises(NotFound, match=r"linux/s390x: there is linux/amd64, linux/arm, linux/arm/v6"):
        choose(entries, Platform("linux", "s390x"))
