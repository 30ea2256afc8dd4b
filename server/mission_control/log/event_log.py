"""The log of events: what it promises to those who write and to those who read.

Positions are `seq`: 1, 2, 3 … without gaps. Events become visible only after they are durable, to all readers in the
same order. An implementation passes `tests/log/contract.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from ..domain.entities import Approval, Desktop, Key, KnownHost, Secret, Settings, Task
from ..domain.events import Event, without_address
from ..domain.filters import Filter
from ..domain.output import RunPosition
from ..domain.times import rfc3339
from ..domain.values import Actor

_ENCODER = msgspec.json.Encoder()


class LogUnavailable(Exception):
    """The disk refuses: nothing of the batch will ever be seen. The message says why and what to do."""


class Statement(NamedTuple):
    """SQL that goes into the transaction of the events that need it."""

    sql: str
    parameters: tuple[object, ...]


class RunRow(msgspec.Struct, frozen=True):
    """How far a run's output is recorded."""

    task_id: str
    position: RunPosition


Row = Task | Approval | Desktop | Key | Secret | KnownHost | Settings | RunRow


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is appended together: whole or not at all.

    `rows` are the objects as they stand after the events; `beside` are statements for what is not derived from the
    log (secrets, credentials, idempotency), and `beside_bytes` about how much they write. `run` names the run whose
    output this is: output takes turns between runs and goes behind state events. `desktop_id` is indexed for events
    that do not name their desktop themselves.
    """

    events: tuple[Event, ...]
    actor: Actor
    rows: tuple[Row, ...] = ()
    beside: tuple[Statement, ...] = ()
    beside_bytes: int = 0
    run: str | None = None
    desktop_id: str | None = None


class StoredEvent(NamedTuple):
    """An event with its place in the log. `body` is the payload's JSON; None when it was pruned."""

    seq: int
    at_us: int
    type: str
    task_id: str | None
    desktop_id: str | None
    actor: bytes
    body: bytes | None

    def without_addresses(self) -> StoredEvent:
        """The event as those read it who do not see from where people came."""
        body = self.body if self.body is None else without_address(self.type, self.body)
        actor = self.actor if b'"from":' not in self.actor else _without_from(self.actor)
        return self if actor is self.actor and body is self.body else self._replace(actor=actor, body=body)

    def envelope(self) -> bytes:
        """The event as it goes on the wire, joined around the payload that was encoded once."""
        return b"".join(self.parts())

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The envelope in pieces, for who joins many: a body is then copied once."""
        at, type = rfc3339(self.at_us).encode(), self.type.encode()
        head = b'{"seq":%d,"at":"%s","type":"%s","actor":%s,"payload":' % (self.seq, at, type, self.actor)
        return head, self.body if self.body is not None else self._pruned(), b"}"

    def _pruned(self) -> bytes:
        return _ENCODER.encode({"taskId": self.task_id, "pruned": True})

    @property
    def size(self) -> int:
        return 256 + len(self.body or b"")


@lru_cache(1000)
def _without_from(actor: bytes) -> bytes:
    return _ENCODER.encode(msgspec.structs.replace(msgspec.json.decode(actor, type=Actor), address=msgspec.UNSET))


class Page(NamedTuple):
    """Events after a position, in order, and the position up to which nothing that matches is missing."""

    events: list[StoredEvent]
    cursor: int


class EventLog(Protocol):
    """An append-only sequence of events."""

    @property
    def log_id(self) -> str:
        """Which log this is: a cursor of another one means nothing here."""
        ...

    @property
    def head(self) -> int:
        """The position of the newest event that readers may see; 0 in an empty log."""
        ...

    async def append(self, batch: Batch) -> int:
        """Make a batch durable, whole or not at all, and return the seq of its last event.

        When this returns its events survive a power cut; no reader sees them before that. Batches of one run, and
        batches of no run, keep the order in which they were given; their seqs never interleave. Cancelling does not
        undo a batch that was given.
        Raises LogUnavailable when the disk refuses; then no reader will ever see any of its events.
        """
        ...

    async def read_after(self, seq: int, wanted: Filter) -> Page:
        """The next events after a position that match, at most a thousand or 1 MiB (one event may be larger).

        The page's cursor has moved past events that do not match; an empty page at the head has `cursor == head`.
        """
        ...

    def holds_after(self, seq: int) -> bool:
        """Whether everything after a position is at hand, so that reading it costs no disk."""
        ...

    async def wait_beyond(self, seq: int) -> None:
        """Return when the head is beyond a position."""
        ...
