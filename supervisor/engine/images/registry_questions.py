"""What is asked of a registry without moving an image: whether it knows somebody, and what a name leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pysup.supervisor.engine.images.registries import Registries, shown
from pysup.supervisor.errors import Forbidden, Unauthorized
from pysup.supervisor.images.documents import Descriptor
from pysup.supervisor.images.platforms import Platform
from pysup.supervisor.images.registry.credentials import Credentials
from pysup.supervisor.images.registry.endpoints import scope_of
from pysup.supervisor.images.registry.failures import message_of
from pysup.supervisor.images.registry.resolving import document, platforms
from pysup.supervisor.spec.reference import Reference

if TYPE_CHECKING:
    from pysup.supervisor.images.registry.session import Session

_OK, _UNAUTHORIZED = 200, 401


class Described(NamedTuple):
    """What a name leads to in its registry."""

    descriptor: Descriptor
    platforms: list[Platform]


async def log_in(registries: Registries, registry: str, credentials: Credentials) -> str:
    """Whether a registry knows somebody; the identity token that it gives instead of the password, or "".

    Raises Unauthorized, Unavailable.
    """
    try:
        return await registries.first(
            registry,
            f"log in to {shown(registry)}",
            _log_in,
            credentials=credentials,
            writing=True,
            lasting=True,
        )
    except Forbidden as error:
        raise Unauthorized(str(error)) from None


async def _log_in(session: Session) -> str:
    async with session.send("GET", "/v2/") as response:
        if response.status_code == _UNAUTHORIZED:
            said = message_of(await response.aread())
            raise Forbidden(f"cannot {session.task}: wrong name or password{': ' * bool(said)}{said}")
        await session.expect(response, (_OK,))
    return session.identity_token


async def describe(registries: Registries, name: Reference, credentials: Credentials) -> Described:
    """What a name leads to. Raises NotFound, Forbidden, BadImage, Unavailable."""

    async def use(session: Session) -> Described:
        found = await document(session, name)
        return Described(found.descriptor, await platforms(session, name, found))

    wanted = (scope_of(name.path, "pull"),)
    return await registries.first(
        name.registry, f"inspect {name}", use, credentials=credentials, wanted=wanted
    )
