"""From whatever version a database has to this one: sqlite-utils' migrations, in one transaction altogether.

sqlite-utils records each migration in ``_sqlite_migrations`` in the transaction of its changes; here all
pending ones share one transaction, so a kill at any point leaves the old version or the new one. Its import
takes 0.2 s, so what is recorded is read by plain SQL first, and it is imported only if something is pending.

Views hold no data: they are made anew whenever their definitions (views.py) differ from those that the file
was made with, whose checksum is its ``user_version``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sqlite3 import Connection
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from pysup.store import (
    m0001_foundation,
    m0002_networks,
    m0003_images,
    m0004_volumes,
    m0005_interfaces,
    m0006_secrets,
    m0007_builds,
    m0008_id_ranges,
    m0009_callers,
    m0010_image_parents,
    m0011_health,
    m0012_unhealthy,
    m0013_endings,
    m0014_joined_ranges,
    m0015_ipvlan,
    m0016_graces,
    m0017_out_of_memory,
    m0018_cgroup_roots,
)
from pysup.store.views import VIEWS

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x70797375
"""``pysu`` in the file's header: shows whose database it is (file(1), PRAGMA application_id)."""
SET = "pysup"
"""The name of our set of migrations in sqlite-utils' table."""


class Migration(NamedTuple):
    """One step to a newer schema; ``name`` is what is recorded, for ever."""

    name: str
    apply: Callable[[Database], None]


MIGRATIONS = (
    Migration(m0001_foundation.NAME, m0001_foundation.apply),
    Migration(m0002_networks.NAME, m0002_networks.apply),
    Migration(m0003_images.NAME, m0003_images.apply),
    Migration(m0004_volumes.NAME, m0004_volumes.apply),
    Migration(m0005_interfaces.NAME, m0005_interfaces.apply),
    Migration(m0006_secrets.NAME, m0006_secrets.apply),
    Migration(m0007_builds.NAME, m0007_builds.apply),
    Migration(m0008_id_ranges.NAME, m0008_id_ranges.apply),
    Migration(m0009_callers.NAME, m0009_callers.apply),
    Migration(m0010_image_parents.NAME, m0010_image_parents.apply),
    Migration(m0011_health.NAME, m0011_health.apply),
    Migration(m0012_unhealthy.NAME, m0012_unhealthy.apply),
    Migration(m0013_endings.NAME, m0013_endings.apply),
    Migration(m0014_joined_ranges.NAME, m0014_joined_ranges.apply),
    Migration(m0015_ipvlan.NAME, m0015_ipvlan.apply),
    Migration(m0016_graces.NAME, m0016_graces.apply),
    Migration(m0017_out_of_memory.NAME, m0017_out_of_memory.apply),
    Migration(m0018_cgroup_roots.NAME, m0018_cgroup_roots.apply),
)


class Version(NamedTuple):
    """What a database says of itself."""

    application_id: int
    views: int
    migrations: tuple[str, ...]
    tables: int
    """How many tables there are, whosever."""

    @property
    def ours(self) -> bool:
        """Empty, or made by some version of pysup."""
        return self.application_id == APPLICATION_ID or (self.application_id == 0 and self.tables == 0)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Migrations that this version has never heard of: the database is newer."""
        known = {migration.name for migration in MIGRATIONS}
        return tuple(name for name in self.migrations if name not in known)

    @property
    def current(self) -> bool:
        """Nothing is pending."""
        return len(self.migrations) == len(MIGRATIONS) and self.views == checksum()


def checksum() -> int:
    """Of the definitions of all views, as a positive 32-bit number."""
    return crc32("\n".join(f"{view.name} {view.sql}" for view in VIEWS).encode()) & 0x7FFFFFFF


def version_of(conn: Connection) -> Version:
    """Read it; changes nothing."""
    (application_id,) = conn.execute("PRAGMA application_id").fetchone()
    (views,) = conn.execute("PRAGMA user_version").fetchone()
    (tables,) = conn.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()
    return Version(application_id, views, tuple(_recorded(conn)), tables)


def _recorded(conn: Connection) -> list[str]:
    if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone():
        return []
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id"
    return [name for (name,) in conn.execute(sql, (SET,))]


def migrate(conn: Connection) -> None:
    """Bring the database to this version, or leave it as it is."""
    from sqlite_utils import Database, Migrations  # noqa: PLC0415 - 0.2 s, seldom needed

    db = Database(conn, execute_plugins=False)
    pending = Migrations(SET)
    for migration in MIGRATIONS:
        pending(name=migration.name)(migration.apply)
    with _unreferenced(conn), db.atomic():
        _drop_views(db)
        pending.apply(db)
        for view in VIEWS:
            db.create_view(view.name, view.sql)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {checksum()}")


@contextmanager
def _unreferenced(conn: Connection) -> Iterator[None]:
    """In the block a table can be made anew without what refers to it going with the old one (lang_altertable, 7)."""
    conn.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        conn.execute("PRAGMA foreign_keys = ON")


def _drop_views(db: Database) -> None:
    # Before the migrations: ALTER TABLE refuses to work under a view that it would break.
    for name in db.view_names():
        db.execute(f'DROP VIEW "{name}"')
