"""Build arguments (ARG and --build-arg) and where they can be seen (Dockerfile reference, ARG; moby buildargs.go)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PREDEFINED = frozenset(name for proxy in _PROXIES for name in (proxy, proxy.lower()))
"""Known without ARG; without it their values are no part of the cache's keys or the history."""


@dataclass(slots=True)
class Arguments:
    """Those of one build; each stage sees those that it declares."""

    given: Mapping[str, str | None]
    """--build-arg; None: the name alone, which has no value here."""
    before_from: dict[str, str | None] = field(default_factory=dict)
    """Declared before the first FROM: seen by FROM, and by stages that declare the name again."""
    declared: dict[str, str | None] = field(default_factory=dict)
    """In this stage, with their defaults."""
    used: set[str] = field(default_factory=set)

    def begin_stage(self) -> None:
        """Nothing is declared any more."""
        self.declared = {}

    def declare_before_from(self, name: str, default: str | None) -> None:
        """ARG before FROM."""
        self.used.add(name)
        self.before_from[name] = default

    def declare(self, name: str, default: str | None) -> None:
        """ARG in a stage: without a default that from before FROM counts."""
        self.used.add(name)
        self.declared[name] = self.before_from.get(name) if default is None else default

    def _value(self, name: str, default: str | None) -> str | None:
        given = self.given.get(name)
        return default if given is None else given

    def for_from(self) -> dict[str, str]:
        """What FROM may use."""
        found = {name: self._value(name, default) for name, default in self.before_from.items()}
        return {name: value for name, value in found.items() if value is not None}

    def in_stage(self, env: Mapping[str, str]) -> dict[str, str]:
        """What a stage's instructions see beside its variables, which count more."""
        wanted: dict[str, str | None] = {
            name: self._value(name, value) for name, value in self.declared.items()
        }
        for name in PREDEFINED - set(self.declared):
            wanted[name] = self.given.get(name)
        return {name: value for name, value in wanted.items() if value is not None and name not in env}

    def remembered(self, env: Mapping[str, str]) -> list[str]:
        """``name=value`` of those that make a RUN another one."""
        seen = self.in_stage(env)
        return sorted(
            f"{name}={value}"
            for name, value in seen.items()
            if name in self.declared or name not in PREDEFINED
        )

    @property
    def unused(self) -> list[str]:
        """Given, but declared nowhere."""
        return sorted(set(self.given) - self.used - PREDEFINED)
