"""Unpacking of what an archive brings, begun while the rest of it is still on its way.

Which files are layers is told only at the end of an archive, but they look it. So each new one that does is unpacked
at once; what turns out to be none of an image's layers is garbage. In the meantime the disk is kept busy, so that the
wait for it at the end is short.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, cast

import trio

from pysup.supervisor.engine.images.admission import Admission
from pysup.supervisor.engine.images.feeding import Interruptible
from pysup.supervisor.engine.images.growing import Growing
from pysup.supervisor.errors import PysupError
from pysup.supervisor.images.compression import LONGEST_MAGIC, NONE, compression_of
from pysup.supervisor.images.digests import WrongDigest
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.listed import ListedLayer

_AT_ONCE = max(2, os.cpu_count() or 1)


class Unpacking:
    """The layers of one admission, by the digest of the blob. ``nursery`` lasts until all are there."""

    def __init__(self, admission: Admission, nursery: trio.Nursery) -> None:
        self._admission = admission
        self._nursery = nursery
        self._limit = trio.CapacityLimiter(_AT_ONCE)
        self._ended: dict[str, trio.Event] = {}
        self._found: dict[str, Layer | Exception] = {}
        self._syncing = False

    def begin(self, digest: str, expected: str | None = None) -> None:
        """Unpack a blob, if nobody has begun to."""
        if digest not in self._ended:
            self._ended[digest] = trio.Event()
            self._nursery.start_soon(self._unpack, digest, expected)

    async def layer(self, wanted: ListedLayer) -> Layer:
        """The layer, once it is there. Raises BadArchive, WrongDigest, OSError."""
        self.begin(wanted.digest, wanted.diff_id)
        await self._ended[wanted.digest].wait()
        found = self._found[wanted.digest]
        if isinstance(found, Exception):
            raise found
        if found.diff_id != wanted.diff_id:
            raise WrongDigest(
                f"cannot use layer {wanted.diff_id}: its content has the digest {found.diff_id}"
            )
        return found

    async def ahead(self, source: Growing, expected: str) -> None:
        """Unpack a layer while it is on its way. Where that fails it is unpacked once more, when it is there as a whole
        and verified: so nothing is to be told of it.
        """
        with suppress(PysupError, OSError):
            await trio.to_thread.run_sync(self._ahead, source, expected, limiter=self._limit)

    def _ahead(self, source: Growing, expected: str) -> None:
        with source:
            self._admission.unpack(cast("IO[bytes]", source), expected)

    async def _unpack(self, digest: str, expected: str | None) -> None:
        try:
            self._found[digest] = await trio.to_thread.run_sync(
                unpack_blob, self._admission, digest, expected, limiter=self._limit
            )
        except (PysupError, OSError) as error:
            self._found[digest] = error
        self._ended[digest].set()
        if not self._syncing:
            self._nursery.start_soon(self._sync)

    async def _sync(self) -> None:
        """What fails is told by the last sync, that of the admission."""
        self._syncing = True
        await trio.to_thread.run_sync(self._admission.content.flush)
        self._syncing = False


def unpack_blob(admission: Admission, digest: str, expected: str | None) -> Layer:
    """Unpack a blob that is there. A plain one has been verified already, as its digest is its diff-id. Blocks."""
    with admission.content.open(digest) as file:
        plain = compression_of(os.pread(file.fileno(), LONGEST_MAGIC, 0)) == NONE
        known = digest if plain else None
        source = cast("IO[bytes]", Interruptible(file))
        return admission.unpack(source, expected or known, plain_digest=known)
