"""Further processes inside a running container: docker exec.

An exec belongs to the client that started it: it lives as an ssh session would. What is known of it is a row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from sqlite3 import Connection
from typing import Any

import trio

from pysup.store import containers, execs
from pysup.store.containers import Container as ContainerRow
from pysup.store.errors import Missing, StoreError
from pysup.store.execs import Exec as Row
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.exec_session import ExecSession
from pysup.supervisor.engine.containers.launching import give_size, launch_exec
from pysup.supervisor.engine.containers.outcome import LOST, exit_code_of
from pysup.supervisor.engine.containers.record import Told, add_event
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.surely import surely
from pysup.supervisor.errors import NOT_EXECUTABLE, Conflict, ExecFailed, NotFound, PysupError, StartFailed
from pysup.supervisor.keeper.link import Entry
from pysup.supervisor.keeper.link import Process as KeeperProcess
from pysup.supervisor.runtime.launch import Launched
from pysup.supervisor.spec.container import Process
from pysup.supervisor.spec.process import exec_process


class Execs:
    """All execs of this engine; the rows outlive it."""

    def __init__(self, parts: Parts, nursery: trio.Nursery, container: Callable[[str], Container]) -> None:
        self._parts = parts
        self._nursery = nursery
        self._container = container
        self._sessions: dict[str, ExecSession] = {}

    async def create(self, ref: str, body: dict[str, Any], caller: Caller) -> str:
        """Note what is to be executed; returns the exec's id."""
        container = self._container(ref)
        _refuse_unless_running(container)
        if "detachKeys" in body:  # docker-py's; Go reads names in any case
            body = {"DetachKeys": body["detachKeys"], **body}
        process = exec_process(body, container.record.spec.process)
        exec_id, now = secrets.token_hex(32), self._parts.now_ns()
        row = container.record.row

        def write(conn: Connection) -> None:
            if containers.get(conn, row.id) is None:  # --rm, just now
                raise NotFound(f"cannot exec in container {row.name}: No such container: {row.name}")
            execs.insert(
                conn,
                id=exec_id,
                container_id=row.id,
                run_number=row.run_number,
                process=body,
                created_at=now,
            )
            command = " ".join(process.argv)
            add_event(conn, now, row, Told(f"exec_create: {command}", {"execID": exec_id}, caller))

        await self._parts.store.write(write)
        self._parts.news.publish(Happening("exec", exec_id, "exec_create"))
        return exec_id

    def open(self, exec_id: str, caller: Caller) -> ExecSession:
        """Everything is in place for start(). Raises NotFound, Conflict if it was started before."""
        row = self.find(exec_id)
        if row.state != "created" or row.id in self._sessions:
            raise Conflict(f"cannot start exec {row.id}: it was started before")
        container = self._container(row.container_id)
        _refuse_unless_running(container)
        process = exec_process(json.loads(row.process), container.record.spec.process)
        session = ExecSession(tty=process.tty, has_stdin=process.open_stdin)
        session.perform = Exec(self._parts, container, row, process, session, caller).perform
        self._sessions[row.id] = session
        return session

    async def start(self, session: ExecSession) -> None:
        """Execute it; returns when the program runs. Raises StartFailed."""
        self._nursery.start_soon(self._perform, session)
        await session.started.get()

    def find(self, exec_id: str) -> Row:
        """The row of an exec, by id or unique prefix."""
        try:
            return execs.find(self._parts.store.read(), exec_id)
        except Missing:
            raise NotFound(f"cannot find exec {exec_id}: No such exec instance: {exec_id}") from None

    def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        session = self._sessions.get(self.find(exec_id).id)
        if session is None:
            raise Conflict(f"cannot resize exec {exec_id}: it is not running")
        session.resize(rows, columns)

    # -- after the engine was started anew -------------------------------------------------------------------

    async def adopt(self, entry: Entry) -> bool:
        """Watch on over an exec that an earlier engine started; False if no row knows it.

        Its client went with that engine: nobody reads its output, so its pipes are let go.
        """
        row = execs.get(self._parts.store.read(), entry.key.removeprefix("exec/"))
        if row is None or row.state != "running":
            return False
        process = self._parts.link.adopt(entry)
        await self._parts.link.release(entry.key, list(entry.fds))
        self._nursery.start_soon(self._watch, process, row)
        return True

    async def _watch(self, process: KeeperProcess, row: Row) -> None:
        code = exit_code_of(await process.wait())
        await surely(f"exec {row.id}", partial(self._note_end, row, code))
        await self._parts.link.reap(process.key)

    async def note_lost(self, known: AbstractSet[str]) -> None:
        """Those that were running, and that the keeper knows nothing of: their exit code is lost."""
        for row in execs.unfinished(self._parts.store.read()):
            if row.id not in known:
                await self._note_end(row, LOST)

    async def _note_end(self, row: Row, code: int) -> None:
        """Its container may be removed by now; where nothing is remembered of that, the exec's row went with it."""
        container = containers.get(self._parts.store.read(), row.container_id)
        if container is not None:
            await commit_end(self._parts, row, container, code)

    async def _perform(self, session: ExecSession) -> None:
        try:
            await session.perform()
        finally:
            self.close(session)

    def close(self, session: ExecSession) -> None:
        """Nothing more comes of it; also for a session that was never started."""
        session.ended()
        self._sessions = {key: other for key, other in self._sessions.items() if other is not session}


class Exec:
    """One exec from its start to its end: a task of the engine's nursery."""

    def __init__(  # noqa: PLR0917
        self,
        parts: Parts,
        container: Container,
        row: Row,
        process: Process,
        session: ExecSession,
        caller: Caller,
    ) -> None:
        self._parts = parts
        self._container = container
        self._row = row
        self._process = process
        self._session = session
        self._caller = caller
        self._key = f"exec/{row.id}"

    @property
    def _what(self) -> str:
        return f"exec in container {self._container.record.row.name}"

    async def perform(self) -> None:
        """Start it, copy its output to the session; meanwhile wait for its end, commit that, and reap it."""
        try:
            launched = await self._launch()
        except StoreError as error:  # nothing of it is there: it may be started again
            self._session.started.fail(error)
            return
        except (PysupError, OSError) as error:
            failure = ExecFailed(error) if isinstance(error, StartFailed) else error
            await surely(self._what, partial(self._commit_failure, failure))
            self._session.started.fail(failure)
            return
        self._session.started.settle()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._session.copy)
            await self._supervise(launched)

    async def _launch(self) -> Launched:
        """What has ended may be reaped already: the number of its pidfd could be another process's."""
        run, record = self._container.run, self._container.record
        if run is None or run.process is None or run.process.status is not None or run.cgroup is None:
            raise Conflict(f"cannot exec in container {record.row.name}: it has ended")
        launched = await launch_exec(
            self._parts,
            record,
            target=run.process.pidfd,
            cgroup=run.cgroup,
            key=self._key,
            process=self._process,
        )
        try:
            await self._commit(
                Told("exec_start", {"execID": self._row.id}, self._caller),
                state="running",
                pid=launched.process.pid,
                started_at=self._parts.now_ns(),
            )
            await launched.ready()
            give_size(launched, self._process)
            self._session.connect(launched.stdio, self._close_stdin)
        except BaseException:
            await launched.abort()
            raise
        await launched.go()
        return launched

    async def _supervise(self, launched: Launched) -> None:
        """Until the process itself has ended, and that is committed: a child that it leaves behind may hold the pipes
        for ever, and a client may never read what it has written. While it is not reaped, its container cannot end
        (pid_namespaces(7)).
        """
        try:
            code = exit_code_of(await launched.process.wait())
            self._session.process_ended()
            end = partial(commit_end, self._parts, self._row, self._container.record.row, code)
            await surely(self._what, end)
        finally:
            await self._parts.link.reap(self._key)

    async def _close_stdin(self) -> None:
        await self._parts.link.release(self._key, ["stdin"])

    async def _commit_failure(self, error: Exception) -> None:
        code = error.exit_code if isinstance(error, ExecFailed) else NOT_EXECUTABLE
        await self._commit(
            state="exited", error=str(error), exit_code=code, pid=0, ended_at=self._parts.now_ns()
        )

    async def _commit(self, *told: Told, **columns: object) -> None:
        await commit(self._parts, self._row, self._container.record.row, told, columns)


async def commit_end(parts: Parts, row: Row, container: ContainerRow, code: int) -> None:
    """Note the end of an exec, with its event."""
    told = Told("exec_die", {"execID": row.id, "exitCode": str(code)})
    columns = {"state": "exited", "exit_code": code, "pid": 0, "ended_at": parts.now_ns()}
    await commit(parts, row, container, [told], columns)


async def commit(
    parts: Parts, row: Row, container: ContainerRow, told: Sequence[Told], columns: Mapping[str, object]
) -> None:
    """Change an exec's row with its events; nothing, if the container was removed meanwhile, execs and all."""

    def write(conn: Connection) -> None:
        if execs.get(conn, row.id) is None:
            return
        execs.update(conn, row.id, **columns)
        for one in told:
            add_event(conn, parts.now_ns(), container, one)

    await parts.store.write(write)
    for one in told:
        parts.news.publish(Happening("exec", row.id, one.action))


def _refuse_unless_running(container: Container) -> None:
    record = container.record
    if record.state is State.PAUSED:
        raise Conflict(f"cannot exec in container {record.row.name}: it is paused; unpause it first")
    if record.state is not State.RUNNING:
        raise Conflict(f"cannot exec in container {record.row.name}: container {record.id} is not running")
