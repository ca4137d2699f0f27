"""The engine: wiring, and the order of start and stop. engine_process.py begins it.

Start: store, link to the keeper, boot (adopt what lives), then the socket is served, then READY=1.
Stop: containers are stopped while the socket is still served, then the keeper is told to leave.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from types import FrameType

import trio

from pysup.store import daemon_starts
from pysup.store.errors import StoreError
from pysup.store.store import Store
from pysup.supervisor.api.app import app_for
from pysup.supervisor.api.server import App, serve
from pysup.supervisor.api.tls import server_context
from pysup.supervisor.daemon_log import configure
from pysup.supervisor.engine.boot import boot
from pysup.supervisor.engine.containers.directories_ahead import DirectoriesAhead
from pysup.supervisor.engine.containers.id_ranges import IdRanges
from pysup.supervisor.engine.containers.launching import default_filter, make_directories, order_stages
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.images.images import Images
from pysup.supervisor.engine.networks.naming import Naming
from pysup.supervisor.engine.networks.networks import Networks
from pysup.supervisor.engine.news import NewsDesk
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.retention import forget_in_time, keep_logs_bounded
from pysup.supervisor.engine.secrets.secrets import Secrets
from pysup.supervisor.engine.shutdown import stop_all
from pysup.supervisor.engine.trash import Trash
from pysup.supervisor.engine.upper_layers import lack
from pysup.supervisor.engine.volumes.volumes import Volumes
from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper import listening
from pysup.supervisor.keeper.client.inheritance import Inherited
from pysup.supervisor.keeper.client.link import KeeperLost, Link, become_keeper
from pysup.supervisor.kernel.own_ids import is_rootless
from pysup.supervisor.logs.budget import Budget
from pysup.supervisor.network.firewall import Firewall
from pysup.supervisor.runtime.cgroups.detection import detect
from pysup.supervisor.runtime.filesystems import Filesystems
from pysup.supervisor.runtime.machine import survey
from pysup.supervisor.runtime.on_mount import OnMount
from pysup.supervisor.runtime.seccomp.filters import Filters
from pysup.supervisor.settings import Settings

log = logging.getLogger("pysup")

DISK_THREADS = 4
SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that waits for the interpreter gets it: a commit's end must not wait 5 ms."""
EXPECTED = (PysupError, StoreError, OSError)
"""Errors that say all there is to say; of any other one is told where it came from."""


def main(inherited: Inherited) -> int:
    """Be an engine until the keeper is gone or the daemon is stopped."""
    configure(inherited.settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL)
    signal.signal(signal.SIGHUP, _heed_nothing)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # values of secrets are in this memory
    try:
        trio.run(run, inherited, strict_exception_groups=True)
    except ExceptionGroup as group:
        told, unexpected = group.split(EXPECTED)
        for error in leaves(told):
            log.error("%s", error)
        if unexpected is not None:
            raise unexpected from None
        return 1
    except EXPECTED as error:
        log.error("%s", error)
        return 1
    return 0


def _heed_nothing(_number: int, _frame: FrameType | None) -> None:
    """The kernel hangs up on a stopped process whose parent ends (setpgid(2), orphaned process groups).

    So an engine that somebody has stopped would not take the place of a keeper that is killed then.
    """


def leaves(group: BaseExceptionGroup[Exception] | None) -> Iterator[Exception]:
    """The errors in a group of groups."""
    for error in group.exceptions if group is not None else ():
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def run(inherited: Inherited) -> None:
    """One engine's life. The keeper is watched from the first to the last moment: somebody must take its place."""
    link = Link(socket.socket(fileno=inherited.keeper.detach()), inherited.said)
    async with trio.open_nursery() as watching:
        await watching.start(_follow_keeper, link, inherited)
        try:
            await _serve(inherited, link)
        except Exception as error:
            _tell(error)
            raise
        watching.cancel_scope.cancel()


async def _serve(inherited: Inherited, link: Link) -> None:
    async with Store.open(inherited.settings.database) as store, trio.open_nursery() as nursery:
        parts = _assemble(inherited.settings, store, link, nursery)
        await _prepare(parts, nursery)
        await _live(Engine(parts, nursery), nursery, inherited.listen_fd)
        nursery.cancel_scope.cancel()


def _tell(error: Exception) -> None:
    """What nobody expected, while the keeper still listens: once it does not, it kills this process at once."""
    unexpected = error.split(EXPECTED)[1] if isinstance(error, ExceptionGroup) else error
    if unexpected is not None and not isinstance(unexpected, EXPECTED):
        log.critical("the engine ends: %s", "".join(traceback.format_exception(unexpected)))


def _assemble(settings: Settings, store: Store, link: Link, nursery: trio.Nursery) -> Parts:
    firewall = Firewall()
    naming = Naming(link, nursery, firewall)
    news, trash = NewsDesk(), Trash(settings.trash)
    disk = trio.CapacityLimiter(DISK_THREADS)
    skeleton = settings.skeleton if is_rootless() else ""
    return Parts(
        settings=settings,
        store=store,
        link=link,
        hierarchy=detect(),
        machine=survey(skeleton),
        filesystems=Filesystems((settings.root, settings.run), skeleton),
        upper_layers=OnMount(settings.images_dir),
        filters=Filters(settings.filters_dir),
        images=Images(store, settings, trash),
        directories=DirectoriesAhead(settings.containers_dir),
        id_ranges=IdRanges(store.read, settings),
        volumes=Volumes(store, settings, news=news, trash=trash, disk=disk),
        secrets=Secrets(store, settings, news),
        networks=Networks(
            store, settings, news=news, nursery=nursery, link=link, naming=naming, firewall=firewall
        ),
        news=news,
        trash=trash,
        logs=Budget(settings.log_total),
        disk=disk,
    )


async def _prepare(parts: Parts, nursery: trio.Nursery) -> None:
    """What must be right before the first container: what an earlier daemon left half done is ended here."""
    _prepare_cgroups(parts)
    await nursery.start(parts.trash.keep_empty)
    await parts.images.prepare()
    await parts.volumes.prepare()
    await parts.networks.prepare()


async def _live(engine: Engine, nursery: trio.Nursery, listen_fd: int) -> None:
    """Boot, serve, and stop when it is asked for."""
    parts = engine.parts
    make_directories(parts.settings)
    start_id = await boot(engine)
    nursery.start_soon(forget_in_time, parts)
    nursery.start_soon(keep_logs_bounded, parts)
    nursery.start_soon(_make_default_filter, parts)
    nursery.start_soon(parts.directories.keep_filled)
    await _try_write_layer(parts)
    await order_stages(parts)
    app = app_for(engine)
    await nursery.start(serve, _listener(listen_fd), app)
    await _serve_tcp(parts, nursery, app)
    await parts.link.ready()
    cgroups = f"cgroup v{parts.hierarchy.version}" if parts.hierarchy.version else "no cgroup"
    where = (parts.settings.socket_path, parts.settings.root, cgroups)
    log.info("pysup serves %s (root %s, %s)", *where)
    await parts.link.stop_requested.wait()
    log.info("stopping: %s", signal.Signals(parts.link.stop_signal).name)
    await stop_all(engine)
    if start_id is not None:
        stopped = partial(daemon_starts.stopped, start_id=start_id, stopped_at=parts.now_ns())
        await parts.store.write(stopped)
    parts.hierarchy.release(parts.settings.cgroup_root)
    await parts.link.shutdown(0)


def _listener(fd: int) -> trio.SocketListener:
    return trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=fd)))


async def _serve_tcp(parts: Parts, nursery: trio.Nursery, app: App) -> None:
    """With files that are of no use any more, the unix socket is served all the same."""
    settings, tls = parts.settings, None
    if settings.tls_ca:
        try:
            tls = server_context(settings.tls_ca, settings.tls_cert, settings.tls_key, settings.tls_crl)
        except PysupError as error:
            log.error("nobody is served by TCP: %s", error)
            return
    for fd in parts.link.held(listening.KEY).values():
        await nursery.start(serve, _listener(os.dup(fd)), app, tls)


async def _make_default_filter(parts: Parts) -> None:
    """So that the first container need not wait for it, and whoever starts the daemon hears what is missing."""
    try:
        await default_filter(parts)
    except PysupError as error:
        log.error("%s", error)


async def _try_write_layer(parts: Parts) -> None:
    """Where no container can start, that is said now, and again by each start of one."""
    if cause := await lack(parts):
        log.error("cannot start containers: %s", cause)


def _prepare_cgroups(parts: Parts) -> None:
    """Where there can be no cgroups, that is said now, and again by each start of a container."""
    try:
        parts.hierarchy.prepare(parts.settings.cgroup_root)
    except PysupError as error:
        log.warning("%s", error)


async def _follow_keeper(
    link: Link, inherited: Inherited, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """A keeper that is gone is replaced by this very process, at once and without unwinding anything."""
    try:
        await link.run(task_status=task_status)
    except KeeperLost as lost:
        log.warning("the keeper is gone: taking its place (%d entries)", len(lost.entries))
        become_keeper(
            lost.entries,
            inherited.settings,
            listen_fd=inherited.listen_fd,
            lock_fd=inherited.lock_fd,
            stop_signal=link.stop_signal,
        )
