"""A Dockerfile as stages: what comes before the first FROM, and what each stage does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pysup.supervisor.build.errors import BadDockerfile, bad
from pysup.supervisor.build.instructions import Arg, From, Instruction, Label
from pysup.supervisor.build.lexing import Dockerfile
from pysup.supervisor.build.parsing import parse
from pysup.supervisor.build.words import Lexer

_MOST_STEPS = 5000


class Stage(NamedTuple):
    """From one FROM to the next."""

    begin: From
    steps: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be done, in its order."""

    arguments: tuple[Arg, ...]
    """Before the first FROM."""
    stages: tuple[Stage, ...]
    lexer: Lexer
    warnings: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Steps, as they are numbered for people."""
        return len(self.arguments) + sum(1 + len(stage.steps) for stage in self.stages)


def plan(dockerfile: Dockerfile, target: str = "", labels: Mapping[str, str] | None = None) -> Plan:
    """What a Dockerfile asks for, up to the stage ``target``; ``labels`` are given to the last one.

    Raises BadDockerfile.
    """
    if len(dockerfile.lines) > _MOST_STEPS:
        raise bad(dockerfile.lines[_MOST_STEPS].number, f"there are more than {_MOST_STEPS} instructions")
    instructions = [parse(line, dockerfile.lexer) for line in dockerfile.lines]
    begins = [at for at, one in enumerate(instructions) if isinstance(one, From)]
    before = instructions[: begins[0]] if begins else instructions
    arguments = tuple(one for one in before if isinstance(one, Arg))
    if len(arguments) < len(before):
        first = next(one for one in before if not isinstance(one, Arg))
        raise bad(first.line, "no build stage in current context")
    if not begins:
        raise bad(instructions[-1].line, "no build stage in current context")
    stages = list(_stages(instructions, begins))
    _check_names(stages)
    stages = stages[: _target(stages, target) + 1] if target else stages
    if labels:
        stages[-1] = _labelled(stages[-1], labels)
    return Plan(arguments, tuple(stages), dockerfile.lexer, dockerfile.warnings)


def _stages(instructions: Sequence[Instruction], begins: Sequence[int]) -> list[Stage]:
    found = []
    for begin, end in zip(begins, [*begins[1:], len(instructions)], strict=True):
        first = instructions[begin]
        if isinstance(first, From):
            found.append(Stage(first, tuple(instructions[begin + 1 : end])))
    return found


def _check_names(stages: Sequence[Stage]) -> None:
    seen: set[str] = set()
    for stage in stages:
        if stage.begin.name in seen:
            raise bad(stage.begin.line, f"{stage.begin.name} stage name already used")
        seen |= {stage.begin.name} if stage.begin.name else set()


def _target(stages: Sequence[Stage], target: str) -> int:
    for at, stage in enumerate(stages):
        if stage.begin.name == target.lower():
            return at
    if target.isascii() and target.isdigit() and int(target) < len(stages):
        return int(target)
    raise BadDockerfile(f"cannot build: target stage {target[:100]!r} could not be found")


def _labelled(stage: Stage, labels: Mapping[str, str]) -> Stage:
    """As if the last stage ended with LABEL; the values are taken as they are."""
    lines = tuple(
        Label(line=stage.begin.line, text=f"LABEL {name}={value}", pairs=((name, value),), literal=True)
        for name, value in sorted(labels.items())
    )
    return stage._replace(steps=(*stage.steps, *lines))
