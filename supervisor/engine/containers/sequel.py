"""What follows the end of a run, decided and made ready to be committed with it. Pure.

An end and what follows from it are one transaction, so a crash can never leave the one without the other.
"""

from __future__ import annotations

from pysup.store.containers import Container as Row
from pysup.supervisor.engine.containers import policy
from pysup.supervisor.engine.containers.outcome import Outcome
from pysup.supervisor.engine.containers.record import Change, Columns, Told
from pysup.supervisor.engine.containers.states import Event
from pysup.supervisor.spec.container import ContainerSpec, RestartPolicy

BY_HAND: Columns = {"desired": "stop", "stopped_by_hand": 1}
NOT_BY_HAND: Columns = {"desired": "run", "stopped_by_hand": 0}


def sequel_of(
    outcome: Outcome, row: Row, spec: ContainerSpec, now_ns: int, *, ask_policy: bool = True
) -> Change:
    """Back-off and a retry, or rest; the policy is not asked where somebody wants this end and what comes then."""
    if outcome.ended_by in {"restart", "shutdown"}:
        return Change(columns={"desired": "run"})
    if outcome.by_hand or row.desired == "stop":  # asked for, though its end was lost with the keeper
        return Change(columns=BY_HAND)
    if not ask_policy:
        return REST
    match _verdict(outcome, row, spec, now_ns):
        case policy.Retry() as retry:
            return _back_off(retry)
        case policy.GiveUp("crash loop" | "retries" as reason):
            told = Told("give-up", {"reason": reason, "retries": str(row.retries)})
            return Change(told=(told,), columns={"desired": "rest", "gave_up_reason": reason})
        case _:
            return REST


def reconsidered(row: Row, before: RestartPolicy, spec: ContainerSpec, now_ns: int) -> Change:
    """The policy has changed while a retry is waited for: the new delay counts from the end of the run."""
    if spec.restart.name == "no":
        columns: Columns = {"next_start_at": None, "desired": "rest"}
        return Change(passed=(Event.STOP,), told=(Told("stop"),), columns=columns)
    delay = policy.changed_delay(before, spec.restart, row.last_delay)
    due_ns = (row.finished_at or now_ns) + int(delay * 1e9)
    return Change(columns={"next_start_at": due_ns, "last_delay": delay})


REST = Change(columns={"desired": "rest"})
"""Nobody wants it to run again."""


def _verdict(outcome: Outcome, row: Row, spec: ContainerSpec, now_ns: int) -> policy.Retry | policy.GiveUp:
    exit_code = outcome.exit_code or int(
        outcome.ended_by == "unhealthy"
    )  # a failure, however politely it left
    ended = policy.Ended(exit_code, outcome.duration(row.started_at, now_ns), outcome.by_hand)
    tally = policy.Tally(row.retries, row.last_delay, row.recent_restarts)
    return policy.decide(spec.restart, ended, tally, now_ns / 1e9)


def _back_off(retry: policy.Retry) -> Change:
    told = Told("backoff", {"delay": f"{retry.delay:g}", "retries": str(retry.tally.retries)})
    return Change(
        passed=(Event.RETRY,),
        told=(told,),
        columns={
            "desired": "run",
            "next_start_at": int(retry.due * 1e9),
            "retries": retry.tally.retries,
            "last_delay": retry.delay,
            "recent_restarts": retry.tally.restarts,
        },
    )
