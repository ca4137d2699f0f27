"""Runs in a container, or beside a test: exchanges a directory and a link that leads out, as fast as it can.

Arguments: the directory to work in, where the link leads, the name that is to change. Ends when ``stop`` appears.
"""

import ctypes
import os
import sys

AT_FDCWD, RENAME_EXCHANGE = -100, 2
place, target, name = sys.argv[1:]
os.chdir(place)
os.makedirs(f"{name}/sub", exist_ok=True)
if not os.path.islink("link"):
    os.symlink(target, "link")
libc = ctypes.CDLL(None)
print("swapping", flush=True)
rounds = 0
while not (rounds % 1000 == 0 and os.path.exists("stop")):
    libc.renameat2(AT_FDCWD, name.encode(), AT_FDCWD, b"link", RENAME_EXCHANGE)
    rounds += 1
