"""The keeper's loop: the engine's process and its socket, signals, and the way out.

The keeper decides nothing about containers (service.py does what the engine asks). It keeps an engine
running, and it lives until an engine says Shutdown.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from pysup.supervisor.keeper import codec, engine, handover, listening, log, systemd
from pysup.supervisor.keeper.engine import EngineProcess
from pysup.supervisor.keeper.outbox import Outbox
from pysup.supervisor.keeper.poller import Poller
from pysup.supervisor.keeper.protocol import Message, ProtocolError, Ready, Shutdown, Stop, Upgrade
from pysup.supervisor.keeper.service import Service
from pysup.supervisor.keeper.table import Handover
from pysup.supervisor.kernel import process, signals

LEAVE_WITHIN = 5.0
"""Seconds that an engine may take to end after it sent Shutdown."""
ORPHANS_AFTER = 0.25
"""Seconds that a dead orphan may wait to be reaped: each end of a container is a signal, too, and one look is enough
for many."""
STOP_TRIES = 3
"""So many engines in a row may die while a stop is asked for; then the keeper ends the containers itself."""


class Keeper:
    """The loop's state. ``kept`` is all that outlives the program; the rest is built anew from it."""

    def __init__(self, kept: Handover, signal_fd: int) -> None:
        self._kept = kept
        self._poller = Poller()
        self._service = Service(kept.table, self._poller, self._tell)
        self._signal_fd = signal_fd
        self._engine: EngineProcess | None = None
        self._outbox: Outbox | None = None
        self._delay = 0.0
        self._start_at: float | None = time.monotonic()
        self._leave_at: float | None = None
        self._reap_at: float | None = None
        self._stop_signal = kept.stop_signal
        self._deaths_while_stopping = 0
        self._upgrading = False
        self._exit_code: int | None = None
        self._ended = False

    def serve(self) -> int:
        """Run until the daemon has ended; its exit code."""
        self._poller.watch(self._signal_fd, self._on_signals)
        self._service.resume()
        self._reap_orphans()
        while not self._ended:
            self._do_what_is_due(time.monotonic())
            self._poller.turn(self._patience(time.monotonic()))
        self._let_go()
        return self._exit_code or 0

    def _let_go(self) -> None:
        """End what is on its way and nobody's yet."""
        self._service.stock.clear()
        self._service.births.clear()

    def _do_what_is_due(self, now: float) -> None:
        if self._start_at is not None and now >= self._start_at:
            self._start_engine(now)
        if self._service.stock.due is not None and now >= self._service.stock.due:
            self._service.stock.refill()
        if self._service.births.due is not None:
            self._service.births.give_up(now)
        if self._reap_at is not None and now >= self._reap_at:
            self._reap_orphans()
        if self._leave_at is not None and now >= self._leave_at:
            self._leave_at = None
            self._kill_engine("it did not end after its last message")

    def _patience(self, now: float) -> float | None:
        """Seconds until something is due; None: nothing is."""
        own = (self._start_at, self._leave_at, self._reap_at)
        due = [at for at in (*own, self._service.stock.due, self._service.births.due) if at is not None]
        return max(0.0, min(due) - now) if due else None

    def _log(self, text: str) -> None:
        log.write(text, self._kept.settings.log_format)

    # The engine's process.

    def _start_engine(self, now: float) -> None:
        self._start_at = None
        try:
            stop = Stop(self._stop_signal) if self._stop_signal else None
            started = engine.start(self._kept, now, stop)
        except OSError as error:
            self._log(f"cannot start the engine: {error.strerror}")
            self._start_later(lived=0.0)
            return
        self._engine = started
        self._outbox = Outbox(started.sock)
        self._poller.watch(started.sock.fileno(), self._on_packets)
        self._poller.watch(started.pidfd, self._on_engine_end)

    def _start_later(self, lived: float) -> None:
        self._delay = engine.next_delay(self._delay, lived)
        self._start_at = time.monotonic() + self._delay

    def _kill_engine(self, why: str) -> None:
        """The engine may be killed at any instant; its end is handled when its pidfd tells of it."""
        if self._engine is not None:
            self._log(f"killing the engine: {why}")
            process.pidfd_send_signal(self._engine.pidfd, signal.SIGKILL)

    def _on_engine_end(self) -> None:
        """Take what the engine sent before its death, reap it, and go on without it."""
        ended = self._engine
        if ended is None or process.pidfd_alive(ended.pidfd):
            return
        self._on_packets()
        status = process.waitid_pidfd(ended.pidfd, reap=True) or 0
        self._forget_engine(ended)
        if self._exit_code is not None:
            self._ended = True
        elif self._upgrading:
            self._become_new_program()
        else:
            self._after_death(status, time.monotonic() - ended.started_at)

    def _forget_engine(self, ended: EngineProcess) -> None:
        self._service.births.clear()
        if self._outbox is not None:
            self._outbox.discard()
        self._poller.unwatch(ended.sock.fileno())
        self._poller.unwatch(ended.pidfd)
        ended.close()
        self._engine = self._outbox = None
        self._leave_at = None

    def _after_death(self, status: int, lived: float) -> None:
        if status >> 8 and not self._has_begun:  # it said why
            self._exit_code, self._ended = status >> 8, True
            return
        how = f"signal {status & 0x7F}" if status & 0x7F else f"exit code {status >> 8}"
        self._log(f"the engine ended after {lived:.1f} s with {how}; starting another one")
        self._deaths_while_stopping += bool(self._stop_signal)
        if self._deaths_while_stopping >= STOP_TRIES:
            self._give_up()
            return
        if handover.is_outdated():
            self._log("another program was installed: going over to it with the next engine")
            self._start_upgrade()
        self._start_later(lived)

    @property
    def _has_begun(self) -> bool:
        """Whether there is anything to take care of yet, beside the sockets that were there before any engine."""
        return any(entry.key != listening.KEY for entry in self._kept.table)

    def _give_up(self) -> None:
        """No engine can carry out the stop: better to end everything than to be a daemon that cannot end."""
        self._log(f"{STOP_TRIES} engines died while stopping: killing every container")
        for entry in self._kept.table:
            if entry.pid and entry.status is None:
                process.pidfd_send_signal(entry.pidfd, signal.SIGKILL)
        self._exit_code, self._ended = 1, True

    # What is said to the engine, and what it says.

    def _tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send to the engine; if none runs, the next one asks by itself."""
        if self._engine is not None and self._outbox is not None:
            self._outbox.put(message, fds)
            self._flush()

    def _flush(self) -> None:
        if self._engine is not None and self._outbox is not None:
            self._outbox.flush()
            self._poller.watch_room(self._engine.sock.fileno(), self._flush if self._outbox else None)

    def _on_packets(self) -> None:
        """Handle every message that waits, then the end of the stream if it is there."""
        while self._engine is not None:
            try:
                received = codec.receive(self._engine.sock)
            except BlockingIOError:
                return
            except ProtocolError as error:
                self._cut_off(str(error))
                return
            if received is None:
                self._cut_off("it closed its socket", at_once=self._has_begun)
                return
            self._on_message(*received)

    def _cut_off(self, why: str, *, at_once: bool = True) -> None:
        """Hear no more of this engine. One that still runs can be of no use: it is killed, and replaced.

        One that has not booted yet may be on its way out, with an exit code that tells: it gets the time.
        """
        if self._engine is None:
            return
        self._poller.unwatch(self._engine.sock.fileno())
        if self._exit_code is not None or not process.pidfd_alive(self._engine.pidfd):
            return
        if at_once:
            self._kill_engine(why)
        else:
            self._leave_at = time.monotonic() + LEAVE_WITHIN

    def _on_message(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, Ready):
            self._delay = 0.0
            systemd.notify(f"READY=1\nMAINPID={os.getpid()}\n")
        elif isinstance(message, Upgrade):
            self._start_upgrade()
        elif isinstance(message, Shutdown):
            self._exit_code = message.code & 0xFF
            self._leave_at = time.monotonic() + LEAVE_WITHIN
        elif not self._service.handle(message, fds):
            codec.close_all(fds)
            self._log(f"ignored {type(message).__name__}: it is not for the keeper")

    # Signals.

    def _on_signals(self) -> None:
        for number in signals.take_signals(self._signal_fd):
            if number == signal.SIGCHLD:
                self._reap_at = self._reap_at or time.monotonic() + ORPHANS_AFTER
            elif number in (signal.SIGHUP, signal.SIGUSR2):
                self._start_upgrade()
            else:
                self._stop_signal = number
                self._tell(Stop(number))

    def _reap_orphans(self) -> None:
        """Reap the dead that became ours (as PID 1, or as subreaper); entries, the engine and children made ahead
        have their own way.
        """
        self._reap_at = None
        keep = self._kept.table.pids() | self._service.stock.pids()
        engine_pid = self._engine.pid if self._engine is not None else 0
        for pid in process.children():
            if pid not in keep and pid != engine_pid:
                with contextlib.suppress(ChildProcessError):
                    process.reap_orphan(pid)

    # Upgrade.

    def _start_upgrade(self) -> None:
        """Try the new program; if it starts at all, end this engine and go over to it."""
        if self._upgrading:
            return
        if not handover.program_works():
            self._log("cannot upgrade: the new program does not start; going on with this one")
            return
        self._upgrading = True
        if self._engine is None:
            self._become_new_program()
        else:
            self._kill_engine("to upgrade it")

    def _become_new_program(self) -> None:
        self._upgrading = False
        self._let_go()
        try:
            handover.become_keeper(self._kept._replace(stop_signal=self._stop_signal))
        except OSError as error:
            self._log(f"cannot upgrade: {error.strerror}; going on with this program")
            self._start_at = time.monotonic()
