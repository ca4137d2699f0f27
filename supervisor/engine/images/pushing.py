"""``push``: an image to a registry, as it came, so that its digest stays what it is; what is not compressed, gzipped.

Each layer is looked for there, then mounted from another repository, then uploaded; the manifest comes last. So a
push that breaks off has changed no name, and the next one finds what has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from sqlite3 import Connection
from typing import IO, TYPE_CHECKING, cast

import trio

from pysup.store import images
from pysup.supervisor.engine.images.admission import Admissions
from pysup.supervisor.engine.images.feeding import Interruptible, told
from pysup.supervisor.engine.images.push_orders import Order, Parcel, origins
from pysup.supervisor.engine.images.registries import Registries, shown
from pysup.supervisor.engine.images.rows import add_event
from pysup.supervisor.engine.images.saving import hold
from pysup.supervisor.engine.progress import Progress, Step
from pysup.supervisor.engine.together import together
from pysup.supervisor.images.compression import decompressed, gzipped
from pysup.supervisor.images.content import Blob, Content
from pysup.supervisor.images.digests import digest_of
from pysup.supervisor.images.documents import LARGEST, Manifest, parse
from pysup.supervisor.images.registry.endpoints import scope_of
from pysup.supervisor.images.registry.outgoing import to_be_compressed, with_compressed
from pysup.supervisor.images.registry.uploading import How, Outgoing, Sent, put_manifest, upload

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

_SHORT = slice(len("sha256:"), len("sha256:") + 12)


async def push(
    admissions: Admissions,
    registries: Registries,
    order: Order,
    parcels: Sequence[Parcel],
    progress: Progress,
) -> None:
    """Push images under their names. Raises NotFound, Forbidden, Unavailable (network, disk)."""
    name = order.name
    progress.tell(Step(f"The push refers to repository [{shown(name.registry)}/{name.path}]"))
    layers = {layer.digest for parcel in parcels for layer in parcel.saved.layers}
    others = await admissions.store.query(partial(origins, target=name, digests=layers))
    paths = {path for found in others.values() for path in found}
    async with admissions.begin() as admission:
        await trio.to_thread.run_sync(hold, admission, [one.saved for one in parcels], f"push {name}")

        async def use(session: Session) -> None:
            pushing = _Pushing(registries.uploads, session, admission.content, others, progress)
            for parcel in parcels:
                digest = await pushing.image(parcel)
                await admissions.store.write(partial(_note, parcel=parcel, digest=digest, order=order))

        await registries.first(
            name.registry,
            f"push {name}",
            use,
            credentials=order.credentials,
            wanted=(scope_of(name.path, "pull", "push"), *(scope_of(path, "pull") for path in sorted(paths))),
            writing=True,
        )


def _note(conn: Connection, parcel: Parcel, digest: str, order: Order) -> None:
    """Its name by content, unless it was removed meanwhile."""
    if images.get(conn, parcel.image_id) is not None:
        images.add_digest(conn, parcel.name.repository, digest, parcel.image_id)
        add_event(conn, "push", parcel.image_id, str(parcel.name), order.caller)


class _Pushing:
    """Images on their way to one repository."""

    def __init__(
        self,
        limit: trio.CapacityLimiter,
        session: Session,
        content: Content,
        origins: Mapping[str, Sequence[str]],
        progress: Progress,
    ) -> None:
        self._limit = limit
        self._session = session
        self._content = content
        self._origins = origins
        self._progress = progress

    async def image(self, parcel: Parcel) -> str:
        """All of it; the digest under which the registry has it."""
        saved = parcel.saved
        document = await trio.to_thread.run_sync(self._content.read, saved.manifest.digest, LARGEST)
        manifest = parse(document, saved.media_type)
        assert isinstance(manifest, Manifest)  # noqa: S101 - an image has no index of its own
        plain, made = set(to_be_compressed(manifest)), dict[str, Blob]()
        short = {layer.digest: one[_SHORT] for layer, one in zip(saved.layers, parcel.diff_ids, strict=True)}

        async def one(layer: Blob) -> None:
            if layer.digest in plain:
                made[layer.digest] = await self._compressed(layer, short[layer.digest])
            await self._layer(parcel, layer, made.get(layer.digest, layer), short[layer.digest])

        try:
            async with together() as nursery:
                for layer in {layer.digest: layer for layer in saved.layers}.values():
                    self._progress.tell(Step("Preparing", short[layer.digest]))
                    nursery.start_soon(one, layer)
            await self._send(parcel, saved.config, (), None)
        except OSError as error:
            raise told(error, self._session.task) from error
        content = with_compressed(document, made)
        await put_manifest(self._session, parcel.name, content, saved.media_type)
        self._tell_end(parcel.name.tag, content)
        return digest_of(content)

    async def _layer(self, parcel: Parcel, layer: Blob, blob: Blob, short: str) -> None:
        sent = await self._send(parcel, blob, self._origins.get(layer.digest, ()), short)
        words = {
            How.EXISTED: "Layer already exists",
            How.MOUNTED: f"Mounted from {sent.origin}",
            How.UPLOADED: "Pushed",
        }
        self._progress.tell(Step(words[sent.how], short))

    async def _send(self, parcel: Parcel, blob: Blob, origins: Sequence[str], short: str | None) -> Sent:
        def moved(size: int) -> None:
            if short is not None:
                self._progress.tell(Step("Pushing", short, size, blob.size))

        outgoing = Outgoing(parcel.name.path, blob, partial(self._content.open, blob.digest), origins)
        async with self._limit:
            return await upload(self._session, outgoing, moved)

    async def _compressed(self, layer: Blob, short: str) -> Blob:
        self._progress.tell(Step("Compressing", short))
        return await trio.to_thread.run_sync(_compress, self._content, layer.digest, limiter=self._limit)

    def _tell_end(self, tag: str, manifest: bytes) -> None:
        digest, size = digest_of(manifest), len(manifest)
        aux = {"Tag": tag, "Digest": digest, "Size": size}
        self._progress.tell(Step(f"{tag}: digest: {digest} size: {size}", aux=aux))


def _compress(content: Content, digest: str) -> Blob:
    """A gzipped copy, which is nobody's at the end of the admission. Blocks."""
    with content.open(digest) as file, content.ingest() as writer:
        for piece in gzipped(decompressed(cast("IO[bytes]", Interruptible(cast("IO[bytes]", file))))):
            writer.write(piece)
        return writer.commit()
