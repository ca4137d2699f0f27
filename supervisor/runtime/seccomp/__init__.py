"""System call filters: docker's profile and those of users, compiled once, kept as the bytes that a child loads.

    default.json    docker's default profile, in docker's own form
    selection.py    which of a profile's rules hold for a container; pure
    compilation.py  rules to a program, by a tree of ranges and libseccomp; pure but for that
    tree.py         what depends on a call's number alone; pure
    newer.py        numbers of calls that the installed libseccomp does not know yet
    filters.py      programs in memory and on disk, each made once

See seccomp(2), and https://docs.docker.com/engine/security/seccomp/.
"""
