"""Further processes inside a running container: docker exec.

An exec belongs to the client that started it: it lives as an ssh session would. What is known of it is a row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import partial
from sqlite3 import Connection
from typing import Any, NamedTuple

import trio

from pysup.store import containers, execs
from pysup.store.errors import Missing
from pysup.store.execs import Exec as Row
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.exec_session import ExecSession
from pysup.supervisor.engine.containers.execution import CREATED, Creation, Exec, commit_end
from pysup.supervisor.engine.containers.outcome import LOST, exit_code_of
from pysup.supervisor.engine.containers.record import Told, add_event
from pysup.supervisor.engine.containers.states import State
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.surely import surely
from pysup.supervisor.errors import Conflict, NotFound
from pysup.supervisor.keeper.client.link import Entry
from pysup.supervisor.keeper.client.link import Process as KeeperProcess
from pysup.supervisor.runtime.launch import Stdio
from pysup.supervisor.spec.container import Process
from pysup.supervisor.spec.process import exec_process


class Draft(NamedTuple):
    """An exec that is checked, and not there yet."""

    id: str
    container: Container
    process: Process
    creation: Creation


class Execs:
    """All execs of this engine; the rows outlive it."""

    def __init__(self, parts: Parts, nursery: trio.Nursery, container: Callable[[str], Container]) -> None:
        self._parts = parts
        self._nursery = nursery
        self._container = container
        self._sessions: dict[str, ExecSession] = {}

    async def create(self, ref: str, body: dict[str, Any], caller: Caller) -> str:
        """Note what is to be executed; returns the exec's id."""
        drafted = self._draft(ref, body, caller)
        row = drafted.container.record.row

        def write(conn: Connection) -> None:
            if not drafted.creation.insert(conn):  # --rm, just now
                raise NotFound(f"cannot exec in container {row.name}: No such container: {row.name}")
            for told in drafted.creation.told:
                add_event(conn, self._parts.now_ns(), row, told)

        await self._parts.store.write(write)
        self._parts.news.publish(Happening("exec", drafted.id, "exec_create"))
        return drafted.id

    def begin(self, ref: str, body: dict[str, Any], caller: Caller) -> ExecSession:
        """Create and open in one: the row is committed with the start. Raises as create() and open() do."""
        drafted = self._draft(ref, body, caller)
        return self._opened(drafted.id, drafted.container, drafted.process, caller, drafted.creation)

    def open(self, exec_id: str, caller: Caller) -> ExecSession:
        """Everything is in place for start(). Raises NotFound, Conflict if it was started before."""
        row = self.find(exec_id)
        if row.state != "created" or row.id in self._sessions:
            raise Conflict(f"cannot start exec {row.id}: it was started before")
        container = self._container(row.container_id)
        _refuse_unless_running(container)
        process = exec_process(json.loads(row.process), container.record.spec.process)
        return self._opened(row.id, container, process, caller, CREATED)

    def _opened(
        self, exec_id: str, container: Container, process: Process, caller: Caller, creation: Creation
    ) -> ExecSession:
        session = ExecSession(exec_id, tty=process.tty, has_stdin=process.open_stdin)
        session.perform = Exec(self._parts, container, process, session, caller, creation).perform
        self._sessions[exec_id] = session
        return session

    def _draft(self, ref: str, body: dict[str, Any], caller: Caller) -> Draft:
        container = self._container(ref)
        _refuse_unless_running(container)
        process = exec_process(body, container.record.spec.process)
        exec_id, row = secrets.token_hex(32), container.record.row
        insert = partial(
            _insert,
            id=exec_id,
            container_id=row.id,
            run_number=row.run_number,
            process=body,
            created_at=self._parts.now_ns(),
        )
        told = Told(f"exec_create: {' '.join(process.argv)}", {"execID": exec_id}, caller)
        return Draft(exec_id, container, process, Creation(insert, (told,)))

    @contextmanager
    def attended(self, session: ExecSession, *, hangs_up: bool = False) -> Iterator[None]:
        """Its client is there. One that leaves before start() leaves nothing; after it the process runs on.

        Then there is no more input, save for a terminal, which has no end of file (moby, container/stream/attach.go):
        with ``hangs_up`` that goes with a client who is gone, and not with one who has typed the detach keys.
        """
        try:
            yield
        except BaseException:
            if hangs_up and session.tty and session.begun:
                self._nursery.start_soon(session.hang_up)
            raise
        finally:
            session.abandon()
            if not session.begun:
                self._close(session)
            elif session.has_stdin and not session.tty:
                self._nursery.start_soon(session.close_stdin)

    async def start(self, session: ExecSession) -> None:
        """Execute it; returns when the program runs. Raises StartFailed."""
        session.begun = True
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

    def adopt(self, entry: Entry) -> bool:
        """Carry on with an exec that an earlier engine started; False if no row knows it."""
        row = execs.get(self._parts.store.read(), entry.key.removeprefix("exec/"))
        if row is None or row.state != "running":
            return False
        self._nursery.start_soon(self._carry_on, self._parts.link.adopt(entry), row)
        return True

    async def _carry_on(self, process: KeeperProcess, row: Row) -> None:
        """Its client went with that engine, or there was none: it runs on as one whose client has left."""
        link = self._parts.link
        await link.release(process.key, ["stdin"])
        stdio = Stdio.of(process.fds)
        session = self._sessions[row.id] = ExecSession(row.id, tty=stdio.master is not None, has_stdin=False)
        session.abandon()
        try:
            session.connect(stdio, partial(self._release, process.key))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.copy)
                code = exit_code_of(await process.wait())
                session.process_ended()
                await surely(f"exec {row.id}", partial(self._note_end, row, code))
                await link.reap(process.key)
        finally:
            self._close(session)

    async def _release(self, key: str, name: str) -> None:
        await self._parts.link.release(key, [name])

    async def note_lost(self, known: AbstractSet[str]) -> None:
        """Those that were running, and that the keeper knows nothing of: their exit code is lost."""
        for row in execs.unfinished(self._parts.store.read()):
            if row.id not in known:
                await self._note_end(row, LOST)

    async def _note_end(self, row: Row, code: int) -> None:
        """Its container may be removed by now; where nothing is remembered of that, the exec's row went with it."""
        container = containers.get(self._parts.store.read(), row.container_id)
        if container is not None:
            await commit_end(self._parts, row.id, container, code)

    async def _perform(self, session: ExecSession) -> None:
        try:
            await session.perform()
        finally:
            self._close(session)

    def _close(self, session: ExecSession) -> None:
        """Nothing more comes of it."""
        session.ended()
        self._sessions.pop(session.id, None)


def _refuse_unless_running(container: Container) -> None:
    record = container.record
    if record.state is State.PAUSED:
        raise Conflict(f"cannot exec in container {record.row.name}: it is paused; unpause it first")
    if record.state is not State.RUNNING:
        raise Conflict(f"cannot exec in container {record.row.name}: container {record.id} is not running")


def _insert(conn: Connection, *, container_id: str, **columns: Any) -> bool:  # noqa: ANN401 - of execs.insert()
    if containers.get(conn, container_id) is None:
        return False
    execs.insert(conn, container_id=container_id, **columns)
    return True
