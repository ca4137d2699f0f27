"""Sealing the values of secrets: AES-256-GCM with one key, which is in a file of its own and never in the store.

What is sealed opens under the name alone that it was sealed for: a row that was changed, or given another row's
value, is an error. The library is imported when the first secret needs it. (NIST SP 800-38D; cryptography.io.)
"""

from __future__ import annotations

import os
import secrets
import stat

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import files

_KEY = 32
_NONCE = 12
"""Bytes; random, which is safe for 2^32 values of one key."""


class Seal:
    """The daemon's key. Everything here blocks for a moment: call it in a thread."""

    def __init__(self, path: str, *, make: bool) -> None:
        """``make``: a missing key is made; a file that somebody has named must be there."""
        self._path = path
        self._make = make

    def close(self, name: str, value: bytes) -> bytes:
        """Seal a value. Raises Unavailable."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        nonce = secrets.token_bytes(_NONCE)
        sealed: bytes = AESGCM(self._key(make=self._make)).encrypt(nonce, value, name.encode())
        return nonce + sealed

    def open(self, name: str, sealed: bytes) -> bytes:
        """The value. Raises Unavailable for another key, or for what was changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        key = self._key(make=False)
        try:
            value: bytes = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        except (InvalidTag, ValueError):
            raise Unavailable(
                f"cannot use secret {name}: it was not sealed with the key in {self._path}, or was changed"
            ) from None
        return value

    def _key(self, *, make: bool) -> bytes:
        try:
            return self._read()
        except FileNotFoundError:
            if not make:
                raise Unavailable(f"cannot use secrets: the key file {self._path} is missing") from None
        except OSError as error:
            raise Unavailable(f"cannot use secrets: {self._path}: {error.strerror}") from error
        try:
            self._write_new()
            return self._read()
        except OSError as error:
            raise Unavailable(f"cannot make the key {self._path}: {error.strerror}") from error

    def _read(self) -> bytes:
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found, key = os.fstat(fd), os.read(fd, _KEY + 1)
        finally:
            os.close(fd)
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Unavailable(f"cannot use secrets: the key file {self._path} is open to others (chmod 600)")
        if len(key) != _KEY:
            raise Unavailable(f"cannot use secrets: the key file {self._path} has not {_KEY} bytes")
        return key

    def _write_new(self) -> None:
        """Whole or not at all; a crash leaves ``….new``, which the next try writes over. One at a time."""
        new = f"{self._path}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, 0o600)
            os.write(fd, secrets.token_bytes(_KEY))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, self._path)
        files.sync_directory(os.path.dirname(self._path))
