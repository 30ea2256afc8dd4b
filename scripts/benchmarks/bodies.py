"""Where should output bodies live: in SQLite rows, or in segment files beside the database?

Writes the same flood (default 170 MB in events of 64 KiB) and the same quiet trickle (one small event a commit)
through aiosqlite at `synchronous=FULL`, once with the body in the row and once with the body appended to a segment
file that is synced before the commit of the row that points to it. Both compute the same digests. Rounds alternate,
so noise of the machine falls on both. Prints medians and the ratio; the decision that follows from it is
docs/decisions/0005-where-output-bodies-live.md.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import aiosqlite

EVENT_BYTES = 64 * 1024
GROUP_BYTES = 1024 * 1024  # what the writer takes into one transaction of a single flooding run
CHECKPOINT_BYTES = 8 * 1024 * 1024  # written since the last checkpoint: small steps between two transactions

SCHEMA = """
create table events(seq integer primary key, at integer, type text, task_id text,
                    body blob, segment integer, segment_offset integer, length integer, body_sha256 blob, chain blob);
create index events_by_task on events(task_id, seq);
"""


async def open_database(path: Path, page_bytes: int) -> aiosqlite.Connection:
    db = await aiosqlite.connect(path, isolation_level=None)
    for pragma in (f"page_size={page_bytes}", "journal_mode=wal", "synchronous=full", "wal_autocheckpoint=0"):
        await db.execute(f"pragma {pragma}")
    await db.executescript(SCHEMA)
    return db


def bodies(total_bytes: int) -> list[bytes]:
    """Events as the log stores them: JSON with the text of whole lines, each body different."""
    line = "2026-11-24T02:00:00.000Z INFO  worker-%06d compiled module and linked %06d objects\n"
    made: list[bytes] = []
    size = number = 0
    while size < total_bytes:
        lines: list[str] = []
        length = 0
        while length < EVENT_BYTES:
            lines.append(line % (number, number * 7 % 1000000))
            length += len(lines[-1])
            number += 1
        made.append(json.dumps({"taskId": "task_0", "stream": "stdout", "text": "".join(lines)}).encode())
        size += length
    return made


class Store:
    """One way of storing; `append` makes a group durable."""

    def __init__(self, folder: Path, page_bytes: int, segments: bool) -> None:
        self.folder, self.page_bytes = folder, page_bytes
        self.segment = os.open(folder / "000001.seg", os.O_CREAT | os.O_APPEND | os.O_WRONLY) if segments else None
        self.seq = self.offset = self.since_checkpoint = 0
        self.chain = bytes(32)

    async def open(self) -> None:
        self.db = await open_database(self.folder / "log.db", self.page_bytes)

    def _write_segment(self, parts: list[bytes]) -> None:
        assert self.segment is not None
        os.writev(self.segment, parts)
        os.fdatasync(self.segment)

    async def append(self, group: list[bytes]) -> None:
        rows: list[tuple[object, ...]] = []
        for body in group:
            self.seq += 1
            digest = hashlib.sha256(body).digest()
            self.chain = hashlib.sha256(self.chain + b"head" + digest).digest()
            where = (body, None, None) if self.segment is None else (None, 1, self.offset)
            rows.append((self.seq, 1, "task.output", "task_0", *where, len(body), digest, self.chain))
            self.offset += len(body)
        if self.segment is not None:
            await asyncio.to_thread(self._write_segment, group)
        await self.db.execute("begin immediate")
        await self.db.executemany("insert into events values(?,?,?,?,?,?,?,?,?,?)", rows)
        await self.db.execute("commit")
        self.since_checkpoint += 256 * len(rows) if self.segment is not None else sum(map(len, group))
        if self.since_checkpoint > CHECKPOINT_BYTES:
            await self.db.execute("pragma wal_checkpoint(passive)")
            self.since_checkpoint = 0

    async def close(self) -> None:
        await self.db.close()
        if self.segment is not None:
            os.close(self.segment)


async def measure(
    folder: Path, page_bytes: int, segments: bool, flood: list[bytes]
) -> tuple[float, float, list[float]]:
    """Seconds and CPU seconds of the flood; milliseconds of each quiet commit."""
    store = Store(folder, page_bytes, segments)
    await store.open()
    started, cpu = time.perf_counter(), time.process_time()
    per_group = GROUP_BYTES // EVENT_BYTES
    for at in range(0, len(flood), per_group):
        await store.append(flood[at : at + per_group])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    quiet: list[float] = []
    small = b'{"taskId":"task_0","stream":"stdout","text":"one line\\n"}'
    for _ in range(300):
        started = time.perf_counter()
        await store.append([small])
        quiet.append((time.perf_counter() - started) * 1000)
    await store.close()
    return seconds, cpu, quiet


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=170)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    flood = bodies(options.megabytes * 1000 * 1000)
    ways = [("rows, 4 KiB pages", 4096, False), ("rows, 16 KiB pages", 16384, False),
            ("rows, 64 KiB pages", 65536, False), ("segments, 4 KiB pages", 4096, True)]  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name, *_ in ways}
    cpus: dict[str, list[float]] = {name: [] for name, *_ in ways}
    quiets: dict[str, list[float]] = {name: [] for name, *_ in ways}
    for _ in range(options.rounds):
        for name, page_bytes, segments in ways:
            with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
                took, cpu, quiet = await measure(Path(folder), page_bytes, segments, flood)
            seconds[name].append(took)
            cpus[name].append(cpu)
            quiets[name] += quiet
    result = [
        {
            "where": name,
            "floodSeconds": round(statistics.median(seconds[name]), 3),
            "floodCpuSeconds": round(statistics.median(cpus[name]), 3),
            "quietMsP50": round(statistics.median(quiets[name]), 3),
            "quietMsP99": round(statistics.quantiles(quiets[name], n=100)[98], 3),
        }
        for name, *_ in ways
    ]
    if options.json:
        print(json.dumps({"megabytes": options.megabytes, "rounds": options.rounds, "results": result}))
        return
    print(f"{'where':24} {'flood s':>8} {'cpu s':>7} {'quiet p50 ms':>13} {'p99 ms':>7}")
    for row in result:
        print(
            f"{row['where']:24} {row['floodSeconds']:8} {row['floodCpuSeconds']:7}"
            f" {row['quietMsP50']:13} {row['quietMsP99']:7}"
        )


if __name__ == "__main__":
    asyncio.run(main())
