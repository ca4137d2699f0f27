"""``pysup inspect``: the whole truth about containers, images, volumes and networks, as JSON or through a template."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from pysup.supervisor.cli.connection import Client, connect, path, segment
from pysup.supervisor.cli.flags import Given, Syntax, UsageError, lacking, switch, text
from pysup.supervisor.cli.kinds import BOOL, TEXT
from pysup.supervisor.cli.output import shown
from pysup.supervisor.cli.output.rendered import rendered
from pysup.supervisor.errors import NotFound, PysupError

_FORMAT = text("format", "Format output: 'json', or a Go TEMPLATE such as '{{.State.Pid}}'", short="f")
_SIZE = switch("size", "Display total file sizes if the type is container", short="s")
_TYPE = text("type", "Only inspect objects of the given type (container, image, volume, network)")

_PLATFORM = lacking("platform", TEXT, "Inspect a platform's variant", "registries come with a later version")
INSPECT = Syntax(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers, images, volumes and networks",
    (_FORMAT, _SIZE, _TYPE),
    1,
    None,
)
CONTAINER_INSPECT = Syntax(
    "container inspect",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    (_FORMAT, _SIZE),
    1,
    None,
)
IMAGE_INSPECT = Syntax(
    "image inspect",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    (_FORMAT, _PLATFORM),
    1,
    None,
)
VOLUME_INSPECT = Syntax(
    "volume inspect",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    (_FORMAT,),
    1,
    None,
)

NETWORK_INSPECT = Syntax(
    "network inspect",
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    (_FORMAT, lacking("verbose", BOOL, "Verbose output for diagnostics", "there is no swarm", short="v")),
    1,
    None,
)

SECRET_INSPECT = Syntax(
    "secret inspect",
    "[OPTIONS] SECRET [SECRET...]",
    "Display detailed information on one or more secrets",
    (_FORMAT,),
    1,
    None,
)

Find = Callable[[Client, str], Any]


def inspect(argv: Sequence[str]) -> int:
    """``pysup inspect``: a container of that name, else an image, a volume, a network."""
    given = INSPECT.parse(argv)
    kind = given.text("type")
    finders: dict[str, Find] = {"": _either(given), "container": _container(given), "image": _image}
    finders |= {"volume": _volume, "network": _network}
    if kind not in finders or ("type" in given.changed and not kind):
        raise UsageError(
            f"cannot inspect: unknown type {kind!r} (there are {', '.join(filter(None, finders))})", 1
        )
    return show(given, finders[kind])


def container_inspect(argv: Sequence[str]) -> int:
    """``pysup container inspect``."""
    given = CONTAINER_INSPECT.parse(argv)
    return show(given, _container(given))


def image_inspect(argv: Sequence[str]) -> int:
    """``pysup image inspect``."""
    return show(IMAGE_INSPECT.parse(argv), _image)


def volume_inspect(argv: Sequence[str]) -> int:
    """``pysup volume inspect``."""
    return show(VOLUME_INSPECT.parse(argv), _volume)


def network_inspect(argv: Sequence[str]) -> int:
    """``pysup network inspect``."""
    return show(NETWORK_INSPECT.parse(argv), _network)


def secret_inspect(argv: Sequence[str]) -> int:
    """``pysup secret inspect``: everything but the value."""
    return show(SECRET_INSPECT.parse(argv), _secret)


def _container(given: Given) -> Find:
    query = {"size": "1"} if given.on("size") else None
    return lambda client, name: client.get(path(name, "json"), query=query)


def _image(client: Client, name: str) -> Any:
    return client.get(f"/images/{segment(name)}/json")


def _volume(client: Client, name: str) -> Any:
    return client.get(f"/volumes/{segment(name)}")


def _secret(client: Client, name: str) -> Any:
    return client.get(f"/pysup/secrets/{segment(name)}")


def _network(client: Client, name: str) -> Any:
    return client.get(f"/networks/{segment(name)}")


def _either(given: Given) -> Find:
    kinds = (_container(given), _image, _volume, _network)

    def find(client: Client, name: str) -> Any:
        for one in kinds:
            with suppress(NotFound):
                return one(client, name)
        raise NotFound(f"cannot inspect {name}: no such container, image, volume or network")

    return find


def show(given: Given, find: Find) -> int:
    """Print what is found, then what was not; 1 if anything was not."""
    client = connect()
    found: list[Any] = []
    errors: list[PysupError] = []
    for name in given.words:
        try:
            found.append(find(client, name))
        except PysupError as error:
            errors.append(error)
    shown.write(rendered(found, given.text("format")))
    sys.stdout.flush()
    for missing in errors:
        shown.complain(missing)
    return 1 if errors else 0
