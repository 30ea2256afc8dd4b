"""One browser or script on a WebSocket: any number of subscriptions, each a cursor over the log.

The socket is two functions, `send` and `receive`; this knows the protocol, not the framework. Nothing is queued: a
subscription reads on only when its last frame has left. State events leave at once; with `output: "tail"` the output
is thinned to the newest lines, at most so many frames a second.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing

import anyio
import anyio.abc
import msgspec

from ..domain.events import TaskOutput, TaskProgress
from ..domain.filters import BULK_TYPES, Filter, types_of
from ..domain.permissions import NEEDED, Permission, Reach
from ..log.event_log import EventLog, StoredEvent
from . import wire
from .cursor import follow
from .frames import Frames, Place
from .tail import LINES_MAX, Tail, TailFrame

HEARTBEAT_SECONDS = 2.0
STALL_SECONDS = 60.0  # a peer that takes nothing for so long is cut; it comes back with its cursor
METRICS_SECONDS = 1.0
TAIL_SECONDS = 0.05  # at most 20 frames a second for a viewer
BOARD_TAIL_SECONDS = 0.5  # at most 2 a second for a board's last lines
BOARD_TAIL_LINES = 3  # up to so many lines a task is a board's tail
TAILS_MAX = 500  # kept for tasks that have been shown; a page may be open for months
TAILS_WAITING_BYTES_MAX = 4 * 1024 * 1024  # of output that waits for a frame; beyond, only its newest lines are kept

Recent = Callable[[Filter, int, Collection[str] | None], AsyncGenerator[list[StoredEvent]]]
"""The newest output of each task that runs, or of those of them that are named, up to a position of the log: what a
screen shows at first."""


decode_progress = msgspec.json.Decoder(TaskProgress).decode


class PeerStalled(Exception):
    """The other side has taken nothing for too long."""


class ProtocolError(Exception):
    """A message that cannot be carried out; `code` is stable, the text says what to do."""

    def __init__(self, code: str, detail: str, id: str | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.id = code, detail, id


class Socket:
    """One connection. `serve` returns when the peer is gone; it raises PeerStalled when the peer must be cut."""

    def __init__(
        self,
        log: EventLog,
        send: Callable[[bytes], Awaitable[None]],
        *,
        hello: dict[str, object],
        metrics: Callable[[], list[object]],
        is_allowed: Callable[[], bool],
        may: Callable[[Permission], bool],
        reach: Callable[[], Reach] = lambda: None,
        recent: Recent | None = None,
        frames: Frames | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._send_raw = send
        self._hello = hello
        self._metrics = metrics
        self.is_allowed = is_allowed
        self._may = may
        self.reach = reach  # the desktops that the reader sees now
        self.recent = recent
        self.frames = frames or Frames()  # shared by the sockets of one log
        self._clock = clock
        self._sending = anyio.Lock()
        self._last_sent = clock()
        self._subscriptions: dict[str, _Subscription] = {}

    async def serve(self, receive: Callable[[], Awaitable[str | bytes | None]]) -> None:
        """Follow the protocol until `receive` answers None, or until what opened the door does so no more."""
        await self.send(
            wire.frame("hello", protocol=wire.PROTOCOL, logId=self._log.log_id, head=self._log.head, **self._hello)
        )
        async with anyio.create_task_group() as group:
            group.start_soon(self._heartbeats, group.cancel_scope)
            while (message := await receive()) is not None:
                try:
                    await self._obey(message, group)
                except ProtocolError as error:
                    about = {"id": error.id} if error.id is not None else {}
                    await self.send(wire.frame("error", **about, code=error.code, detail=error.detail))
            group.cancel_scope.cancel()

    async def send(self, data: bytes | Callable[[], bytes]) -> None:
        """Send one message, made when its turn has come. Raises PeerStalled when it does not leave."""
        async with self._sending:
            with anyio.move_on_after(STALL_SECONDS) as scope:
                await self._send_raw(data if isinstance(data, bytes) else data())
            if scope.cancelled_caught:
                raise PeerStalled
            self._last_sent = self._clock()

    async def reset(self, id: str) -> None:
        """Tell that a subscription cannot go on from its position: discard, and read again."""
        self._subscriptions.pop(id, None)
        await self.send(wire.frame("reset", id=id, logId=self._log.log_id, head=self._log.head))

    async def _obey(self, message: str | bytes, group: anyio.abc.TaskGroup) -> None:
        try:
            order = wire.decode(message)
        except msgspec.DecodeError as error:
            raise ProtocolError("bad_message", f"This message is not understood: {error}.") from None
        except UnicodeError:
            raise ProtocolError("bad_message", "This message is not UTF-8.") from None
        needed = wire.RULES[type(order)].needs
        if not self._may(needed):
            raise ProtocolError("forbidden", f"This needs the role {NEEDED[needed]}.", order.id)
        if isinstance(order, wire.Unsubscribe):
            if subscription := self._subscriptions.pop(order.id, None):
                subscription.scope.cancel()
            return
        if isinstance(order, wire.Show):
            self._show(order)
            return
        wanted = self._filter(order)
        if order.id not in self._subscriptions and len(self._subscriptions) >= wire.SUBSCRIPTIONS_MAX:
            raise ProtocolError("too_many_subscriptions", f"A socket has {wire.SUBSCRIPTIONS_MAX} at most.", order.id)
        head = self._log.head
        after = head if order.after is None else order.after
        if after > head or (order.log_id is not None and order.log_id != self._log.log_id):
            await self.reset(order.id)
            return
        if old := self._subscriptions.pop(order.id, None):
            old.scope.cancel()
        self._subscriptions[order.id] = subscription = _Subscription(self, order, wanted, after)
        group.start_soon(subscription.run, self._log)
        if order.metrics:
            group.start_soon(self._send_metrics, subscription)

    def _show(self, order: wire.Show) -> None:
        subscription = self._subscriptions.get(order.id)
        if subscription is None or subscription.order.output != "tail":
            raise ProtocolError("bad_message", 'What is shown is said of a subscription with output "tail".', order.id)
        if order.task_ids is not None and len(order.task_ids) > wire.SHOWN_TASKS_MAX:
            raise ProtocolError("bad_message", f"At most {wire.SHOWN_TASKS_MAX} tasks are shown.", order.id)
        subscription.show(order.task_ids)

    def _filter(self, order: wire.Subscribe) -> Filter:
        if not order.id or len(order.id) > 100:
            raise ProtocolError("bad_message", "A subscription's id has 1 to 100 characters.")
        if order.after is not None and order.after < 0:
            raise ProtocolError("bad_cursor", "A cursor is 0 or more.", order.id)
        if not 1 <= order.tail_lines <= LINES_MAX:
            raise ProtocolError("bad_message", f"tailLines is 1 to {LINES_MAX}.", order.id)
        if order.types is None:
            types = None if order.output == "full" else types_of(["*"], bulk=False)
        else:
            try:
                types = types_of(order.types, bulk=order.output == "full")
            except ValueError as error:
                raise ProtocolError("bad_message", f"{error}.", order.id) from None
        return Filter(
            types=types,
            task_id=order.task_id,
            desktop_id=order.desktop_id,
            reach=self.reach(),
            without_addresses=not self._may("administer"),
        )

    async def _heartbeats(self, scope: anyio.CancelScope) -> None:
        """After silence, say where everything stands; and leave when the key or session has ended."""
        while True:
            await anyio.sleep(max(self._last_sent + HEARTBEAT_SECONDS - self._clock(), 0.1))
            if not self.is_allowed():
                scope.cancel()
                return
            if self._clock() - self._last_sent >= HEARTBEAT_SECONDS:
                cursors = {id: subscription.cursor for id, subscription in self._subscriptions.items()}
                await self.send(wire.frame("heartbeat", head=self._log.head, cursors=cursors))

    async def _send_metrics(self, subscription: _Subscription) -> None:
        """The newest values, at most one message a second; never behind others in a queue."""
        last: list[object] = []
        with subscription.scope_of_metrics:
            while True:
                newest = self._metrics()
                if newest and newest != last:
                    last = newest
                    await self.send(wire.frame("metrics", id=subscription.order.id, desktops=newest))
                await anyio.sleep(METRICS_SECONDS)


class _Subscription:
    def __init__(self, socket: Socket, order: wire.Subscribe, wanted: Filter, after: int) -> None:
        self._socket = socket
        self.order = order
        self.cursor = after
        self._wanted = wanted
        self._is_live = False
        self.scope = anyio.CancelScope()
        self.scope_of_metrics = anyio.CancelScope()
        self._tails: dict[str, Tail] = {}
        self._shown: frozenset[str] | None = None  # the tasks whose tails are sent; None is all
        self._comes_in: frozenset[str] | None = frozenset()  # of them those that are to begin with their last lines
        self._pause = BOARD_TAIL_SECONDS if order.tail_lines <= BOARD_TAIL_LINES else TAIL_SECONDS

    async def run(self, log: EventLog) -> None:
        with self.scope:
            try:
                if self.order.output == "tail":
                    await self._catch_up(log)
                    await self._begin_tails(self._shown, self.cursor)
                    async with anyio.create_task_group() as group:
                        group.start_soon(self._send_tails, log)
                        await self._follow(log)
                else:
                    await self._follow(log)
            finally:
                self.scope_of_metrics.cancel()

    def show(self, task_ids: Collection[str] | None) -> None:
        """Send tails of these tasks only, None is of all; those that were not shown begin with their last lines."""
        before, self._shown = self._shown, None if task_ids is None else frozenset(task_ids)
        if self._shown is not None:
            self._tails = {id: tail for id, tail in self._tails.items() if id in self._shown}
        if before is not None:
            self._comes_in = None if self._shown is None else self._shown - before

    async def _begin_tails(self, task_ids: Collection[str] | None, until: int) -> None:
        """The last lines of tasks, or of all that run, as they were at a position of the log."""
        if self._socket.recent is None:
            return
        async with aclosing(self._socket.recent(self._wanted, until, task_ids)) as tasks:
            async for events in tasks:
                if events and events[0].task_id not in self._tails:  # else what came meanwhile is newer
                    for event in events:
                        self._take_in(event)
                    self._bound_tails()

    def _bound_tails(self) -> None:
        if sum(tail.waiting_bytes for tail in self._tails.values()) > TAILS_WAITING_BYTES_MAX:
            for tail in self._tails.values():
                tail.settle()

    async def _catch_up(self, log: EventLog) -> None:
        """Say what was missed, up to where the log is in memory. Output is passed over: it may be very long, and tails
        are of what is new."""
        while not log.holds_after(self.cursor) and self._socket.is_allowed():
            events, cursor = await log.read_after(self.cursor, self._wanted)
            await self._send_events(events, cursor)

    async def _follow(self, log: EventLog) -> None:
        wanted = self._wanted
        if self.order.output == "tail" and wanted.types is not None:
            wanted = msgspec.structs.replace(wanted, types=wanted.types | {"task.output", "task.progress"})
        async with aclosing(follow(log, self.cursor, wanted)) as steps:
            async for events, cursor, is_live in steps:
                if not self._socket.is_allowed():
                    return
                if self._socket.reach() != wanted.reach:  # what was shown may be out of sight now: read anew
                    await self._socket.reset(self.order.id)
                    return
                is_tail = self.order.output == "tail"
                said = [event for event in events if self._is_state(event)] if is_tail else events
                self._bound_tails()
                await self._send_events(said, cursor)
                if is_live and not self._is_live:
                    self._is_live = True
                    await self._socket.send(wire.frame("live", id=self.order.id, cursor=cursor))

    async def _send_events(self, events: list[StoredEvent], cursor: int) -> None:
        if events:
            place = Place(self.order.id, self._wanted, self.order.output, self.cursor, cursor)
            await self._socket.send(self._socket.frames.of(place, events))
        self.cursor = cursor

    def _is_state(self, event: StoredEvent) -> bool:
        """Whether an event goes as it is; others go into their task's tail."""
        if event.type not in BULK_TYPES:
            return True
        self._take_in(event)
        return self._wanted.types is not None and event.type in self._wanted.types

    def _take_in(self, event: StoredEvent) -> None:
        id = event.task_id
        assert id is not None
        if event.body is None or (self._shown is not None and id not in self._shown):
            return
        tail = self._tails.pop(id, None) or Tail(id, self.order.tail_lines)
        self._tails[id] = tail  # at the end: those at the beginning are the quietest
        if event.seq <= tail.seq:
            return
        tail.seq = event.seq
        if event.type == TaskOutput.TYPE:
            tail.output(event)
        elif event.type == TaskProgress.TYPE:
            tail.progress(decode_progress(event.body))

    async def _send_tails(self, log: EventLog) -> None:
        """The newest lines of every task that has some, so many times a second."""
        while True:
            if self._comes_in != frozenset():
                task_ids, self._comes_in = self._comes_in, frozenset()
                await self._begin_tails(task_ids, log.head)
            if any(tail.is_new for tail in self._tails.values()):
                await self._socket.send(self._tail_frame)
            await anyio.sleep(self._pause)

    def _tail_frame(self) -> bytes:
        """Made when it leaves: with the newest lines, and a cursor that is not behind a frame sent before."""
        frames: list[TailFrame] = [tail.take() for tail in self._tails.values() if tail.is_new]
        for id in list(self._tails)[:-TAILS_MAX]:
            del self._tails[id]
        return wire.frame("tail", id=self.order.id, cursor=self.cursor, tasks=frames)
