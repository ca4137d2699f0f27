"""The engine's front: what the API may ask for. It has the container found and hands the command to its task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import trio

from pysup.store import images, runs
from pysup.store.networks import Network
from pysup.store.runs import Run
from pysup.supervisor.engine import upper_layers
from pysup.supervisor.engine.building.builds import Builds
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers import commands
from pysup.supervisor.engine.containers.attachment import Attachment
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.creation import Draft, draft, refusable
from pysup.supervisor.engine.containers.execs import Execs
from pysup.supervisor.engine.containers.record import Change
from pysup.supervisor.engine.containers.roster import Roster
from pysup.supervisor.engine.containers.sizes import Sizes, tree_sizes
from pysup.supervisor.engine.containers.waiting import Condition, wait_for
from pysup.supervisor.engine.files import copying
from pysup.supervisor.engine.files.copying import Stat
from pysup.supervisor.engine.files.differences import differences
from pysup.supervisor.engine.images.commit import Wanted, commit
from pysup.supervisor.engine.limited import limited
from pysup.supervisor.engine.log_sources import LogSource, log_source
from pysup.supervisor.engine.networks import ownership
from pysup.supervisor.engine.networks.explaining import Explanation, explain_port
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.errors import Conflict, NotFound, PysupError
from pysup.supervisor.images.differences import Change as FileChange
from pysup.supervisor.kernel.features import Feature, probe
from pysup.supervisor.runtime import plan, rootfs
from pysup.supervisor.runtime.cgroups.base import Usage
from pysup.supervisor.runtime.processes import Processes, list_processes
from pysup.supervisor.runtime.traffic import Traffic, traffic_of
from pysup.supervisor.spec.joining import Joining
from pysup.supervisor.spec.names import check_name


class Engine:
    """One for each daemon; lives as long as the nursery that its containers' tasks run in."""

    def __init__(self, parts: Parts, nursery: trio.Nursery) -> None:
        self.parts = parts
        self.images = parts.images
        self.roster = Roster(parts, nursery)
        self.execs = Execs(parts, nursery, self.roster.owner)
        self.builds = Builds(parts, self)
        self._nursery = nursery

    def begin(self, task: Callable[[], Awaitable[None]]) -> None:
        """Have something done beside everything else."""
        self._nursery.start_soon(task)

    # -- commands --------------------------------------------------------------------------------------------

    async def create(
        self,
        body: dict[str, Any],
        name: str | None,
        caller: Caller,
        also: Callable[[str], Change] | None = None,
        *,
        chosen: str = "",
    ) -> Draft:
        """Make a container from docker's create body. ``also``: what is committed with it, by its id.

        ``chosen``: the id that it shall have, which whoever asks knows also if the answer does not come.
        """
        drafted = await draft(self.parts, body, name, caller, chosen=chosen)
        change = drafted.change if also is None else drafted.change.then(also(drafted.id))
        async with refusable(self.parts, drafted, caller):
            await drafted.record.make(change)
        self.roster.enter(drafted.record)
        return drafted

    async def draft(self, body: dict[str, Any], name: str | None, caller: Caller) -> Draft:
        """Check what docker's create body asks for, for run(), which is to follow at once."""
        return await draft(self.parts, body, name, caller)

    async def run(self, drafted: Draft, caller: Caller) -> None:
        """Make a container and start it, in one transaction; one that cannot be started does not stay."""
        container = self.roster.enter(drafted.record)
        try:
            async with refusable(self.parts, drafted, caller):
                await container.ask(commands.Start(caller, creation=drafted.change))
        except Exception:
            await self._discard(container, caller)
            raise

    async def _discard(self, container: Container, caller: Caller) -> None:
        """A container that could not be started; --rm may have removed it, or the store have refused it."""
        if not self.roster.has_row(container.record.id):
            self.roster.strike(container.record.id)
            return
        with suppress(PysupError):
            await container.ask(commands.Remove(caller, force=True, volumes=True))

    async def start(self, ref: str, caller: Caller, *, run: int | None = None) -> None:
        """Start it; returns when its process runs. ``run``: unless that run has been followed by another one."""
        await self.roster.owner(ref).ask(commands.Start(caller, run=run))

    async def stop(
        self, ref: str, caller: Caller, *, signal: int | None = None, timeout: float | None = None
    ) -> None:
        """Stop it; returns when it has ended."""
        await self.roster.owner(ref).ask(commands.Stop(caller, signal, timeout))

    async def restart(
        self,
        ref: str,
        caller: Caller,
        *,
        signal: int | None = None,
        timeout: float | None = None,
        run: int | None = None,
    ) -> None:
        """Stop it if it runs, then start it; ``run``: as for start()."""
        await self.roster.owner(ref).ask(commands.Restart(caller, signal, timeout, run=run))

    async def kill(self, ref: str, signal: int, caller: Caller) -> None:
        """Send a signal to its first process."""
        await self.roster.owner(ref).ask(commands.Kill(caller, signal))

    async def pause(self, ref: str, caller: Caller) -> None:
        """Freeze it."""
        await self.roster.owner(ref).ask(commands.Pause(caller))

    async def unpause(self, ref: str, caller: Caller) -> None:
        """Thaw it."""
        await self.roster.owner(ref).ask(commands.Unpause(caller))

    async def rename(self, ref: str, new: str, caller: Caller) -> None:
        """Give it another name."""
        await self.roster.owner(ref).ask(commands.Rename(caller, check_name(new, verb="rename")))

    async def update(self, ref: str, body: dict[str, Any], caller: Caller) -> list[str]:
        """Change limits and the restart policy, at once and for later runs; returns warnings."""
        warnings: list[str] = await self.roster.owner(ref).ask(commands.Update(caller, body))
        return warnings

    async def commit(self, ref: str, wanted: Wanted, caller: Caller) -> str:
        """Make an image of what it has written; its id."""
        return await commit(self.parts, self.roster.owner(ref), wanted, caller)

    async def remove(self, ref: str, caller: Caller, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it; ``force`` kills it first, ``volumes`` takes its anonymous volumes along. Never from a build."""
        container = self.roster.owner(ref)
        self.builds.steps.refuse_removal(container.record.row)
        await container.ask(commands.Remove(caller, force, volumes))

    async def connect(self, ref: str, joining: Joining, caller: Caller) -> None:
        """Put it on a further network, at once if it runs."""
        await self.roster.owner(ref).ask(commands.Connect(caller, joining))

    async def disconnect(self, ref: str, network: Network, caller: Caller) -> None:
        """Take it off a network."""
        await self.roster.owner(ref).ask(commands.Disconnect(caller, network))

    async def unlink(self, link: str, caller: Caller) -> None:
        """Take a link from a container: ``CONTAINER/ALIAS``. Raises Conflict (it is no link's), NotFound."""
        ref, slash, alias = link.strip("/").partition("/")
        if not slash:
            raise Conflict(
                f"cannot remove link {link}: it is the name of a container, and a link is CONTAINER/ALIAS"
            )
        await self.roster.owner(ref).ask(commands.Unlink(caller, alias))

    # -- watching --------------------------------------------------------------------------------------------

    async def wait(
        self, ref: str, condition: Condition, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> int:
        """The exit code, once the condition holds; ``started()`` says that nothing can be missed any more."""
        row = self.roster.find(ref)
        with self.parts.news.subscribe(row.id) as happenings:
            task_status.started()
            return await wait_for(condition, row, happenings, partial(self.roster.state_of, row.id))

    def attach(self, ref: str, run: int | None = None) -> AbstractContextManager[Attachment]:
        """A client's view of the streams, from now to the end of the run (of the next one, if none is there).

        ``run``: to the end of the run with this number.
        """
        return self.roster.owner(ref).stdio.attach(run)

    def followed_run(self, ref: str, number: int) -> int:
        """Which run a client follows that was attached to this one: of a start that was cut off, the next."""
        container_id = self.roster.find(ref).id
        while (run := runs.get(self.parts.store.read(), container_id, number)) is not None and run.begun_anew:
            number += 1
        return number

    def ended_run(self, ref: str, number: int) -> Run | None:
        """The row of a run that is over; None while it is in progress, and before."""
        run = runs.get(self.parts.store.read(), self.roster.find(ref).id, number)
        return None if run is None or run.ended_at is None else run

    def resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the terminal's size."""
        self.roster.owner(ref).stdio.resize(rows, columns)

    def logs(self, ref: str, *, follow: bool) -> LogSource:
        """The log of a container, or of the last removed one of this name whose log is still kept."""
        try:
            stdio, row = (found := self.roster.owner(ref)).stdio, found.record.row
        except NotFound:
            return log_source(self.parts.settings, self.roster.find_removed(ref), None)
        source = log_source(self.parts.settings, row, None)  # one that is not to be read is not begun, either
        return source._replace(feed=stdio.follow()) if follow else source

    async def history(self, ref: str) -> list[Run]:
        """Every run of a container, also of a removed one that is remembered."""
        try:
            row = self.roster.find(ref)
        except NotFound:
            row = self.roster.find_removed(ref)
        return await self.parts.store.query(partial(runs.list_runs, container_id=row.id))

    async def explain_port(self, protocol: str, number: int) -> Explanation:
        """All that is known of a port of the host. Raises Unavailable."""
        return await explain_port(self.parts, self.parts.networks.firewall, protocol, number)

    async def usage(self, ref: str) -> Usage | None:
        """What the cgroup has used; None if the container does not run."""
        run = self.roster.owner(ref).run
        return None if run is None or run.cgroup is None else run.cgroup.usage()

    def traffic(self, ref: str) -> dict[str, Traffic]:
        """What its interfaces have carried; none if it does not run, or has no network of its own."""
        container = self.roster.owner(ref)
        process = None if container.run is None else container.run.process
        if process is None or not plan.has_network(container.record.spec.namespaces):
            return {}
        return traffic_of(process.pid)

    async def top(self, ref: str, ps_args: str) -> Processes:
        """The processes of a running container, as ps(1) shows them."""
        container = self.roster.owner(ref)
        run = container.run
        if run is None or run.cgroup is None:
            raise Conflict(f"cannot list the processes of container {ref}: it is not running")
        return await list_processes(run.cgroup.processes(), ps_args)

    async def changes(self, ref: str) -> list[FileChange]:
        """What it has changed, added and deleted, of what its image has."""
        return await differences(self.parts, self.roster.owner(ref).record)

    async def stat_path(self, ref: str, path: str) -> Stat:
        """What is at a path of it."""
        return await copying.stat_path(self.parts, self.roster.owner(ref), path)

    async def copy_out(
        self, ref: str, path: str, begin: Callable[[Stat], Awaitable[None]], send: copying.Send
    ) -> None:
        """Send an archive of what is at a path of it, after ``begin``."""
        await copying.copy_out(self.parts, self.roster.owner(ref), path, begin, send)

    async def copy_in(
        self,
        ref: str,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        keeps_kinds: bool = False,
        gives_to_user: bool = False,
    ) -> None:
        """Unpack an archive in a directory of it (copying.copy_in)."""
        container = self.roster.owner(ref)
        await copying.copy_in(
            self.parts, container, path, chunks, keeps_kinds=keeps_kinds, gives_to_user=gives_to_user
        )

    async def export(self, ref: str, send: copying.Send) -> None:
        """Send an archive of its root."""
        await copying.export(self.parts, self.roster.owner(ref), send)

    async def sizes(self, ref: str) -> Sizes:
        """What a container takes on disk, counted in a thread."""
        row = self.roster.find(ref)
        layers = rootfs.write_layers(self.parts.settings.container_dir(row.id))
        rw = await trio.to_thread.run_sync(tree_sizes, layers, limiter=self.parts.disk)
        image = images.get(self.parts.store.read(), row.image_id)
        return Sizes(rw, rw + (image.size if image is not None else 0))

    async def features(self) -> dict[str, Feature]:
        """What this machine can and cannot do, and what each lack costs."""
        layers = {"write layers": await upper_layers.feature(self.parts)}
        found = {**probe(), **layers, **await self.parts.networks.features()}
        found["networks"] = await ownership.feature(self.parts.link)
        return limited(found, self.parts.hierarchy)
