"""What both clients know of the daemon's API, without any I/O: addresses, requests to bytes, errors to classes.

Source: RFC 9112, and docker's Engine API.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from pysup.supervisor.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    NotSupported,
    PysupError,
    Unauthorized,
    Unavailable,
)

API = "/v1.47"

Query = Mapping[str, str] | None


# -- addresses -----------------------------------------------------------------------------------------------


def named_host() -> str:
    """The daemon that DOCKER_HOST names; empty if there is none, or if pysup's own variables say otherwise."""
    if os.environ.get("PYSUP_SOCKET") or os.environ.get("PYSUP_RUN"):
        return ""
    return os.environ.get("DOCKER_HOST", "")


def named_tls() -> Tls | None:
    """What the environment says of TLS, as docker's clients read it; None: plain TCP.

    DOCKER_TLS_VERIFY (not empty: the daemon's certificate counts), DOCKER_TLS (not empty: it does not);
    DOCKER_CERT_PATH: where ca.pem, cert.pem and key.pem are, ~/.docker by default. PYSUP_TLS_… name single files.
    """
    verify = bool(os.environ.get("DOCKER_TLS_VERIFY"))
    files = {name: os.environ.get(f"PYSUP_TLS_{name.upper()}", "") for name in ("ca", "cert", "key")}
    if not verify and not os.environ.get("DOCKER_TLS") and not any(files.values()):
        return None
    place = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
    found = {name: path or os.path.join(place, f"{name}.pem") for name, path in files.items()}
    return Tls(**found, verify=verify)


class Tls(NamedTuple):
    """Files in PEM form, as docker's clients have them."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True
    """Whether the daemon must be who it says (DOCKER_TLS_VERIFY); it always wants to know who the client is."""


class Address(NamedTuple):
    """Where a daemon is: a unix socket's path, or a host and port."""

    path: str = ""
    host: str = ""
    port: int = 0
    tls: Tls | None = None


def parse_address(text: str) -> Address:
    """``unix:///run/x.sock``, ``/run/x.sock``, ``tcp://host:port``. Raises BadRequest."""
    scheme, separator, rest = text.partition("://")
    if not separator and text.startswith("/"):
        return Address(text)
    if scheme == "unix" and rest.startswith("/"):
        return Address(rest)
    if scheme in {"tcp", "http"}:
        host, _, port = rest.rstrip("/").rpartition(":")
        if host and port.isascii() and port.isdigit():
            return Address(host=host.strip("[]"), port=int(port), tls=named_tls())
    raise BadRequest(f"cannot connect to {text!r}: it is not unix:///PATH, /PATH or tcp://HOST:PORT")


# -- requests ------------------------------------------------------------------------------------------------


def target(path: str, query: Query) -> str:
    """The request target: version, path and query."""
    if not query:
        return API + path
    # 3 ms, with ipaddress behind it: `pysup ps` can do without.
    from urllib.parse import urlencode  # noqa: PLC0415

    with _utf8():
        return f"{API}{path}?{urlencode(query)}"


def segment(name: str) -> str:
    """A name as one segment of a path: whatever is in it, it names one thing of one kind.

    Raises NotFound for the empty name, which would name all of them.
    """
    if not name:
        raise NotFound("cannot find what has no name")
    plain = name.replace("_", "").replace("-", "").replace(".", "")
    if plain.isascii() and plain.isalnum():
        return name
    from urllib.parse import quote  # noqa: PLC0415 - as above

    with _utf8():
        return quote(name, safe="")


def container_path(name: str, verb: str = "") -> str:
    """``/containers/NAME/VERB``. Raises NotFound for the empty name."""
    return f"/containers/{segment(name)}/{verb}" if verb else f"/containers/{segment(name)}"


def request(
    method: str,
    path: str,
    *,
    query: Query = None,
    body: object = None,
    upgrade: bool = False,
    chunked: bool = False,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a request with a JSON body, none, or one that follows in chunks (see chunk()).

    Raises BadRequest for text that came from the command line or the environment and is not UTF-8.
    """
    with _utf8():
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {target(path, query)} HTTP/1.1", "Host: pysup", "User-Agent: pysup"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if upgrade:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    if chunked:
        lines += ["Content-Type: application/x-tar", "Transfer-Encoding: chunked"]
    elif body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    elif method in {"POST", "PUT"}:
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", ""]).encode() + content


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextmanager
def _utf8() -> Iterator[None]:
    """JSON and the database hold Unicode; bytes of the command line that are none came as surrogates (PEP 383)."""
    try:
        yield
    except UnicodeEncodeError as error:
        wrong = _bytes_of(error.object[error.start : error.end])
        raise BadRequest(f"cannot send the request: {wrong!r} is not UTF-8") from None


# -- answers -------------------------------------------------------------------------------------------------

_CLASSES: dict[int, type[PysupError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: NotSupported,
}


def error_of(status: int, body: bytes) -> PysupError:
    """The error that an answer tells of; ``exit_code`` is set on it where the daemon named one."""
    try:
        document = json.loads(body)
        message = str(document["message"])
    except (ValueError, KeyError, TypeError):
        document, message = {}, body.decode("utf-8", "replace").strip() or f"status {status}"
    error = _CLASSES.get(status, Unavailable)(message)
    if isinstance(document.get("exit_code"), int):
        error.exit_code = document["exit_code"]  # type: ignore[attr-defined]
    return error


def document_of(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a body; None if it is empty."""
    return json.loads(body) if body.strip() else None


def _bytes_of(text: str) -> bytes:
    """As they came on the command line; other halves of surrogate pairs never were any."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
