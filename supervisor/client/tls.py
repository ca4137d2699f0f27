"""A daemon behind mutual TLS, as a plain socket: a thread copies between that and the connection.

So nothing else of the client has to know of TLS, whose sockets neither poll(2) nor shut down one direction as others
do. Imported for tcp:// with certificates only. RFC 8446; the files are those of docker: DOCKER_CERT_PATH.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
from contextlib import suppress

from pysup.supervisor.client.core import Tls
from pysup.supervisor.errors import Unavailable

_PIECE = 64 << 10
_MOST_WAITING = 256 << 10
"""Bytes on their way to the daemon; then no more are read."""


def connect(host: str, port: int, tls: Tls, shown: str) -> socket.socket:
    """A socket that leads to the daemon. Raises Unavailable, OSError."""
    context = _context(tls)
    outer = socket.create_connection((host, port))
    inner, ours = socket.socketpair()
    relay = _Relay(inner, outer, context, host)
    try:
        relay.shake_hands()
    except ssl.SSLError as error:
        for sock in (outer, inner, ours):
            sock.close()
        raise Unavailable(f"cannot connect to the daemon at {shown}: TLS: {_cause(error)}") from None
    except BaseException:
        for sock in (outer, inner, ours):
            sock.close()
        raise
    threading.Thread(target=relay.run, args=(shown,), name="pysup tls", daemon=True).start()
    return ours


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.verify:
            context.load_verify_locations(tls.ca)
        else:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise Unavailable(
            f"cannot use TLS with {tls.ca or 'no authority'}, {tls.cert} and {tls.key}: {cause}"
        ) from None
    return context


def _cause(error: ssl.SSLError) -> str:
    return (getattr(error, "verify_message", "") or error.reason or str(error)).lower().replace("_", " ")


class _Relay:
    """Copies until what the daemon sends is at its end, or nobody is there for it."""

    def __init__(
        self, inner: socket.socket, outer: socket.socket, context: ssl.SSLContext, host: str
    ) -> None:
        self._inner = inner
        self._outer = outer
        self._received, self._made = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._made, server_hostname=host)
        self._waiting = bytearray()
        """What the daemon is to get, encrypted."""
        self._sending = True
        self._answered = False

    def shake_hands(self) -> None:
        """Raises ssl.SSLError, OSError."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._outer.sendall(self._made.read())
                data = self._outer.recv(_PIECE)
                if not data:
                    raise ssl.SSLEOFError(0, "the connection was closed") from None
                self._received.write(data)
            else:
                self._waiting += self._made.read()
                return

    def run(self, shown: str) -> None:
        """The thread."""
        with self._inner, self._outer:
            self._outer.setblocking(False)  # noqa: FBT003 - socket's own signature
            try:
                while self._step():
                    pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                pass
            except ssl.SSLError as error:
                self._tell(f"cannot connect to the daemon at {shown}: TLS: {_cause(error)}")
            except OSError:
                pass

    def _step(self) -> bool:
        """Wait, then copy what there is; False if nobody is there any more."""
        poll = select.poll()
        reading = self._sending and len(self._waiting) < _MOST_WAITING
        poll.register(self._inner, select.POLLIN if reading else 0)
        poll.register(self._outer, select.POLLIN | (select.POLLOUT if self._waiting else 0))
        ready = dict(poll.poll())
        inner = ready.get(self._inner.fileno(), 0)
        if inner & select.POLLIN:
            self._take()
        elif inner:
            return False
        self._exchange(readable=bool(ready.get(self._outer.fileno(), 0) & ~select.POLLOUT))
        return self._give()

    def _take(self) -> None:
        """The end of it is told by a message; the daemon's direction stays open. unwrap() wants an answer to it."""
        data = self._inner.recv(_PIECE)
        if data:
            self._tls.write(data)
        else:
            self._sending = False
            with suppress(ssl.SSLWantReadError):
                self._tls.unwrap()

    def _exchange(self, *, readable: bool) -> None:
        """Read first: a daemon that refuses us says why before it breaks the connection off."""
        if readable:
            data = b""
            with suppress(ConnectionError):
                data = self._outer.recv(_PIECE)
            if data:
                self._received.write(data)
            else:
                self._received.write_eof()
        self._waiting += self._made.read()
        try:
            if self._waiting:
                del self._waiting[: self._outer.send(self._waiting)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._waiting.clear()

    def _give(self) -> bool:
        """All that has come; False at its end, or ssl.SSLZeroReturnError if we have ended, too."""
        with suppress(ssl.SSLWantReadError):
            while data := self._tls.read(_PIECE):
                self._inner.sendall(data)
                self._answered = True
            return False
        return True

    def _tell(self, cause: str) -> None:
        """With TLS 1.3 a daemon refuses a certificate after the handshake: that is made its answer."""
        if self._answered:
            return
        body = json.dumps({"message": cause})
        head = f"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        with suppress(OSError):
            self._inner.sendall((head + body).encode())
            self._inner.shutdown(socket.SHUT_WR)
            while self._inner.recv(_PIECE):  # the request may still come
                pass
