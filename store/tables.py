"""What each table holds, in a line, for `pysup query --tables`. Light: the command line imports it."""

from __future__ import annotations

TABLES = {
    "container": "one row for each container, the removed ones included while their history is kept",
    "run": "one row for each time that a container's process was started, or was tried to be",
    "event": "what happened, in docker's words, each in the transaction of the change it tells of",
    "image": "images: docker's config, and the directories that hold the layers",
    "image_tag": "names of images",
    "image_digest": "names of images by digest: what a registry calls them",
    "image_blob": "which blobs an image has, and what each is to it",
    "blob": "files in images/blobs: manifests, configs and layers as they came",
    "layer": "directories in images/layers: unpacked layers",
    "build_step": "the cache of builds: which step gave which image",
    "build_container": "containers in which steps of builds run: an engine that finds one at its start removes it",
    "exec": "further processes in running containers (pysup exec)",
    "daemon_start": "starts of the daemon: after a boot, a crash, an upgrade",
    "network": "networks: their driver, their bridge, what was asked for",
    "subnet": "the subnets of networks: range, gateway, the address given last",
    "endpoint": "which container is on which network, with its MAC address and further names",
    "lease": "which endpoint has which address",
    "port": "ports of the host that lead into containers; inactive: what a container at rest had",
    "volume": "volumes: labels, the driver's options, whether somebody has named it",
    "volume_use": "which container shows which volume, and where",
    "id_range": "which ids of the host are one container's alone (--userns auto)",
    "secret": "secrets: their names, and their values sealed with a key that is not here",
    "secret_use": "which container has which secret, and where",
}
