"""Clears the payloads of a task's output, progress and responses; their digests and links stay, so the chain holds.

In steps: each a bounded transaction, so that nobody waits long and the WAL stays small. What is left of a removal after
a crash is taken up at the next start. SQLite overwrites freed content with zeros (`secure_delete`).
"""

from __future__ import annotations

from ..domain import limits
from ..domain.filters import BULK_TYPES
from ..domain.values import SYSTEM
from .event_log import Batch, Statement
from .sqlite import Snapshot, SqliteLog

_BULK = f"type in ({', '.join(repr(type) for type in sorted(BULK_TYPES))})"

# ruff: noqa: S608 - words of our own
_FILLED = (
    "select seq, length(body) from events indexed by events_by_task"
    f" where task_id = ? and seq > ? and seq <= ? and {_BULK} and body is not null order by seq limit ?"
)
_CLEAR = f"update events set body = null where task_id = ? and seq > ? and seq <= ? and {_BULK}"
_NEWEST = (
    "select body is not null from events indexed by events_by_task"
    f" where task_id = ? and {_BULK} order by seq desc limit 1"
)


def begun(task_id: str, until: int) -> Statement:
    """What goes into the transaction of the event: from then on the removal is carried out, whatever happens."""
    sql = "insert into removals values (?, ?) on conflict (task_id) do update set until = excluded.until"
    return Statement(sql, (task_id, until))


async def is_recorded(snapshot: Snapshot, task_id: str) -> bool:
    """Whether something of a task's output is there; the newest is cleared last."""
    row = await snapshot.row(_NEWEST, (task_id,))
    return row is not None and bool(row[0])


async def pending(log: SqliteLog) -> list[tuple[str, int]]:
    """Tasks whose removal has begun and not ended, and up to which seq."""
    async with log.snapshot() as snapshot:
        rows = await snapshot.rows("select task_id, until from removals")
        return [(task_id, until) for task_id, until in rows]


async def clear(log: SqliteLog, task_id: str, until: int) -> None:
    """Carry a removal out to its end. Raises LogUnavailable; then it goes on when it is asked for again."""
    log.forget(task_id)
    after = 0
    while True:
        async with log.snapshot() as snapshot:
            rows = await snapshot.rows(_FILLED, (task_id, after, until, limits.EVENTS_READ_MAX))
        if not rows:
            break
        last, size = rows[0]
        for seq, length in rows[1:]:
            if size + length > limits.REMOVED_BYTES_MAX:
                break
            last, size = seq, size + length
        await _change(log, Statement(_CLEAR, (task_id, after, last)), size)
        after = last
    await _change(log, Statement("delete from removals where task_id = ? and until <= ?", (task_id, until)), 0)
    log.forget(task_id)  # a reader may have brought it back meanwhile


async def _change(log: SqliteLog, statement: Statement, size: int) -> None:
    await log.append(Batch(events=(), actor=SYSTEM, beside=(statement,), beside_bytes=size))
