"""load: an image of 200 MB in 5 layers and 5,000 files, as ``docker save`` writes it, and with gzip as registries do.

The disk's share is the same for all: bytes of layers, written once each (pysup keeps the layers as they came, too).
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.common import Times, call, goal, ratio, report
from tests.bench.dockerd import dockerd
from tests.bench.lab import Lab
from tests.bench.peers import DockerLike
from tests.helpers.images import Image, Member, docker_archive, layer

LAYERS, FILES, SIZE = 5, 1000, 40 << 10
NAME = "docker.io/bench/load:1"
_ROUNDS = 5
"""At most: a round takes seconds."""
_NOISE = 1 << 20


class _Subject(NamedTuple):
    load: Callable[[], object]
    remove: Callable[[], object]


def measure(lab: Lab) -> None:
    """Print medians, and the ratios to podman's and docker's."""
    peers = [lab.pysup, *(peer for peer in lab.engines if isinstance(peer, DockerLike))]
    words = {peer.name: peer.words for peer in peers}
    with contextlib.ExitStack() as stack:
        if "docker" not in words and (own := stack.enter_context(dockerd(lab.directory / "docker"))):
            words["docker"] = own
        for title, compressed in (("plain layers", False), ("layers with gzip", True)):
            archive = lab.directory / "image.tar"
            archive.write_bytes(docker_archive(_image(compressed=compressed)))
            whole = f"load of {LAYERS} layers, {LAYERS * FILES} files, {title}"
            _report(whole, _times(lab, archive, words))
            archive.unlink()


def _times(lab: Lab, archive: Path, words: Mapping[str, Sequence[str]]) -> Times:
    subjects = {name: _subject(command, archive) for name, command in words.items()}
    times: Times = {name: [] for name in ["sha256", *subjects]}
    for _ in range(min(lab.rounds, _ROUNDS)):
        times["sha256"].append(_timed(lambda: hashlib.sha256(archive.read_bytes()).digest()))
        for name, subject in subjects.items():
            times[name].append(_timed(subject.load))
            subject.remove()
    return times


def _timed(once: Callable[[], object]) -> float:
    begin = time.perf_counter()
    once()
    return time.perf_counter() - begin


def _report(title: str, times: Times) -> None:
    report(title, times, base="pysup")
    for peer in ("podman", "docker"):
        goal(f"pysup : {peer}", ratio(times, "pysup", peer), 0.5)


def _subject(words: Sequence[str], archive: Path) -> _Subject:
    return _Subject(lambda: call([*words, "load", "-i", archive]), lambda: call([*words, "rmi", NAME]))


def _image(*, compressed: bool) -> Image:
    """Half noise, half text; the same bytes in every run."""
    source = random.Random(1)
    noise, text = source.randbytes(_NOISE), b"a line of text that compresses well\n" * (SIZE // 36)
    layers = [layer(*_members(source, noise, text, at)) for at in range(LAYERS)]
    return Image(layers, {"Cmd": ["sh"]}, [NAME], compressed=compressed)


def _members(source: random.Random, noise: bytes, text: bytes, at: int) -> Iterator[Member]:
    for number in range(FILES):
        yield f"d{number // 20}/f{at}-{number}", {"mode": 0o644}, _content(source, noise, text)


def _content(source: random.Random, noise: bytes, text: bytes) -> bytes:
    at, share = source.randrange(_NOISE - SIZE), source.randrange(SIZE)
    return noise[at : at + share] + text[: SIZE - share]
