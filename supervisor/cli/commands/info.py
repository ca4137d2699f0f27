"""``pysup info`` and ``pysup version``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pysup.supervisor import __version__
from pysup.supervisor.cli.connection import API_VERSION, connect
from pysup.supervisor.cli.flags import Syntax, text
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.output.rendered import rendered_alone
from pysup.supervisor.errors import NotFound, PysupError
from pysup.supervisor.spec.architecture import go_name

_FORMAT = text("format", "Format output: 'json', or a Go TEMPLATE such as '{{.ServerVersion}}'", short="f")

INFO = Syntax("info", "[OPTIONS]", "Display system-wide information", (_FORMAT,))
VERSION = Syntax("version", "[OPTIONS]", "Show the version information", (_FORMAT,))

_LINES = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Root Dir", "DockerRootDir"),
)


def info(argv: Sequence[str]) -> int:
    """``pysup info``."""
    form = INFO.parse(argv).text("format")
    client = connect()
    facts = client.get("/info")
    with suppress(NotFound):  # a daemon of docker's
        facts["Pysup"] = client.get("/pysup/info")
    if form:
        shown.write(rendered_alone(facts, form))
        return 0
    for line in info_lines(facts):
        print(line)
    for warning in facts.get("Warnings") or []:
        print(warning, file=sys.stderr)
    return 0


def info_lines(facts: Any) -> Iterator[str]:
    """The readable form: docker's lines, then what pysup found on the machine."""
    yield "Client:"
    yield f" Version: {__version__}"
    yield ""
    yield "Server:"
    for label, key in _LINES:
        if facts.get(key) not in (None, ""):
            yield f" {label}: {_shown(key, facts[key])}"
    yield from _registry_lines(facts.get("RegistryConfig") or {})
    yield from _own_lines(facts.get("Pysup") or {})


def _registry_lines(found: Any) -> Iterator[str]:
    hosts = [name for name, one in (found.get("IndexConfigs") or {}).items() if not one.get("Secure")]
    for label, names in (
        ("Insecure Registries", [*hosts, *(found.get("InsecureRegistryCIDRs") or [])]),
        ("Registry Mirrors", found.get("Mirrors") or []),
    ):
        if names:
            yield f" {label}:"
            yield from (f"  {name}" for name in names)


def _shown(key: str, value: Any) -> str:
    if key != "MemTotal":
        return str(value)
    from pysup.supervisor.spec.units import format_size

    return format_size(value)


def _own_lines(own: Any) -> Iterator[str]:
    """What docker has no field for: bounds of the logs, controllers, features and what a missing one costs."""
    settings = own.get("Settings") or {}
    if settings:
        yield f" Log Limits: {_log_limits(settings)}"
        yield f" Default Pids Limit: {settings.get('DefaultPidsLimit') or 'none'}"
    if own.get("Controllers"):
        yield f" Controllers: {' '.join(own['Controllers'])}"
    features = own.get("Features") or {}
    if features:
        yield " Features:"
    for name, feature in features.items():
        yield f"  {name}: {_feature(feature)}"


def _log_limits(settings: Any) -> str:
    from pysup.supervisor.spec.units import format_duration, format_size

    files, size = settings.get("LogMaxFiles"), format_size(settings.get("LogMaxSize") or 0)
    total, kept = (
        format_size(settings.get("LogTotal") or 0),
        format_duration(settings.get("LogRetention") or 0),
    )
    return f"{files} files of {size} for a container, {total} in total (with indexes), kept {kept} after its removal"


def _feature(feature: Any) -> str:
    """``yes (detail)``, or ``no: what its lack costs``."""
    detail, cost = str(feature.get("detail") or ""), str(feature.get("cost") or "unknown cost")
    if not feature.get("present"):
        return f"no: {cost}"
    return f"yes ({detail})" if detail else "yes"


def version(argv: Sequence[str]) -> int:
    """``pysup version``: the client's, and the server's if there is one."""
    form = VERSION.parse(argv).text("format")
    facts: dict[str, Any] = {"Client": _client(), "Server": None}
    error: PysupError | None = None
    try:
        facts["Server"] = connect().get("/version")
    except PysupError as failure:
        error = failure
    if form:
        shown.write(rendered_alone(facts, form))
    else:
        for line in version_lines(facts):
            print(line)
    if error:
        raise error
    return 0


def _client() -> dict[str, str]:
    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "PythonVersion": platform.python_version(),
        "Os": sys.platform,
        "Arch": go_name(platform.machine()),
    }


def version_lines(facts: Any) -> Iterator[str]:
    """The readable form."""
    yield "Client: pysup"
    yield from _pairs(facts["Client"], ("Version", "ApiVersion", "PythonVersion"), " ")
    server = facts["Server"]
    if not server:
        return
    yield ""
    yield f"Server: {(server.get('Platform') or {}).get('Name', '')}".rstrip()
    yield from _pairs(server, ("Version", "ApiVersion", "MinAPIVersion", "KernelVersion"), " ")


_LABELS = {
    "ApiVersion": "API version",
    "PythonVersion": "Python version",
    "MinAPIVersion": "Minimum API version",
    "KernelVersion": "Kernel version",
}


def _pairs(source: Any, keys: Sequence[str], indent: str) -> Iterator[str]:
    for key in keys:
        if source.get(key):
            yield f"{indent}{_LABELS.get(key, key) + ':':<21}{source[key]}"
    yield f"{indent}{'OS/Arch:':<21}{source.get('Os', '')}/{source.get('Arch', '')}"
