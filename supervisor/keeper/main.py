"""The keeper's program: ``pysup daemon`` executes this module, and so do an upgrade and an orphaned engine.

Imports the standard library's small modules and kernel/ only: it stays about 10 MB for as long as the
machine is up, and every child begins as a copy of it.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys

from pysup.supervisor.errors import PysupError
from pysup.supervisor.keeper import ground, handover, listening, rehearsal, systemd
from pysup.supervisor.keeper.engine import ENGINE_ARGV
from pysup.supervisor.keeper.loop import Keeper
from pysup.supervisor.keeper.table import Handover, Table
from pysup.supervisor.kernel import files, own_ids, process, program, signals
from pysup.supervisor.settings import Settings

USAGE = "usage: python -m pysup.supervisor.keeper.main --settings JSON | --adopt-fd N | --check"


def run(settings: Settings, engine_argv: list[str] | None = None) -> int:
    """Be the daemon of this root until it is shut down; the exit code. Raises PysupError if it cannot
    start.
    """
    program.protect()
    _open_standard_streams()
    directories, refused = ground.Directories(settings), True
    try:
        directories.make()
        code = _serve_new(settings, engine_argv or ENGINE_ARGV)
        refused = code != 0
    except ground.InUse as error:
        if not systemd.leave_to(error.owner):
            raise
        return 0
    finally:
        if refused:
            directories.remove_unused()
    return code


def _serve_new(settings: Settings, engine_argv: list[str]) -> int:
    lock_fd = ground.take_lock(settings)
    ground.sign_lock(lock_fd, settings.lock)
    table = Table()
    listening.listen_tcp(settings.tcp, table)
    listen_fd = ground.listen(settings)
    return _serve(Handover(settings, engine_argv, listen_fd, lock_fd, table))


def adopt(document_fd: int) -> int:
    """Go on where another program left off: an upgraded keeper, or the engine of a keeper that was killed."""
    program.protect()
    kept = handover.receive(document_fd)
    ground.sign_lock(kept.lock_fd, kept.settings.lock)
    return _serve(kept)


def _serve(kept: Handover) -> int:
    watched = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        watched.discard(signal.SIGHUP)  # nohup: the terminal's end is no order to upgrade
    signals.block_all()
    signals.default_all()
    _raise_descriptor_limit()
    process.set_subreaper()
    process.join_new_keyring()
    own_ids.may_set_groups()  # known to every child, which may have nothing to read it from
    process.set_name("pysup")
    keeper = Keeper(kept, signals.signal_descriptor(watched))
    rehearsal.rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()
    code = keeper.serve()
    ground.remove_socket(
        kept.settings
    )  # not after a crash: the engine takes over then, and the socket with it
    return code


def _open_standard_streams() -> None:
    """Descriptors 0, 1 and 2 must be taken, or the next file would be somebody's standard output."""
    while (fd := os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)) <= 2:  # noqa: PLR2004
        files.let_inherit(fd)
    os.close(fd)


def _raise_descriptor_limit() -> None:
    """Three or four descriptors a container: use all that the hard limit allows. child.py puts the soft one
    back.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str]) -> int:
    """Parse the command line: --check only shows that this program and its modules can start."""
    if arguments == ["--check"]:
        return 0
    if len(arguments) != 2 or arguments[0] not in ("--settings", "--adopt-fd"):  # noqa: PLR2004
        sys.stderr.write(USAGE + "\n")
        return 2
    try:
        if arguments[0] == "--settings":
            return run(Settings.from_json(arguments[1]))
        return adopt(int(arguments[1]))
    except PysupError as error:
        sys.stderr.write(f"pysup: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
