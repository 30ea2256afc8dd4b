"""The one writer: whatever waits is appended in one transaction, synced, and only then seen.

- State events go first; then output, runs taking turns, so that a flood does not delay another run's line.
- A group is committed whole or not at all. When a commit fails, everybody who waits is told; nobody has seen anything.
- Checkpoints are small and run between transactions, on the same connection: no other one writes or checkpoints
  (SQLite before 3.51.3 can corrupt its WAL otherwise).
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

import aiosqlite
import msgspec
import structlog

from ..domain import limits
from ..domain.events import subject_of
from .event_log import Batch, LogUnavailable, StoredEvent
from .projections import upserts

STATE_TRANSACTION_BYTES_MAX = 8 * 1024 * 1024  # the largest request fits into one transaction
FREE_CHECK_US = 250_000  # how old a reading of the free disk space may be

PASSING_TROUBLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY)
"""Errors after which the handle can still be trusted: nothing of the transaction is on the disk."""

_INSERT = "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encode = msgspec.json.Encoder().encode
_logger = structlog.get_logger(__name__)


class LogBroken(Exception):
    """The disk failed in a way after which nothing written through this handle can be trusted (EIO, corruption).

    The process must end; the next start recovers from what is on the disk.
    """


class _Waiting(NamedTuple):
    batch: Batch
    bodies: list[bytes]
    size: int
    done: asyncio.Future[int]


class Writer:
    """Takes batches, makes them durable, and publishes what became durable."""

    def __init__(
        self,
        database: aiosqlite.Connection,
        *,
        head: int,
        chain: bytes,
        publish: Callable[[list[StoredEvent]], None],
        clock_us: Callable[[], int],
        free_bytes: Callable[[], int],
    ) -> None:
        self._database = database
        self._head = head
        self._chain = chain
        self._publish = publish
        self._clock_us = clock_us
        self._free_bytes = free_bytes
        self._free: tuple[int, int] = (0, -FREE_CHECK_US)
        self._state: deque[_Waiting] = deque()
        self._output: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._wake = asyncio.Event()
        self._closing = False
        self._broken: LogBroken | None = None
        self._since_checkpoint = 0
        self._commits = 0
        self.on_refusal: Callable[[], None] = lambda: None
        self.trouble: str | None = None  # why the last commit failed, until one succeeds

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Give a batch; the future has the seq of its last event once it is durable, or LogUnavailable."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._broken or self._closing:
            done.set_exception(LogUnavailable(str(self._broken or "the server is stopping.")))
            return done
        bodies = [_encode(event) for event in batch.events]
        waiting = _Waiting(batch, bodies, sum(map(len, bodies)), done)
        if batch.run is None:
            self._state.append(waiting)
        else:
            self._output.setdefault(batch.run, deque()).append(waiting)
        self._wake.set()
        return done

    async def run(self) -> None:
        """Write until `close`, then what is still waiting. Raises LogBroken."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while group := self._take():
                await self._commit(group)
            if self._closing:
                return

    def close(self) -> None:
        """Take no more; `run` returns when everything given before is durable."""
        self._closing = True
        self._wake.set()

    def statistics(self) -> dict[str, int]:
        """Batches waiting, and commits so far."""
        return {
            "state_waiting": len(self._state),
            "output_waiting": sum(len(queue) for queue in self._output.values()),
            "commits": self._commits,
        }

    def _take(self) -> list[_Waiting]:
        """The next group: state first, then one batch of each run in turn while there is room."""
        group: list[_Waiting] = []
        size = 0
        while self._state and (not group or size + self._state[0].size <= STATE_TRANSACTION_BYTES_MAX):
            group.append(self._state.popleft())
            size += group[-1].size
        size = 0
        while self._output and (not group or size < limits.TRANSACTION_BYTES_MAX):
            run, queue = next(iter(self._output.items()))
            group.append(queue.popleft())
            size += max(group[-1].size, 1)
            if queue:
                self._output.move_to_end(run)
            else:
                del self._output[run]
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        group = self._refuse_when_full(group)
        if not group:
            return
        events, rows, chain = self._number(group)
        try:
            await self._transact(group, rows)
        except sqlite3.Error as error:
            await self._fail(group, error)
            return
        self._head, self._chain = (events[-1].seq if events else self._head), chain
        self._commits += 1
        self.trouble = None
        self._publish(events)
        self._answer(group)
        self._since_checkpoint += sum(waiting.size for waiting in group) + 512 * len(rows)
        if self._since_checkpoint > limits.CHECKPOINT_BYTES:
            self._since_checkpoint = 0
            await self._checkpoint()

    def _number(self, group: list[_Waiting]) -> tuple[list[StoredEvent], list[tuple[object, ...]], bytes]:
        """Give every event of the group its seq, digest and link of the chain."""
        at_us, seq, chain = self._clock_us(), self._head, self._chain
        events: list[StoredEvent] = []
        rows: list[tuple[object, ...]] = []
        for batch, bodies, _, _ in group:
            actor = _encode(batch.actor)
            for event, body in zip(batch.events, bodies, strict=True):
                seq += 1
                task_id, desktop_id, entity = subject_of(event)
                desktop_id = desktop_id or batch.desktop_id
                digest = hashlib.sha256(body).digest()
                chain = link(chain, seq, at_us, event.TYPE, entity, task_id, desktop_id, actor, digest)
                events.append(StoredEvent(seq, at_us, event.TYPE, task_id, desktop_id, actor, body))
                rows.append(
                    (seq, at_us, event.TYPE, entity, task_id, desktop_id, actor.decode(), body, digest, chain)
                )
        return events, rows, chain

    async def _transact(self, group: list[_Waiting], rows: list[tuple[object, ...]]) -> None:
        database = self._database
        await database.execute("begin immediate")
        await database.executemany(_INSERT, rows)
        for statement, values in upserts(row for waiting in group for row in waiting.batch.rows).items():
            await database.executemany(statement, values)
        for waiting in group:
            for beside in waiting.batch.beside:
                await database.execute(beside.sql, beside.parameters)
        await database.execute("commit")

    def _answer(self, group: list[_Waiting]) -> None:
        last = self._head - sum(len(waiting.bodies) for waiting in group)
        for waiting in group:
            last += len(waiting.bodies)
            if not waiting.done.done():
                waiting.done.set_result(last)

    async def _fail(self, group: list[_Waiting], error: sqlite3.Error) -> None:
        """Tell everybody in the group, and everybody whose decision may rest on what has just failed."""
        self.trouble = str(error)
        _logger.error("commit failed", error=str(error), batches=len(group))
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if self._database.in_transaction:
            try:
                await self._database.execute("rollback")
            except sqlite3.Error as second:
                code, error = sqlite3.SQLITE_IOERR, second
        if code not in PASSING_TROUBLE:
            self._broken = LogBroken(f"the event log cannot be written any more: {error}")
            group = [*group, *(waiting for queue in self._output.values() for waiting in queue)]
            self._output.clear()
        self._refuse_all(group, f"{error}.")
        if self._broken:
            raise self._broken

    def _refuse_when_full(self, group: list[_Waiting]) -> list[_Waiting]:
        """Below the limits of free disk space, output waits outside, and below the lower one everything does."""
        now = self._clock_us()
        if not 0 <= now - self._free[1] < FREE_CHECK_US:
            self._free = (self._free_bytes(), now)
        free = self._free[0]
        if free >= limits.OUTPUT_FREE_BYTES_MIN:
            return group
        mib = free // (1024 * 1024)
        if free < limits.STATE_FREE_BYTES_MIN:
            self.trouble = f"only {mib} MiB of disk are free."
            self._refuse_all(group, f"{self.trouble} Free some space on the server.")
            return []
        refused = [waiting for waiting in group if waiting.batch.run is not None]
        if refused:
            self.trouble = f"only {mib} MiB of disk are free: output waits."
            refuse(refused, f"{self.trouble} Free some space on the server.")
        return [waiting for waiting in group if waiting.batch.run is None]

    def _refuse_all(self, group: list[_Waiting], reason: str) -> None:
        """Refuse a group, and every state batch behind it: they were decided on what the group would have changed."""
        self.on_refusal()
        refuse([*group, *self._state], reason)
        self._state.clear()

    async def _checkpoint(self) -> None:
        try:
            await self._database.execute("pragma wal_checkpoint(passive)")
        except sqlite3.Error as error:  # what is in the WAL stays safe there; the next step tries again
            _logger.warning("checkpoint failed", error=str(error))


def refuse(waiting: list[_Waiting], reason: str) -> None:
    """Tell those who wait that nothing of theirs was written."""
    for each in waiting:
        if not each.done.done():
            each.done.set_exception(LogUnavailable(reason))


def link(
    chain: bytes,
    seq: int,
    at_us: int,
    type: str,
    entity: str,
    task_id: str | None,
    desktop_id: str | None,
    actor: bytes,
    body_sha256: bytes,
) -> bytes:
    """The next link: SHA-256 over the one before, the head fields as a JSON array, and the digest of the body."""
    head = _encode([seq, at_us, type, entity, task_id, desktop_id, msgspec.Raw(actor)])
    return hashlib.sha256(chain + head + body_sha256).digest()
