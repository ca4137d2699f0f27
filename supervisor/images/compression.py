"""Streams without their compression, which their first bytes tell: gzip, zstandard, xz, bzip2, or none; and gzip.

gzip by ISA-L, which takes less than half of zlib's time. What a decompressor has to say becomes BadArchive.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

import zstandard
from isal import igzip, igzip_lib, isal_zlib

from pysup.supervisor.images.tar_stream import BadArchive

_BUFFER = 1 << 20
_XZ_MEMORY = 256 << 20
"""Bytes that an archive may ask for with its dictionary; ``xz -9`` needs 65 MB."""
_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    cast("type[Exception]", igzip_lib.IsalError),
)

GZIP, ZSTD, XZ, BZIP2, NONE = "gzip", "zstd", "xz", "bzip2", ""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", GZIP),
    (b"\x28\xb5\x2f\xfd", ZSTD),
    (b"\xfd7zXZ\x00", XZ),
    (b"BZh", BZIP2),
)
_GZIP_WINDOW = 16 + 15
"""zlib's way to ask for gzip's header and 32 kB of window."""
_SKIPPABLE = (0x184D2A50, 0x184D2A5F)
"""Of zstandard's frames without content (RFC 8878, 3.1.2): a stream may begin with one."""
LONGEST_MAGIC = 6


def compression_of(head: bytes) -> str:
    """By the first LONGEST_MAGIC bytes: one of the names above."""
    if _SKIPPABLE[0] <= int.from_bytes(head[:4], "little") <= _SKIPPABLE[1]:
        return ZSTD
    return next((name for magic, name in _MAGIC if head.startswith(magic)), NONE)


def decompressed(source: IO[bytes]) -> IO[bytes]:
    """The content of a stream. Reading it raises BadArchive where the compressed data is damaged or incomplete."""
    buffered = io.BufferedReader(cast("io.RawIOBase", source), _BUFFER)
    opened = _OPENED.get(compression_of(buffered.peek(LONGEST_MAGIC)))
    if opened is None:
        return cast("IO[bytes]", buffered)
    return cast("IO[bytes]", io.BufferedReader(_Checked(opened(buffered)), _BUFFER))


def gzipped(source: IO[bytes]) -> Iterator[bytes]:
    """The content of a stream, compressed: the same bytes whenever it is the same content."""
    compressor = isal_zlib.compressobj(isal_zlib.ISAL_DEFAULT_COMPRESSION, wbits=_GZIP_WINDOW)
    while data := source.read(_BUFFER):
        yield compressor.compress(data)
    yield compressor.flush()


class _Checked(io.RawIOBase):
    """Reads from a decompressor, and gives its errors one name."""

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - whatever has readinto()
        self._source = source

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase. Raises BadArchive."""
        try:
            return cast("int", self._source.readinto(buffer))
        except _ERRORS as error:
            raise BadArchive(f"cannot decompress the archive: {error}") from error
        except OSError as error:  # of gzip and bzip2: no errno, so the data is to blame
            if error.errno is not None:
                raise
            raise BadArchive(f"cannot decompress the archive: {error}") from error


class _Xz(io.RawIOBase):
    """Like lzma.LZMAFile, but with a bound on memory."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decompressor = _xz_decompressor()
        self._fresh = True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        """As RawIOBase; streams that follow each other are one, zeros between them are padding (xz's format, 2.2)."""
        while True:
            data = self._next_input()
            if not data and self._decompressor.needs_input and not self._decompressor.eof:
                if self._fresh:
                    return 0
                raise EOFError("it ends too early")
            self._fresh = False
            found = self._decompressor.decompress(data, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _next_input(self) -> bytes:
        if not self._decompressor.eof:
            return self._source.read(_BUFFER) if self._decompressor.needs_input else b""
        rest = self._decompressor.unused_data.lstrip(b"\0") or self._source.read(_BUFFER).lstrip(b"\0")
        self._decompressor, self._fresh = _xz_decompressor(), True
        return rest


def _xz_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)


def _zstandard(source: IO[bytes]) -> Any:  # noqa: ANN401 - zstandard's reader
    return zstandard.ZstdDecompressor().stream_reader(source, read_size=_BUFFER, read_across_frames=True)


_OPENED: dict[str, Callable[[IO[bytes]], Any]] = {
    GZIP: lambda source: igzip.GzipFile(fileobj=source, mode="rb"),  # type: ignore[no-untyped-call]
    ZSTD: _zstandard,
    XZ: _Xz,
    BZIP2: bz2.BZ2File,
}
