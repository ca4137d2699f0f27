"""Every command: its name, the function that runs it, and its summary. The help imports none of them.

A target ``module:function`` is ``function(argv) -> exit code`` in ``pysup.supervisor.cli.commands.module``;
the command's Syntax is there under the same name in capitals (completions and the tests read it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """One command."""

    target: str
    summary: str
    alias: bool = False
    """Another name of a command listed before: works, and is left out of the help."""
    starts: bool = False
    """Begins something: where no daemon is, one is started. What shows, changes or removes things starts none: with a
    daemon come all containers whose restart policy says so, which nobody has asked for then."""


CONTAINER: dict[str, Entry] = {
    "attach": Entry(
        "start:attach", "Attach local standard input, output, and error streams to a running container"
    ),
    "commit": Entry("commit:commit", "Create a new image from a container's changes"),
    "cp": Entry("cp:cp", "Copy files/folders between a container and the local filesystem"),
    "create": Entry("run:create", "Create a new container", starts=True),
    "diff": Entry("diff:diff", "Inspect changes to files or directories on a container's filesystem"),
    "exec": Entry("execute:execute", "Execute a command in a running container"),
    "export": Entry("archives:export", "Export a container's filesystem as a tar archive"),
    "inspect": Entry("inspect:container_inspect", "Display detailed information on one or more containers"),
    "kill": Entry("lifecycle:kill", "Kill one or more running containers"),
    "logs": Entry("logs:logs", "Fetch the logs of a container"),
    "ls": Entry("ps:ps", "List containers"),
    "list": Entry("ps:ps", "List containers", alias=True),
    "ps": Entry("ps:ps", "List containers", alias=True),
    "pause": Entry("lifecycle:pause", "Pause all processes within one or more containers"),
    "port": Entry("port:port", "List port mappings or a specific mapping for the container"),
    "prune": Entry("prune:container_prune", "Remove all stopped containers"),
    "rename": Entry("lifecycle:rename", "Rename a container"),
    "restart": Entry("lifecycle:restart", "Restart one or more containers", starts=True),
    "rm": Entry("lifecycle:rm", "Remove one or more containers"),
    "remove": Entry("lifecycle:rm", "Remove one or more containers", alias=True),
    "run": Entry("run:run", "Create and run a new container from an image", starts=True),
    "start": Entry("start:start", "Start one or more stopped containers", starts=True),
    "stats": Entry("stats:stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": Entry("lifecycle:stop", "Stop one or more running containers"),
    "top": Entry("top:top", "Display the running processes of a container"),
    "unpause": Entry("lifecycle:unpause", "Unpause all processes within one or more containers"),
    "update": Entry("update:update", "Update configuration of one or more containers"),
    "wait": Entry("lifecycle:wait", "Block until one or more containers stop, then print their exit codes"),
}

IMAGE: dict[str, Entry] = {
    "build": Entry("build:build", "Build an image from a Dockerfile", starts=True),
    "history": Entry("image_history:image_history", "Show the history of an image"),
    "import": Entry(
        "images:import_", "Import the contents from a tarball to create a filesystem image", starts=True
    ),
    "inspect": Entry("inspect:image_inspect", "Display detailed information on one or more images"),
    "load": Entry("archives:load", "Load an image from a tar archive or STDIN", starts=True),
    "save": Entry(
        "archives:save", "Save one or more images to a tar archive (streamed to STDOUT by default)"
    ),
    "ls": Entry("images:images", "List images"),
    "list": Entry("images:images", "List images", alias=True),
    "prune": Entry("prune:image_prune", "Remove unused images"),
    "pull": Entry("registry:pull", "Download an image from a registry", starts=True),
    "push": Entry("registry:push", "Upload an image to a registry"),
    "rm": Entry("images:rmi", "Remove one or more images"),
    "remove": Entry("images:rmi", "Remove one or more images", alias=True),
    "tag": Entry("images:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "tree": Entry("image_tree:image_tree", "Show the layers of images, and which images share them"),
}

BUILDER: dict[str, Entry] = {
    "build": IMAGE["build"],
    "prune": Entry("prune:builder_prune", "Remove build cache"),
}

VOLUME: dict[str, Entry] = {
    "create": Entry("volumes:create", "Create a volume", starts=True),
    "inspect": Entry("inspect:volume_inspect", "Display detailed information on one or more volumes"),
    "ls": Entry("volumes:ls", "List volumes"),
    "list": Entry("volumes:ls", "List volumes", alias=True),
    "prune": Entry("prune:volume_prune", "Remove unused local volumes"),
    "rm": Entry("volumes:rm", "Remove one or more volumes"),
    "remove": Entry("volumes:rm", "Remove one or more volumes", alias=True),
}

NETWORK: dict[str, Entry] = {
    "connect": Entry("networks:connect", "Connect a container to a network, at once if it runs"),
    "create": Entry("networks:create", "Create a network", starts=True),
    "disconnect": Entry("networks:disconnect", "Disconnect a container from a network"),
    "inspect": Entry("inspect:network_inspect", "Display detailed information on one or more networks"),
    "ls": Entry("networks:ls", "List networks"),
    "list": Entry("networks:ls", "List networks", alias=True),
    "prune": Entry("prune:network_prune", "Remove all unused networks"),
    "rm": Entry("networks:rm", "Remove one or more networks"),
    "remove": Entry("networks:rm", "Remove one or more networks", alias=True),
}

EXPLAIN: dict[str, Entry] = {
    "port": Entry("explain:port", "Show who has a port of the host, and which rule leads it where"),
}

SECRET: dict[str, Entry] = {
    "create": Entry("secrets:create", "Create a secret from a file or STDIN as content", starts=True),
    "inspect": Entry("inspect:secret_inspect", "Display detailed information on one or more secrets"),
    "ls": Entry("secrets:ls", "List secrets"),
    "list": Entry("secrets:ls", "List secrets", alias=True),
    "rm": Entry("secrets:rm", "Remove one or more secrets"),
    "remove": Entry("secrets:rm", "Remove one or more secrets", alias=True),
}

SYSTEM: dict[str, Entry] = {
    "df": Entry("df:df", "Show disk usage"),
    "events": Entry("events:events", "Get real time events from the server"),
    "info": Entry("info:info", "Display system-wide information"),
    "prune": Entry("prune:system_prune", "Remove unused data"),
}

GROUPS: dict[str, tuple[str, dict[str, Entry]]] = {
    "builder": ("Manage builds", BUILDER),
    "container": ("Manage containers", CONTAINER),
    "explain": ("Explain what is seen from outside", EXPLAIN),
    "image": ("Manage images", IMAGE),
    "network": ("Manage networks", NETWORK),
    "secret": ("Manage secrets", SECRET),
    "system": ("Manage pysup", SYSTEM),
    "volume": ("Manage volumes", VOLUME),
}

_TOP = (
    "create",
    "start",
    "stop",
    "restart",
    "kill",
    "pause",
    "unpause",
    "wait",
    "rm",
    "logs",
)
_MORE = ("attach", "commit", "cp", "diff", "export", "top", "stats", "port", "rename", "update")

COMMANDS: dict[str, Entry] = {
    "run": CONTAINER["run"],
    "exec": CONTAINER["exec"],
    "ps": CONTAINER["ls"],
    **{name: CONTAINER[name] for name in _TOP + _MORE},
    "inspect": Entry(
        "inspect:inspect", "Return low-level information on containers, images, volumes and networks"
    ),
    "history": Entry("history:history", "Show every run of a container, or the steps of an image"),
    "query": Entry("query:run", "Ask pysup's database in SQL, read-only"),
    "events": SYSTEM["events"],
    "build": IMAGE["build"],
    "images": IMAGE["ls"],
    "import": IMAGE["import"],
    "load": IMAGE["load"],
    "login": Entry("login:login", "Authenticate to a registry", starts=True),
    "logout": Entry("login:logout", "Log out from a registry"),
    "pull": IMAGE["pull"],
    "push": IMAGE["push"],
    "rmi": IMAGE["rm"],
    "save": IMAGE["save"],
    "tag": IMAGE["tag"],
    "info": SYSTEM["info"],
    "version": Entry("info:version", "Show the version information"),
    "completion": Entry("completion:completion", "Print the completion script of a shell"),
    "daemon": Entry("daemon:daemon", "Supervise containers: the server that the other commands talk to"),
}

_ONE_HOST = "pysup is for one host"

LACKING: dict[str, str] = {
    "buildx": "pysup has docker's classic builder: pysup build",
    "checkpoint": "checkpoints come with a later version",
    "compose": "it comes with a later version",
    "config": _ONE_HOST,
    "context": "use -H or DOCKER_HOST",
    "manifest": "a registry is asked for its manifests by skopeo inspect --raw, for example",
    "node": _ONE_HOST,
    "plugin": "pysup has no plugins",
    "search": "only docker's hub has a search, and pysup does not ask it",
    "service": _ONE_HOST,
    "stack": _ONE_HOST,
    "swarm": _ONE_HOST,
    "trust": "pysup verifies no signatures",
}
"""Docker's commands that are known and refused."""


def load(target: str) -> Callable[[Sequence[str]], int]:
    """Import the module of a target and give its function."""
    from importlib import import_module

    module, _, function = target.partition(":")
    loaded: Callable[[Sequence[str]], int] = getattr(
        import_module(f"pysup.supervisor.cli.commands.{module}"), function
    )
    return loaded
