"""The service manager that started the daemon, if one did: systemd's notification protocol (sd_notify(3))."""

from __future__ import annotations

import _socket
import contextlib
import os


def notify(text: str) -> None:
    """Tell it something: lines of VARIABLE=value."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            sock.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
    finally:
        sock.close()


def leave_to(pid: int) -> bool:
    """Have it follow the daemon ``pid`` instead of this process; False where that is not its own unit's.

    Where a keeper was killed, its engine has taken its place, but to systemd the unit's main process is gone: it
    starts another daemon, which finds the root in use. It must not be refused again and again.
    """
    unit = _unit(os.getpid())
    if "NOTIFY_SOCKET" not in os.environ or not unit or _unit(pid) != unit:
        return False
    notify(f"MAINPID={pid}\nREADY=1\n")
    return True


def _unit(pid: int) -> str:
    """The cgroup in which systemd has a process, in its own hierarchy or version 2's; empty: in none. cgroups(7)."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controllers in ("", "name=systemd") and path != "/":
                return path
    return ""
