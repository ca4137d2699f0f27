"""A token server for docker-registry (distribution, token authentication), which knows users and what they may do."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import load_pem_x509_certificate

from . import own_network
from .certificates import Authority
from .small_server import Quiet, SmallServer

SERVICE = "registry of the tests"
_REFRESH = "buys tokens for "


class User(NamedTuple):
    """Somebody."""

    password: str
    actions: Collection[str]
    """Of ``pull`` and ``push``, on every repository."""


class Asked(NamedTuple):
    """One token that was asked for."""

    user: str
    scopes: list[str]
    by_refresh: bool


class TokenServer(SmallServer):
    """``with TokenServer(directory, users) as tokens``: then ``tokens.auth`` is what a Registry has to be told."""

    def __init__(self, directory: Path, users: Mapping[str, User]) -> None:
        own_network.enter()
        super().__init__(_Handler)
        files = Authority("tokens of the tests").write(directory / "tokens", "tokens")
        self.users = users
        self.asked: list[Asked] = []
        self._key = serialization.load_pem_private_key((files / "key.pem").read_bytes(), None)
        certificate = load_pem_x509_certificate((files / "cert.pem").read_bytes())
        self._chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
        realm = f"http://{self.host}/token"
        self.auth: dict[str, Any] = {
            "token": {
                "realm": realm,
                "service": SERVICE,
                "issuer": "tests",
                "rootcertbundle": str(files / "ca.pem"),
            }
        }

    def token(self, user: str, scopes: list[str], *, by_refresh: bool) -> str:
        """For as much of it as the user may do (RFC 7519)."""
        self.asked.append(Asked(user, scopes, by_refresh))
        now = int(time.time())
        claims = {
            "iss": "tests",
            "sub": user,
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 5,
            "iat": now,
            "jti": str(len(self.asked)),
            "access": [self._access(user, scope) for scope in scopes],
        }
        head = {"typ": "JWT", "alg": "ES256", "x5c": self._chain}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{_base64(self._signature(signed.encode()))}"

    def _access(self, user: str, scope: str) -> dict[str, object]:
        kind, name, actions = scope.split(":")
        allowed = [
            one for one in actions.split(",") if user in self.users and one in self.users[user].actions
        ]
        return {"type": kind, "name": name, "actions": allowed}

    def _signature(self, content: bytes) -> bytes:
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        numbers = decode_dss_signature(self._key.sign(content, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class _Handler(Quiet):
    protocol_version = "HTTP/1.1"
    server: TokenServer

    def do_GET(self) -> None:
        """By a password, or for nobody in particular."""
        query = parse_qs(self.path.partition("?")[2])
        user = self._user()
        if user is None:
            return self._answer({"details": "nobody of this name and password"}, 401)
        found = {"token": self.server.token(user, _scopes(query), by_refresh=False)} | (
            {"refresh_token": _REFRESH + user} if user and query.get("offline_token") == ["true"] else {}
        )
        return self._answer(found)

    def do_POST(self) -> None:
        """By an identity token (RFC 6749, 6)."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user = form["refresh_token"][0].removeprefix(_REFRESH)
        if form["grant_type"] != ["refresh_token"] or user not in self.server.users:
            return self._answer({"error": "invalid_grant"}, 401)
        return self._answer({"access_token": self.server.token(user, _scopes(form), by_refresh=True)})

    def _user(self) -> str | None:
        """Whoever it is; None for a wrong password."""
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        try:
            name, _, password = base64.b64decode(given).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        users = self.server.users
        return name if not given or (name in users and users[name].password == password) else None

    def _answer(self, document: object, status: int = 200) -> None:
        self.answer(status, json.dumps(document).encode())


def _scopes(query: Mapping[str, list[str]]) -> list[str]:
    return [one for text in query.get("scope", []) for one in text.split()]
