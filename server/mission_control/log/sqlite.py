"""The log in one SQLite file: opens and checks it, writes through one connection, reads through a small pool."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from ..domain import limits
from ..domain.filters import BULK_TYPES, Filter
from .directory import DATABASE_FILE
from .event_log import Batch, Page, StoredEvent
from .ring import Ring
from .writer import Writer

SCHEMA_VERSION = 1
PAGE_BYTES = 16 * 1024  # floods write twice as fast as with 4 KiB, quiet commits are no slower
READERS = 3
COLUMNS = "seq, at, type, task_id, desktop_id, actor, body"

Parameters = Sequence[object]


class NewerSchema(Exception):
    """The file was written by a newer version; this one would not understand it."""


class Snapshot:
    """Reads of one moment: every query sees the log exactly up to `seq`."""

    def __init__(self, database: aiosqlite.Connection, seq: int) -> None:
        self._database = database
        self.seq = seq

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        async with self._database.execute(sql, tuple(parameters)) as cursor:
            return [tuple(row) for row in await cursor.fetchall()]

    async def row(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if any."""
        async with self._database.execute(sql, tuple(parameters)) as cursor:
            found = await cursor.fetchone()
            return None if found is None else tuple(found)

    async def events(self, sql: str, parameters: Parameters = ()) -> list[StoredEvent]:
        """The events of a query over `COLUMNS`, at most 1 MiB of them (one may be larger)."""
        found: list[StoredEvent] = []
        size, chunk = 0, 16
        async with self._database.execute(sql, tuple(parameters)) as cursor:
            while rows := await cursor.fetchmany(chunk):
                for row in rows:
                    seq, at_us, type, task_id, desktop_id, actor, body = row
                    found.append(StoredEvent(seq, at_us, type, task_id, desktop_id, actor.encode(), body))
                    size += found[-1].size
                if size >= limits.EVENTS_READ_BYTES_MAX:
                    break
                average = size // len(found) + 1
                chunk = max(1, min(1000, (limits.EVENTS_READ_BYTES_MAX - size) // average))
        return found


class SqliteLog:
    """`EventLog` over one SQLite file in WAL mode at `synchronous=FULL`."""

    def __init__(
        self, log_id: str, server_id: str, writer: Writer, ring: Ring, readers: list[aiosqlite.Connection]
    ) -> None:
        self.log_id = log_id
        self.server_id = server_id
        self._writer = writer
        self._ring = ring
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def head(self) -> int:
        return self._ring.head

    def on_refusal(self, notice: Callable[[], None]) -> None:
        """Call `notice` at once whenever appended state is refused: what was decided meanwhile is void."""
        self._writer.on_refusal = notice

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written at the moment, or None."""
        return self._writer.trouble

    async def append(self, batch: Batch) -> int:
        return await asyncio.shield(self._writer.submit(batch))

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """As `append`, for those who go on before it is durable; the place in the order is taken now."""
        return self._writer.submit(batch)

    async def read_after(self, seq: int, wanted: Filter) -> Page:
        if self._ring.holds_after(seq):
            return self._ring.read_after(seq, wanted)
        async with self.snapshot() as snapshot:
            return await _read_after(snapshot, seq, min(snapshot.seq, self.head), wanted)

    async def wait_beyond(self, seq: int) -> None:
        while self._ring.head <= seq:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """One moment of the log and its projections. Hold it for a few queries: it keeps the WAL from shrinking."""
        database = await self._readers.get()
        try:
            await database.execute("begin")
            async with database.execute("select coalesce(max(seq), 0) from events") as cursor:
                row = await cursor.fetchone()
            assert row is not None
            yield Snapshot(database, row[0])
        finally:
            with anyio.CancelScope(shield=True):
                # Queued behind whatever a cancelled caller left running there; does nothing outside a transaction.
                await database.rollback()
            self._readers.put_nowait(database)

    def published(self, events: list[StoredEvent]) -> None:
        """The writer made these durable: they may be seen now."""
        self._ring.push(events)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def statistics(self) -> dict[str, dict[str, int]]:
        """What the ring holds, what waits for the writer, and who waits for news."""
        return {
            "ring": self._ring.statistics(),
            "writer": self._writer.statistics(),
            "readers": {"waiting": len(self._waiters), "idle": self._readers.qsize()},
        }


async def _read_after(snapshot: Snapshot, seq: int, until: int, wanted: Filter) -> Page:
    """One read from the disk, through the index that fits the filter, over at most a thousand rows."""
    if wanted.task_id is not None:
        where, parameters = "task_id = ?", (wanted.task_id,)
    elif not wanted.wants_bulk:
        where = f"type not in ({', '.join(repr(type) for type in sorted(BULK_TYPES))})"
        parameters = ()
        if wanted.desktop_id is not None:
            where, parameters = f"desktop_id = ? and {where}", (wanted.desktop_id,)
    else:
        where, parameters = "true", ()
    sql = f"select {COLUMNS} from events where {where} and seq > ? and seq <= ? order by seq limit ?"
    rows = await snapshot.events(sql, (*parameters, seq, until, limits.EVENTS_READ_MAX))
    whole = len(rows) < limits.EVENTS_READ_MAX and sum(row.size for row in rows) < limits.EVENTS_READ_BYTES_MAX
    found = [row for row in rows if wanted.matches(row.type, row.task_id, row.desktop_id)]
    return Page(found, until if whole else rows[-1].seq)


@asynccontextmanager
async def open_sqlite_log(
    directory: Path,
    *,
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    free_bytes: Callable[[], int] | None = None,
    ring_bytes_max: int = limits.RING_BYTES_MAX,
) -> AsyncIterator[SqliteLog]:
    """Open the log of a data directory (whose lock is held), making it when there is none.

    Raises NewerSchema for a file of a newer version, LogBroken (as the block is left) when the disk fails.
    """
    path = directory / DATABASE_FILE

    def free_of_disk() -> int:
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize

    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_connected(path))
        await _prepare(database)
        identity = dict(await database.execute_fetchall("select name, value from meta"))
        newest = list(await database.execute_fetchall("select seq, chain from events order by seq desc limit 1"))
        head, chain = newest[0] if newest else (0, bytes(32))
        readers = [await stack.enter_async_context(_connected(path, read_only=True)) for _ in range(READERS)]
        ring = Ring(head, ring_bytes_max)
        writer = Writer(
            database,
            head=head,
            chain=chain,
            publish=lambda events: log.published(events),
            clock_us=clock_us,
            free_bytes=free_bytes or free_of_disk,
        )
        log = SqliteLog(identity["log_id"], identity["server_id"], writer, ring, readers)
        async with anyio.create_task_group() as group:

            async def write() -> None:
                with anyio.CancelScope(shield=True):  # what was given is written even when the server is stopping
                    await writer.run()

            group.start_soon(write)
            try:
                yield log
            finally:
                writer.close()


@asynccontextmanager
async def _connected(path: Path, *, read_only: bool = False) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, isolation_level=None) as database:
        pragmas = ["busy_timeout=5000", "wal_autocheckpoint=0", "mmap_size=0", "cache_size=-16000"]
        writing = [f"page_size={PAGE_BYTES}", "journal_mode=wal", "synchronous=full"]
        pragmas += ["query_only=1"] if read_only else writing
        for pragma in pragmas:
            await database.execute(f"pragma {pragma}")
        yield database
        if not read_only:
            await database.execute("pragma wal_checkpoint(truncate)")


async def _prepare(database: aiosqlite.Connection) -> None:
    """Make the tables in a new file; refuse one of a newer version."""
    (found,) = next(iter(await database.execute_fetchall("pragma user_version")))
    if found > SCHEMA_VERSION:
        raise NewerSchema(
            f"The data directory was written by a newer Mission Control (schema {found}; "
            f"this one knows {SCHEMA_VERSION}). Install that version again, or choose another directory with --data-dir."
        )
    if found == SCHEMA_VERSION:
        return
    schema = (files(__package__) / "schema.sql").read_text()
    await database.executescript(f"begin exclusive;\n{schema}\npragma user_version = {SCHEMA_VERSION};\ncommit;")
    identity = [("server_id", secrets.token_hex(8)), ("log_id", secrets.token_hex(8))]
    await database.executemany("insert into meta values (?, ?)", identity)


