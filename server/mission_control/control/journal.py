"""The state in memory, and the way from a decision to the log."""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TypeVar

import anyio
import msgspec
import structlog

from ..domain import limits
from ..domain.entities import OPEN, Approval, Desktop, Key, KnownHost, Secret, Settings, Task
from ..domain.errors import LOG_UNAVAILABLE, NOT_FOUND, Refused
from ..domain.events import Event
from ..domain.fold import State
from ..domain.ids import ENTROPY_BYTES, make_id
from ..domain.times import rfc3339
from ..domain.values import Actor
from ..log.event_log import Batch, LogUnavailable, Row, Statement
from ..log.sqlite import SqliteLog

RETRY_SECONDS = 1.0  # between two tries while the log is unavailable
FINISHED_KEPT = 2000  # finished tasks kept in memory, so that two decisions about one see each other

assert FINISHED_KEPT >= limits.BATCH_TASKS_MAX, "all tasks that one request names are in memory at one moment"

T = TypeVar("T")
_logger = structlog.get_logger(__name__)


class Journal:
    """What exists, as decisions see it; `commit` makes a decision durable.

    Open tasks, pending approvals, desktops, known hosts, keys, secrets' names and settings are held whole; finished
    tasks are loaded when needed. When an append fails the memory is rebuilt from the disk before the next decision.
    """

    def __init__(self, log: SqliteLog, clock_us: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        self.log = log
        self._clock_us = clock_us
        self._entropy = entropy
        self._finished: OrderedDict[str, None] = OrderedDict()  # in memory as on the disk: may be let go of
        self._stale = True
        self._voids = 0  # how often what was decided turned out void
        self._rebuilding = anyio.Lock()
        self._newest: asyncio.Future[int] | None = None  # the last append: once it is decided, all before it are
        self.state = State()
        self._listeners: list[Callable[[tuple[Event, ...]], None]] = []
        log.on_refusal(self._void)

    @contextmanager
    def telling(self, listener: Callable[[tuple[Event, ...]], None]) -> Generator[None]:
        """Tell of events when their place in the order is taken, before they are durable: they may turn out void."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def now_us(self) -> int:
        """The present time in microseconds since 1970."""
        return self._clock_us()

    def now(self) -> str:
        """The present time as it goes on the wire."""
        return rfc3339(self._clock_us())

    def new_id(self, prefix: str, index: int = 0) -> str:
        """A new id; `index` keeps the order of ids that are made together."""
        return make_id(prefix, self._clock_us() + index, self._entropy(ENTROPY_BYTES))

    def entropy(self, size: int) -> bytes:
        """Random bytes for keys and tokens."""
        return self._entropy(size)

    async def ready(self) -> State:
        """The state, rebuilt from the disk first where an append failed. Decide on it before the next await."""
        while self._stale:
            async with self._rebuilding:
                if self._stale:
                    await self._rebuild()
        return self.state

    async def task(self, id: str) -> Task:
        """A task, open or finished. Raises Refused `not_found`.

        After it returns, decide before the next await.
        """
        (found,) = await self.tasks((id,))
        return found

    async def tasks(self, ids: Sequence[str]) -> list[Task]:
        """Several tasks as they are at one moment. Raises Refused `not_found` for one that does not exist.

        After it returns, decide before the next await.
        """
        while True:
            state = await self.ready()
            missing = [id for id in ids if id not in state.tasks]
            if not missing:
                return [state.tasks[id] for id in ids]
            for id in ids:
                if id in self._finished:
                    self._finished.move_to_end(id)
            voids = self._voids
            async with self.log.snapshot() as snapshot:
                rows = await snapshot.rows(
                    "select doc from tasks where id in (select value from json_each(?))",
                    (msgspec.json.encode(missing).decode(),),
                )
            if voids != self._voids:
                continue
            self._take_back(msgspec.json.decode(doc, type=Task) for (doc,) in rows)
            for id in missing:
                if id not in self.state.tasks:
                    raise Refused(NOT_FOUND, kind="task", id=id)

    def desktop(self, id: str, *, removed: bool = True) -> Desktop:
        """A desktop, also a removed one unless told otherwise. Raises Refused `not_found`."""
        found = self.state.desktops.get(id)
        if found is None or (found.removed_at and not removed):
            raise Refused(NOT_FOUND, kind="desktop", id=id)
        return found

    def pending_approval(self, task_id: str) -> Approval | None:
        """The approval that a task waits for."""
        for approval in self.state.approvals.values():
            if approval.task_id == task_id and approval.status == "pending":
                return approval
        return None

    async def commit(
        self,
        events: Iterable[Event],
        actor: Actor,
        *,
        beside: Iterable[Statement] = (),
        before_append: Callable[[], Statement | None] = lambda: None,
    ) -> int:
        """Take events in, and return the position of the last one when they are durable.

        `before_append` may add a statement that needs the new state, such as an answer to remember.
        Raises Refused `log_unavailable` when the disk refuses; then nothing has changed.
        """
        events, beside = tuple(events), tuple(beside)
        rows = self.take(events)
        if statement := before_append():
            beside += (statement,)
        appended = self._newest
        if events or beside:
            try:
                appended = self.log.submit(Batch(events=events, actor=actor, rows=rows, beside=beside))
            except Exception:
                self._void()  # a mistake of ours, such as what cannot be encoded: the memory must not keep it
                raise
            finished = [row for row in rows if isinstance(row, Task) and row.status not in OPEN]
            if finished:
                appended.add_done_callback(lambda done: self._settled(finished) if done.exception() is None else None)
            self._newest = appended
            for listener in self._listeners:
                listener(events)
        elif appended is None or appended.done():
            return self.log.head
        try:  # where nothing changes, the answer may still rest on what is not durable yet
            return await asyncio.shield(appended)
        except LogUnavailable as error:
            raise Refused(LOG_UNAVAILABLE, reason=str(error)) from None

    def submit(self, events: tuple[Event, ...], actor: Actor, beside: Iterable[Statement] = ()) -> None:
        """Append what nobody's answer rests on, without waiting for it."""
        batch = Batch(events=events, actor=actor, beside=tuple(beside))
        if batch.events or batch.beside:
            self.log.submit(batch).add_done_callback(lambda done: done.exception())  # the log itself says what is wrong

    def take(self, events: tuple[Event, ...]) -> tuple[Row, ...]:
        """Evolve the state; the rows that changed, as they now stand."""
        changed: dict[tuple[type[object], str], Row] = {}
        for event in events:
            entity = self.state.apply(event)
            if entity is None:
                continue
            changed[type(entity), getattr(entity, "id", "")] = entity
            match entity:
                case Task():
                    self._finished.pop(entity.id, None)  # it differs from the disk until its events are durable
                case Approval() if entity.status != "pending":
                    del self.state.approvals[entity.id]
                case _:
                    pass
        return tuple(changed.values())

    def _settled(self, finished: Iterable[Task]) -> None:
        """These are on the disk now."""
        for task in finished:
            if self.state.tasks.get(task.id) is task:
                self._finished[task.id] = None
        self._let_go()

    def _take_back(self, tasks: Iterable[Task]) -> None:
        """Hold finished tasks again."""
        self._let_go()
        for task in tasks:
            if task.id not in self.state.tasks:  # another caller may have loaded and changed it meanwhile
                self.state.tasks[task.id] = task
                self._finished[task.id] = None

    def _let_go(self) -> None:
        while len(self._finished) > FINISHED_KEPT:
            oldest, _ = self._finished.popitem(last=False)
            self.state.tasks.pop(oldest, None)

    def _void(self) -> None:
        self._stale = True
        self._voids += 1

    async def _rebuild(self) -> None:
        """Load what decisions need; its size grows with open tasks, not with history. Until then nobody decides."""
        voids = self._voids
        if self._newest is not None:
            await asyncio.wait([self._newest])  # what was given before is on the disk, or never will be
        state = State()
        async with self.log.snapshot() as snapshot:
            open_tasks = "select doc from tasks where archived = 0 and status in ('pending', 'running', 'review')"
            for (doc,) in await snapshot.rows(open_tasks):
                task = msgspec.json.decode(doc, type=Task)
                state.tasks[task.id] = task
            for (doc,) in await snapshot.rows("select doc from approvals where status = 'pending'"):
                approval = msgspec.json.decode(doc, type=Approval)
                state.approvals[approval.id] = approval
            for (doc,) in await snapshot.rows("select doc from desktops"):
                desktop = msgspec.json.decode(doc, type=Desktop)
                state.desktops[desktop.id] = desktop
            for (doc,) in await snapshot.rows("select doc from keys"):
                key = msgspec.json.decode(doc, type=Key)
                state.keys[key.id] = key
            for (doc,) in await snapshot.rows("select doc from named_secrets"):
                secret = msgspec.json.decode(doc, type=Secret)
                state.secrets[secret.name] = secret
            for (doc,) in await snapshot.rows("select doc from known_hosts order by id"):
                known = msgspec.json.decode(doc, type=KnownHost)
                state.known_hosts[known.id] = known
            if row := await snapshot.row("select doc from settings"):
                state.settings = msgspec.json.decode(row[0], type=Settings)
        self._finished.clear()
        self.state = state
        self._stale = voids != self._voids


def open_journal(
    log: SqliteLog,
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Journal:
    """The journal of a log, with this machine's clock and randomness."""
    return Journal(log, clock_us, entropy)


async def until_taken(change: Callable[[], Awaitable[T]]) -> T:
    """Make a change that nobody is there to repeat: while the log is unavailable, it is tried again."""
    while True:
        try:
            return await change()
        except Refused as refused:
            if refused.code != LOG_UNAVAILABLE.code:
                raise
            _logger.warning("a change waits for the log", reason=refused.detail)
            await anyio.sleep(RETRY_SECONDS)
