"""The logs of containers: raw bytes in segment files, each with a sidecar index of offsets, times and streams.

    process ── pipe ──────────────▶ 00000001.log   exactly the bytes that were written: cat and grep work
    process ── pty ── relay pipe ─▶ 00000001.idx   one record for each chunk: offset, time, stream

Bytes go from pipe to file inside the kernel (splice(2)): none is ever in this process's memory, so a SIGKILL
at any instant loses none. Who reads (``logs``, ``logs -f``, attach) reads the files.
"""
