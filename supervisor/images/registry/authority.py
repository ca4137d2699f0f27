"""Being let in: a password, or a token that a password buys (distribution, token authentication; OAuth2).

A password goes only where the registry's own challenge says, and never from a TLS registry to a place without TLS.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from pysup.supervisor.errors import Forbidden, Unavailable
from pysup.supervisor.images.registry.challenges import BASIC, Challenge, chosen, scopes
from pysup.supervisor.images.registry.credentials import Credentials
from pysup.supervisor.images.registry.failures import message_of, refusal

if TYPE_CHECKING:
    import httpx

_OK, _UNAUTHORIZED = 200, 401
_CLIENT = "pysup"
_LONGEST = 1 << 20


class Authority:
    """That of one session: what it may do is asked for at once, for all of its requests."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        task: str,
        credentials: Credentials,
        wanted: Sequence[str],
        *,
        lasting: bool = False,
    ) -> None:
        """``lasting``: ask for an identity token, too, as a log-in does."""
        self._client = client
        self._task = task
        self._credentials = credentials
        self._wanted = list(wanted)
        self._lasting = lasting
        self._lock = trio.Lock()
        self.identity_token = ""
        """What the token server gave instead of the password; empty if it gives none."""
        self.authorization = f"Bearer {credentials.registry_token}" if credentials.registry_token else ""
        """The header's value; empty before anybody asked for it."""

    async def answer(self, challenges: Sequence[Challenge], *, used: str, secure: bool) -> bool:
        """Get what is asked for; False if there is nothing (new) to give. ``used`` is what has been refused.

        Raises Forbidden, Unavailable; httpx.TransportError.
        """
        async with self._lock:
            if self.authorization != used:  # somebody else was faster
                return True
            challenge = chosen(challenges)
            if challenge is None or (self._credentials.registry_token and used):
                return False
            if challenge.scheme == BASIC:
                self.authorization = self._credentials.basic
            else:
                self.authorization = "Bearer " + await self._token(challenge, secure=secure)
            return self.authorization not in {"", used}

    async def _token(self, challenge: Challenge, *, secure: bool) -> str:
        realm = challenge.parameters["realm"]
        self._check(realm, secure=secure)
        service = challenge.parameters.get("service", "")
        wanted = scopes(challenge, self._wanted)
        if self._credentials.identity_token:
            answer = await self._client.post(realm, data=self._refresh(service, wanted))
        else:
            answer = await self._client.get(
                realm, params=self._query(service, wanted), headers=self._headers()
            )
        if answer.status_code == _UNAUTHORIZED and self._has_secrets:
            said = message_of(answer.content[:_LONGEST])
            raise Forbidden(f"cannot {self._task}: wrong name or password{': ' * bool(said)}{said}")
        if answer.status_code != _OK:
            raise refusal(self._task, answer.status_code, answer.content[:_LONGEST])
        return self._read(answer.content)

    @property
    def _has_secrets(self) -> bool:
        return bool(self._credentials.username or self._credentials.identity_token)

    def _check(self, realm: str, *, secure: bool) -> None:
        scheme = urlsplit(realm).scheme
        if scheme not in {"http", "https"}:
            raise Unavailable(f"cannot {self._task}: the registry names no place for tokens")
        if secure and self._has_secrets and scheme != "https":
            raise Forbidden(f"cannot {self._task}: the registry wants the password to be sent without TLS")

    def _query(
        self, service: str, wanted: Sequence[str]
    ) -> list[tuple[str, str | int | float | bool | None]]:
        account = [("account", self._credentials.username)] if self._credentials.username else []
        lasting = [("client_id", _CLIENT), ("offline_token", "true")] if self._lasting else []
        named = [("service", service)] if service else []
        return [*account, *lasting, *named, *(("scope", one) for one in wanted)]

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._credentials.basic} if self._credentials.basic else {}

    def _refresh(self, service: str, wanted: Sequence[str]) -> dict[str, str]:
        return {
            "grant_type": "refresh_token",
            "refresh_token": self._credentials.identity_token,
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(wanted),
        }

    def _read(self, content: bytes) -> str:
        try:
            document: Any = json.loads(content[:_LONGEST])
        except (ValueError, RecursionError):
            document = None
        found = isinstance(document, dict) and (document.get("token") or document.get("access_token"))
        if not isinstance(found, str) or not found.isascii() or not found.isprintable():
            raise Unavailable(f"cannot {self._task}: the registry's token server gave no token")
        if self._lasting and isinstance(document.get("refresh_token"), str):
            self.identity_token = document["refresh_token"]
        return found
