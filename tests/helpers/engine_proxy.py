"""An engine that is none: it hands the keeper's socket to the test that listens at $PYSUP_TEST_SOCKET, and
waits.

So a test speaks to a real keeper through a real Link in its own process, and may kill this process as it
would an engine.
"""

import argparse
import os
import signal
import socket

from pysup.supervisor.kernel import process

PR_SET_PDEATHSIG = 1


def main() -> None:
    process.prctl(PR_SET_PDEATHSIG, "prctl PR_SET_PDEATHSIG", signal.SIGKILL)
    parser = argparse.ArgumentParser()
    for name in ("--keeper-fd", "--listen-fd", "--lock-fd"):
        parser.add_argument(name, type=int)
    parser.add_argument("--settings")
    given = parser.parse_args()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as test:
        test.connect(os.environ["PYSUP_TEST_SOCKET"])
        fds = [given.keeper_fd, given.listen_fd, given.lock_fd]
        socket.send_fds(test, [str(os.getpid()).encode()], fds)
    for fd in fds:
        os.close(fd)
    signal.pause()


if __name__ == "__main__":
    main()
