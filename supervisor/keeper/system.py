"""The one door by which a child's steps touch the machine; a test gives the steps a recording one instead."""

from __future__ import annotations

import os
import resource

from pysup.supervisor.kernel import (
    capabilities,
    files,
    host,
    mounts,
    net,
    process,
    seccomp,
    signals,
    terminal,
)


class System:
    """Every call that a step makes. Nothing is decided here: these are the kernel's calls by their names."""

    # files and directories
    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    pread = staticmethod(os.pread)
    write = staticmethod(os.write)
    fstat = staticmethod(os.fstat)
    mkdir = staticmethod(os.mkdir)
    mknod = staticmethod(os.mknod)
    symlink = staticmethod(os.symlink)
    readlink = staticmethod(os.readlink)
    chdir = staticmethod(os.chdir)
    fchdir = staticmethod(os.fchdir)
    getcwd = staticmethod(os.getcwd)
    chroot = staticmethod(os.chroot)
    dup2 = staticmethod(os.dup2)
    fchown = staticmethod(os.fchown)
    fchmod = staticmethod(os.fchmod)
    chown = staticmethod(os.chown)
    stat = staticmethod(os.stat)
    umask = staticmethod(os.umask)
    openat2 = staticmethod(mounts.openat2)
    filesystem_type = staticmethod(mounts.filesystem_type)
    close_on_exec_from = staticmethod(files.close_on_exec_from)

    # mounts
    mount = staticmethod(mounts.mount)
    umount = staticmethod(mounts.umount)
    pivot_root = staticmethod(mounts.pivot_root)
    new_mount_of_children = staticmethod(mounts.new_mount_of_children)
    new_mount = staticmethod(mounts.new_mount)
    open_tree = staticmethod(mounts.open_tree)
    move_mount = staticmethod(mounts.move_mount)
    mount_setattr = staticmethod(mounts.mount_setattr)

    # namespaces and what they hold
    setns = staticmethod(process.setns)
    unshare = staticmethod(process.unshare)
    set_hostname = staticmethod(host.set_hostname)
    set_domainname = staticmethod(host.set_domainname)
    loopback_up = staticmethod(net.loopback_up)

    # terminals
    is_ptmx = staticmethod(terminal.is_ptmx)
    unlock = staticmethod(terminal.unlock)
    open_slave = staticmethod(terminal.open_slave)
    make_controlling = staticmethod(terminal.make_controlling)

    # the process itself
    setrlimit = staticmethod(resource.setrlimit)
    setgroups = staticmethod(os.setgroups)
    setresgid = staticmethod(os.setresgid)
    setresuid = staticmethod(os.setresuid)
    permitted = staticmethod(capabilities.permitted)
    last_cap = staticmethod(capabilities.last_cap)
    drop_bounding = staticmethod(capabilities.drop_bounding)
    ambient_clear = staticmethod(capabilities.ambient_clear)
    set_caps = staticmethod(capabilities.set_caps)
    set_no_new_privs = staticmethod(process.set_no_new_privs)
    load_seccomp = staticmethod(seccomp.load)
    unblock_all = staticmethod(signals.unblock_all)
    execve = staticmethod(os.execve)
