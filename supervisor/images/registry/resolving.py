"""From a name in a registry to an image's documents: manifest, for an index the one that fits, and config."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pysup.supervisor.errors import NotFound
from pysup.supervisor.images.content import Blob, verify
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import (
    INDEXES,
    LARGEST,
    MANIFESTS,
    BadImage,
    Descriptor,
    Index,
    Manifest,
    parse,
    parse_config,
)
from pysup.supervisor.images.listed import Listed, listed
from pysup.supervisor.images.platforms import Platform, choose, platform_of, runs_on
from pysup.supervisor.images.registry.endpoints import blob_path, manifest_path
from pysup.supervisor.spec.reference import Reference

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

_ACCEPTED = ", ".join(sorted(MANIFESTS | INDEXES))
_VAGUE = frozenset({"", "application/json", "application/octet-stream", "text/plain"})
"""Content types of registries that do not know what they have."""
_DEEPEST = 4
"""Indexes below each other."""
_OK = 200


class Document(NamedTuple):
    """A manifest or an index, as a registry gives it."""

    content: bytes
    media_type: str
    """As the document itself, or the registry, says."""
    parsed: Manifest | Index

    @property
    def descriptor(self) -> Descriptor:
        """How others would name it."""
        return Descriptor(self.media_type, digest_of(self.content), len(self.content))


class Resolved(NamedTuple):
    """An image in a registry."""

    image: Listed
    manifest: Manifest
    digest: str
    """Of what the name leads to: the manifest, or the index above it."""


async def document(session: Session, name: Reference) -> Document:
    """What a name, or a digest, leads to. Raises NotFound, BadImage, WrongDigest, Forbidden, Unavailable."""
    answer = await session.ask(
        "GET", manifest_path(name), expected=(_OK,), headers={"Accept": _ACCEPTED}, limit=LARGEST
    )
    if name.digest:
        verify(Blob(digest_of(answer.content), len(answer.content)), name.digest, None)
    said = answer.headers.get("content-type", "").partition(";")[0].strip()
    parsed = parse(answer.content, "" if said in _VAGUE else said)
    return Document(answer.content, parsed.media_type, parsed)


async def resolve(session: Session, name: Reference, host: Platform, wanted: Platform | None) -> Resolved:
    """The image for ``wanted``, or for this host. Raises as document() does; NotFound if there is none for it."""
    first = found = await document(session, name)
    for _ in range(_DEEPEST):
        if isinstance(found.parsed, Manifest):
            break
        entry = choose(_images(found.parsed), wanted or host)
        found = await document(session, name._replace(tag="", digest=entry.digest))
    if not isinstance(found.parsed, Manifest):
        raise BadImage(f"cannot {session.task}: it has more than {_DEEPEST} indexes below each other")
    config = await _config(session, name.path, found.parsed.config)
    if wanted is not None and not runs_on(own := platform_of(parse_config(config)), wanted):
        raise NotFound(f"cannot {session.task}: the image is for {own}, not {wanted}")
    return Resolved(listed(found.content, found.parsed, config, ()), found.parsed, first.descriptor.digest)


def _images(index: Index) -> list[Descriptor]:
    """Not what is no image: signatures and other artefacts."""
    return [one for one in index.manifests if one.media_type in MANIFESTS | INDEXES]


async def _config(session: Session, repository: str, wanted: Descriptor) -> bytes:
    answer = await session.ask("GET", blob_path(repository, wanted.digest), expected=(_OK,), limit=LARGEST)
    verify(Blob(digest_of(answer.content), len(answer.content)), wanted.digest, wanted.size)
    return answer.content


async def platforms(session: Session, name: Reference, found: Document) -> list[Platform]:
    """Those that a name has images for."""
    if isinstance(found.parsed, Index):
        return [platform_of(one.platform) for one in _images(found.parsed) if one.platform]
    return [platform_of(parse_config(await _config(session, name.path, found.parsed.config)))]
