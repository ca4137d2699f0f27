"""A create body merged with its image's configuration, as docker does (moby daemon/commit.go merge). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.spec.fields import Fields, Json


def merge(body: Fields, image: Fields) -> Json:
    """The fields of Config in which the body's values are laid over the image's."""
    entrypoint, command = _command(body, image)
    return {
        "User": body.text("User") or image.text("User"),
        "WorkingDir": body.text("WorkingDir") or image.text("WorkingDir"),
        "StopSignal": body.text("StopSignal") or image.text("StopSignal"),
        "Entrypoint": entrypoint,
        "Cmd": command,
        "Env": _environment(body.texts("Env"), image.texts("Env")),
        "Labels": image.mapping("Labels") | body.mapping("Labels"),
        "Volumes": image.names("Volumes") | body.names("Volumes"),
        "ExposedPorts": image.names("ExposedPorts") | body.names("ExposedPorts"),
    }


def _command(body: Fields, image: Fields) -> tuple[list[str], list[str]]:
    """The image's command goes with the image's entrypoint only.

    ``[""]`` is docker's way to say "no entrypoint" (--entrypoint ''), and so is a list that is there but
    empty; either is kept as ``[]``, so that merging again changes nothing.
    """
    entrypoint, command = body.words("Entrypoint"), body.words("Cmd") or []
    if not entrypoint and not command:
        command = image.words("Cmd") or []
    if entrypoint is None:
        entrypoint = image.words("Entrypoint") or []
    return ([] if entrypoint == [""] else entrypoint), command


def _environment(own: Sequence[str], of_image: Sequence[str]) -> list[str]:
    """The body's variables first, then those of the image that it does not name."""
    named = {entry.partition("=")[0] for entry in own}
    return [*own, *(entry for entry in of_image if entry.partition("=")[0] not in named)]
