"""The vocabulary of plans: each op, the function that does it, and the name by which its failure is told.

A plan is a JSON array of ``[op, argument, …]``. runtime/plan.py writes it and decides everything; here it
is only carried out, in order, until a step fails or "exec" succeeds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from pysup.supervisor.keeper.steps import (
    binds,
    devices,
    kept,
    lookup,
    masks,
    mounts,
    namespaces,
    process,
    secrets,
    stage,
)
from pysup.supervisor.keeper.steps.context import Context, StepError

Step = list[Any]

OPS: dict[str, tuple[Callable[..., None], str]] = {
    "user_namespace": (namespaces.user_namespace, "enter the user namespace"),
    "join_cgroups": (namespaces.join_cgroups, "join the cgroups"),
    "unshare": (namespaces.unshare, "unshare"),
    "setns": (namespaces.setns, "enter the namespace {0}"),
    "propagation": (namespaces.propagation, "mount propagation {0}"),
    "stage": (stage.stage, "stage {0}"),
    "place": (stage.place, "place {0}"),
    "overlay": (mounts.overlay, "overlay"),
    "reuse": (kept.reuse, "reuse {0}"),
    "keep": (kept.keep, "keep {0}"),
    "lend": (kept.lend, "lend {1}"),
    "owner": (mounts.owner, "owner of what is made"),
    "enter": (mounts.enter, "enter {0}"),
    "mount": (mounts.mount, "mount {0} on {2}"),
    "mount_part": (mounts.mount_part, "mount {0} on {2}"),
    "attach": (binds.attach, "attach {0}"),
    "borrow": (binds.borrow, "share /dev/shm of another container"),
    "fresh": (binds.fresh, "mount {0} of another container"),
    "give_ids": (binds.give_ids, "show {0} with other ids"),
    "bind": (binds.bind, "bind {0} on {1}"),
    "secrets": (secrets.secrets, "secrets in {1}"),
    "show": (binds.show, "secret on {1}"),
    "device": (devices.device, "device {0}"),
    "bind_device": (devices.bind_device, "device {1}"),
    "symlink": (devices.symlink, "symlink {1}"),
    "console": (devices.console, "console"),
    "mask": (masks.mask, "mask {0}"),
    "read_only": (masks.read_only, "make {0} read-only"),
    "pivot": (mounts.pivot, "pivot_root"),
    "read_only_root": (mounts.read_only_root, "make / read-only"),
    "hostname": (namespaces.hostname, "hostname {0}"),
    "domainname": (namespaces.domainname, "domainname {0}"),
    "loopback": (namespaces.loopback, "bring lo up"),
    "default_sysctl": (namespaces.default_sysctl, "sysctl {0}"),
    "sysctl": (namespaces.sysctl, "sysctl {0}"),
    "rlimit": (process.rlimit, "rlimit {0}"),
    "oom_score_adj": (process.oom_score_adj, "oom_score_adj"),
    "apparmor": (process.apparmor, "apparmor profile {0}"),
    "umask": (process.umask, "umask"),
    "user": (process.user, "user {0}"),
    "workdir": (process.workdir, "workdir {0}"),
    "credentials": (process.credentials, "credentials"),
    "no_new_privileges": (process.no_new_privileges, "no_new_privileges"),
    "seccomp": (process.seccomp, "seccomp"),
    "ready": (process.ready, "wait for the engine"),
    "exec": (process.execute, "exec {0[0]}"),
}


_ADD_NAMES = frozenset({"device", "symlink"})
"""Ops that change no mount, so that the directory found for one may serve the next."""


LONGEST_WORDS = 2000
"""Characters of a label, or of a detail: what somebody has typed may be in both, and both go in one packet."""


class Failed(Exception):
    """A step failed: what it is called, its errno, and a text where the errno does not tell enough."""

    def __init__(self, label: str, number: int, detail: str, exit_code: int) -> None:
        super().__init__(f"{label}: {detail or os.strerror(number)}")
        self.label = label
        self.number = number
        self.detail = detail
        self.exit_code = exit_code


def run(context: Context, plan: list[Step]) -> None:
    """Do the steps in their order. Raises Failed; after an "exec" that works there is nobody left to
    return.
    """
    for step in plan:
        try:
            _do(context, step)
        except StepError as error:
            raise _failure(context, step, error.number, error.detail) from error
        except OSError as error:
            raise _failure(context, step, error.errno or errno.EIO, "") from error
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise _failure(context, step, errno.EINVAL, f"{type(error).__name__}: {error}") from error


def _do(context: Context, step: Step) -> None:
    if not step or step[0] not in OPS:
        raise StepError(errno.EINVAL, "no such step")
    if step[0] not in _ADD_NAMES:
        lookup.forget_parent(context)
    OPS[step[0]][0](context, *step[1:])


def _failure(context: Context, step: Step, number: int, detail: str) -> Failed:
    named = [context.told(argument) for argument in step]
    return Failed(_cut(label(named)), number, _cut(detail), exit_code(step, number))


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS] + "…"


def label(step: Step) -> str:
    """What a step is called in an error."""
    try:
        return OPS[step[0]][1].format(*step[1:]).rstrip()  # a user without a name
    except (LookupError, TypeError):
        return f"step {step!r:.60}"


def exit_code(step: Step, number: int) -> int:
    """Docker's exit code for a failed step, as in errors.StartFailed.exit_code."""
    if not step or step[0] != "exec":
        return 128
    return 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
