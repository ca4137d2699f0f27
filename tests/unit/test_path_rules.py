"""The source itself: paths that others control are opened by the rules of kernel/paths.py, and used by descriptor."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pysup.supervisor

TOP = Path(pysup.supervisor.__file__).parent.resolve()
SOURCES = sorted(TOP.rglob("*.py"))

BY_NAME = frozenset(
    (
        *("access", "chdir", "chmod", "chown", "getxattr", "lchown", "link", "listdir", "listxattr", "lstat"),
        *(
            "mkdir",
            "mkfifo",
            "mknod",
            "open",
            "readlink",
            "remove",
            "removexattr",
            "rename",
            "replace",
            "rmdir",
        ),
        *("scandir", "setxattr", "stat", "symlink", "truncate", "unlink", "utime"),
    )
)
"""Functions of os that take a path."""
RELATIVE = frozenset({"dir_fd", "src_dir_fd", "dst_dir_fd"})
IN_A_CONTAINER = ("keeper/steps/*.py",)
"""These run in a container's root: nothing but the calls of their System."""
IN_A_TREE: dict[str, frozenset[str]] = {
    "images/unpack.py": frozenset(),
    "images/writing.py": frozenset(),
    "images/directories.py": frozenset(),
    "runtime/trees.py": frozenset({"remove", "_remove_top"}),
    "descent.py": frozenset(),
    "engine/containers/sizes.py": frozenset(),
    "runtime/walking.py": frozenset(),
    "volumes/copying.py": frozenset(),
    "logs/files.py": frozenset({"open_directory"}),
}
"""Modules that work in a tree that somebody else has filled, and the functions that open its top, which is ours."""


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name of the function that it is in."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    yield function.name, node


def called(call: ast.Call) -> str:
    """``os.open``, ``open``; empty for what is neither."""
    target = call.func
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return f"{target.value.id}.{target.attr}"
    return ""


def uses_paths(call: ast.Call) -> bool:
    name = called(call)
    return name == "open" or (name.startswith("os.") and name[3:] in BY_NAME)


def is_relative(call: ast.Call) -> bool:
    """Below a descriptor, or of one: a first argument whose name says that it is a descriptor."""
    if any(keyword.arg in RELATIVE for keyword in call.keywords):
        return True
    first = call.args[0] if call.args else None
    words = (
        {node.id for node in ast.walk(first) if isinstance(node, ast.Name)} if first is not None else set()
    )
    words |= (
        {node.attr for node in ast.walk(first) if isinstance(node, ast.Attribute)}
        if first is not None
        else set()
    )
    return bool(
        words & {"fd", "directory", "parent", "here", "there", "top", "source", "made", "found", "target"}
    )


def test_the_rules_of_a_look_up_are_named_in_one_place() -> None:
    named = {
        source.relative_to(TOP).as_posix()
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if getattr(node, "attr", getattr(node, "id", "")).startswith("RESOLVE_")
    }
    assert named == {"kernel/mounts.py", "kernel/paths.py"}


def test_steps_in_a_container_touch_files_through_their_system_alone() -> None:
    found = [
        f"{path.name}: {function}: {called(call)}"
        for pattern in IN_A_CONTAINER
        for path in TOP.glob(pattern)
        for function, call in functions(ast.parse(path.read_text()))
        if uses_paths(call)
    ]
    assert found == []


@pytest.mark.parametrize("name", IN_A_TREE)
def test_trees_of_others_are_gone_through_by_descriptor(name: str) -> None:
    found = [
        f"{function}: {ast.unparse(call)}"
        for function, call in functions(ast.parse((TOP / name).read_text()))
        if uses_paths(call) and not is_relative(call) and function not in IN_A_TREE[name]
    ]
    assert found == []
