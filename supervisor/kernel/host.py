"""The names of a uts namespace (uts_namespaces(7))."""

from __future__ import annotations

from pysup.supervisor.kernel import libc

_sethostname = libc.bind("sethostname", libc.c_char_p, libc.c_size_t)
_setdomainname = libc.bind("setdomainname", libc.c_char_p, libc.c_size_t)


def set_hostname(name: str) -> None:
    """sethostname(2); at most 64 bytes."""
    encoded = libc.text(name)
    libc.check(_sethostname(encoded, len(encoded)), "sethostname")


def set_domainname(name: str) -> None:
    """setdomainname(2); at most 64 bytes."""
    encoded = libc.text(name)
    libc.check(_setdomainname(encoded, len(encoded)), "setdomainname")
