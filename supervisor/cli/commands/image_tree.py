"""``pysup image tree``: the layers of images, the lowest first, and which images share them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pysup.supervisor.cli.connection import Client, connect, segment
from pysup.supervisor.cli.flags import Syntax, switch
from pysup.supervisor.cli.output.table import short_id

_BRANCH, _LAST = "├── ", "└── "
_BESIDE, _BEHIND = "│   ", "    "

IMAGE_TREE = Syntax(
    "image tree",
    "[OPTIONS] [IMAGE...]",
    "Show the layers of images, and which images share them",
    (switch("no-trunc", "Don't truncate output"),),
    0,
    None,
)


@dataclass
class Node:
    """A layer upon certain others."""

    size: int = 0
    """Bytes."""
    names: list[str] = field(default_factory=list)
    """The images whose topmost layer this is."""
    above: dict[str, Node] = field(default_factory=dict)
    """By digest."""


def image_tree(argv: Sequence[str]) -> int:
    """``pysup image tree``: of these images, or of all."""
    given = IMAGE_TREE.parse(argv)
    client = connect()
    chosen = {_id(client, name) for name in given.words}
    images = [one for one in client.get("/pysup/images/layers") if not chosen or one["Id"] in chosen]
    for line in lines(forest(images), short=not given.on("no-trunc")):
        print(line)
    return 0


def _id(client: Client, name: str) -> str:
    return str(client.get(f"/images/{segment(name)}/json")["Id"])


def forest(images: Iterable[Any]) -> Node:
    """Images as a tree below nothing: one path for each, as far as their layers are the same."""
    root = Node()
    for image in images:
        node = root
        for layer in image["Layers"]:
            node = node.above.setdefault(layer["Digest"], Node(layer["Size"]))
        node.names += image["RepoTags"] or [short_id(image["Id"])]
    return root


def lines(root: Node, *, short: bool = True) -> Iterator[str]:
    """One for each layer, and an empty one between what shares none."""
    if root.names:
        yield f"(no layers)  {', '.join(root.names)}"
    for number, (digest, node) in enumerate(root.above.items()):
        if number or root.names:
            yield ""
        yield from _tree(digest, node, short=short)


def _tree(digest: str, node: Node, *, short: bool, head: str = "", margin: str = "") -> Iterator[str]:
    """Only where ways part does it go inwards: most images have one layer after the other."""
    yield head + _layer(digest, node, short=short)
    if len(node.above) == 1:
        for above, child in node.above.items():
            yield from _tree(above, child, short=short, head=margin, margin=margin)
        return
    for left, (above, child) in zip(range(len(node.above))[::-1], node.above.items(), strict=True):
        branch, below = (_BRANCH, _BESIDE) if left else (_LAST, _BEHIND)
        yield from _tree(above, child, short=short, head=margin + branch, margin=margin + below)


def _layer(digest: str, node: Node, *, short: bool) -> str:
    from pysup.supervisor.spec.units import format_decimal_size

    shown = f"{short_id(digest, short=short)}  {format_decimal_size(node.size)}"
    return shown + (f"  {', '.join(node.names)}" if node.names else "")
