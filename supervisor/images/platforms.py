"""Platforms of images, ``os/architecture[/variant]``, and the choice among those of an index. Pure.

Sources: OCI image-spec image-index.md; containerd platforms (normalisation of names, which variants run where).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.images.documents import Descriptor

_ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
}
_DEFAULT_VARIANTS = {"arm": "v7", "arm64": "v8"}
_ARCHITECTURES = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le"}
    | {"riscv64", "s390x"}
)
"""Those of GOARCH that run Linux."""
_WHOLE = 3
REFERENCE = "vnd.docker.reference.type"
"""An annotation of what is no image but tells of one (attestations of BuildKit)."""


class Platform(NamedTuple):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))


def platform_of(document: Mapping[str, Any]) -> Platform:
    """Of a config, or of the ``platform`` of an index's entry."""
    architecture, variant = _normal(
        str(document.get("architecture") or ""), str(document.get("variant") or "")
    )
    return Platform(str(document.get("os") or "linux"), architecture, variant)


def parse_platform(text: str) -> Platform:
    """``linux/arm64/v8``, ``linux/amd64``, ``arm64``. Raises BadRequest; a word alone must be a known architecture."""
    parts = text.lower().split("/")
    if not all(parts) or len(parts) > _WHOLE:
        raise BadRequest(f"cannot use platform {text[:100]!r}: it is not OS/ARCHITECTURE[/VARIANT]")
    if len(parts) == 1:
        if _normal(parts[0], "")[0] not in _ARCHITECTURES:
            raise BadRequest(f"cannot use platform {text[:100]!r}: unknown operating system or architecture")
        parts = ["linux", *parts]
    return Platform(parts[0], *_normal(parts[1], parts[2] if len(parts) == _WHOLE else ""))


def _normal(architecture: str, variant: str) -> tuple[str, str]:
    name, own = _ALIASES.get(architecture.lower(), (architecture.lower(), ""))
    chosen = variant or own
    return name, "" if _DEFAULT_VARIANTS.get(name) == chosen else chosen


def runs_on(image: Platform, wanted: Platform) -> bool:
    """Whether an image is of this platform; variants count only for the choice."""
    return image[:2] == wanted[:2]


def choose(entries: Sequence[Descriptor], wanted: Platform) -> Descriptor:
    """The entry of an index for a platform: the exact variant, else the first of the architecture.

    An entry without a platform is taken only if there is no other. Raises NotFound, naming what there is.
    """
    images = [entry for entry in entries if REFERENCE not in entry.annotations]
    fitting = [entry for entry in images if entry.platform and runs_on(platform_of(entry.platform), wanted)]
    exact = [entry for entry in fitting if platform_of(entry.platform or {}) == wanted]
    unknown = [entry for entry in images if entry.platform is None]
    for found in (exact, fitting, unknown if len(unknown) == len(images) else ()):
        if found:
            return found[0]
    there = ", ".join(sorted({str(platform_of(entry.platform)) for entry in images if entry.platform}))
    raise NotFound(f"cannot find an image for {wanted}: there is {there or 'none'}")
