"""Cgroups, versions 1 and 2, behind one interface.

    base.py       the interface, and what a cgroup has used (Usage)
    mounted.py    which hierarchies are mounted
    needs.py      which controller a limit needs
    convert.py    docker's units to the kernel's; pure
    v1*.py v2*.py the two versions: life, limits, figures
    files.py      small file I/O;  waiting.py  bounded waits;  tree.py  what is below a cgroup
"""
