"""One build: its stages, one after the other, and the names of what comes out."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection

from pysup.store import builds, images
from pysup.supervisor.build.expansion import expanded
from pysup.supervisor.build.instructions import Arg
from pysup.supervisor.engine.building.build import Build
from pysup.supervisor.engine.building.output import SHORT
from pysup.supervisor.engine.building.stages import StageBuild
from pysup.supervisor.engine.images.rows import add_event, set_tag
from pysup.supervisor.errors import BadRequest, NotFound


async def perform(build: Build) -> str:
    """All stages, then the names. Raises as Builds.build()."""
    for warning in build.plan.warnings:
        await build.output.say(f"[WARNING]: {warning}")
    for instruction in build.plan.arguments:
        await _argument(build, instruction)
    for stage in build.plan.stages:
        done = await StageBuild(build, stage).perform()
        if done.image_id:
            await build.output.result(done.image_id)
        build.done.append(done)
    image_id = build.done[-1].image_id
    if not image_id:
        raise BadRequest("cannot build: No image was generated. Is your Dockerfile empty?")
    if build.arguments.unused:
        named = " ".join(build.arguments.unused)
        await build.output.say(f"[Warning] One or more build-args [{named}] were not consumed")
    await build.parts.store.write(partial(_name, build=build, image_id=image_id))
    await _tell_names(build, image_id)
    return image_id


async def _argument(build: Build, instruction: Arg) -> None:
    await build.announce(instruction)
    filled = expanded(instruction, build.arguments.for_from(), build.plan.lexer)
    if isinstance(filled, Arg):
        for name, default in filled.args:
            build.arguments.declare_before_from(name, default)


def _name(conn: Connection, build: Build, image_id: str) -> None:
    """The image is a result from here on, and has its names; in one transaction. Raises Conflict, NotFound."""
    if images.get(conn, image_id) is None:
        raise NotFound(f"cannot build: image {image_id} was removed just now")
    builds.set_result(conn, image_id, result=True)
    for name in build.order.names:
        set_tag(conn, name, image_id)
        add_event(conn, "tag", image_id, str(name), build.order.caller)
    add_event(conn, "build", image_id, str([*build.order.names, image_id][0]), build.order.caller)


async def _tell_names(build: Build, image_id: str) -> None:
    if build.order.quiet:
        await build.output.last(image_id)
    await build.output.say(f"Successfully built {image_id[SHORT]}")
    for name in build.order.names:
        await build.output.say(f"Successfully tagged {name}")
