"""The one writer: whatever waits is appended in one transaction, synced, and only then seen.

- State events go first; then output, runs taking turns, so that a flood does not delay another run's line.
- A group is committed whole or not at all. When a commit fails, everybody whose batch rests on it is told: the group,
  the state behind it, and the later output of the runs in it. Nobody has seen anything.
- Checkpoints are small and run between transactions, on the same connection: no other one writes or checkpoints
  (SQLite before 3.51.3 can corrupt its WAL otherwise).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, cast

import aiosqlite
import anyio
import msgspec
import structlog

from ..domain import limits
from ..domain.events import subject_of
from ..domain.values import SYSTEM
from .event_log import Batch, LogUnavailable, Statement, StoredEvent
from .projections import upserts

STATE_TRANSACTION_BYTES_MAX = 8 * 1024 * 1024  # the largest request fits into one transaction
FREE_CHECK_US = 250_000  # how old a reading of the free disk space may be

PROBE_SECONDS = 5.0  # between two looks at a disk that refused, when nobody else writes
_PROBE = Statement("update meta set value = value where name = 'log_id'", ())

_NOTHING_CHANGED = "Nothing was changed."
_OUTCOME_UNKNOWN = "Whether this was recorded shows when the server is back."

ROWS_MAX = 64  # in one statement
COMMIT_BYTES = 26 * 1024  # what a commit counts beside its events until the next checkpoint: see `Writer._end`
TRANSACTION = "transaction"  # what `WritingConnection` executes in place of a statement
_INSERT = "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_encode = msgspec.json.Encoder().encode
_logger = structlog.get_logger(__name__)


class LogBroken(Exception):
    """The disk failed in a way after which nothing written through this handle can be trusted (EIO, corruption).

    The process must end; the next start recovers from what is on the disk.
    """


class _Waiting(NamedTuple):
    batch: Batch
    actor: bytes
    bodies: list[bytes]
    size: int
    done: asyncio.Future[int]


class WritingConnection(sqlite3.Connection):
    """Also takes a whole transaction as one call: `execute(TRANSACTION, commit)`.

    aiosqlite carries each call to the connection's thread and its end back to the loop, which under load comes to it
    late: a commit in one call waits for that once. The first change begins the transaction.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql is not TRANSACTION:
            return super().execute(sql, parameters)
        commit = cast(_Commit, parameters)
        for statement, rows in commit.statements():
            waiting = list(rows)
            while waiting:
                # Each call gives the interpreter away and waits to have it back: a call for many rows waits once.
                count = min(len(waiting), ROWS_MAX)
                super().execute(_repeated(statement, count), list(itertools.chain.from_iterable(waiting[:count])))
                del waiting[:count]
        self.commit()
        commit.is_durable = True
        return self.cursor()


@cache
def _repeated(statement: str, count: int) -> str:
    """The statement for so many rows."""
    if count == 1:
        return statement
    before, values, after = re.split(r"(\([?, ]+\))", statement)
    return before + ", ".join([values] * count) + after


class _Rows:
    """The rows of new events, digested and chained as they are taken, by the thread that writes them."""

    def __init__(self, events: list[StoredEvent], entities: list[str], chain: bytes) -> None:
        self._events = events
        self._entities = entities
        self.chain = chain  # after the rows that were taken

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        for event, entity in zip(self._events, self._entities, strict=True):
            seq, at_us, type, task_id, desktop_id, actor, body = event
            digest = hashlib.sha256(body or b"").digest()
            raw = msgspec.Raw(actor)
            self.chain = link(self.chain, seq, at_us, type, entity, task_id, desktop_id, raw, digest)
            yield seq, at_us, type, entity, task_id, desktop_id, actor.decode(), body, digest, self.chain


class _Commit:
    """A group on its way to the disk. The thread that writes it says when it is there, ahead of the loop's news."""

    def __init__(self, group: list[_Waiting], events: list[StoredEvent], rows: _Rows) -> None:
        self.group = group
        self.events = events
        self.rows = rows
        self.is_durable = False

    def statements(self) -> list[tuple[str, Iterable[Sequence[Any]]]]:
        """What it executes, each with its rows; for the thread that writes them."""
        changed = upserts(row for waiting in self.group for row in waiting.batch.rows)
        beside = [(beside.sql, (beside.parameters,)) for waiting in self.group for beside in waiting.batch.beside]
        return [(_INSERT, self.rows), *changed.items(), *beside]


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
        self._commit: _Commit | None = None  # the one under way
        self._news: asyncio.Future[Any] | None = None  # of its end, as the loop hears of it
        self._closing = False
        self._broken: LogBroken | None = None
        self._failure: str | None = None  # why the last commit failed, until one succeeds
        self._since_checkpoint = 0
        self._commits = 0
        self.on_refusal: Callable[[], None] = lambda: None

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Give a batch; the future has the seq of its last event once it is durable, or LogUnavailable.

        Raises what encoding raises, for what no JSON can carry: that fails its own caller and nobody else.
        """
        self._go_on()
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        bodies = [_encode(event) for event in batch.events]
        waiting = _Waiting(batch, _encode(batch.actor), bodies, sum(map(len, bodies)) + batch.beside_bytes, done)
        if self._broken or self._closing:
            if batch.run is None:
                self.on_refusal()
            _tell(waiting, f"{self._broken or 'the server is stopping'}. {_NOTHING_CHANGED}")
        elif batch.run is None:
            self._state.append(waiting)
        else:
            self._output.setdefault(batch.run, deque()).append(waiting)
        self._wake.set()
        return done

    async def run(self) -> None:
        """Write until `close`, then what is still waiting. Raises LogBroken."""
        try:
            while True:
                with anyio.move_on_after(PROBE_SECONDS if self._failure else None):
                    await self._wake.wait()
                if not self._wake.is_set():
                    self._probe()
                await asyncio.sleep(0)  # whoever is about to give something in this moment is taken along
                self._wake.clear()
                self._begin()
                while self._commit is not None:
                    await self._see_through(self._commit)
                    if self._since_checkpoint > limits.CHECKPOINT_BYTES:
                        await self._checkpoint()
                    self._begin()
                if self._closing:
                    return
        finally:  # whatever ends the writer, nobody is left waiting
            self._closing = True
            group = self._commit.group if self._commit else []
            self._refuse([*group, *self._take_all()], f"the writer has ended. {_OUTCOME_UNKNOWN}")

    def _probe(self) -> None:
        """After a failure: see whether the disk takes something again, though nobody asks for it."""
        done = self.submit(Batch(events=(), actor=SYSTEM, beside=(_PROBE,)))
        done.add_done_callback(lambda done: done.exception())  # `trouble` tells

    def close(self) -> None:
        """Take no more; `run` returns when everything given before is durable."""
        self._closing = True
        self._wake.set()

    @property
    def trouble(self) -> str | None:
        """Why nothing, or no output, can be written at the moment; None when all is well."""
        return str(self._broken or self._failure or self._shortage() or "") or None

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
        while self._output:
            run, queue = next(iter(self._output.items()))
            if group and size + queue[0].size > limits.TRANSACTION_BYTES_MAX:
                break
            group.append(queue.popleft())
            size += max(group[-1].size, 1)
            if queue:
                self._output.move_to_end(run)
            else:
                del self._output[run]
        return group

    def _begin(self) -> None:
        """Begin the next commit, if there is something to commit and nothing stands before it."""
        while self._commit is None and self._since_checkpoint <= limits.CHECKPOINT_BYTES and (group := self._take()):
            if group := self._refuse_when_full(group):
                self._start(group)

    def _go_on(self) -> None:
        """Begin the next commit as soon as one is durable: the loop has its news late where it has much to do.

        Refuses nobody: whoever is about to give something has decided already.
        """
        if self._commit is None or not self._commit.is_durable:
            return
        self._end(self._commit)
        is_free = self._since_checkpoint <= limits.CHECKPOINT_BYTES and self._shortage() is None
        if is_free and (group := self._take()):
            self._start(group)

    def _start(self, group: list[_Waiting]) -> None:
        self._commit = _Commit(group, *self._number(group))
        self._news = _begun(self._database.execute(TRANSACTION, self._commit))

    async def _see_through(self, commit: _Commit) -> None:
        """Wait for the end of a commit, whoever sees it first."""
        news = self._news
        assert news is not None, "a commit is under way"
        await asyncio.wait((news,))
        try:
            news.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told, and `_fail` judges it
            await self._fail(commit.group, error)
            self._commit = None
        if self._commit is commit:
            self._end(commit)

    def _end(self, commit: _Commit) -> None:
        """It is durable: readers and those who wait are told."""
        self._commit = None
        group, events = commit.group, commit.events
        self._head, self._chain = (events[-1].seq if events else self._head), commit.rows.chain
        self._commits += 1
        self._failure = None
        self._publish(events)
        self._answer(group)
        # A commit of one event writes 13 pages to the WAL, 208 KiB. They are nearly the same ones each time, and a
        # checkpoint takes each page once: so an eighth of them counts, and the WAL stays at some 40 MiB.
        self._since_checkpoint += COMMIT_BYTES + sum(waiting.size for waiting in group) + 512 * len(events)

    def _number(self, group: list[_Waiting]) -> tuple[list[StoredEvent], _Rows]:
        """Give every event of the group its seq."""
        at_us, seq = self._clock_us(), self._head
        events: list[StoredEvent] = []
        entities: list[str] = []
        for batch, actor, bodies, _, _ in group:
            for event, body in zip(batch.events, bodies, strict=True):
                seq += 1
                task_id, desktop_id, entity = subject_of(event)
                desktop_id = desktop_id or batch.desktop_id
                events.append(StoredEvent(seq, at_us, event.TYPE, task_id, desktop_id, actor, body))
                entities.append(entity)
        return events, _Rows(events, entities, self._chain)

    def _answer(self, group: list[_Waiting]) -> None:
        """What was given last goes on first: a run that begins with a request is on its way before that is answered."""
        last = self._head
        for waiting in reversed(group):
            if not waiting.done.done():
                waiting.done.set_result(last)
            last -= len(waiting.bodies)

    async def _fail(self, group: list[_Waiting], error: Exception) -> None:
        """Tell everybody in the group, and everybody whose decision may rest on what has just failed."""
        _logger.error("commit failed", error=repr(error), batches=len(group))
        is_broken = _breaks(error)
        try:
            if self._database.in_transaction:
                await self._database.execute("rollback")
        except (sqlite3.Error, ValueError) as second:  # ValueError: the connection is closed
            is_broken, error = True, second
        if is_broken:
            self._broken = LogBroken(f"its file cannot be written any more: {error}")
            self._refuse([*group, *self._take_all()], f"{self._broken}. {_OUTCOME_UNKNOWN}")
            raise self._broken
        self._failure = f"its file cannot be written: {error}."
        self._refuse(group, f"{self._failure} {_NOTHING_CHANGED}")

    def _refuse_when_full(self, group: list[_Waiting]) -> list[_Waiting]:
        """Below the limits of free disk space, output waits outside, and below the lower one everything does."""
        shortage = self._shortage()
        if shortage is None:
            return group
        if self._free[0] < limits.STATE_FREE_BYTES_MIN:
            self._refuse(group, f"{shortage} {_NOTHING_CHANGED}")
            return []
        output = [waiting for waiting in group if waiting.batch.run is not None]
        self._refuse(output, f"{shortage} {_NOTHING_CHANGED}")
        return [waiting for waiting in group if waiting.batch.run is None]

    def _shortage(self) -> str | None:
        """What the free disk space does not allow at the moment, or None."""
        now = self._clock_us()
        is_short = self._free[0] < limits.OUTPUT_FREE_BYTES_MIN
        if is_short or not 0 <= now - self._free[1] < FREE_CHECK_US:  # a shortage ends when it ends
            self._free = (self._free_bytes(), now)
        free = self._free[0]
        if free >= limits.OUTPUT_FREE_BYTES_MIN:
            return None
        waits = "" if free < limits.STATE_FREE_BYTES_MIN else ", so output waits"
        return f"only {free // (1024 * 1024)} MiB of disk are free{waits}. Free some space on the server."

    def _refuse(self, group: list[_Waiting], reason: str) -> None:
        """Refuse batches with what rests on them: state behind state, and the later output of a run behind its output.

        The first was decided on what is void now; the second would leave a hole.
        """
        if any(waiting.batch.run is None and not waiting.done.done() for waiting in group):
            self.on_refusal()
            group, self._state = [*group, *self._state], deque()
        for waiting in group:
            _tell(waiting, reason)
            if waiting.batch.run is not None:
                for later in self._output.pop(waiting.batch.run, ()):
                    _tell(later, reason)

    def _take_all(self) -> list[_Waiting]:
        taken = [*self._state, *(waiting for queue in self._output.values() for waiting in queue)]
        self._state.clear()
        self._output.clear()
        return taken

    async def _checkpoint(self) -> None:
        self._since_checkpoint = 0
        try:
            # To its last row: what is still being read would stand in the way of the next commit.
            await self._database.execute_fetchall("pragma wal_checkpoint(passive)")
        except sqlite3.Error as error:  # what is in the WAL stays safe there; the next step tries again
            _logger.warning("checkpoint failed", error=str(error))


def _begun(call: Awaitable[Any]) -> asyncio.Future[Any]:
    """Give a call to the connection's thread now, and not when the loop comes to it; its outcome."""
    try:
        outcome: asyncio.Future[Any] = next(call.__await__())
    except Exception as error:  # noqa: BLE001 - such as a closed connection: `run` hears of it as of any other failure
        outcome = asyncio.get_running_loop().create_future()
        outcome.set_exception(error)
    return outcome


def _breaks(error: Exception) -> bool:
    """Whether an error means that the file cannot be trusted; all others, such as a full disk, may pass."""
    if not isinstance(error, sqlite3.Error):
        return False
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # how a full disk shows when the WAL's index has to grow
        return False
    return code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _tell(waiting: _Waiting, reason: str) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(LogUnavailable(reason))


def link(
    chain: bytes,
    seq: int,
    at_us: int,
    type: str,
    entity: str,
    task_id: str | None,
    desktop_id: str | None,
    actor: msgspec.Raw,
    body_sha256: bytes,
) -> bytes:
    """The next link: SHA-256 over the one before, the head fields as a JSON array, and the digest of the body."""
    head = _encode((seq, at_us, type, entity, task_id, desktop_id, actor))
    return hashlib.sha256(chain + head + body_sha256).digest()
