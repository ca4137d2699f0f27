"""resolv.conf(5): the host's is read, the container's is written, as docker does
(moby daemon/libnetwork/internal/resolvconf). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.network.addresses import Address

RESOLVER = "127.0.0.11"
"""Where the container's own resolver answers."""
_NEEDED = "ndots:0"
"""Names of containers have no dots, and are to be asked for as they are."""
_FALLBACK = ("8.8.8.8", "8.8.4.4")
_FALLBACK6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")
PATH = "/etc/resolv.conf"
SYSTEMD_PATH = "/run/systemd/resolve/resolv.conf"
"""The servers that systemd-resolved asks itself (systemd-resolved(8))."""


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """A file, and where its parts come from."""

    servers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    """Lines that are none of these, as they are."""
    invalid: tuple[str, ...] = ()
    """What was given as a name server and is no address."""
    overridden: tuple[str, ...] = ()
    """Which parts the container's own settings have replaced."""
    ndots_from: str = ""
    path: str = PATH

    def option(self, name: str) -> str | None:
        """The value of the last option of this name; empty if it has none, None if there is no such option."""
        for option in reversed(self.options):
            key, _, value = option.partition(":")
            if key == name:
                return value
        return None

    def number(self, name: str) -> int | None:
        """The same of ``ndots``, ``timeout`` (seconds) or ``attempts``; None, too, if it is no natural number."""
        return _natural(self.option(name) or "")

    def forwards_short_names(self) -> bool:
        """Whether names without dots are asked of other servers: not where ndots says to try them with a suffix."""
        return self.option("ndots") is None

    def is_systemds(self) -> bool:
        """Whether it only says that systemd-resolved is to be asked; docker reads SYSTEMD_PATH then."""
        return self.servers == (IPv4Address("127.0.0.53"),)


def _natural(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def parse(text: str, path: str = PATH) -> ResolvConf:
    """Read a file; what cannot be understood is kept or named, never an error."""
    conf = ResolvConf(path=path)
    for line in text.splitlines():
        fields = tuple(line.split())
        if fields and fields[0][0] not in "#;":
            conf = _with_line(conf, line, fields)
    return replace(conf, ndots_from="" if conf.option("ndots") is None else "host")


def _with_line(conf: ResolvConf, line: str, fields: tuple[str, ...]) -> ResolvConf:
    word, values = fields[0], fields[1:]
    if word not in {"nameserver", "search", "domain", "options"}:
        return replace(conf, other=(*conf.other, line))
    if not values:
        return conf
    if word == "options":
        return replace(conf, options=(*conf.options, *values))
    if word == "nameserver":
        return _with_server(conf, values[0])
    return replace(conf, search=values)


def _with_server(conf: ResolvConf, text: str) -> ResolvConf:
    try:
        return replace(conf, servers=(*conf.servers, ip_address(text)))
    except ValueError:
        return replace(conf, invalid=(*conf.invalid, text))


def override(
    conf: ResolvConf, servers: Iterable[str] = (), search: Iterable[str] = (), options: Iterable[str] = ()
) -> ResolvConf:
    """With a container's --dns, --dns-search and --dns-option. Raises BadRequest."""
    given, domains, wanted = tuple(servers), tuple(search), tuple(options)
    if given:
        addresses = tuple(_server(text) for text in given)
        conf = replace(conf, servers=addresses, overridden=(*conf.overridden, "nameservers"))
    if domains:
        kept = tuple(_word(domain, "--dns-search") for domain in domains if domain != ".")
        conf = replace(conf, search=kept, overridden=(*conf.overridden, "search"))
    if wanted:
        words = tuple(_word(option, "--dns-option") for option in wanted)
        conf = replace(conf, options=words, overridden=(*conf.overridden, "options"))
        conf = replace(conf, ndots_from="" if conf.option("ndots") is None else "override")
    return conf


def _server(text: str) -> Address:
    try:
        return ip_address(_word(text, "--dns"))
    except ValueError as error:
        raise BadRequest(f'cannot use --dns "{text}": it is not an IP address') from error


def _word(text: str, flag: str) -> str:
    """A word that cannot become a further line, or a further word, of the file."""
    if not text or any(char.isspace() or not char.isprintable() for char in text):
        raise BadRequest(f"cannot use {flag} {text!r}: it must be one word")
    return text


# -- the container's file ------------------------------------------------------------------------------------


def for_host_network(conf: ResolvConf) -> str:
    """The host's servers are the container's, too."""
    return _rendered(conf, conf.servers, "")


def for_default_bridge(conf: ResolvConf, *, ipv6: bool) -> str:
    """No resolver of its own: the host's servers, without those that only the host reaches.

    ``ipv6``: the container has it. With --dns, those servers, whatever they are.
    """
    if "nameservers" in conf.overridden:
        return _rendered(conf, conf.servers, "legacy")
    reachable = [server for server in conf.servers if _reachable(server, ipv6=ipv6)]
    if reachable:
        return _rendered(conf, reachable, "legacy")
    fallback = (*_FALLBACK, *_FALLBACK6) if ipv6 else _FALLBACK
    return _rendered(conf, fallback, "legacy", "# Used default nameservers.\n")


def _reachable(server: Address, *, ipv6: bool) -> bool:
    """One with a zone (fe80::1%eth0) is on a link of the host's."""
    if isinstance(server, IPv6Address) and (not ipv6 or server.scope_id):
        return False
    return not server.is_loopback


def for_user_network(conf: ResolvConf) -> str:
    """The container's own resolver, which asks the others (external_servers)."""
    valid = tuple(option for option in conf.options if not _is_bad_ndots(option))
    inner = replace(conf, options=valid)
    if inner.option("ndots") is None:
        inner = replace(inner, options=(*valid, _NEEDED), ndots_from="internal")
    outside = " ".join(
        str(server) if inside else f"host({server})" for server, inside in external_servers(conf)
    )
    told = f"# ExtServers: [{outside}]\n" if outside else "# NO EXTERNAL NAMESERVERS DEFINED\n"
    return _rendered(inner, (RESOLVER,), "internal resolver", told)


def external_servers(conf: ResolvConf) -> tuple[tuple[Address, bool], ...]:
    """Whom the resolver asks, and whether from inside the container's network namespace: so with --dns.

    The host's own are asked from the host's namespace, where they work: ``--dns 127.0.0.1`` is a server in the
    container, ``nameserver 127.0.0.1`` of the host's file is one on the host.
    """
    inside = "nameservers" in conf.overridden
    servers = (server for server in conf.servers if not (inside and str(server) == RESOLVER))
    return tuple((server, inside) for server in servers)


def _is_bad_ndots(option: str) -> bool:
    name, _, value = option.partition(":")
    return name == "ndots" and _natural(value) is None


def _rendered(conf: ResolvConf, servers: Sequence[Address | str], how: str, told: str = "") -> str:
    lines = ["# Generated by pysup.\n\n", *(f"nameserver {server}\n" for server in servers)]
    lines += [f"search {' '.join(conf.search)}\n"] if conf.search else []
    lines += [f"options {' '.join(conf.options)}\n"] if conf.options else []
    lines += [f"{line}\n" for line in conf.other]
    lines += [f"\n# Based on host file: '{conf.path}'{f' ({how})' if how else ''}\n", told]
    lines += [f"# Invalid nameservers: [{' '.join(conf.invalid)}]\n"] if conf.invalid else []
    lines += [f"# Overrides: [{' '.join(conf.overridden)}]\n"]
    lines += [f"# Option ndots from: {conf.ndots_from}\n"] if conf.ndots_from else []
    return "".join(lines)
