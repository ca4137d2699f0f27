"""The cache of builds: which step of a build gave which image, and the containers in which steps run.

Times are nanoseconds since the epoch (UTC). All functions take part in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from pysup.store.table import Table


@dataclass(frozen=True, slots=True)
class BuildStep:
    """One row. It goes with its image."""

    key: str
    """What makes the step the same as another one: 64 hexadecimal digits; longer where a newer one took its place."""
    image_id: str
    parent_id: str
    """The image that the step began with, which may be gone; empty: nothing."""
    instruction: str
    """As the image's history has it."""
    size: int
    """Bytes of the layer that it made; 0 without one."""
    created_at: int
    used_at: int
    uses: int
    """How often it has saved the work."""
    result: bool
    """It was the end of a build: an image that somebody wanted, and no part of the cache alone."""


STEPS = Table("build_step", BuildStep, {"result": bool})
_HIDDEN = """
SELECT image_id FROM build_step WHERE NOT result
AND NOT EXISTS (SELECT 1 FROM image_tag WHERE image_tag.image_id = build_step.image_id)
AND NOT EXISTS (SELECT 1 FROM image_digest WHERE image_digest.image_id = build_step.image_id)
"""
"""Images that are there for the cache alone."""


def add(conn: Connection, step: BuildStep) -> None:
    """Note a step. One with the same key (two builds at once, or one without the cache) is found no more, but stays
    known as a step: its image is hidden, and others may have been built on it.
    """
    aside = "UPDATE build_step SET key = key || '/' || image_id WHERE key = ? AND image_id <> ?"
    conn.execute(aside, (step.key, step.image_id))
    conn.execute("DELETE FROM build_step WHERE key = ?", (step.key,))
    STEPS.insert(conn, **{name: getattr(step, name) for name in STEPS.columns})


def find(conn: Connection, key: str) -> BuildStep | None:
    """The step with this key."""
    return STEPS.one(conn, "WHERE key = ?", key)


def used(conn: Connection, key: str, now_ns: int) -> bool:
    """It has saved the work once more; False if it is not there any more."""
    sql = "UPDATE build_step SET uses = uses + 1, used_at = ? WHERE key = ?"
    return conn.execute(sql, (now_ns, key)).rowcount > 0


def set_result(conn: Connection, image_id: str, *, result: bool) -> None:
    """Whether the image is what a build was for."""
    conn.execute("UPDATE build_step SET result = ? WHERE image_id = ?", (int(result), image_id))


def has_children(conn: Connection, image_id: str) -> bool:
    """Whether it is a step itself, and others were built on it."""
    sql = """
        SELECT 1 FROM build_step AS step JOIN build_step AS below ON below.parent_id = step.image_id
        WHERE step.image_id = ? LIMIT 1"""
    return conn.execute(sql, (image_id,)).fetchone() is not None


def parents(conn: Connection, image_id: str) -> list[str]:
    """The images that an image was built on, the nearest first, as far as they are known."""
    sql = """
        WITH RECURSIVE above (id, depth) AS (
            SELECT parent_id, 1 FROM build_step WHERE image_id = ?
            UNION SELECT parent_id, depth + 1 FROM build_step JOIN above ON image_id = above.id WHERE depth < 2000
        ) SELECT id FROM above WHERE id <> '' GROUP BY id ORDER BY min(depth)"""
    return [found for (found,) in conn.execute(sql, (image_id,))]


def parent(conn: Connection, image_id: str) -> str:
    """The image that it was built on; empty if it was not, or began with nothing."""
    found = conn.execute("SELECT parent_id FROM build_step WHERE image_id = ?", (image_id,)).fetchone()
    return str(found[0]) if found else ""


def hidden(conn: Connection) -> frozenset[str]:
    """Ids of the images that are there for the cache alone."""
    return frozenset(image_id for (image_id,) in conn.execute(_HIDDEN))


def unneeded_above(conn: Connection, image_id: str) -> list[str]:
    """The hidden images that this one alone was built on, the nearest first: they can go with it."""
    found: list[str] = []
    known = hidden(conn)
    for above in parents(conn, image_id):
        below = conn.execute("SELECT image_id FROM build_step WHERE parent_id = ?", (above,)).fetchall()
        others = {one for (one,) in below} - {image_id, *found}
        if above not in known or others or _has_container(conn, above):
            break
        found.append(above)
    return found


def _has_container(conn: Connection, image_id: str) -> bool:
    sql = "SELECT 1 FROM container WHERE image_id = ? AND state <> 'removed' LIMIT 1"
    return conn.execute(sql, (image_id,)).fetchone() is not None


def cached(conn: Connection) -> list[BuildStep]:
    """The steps whose images are there for the cache alone, the newest first."""
    return STEPS.many(conn, f"WHERE image_id IN ({_HIDDEN}) ORDER BY created_at DESC, key")


def in_use(conn: Connection) -> frozenset[str]:
    """Of those images, the ones that a container has."""
    sql = f"SELECT DISTINCT image_id FROM container WHERE state <> 'removed' AND image_id IN ({_HIDDEN})"  # noqa: S608
    return frozenset(image_id for (image_id,) in conn.execute(sql))


def below_visible(conn: Connection) -> frozenset[str]:
    """Ids of what the other images were built on, as far as it is known."""
    sql = f"""
        WITH RECURSIVE above (id) AS (
            SELECT parent_id FROM build_step WHERE image_id NOT IN ({_HIDDEN})
            UNION SELECT parent_id FROM build_step JOIN above ON image_id = above.id
        ) SELECT id FROM above WHERE id <> ''"""  # noqa: S608
    return frozenset(image_id for (image_id,) in conn.execute(sql))


def forget_visible(conn: Connection) -> None:
    """Forget how the images came about that are not there for the cache alone: they stay, but save no work any more."""
    conn.execute(f"DELETE FROM build_step WHERE image_id NOT IN ({_HIDDEN})")  # noqa: S608


# -- containers of steps -------------------------------------------------------------------------------------


def add_container(conn: Connection, container_id: str) -> None:
    """This container is a step of a build: an engine that finds it at its start removes it."""
    conn.execute("INSERT INTO build_container (container_id) VALUES (?)", (container_id,))


def release_container(conn: Connection, container_id: str) -> None:
    """It is to stay (--rm=false)."""
    conn.execute("DELETE FROM build_container WHERE container_id = ?", (container_id,))


def list_containers(conn: Connection) -> list[str]:
    """Ids of those that are not removed."""
    sql = """
        SELECT container_id FROM build_container JOIN container ON container.id = container_id
        WHERE state <> 'removed'"""
    return [container_id for (container_id,) in conn.execute(sql)]
