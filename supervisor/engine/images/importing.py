"""Archives of a root filesystem as images with one layer: ``import``."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import IO, Any, NamedTuple, cast

from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.images.feeding import feed
from pysup.supervisor.engine.images.rows import Names
from pysup.supervisor.images.changes import apply_changes
from pysup.supervisor.images.content import Blob, Writer
from pysup.supervisor.images.documents import OCI_MANIFEST
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.making import encode, layer_type, manifest_of
from pysup.supervisor.images.platforms import Platform, platform_of
from pysup.supervisor.images.tar_stream import read_rest
from pysup.supervisor.spec.reference import Reference
from pysup.supervisor.spec.timestamps import rfc3339

_PIECE = 1 << 20


class _Imported(NamedTuple):
    layer: Layer
    blob: Blob
    media_type: str


async def import_tar(
    admissions: Admissions,
    caller: Caller,
    chunks: AsyncIterator[bytes],
    *,
    name: Reference | None = None,
    changes: Iterable[str] = (),
    message: str = "",
    platform: Platform | None = None,
) -> str:
    """Make an image of an archive; its id. Raises BadRequest, Unavailable."""
    config = apply_changes(changes)
    async with admissions.begin() as admission:
        found = await feed(chunks, partial(_take_in, admission=admission), "import the image")
        document = encode(_config(found.layer, config, message, platform or _host()))
        manifest = encode(manifest_of(document, [(found.blob, found.media_type)]))
        candidate = Candidate(manifest, OCI_MANIFEST, document, (found.layer,))
        return await admission.admit(candidate, Names((name,) if name else ()), "import", caller)


def _take_in(archive: IO[bytes], *, admission: Admission) -> _Imported:
    """Keep the archive as it comes, and unpack it meanwhile."""
    with admission.content.ingest() as writer:
        through = _Through(archive, writer)
        layer = admission.unpack(cast("IO[bytes]", through))
        read_rest(cast("IO[bytes]", through))
        return _Imported(layer, writer.commit(), layer_type(through.head))


class _Through(io.RawIOBase):
    """Reads from one, and writes what it has read to the other."""

    def __init__(self, source: IO[bytes], writer: Writer) -> None:
        self._source = cast("Any", source)
        self._writer = writer
        self.head = b""
        """The first bytes."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase."""
        count = cast("int", self._source.readinto(buffer))
        data = memoryview(buffer)[:count]
        self.head = self.head or bytes(data[:16])
        self._writer.write(data)
        return count


def _host() -> Platform:
    return platform_of({"architecture": architecture()})


def _config(layer: Layer, config: dict[str, Any], message: str, platform: Platform) -> dict[str, Any]:
    """The image configuration (OCI image-spec, config.md), whose digest is the image's id."""
    created = rfc3339(time.time_ns())
    return {
        "architecture": platform.architecture,
        "os": platform.os,
        **({"variant": platform.variant} if platform.variant else {}),
        "created": created,
        "comment": message,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": created, "comment": message or "Imported from -"}],
    }
