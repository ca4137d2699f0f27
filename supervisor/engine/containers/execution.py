"""One exec from its start to its end, and how its row changes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import trio

from pysup.store import execs
from pysup.store.containers import Container as ContainerRow
from pysup.store.errors import StoreError
from pysup.supervisor.engine.callers import Caller
from pysup.supervisor.engine.containers.container import Container
from pysup.supervisor.engine.containers.exec_session import ExecSession
from pysup.supervisor.engine.containers.launching import give_size, launch_exec
from pysup.supervisor.engine.containers.outcome import exit_code_of
from pysup.supervisor.engine.containers.record import Told, add_event
from pysup.supervisor.engine.news import Happening
from pysup.supervisor.engine.parts import Parts
from pysup.supervisor.engine.surely import surely
from pysup.supervisor.errors import NOT_EXECUTABLE, Conflict, ExecFailed, PysupError, StartFailed
from pysup.supervisor.runtime.launch import Launched
from pysup.supervisor.spec.container import Process


class Creation(NamedTuple):
    """A row that is committed with the exec's start."""

    insert: Callable[[Connection], bool]
    """False if its container has been removed meanwhile."""
    told: tuple[Told, ...]


CREATED = Creation(lambda _conn: True, ())
"""Of an exec whose row is there."""


class Exec:
    """A task of the engine's nursery."""

    def __init__(  # noqa: PLR0917
        self,
        parts: Parts,
        container: Container,
        process: Process,
        session: ExecSession,
        caller: Caller,
        creation: Creation = CREATED,
    ) -> None:
        self._parts = parts
        self._container = container
        self._process = process
        self._session = session
        self._caller = caller
        self._creation = creation
        self._key = f"exec/{session.id}"

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
        if run is None or run.process is None or run.ended or run.cgroup is None:
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
                Told("exec_start", {"execID": self._session.id}, self._caller),
                state="running",
                pid=launched.process.pid,
                started_at=self._parts.now_ns(),
            )
            await self._let_go(launched)
        except BaseException:
            await launched.abort()
            raise
        await launched.go()
        return launched

    async def _let_go(self, launched: Launched) -> None:
        """Before the program runs its output is watched. Only a terminal is not there before the set-up."""
        if self._process.tty:
            await launched.ready()
            give_size(launched, self._process)
        self._session.connect(launched.stdio, self._release)
        launched.let_go()

    async def _supervise(self, launched: Launched) -> None:
        """Until the process itself has ended, and that is committed: a child that it leaves behind may hold the pipes
        for ever, and a client may never read what it has written. While it is not reaped, its container cannot end
        (pid_namespaces(7)).
        """
        try:
            code = exit_code_of(await launched.process.wait())
            self._session.process_ended()
            end = partial(commit_end, self._parts, self._session.id, self._container.record.row, code)
            await surely(self._what, end)
            self._session.exit_code = code
        finally:
            await self._parts.link.reap(self._key)

    async def _release(self, name: str) -> None:
        await self._parts.link.release(self._key, [name])

    async def _commit_failure(self, error: Exception) -> None:
        code = error.exit_code if isinstance(error, ExecFailed) else NOT_EXECUTABLE
        await self._commit(
            state="exited", error=str(error), exit_code=code, pid=0, ended_at=self._parts.now_ns()
        )

    async def _commit(self, *told: Told, **columns: object) -> None:
        await commit(self._parts, self._session.id, self._container.record.row, told, columns, self._creation)
        self._creation = CREATED


async def commit_end(parts: Parts, exec_id: str, container: ContainerRow, code: int) -> None:
    """Note the end of an exec, with its event."""
    told = Told("exec_die", {"execID": exec_id, "exitCode": str(code)})
    columns = {"state": "exited", "exit_code": code, "pid": 0, "ended_at": parts.now_ns()}
    await commit(parts, exec_id, container, [told], columns)


async def commit(  # noqa: PLR0917
    parts: Parts,
    exec_id: str,
    container: ContainerRow,
    told: Sequence[Told],
    columns: Mapping[str, object],
    creation: Creation = CREATED,
) -> None:
    """Change an exec's row with its events; nothing, if the container was removed meanwhile, execs and all."""
    every = (*creation.told, *told)

    def write(conn: Connection) -> None:
        if not creation.insert(conn) or execs.get(conn, exec_id) is None:
            return
        execs.update(conn, exec_id, **columns)
        for one in every:
            add_event(conn, parts.now_ns(), container, one)

    await parts.store.write(write)
    for one in every:
        parts.news.publish(Happening("exec", exec_id, one.action))
