"""Names of processor architectures. Pure."""

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def go_name(machine: str) -> str:
    """What uname(2) calls this machine, as images and docker name it (GOARCH)."""
    return _GO_NAMES.get(machine, machine)
