"""One stage of a build: from its base image on, each step makes the next one, or finds it in the cache."""

from __future__ import annotations

from dataclasses import replace
from sqlite3 import Connection

import trio

from pysup.store import builds
from pysup.store.builds import BuildStep
from pysup.supervisor.build.effects import Described, apply, begin_stage, changes_config_alone
from pysup.supervisor.build.errors import bad
from pysup.supervisor.build.expansion import expanded, expanded_word
from pysup.supervisor.build.instructions import Arg, Copy, From, Instruction, Run, Text
from pysup.supervisor.build.keys import step_key
from pysup.supervisor.build.lexing import read_line
from pysup.supervisor.build.parsing import parse
from pysup.supervisor.build.stages import Stage
from pysup.supervisor.engine.building.build import Build, Done
from pysup.supervisor.engine.building.layers import Layers
from pysup.supervisor.engine.building.steps import Made, State, no_layer
from pysup.supervisor.engine.images.children import SCRATCH, admit_child, parent_of
from pysup.supervisor.engine.images.rows import Names
from pysup.supervisor.images.children import Step, child_of
from pysup.supervisor.images.platforms import parse_platform
from pysup.supervisor.spec.timestamps import rfc3339


class StageBuild:
    """Builds one stage."""

    def __init__(self, build: Build, stage: Stage) -> None:
        self._build = build
        self._stage = stage
        self._layers = Layers(build)
        self.state = State("", Described())

    async def perform(self) -> Done:
        """All steps. Raises whatever a step can fail with."""
        begin = self._stage.begin
        await self._build.announce(begin)
        await self._begin(begin)
        await self._build.output.image(self.state.image_id)
        for instruction in self._stage.steps:
            await self._build.announce(instruction)
            await self._step(instruction)
            await self._build.output.image(self.state.image_id)
        return Done(begin.name, self.state.image_id)

    # -- the beginning ---------------------------------------------------------------------------------------

    async def _begin(self, begin: From) -> None:
        arguments, lexer = self._build.arguments, self._build.plan.lexer
        seen = arguments.for_from()
        name = expanded_word(begin.base, seen, lexer, begin.line)
        platform = expanded_word(begin.platform, seen, lexer, begin.line)
        if not name:
            raise bad(begin.line, f"base name ({begin.base[:100]}) should not be blank")
        arguments.begin_stage()
        base = await self._build.base(name, parse_platform(platform) if platform else None)
        triggers = base.config.get("OnBuild") or []
        described = replace(begin_stage(base.config), author=base.author)
        self.state = State(base.id, described.but(OnBuild=None))
        if triggers:
            await self._triggers(begin, triggers)

    async def _triggers(self, begin: From, triggers: list[str]) -> None:
        """What the base image wants to be done first (ONBUILD)."""
        await self._build.output.say(f"# Executing {len(triggers)} build trigger{'s' * (len(triggers) > 1)}")
        for trigger in triggers:
            line = read_line(trigger, self._build.plan.lexer, begin.line)
            await self._step(parse(line, self._build.plan.lexer))

    # -- steps -----------------------------------------------------------------------------------------------

    async def _step(self, instruction: Instruction) -> None:
        env = self.state.described.env
        seen = {**self._build.arguments.in_stage(env), **env}
        filled = await trio.to_thread.run_sync(expanded, instruction, seen, self._build.plan.lexer)
        if isinstance(filled, Arg):
            await self._arg(filled)
        elif isinstance(filled, Run):
            async with self._layers.run(filled, self.state) as made:
                await self._commit(made)
        elif isinstance(filled, Copy):
            async with self._layers.copy(filled, self.state) as made:
                await self._commit(made)
        elif isinstance(filled, Text) and filled.keyword == "WORKDIR":
            async with self._layers.work_directory(filled, self.state) as made:
                await self._commit(made)
        elif changes_config_alone(filled):
            described, told = apply(self.state.described, filled)
            await self._config(described, told)

    async def _arg(self, instruction: Arg) -> None:
        for name, default in instruction.args:
            self._build.arguments.declare(name, default)
        words = (name if default is None else f"{name}={default}" for name, default in instruction.args)
        await self._config(self.state.described, f"ARG {' '.join(words)}")

    async def _config(self, described: Described, told: str) -> None:
        command = [*self.state.described.shell, "#(nop) ", told]
        await self._commit(Made(command, described, no_layer))

    async def _commit(self, made: Made) -> None:
        """The next image: what an earlier build made, or a new one."""
        key = step_key(self.state.image_id, made.key, [made.described.config, made.described.author])
        if (known := await self._build.cache.find(key)) is not None:
            await self._build.output.say(" ---> Using cache")
            self.state = State(known, made.described)
        else:
            self.state = State(await self._make(key, made), made.described)

    async def _make(self, key: str, made: Made) -> str:
        """Work, then one transaction with the image and its place in the cache."""
        build, parent_id = self._build, self.state.image_id
        async with build.parts.images.admissions.begin() as admission:
            parent = await parent_of(build.parts.store, admission, parent_id) if parent_id else SCRATCH
            reused = await build.cache.reuse(admission, parent.config, made)
            if reused is not None:
                await build.output.say(" ---> Using cache")
            written = await made.write(admission) if reused is None else reused.written
            now = build.parts.now_ns()
            step = Step(rfc3339(now), made.told, made.described.author)
            child = child_of(parent, made.described.config, step, written)
            size = written.layer.size if written is not None else 0

            def note(conn: Connection, image_id: str) -> None:
                build.hold(image_id)
                row = BuildStep(key, image_id, parent_id, made.told, size, now, now, 0, result=False)
                builds.add(conn, row)

            return await admit_child(admission, child, Names(), "", build.order.caller, also=note)
