"""Images for tests, made by hand: layers as archives, and the documents around them in each of the known forms."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from pysup.supervisor.images.host import architecture

BUSYBOX = Path("/bin/busybox")
"""Of the package busybox-static."""

Member = tuple[str, Mapping[str, object], bytes]
DIRECTORY: Mapping[str, object] = {"type": tarfile.DIRTYPE, "mode": 0o755}


def layer(*members: Member) -> bytes:
    """A tar archive of (name, fields of TarInfo, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def busybox() -> bytes:
    """A layer with a shell and the usual tools."""
    names = ("sh", "cat", "ls", "id", "pwd", "env", "stat", "echo", "sleep", "true", "find", "readlink")
    links: list[Member] = [
        (f"bin/{name}", {"type": tarfile.LNKTYPE, "linkname": "bin/busybox"}, b"") for name in names
    ]
    program: Member = ("bin/busybox", {"mode": 0o755}, BUSYBOX.read_bytes())
    return layer(("bin", DIRECTORY, b""), program, *links, ("tmp", {**DIRECTORY, "mode": 0o1777}, b""))


@dataclass
class Image:
    """One image: its layers without compression, the lowest first."""

    layers: Sequence[bytes]
    config: Mapping[str, object] = field(default_factory=dict)
    """The inner one: Cmd, Env, …"""
    names: Sequence[str] = ()
    architecture: str = field(default_factory=architecture)
    compressed: bool = True

    @property
    def blobs(self) -> list[bytes]:
        """The layers as they are sent."""
        return [gzip.compress(one, 1, mtime=0) if self.compressed else one for one in self.layers]

    @property
    def document(self) -> bytes:
        """The config."""
        steps = [
            {"created": "2024-01-02T03:04:05Z", "created_by": f"step {at}"} for at in range(len(self.layers))
        ]
        return encode({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in self.layers]},
            "history": steps,
        })  # fmt: skip

    @property
    def id(self) -> str:
        """Its id."""
        return digest_of(self.document)

    @property
    def manifest(self) -> bytes:
        """Of an OCI layout."""
        kind = OCI_LAYER + ("+gzip" if self.compressed else "")
        return encode({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(self.document, OCI_CONFIG),
            "layers": [descriptor(blob, kind) for blob in self.blobs],
        })  # fmt: skip


def encode(document: Any) -> bytes:
    """JSON."""
    return json.dumps(document).encode()


def descriptor(content: bytes, media_type: str, **others: object) -> dict[str, object]:
    """How a document names a blob."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **others}


def blob(content: bytes) -> Member:
    """A blob in an OCI layout."""
    return "blobs/sha256/" + digest_of(content).removeprefix("sha256:"), {}, content


def oci_archive(*images: Image, index: Any = None) -> bytes:
    """An archive of an OCI layout, its index last."""
    entries = [
        descriptor(image.manifest, OCI_MANIFEST, **_annotations(name))
        for image in images
        for name in image.names or [""]
    ]
    blobs = {
        digest_of(one): one for image in images for one in (*image.blobs, image.document, image.manifest)
    }
    found = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries} if index is None else index
    return layer(
        ("oci-layout", {}, encode({"imageLayoutVersion": "1.0.0"})),
        *map(blob, blobs.values()),
        ("index.json", {}, encode(found)),
    )


def _annotations(name: str) -> dict[str, object]:
    return {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}


def docker_archive(*images: Image) -> bytes:
    """An archive as older versions of docker write it."""
    members: dict[str, Member] = {}
    listed = []
    for image in images:
        config = image.id.removeprefix("sha256:") + ".json"
        names = [digest_of(one).removeprefix("sha256:") + "/layer.tar" for one in image.layers]
        members |= {name: (name, {}, one) for name, one in zip(names, image.blobs, strict=True)}
        members[config] = (config, {}, image.document)
        listed.append({"Config": config, "RepoTags": list(image.names) or None, "Layers": names})
    return layer(*members.values(), ("manifest.json", {}, encode(listed)))
