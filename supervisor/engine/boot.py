"""The start of the engine: compare what the store says with what the keeper holds, and act on the difference.

Every case is one row of this table; nothing else is remembered across engines.

| store says            | keeper has          | so                                                            |
|-----------------------|---------------------|---------------------------------------------------------------|
| starting              | a child, no go yet  | it leaves by itself (its init socket ended): start again      |
| starting, running, …  | a process or zombie | adopt: supervise on, or record the end that was missed        |
| starting, running, …  | nothing             | the exit status is lost (255); the policy decides             |
| backoff               |                     | wait on, until the time that is in the row                    |
| at rest               |                     | a new daemon: start it if its policy says so, after those     |
|                       |                     | whose namespaces it joins                                     |
| a step of a build     | anything            | remove it: whoever wanted it is gone                          |
| no such row, or run   | anything            | kill, reap, forget                                            |
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from pysup.store import builds, containers, daemon_starts
from pysup.store.containers import Container as Row
from pysup.store.errors import StoreError
from pysup.supervisor import __version__
from pysup.supervisor.engine import cgroup_leftovers
from pysup.supervisor.engine.callers import DAEMON
from pysup.supervisor.engine.cgroup_leftovers import remove_cgroup_leftovers, remove_of_earlier_daemons
from pysup.supervisor.engine.containers import commands, policy
from pysup.supervisor.engine.containers.joined_modes import joined_by
from pysup.supervisor.engine.containers.namespaces import key_of, run_key
from pysup.supervisor.engine.containers.states import ALIVE, State
from pysup.supervisor.engine.engine import Engine
from pysup.supervisor.engine.networks import held, held_ports, naming
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import NotFound
from pysup.supervisor.keeper import listening
from pysup.supervisor.keeper.client.link import Entry, Link, Process
from pysup.supervisor.runtime import rootfs
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.restart import restart_policy

log = logging.getLogger(__name__)

MARKER = "daemon/marker"
"""The keeper's entry that says: an engine of this daemon was here before."""


async def boot(engine: Engine) -> int | None:
    """Bring every container to where it should be; the id of this start's row, if it could be noted.

    Returns when all adoptions and starts have begun, save those that wait for whose namespaces they join.
    """
    entries = {entry.key: entry for entry in await engine.parts.link.entries()}
    same_daemon = MARKER in entries
    every = await engine.parts.store.query(partial(containers.list_containers, states=containers.STATES))
    rows = [row for row in every if State(row.state) is not State.REMOVED]
    await _take_over(engine, rows, entries)
    await engine.execs.note_lost({key.removeprefix("exec/") for key in entries})
    alive = {row.id for row in rows if State(row.state) in ALIVE}
    known = {row.id for row in every}
    await remove_cgroup_leftovers(engine.parts, known, alive)
    if not same_daemon:
        roots = await engine.parts.store.query(partial(daemon_starts.cgroup_roots, boot_id=_boot_id()))
        await remove_of_earlier_daemons(engine.parts, roots, known)
    start_id = await _note_start(engine.parts, "engine" if same_daemon else "start")
    _remove_directories(engine.parts, every)
    for row in rows:
        try:
            _resume(engine, row, entries, same_daemon=same_daemon)
        except Exception:  # one container that cannot be resumed must not keep the others down
            log.exception("cannot resume container %s", row.name)
    if not same_daemon:
        _start(engine, [row for row in rows if State(row.state) is State.EXITED and _wanted(row)])
    for container_id in await engine.parts.store.query(builds.list_containers):
        engine.roster.owner(container_id).tell(commands.Remove(DAEMON, force=True, volumes=True))
    engine.parts.networks.tidy()
    if not same_daemon:
        await _leave_marker(engine.parts.link)
    return start_id


def _boot_id() -> str:
    """Another one means that the machine was booted anew (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


async def _note_start(parts: Parts, cause: str) -> int | None:
    """The row's id; None: it cannot be had, which is no reason not to serve.

    It is there before any container is: whoever comes next finds their cgroups by it.
    """
    who = partial(daemon_starts.add, version=__version__, boot_id=_boot_id(), pid=os.getpid(), cause=cause)
    add = partial(who, started_at=parts.now_ns(), cgroup_root=parts.settings.cgroup_root)
    try:
        return await parts.store.write(add)
    except StoreError as error:
        log.error("cannot note this start: %s", error)
        return None


def _resume(engine: Engine, row: Row, entries: Mapping[str, Entry], *, same_daemon: bool) -> None:
    state = State(row.state)
    if state in ALIVE:
        entry = entries.get(run_key(row.id, row.run_number))
        engine.roster.owner(row.id).adopt(entry)
    elif state is State.BACKOFF or (state is State.EXITED and _unfinished(row, same_daemon=same_daemon)):
        engine.roster.owner(row.id).resume()


def _start(engine: Engine, rows: Sequence[Row]) -> None:
    """What joins another one waits until that runs, or cannot."""
    starts = {row.id: commands.Start(DAEMON, cause="boot") for row in rows}
    for row in rows:
        before = [starts[other].reply for other in joined_by(row) if other in starts]
        if before:
            engine.begin(partial(_start_after, engine, row, starts[row.id], before))
        else:
            _tell(engine, row, starts[row.id])


async def _start_after(
    engine: Engine, row: Row, start: commands.Start, before: Iterable[commands.Reply]
) -> None:
    for reply in before:
        with contextlib.suppress(Exception):  # its own row has it
            await reply.get()
    _tell(engine, row, start)


def _tell(engine: Engine, row: Row, start: commands.Start) -> None:
    """One that cannot be started must not keep the others down; it may have been removed meanwhile."""
    try:
        engine.roster.owner(row.id).tell(start)
    except NotFound as error:
        start.reply.fail(error)
    except Exception as error:
        start.reply.fail(error)
        log.exception("cannot start container %s", row.name)


def _unfinished(row: Row, *, same_daemon: bool) -> bool:
    """Whether an engine was killed between the end of a run and what was to follow it."""
    return (same_daemon and row.desired == "run") or bool(json.loads(row.host_config).get("AutoRemove"))


def _wanted(row: Row) -> bool:
    """Whether the restart policy starts it with the daemon."""
    return policy.starts_at_boot(
        restart_policy(Fields("start container", json.loads(row.host_config))),
        ran=row.run_number > 0,
        stopped_by_hand=row.stopped_by_hand,
        interrupted=row.desired == "run",
    )


async def _take_over(engine: Engine, rows: Sequence[Row], entries: Mapping[str, Entry]) -> None:
    """Take the entries that are still needed; end and forget those that no row knows."""
    alive = {row.id for row in rows if State(row.state) in ALIVE}
    needed = {run_key(row.id, row.run_number) for row in rows if row.id in alive}
    spaces = {key_of(row.id) for row in rows if row.id in alive or State(row.state) is State.BACKOFF}
    spaces |= {naming.key_of(container_id) for container_id in alive}
    for key, entry in entries.items():
        if key.startswith(held_ports.PREFIX):
            engine.parts.link.adopt_held(entry)
            if held_ports.container_of(key) not in alive:
                await held_ports.let_go(engine.parts.link, key)
        elif key in spaces or key in (MARKER, cgroup_leftovers.LOCK, listening.KEY, *held.KEYS):
            engine.parts.link.adopt_held(entry)
        elif key.startswith("exec/") and engine.execs.adopt(entry):
            continue
        elif key not in needed:
            await _end_stranger(engine, entry)


async def _end_stranger(engine: Engine, entry: Entry) -> None:
    """Its end is not waited for: what asks a server that does not answer (a health check of files there) has none."""
    link = engine.parts.link
    if entry.pid:
        process = link.adopt(entry)
        process.kill()
        engine.begin(partial(_reap, link, process))
    else:
        link.adopt_held(entry)
        await link.release(entry.key, list(entry.fds))


async def _reap(link: Link, process: Process) -> None:
    await process.wait()
    await link.reap(process.key)


async def _leave_marker(link: Link) -> None:
    await link.hold(MARKER, {"marker": os.memfd_create("pysup-marker", os.MFD_CLOEXEC)})


def _remove_directories(parts: Parts, rows: Iterable[Row]) -> None:
    """Remove what a crash left of directories: all of it without a row, the write layer of a removed container."""
    known = {row.id: State(row.state) for row in rows}
    parent = parts.settings.containers_dir
    for name in _names(parent):
        directory = os.path.join(parent, name)
        if name not in known:
            parts.trash.throw(directory)
        elif known[name] is State.REMOVED and "upper" in _names(directory):
            parts.trash.throw(*rootfs.parts(directory))


def _names(directory: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(directory)
    return []
