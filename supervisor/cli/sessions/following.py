"""One attached container from its start to its exit code, across any number of engines of the daemon.

The order is docker's: attach, wait (armed: its answer has begun), start, copy, exit code. So not one byte of output
and no exit can slip by, however short the run. Where the engine is killed meanwhile, the wait comes first: once
somebody is attached again, the new engine lets a container that removes itself go.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from pysup.supervisor.cli.again import again, exit_code_of_removed, wait_again
from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.sessions import attached
from pysup.supervisor.cli.sessions.session import Detached, Plan, Session
from pysup.supervisor.client.opened import Stream, Waiting
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import NotFound


def follow(
    client: Client,
    container: str,
    plan: Plan,
    *,
    removed: bool,
    start: Callable[[Client, str], object],
    on_detach: Callable[[], int] = lambda: 0,
) -> int:
    """Attach, arm the wait, start, copy; the exit code, which is ``on_detach``'s once the keys are typed."""
    with ExitStack() as stack:
        following = Following(client, container, plan, stack, removed=removed)
        stream = following.open()
        start(client, container)
        try:
            with Session(stream, plan._replace(reopen=following.reopen)) as session:
                session.run()
        except Detached:
            return on_detach()
        except NotFound:  # it has removed itself, and its output with it: what is left is its exit code
            told = f"cannot read the rest of the output of container {container[:12]}: it has removed itself"
            shown.complain(told)
            return exit_code_of_removed(client, container)
        return following.exit_code()


class Following:
    """The connections of one attached container; the stack closes them."""

    def __init__(
        self, client: Client, container: str, plan: Plan, stack: ExitStack, *, removed: bool
    ) -> None:
        self._client = client
        self._container = container
        self._plan = plan
        self._stack = stack
        self._condition = "removed" if removed else "next-exit"
        self._run = ""
        self._stream: Stream | None = None
        self._waiting: Waiting | None = None

    def open(self) -> Stream:
        """Attach, and arm the wait; nothing has begun yet, so it can be done anew."""
        try:
            return self._open()
        except Lost:
            return again(self._open)

    def _open(self) -> Stream:
        self._stream = self._attach({})
        self._run = self._stream.run
        self._waiting = self._wait()
        return self._stream

    def reopen(self) -> Stream:
        """Attach again, where the output was broken off. Raises RunFailure where the daemon is gone for good."""
        assert self._stream is not None  # noqa: S101 - it is what has broken off
        position = {"resume": self._stream.position, "run": self._run}

        def attempt() -> Stream:
            self._waiting = self._wait()
            return self._attach(position)

        self._stream = again(attempt)
        return self._stream

    def _attach(self, resume: dict[str, str]) -> Stream:
        plan = self._plan
        query = attached.attach_query(
            stdin=plan.stdin, stdout=plan.stdout, stderr=plan.stderr, detach_keys=plan.detach_keys
        )
        where = path(self._container, "attach")
        return self._stack.enter_context(self._client.hijack(where, query=query | resume))

    def _wait(self) -> Waiting:
        return self._stack.enter_context(self._client.wait(self._container, self._condition, self._run))

    def exit_code(self) -> int:
        """Once the wait is over, on whichever connection."""
        try:
            answer = self._waiting and self._waiting.result()
        except Lost:
            answer = None
        if answer is None:
            answer = wait_again(self._client, self._container, self._condition, self._run)
        return attached.exit_code(answer)
