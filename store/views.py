"""Views for people: readable names and times, for `pysup query`, sqlite-utils and datasette.

Light: the command line imports it. `pysup query --tables` shows what is written here of each view, and in tables.py
of each table; a test compares the README's list with it. Times in views are UTC, as ``YYYY-MM-DD HH:MM:SS``.
"""

# ruff: noqa: S608 - the statements are put together from what is written here, nothing else
from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """One view."""

    name: str
    about: str
    sql: str


def _utc(column: str) -> str:
    """SQL for a time in nanoseconds, readable."""
    return f"strftime('%Y-%m-%d %H:%M:%S', {column} / 1000000000, 'unixepoch')"


def _hour(column: str) -> str:
    return f"strftime('%Y-%m-%d %H:00', {column} / 1000000000, 'unixepoch')"


def _seconds(start: str, end: str) -> str:
    return f"round(({end} - {start}) / 1e9, 3)"


def _words(path: str) -> str:
    return f"coalesce((SELECT group_concat(value, ' ') FROM json_each(c.config, '{path}')), '')"


_MIB = 1 << 20
_AN_HOUR_AGO = "(CAST(strftime('%s', 'now') AS INTEGER) - 3600) * 1000000000"

PS = f"""SELECT
    substr(c.id, 1, 12) AS id,
    c.name,
    c.image_ref AS image,
    trim({_words("$.Entrypoint")} || ' ' || {_words("$.Cmd")}) AS command,
    c.state,
    nullif(c.health, '') AS health,
    {_utc("coalesce(c.finished_at, c.started_at, c.created_at)")} AS since,
    c.exit_code,
    c.run_number AS runs,
    c.retries,
    {_utc("c.next_start_at")} AS next_start,
    nullif(c.pid, 0) AS pid,
    coalesce(c.gave_up_reason, nullif(c.error, '')) AS remark
FROM container c
WHERE c.state <> 'removed'
ORDER BY c.created_at DESC"""

_RUNS = f"""SELECT
    c.name,
    substr(c.id, 1, 12) AS id,
    r.number AS run,
    r.cause,
    r.asked_by,
    {_utc("r.started_at")} AS started,
    {_utc("r.ended_at")} AS ended,
    {_seconds("r.started_at", "r.ended_at")} AS seconds,
    r.exit_code,
    nullif(r.signal, 0) AS signal,
    r.ended_by,
    r.oom_killed,
    round(r.cpu_ns / 1e9, 3) AS cpu_seconds,
    round(r.memory_peak * 1.0 / {_MIB}, 1) AS memory_peak_mib,
    nullif(r.failed_step, '') AS failed_step,
    nullif(r.error, '') AS error
FROM run r JOIN container c ON c.id = r.container_id"""

# By times as they were noted: many runs may begin, and end, within a second.
HISTORY = f"""{_RUNS}
ORDER BY r.started_at, r.container_id, r.number"""

_FAILED = (
    "(r.ended_by = 'unhealthy' OR r.exit_code <> 0 AND r.ended_by IN ('itself', 'timeout', 'oom', 'lost'))"
)
"""Of a run that has ended: nobody wanted that end. Who is stopped or killed may leave with whatever code."""

FAILURES = f"""{_RUNS}
WHERE {_FAILED}
ORDER BY r.ended_at DESC"""

# A start that an engine's death has cut off is no restart: the run in its place is.
RESTARTS = f"""SELECT
    {_hour("r.started_at")} AS hour,
    c.name,
    count(*) AS restarts
FROM run r JOIN container c ON c.id = r.container_id
WHERE r.cause = 'policy' AND NOT (r.ended_by IS 'restart' AND r.failed_step <> '')
GROUP BY hour, c.id
ORDER BY hour DESC, restarts DESC"""

CRASH_LOOPS = f"""SELECT
    c.name,
    substr(c.id, 1, 12) AS id,
    c.state,
    c.retries,
    c.last_delay AS delay_seconds,
    {_utc("c.next_start_at")} AS next_start,
    c.gave_up_reason,
    c.exit_code,
    (SELECT count(*) FROM run r
        WHERE r.container_id = c.id AND r.started_at > {_AN_HOUR_AGO}) AS runs_last_hour
FROM container c
WHERE c.state <> 'removed' AND (c.retries >= 3 OR c.gave_up_reason IS NOT NULL)
ORDER BY c.retries DESC"""

EVENTS = f"""SELECT
    e.id,
    {_utc("e.time")} AS time,
    e.type,
    e.action,
    coalesce(json_extract(e.attributes, '$.name'), substr(e.actor_id, 1, 12)) AS name,
    substr(e.actor_id, 1, 12) AS actor,
    json_extract(e.attributes, '$.exitCode') AS exit_code,
    CASE WHEN e.caller_uid < 0 THEN e.caller
        WHEN e.caller_pid = 0 THEN 'pysup'
        ELSE trim(e.caller || ' (uid ' || e.caller_uid || ', gid ' || e.caller_gid || ', pid ' || e.caller_pid || ')')
        END AS caller,
    e.attributes
FROM event e
ORDER BY e.id"""

REMOVED = f"""SELECT
    c.name,
    substr(c.id, 1, 12) AS id,
    c.image_ref AS image,
    {_utc("c.created_at")} AS created,
    {_utc("c.removed_at")} AS removed,
    c.exit_code,
    c.run_number AS runs
FROM container c
WHERE c.state = 'removed'
ORDER BY c.removed_at DESC"""

TOTALS = f"""SELECT
    c.name,
    substr(c.id, 1, 12) AS id,
    count(*) AS runs,
    sum({_FAILED}) AS failed,
    sum(r.oom_killed) AS oom_kills,
    round(sum(r.ended_at - r.started_at) / 1e9, 3) AS seconds,
    round(sum(r.cpu_ns) / 1e9, 3) AS cpu_seconds,
    round(max(r.memory_peak) * 1.0 / {_MIB}, 1) AS memory_peak_mib
FROM run r JOIN container c ON c.id = r.container_id
WHERE r.ended_at IS NOT NULL
GROUP BY c.id
ORDER BY cpu_seconds DESC"""

IMAGES = f"""SELECT
    t.repository,
    t.tag,
    substr(i.id, 8, 12) AS id,
    {_utc("i.created_at")} AS created,
    round(i.size * 1.0 / {_MIB}, 1) AS size_mib,
    json_array_length(i.layers) AS layers,
    (SELECT count(*) FROM container c WHERE c.image_id = i.id AND c.state <> 'removed') AS containers
FROM image i LEFT JOIN image_tag t ON t.image_id = i.id
WHERE t.tag IS NOT NULL OR i.id IN (SELECT image_id FROM image_digest)
    OR i.id NOT IN (SELECT image_id FROM build_step WHERE NOT result)
ORDER BY t.repository, t.tag"""

BUILD_CACHE = f"""SELECT
    substr(s.image_id, 8, 12) AS id,
    substr(s.parent_id, 8, 12) AS parent,
    s.instruction,
    round(s.size * 1.0 / {_MIB}, 1) AS size_mib,
    {_utc("s.created_at")} AS created,
    {_utc("s.used_at")} AS used,
    s.uses,
    (SELECT group_concat(t.repository || ':' || t.tag, ' ') FROM image_tag t WHERE t.image_id = s.image_id) AS names
FROM build_step s
ORDER BY s.created_at DESC"""

EXECS = f"""SELECT
    c.name,
    substr(x.id, 1, 12) AS id,
    x.state,
    {_utc("x.started_at")} AS started,
    {_utc("x.ended_at")} AS ended,
    {_seconds("x.started_at", "x.ended_at")} AS seconds,
    x.exit_code,
    nullif(x.error, '') AS error,
    x.process
FROM exec x JOIN container c ON c.id = x.container_id
ORDER BY x.created_at"""

DAEMON_STARTS = f"""SELECT
    d.id,
    {_utc("d.started_at")} AS started,
    {_utc("d.stopped_at")} AS stopped,
    d.cause,
    d.version,
    d.pid,
    d.boot_id
FROM daemon_start d
ORDER BY d.id"""

VOLUMES = f"""SELECT
    v.name,
    v.driver,
    {_utc("v.created_at")} AS created,
    v.anonymous,
    (SELECT group_concat(DISTINCT c.name) FROM volume_use u JOIN container c ON c.id = u.container_id
        WHERE u.volume = v.name) AS used_by,
    v.labels,
    v.options
FROM volume v
ORDER BY v.name"""

SECRETS = f"""SELECT
    s.name,
    {_utc("s.created_at")} AS created,
    s.anonymous,
    (SELECT group_concat(DISTINCT c.name) FROM secret_use u JOIN container c ON c.id = u.container_id
        WHERE u.secret = s.name) AS used_by,
    s.labels
FROM secret s
ORDER BY s.name"""

NETWORKS = f"""SELECT
    n.name,
    substr(n.id, 1, 12) AS id,
    n.driver,
    nullif(n.device, '') AS device,
    n.internal,
    (SELECT group_concat(s.subnet, ' ') FROM subnet s WHERE s.network_id = n.id) AS subnets,
    (SELECT count(*) FROM endpoint e WHERE e.network_id = n.id) AS containers,
    {_utc("n.created_at")} AS created
FROM network n
ORDER BY n.name"""

ADDRESSES = """SELECT
    n.name AS network,
    l.address,
    c.name AS container,
    c.state,
    e.interface,
    e.mac,
    nullif(e.device, '') AS device,
    nullif((SELECT group_concat(value, ' ') FROM json_each(e.aliases)), '') AS aliases
FROM lease l JOIN endpoint e ON e.id = l.endpoint_id
    JOIN network n ON n.id = l.network_id JOIN container c ON c.id = e.container_id
ORDER BY n.name, c.name, l.address"""

ID_RANGES = """SELECT
    r.start,
    r.start + r.size - 1 AS last,
    r.size,
    c.name AS container,
    c.state
FROM id_range r JOIN container c ON c.id = r.container_id
ORDER BY r.start"""

PORTS = """SELECT
    p.host_ip,
    p.host_port,
    p.protocol,
    c.name AS container,
    p.container_port,
    c.state
FROM port p JOIN container c ON c.id = p.container_id
WHERE p.active = 1
ORDER BY p.host_port, p.protocol, p.host_ip"""

VIEWS = (
    View("ps", "the containers, as `pysup ps -a` shows them, with the next attempt's time", PS),
    View(
        "history",
        "every run of every container: when, how long, who asked, how it ended and by whom (`oom`: the kernel)",
        HISTORY,
    ),
    View("failures", "the runs that failed by themselves, the last one first", FAILURES),
    View("restarts_per_hour", "how often the restart policy acted, by hour and container", RESTARTS),
    View("crash_loops", "containers with 3 retries in a row or more, or given up on", CRASH_LOOPS),
    View("events_readable", "the events, with time, name and caller in words", EVENTS),
    View("removed", "removed containers whose history and logs are still kept", REMOVED),
    View("totals", "each container's runs together: failures, OOM kills, time, CPU, memory", TOTALS),
    View("images", "the images by tag, with their size and how many containers use them", IMAGES),
    View(
        "build_cache", "the steps of builds that are remembered, and how often each saved work", BUILD_CACHE
    ),
    View("execs", "further processes in containers, with start, end and exit code", EXECS),
    View("volumes", "the volumes, and which containers use them", VOLUMES),
    View("secrets", "the secrets, without their values, and which containers use them", SECRETS),
    View("networks", "the networks: subnets, bridge, how many containers are on them", NETWORKS),
    View("addresses", "which container has which address on which network", ADDRESSES),
    View("ports", "ports of the host, and where they lead", PORTS),
    View("id_ranges", "which ids of the host are whose (--userns auto)", ID_RANGES),
    View("daemon_starts", "when the daemon started and stopped, and why", DAEMON_STARTS),
)
