"""A guest with cgroup v2 and Linux 6.1, booted on the machine's own tree: see __main__.py."""
