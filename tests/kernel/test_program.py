"""A program that has protected itself cannot be written to by way of /proc/PID/exe, even when nobody executes it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

CODE = """\
import os, sys
from pysup.supervisor.kernel import program
program.protect()
print(program.is_protected(), os.readlink("/proc/self/exe"), sys.executable, os.getpid(), flush=True)
os.set_inheritable(1, False)
os.execv("/bin/sleep", ["sleep", "infinity"])
"""


def test_the_link_to_a_protected_program_is_read_only(tmp_path: Path) -> None:
    """A descriptor of the link, taken while a copy of the interpreter ran, and used when it runs no more."""
    interpreter = tmp_path / "python"
    shutil.copy(os.path.realpath(sys.executable), interpreter)
    hold = "import os; program.protect(); fd = os.open('/proc/self/exe', os.O_PATH); os.set_inheritable(fd, True); "
    code = CODE.replace("program.protect()\n", hold.replace("; ", "\n")).replace("os.getpid()", "fd")
    home = {"PYTHONHOME": sys.base_prefix, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [interpreter, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, **home}
    ) as process:
        assert process.stdout is not None
        protected, link, _executable, fd = process.stdout.readline().split()
        try:
            assert (protected, link) == ("True", str(interpreter))
            assert process.stdout.read() == "", "the end: it executes sleep, which has no standard output"
            with pytest.raises(OSError, match="Read-only file system") as refused:
                os.open(f"/proc/{process.pid}/fd/{fd}", os.O_WRONLY)
            assert refused.value.errno == errno.EROFS
            os.close(os.open(interpreter, os.O_WRONLY))
        finally:
            process.kill()
