"""Which steps of the cache go, and which step of an image that came from elsewhere is the same: pure decisions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pysup.store.builds import BuildStep
from pysup.supervisor.engine.building.cache import NO_LAYER, same_step
from pysup.supervisor.engine.building.pruning import Cached, Wanted, choose


def one(name: str, *, in_use: bool = False, shared: bool = False, used_at: int = 0, size: int = 1) -> Cached:
    step = BuildStep(name, f"sha256:{name}", "", "RUN x", size, 0, used_at, 0, result=False)
    return Cached(step, in_use, shared)


FOUND = [
    one("a", used_at=1),
    one("b", used_at=2, size=10),
    one("c", used_at=3, shared=True),
    one("d", used_at=4, in_use=True),
]


def chosen(wanted: Wanted) -> str:
    return "".join(sorted(image_id.removeprefix("sha256:") for image_id in choose(FOUND, wanted)))


def test_what_goes() -> None:
    assert chosen(Wanted()) == "ab", "neither what is in use nor what an image stands on"
    assert chosen(Wanted(everything=True)) == "abc"
    assert chosen(Wanted(before=2)) == "a"
    assert chosen(Wanted(ids=("b",))) == "b"
    assert chosen(Wanted(keep=10)) == "a", "what was used last stays"
    assert chosen(Wanted(keep=11)) == ""
    assert chosen(Wanted(everything=True, keep=1)) == "ab"


@given(st.booleans(), st.none() | st.integers(0, 5), st.integers(0, 30))
def test_nothing_in_use_ever_goes(everything: bool, before: int | None, keep: int) -> None:
    assert "d" not in chosen(Wanted(everything, before, (), keep))


def config(*steps: tuple[str, str]) -> dict[str, object]:
    """By (created_by, diff id or nothing)."""
    lines = [{"created_by": told} | ({} if layer else {"empty_layer": True}) for told, layer in steps]
    layers = [f"sha256:{layer * 64}" for _, layer in steps if layer]
    return {"history": lines, "rootfs": {"type": "layers", "diff_ids": layers}}


def test_the_same_step_of_another_image() -> None:
    source = config(("base", "a"), ("ENV", ""), ("RUN", "b"))
    assert same_step(config(("base", "a")), source, "ENV") == NO_LAYER
    assert same_step(config(("base", "a"), ("ENV", "")), source, "RUN") == 1
    assert same_step(config(("base", "a"), ("ENV", "")), source, "RUN y") is None
    assert same_step(config(("base", "c"), ("ENV", "")), source, "RUN") is None, (
        "another base of the same name"
    )
    assert same_step(config(("other", "a"), ("ENV", "")), source, "RUN") is None
    assert same_step(source, source, "more") is None
    assert same_step({}, source, "base") == 0, "from nothing"
