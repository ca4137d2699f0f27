"""What GET /info says of registries (moby api/types/registry, ServiceConfig)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.reference import HUB

Json = dict[str, Any]

_LOOPBACK = ("::1/128", "127.0.0.0/8")


def registry_config(settings: Settings) -> Json:
    """Mirrors, and who may be insecure; the loopback interface always may."""
    mirrors = list(settings.registry_mirrors)
    networks = [one for one in settings.insecure_registries if "/" in one]
    hosts = [one for one in settings.insecure_registries if "/" not in one]
    hub = {"Name": HUB, "Mirrors": mirrors, "Secure": True, "Official": True}
    others = {one: {"Name": one, "Mirrors": [], "Secure": False, "Official": False} for one in hosts}
    return {
        "InsecureRegistryCIDRs": [*_LOOPBACK, *networks],
        "IndexConfigs": {HUB: hub, **others},
        "Mirrors": mirrors or None,
    }


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the daemon's environment, without their passwords."""
    names = {"HttpProxy": "http_proxy", "HttpsProxy": "https_proxy", "NoProxy": "no_proxy"}
    return {
        key: _masked(environment.get(name.upper()) or environment.get(name) or "")
        for key, name in names.items()
    }


def _masked(url: str) -> str:
    try:
        place = urlsplit(url)
    except ValueError:
        return ""
    if "@" not in place.netloc:
        return url
    return place._replace(netloc="xxxxx:xxxxx@" + place.netloc.rpartition("@")[2]).geturl()
