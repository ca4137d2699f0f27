"""Docker's config.json: who one is at which registry, kept there in base64, or by a credential helper.

Sources: docker/cli config/configfile, config/credentials; docker-credential-helpers (the helpers' protocol).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import tempfile
from typing import Any

from pysup.supervisor.cli.files import reading
from pysup.supervisor.errors import PysupError

HUB = "https://index.docker.io/v1/"
"""What docker calls its hub here."""
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_TOKEN = "<token>"  # noqa: S105 - the name that stands for a token instead of a password
_NOT_FOUND = "credentials not found in native keychain"

Auth = dict[str, str]
"""``username`` and ``password``, or ``identitytoken``, with ``serveraddress``: docker's AuthConfig."""


def path() -> str:
    """Where it is: in DOCKER_CONFIG, else in ~/.docker."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    return os.path.join(directory, "config.json")


def key_of(registry: str) -> str:
    """What a registry is filed under."""
    name = registry.partition("://")[2] or registry
    name = name.partition("/")[0]
    return HUB if not registry or name in _HUB_NAMES else name


def load() -> dict[str, Any]:
    """The whole file; {} if there is none. Raises PysupError."""
    try:
        found = json.loads(reading.text(path()))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PysupError(f"cannot read {path()}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise PysupError(f"cannot read {path()}: it is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise PysupError(f"cannot read {path()}: it is not a JSON object")
    return found


def find(registry: str) -> Auth:
    """Who one is there; {}: nobody. Raises PysupError."""
    config, key = load(), key_of(registry)
    helper = _helper(config, key)
    found = _ask(helper, key) if helper else _kept(config, key)
    return {**found, "serveraddress": key} if found else {}


def everywhere() -> dict[str, Auth]:
    """Who one is at each registry that is filed, by what it is filed under. Raises PysupError."""
    config = load()
    keys = {key_of(name) for kind in ("auths", "credHelpers") for name in config.get(kind) or {}}
    return {key: auth for key in sorted(keys) if (auth := find(key))}


def header(registry: str) -> dict[str, str]:
    """X-Registry-Auth for a request that concerns a registry."""
    content = json.dumps(find(registry)).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(content).decode()}


def store(registry: str, auth: Auth) -> bool:
    """Keep who one is; whether a helper keeps it, so that it is in no file. Raises PysupError."""
    config, key = load(), key_of(registry)
    helper = _helper(config, key)
    token = auth.get("identitytoken")
    if helper:
        name, secret = (_TOKEN, token) if token else (auth["username"], auth["password"])
        _run(helper, "store", json.dumps({"ServerURL": key, "Username": name, "Secret": secret}))
        return True
    text = base64.b64encode(f"{auth['username']}:{'' if token else auth['password']}".encode()).decode()
    entry = {"auth": text} | ({"identitytoken": token} if token else {})
    config.setdefault("auths", {})[key] = entry
    _save(config)
    return False


def erase(registry: str) -> bool:
    """Forget who one is; False if nobody knew. Raises PysupError."""
    config, key = load(), key_of(registry)
    helper = _helper(config, key)
    known = bool(_ask(helper, key)) if helper else False
    if helper and known:
        _run(helper, "erase", key)
    names = [name for name in config.get("auths") or {} if key_of(name) == key]
    for name in names:
        del config["auths"][name]
    if names:
        _save(config)
    return known or bool(names)


def _helper(config: dict[str, Any], key: str) -> str:
    name = (config.get("credHelpers") or {}).get(key) or config.get("credsStore") or ""
    if not isinstance(name, str) or "/" in name:
        raise PysupError(
            f"cannot use credential helper {name!r} in {path()}: it is not the name of a program"
        )
    return name


def _kept(config: dict[str, Any], key: str) -> Auth:
    for name, entry in (config.get("auths") or {}).items():
        if key_of(name) != key or not isinstance(entry, dict):
            continue
        if entry.get("identitytoken"):
            return {"identitytoken": str(entry["identitytoken"])}
        if entry.get("auth"):
            return _decoded(str(entry["auth"]))
    return {}


def _decoded(text: str) -> Auth:
    try:
        name, colon, password = base64.b64decode(text).decode().rstrip("\0").partition(":")
    except ValueError:
        colon = ""
    if not colon:
        raise PysupError(f"cannot read {path()}: an auth in it is not base64 of NAME:PASSWORD")
    return {"username": name, "password": password}


def _ask(helper: str, key: str) -> Auth:
    done = _start(helper, "get", key)
    if done.returncode:
        if _NOT_FOUND in done.stdout:
            return {}
        raise _failed(helper, done)
    try:
        found = json.loads(done.stdout)
        name, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise PysupError(
            f"cannot use credential helper {helper}: its answer is not what it should be"
        ) from None
    if not secret:
        return {}
    return {"identitytoken": secret} if name == _TOKEN else {"username": name, "password": secret}


def _run(helper: str, verb: str, content: str) -> None:
    done = _start(helper, verb, content)
    if done.returncode:
        raise _failed(helper, done)


def _failed(helper: str, done: subprocess.CompletedProcess[str]) -> PysupError:
    cause = " ".join((done.stdout or done.stderr).split()) or f"exit code {done.returncode}"
    return PysupError(f"cannot use credential helper {helper}: {cause}")


def _start(helper: str, verb: str, content: str) -> subprocess.CompletedProcess[str]:
    program = f"docker-credential-{helper}"
    try:
        return subprocess.run([program, verb], input=content, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PysupError(f"cannot use credential helper {program}: {error.strerror}") from None


def _save(config: dict[str, Any]) -> None:
    """Under another name until it is whole; for the owner's eyes only. A link stays a link."""
    target = os.path.realpath(path())
    directory = os.path.dirname(target)
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".config-", dir=directory)
        with contextlib.ExitStack() as stack:
            stack.callback(os.unlink, temporary)
            with open(fd, "w", encoding="utf-8") as file:
                json.dump(config, file, indent="\t")
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, target)
            stack.pop_all()
    except OSError as error:
        raise PysupError(f"cannot write {target}: {error.strerror}") from None
