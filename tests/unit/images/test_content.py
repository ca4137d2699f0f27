"""The blobs: whole and verified or not there, resumable, and kept while somebody holds them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pysup.supervisor.images.content import Blob, Content
from pysup.supervisor.images.digests import WrongDigest, digest_of
from pysup.supervisor.images.layers import all_names, make_directories
from pysup.supervisor.images.leases import Leases

HELLO = digest_of(b"hello")


@pytest.fixture
def content(tmp_path: Path) -> Content:
    make_directories(str(tmp_path))
    return Content(str(tmp_path))


def temporary(path: Path) -> list[str]:
    return [one.name for one in (path / "tmp").iterdir()]


def test_a_blob_is_found_by_its_digest(content: Content, tmp_path: Path) -> None:
    with content.ingest() as writer:
        writer.write(b"hel")
        writer.write(memoryview(b"lo"))
        assert content.has(HELLO) is None
        assert writer.commit(HELLO, 5) == Blob(HELLO, 5)
    assert content.has(HELLO) == 5
    assert content.read(HELLO, 5) == b"hello"
    assert content.path(HELLO) == f"{tmp_path}/blobs/sha256/{hashlib.sha256(b'hello').hexdigest()}"
    assert temporary(tmp_path) == []
    content.remove(HELLO)
    assert content.has(HELLO) is None


@pytest.mark.parametrize(("digest", "size"), [(digest_of(b"other"), 5), (HELLO, 4), (None, 6)])
def test_wrong_content_leaves_nothing(
    content: Content, tmp_path: Path, digest: str | None, size: int
) -> None:
    with content.ingest() as writer:
        writer.write(b"hello")
        with pytest.raises(WrongDigest, match="cannot use blob sha256"):
            writer.commit(digest, size)
    assert temporary(tmp_path) == []
    assert list((tmp_path / "blobs/sha256").iterdir()) == []


def test_what_is_not_committed_leaves_nothing(content: Content, tmp_path: Path) -> None:
    with content.ingest() as writer:
        writer.write(b"hello")
    assert temporary(tmp_path) == []


def test_a_download_goes_on_where_it_broke_off(content: Content, tmp_path: Path) -> None:
    with content.resume(HELLO) as writer:
        writer.write(b"hel")
    with content.resume(HELLO) as writer:
        assert writer.size == 3
        writer.write(b"lo")
        assert writer.commit(HELLO, 5) == Blob(HELLO, 5)
    assert temporary(tmp_path) == []


def test_wrong_content_is_not_resumed(content: Content, tmp_path: Path) -> None:
    with content.resume(HELLO) as writer:
        writer.write(b"wrong")
        with pytest.raises(WrongDigest):
            writer.commit(HELLO)
    assert temporary(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:../../etc/passwd", "sha512:" + "0" * 128, HELLO.upper(), HELLO + "\n"]
)
def test_no_path_is_made_of_what_is_no_digest(content: Content, text: str) -> None:
    with pytest.raises(WrongDigest, match="cannot use digest"):
        content.path(text)


def test_too_large_for_a_document(content: Content) -> None:
    content.add_bytes(b"hello")
    with pytest.raises(WrongDigest, match="more than 4 bytes"):
        content.read(HELLO, 4)


def test_what_is_held_is_no_garbage(tmp_path: Path) -> None:
    make_directories(str(tmp_path))
    leases = Leases()
    (name,) = [f"blobs/sha256/{HELLO[7:]}"]
    with leases.lease() as one:
        Content(str(tmp_path), one.hold).add_bytes(b"hello")
        assert one.names == {name}
        with leases.lease() as other:
            assert Content(str(tmp_path), other.hold).has(HELLO) == 5
        leases.unless_held(name, (tmp_path / name).unlink)
    assert all_names(str(tmp_path)) == [name]
    leases.unless_held(name, (tmp_path / name).unlink)
    assert all_names(str(tmp_path)) == []
