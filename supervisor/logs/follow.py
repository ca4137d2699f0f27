import os
from pysup.supervisor.logs.records import unpack_records
from pysup.supervisor.logs.reader import Entry


def _read(directory, start, stop):
    for n in sorted(x for x in os.listdir(directory) if x.endswith(".log")):
        idx = open(os.path.join(directory, n[:-4] + ".idx"), "rb").read()
        import struct

        base = struct.unpack_from("<8sQ", idx)[1]
        recs = [r for r in unpack_records(idx[32:])]
        data = open(os.path.join(directory, n), "rb").read()
        for i, r in enumerate(recs):
            end = recs[i + 1].offset if i + 1 < len(recs) else base + len(data)
            a = max(r.offset, start)
            b = min(end, stop)
            if b > a and r.kind != 3:
                yield r.kind, data[a - base : b - base], r.time


async def raw_from(directory, feed, offset, end=lambda: None):
    while True:
        stop = end()
        upto = feed.offset if stop is None else stop
        if upto > offset:
            for k, d, _ in _read(directory, offset, upto):
                yield k, d
            offset = upto
        if stop is not None or feed.closed:
            return
        await feed.wait_beyond(offset)


async def follow(directory, feed, query):
    for k, d, t in _read(directory, 0, 1 << 62):
        for l in d.splitlines(keepends=True):
            yield Entry(t, k, l)
