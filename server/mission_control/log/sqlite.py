"""The log in one SQLite file: opens and checks it, writes through one connection, reads through a small pool."""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from ..domain import limits
from ..domain.filters import BULK_TYPES, Filter
from . import schema
from .directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from .event_log import Batch, Page, StoredEvent
from .ring import Ring
from .writer import Writer, WritingConnection

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
        found, _ = await self.events_and_end(sql, parameters)
        return found

    async def events_and_end(self, sql: str, parameters: Parameters = ()) -> tuple[list[StoredEvent], bool]:
        """As `events`, and whether that was everything that the query finds."""
        found: list[StoredEvent] = []
        size, chunk = 0, 4
        async with self._database.execute(sql, tuple(parameters)) as cursor:
            while rows := await cursor.fetchmany(chunk):
                for row in rows:
                    seq, at_us, type, task_id, desktop_id, actor, body = row
                    event = StoredEvent(seq, at_us, type, task_id, desktop_id, actor.encode(), body)
                    size += event.size
                    if found and size > limits.EVENTS_READ_BYTES_MAX:
                        return found, False
                    found.append(event)
                average = size // len(found) + 1
                chunk = max(1, min(1000, (limits.EVENTS_READ_BYTES_MAX - size) // average + 1))
        return found, True


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
            page = self._ring.read_after(seq, wanted)
        else:
            async with self.snapshot() as snapshot:
                page = await _read_after(snapshot, seq, wanted)
        if wanted.without_addresses:
            return Page([event.without_addresses() for event in page.events], page.cursor)
        return page

    def holds_after(self, seq: int) -> bool:
        return self._ring.holds_after(seq)

    async def wait_beyond(self, seq: int) -> None:
        while self._ring.head <= seq:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        """One moment of the log and its projections, never ahead of `head`.

        Hold it for a few queries: it keeps the WAL from shrinking. Never take a second one inside.
        """
        database = await self._readers.get()
        try:
            await database.execute("begin")
            async with database.execute("select coalesce(max(seq), 0) from events") as cursor:
                row = await cursor.fetchone()
            assert row is not None
            await self.wait_beyond(row[0] - 1)  # committed this moment, and published in the next
            yield Snapshot(database, row[0])
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    # Queued behind whatever a cancelled caller left running there; does nothing outside a transaction.
                    await database.rollback()
            finally:  # also when that wait is cancelled: whoever comes next is queued behind it
                self._readers.put_nowait(database)

    def published(self, events: list[StoredEvent]) -> None:
        """The writer made these durable: they may be seen now."""
        self._ring.push(events)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def forget(self, task_id: str) -> None:
        """The output of a task is removed: no reader gets it from memory any more."""
        self._ring.forget(task_id, BULK_TYPES)

    def statistics(self) -> dict[str, dict[str, int]]:
        """What the ring holds, what waits for the writer, and who waits for news."""
        return {
            "ring": self._ring.statistics(),
            "writer": self._writer.statistics(),
            "readers": {"waiting": len(self._waiters), "idle": self._readers.qsize()},
        }


_STATE = f"type not in ({', '.join(repr(type) for type in sorted(BULK_TYPES))})"


def _walk(wanted: Filter) -> tuple[str, tuple[object, ...]]:
    """The index that leads to what a filter wants with the fewest others, as SQL, and its parameters."""
    if wanted.task_id is not None:
        if wanted.wants_bulk:
            return "indexed by events_by_task where task_id = ?", (wanted.task_id,)
        return f"indexed by events_state_by_task where task_id = ? and {_STATE}", (wanted.task_id,)
    if wanted.wants_bulk:
        return "where true", ()
    if wanted.desktop_id is not None:
        return f"indexed by events_state_by_desktop where desktop_id = ? and {_STATE}", (wanted.desktop_id,)
    return f"indexed by events_state where {_STATE}", ()


async def _read_after(snapshot: Snapshot, seq: int, wanted: Filter) -> Page:
    """One read from the disk, over at most a thousand rows of the index that fits the filter."""
    walk, parameters = _walk(wanted)
    sql = f"select {COLUMNS} from events {walk} and seq > ? order by seq limit ?"  # noqa: S608 - words of our own
    rows, is_end = await snapshot.events_and_end(sql, (*parameters, seq, limits.EVENTS_READ_MAX))
    found = [row for row in rows if wanted.matches(row.type, row.task_id, row.desktop_id)]
    return Page(found, snapshot.seq if is_end and len(rows) < limits.EVENTS_READ_MAX else rows[-1].seq)


@asynccontextmanager
async def open_sqlite_log(
    directory: Path,
    *,
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    free_bytes: Callable[[], int] | None = None,
    ring_bytes_max: int = limits.RING_BYTES_MAX,
) -> AsyncGenerator[SqliteLog]:
    """Open the log of a data directory (whose lock is held), making it when there is none.

    Raises DirectoryUnusable where SQLite cannot work, NewerSchema for a file of a newer version, and LogBroken (in a
    group, as the block is left) when the disk fails.
    """
    path = directory / DATABASE_FILE

    def publish(events: list[StoredEvent]) -> None:
        log.published(events)

    def free_of_disk() -> int:
        disk = os.statvfs(directory)
        return disk.f_bavail * disk.f_frsize

    async with AsyncExitStack() as stack:
        try:
            if not path.exists():
                path.touch(mode=0o600)  # SQLite gives its other files the same rights
            database = await stack.enter_async_context(connected(path))
            await _prepare(database)
            found = [tuple(row) for row in await database.execute_fetchall("select name, value from meta")]
            identity: dict[str, str] = dict(found)
            newest = list(await database.execute_fetchall("select seq, chain from events order by seq desc limit 1"))
            readers = [await stack.enter_async_context(connected(path, read_only=True)) for _ in range(READERS)]
        except (OSError, sqlite3.Error) as error:
            raise DirectoryUnusable(
                f"The event log {path} cannot be opened: {error}. Restore a backup, or choose another --data-dir."
            ) from error
        head, chain = newest[0] if newest else (0, bytes(32))
        ring = Ring(head, ring_bytes_max)
        writer = Writer(
            database,
            head=head,
            chain=chain,
            publish=publish,
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


async def name_anew(directory: Path) -> str:
    """Give the log of a data directory another id, as it needs when it was restored from a backup: the new id.

    Cursors of the log that it was copied from, which has gone on since, are then told to begin again, and outposts know
    that this is the log to talk to now. Raises DirectoryUnusable, NewerSchema.
    """
    path = directory / DATABASE_FILE
    if not path.is_file():
        raise DirectoryUnusable(f"There is no event log in {directory}. Name its directory with --data-dir.")
    with locked_directory(directory):
        async with connected(path) as database:
            await refuse_newer(database)
            log_id = secrets.token_hex(8)
            await database.execute("update meta set value = ? where name = 'log_id'", (log_id,))
            await database.commit()
            return log_id


@asynccontextmanager
async def connected(path: Path, *, read_only: bool = False) -> AsyncGenerator[aiosqlite.Connection]:
    """A connection to a log's file. There is one that writes and checkpoints; the others are `read_only`."""
    if read_only:
        database = await aiosqlite.connect(path, isolation_level=None)
    else:
        database = await aiosqlite.connect(path, isolation_level="IMMEDIATE", factory=WritingConnection)
    try:
        writing = [f"page_size={PAGE_BYTES}", "journal_mode=wal", "synchronous=full", "cache_size=-16000"]
        writing.append("temp_store=memory")  # else what is being changed goes through files in /var/tmp
        writing.append("secure_delete=on")  # what is removed is not left in free pages
        reading = ["query_only=1", "cache_size=-4000"]
        pragmas = ["busy_timeout=5000", "wal_autocheckpoint=0", "mmap_size=0", *(reading if read_only else writing)]
        for pragma in pragmas:
            await database.execute(f"pragma {pragma}")
        (mode,) = next(iter(await database.execute_fetchall("pragma journal_mode")))
        if mode != "wal":
            raise sqlite3.OperationalError(f"SQLite's WAL mode does not work there (it is {mode})")
        yield database
    finally:
        # The writer's is the last: SQLite then takes the WAL into the file.
        with anyio.CancelScope(shield=True):
            await database.close()


async def refuse_newer(database: aiosqlite.Connection) -> int:
    """The version of the file's schema, 0 for a new one. Raises NewerSchema."""
    (row,) = await database.execute_fetchall("pragma user_version")
    found: int = row[0]
    if found > schema.VERSION:
        raise NewerSchema(
            f"The data directory was written by a newer Mission Control (schema {found}; "
            f"this one knows {schema.VERSION}). Install that version again, or choose another --data-dir."
        )
    return found


async def _prepare(database: aiosqlite.Connection) -> None:
    """Bring the tables up to this version, each step whole or not at all; refuse a file of a newer version."""
    found = await refuse_newer(database)
    for number, step in schema.STEPS.items():
        if number <= found:
            continue
        names = _NAMES if number == 1 else ""
        await database.executescript(f"begin exclusive;\n{step}\n{names}\npragma user_version = {number};\ncommit;")


_NAMES = """
insert into meta values ('server_id', lower(hex(randomblob(8)))), ('log_id', lower(hex(randomblob(8))));
"""
