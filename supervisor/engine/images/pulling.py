"""``pull``: an image from a registry. Blob, verified, unpacked, all of them; then one transaction, as with a load."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import trio

from pysup.store import images as rows
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.images.admission import Admission, Admissions, Candidate
from pysup.supervisor.engine.images.feeding import told
from pysup.supervisor.engine.images.growing import Growing
from pysup.supervisor.engine.images.registries import Registries
from pysup.supervisor.engine.images.rows import Names, give_names
from pysup.supervisor.engine.images.unpacking import Unpacking
from pysup.supervisor.engine.progress import Progress, Step
from pysup.supervisor.engine.together import together
from pysup.supervisor.errors import NotFound, PysupError
from pysup.supervisor.images.documents import Descriptor
from pysup.supervisor.images.host import architecture
from pysup.supervisor.images.layers import Layer
from pysup.supervisor.images.listed import ListedLayer
from pysup.supervisor.images.platforms import Platform, platform_of
from pysup.supervisor.images.registry.credentials import Credentials
from pysup.supervisor.images.registry.downloading import Wanted, download
from pysup.supervisor.images.registry.endpoints import blob_path, scope_of
from pysup.supervisor.images.registry.resolving import Resolved, resolve
from pysup.supervisor.images.registry.tags import tags
from pysup.supervisor.spec.reference import Reference

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

_SHORT = slice(len("sha256:"), len("sha256:") + 12)


class Order(NamedTuple):
    """What is to be pulled, and by whom."""

    name: Reference
    """With a tag, a digest, or both: then the digest counts. With neither: all tags that the registry has."""
    credentials: Credentials
    platform: Platform | None
    """None: this machine's."""
    caller: Caller


async def pull(admissions: Admissions, registries: Registries, order: Order, progress: Progress) -> None:
    """Pull images. Nothing is told before the first has been found.

    Raises NotFound, Forbidden, BadRequest (its content), Unavailable (network, disk).
    """
    await registries.first(
        order.name.registry,
        f"pull {order.name}",
        partial(_pull, admissions, registries, order, progress),
        credentials=order.credentials,
        wanted=(scope_of(order.name.path, "pull"),),
    )


async def _pull(
    admissions: Admissions, registries: Registries, order: Order, progress: Progress, session: Session
) -> None:
    is_one = bool(order.name.tag or order.name.digest)
    names = [order.name] if is_one else await tags(session, order.name)
    if not names:
        raise NotFound(f"cannot {session.task}: it has no tags")
    changed = False
    for name in names:
        changed |= await _pull_one(
            admissions, _Pull(registries, session, order._replace(name=name), progress)
        )
    what = "Downloaded newer image" if changed else "Image is up to date"
    progress.tell(Step(f"Status: {what} for {order.name}"))


async def _pull_one(admissions: Admissions, pull: _Pull) -> bool:
    """Whether the name led elsewhere before, or nowhere."""
    name, progress = pull.order.name, pull.progress
    host = platform_of({"architecture": architecture()})
    found = await resolve(pull.session, name, host, pull.order.platform)
    progress.tell(Step(f"Pulling from {name.path}", name.digest or name.tag))
    is_new = _leads_elsewhere(admissions, name, found.image.id)
    names = _names(name, found.digest)
    write = partial(give_names, image_id=found.image.id, names=names, action="pull", caller=pull.order.caller)
    if await admissions.store.write(write):
        for layer in found.image.layers:
            progress.tell(Step("Already exists", layer.digest[_SHORT]))
    else:
        await _take_in(admissions, pull, found, names)
    progress.tell(Step(f"Digest: {found.digest}"))
    return is_new


def _leads_elsewhere(admissions: Admissions, name: Reference, image_id: str) -> bool:
    conn = admissions.store.read()
    if name.digest:
        known = rows.with_digest(conn, name.repository, name.digest)
    else:
        known = rows.tagged(conn, name.repository, name.tag)
    return known is None or known.id != image_id


def _names(name: Reference, digest: str) -> Names:
    """With a digest it gets no tag, as in docker: whether the tag still leads there is not known."""
    tags = () if name.digest else (name._replace(digest=""),)
    return Names(tags, (name._replace(tag="", digest=digest),))


async def _take_in(admissions: Admissions, pull: _Pull, found: Resolved, names: Names) -> None:
    async with admissions.begin() as admission:
        layers = await pull.layers(admission, found)
        candidate = Candidate(found.image.manifest, found.image.media_type, found.image.config, layers)
        await admission.admit(candidate, names, "pull", pull.order.caller)


class _Pull:
    """The layers of one image on their way."""

    def __init__(self, registries: Registries, session: Session, order: Order, progress: Progress) -> None:
        self._registries = registries
        self.session = session
        self.order = order
        self.progress = progress

    async def layers(self, admission: Admission, found: Resolved) -> list[Layer]:
        """All layers, the lowest first. The first failure ends it."""
        blobs = {blob.digest: blob for blob in found.manifest.layers}
        layers: dict[str, Layer] = {}
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            unpacking = Unpacking(admission, nursery)

            async def one(layer: ListedLayer) -> None:
                try:
                    layers[layer.digest] = await self._layer(admission, unpacking, layer, blobs[layer.digest])
                except (PysupError, OSError) as error:
                    failures.append(error)
                    nursery.cancel_scope.cancel()

            async with trio.open_nursery() as downloads:
                for layer in {layer.digest: layer for layer in found.image.layers}.values():
                    downloads.start_soon(one, layer)
        if failures:
            raise told(failures[0], self.session.task)
        return [layers[layer.digest] for layer in found.image.layers]

    async def _layer(
        self, admission: Admission, unpacking: Unpacking, layer: ListedLayer, blob: Descriptor
    ) -> Layer:
        short = layer.digest[_SHORT]
        if await self._download(admission, unpacking, layer, blob):
            unpacking.begin(layer.digest, layer.diff_id)
            found = await unpacking.layer(layer)
            self.progress.tell(Step("Pull complete", short))
            return found
        found = await unpacking.layer(layer)
        self.progress.tell(Step("Already exists", short))
        return found

    async def _download(
        self, admission: Admission, unpacking: Unpacking, layer: ListedLayer, blob: Descriptor
    ) -> bool:
        """False if it was there."""
        short = layer.digest[_SHORT]
        if await self._has(admission, blob):
            return False
        self.progress.tell(Step("Pulling fs layer", short))
        async with self._registries.alone(blob.digest):
            if await self._has(admission, blob):  # by another pull meanwhile
                return False
            growing = Growing(admission.content.partial_path(blob.digest))
            async with together() as nursery:
                async with self._registries.downloads:
                    nursery.start_soon(unpacking.ahead, growing, layer.diff_id)
                    await self._receive(admission, blob, growing, short)
                self.progress.tell(Step("Download complete", short))
                self.progress.tell(Step("Extracting", short, 0, blob.size))
            return True

    async def _receive(self, admission: Admission, blob: Descriptor, growing: Growing, short: str) -> None:
        """The blob itself, which somebody may read while it comes."""

        def moved(size: int) -> None:
            self.progress.tell(Step("Downloading", short, size, blob.size))

        wanted, whole = Wanted(blob_path(self.order.name.path, blob.digest), blob), False
        try:
            await download(self.session, wanted, admission.content, moved, growing.grown)
            whole = True
        finally:
            growing.end(whole=whole)

    async def _has(self, admission: Admission, blob: Descriptor) -> bool:
        return await trio.to_thread.run_sync(admission.content.has, blob.digest) is not None
