"""Checks a log against itself: nothing missing, nothing changed, and everything derived from it still follows.

- Every `seq` once, in order; every body has its digest, every event its link of the chain.
- Every task goes only the ways that tasks can go, and its versions count up; its output has no hole, its sums add up,
  and are those that the desktop made at the command's pipes.
- Every table is what folding the events from the first one on gives; nothing secret outlives its owner.

`Checker` is the judgement and has no I/O. What it keeps in memory grows with tasks, never with output. A log in use is
read in short steps, so that it is not held up; only the comparison at the end needs one moment.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import aiosqlite
import msgspec

from ..domain.entities import NEXT, OPEN, Approval, Desktop, Key, KnownHost, Secret, Settings, Task
from ..domain.events import (
    Event,
    Stream,
    TaskCreated,
    TaskEnd,
    TaskOutput,
    TaskOutputGap,
    TaskOutputRemoved,
    decode_event,
    subject_of,
)
from ..domain.filters import BULK_TYPES
from ..domain.fold import State
from ..domain.output import RunPosition, decode_text
from ..domain.values import StreamSums
from .directory import DATABASE_FILE, DirectoryUnusable, locked_directory
from .heads import Head, NotedHead, head_of
from .sqlite import Snapshot, connected, refuse_newer
from .vault import NAMED
from .writer import link

PROBLEMS_MAX = 100  # told one by one; the rest is counted
READ_BYTES = 1024 * 1024  # of one read, about
READ_ROWS_MAX = 1000
READS_HELD = 16  # reads in one snapshot of a log in use: it keeps the WAL from shrinking

T = TypeVar("T")
Rows = Iterable[tuple[Any, ...]]


class Problem(msgspec.Struct, frozen=True):
    """Something that is not as it must be; `seq` is the event that shows it, if one does."""

    seq: int | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence if self.seq is None else f"event {self.seq}: {self.sentence}"


class Report(msgspec.Struct, frozen=True):
    """What a check found. `bytes` is the raw output of all runs; `problem_count` counts also what is not listed."""

    events: int
    tasks: int
    runs: int
    bytes: int
    problem_count: int
    problems: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        return self.problem_count == 0


class Record(NamedTuple):
    """A row of the log, as it is stored."""

    seq: int
    at: int
    type: str
    entity: str
    task_id: str | None
    desktop_id: str | None
    actor: str
    body: bytes | None
    body_sha256: bytes
    chain: bytes


STILL_THERE = (
    "select exists (select 1 from events indexed by events_by_task where task_id = ? and seq < ?"  # noqa: S608
    f" and type in ({', '.join(repr(type) for type in sorted(BULK_TYPES))}) and body is not null)"
    " and not exists (select 1 from removals where task_id = ?)"
)

_AS_STORED = {name: f"cast({name} as blob)" for name in ("body", "body_sha256", "chain")}  # whatever damage made of it


class _Run:
    """How far the output of a run has come. Where bytes were pruned or lost, its sums are not known any more."""

    def __init__(self) -> None:
        self.position = RunPosition()
        self.is_known = True
        self.digests: dict[Stream, Any] = {}  # of each stream, until the run has ended
        self.masked: set[Stream] = set()  # streams whose digest is not known, since secrets were masked

    def take(self, stream: Stream, data: bytes) -> None:
        self.digests.setdefault(stream, hashlib.sha256()).update(data)

    def sums(self, stream: Stream) -> StreamSums:
        """What is recorded of a stream; without a digest where the raw bytes are not."""
        at, digest = self.position.of(stream), self.digests.get(stream) or hashlib.sha256()
        sha256 = "" if stream in self.masked else digest.hexdigest()
        return StreamSums(bytes=at.offset, crc=at.crc, sha256=sha256)


class Checker:
    """Takes the events one after the other, then the tables, and notes what is wrong."""

    def __init__(self, heads: Iterable[NotedHead] = ()) -> None:
        self._heads: dict[int, list[NotedHead]] = {}
        for noted in heads:
            self._heads.setdefault(noted.head.seq, []).append(noted)
        self._heads.pop(0, None)  # of an empty log: there was nothing to change
        self.seq = 0
        self._chain = bytes(32)
        self._state = State()
        self._ended: dict[str, bytes] = {}  # tasks that are over, encoded: they are many, and seldom looked at again
        self._runs: dict[str, _Run] = {}
        self._listed: Counter[str] = Counter()
        self._without_payload: dict[str, int] = {}  # tasks with events that lack theirs: the last of them
        self._with_payload: set[str] = set()  # tasks with output that is there
        self.removed: dict[str, int] = {}  # tasks whose output was removed though it was there just before, and where
        self._events = self._tasks = self._run_count = self._bytes = 0
        self._problem_count = 0
        self._problems: list[Problem] = []

    def report(self) -> Report:
        """What was found so far."""
        return Report(
            self._events, self._tasks, self._run_count, self._bytes, self._problem_count, tuple(self._problems)
        )

    def problem(self, sentence: str, seq: int | None = None) -> None:
        """Note that something is wrong."""
        self._problem_count += 1
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(Problem(seq, sentence))

    # The events, in the order in which they are stored.

    def take(self, record: Record) -> None:
        """The next event."""
        self._events += 1
        self._check_seal(record)
        for line, head in self._heads.pop(record.seq, ()):
            if head.chain.lower() != record.chain.hex():
                self.problem(
                    f"it, or one before it, is not what it was when its head was noted (line {line})", record.seq
                )
        self.seq, self._chain = record.seq, record.chain  # as stored: one damage is one problem, not all that follows
        if record.body is None:
            self._check_absent(record)
            return
        if record.task_id is not None and record.type in BULK_TYPES:
            self._with_payload.add(record.task_id)
        try:
            event = decode_event(record.type, record.body)
        except KeyError:
            self.problem(f"this version knows no events of type {record.type}", record.seq)
        except msgspec.DecodeError as error:
            self.problem(f"its payload is not one of {record.type}: {error}", record.seq)
        else:
            self._check_subject(record, event)
            self._check_event(record.seq, event)

    def _check_absent(self, record: Record) -> None:
        """A payload may only be gone where a person removed the output of a task."""
        if record.task_id is None or record.type not in BULK_TYPES:
            self.problem("its payload is gone, which nobody can remove", record.seq)
            return
        self._run(record.task_id).is_known = False
        self._without_payload[record.task_id] = record.seq

    def _check_removed(self, seq: int, task_id: str) -> None:
        self._without_payload.pop(task_id, None)
        if task_id in self._with_payload:
            self._with_payload.discard(task_id)
            self.removed[task_id] = seq  # either it went after it was read, or it is there still

    def _check_seal(self, record: Record) -> None:
        seq, follows = record.seq, record.seq == self.seq + 1
        if not follows:
            self.problem(f"it comes after event {self.seq}: what was between them is missing", seq)
        if record.body is not None and hashlib.sha256(record.body).digest() != record.body_sha256:
            self.problem("its payload is not what was written: the digest differs", seq)
        head = (
            seq,
            record.at,
            record.type,
            record.entity,
            record.task_id,
            record.desktop_id,
            msgspec.Raw(record.actor.encode()),
        )
        if follows and link(self._chain, *head, record.body_sha256) != record.chain:
            self.problem("the chain does not follow from the event before: one of the two was changed", seq)

    def _check_subject(self, record: Record, event: Event) -> None:
        task_id, desktop_id, entity = subject_of(event)
        if (record.task_id, record.entity) != (task_id, entity) or desktop_id not in (None, record.desktop_id):
            self.problem("it is found under another task, desktop or entity than its payload names", record.seq)

    def _check_event(self, seq: int, event: Event) -> None:
        task_id, desktop_id, entity = subject_of(event)
        task = self._task(task_id) if task_id is not None else None
        if task_id is not None and task is None and not isinstance(event, TaskCreated):
            self.problem(f"it is about task {task_id}, which was never created", seq)
            return
        if isinstance(event, TaskEnd):
            self._check_sums(seq, event)
        match event:
            case TaskOutput():
                self._check_output(seq, event, task)
            case TaskOutputGap():
                self._run(event.task_id).is_known = False
            case TaskOutputRemoved():
                self._check_removed(seq, event.task_id)
                self._check_step(seq, task, self._state.apply(event))
            case _:
                before = task if task_id is not None else self._state.desktops.get(desktop_id or "")
                try:
                    after = self._state.apply(event)
                except KeyError:
                    self.problem(f"it is about {entity}, which was never created", seq)
                else:
                    self._check_step(seq, before, after)
        if task_id is not None:
            self._put_away(task_id)

    def _check_step(self, seq: int, before: Task | Desktop | None, after: object) -> None:
        """From one version of a task or desktop to the next."""
        if not isinstance(after, Task | Desktop):
            return
        self._tasks += before is None and isinstance(after, Task)
        if after.version != (before.version + 1 if before else 1):
            self.problem(f"version {after.version} of {after.id} does not follow the one before", seq)
        if not isinstance(after, Task):
            return
        if before is None and after.status != "pending":
            self.problem(f"task {after.id} begins as {after.status}", seq)
        if isinstance(before, Task) and after.status not in (before.status, *NEXT[before.status]):
            self.problem(f"task {after.id} goes from {before.status} to {after.status}", seq)

    def _check_sums(self, seq: int, event: TaskEnd) -> None:
        """What is recorded is what the desktop counted and digested at the command's pipes."""
        run = self._runs.get(event.task_id) or _Run()
        for stream, said in (event.streams or {}).items():
            wanted = msgspec.structs.replace(said, sha256="") if stream in run.masked else said
            if run.is_known and run.sums(stream) != wanted:
                self.problem(f"what is recorded of {stream} of task {event.task_id} is not what its desktop read", seq)
        run.digests.clear()

    def _check_output(self, seq: int, event: TaskOutput, task: Task | None) -> None:
        if task is not None and task.status != "running" and not _may_come_late(task, event):
            self.problem(f"it is output of task {task.id}, which is {task.status}", seq)
        run = self._run(event.task_id)
        try:
            data = decode_text(_given(event.text), _given(event.base64))
        except ValueError as error:
            self.problem(f"its output cannot be read: {error}", seq)
            run.is_known = False
            return
        self._bytes += len(data)
        if not run.is_known:
            return
        at = run.position
        after = at.after(event.stream, data)
        if event.masked is not msgspec.UNSET:
            if not _is_masked(data, [(start - event.offset, size) for start, size in event.masked]):
                self.problem(f"the output of task {event.task_id} is not masked where it says so", seq)
            after = after.known_by(event.stream, event.crc, masked=len(event.masked))
            run.masked.add(event.stream)
        run.position = after
        run.take(event.stream, data)
        sums = (
            ("position", event.position, at.position),
            ("offset", event.offset, at.of(event.stream).offset),
            ("length", event.length, len(data)),
            ("line", event.line, at.line_at(event.stream)),
            ("crc", event.crc, after.of(event.stream).crc),
        )
        if event.line_bytes is not msgspec.UNSET:  # earlier versions did not write it
            sums += (("lineBytes", event.line_bytes, at.line_bytes_at(event.stream)),)
        wrong = [f"{name} is {said} and should be {right}" for name, said, right in sums if said != right]
        if wrong:
            self.problem(f"the output of task {event.task_id} does not add up: {', '.join(wrong)}", seq)
            run.is_known = False  # said once, not for every event after it

    def _run(self, task_id: str) -> _Run:
        if task_id not in self._runs:
            self._runs[task_id] = _Run()
            self._run_count += 1
        return self._runs[task_id]

    def _task(self, id: str) -> Task | None:
        if encoded := self._ended.pop(id, None):
            self._state.tasks[id] = msgspec.msgpack.decode(encoded, type=Task)
        return self._state.tasks.get(id)

    def _put_away(self, id: str) -> None:
        if (task := self._state.tasks.get(id)) and task.status not in OPEN:
            self._ended[id] = msgspec.msgpack.encode(self._state.tasks.pop(id))

    # The tables, once every event was taken. Each object that a row shows is ticked off.

    def compare_tasks(self, rows: Rows) -> None:
        """Rows of `tasks`: `id, status, type, desktop_id, batch_id, ended_at, archived, doc`."""
        for id, *columns, doc in rows:
            task = self._task(id)
            self._state.tasks.pop(id, None)
            if task is None:
                self.problem(f"the table of tasks has {id}, which no event created")
                continue
            self._listed[task.status] += not task.archived
            right = [task.status, task.type, task.desktop_id, task.batch_id, task.completed_at, task.archived]
            if columns != right or _decoded(doc, Task) != task:
                self.problem(f"the table of tasks shows {id} otherwise than its events")

    def compare_runs(self, rows: Rows) -> None:
        """Rows of `runs`: `task_id, bytes, lines, doc`."""
        for id, bytes_, lines, doc in rows:
            run = self._runs.pop(id, None) or _Run()
            at = run.position
            shown = _decoded(doc, RunPosition)
            if shown and shown.masked >= at.masked:  # progress, too, has secrets that were masked
                shown = msgspec.structs.replace(shown, masked=at.masked)
            if run.is_known and ((bytes_, lines) != (at.position, at.lines) or shown != at):
                self.problem(f"the table of runs shows {bytes_} bytes of {id}; its events have {at.position}")

    def compare_approvals(self, rows: Rows) -> None:
        """Rows of `approvals`: `id, task_id, status, doc`."""
        for id, *columns, doc in rows:
            approval = self._state.approvals.pop(id, None)
            right = [approval.task_id, approval.status] if approval else None
            if columns != right or _decoded(doc, Approval) != approval:
                self.problem(f"the table of approvals shows {id} otherwise than its events")

    def compare_desktops(self, rows: Rows) -> None:
        """Rows of `desktops`: `id, removed, doc`."""
        for id, removed, doc in rows:
            desktop = self._state.desktops.pop(id, None)
            if desktop is None or removed != bool(desktop.removed_at) or _decoded(doc, Desktop) != desktop:
                self.problem(f"the table of desktops shows {id} otherwise than its events")

    def compare_keys(self, rows: Rows) -> None:
        """Rows of `keys`: `id, doc`."""
        for id, doc in rows:
            if _decoded(doc, Key) != self._state.keys.pop(id, None):
                self.problem(f"the table of keys shows {id} otherwise than its events")

    def compare_secrets(self, rows: Rows) -> None:
        """Rows of `named_secrets`: `name, doc`."""
        for name, doc in rows:
            if _decoded(doc, Secret) != self._state.secrets.pop(name, None):
                self.problem(f"the table of secrets' names shows {name} otherwise than its events")

    def compare_known_hosts(self, rows: Rows) -> None:
        """Rows of `known_hosts`: `id, doc`."""
        for id, doc in rows:
            if _decoded(doc, KnownHost) != self._state.known_hosts.pop(id, None):
                self.problem(f"the table of known hosts shows {id} otherwise than its events")

    def compare_settings(self, rows: Rows) -> None:
        """Rows of `settings`: `doc`; none while nobody changed anything."""
        shown = [_decoded(doc, Settings) for (doc,) in rows]
        if (shown or [Settings()]) != [self._state.settings]:
            self.problem("the table of settings shows others than the events")

    def compare_removed(self, id: str, left: tuple[Any, ...]) -> None:
        """Whether output that was removed is there, and nothing is at work on it: a row of `STILL_THERE`."""
        if left[0]:
            self.problem(f"output of task {id} was removed, and some of it is there still")

    def compare_counts(self, rows: Rows) -> None:
        """Rows of `task_counts`: `status, count`; after the tasks."""
        for status, count in rows:
            if count != self._listed.pop(status, 0):
                self.problem(f"the number of tasks that are {status} is not {count}")

    def compare_owners(self, secrets: Rows, credentials: Rows) -> None:
        """Who has secrets and credentials: desktops that were not removed, runs under way, keys that were not revoked,
        and the secrets that have names; before all those."""
        for owner, name in secrets:
            if owner == NAMED:
                if name not in self._state.secrets:
                    self.problem(f"there is still the value of the secret {name}, which is gone")
            elif not self._may_have_secrets(owner):
                self.problem(f"there is still a secret of {owner}, which is gone")
        for (owner,) in credentials:
            key = self._state.keys.get(owner)
            if key is None or key.revoked_at:
                self.problem(f"there is still a credential of key {owner}, which is gone")

    def _may_have_secrets(self, owner: str) -> bool:
        if desktop := self._state.desktops.get(owner):
            return not desktop.removed_at
        task = self._task(owner)
        self._put_away(owner)
        return task is not None and (task.status == "running" or _is_given_up(task))

    def finish(self) -> None:
        """What was not ticked off is missing from its table or the log; and so is what a noted head stands for."""
        for seq, noted in self._heads.items():
            for line, head in noted:
                self.problem(f"the log ends at event {self.seq}, but event {seq} was noted at {head.at} (line {line})")
        for id, seq in self._without_payload.items():
            self.problem(f"output of task {id} is gone up to here, and no event says that it was removed", seq)
        tables: tuple[tuple[str, Iterable[str]], ...] = (
            ("tasks", [*self._state.tasks, *self._ended]),
            ("runs", [id for id, run in self._runs.items() if run.position.position]),
            ("approvals", self._state.approvals),
            ("desktops", self._state.desktops),
            ("keys", self._state.keys),
            ("secrets' names", self._state.secrets),
            ("known hosts", self._state.known_hosts),
            ("task counts", [status for status, count in self._listed.items() if count]),
        )
        for table, missing in tables:
            for id in missing:
                self.problem(f"the table of {table} lacks {id}")


def _may_come_late(task: Task, event: TaskOutput) -> bool:
    """What a desktop kept that was given up: it is recorded when the desktop is back, and says that it is late."""
    return event.late is True and _is_given_up(task)


def _is_given_up(task: Task) -> bool:
    return task.error is not None and task.error.code == "desktop_unreachable"


def _is_masked(data: bytes, ranges: list[tuple[int, int]]) -> bool:
    """Whether nothing but `*` and line ends stands in these places, as begin and length, one after the other."""
    at = 0
    for start, size in ranges:
        if start < at or size <= 0 or start + size > len(data) or data[start : start + size].strip(b"*\n"):
            return False
        at = start + size
    return True


def _given(value: str | msgspec.UnsetType) -> str | None:
    return None if value is msgspec.UNSET else value


def _decoded(doc: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(doc, type=kind)
    except msgspec.DecodeError:
        return None


# Reading.


class HasSnapshots(Protocol):
    """What can be checked: an open log, or a file opened for reading."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """One moment of it."""
        ...


async def verify(log: HasSnapshots, progress: Callable[[int, int], None] = lambda seq, head: None) -> Report:
    """Check a log, also while it is written: up to the head as it is when the check gets there.

    `progress` is told how far it is, and the head, after each step.
    """
    checker = Checker()
    await _verify(log, checker, progress)
    return checker.report()


async def directory_head(directory: Path) -> Head:
    """The head of a data directory's log, whether a server runs on it or not. Raises DirectoryUnusable, NewerSchema."""
    path = directory / DATABASE_FILE
    if not path.is_file():
        raise DirectoryUnusable(f"There is no event log in {directory}. Name its directory with --data-dir.")
    try:
        async with connected(path, read_only=True) as database:
            await refuse_newer(database)
            async with _File(database).snapshot() as snapshot:
                row = await snapshot.row("select value from meta where name = 'log_id'")
                return await head_of(snapshot, row[0] if row else "")
    except sqlite3.Error as error:
        raise DirectoryUnusable(f"The event log {path} cannot be read: {error}.") from error


async def _verify(log: HasSnapshots, checker: Checker, progress: Callable[[int, int], None]) -> None:
    while True:
        async with log.snapshot() as snapshot:
            limit = READ_ROWS_MAX // 10
            for _ in range(READS_HELD):
                if checker.seq >= snapshot.seq:
                    break
                limit = await _take(snapshot, checker, limit)
            progress(checker.seq, snapshot.seq)
            if checker.seq >= snapshot.seq:
                await _compare(snapshot, checker)
                return


async def _take(snapshot: Snapshot, checker: Checker, limit: int) -> int:
    """Take the next events; how many are to be read next, for about as many bytes each time."""
    columns = ", ".join(_AS_STORED.get(name, name) for name in Record._fields)
    sql = f"select {columns} from events where seq > ? order by seq limit ?"  # noqa: S608 - names of our own
    size = 0
    records = [Record(*row) for row in await snapshot.rows(sql, (checker.seq, limit))]
    for record in records:
        checker.take(record)
        size += 256 + len(record.body or b"")
    return max(1, min(READ_ROWS_MAX, READ_BYTES * len(records) // max(size, 1)))


async def _compare(snapshot: Snapshot, checker: Checker) -> None:
    checker.compare_owners(
        await snapshot.rows("select owner, name from secrets"), await snapshot.rows("select key_id from credentials")
    )
    by_pages: Sequence[tuple[str, str, Callable[[Rows], None]]] = (
        ("tasks", "id, status, type, desktop_id, batch_id, ended_at, archived, doc", checker.compare_tasks),
        ("runs", "task_id, bytes, lines, doc", checker.compare_runs),
        ("approvals", "id, task_id, status, doc", checker.compare_approvals),
        ("desktops", "id, removed, doc", checker.compare_desktops),
        ("keys", "id, doc", checker.compare_keys),
        ("named_secrets", "name, doc", checker.compare_secrets),
        ("known_hosts", "id, doc", checker.compare_known_hosts),
    )
    for table, columns, compare in by_pages:
        after = ""
        id = columns.partition(",")[0]
        sql = f"select {columns} from {table} where {id} > ? order by {id} limit {READ_ROWS_MAX}"  # noqa: S608
        while rows := await snapshot.rows(sql, (after,)):
            compare(rows)
            after = rows[-1][0]
    for id, seq in checker.removed.items():
        (left,) = await snapshot.rows(STILL_THERE, (id, seq, id))
        checker.compare_removed(id, left)
    checker.compare_settings(await snapshot.rows("select doc from settings"))
    checker.compare_counts(await snapshot.rows("select status, count from task_counts"))
    checker.finish()


class _File:
    """A log's file, opened for reading only."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        await self._database.execute("begin")
        try:
            (row,) = await self._database.execute_fetchall("select coalesce(max(seq), 0) from events")
            yield Snapshot(self._database, row[0])
        finally:
            await self._database.rollback()


async def verify_directory(
    directory: Path,
    progress: Callable[[int, int], None] = lambda seq, head: None,
    heads: Iterable[NotedHead] = (),
) -> Report:
    """Check the log of a data directory, whether a server runs on it or not; none can start meanwhile.

    With `heads`, that it is still the log of which they were noted. Where no server runs, SQLite checks its pages too.
    Raises DirectoryUnusable where there is no log, NewerSchema.
    """
    path = directory / DATABASE_FILE
    if not path.is_file():
        raise DirectoryUnusable(f"There is no event log in {directory}. Name its directory with --data-dir.")
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(locked_directory(directory))
            is_alone = True
        except DirectoryUnusable:
            is_alone = False
        checker = Checker(heads)
        try:
            database = await stack.enter_async_context(connected(path, read_only=True))
            await refuse_newer(database)
            await _verify(_File(database), checker, progress)
            if is_alone:
                for (line,) in await database.execute_fetchall("pragma integrity_check(20)"):
                    if line != "ok":
                        checker.problem(f"the file is damaged: {line}")
        except sqlite3.Error as error:
            checker.problem(f"the file cannot be read any further: {error}", checker.seq or None)
        return checker.report()
