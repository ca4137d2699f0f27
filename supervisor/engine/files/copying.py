"""Files out of containers and into them (docker cp), and a container's whole root (docker export).

Everything goes by descriptors below the root that file_views.py gives; the names are the client's and the container's,
and each is looked up once (runtime/inside.py).
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import IO, NamedTuple

import trio

from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.files import views as file_views
from pysup.supervisor.engine.files.opening import read_text
from pysup.supervisor.engine.files.views import View
from pysup.supervisor.engine.images.commit import rules_of
from pysup.supervisor.engine.images.feeding import WAITING, drain, feed, told
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import BadRequest, Forbidden, NotFound
from pysup.supervisor.images.archiving import Archiver, is_the_kernels
from pysup.supervisor.images.compression import decompressed
from pysup.supervisor.images.extracting import Manner, extract
from pysup.supervisor.keeper import names
from pysup.supervisor.kernel.fsids import making_as
from pysup.supervisor.runtime import inside, plan
from pysup.supervisor.runtime.inside import Located
from pysup.supervisor.spec.container import ContainerSpec
from pysup.supervisor.volumes.copying import Owners

Send = Callable[[bytes], Awaitable[None]]


class Stat(NamedTuple):
    """What is at a path (docker's PathStat)."""

    name: str
    status: os.stat_result
    link_target: str
    """Where a link leads in the end; empty for anything else."""


async def stat_path(parts: Parts, container: Container, path: str) -> Stat:
    """Look at a path. Raises NotFound, BadRequest."""
    async with file_views.whole(parts, container) as view:
        return await trio.to_thread.run_sync(_stat, container, view, path, limiter=WAITING)


async def copy_out(
    parts: Parts, container: Container, path: str, begin: Callable[[Stat], Awaitable[None]], send: Send
) -> None:
    """Send an archive of what is at a path, after ``begin``. Raises NotFound, BadRequest, Unavailable."""
    async with AsyncExitStack() as stack:
        view = await stack.enter_async_context(file_views.whole(parts, container))
        found = await trio.to_thread.run_sync(_find, container, view, path, stack, limiter=WAITING)
        if is_the_kernels(found.fd):
            raise BadRequest(
                f"cannot copy {path} from container {_name(container)}: it is no file, but made up by the kernel"
            )
        await begin(await trio.to_thread.run_sync(_stat_of, view, found, limiter=WAITING))
        produce = partial(_archive, container=container, found=found)
        await drain(produce, send, f"copy {path} from container {_name(container)}")


async def copy_in(
    parts: Parts,
    container: Container,
    path: str,
    chunks: AsyncIterator[bytes],
    *,
    keeps_kinds: bool,
    gives_to_user: bool,
) -> None:
    """Unpack an archive in a directory. Raises NotFound, BadRequest, Forbidden, Unavailable.

    ``keeps_kinds``: no directory in the place of anything else, and the other way round. ``gives_to_user``: what is
    made belongs to the user that the container runs as, if it names one.
    """
    async with file_views.whole(parts, container) as view:
        consume = partial(
            _extract,
            container=container,
            view=view,
            path=path,
            keeps_kinds=keeps_kinds,
            to_user=gives_to_user,
        )
        await feed(chunks, consume, f"copy into container {_name(container)}:{path}")


async def export(parts: Parts, container: Container, send: Send) -> None:
    """Send an archive of the root: the layers as one, without volumes. Raises NotFound, Unavailable."""
    async with file_views.layers_alone(parts, container) as view:
        facts = file_views.facts_at_rest(parts, container, {})
        empty = plan.not_exported(container.record.spec, facts)
        produce = partial(_export, container=container, view=view, empty=empty)
        await drain(produce, send, f"export container {_name(container)}")


# -- in a thread ---------------------------------------------------------------------------------------------


def _stat(container: Container, view: View, path: str) -> Stat:
    with ExitStack() as stack:
        return _stat_of(view, _find(container, view, path, stack))


def _find(container: Container, view: View, path: str, stack: ExitStack | AsyncExitStack) -> Located:
    """Look a path up, for as long as the stack lasts."""
    with _Looking(container, path):
        found = inside.locate(view.root, path)
    stack.callback(os.close, found.fd)
    return found


def _stat_of(view: View, found: Located) -> Stat:
    is_link = stat.S_ISLNK(found.status.st_mode)
    return Stat(found.name, found.status, inside.link_target(view.root, found.path) if is_link else "")


def _archive(target: IO[bytes], *, container: Container, found: Located) -> None:
    archiver = Archiver(target.write, rules_of(container.record.spec).owners)
    archiver.add_located(found.fd, found.name)
    archiver.finish()


def _export(target: IO[bytes], *, container: Container, view: View, empty: frozenset[str]) -> None:
    archiver = Archiver(target.write, rules_of(container.record.spec).owners)
    apart = {*empty, *view.further}
    archiver.add_below(view.root, "", lambda path, _directory: f"/{path}" not in apart)
    for point, root in view.further.items():
        archiver.add_below(root, point.lstrip("/"), partial(_is_within, point, apart))
    archiver.finish()


def _is_within(point: str, apart: set[str], path: str, _directory: int) -> bool:
    return not path or f"{point}/{path}" not in apart


def _extract(
    archive: IO[bytes], *, container: Container, view: View, path: str, keeps_kinds: bool, to_user: bool
) -> None:
    spec = container.record.spec
    with _Looking(container, path, into=True), inside.directory(view.root, path) as directory:
        _refuse_read_only(container, view, directory)
        owners = _to_host(spec)
        manner = Manner(
            owner=_owner(spec, view, owners, to_user=to_user),
            maker=owners.of(0, 0),
            is_root=os.path.sameopenfile(directory, view.root),
            keeps_kinds=keeps_kinds,
        )
        with making_as(*manner.maker):
            extract(decompressed(archive), directory, manner)


def _to_host(spec: ContainerSpec) -> Owners:
    if spec.namespaces.user != "private":
        return Owners()
    return Owners(plan.uid_maps(spec.namespaces), plan.gid_maps(spec.namespaces))


def _owner(
    spec: ContainerSpec, view: View, owners: Owners, *, to_user: bool
) -> Callable[[tarfile.TarInfo], tuple[int, int]]:
    if not (to_user and spec.process.user):
        return lambda member: owners.of(member.uid, member.gid)
    passwd, group = (read_text(view.root, path, names.MAX_FILE) for path in (names.PASSWD, names.GROUP))
    try:
        who = names.identify(spec.process.user, [], passwd, group)
    except names.UnknownName as error:
        raise BadRequest(f"cannot copy with --archive: {error}") from None
    ids = owners.of(who.uid, who.gid)
    return lambda _member: ids


def _refuse_read_only(container: Container, view: View, directory: int) -> None:
    """A root is not mounted read-only while the container rests, but it is not to change, either."""
    of_root = os.fstat(directory).st_dev == os.fstat(view.root).st_dev
    if os.fstatvfs(directory).f_flag & os.ST_RDONLY or (of_root and container.record.spec.rootfs.read_only):
        what = "container rootfs" if of_root else "mounted volume"
        raise Forbidden(f"cannot copy into container {_name(container)}: {what} is marked read-only")


def _name(container: Container) -> str:
    return container.record.row.name


class _Looking:
    """Errors of a look-up in docker's words; those of the work itself are told by name elsewhere."""

    def __init__(self, container: Container, path: str, *, into: bool = False) -> None:
        self._container = _name(container)
        self._path = path
        self._verb = (
            f"copy into container {self._container}"
            if into
            else f"find {path} in container {self._container}"
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise self._told(error) from error

    def _told(self, error: OSError) -> Exception:
        if error.errno == errno.ENOENT:
            return NotFound(
                f"cannot {self._verb}: Could not find the file {self._path} in container {self._container}"
            )
        if error.errno in {errno.ENOTDIR, errno.ELOOP}:
            return BadRequest(f"cannot {self._verb}: {self._path}: {error.strerror}")
        return told(error, self._verb)
