"""The flags of run and create: docker's (CLI 28), all of them, and pysup's own. Data only."""

from __future__ import annotations

from pysup.supervisor.cli import kinds
from pysup.supervisor.cli.flags import CONTENT_TRUST, Flag, lacking, many, number, switch, text
from pysup.supervisor.cli.options import judged, resources

_DEVICES = "devices come with a later version"
_WINDOWS = "it is for Windows only"

_IDENTITY = (
    text("name", "Assign a name to the container"),
    text("hostname", "Container host name", short="h"),
    text("domainname", "Container NIS domain name"),
    many("label", "Set meta data on a container", short="l", kind=kinds.LABEL),
    many("label-file", "Read in a line delimited file of labels"),
    many("annotation", "Add an annotation to the container", kind=kinds.MAP),
    text("cidfile", "Write the container ID to the file"),
    switch("rm", "Automatically remove the container when it exits"),
)

_PROCESS = (
    many("attach", "Attach to STDIN, STDOUT or STDERR", short="a"),
    switch("interactive", "Keep STDIN open even if not attached", short="i"),
    switch("tty", "Allocate a pseudo-TTY", short="t"),
    many("env", "Set environment variables", short="e", kind=kinds.ENV),
    many("env-file", "Read in a file of environment variables"),
    text("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
    text("workdir", "Working directory inside the container", short="w"),
    text("user", "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
    many("group-add", "Add additional groups to join"),
    switch("init", "Run an init inside the container that forwards signals and reaps processes"),
    text("stop-signal", "Signal to stop the container"),
    number("stop-timeout", "Timeout (in seconds) to stop a container"),
    Flag(
        "timeout",
        kinds.DURATION,
        "The longest that one run may take; it is killed then, without a stop signal",
    ),
    many("cap-add", "Add Linux capabilities"),
    many("cap-drop", "Drop Linux capabilities"),
    many("security-opt", "Security Options"),
    switch("privileged", "Give extended privileges to this container"),
    many("device", "Add a host device to the container: HOST[:CONTAINER][:rwm]"),
    many("device-cgroup-rule", "Add a rule to the cgroup allowed devices list"),
    many("ulimit", "Ulimit options: name=soft[:hard]", kind=judged.ULIMIT),
    many("sysctl", "Sysctl options", kind=judged.SYSCTL),
)

_FILES = (
    text("rootfs", "Use this directory as the read-only root, instead of an IMAGE"),
    switch("read-only", "Mount the container's root filesystem as read only"),
    many("volume", "Bind mount a volume", short="v", kind=judged.VOLUME),
    text("volume-driver", "Optional volume driver for the container (local)"),
    many("volumes-from", "Mount volumes from the specified container(s): CONTAINER[:ro]"),
    many("mount", "Attach a filesystem mount to the container", kind=kinds.Kind("mount", str, many=True)),
    many("tmpfs", "Mount a tmpfs directory"),
    many("secret", "Show a secret below /run/secrets: NAME or src=FILE, with target=, uid=, gid=, mode="),
    Flag("shm-size", kinds.BYTES, "Size of /dev/shm"),
    text("log-driver", "Logging driver for the container"),
    many("log-opt", "Log options: max-size, max-file; labels, env, labels-regex, env-regex, tag"),
)

_NAMESPACES = (
    Flag("pid", judged.NAMESPACE, "PID namespace to use (private, host, container:NAME)"),
    text("ipc", "IPC mode to use (private, shareable, none, host, container:NAME)"),
    Flag("uts", judged.NAMESPACE, "UTS namespace to use (private, host, container:NAME)"),
    Flag("cgroupns", judged.NAMESPACE, "Cgroup namespace to use (private, host, container:NAME)"),
    Flag("userns", judged.USERNS, "User namespace to use (auto[:OPTIONS], private, host, container:NAME)"),
    many("uidmap", "Map user ids of the container: container:host:size"),
    many("gidmap", "Map group ids of the container: container:host:size"),
)

_NETWORK = (
    Flag("network", judged.NETWORK, "Connect a container to a network"),
    Flag("net", judged.NETWORK, "Same as --network", hidden=True),
    many("network-alias", "Add network-scoped alias for the container"),
    Flag("net-alias", kinds.LIST, "Same as --network-alias", hidden=True),
    text("ip", "IPv4 address (e.g., 172.30.100.104)"),
    text("ip6", "IPv6 address (e.g., 2001:db8::33)"),
    many("link", "Add link to another container: CONTAINER[:ALIAS]", kind=judged.LINK),
    many("link-local-ip", "Container IPv4/IPv6 link-local addresses"),
    Flag("mac-address", judged.MAC, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    many("publish", "Publish a container's port(s) to the host", short="p"),
    switch("publish-all", "Publish all exposed ports to random ports", short="P"),
    many("expose", "Expose a port or a range of ports"),
    many("dns", "Set custom DNS servers", kind=judged.ADDRESS),
    many("dns-option", "Set DNS options"),
    Flag("dns-opt", kinds.LIST, "Same as --dns-option", hidden=True),
    many("dns-search", "Set custom DNS search domains", kind=judged.SEARCH),
    many("add-host", "Add a custom host-to-IP mapping (host:ip)", kind=judged.EXTRA_HOST),
)

_RATES = (
    many("device-read-bps", "Limit read rate (bytes per second) from a device: PATH:RATE"),
    many("device-read-iops", "Limit read rate (IO per second) from a device: PATH:RATE"),
    many("device-write-bps", "Limit write rate (bytes per second) to a device: PATH:RATE"),
    many("device-write-iops", "Limit write rate (IO per second) to a device: PATH:RATE"),
    text("cgroup-parent", "Optional parent cgroup for the container"),
    Flag("memory-swappiness", judged.SWAPPINESS, "Tune container memory swappiness (0 to 100)", default=-1),
    switch("oom-kill-disable", "Disable OOM Killer"),
    number("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)"),
)

_HEALTH = (
    text("health-cmd", "Command to run to check health"),
    Flag("health-interval", kinds.DURATION, "Time between running the check (default 30s)"),
    text("health-on-failure", "What to do with an unhealthy one: none, stop or kill; then --restart counts"),
    number("health-retries", "Consecutive failures needed to report unhealthy (default 3)"),
    Flag("health-start-interval", kinds.DURATION, "Time between checks while starting (default 5s)"),
    Flag("health-start-period", kinds.DURATION, "Time to start in, before failures count (default 0s)"),
    Flag("health-timeout", kinds.DURATION, "Maximum time to allow one check to run (default 30s)"),
    switch("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
)

_LACKING = (
    lacking("blkio-weight-device", kinds.LIST, "Block IO weight (relative device weight)", _DEVICES),
    lacking("cpu-count", kinds.INT, "CPU count", _WINDOWS),
    lacking("cpu-percent", kinds.INT, "CPU percent", _WINDOWS),
    CONTENT_TRUST,
    lacking("gpus", kinds.TEXT, "GPU devices to add to the container", _DEVICES),
    lacking("io-maxbandwidth", kinds.BYTES, "Maximum IO bandwidth limit", _WINDOWS),
    lacking("io-maxiops", kinds.INT, "Maximum IOps limit", _WINDOWS),
    lacking("isolation", kinds.TEXT, "Container isolation technology", _WINDOWS),
    lacking("kernel-memory", kinds.BYTES, "Kernel memory limit", "kernels no longer have it"),
    lacking("runtime", kinds.TEXT, "Runtime to use for this container", "pysup is its own runtime"),
    lacking("storage-opt", kinds.LIST, "Storage driver options", "a bound on the write layer comes later"),
    lacking("use-api-socket", kinds.BOOL, "Bind mount the API socket", "it comes with a later version"),
)

_ACCEPTED = (
    Flag("pull", kinds.TEXT, "Pull image before running (always, missing, never)", default="missing"),
    Flag("platform", kinds.TEXT, "The platform that the image must be for, os/arch[/variant]"),
    switch("quiet", "Suppress the pull output", short="q"),
    switch("no-autostart", "Do not start a daemon if there is none"),
)

CREATE: tuple[Flag, ...] = (
    *_IDENTITY,
    *_PROCESS,
    *_FILES,
    *_NAMESPACES,
    *_NETWORK,
    *resources.LIMITS,
    *_RATES,
    *resources.RESTART,
    *_HEALTH,
    *_ACCEPTED,
    *_LACKING,
)

RUN: tuple[Flag, ...] = (
    *CREATE,
    switch("detach", "Run container in background and print container ID", short="d"),
    text("detach-keys", "Override the key sequence for detaching a container"),
    switch("sig-proxy", "Proxy received signals to the process", default=True),
)
