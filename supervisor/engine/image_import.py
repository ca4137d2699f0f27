"""Archives of a root filesystem as images with one layer: ``import``."""

from __future__ import annotations

import io
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import IO, Any, NamedTuple, cast

import trio

from pysup.supervisor.engine.commands import Caller
from pysup.supervisor.engine.image_admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.image_rows import Names
from pysup.supervisor.errors import PysupError, Unavailable
from pysup.supervisor.images.changes import apply_changes
from pysup.supervisor.images.content import Blob, Writer
from pysup.supervisor.images.documents import OCI_MANIFEST
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.making import encode, layer_type, manifest_of
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
) -> str:
    """Make an image of an archive; its id. Raises BadRequest, Unavailable."""
    config = apply_changes(changes)
    async with admissions.begin() as admission:
        found = await _unpack(admission, chunks)
        document = encode(_config(found.layer, config, message))
        manifest = encode(manifest_of(document, [(found.blob, found.media_type)]))
        candidate = Candidate(manifest, OCI_MANIFEST, document, (found.layer,))
        return await admission.admit(candidate, Names((name,) if name else ()), "import", caller)


async def _unpack(admission: Admission, chunks: AsyncIterator[bytes]) -> _Imported:
    """Feed a thread through a pipe: memory never holds the archive."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery, trio.lowlevel.FdStream(writer) as feed:
        nursery.start_soon(_copy, chunks, feed)
        try:
            found = await trio.to_thread.run_sync(_take_in, admission, reader)
        except (PysupError, OSError) as error:
            failure = error
        nursery.cancel_scope.cancel()
    if isinstance(failure, OSError):
        raise Unavailable(f"cannot import the image: {failure.strerror}") from failure
    if failure is not None:
        raise failure
    return found


async def _copy(chunks: AsyncIterator[bytes], feed: trio.lowlevel.FdStream) -> None:
    with suppress(trio.BrokenResourceError):  # the thread has had enough, and tells why
        async for chunk in chunks:
            await feed.send_all(chunk)
        await feed.aclose()


def _take_in(admission: Admission, reader: int) -> _Imported:
    """Keep the archive as it comes, and unpack it meanwhile."""
    with open(reader, "rb", buffering=0) as archive, admission.content.ingest() as writer:
        through = _Through(cast("IO[bytes]", archive), writer)
        layer = admission.unpack(cast("IO[bytes]", through))
        while through.read(_PIECE):
            pass
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


def _config(layer: Layer, config: dict[str, Any], message: str) -> dict[str, Any]:
    """The image configuration (OCI image-spec, config.md), whose digest is the image's id."""
    created = rfc3339(time.time_ns())
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": created,
        "comment": message,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": created, "comment": message or "Imported from -"}],
    }
