"""How fast is an append, next to SQLite itself?

Appends the same events through the log's public API and through a bare `sqlite3.executemany` in this process: the same
rows, tables, indexes, page size and `synchronous=FULL`, one transaction for each batch, checkpoints after as many
bytes. The log also encodes, digests and chains them, and tells readers. Rounds alternate, so noise of the machine falls
on both. Prints durable events a second, medians, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from mission_control.domain import limits
from mission_control.domain.events import TaskNote
from mission_control.domain.values import Actor
from mission_control.log import schema
from mission_control.log.event_log import Batch
from mission_control.log.sqlite import PAGE_BYTES, open_sqlite_log
from mission_control.log.writer import COMMIT_BYTES

BATCHES = (1, 100, 1000)
COLUMNS = "seq, at, type, entity, task_id, desktop_id, actor, body, body_sha256, chain"

Row = tuple[object, ...]


def batches_of(size: int, events: int) -> list[Batch]:
    """Events as they are in life, each different."""
    actor = Actor(id="key_01k0zm2jg4qx8kf6p56zedcpx", name="ci")
    made: list[Batch] = []
    for start in range(0, events, size):
        notes = (
            TaskNote(
                task_id=f"task_01k0zm2jg4qx8kf6p56z{number:08}",
                desktop_id="desk_01k0zm2jg4qx8kf6p56zedcpx",
                text=f"worker {number} compiled its modules and linked {number * 7 % 1_000_003} objects",
            )
            for number in range(start, start + size)
        )
        made.append(Batch(events=tuple(notes), actor=actor))
    return made


async def through_the_log(folder: Path, batches: list[Batch]) -> tuple[float, list[Row]]:
    """Seconds for all batches, each durable before the next; and the rows that were written."""
    async with open_sqlite_log(folder) as log:
        started = time.perf_counter()
        for batch in batches:
            await log.append(batch)
        seconds = time.perf_counter() - started
        async with log.snapshot() as snapshot:
            rows = await snapshot.rows(f"select {COLUMNS} from events order by seq")
    return seconds, rows


def bare(folder: Path, rows: list[Row], size: int) -> float:
    """Seconds for the same rows by the standard library's module."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in (f"page_size={PAGE_BYTES}", "journal_mode=wal", "synchronous=full", "wal_autocheckpoint=0"):
        database.execute(f"pragma {pragma}")
    database.executescript(schema.WHOLE)
    insert = f"insert into events ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    since_checkpoint = 0
    started = time.perf_counter()
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        database.execute("begin immediate")
        database.executemany(insert, batch)
        database.execute("commit")
        since_checkpoint += COMMIT_BYTES + size * 640
        if since_checkpoint > limits.CHECKPOINT_BYTES:
            since_checkpoint = 0
            database.execute("pragma wal_checkpoint(passive)")
    seconds = time.perf_counter() - started
    database.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    events = {1: 1_000, 100: 20_000, 1000: 50_000}
    ours: dict[int, list[float]] = {size: [] for size in BATCHES}
    theirs: dict[int, list[float]] = {size: [] for size in BATCHES}
    for _ in range(options.rounds):
        for size in BATCHES:
            batches = batches_of(size, events[size])
            with tempfile.TemporaryDirectory(prefix="mission-control-bench-") as folder:
                seconds, rows = asyncio.run(through_the_log(Path(folder), batches))
                ours[size].append(events[size] / seconds)
                theirs[size].append(events[size] / bare(Path(folder), rows, size))
    result = [
        {
            "batch": size,
            "logEventsPerSecond": round(statistics.median(ours[size])),
            "sqliteEventsPerSecond": round(statistics.median(theirs[size])),
            "ratio": round(statistics.median(ours[size]) / statistics.median(theirs[size]), 2),
        }
        for size in BATCHES
    ]
    if options.json:
        print(json.dumps({"benchmark": "append", "rounds": options.rounds, "results": result}))
        return
    print(f"{'batch':>6} {'log events/s':>13} {'sqlite3 events/s':>17} {'ratio':>6}")
    for row in result:
        print(
            f"{row['batch']:6} {row['logEventsPerSecond']:13,} {row['sqliteEventsPerSecond']:17,} {row['ratio']:6.2f}"
        )


if __name__ == "__main__":
    main()
