"""Images that a run needs: pulled where they are missing, or always (``--pull``), as docker's command line does it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from pysup.supervisor.cli.again import again
from pysup.supervisor.cli.connection import Client, path
from pysup.supervisor.cli.flags import Given
from pysup.supervisor.client.responses import Lost
from pysup.supervisor.errors import BadRequest, NotFound
from pysup.supervisor.spec.reference import Reference, looks_like_id, parse_reference

ALWAYS, MISSING = "always", "missing"
_NO_IMAGE = "No such image"


def create(client: Client, given: Given, body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """What POST /containers/create answers, once the image is there. Raises PysupError."""
    name, when, platform = _name(body), given.text("pull"), given.text("platform")
    query = query | ({"platform": platform} if platform else {})
    if when == ALWAYS and name is not None:
        _pull(client, name, given)
    try:
        return _create(client, body, query)
    except NotFound as error:
        if when != MISSING or name is None or _NO_IMAGE not in str(error):
            raise
    print(f"Unable to find image '{name}' locally", file=sys.stderr)
    _pull(client, name, given)
    return _create(client, body, query)


def _create(client: Client, body: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    """The id is chosen here: where the answer is lost with the engine, the next one is asked whether it is there."""
    chosen = os.urandom(32).hex()

    def ask() -> Any:
        return client.post("/containers/create", body, query=query | {"id": chosen})

    def find() -> Any:
        with suppress(NotFound):
            return {"Id": client.get(path(chosen, "json"))["Id"]}
        return ask()

    try:
        answer: dict[str, Any] = ask()
    except Lost:
        answer = again(find)
    except BadRequest as error:  # in docker's words alone, which docker's clients compare
        if str(error).startswith("cannot "):
            raise
        raise BadRequest(f"cannot create container: {error}") from None
    return answer


def _name(body: dict[str, Any]) -> Reference | None:
    """The image as a registry may have it; None for an id, or a directory (--rootfs)."""
    image = body.get("Image") or ""
    try:
        return None if not image or looks_like_id(image) else parse_reference(image).tagged()
    except ValueError:
        return None


def _pull(client: Client, name: Reference, given: Given) -> None:
    from pysup.supervisor.cli.registries.transfers import pull

    pull(client, name, given.text("platform"), None if given.on("quiet") else sys.stderr)
