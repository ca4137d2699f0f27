"""A command for one container, done once: it ends as if nothing had happened where the engine is killed meanwhile.

The container is looked at before. After a loss the next engine is asked what has become of it: what is done is not
asked for again; what is not done is, by the container's id and with the run that it was meant for. Where nobody can
know, that is the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from pysup.supervisor.cli.again import again, has_happened
from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import NotFound, PysupError

Json = dict[str, Any]


class Loss(NamedTuple):
    """What is known where the answer to a command was lost."""

    client: Client
    before: Json
    """The inspect document from before the command."""
    now: Json | None
    """The one of the next engine; None: the container is not there any more."""


def may_be_repeated(_loss: Loss) -> bool:
    """Of what ends up the same when it is asked for twice, or where the daemon itself tells by the run."""
    return False


class Command(NamedTuple):
    """What is asked of a container. Without a verb: its removal, or that of a link of its."""

    verb: str
    query: Mapping[str, str] | None = None
    body: object = None
    is_done: Callable[[Loss], bool] = may_be_repeated
    """Whether there is nothing left to ask for. Raises PysupError where that cannot be known."""
    link: str = ""
    """The alias."""

    def send(self, client: Client, name: str, further: Mapping[str, str] | None = None) -> Any:
        """Ask for it; the answer."""
        query = {**(self.query or {}), **(further or {})}
        if not self.verb:
            return client.delete(path(name, *filter(None, [self.link])), query=query)
        return client.post(path(name, self.verb), self.body, query=query)


def once(client: Client, name: str, command: Command) -> Any:
    """The answer; None where only a later engine could tell that it is done. Raises RunFailure as again() does."""
    look = partial(client.get, path(name, "json"))
    try:
        before = look()
    except Lost:
        before = again(look)
    return _once(client, name, before, command)


def named(command: Command) -> Callable[[Client, str], str]:
    """Ask this of each, and tell of it by its name."""

    def action(client: Client, name: str) -> str:
        once(client, name, command)
        return name

    return action


def first_start(client: Client, container: str) -> None:
    """Start one that was just created: what there is to see before is known. Raises as once() does."""
    _once(client, container, {"Id": container, "Pysup": {"RunNumber": 0}}, Command("start", is_done=has_run))


def _once(client: Client, name: str, before: Json, command: Command) -> Any:
    try:
        return command.send(client, name)
    except Lost:
        return again(partial(_finish, client, before, command))


def _finish(client: Client, before: Json, command: Command) -> Any:
    container = before["Id"]
    try:
        now = client.get(path(container, "json"))
    except NotFound:
        now = None
    if command.is_done(Loss(client, before, now)):
        return None
    return command.send(client, container, {"run": str(_run(before))})


def _run(document: Json) -> int:
    """-1 from a daemon that does not count runs, as if none were named."""
    return int((document.get("Pysup") or {}).get("RunNumber", -1))


# -- what was done -------------------------------------------------------------------------------------------


def is_removed(loss: Loss) -> bool:
    """Of a removal; and of a stop, after which nothing keeps a container with --rm."""
    return loss.now is None


def is_paused(loss: Loss) -> bool:
    """Whether it stands still now."""
    return loss.now is not None and bool(loss.now["State"]["Paused"])


def is_unpaused(loss: Loss) -> bool:
    """Whether it runs on."""
    return loss.now is not None and bool(loss.now["State"]["Running"]) and not loss.now["State"]["Paused"]


def has_run(loss: Loss) -> bool:
    """Of a start: whether it was removed after a run (--rm). While it is there the daemon tells by the run's number."""
    return loss.now is None and has_happened(loss.client, loss.before["Id"], "start")


def is_called(name: str) -> Callable[[Loss], bool]:
    """Of a rename."""
    return lambda loss: loss.now is not None and loss.now["Name"] == f"/{name.removeprefix('/')}"


def has_other_ports(loss: Loss) -> bool:
    """Of an update, which is done wholly or not at all: a port cannot be taken away twice."""
    ports = "PortBindings"
    return loss.now is not None and loss.now["HostConfig"][ports] != loss.before["HostConfig"][ports]


def has_no_link(alias: str) -> Callable[[Loss], bool]:
    """Of the removal of a link. One that was not there before either is for the daemon to refuse."""

    def is_done(loss: Loss) -> bool:
        return loss.now is None or (alias in _links(loss.before) and alias not in _links(loss.now))

    return is_done


def _links(document: Json) -> set[str]:
    """By alias: ``db``, ``db:ALIAS`` on a network of one's own, ``/db:/web/ALIAS`` on the default one."""
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    links = [link for one in (document["HostConfig"], *networks.values()) for link in one.get("Links") or []]
    return {link.rpartition(":")[2].rpartition("/")[2] for link in links}


def got_signal(signal: str) -> Callable[[Loss], bool]:
    """Of a kill: SIGKILL ends the run, which can be seen; whether another signal came cannot. Raises PysupError."""

    def is_done(loss: Loss) -> bool:
        if not loss.before["State"]["Running"]:
            return False
        if signal.upper().removeprefix("SIG") in {"KILL", "9"}:
            return loss.now is None or not loss.now["State"]["Running"] or _run(loss.now) != _run(loss.before)
        name = loss.before["Name"].removeprefix("/")
        state = "removed" if loss.now is None else loss.now["State"]["Status"]
        raise PysupError(
            f"cannot tell whether container {name} got signal {signal}: "
            f"the daemon closed the connection before it answered; the container is {state} now"
        )

    return is_done
