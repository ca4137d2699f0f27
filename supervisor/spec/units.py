"""Sizes and durations as docker writes and reads them. Pure and light: the CLI imports it on every command.

A text that is no size or duration raises ValueError; its text is the cause alone, for the caller to complete.
Sources: docker/go-units (size.go, duration.go) and Go's time.ParseDuration and Duration.String.
"""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")

_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_TERM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_BAR = 50
"""Letters of a progress bar."""
_LONGEST_TEXT = 64
_LARGEST = (1 << 63) - 1


def parse_size(text: str) -> int:
    """``512m`` to bytes: powers of 1024, an optional ``b`` or ``ib`` after the unit (go-units RAMInBytes)."""
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError(f"invalid size: {text[:_LONGEST_TEXT]!r}")
    size = _scaled(match[1], 1024 ** _POWERS[match[2].lower()])
    if size > _LARGEST:
        raise ValueError(f"invalid size: {text!r}: too large")
    return size


def format_size(size: float) -> str:
    """Bytes in binary units with four significant digits: ``1.5MiB`` (go-units BytesSize)."""
    return _with_unit(size, 1024.0, _BINARY)


def format_decimal_size(size: float) -> str:
    """Bytes in decimal units with three significant digits: ``1.23MB`` (HumanSizeWithPrecision)."""
    return _with_unit(size, 1000.0, _DECIMAL, digits=3)


def format_long_decimal_size(size: float) -> str:
    """Bytes in decimal units with four significant digits: ``1.234MB`` (go-units HumanSize), for sums."""
    return _with_unit(size, 1000.0, _DECIMAL)


def progress_bar(current: int, total: int) -> str:
    """``[====>     ]  1.5MB/3MB`` (moby pkg/jsonmessage); empty where there is nothing to measure."""
    if total <= 0:
        return ""
    done = min(_BAR, _BAR * current // total)
    head = "=" * done + ">" * (done < _BAR)
    return f"[{head:<{_BAR}}] {format_decimal_size(current):>8}/{format_decimal_size(total)}"


def _with_unit(size: float, base: float, units: tuple[str, ...], *, digits: int = 4) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    return f"{size:.{digits}g}{units[index]}"


def parse_duration(text: str) -> float:
    """``1m30s``, ``500ms``, or a plain number of seconds, to seconds (Go's ParseDuration; no sign)."""
    if len(text) <= _LONGEST_TEXT:
        if _NUMBER.fullmatch(text):
            return _bounded(_scaled(text, 10**9), text)
        terms = _TERM.findall(text)
        if terms and "".join(number + unit for number, unit in terms) == text:
            return _bounded(sum(_scaled(number, _NANOSECONDS[unit]) for number, unit in terms), text)
    raise ValueError(f"invalid duration: {text[:_LONGEST_TEXT]!r} (it is like 1m30s, 500ms, or seconds)")


def _bounded(nanoseconds: int, text: str) -> float:
    if nanoseconds > _LARGEST:
        raise ValueError(f"invalid duration: {text!r}: too long")
    return nanoseconds / 10**9


def _scaled(number: str, factor: int) -> int:
    """A decimal text times an integer, rounded down, without floats: no digit is lost."""
    whole, _, part = number.partition(".")
    return int((whole or "0") + part) * factor // int(10 ** len(part))


def format_duration(seconds: float) -> str:
    """Seconds as Go prints a Duration: ``1m30s``, ``500ms``, ``1h0m0s``, ``0s``."""
    nanoseconds = round(seconds * 10**9)
    if nanoseconds < 0:
        return "-" + format_duration(-seconds)
    if nanoseconds == 0:
        return "0s"
    for unit in ("ns", "µs", "ms"):
        if nanoseconds < _NANOSECONDS[unit] * 1000:
            return _decimal(nanoseconds, _NANOSECONDS[unit]) + unit
    minutes, rest = divmod(nanoseconds, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = _decimal(rest, 10**9) + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{part:0{digits}d}".rstrip("0") if part else str(whole)


_HUMAN = (
    (1, "Less than a second", 0, ""),
    (2, "1 second", 0, ""),
    (60, "", 1, "seconds"),
    (120, "About a minute", 0, ""),
    (46 * 60, "", 60, "minutes"),
)
_HOUR = 3600


def human_duration(seconds: float) -> str:
    """About how long, in words: ``5 minutes``, ``About an hour`` (go-units HumanDuration)."""
    if seconds < 1:
        return "Less than a second"
    for limit, words, divisor, unit in _HUMAN:
        if seconds < limit:
            return words or f"{int(seconds) // divisor} {unit}"
    hours = int(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    return _long_duration(hours)


def _long_duration(hours: int) -> str:
    for limit, divisor, unit in (
        (48, 1, "hours"),
        (24 * 7 * 2, 24, "days"),
        (24 * 30 * 2, 24 * 7, "weeks"),
        (24 * 365 * 2, 24 * 30, "months"),
    ):
        if hours < limit:
            return f"{hours // divisor} {unit}"
    return f"{hours // (24 * 365)} years"
