"""The steps that write: RUN, COPY, ADD and WORKDIR. Each is told by its key first, and done only if it must be."""

from __future__ import annotations

import os
import posixpath
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple, TypeVar

import trio

from pysup.supervisor.build.effects import apply
from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.instructions import Copy, Run, Text
from pysup.supervisor.build.keys import joined
from pysup.supervisor.build.lexing import Heredoc
from pysup.supervisor.engine.building import placing, sources
from pysup.supervisor.engine.building.build import Build
from pysup.supervisor.engine.building.commands import command_line, container_body
from pysup.supervisor.engine.building.owners import manner
from pysup.supervisor.engine.building.placing import Place
from pysup.supervisor.engine.building.sources import Source
from pysup.supervisor.engine.building.steps import Made, State
from pysup.supervisor.engine.building.targets import make_directories
from pysup.supervisor.engine.images.admission import Admission
from pysup.supervisor.engine.images.commit import rules_of
from pysup.supervisor.engine.overlays import mounted, scratch
from pysup.supervisor.errors import BadRequest, NotSupported, PysupError, Unavailable
from pysup.supervisor.images.layers import EMPTY
from pysup.supervisor.images.unpack import FULL
from pysup.supervisor.images.write_layers import Rules, Written
from pysup.supervisor.images.write_layers import Stage as LayerStage

_T = TypeVar("_T")
_URLS = ("http://", "https://", "ftp://", "git://", "git@", "ssh://")


class Layers:
    """For one stage."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._parts = build.parts

    # -- RUN -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def run(self, instruction: Run, state: State) -> AsyncIterator[Made]:
        """Have a command write."""
        if not state.image_id:
            raise bad(
                instruction.line, "RUN needs an image to run in: the stage is still empty (FROM scratch)"
            )
        described, arguments = state.described, self._build.arguments
        line = command_line(instruction, described.shell)
        kept = arguments.remembered(described.env)
        command = [f"|{len(kept)}", *kept, *line.told] if kept else line.told
        with self._script(line.script) as script:
            seen = arguments.in_stage(described.env)
            body = container_body(
                state.image_id, described, line, arguments=seen, host=self._build.order.host, script=script
            )

            async def write(admission: Admission) -> Written | None:
                async with self._build.containers.ran(body, " ".join(line.told)) as record:
                    upper = os.path.join(self._parts.settings.container_dir(record.id), "upper")
                    return await self._take(
                        admission, upper, rules_of(record.spec), copied=self._build.order.keep
                    )

            further = (*line.argv, line.script.text if line.script else "") if instruction.heredocs else ()
            yield Made(command, described, write, further)

    @contextmanager
    def _script(self, script: Heredoc | None) -> Iterator[str]:
        """A here-document that is a program of its own (``#!``), as a file of the host's; empty if there is none."""
        if script is None:
            yield ""
            return
        path = os.path.join(self._build.directory, "script")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "wb") as file:
            file.write(script.text.encode())
        try:
            yield path
        finally:
            os.unlink(path)

    # -- COPY and ADD ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def copy(self, instruction: Copy, state: State) -> AsyncIterator[Made]:
        """Copy from the context, from another stage or from an image."""
        _check_sources(instruction)
        async with self._origin(instruction) as origin:
            found = await self._in_thread(lambda: _find(origin, instruction))
            _check_count(instruction, len(found.sources) + len(instruction.contents))
            target = placing.target_path(
                str(state.described.config.get("WorkingDir") or "/"), instruction.target
            )
            flags = "".join(
                f"--{name}={value} "
                for name, value in (("chown", instruction.chown), ("chmod", instruction.chmod))
                if value
            )
            name = "ADD" if instruction.add else "COPY"
            told = f"#(nop) {name} {flags}{joined('multi', found.digests)} in {instruction.target} "

            async def write(admission: Admission) -> Written | None:
                def put(root: int) -> None:
                    _put(origin, found.sources, instruction, root, target)

                return await self._written(admission, state.image_id, put, instruction.text)

            yield Made([*state.described.shell, told], state.described, write)

    @asynccontextmanager
    async def _origin(self, instruction: Copy) -> AsyncIterator[int]:
        """A descriptor of the root that is copied from."""
        if not instruction.origin:
            fd = os.open(self._build.context.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                yield fd
            finally:
                os.close(fd)
            return
        image_id = await self._build.origin(instruction.origin, instruction.line)
        async with self._parts.images.admissions.begin() as admission, scratch(self._parts) as place:
            lower = self._lower(image_id, admission)
            async with mounted(self._parts, "the build", lower, place) as fd:
                yield fd

    # -- WORKDIR ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def work_directory(self, instruction: Text, state: State) -> AsyncIterator[Made]:
        """Set it, and make it if it is not there."""
        described, told = apply(state.described, instruction)
        path = str(described.config["WorkingDir"])

        async def write(admission: Admission) -> Written | None:
            def put(root: int) -> None:
                os.close(make_directories(root, path, (0, 0)))

            return await self._written(admission, state.image_id, put, instruction.text)

        yield Made([*described.shell, f"#(nop) {told}"], described, write)

    # -- layers ----------------------------------------------------------------------------------------------

    def _lower(self, image_id: str, admission: Admission) -> tuple[str, ...]:
        """The directories of an image's layers, topmost first, which stay for as long as the admission does."""
        if not image_id:
            return (os.path.join(self._parts.settings.images_dir, EMPTY),)
        lower = self._parts.images.resolve(image_id).lower
        admission.hold_layers(map(posixpath.basename, lower))
        return self._parts.images.resolve(image_id).lower

    async def _written(
        self, admission: Admission, image_id: str, put: Callable[[int], None], text: str
    ) -> Written | None:
        """What ``put`` writes above an image, as a layer."""
        async with scratch(self._parts) as place:
            async with mounted(self._parts, "the build", self._lower(image_id, admission), place) as root:
                await self._in_thread(lambda: _telling(text, lambda: put(root)))
            return await self._take(admission, place.upper, Rules(), copied=False)

    async def _take(self, admission: Admission, upper: str, rules: Rules, *, copied: bool) -> Written | None:
        stage = await self._in_thread(lambda: LayerStage(admission.images_dir))
        try:
            await self._in_thread(lambda: stage.copy(upper) if copied else stage.move(upper))
            return await self._in_thread(lambda: admission.take(stage, rules))
        finally:
            with trio.CancelScope(shield=True):
                await self._in_thread(stage.discard)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await trio.to_thread.run_sync(work, limiter=self._parts.disk)


class _Found(NamedTuple):
    sources: list[Source]
    digests: list[str]


def _check_sources(instruction: Copy) -> None:
    for source in instruction.sources:
        if source.startswith(_URLS):
            if not instruction.add:
                raise bad(instruction.line, f"source can't be a URL for COPY: {source[:200]}")
            raise NotSupported(
                f"cannot build: ADD {source[:200]}: a build downloads nothing by itself: "
                "put the file into the context, or fetch it by RUN"
            )


def _check_count(instruction: Copy, count: int) -> None:
    name = "ADD" if instruction.add else "COPY"
    if count > 1 and not instruction.target.endswith("/") and instruction.target not in {".", ".."}:
        told = "source file, the destination must be a directory and end with a /"
        raise bad(instruction.line, f"When using {name} with more than one {told}")


def _find(origin: int, instruction: Copy) -> _Found:
    owners = bool(instruction.origin) and not instruction.chown
    found = [source for pattern in instruction.sources for source in sources.find(origin, pattern)]
    digests = [sources.digest(origin, source, owners=owners) for source in found]
    digests += [sources.content_digest(one.name, one.text.encode()) for one in instruction.contents]
    return _Found(found, digests)


def _put(origin: int, found: Sequence[Source], instruction: Copy, root: int, target: str) -> None:
    there = Place(root, target, manner(instruction, root))
    for source in found:
        if instruction.add and placing.is_archive(origin, source):
            kept = there.manner if instruction.chown else there.manner._replace(owner=None)
            placing.unpack_into(origin, source, there._replace(manner=kept))
        else:
            placing.place(origin, source, there)
    for one in instruction.contents:
        placing.place_content(one.text.encode(), one.name, there)


def _telling(text: str, work: Callable[[], None]) -> None:
    """Run it; what fails is told by the instruction. Raises PysupError."""
    try:
        work()
    except OSError as error:
        cause = f"cannot build: {text[:200]}: {error.strerror}"
        raise _failure(error.errno or 0, cause) from error


def _failure(number: int, cause: str) -> PysupError:
    return Unavailable(cause) if number in FULL else BadRequest(cause)
