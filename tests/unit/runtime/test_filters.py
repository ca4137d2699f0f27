"""Filter programs: made once, kept in memory and on disk, and never taken from a file that is not what was written."""

from __future__ import annotations

import errno
import gc
import json
import os
from pathlib import Path

import pytest
import trio

from pysup.supervisor.errors import Unavailable
from pysup.supervisor.kernel import libseccomp
from pysup.supervisor.runtime.seccomp import compilation, filters
from pysup.supervisor.runtime.seccomp.filters import Filters

CAPABILITIES = ("CAP_CHOWN", "CAP_KILL")
KILLING = json.dumps({"defaultAction": "SCMP_ACT_KILL", "flags": ["SECCOMP_FILTER_FLAG_LOG"]})


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each compilation."""
    made: list[str] = []
    real = compilation.compile_profile

    def noting(profile: filters.Profile, target: filters.Target) -> bytes:
        made.append(profile.default.name)
        return real(profile, target)

    monkeypatch.setattr(compilation, "compile_profile", noting)
    return made


async def code(kept: Filters, profile: str = "", capabilities: tuple[str, ...] = CAPABILITIES) -> bytes:
    program = await kept.program(profile, capabilities)
    assert program is not None
    return os.pread(program.fd, 1 << 20, 0)


async def test_a_program_is_compiled_once(tmp_path: Path, compiled: list[str]) -> None:
    kept = Filters(str(tmp_path / "seccomp"))
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(code, kept)
    assert len(compiled) == 1
    first = await code(kept)
    assert await code(Filters(str(tmp_path / "seccomp"))) == first, "a new engine finds it on disk"
    assert len(compiled) == 1
    assert await code(kept, capabilities=("CAP_SYS_ADMIN",)) != first
    assert await code(kept, KILLING) != first
    assert len(compiled) == 3
    assert (tmp_path / "seccomp").stat().st_mode & 0o777 == 0o700


async def test_unconfined_has_none(tmp_path: Path) -> None:
    assert await Filters(str(tmp_path)).program("unconfined", CAPABILITIES) is None


async def test_flags(tmp_path: Path) -> None:
    kept = Filters(str(tmp_path))
    wanted = {"": 4, KILLING: 2, json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "flags": []}): 0}
    for profile, flags in wanted.items():
        program = await kept.program(profile, ())
        assert program is not None and program.flags == flags


@pytest.mark.parametrize("content", [b"", b"x" * 40, b"shorter"])
async def test_a_file_that_is_not_what_was_written_is_made_anew(
    tmp_path: Path, compiled: list[str], content: bytes
) -> None:
    first = await code(Filters(str(tmp_path)))
    (file,) = tmp_path.iterdir()
    written = file.read_bytes()
    file.write_bytes(content)
    assert await code(Filters(str(tmp_path))) == first
    assert file.read_bytes() == written
    file.write_bytes(written[:-8] + bytes(8))  # another last instruction
    assert await code(Filters(str(tmp_path))) == first
    assert len(compiled) == 3


async def test_without_a_place_on_disk_it_works_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert await code(Filters(str(tmp_path / "file" / "seccomp")))


async def test_what_is_not_used_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_MOST", 2)
    kept = Filters(str(tmp_path))
    sets = [(name,) for name in ("CAP_CHOWN", "CAP_KILL", "CAP_MKNOD")]
    fds = []
    for capabilities in sets:
        program = await kept.program("", capabilities)
        assert program is not None
        fds.append(program.fd)
        del program
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor") as failure:
        os.fstat(fds[0])
    assert failure.value.errno == errno.EBADF
    assert os.fstat(fds[1]).st_size and os.fstat(fds[2]).st_size
    assert len(list(tmp_path.iterdir())) == 2


async def test_a_missing_library_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libseccomp, "LIBRARY", "libseccomp.so.not-there")
    libseccomp._library.cache_clear()
    try:
        with pytest.raises(Unavailable, match=r"install libseccomp.*--security-opt seccomp=unconfined"):
            await code(Filters(str(tmp_path)))
        assert await Filters(str(tmp_path)).program("unconfined", ()) is None
    finally:
        monkeypatch.undo()
        libseccomp._library.cache_clear()


async def test_a_profile_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    test = {"index": 0, "op": "SCMP_CMP_EQ", "value": 1}
    rule = {"names": ["file_setattr"], "action": "SCMP_ACT_ALLOW", "args": [test]}
    profile = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]})
    with pytest.raises(Unavailable, match=r"cannot use the seccomp profile: .*file_setattr"):
        await code(Filters(str(tmp_path)), profile)
