"""What is committed at each turn of a run: it is begun, it runs, it is to end. Pure but for the rows.

How it ended is outcome.py's, what follows from that sequel.py's.
"""

from __future__ import annotations

from functools import partial

from pysup.store import runs
from pysup.supervisor.engine.callers import DAEMON, Caller
from pysup.supervisor.engine.containers.ending import Ending
from pysup.supervisor.engine.containers.health import STARTING, Health
from pysup.supervisor.engine.containers.record import Aside, Change, Columns, Record, Told, Write
from pysup.supervisor.engine.containers.sequel import BY_HAND, NOT_BY_HAND
from pysup.supervisor.engine.containers.states import Event, State
from pysup.supervisor.engine.networks import joining
from pysup.supervisor.engine.volumes import uses

BEGUN: Columns = {
    "desired": "run",
    "stopped_by_hand": 0,
    "next_start_at": None,
    "gave_up_reason": None,
    "error": "",
    "failed_step": "",
    "oom_killed": 0,
}
BEGUN_BY = {"policy": "restart policy", "boot": "daemon start"}
"""What stands where the name of who asked would, by the cause of a run that nobody asked for."""
FIRST_OF_A_SERIES: Columns = {"retries": 0, "last_delay": 0.0, "recent_restarts": ()}
"""A start by hand or by the daemon forgets the retries before it."""


def begun(record: Record, event: Event, cause: str, now_ns: int, caller: Caller = DAEMON) -> Change:
    """The next run, on paper: its row is there before its process is."""
    fresh = {} if event is Event.DUE else FIRST_OF_A_SERIES
    return _begun(record, event, cause, BEGUN_BY.get(cause, str(caller)), now_ns).then(Change(columns=fresh))


def begun_anew(record: Record, cut_off: runs.Run, now_ns: int) -> Change:
    """The run that takes the place of one whose start was cut off: asked for by the same, and no further retry."""
    return _begun(record, Event.START, cut_off.cause, cut_off.asked_by, now_ns)


def _begun(record: Record, event: Event, cause: str, asked_by: str, now_ns: int) -> Change:
    number = record.row.run_number + 1
    begin = partial(
        runs.begin,
        container_id=record.id,
        number=number,
        started_at=now_ns,
        cause=cause,
        asked_by=asked_by,
    )
    told = (*joining.tell_of(record, "connect"), *uses.tell_of(record, "mount"))
    watched = "" if record.spec.health is None else STARTING
    columns = {**BEGUN, "run_number": number, **Health(watched).columns()}
    return Change(passed=(event,), told=told, columns=columns, writes=(begin,))


def running(
    record: Record, pid: int, now_ns: int, told: tuple[Told, ...], writes: tuple[Write, ...]
) -> Change:
    """The program is executed; ``told`` says so, ``writes`` tell of its networks."""
    return Change(
        passed=(Event.READY,),
        told=told,
        columns={"pid": pid, "started_at": now_ns, "finished_at": None},
        writes=(of_run(record, pid=pid, started_at=now_ns), *writes),
    )


def stopping(record: Record, ending: Ending, caller: Caller) -> Change:
    """It is to end, or to end otherwise than was said before."""
    return Change(
        passed=() if record.state is State.STOPPING else (Event.STOP,),
        told=(Told("kill", {"signal": str(ending.signal)}, caller),),
        columns=BY_HAND if ending.by == "stop" else NOT_BY_HAND,
        writes=(of_run(record, **ending.columns()),),
    )


def killed(record: Record, ending: Ending, caller: Caller) -> Change:
    """It is to end at once, to be removed."""
    return Change(
        told=(Told("kill", {"signal": str(ending.signal)}, caller),),
        columns=BY_HAND,
        writes=(of_run(record, **ending.columns()),),
    )


def left(record: Record) -> tuple[Aside, ...]:
    """What a run that has ended has let go of, in docker's order."""
    return (*joining.tell_of(record, "disconnect"), *uses.tell_of(record, "unmount"))


def of_run(record: Record, **columns: object) -> Write:
    """Columns of the row of the run in progress."""
    return partial(runs.update, container_id=record.id, number=record.row.run_number, **columns)  # type: ignore[arg-type]
