"""The newest events in memory, bounded in bytes and shared by all readers near the head."""

from __future__ import annotations

from ..domain import limits
from ..domain.filters import Filter
from .event_log import Page, StoredEvent

LOOKED_AT_MAX = 10_000  # events of one read that finds little: the loop is not held up for longer


class Ring:
    """Holds a run of consecutive events that ends at the head. The cost of a read does not grow with what it holds."""

    def __init__(self, head: int, bytes_max: int = limits.RING_BYTES_MAX) -> None:
        self._events: dict[int, StoredEvent] = {}  # by seq
        self._bytes = 0
        self._bytes_max = bytes_max
        self.head = head

    @property
    def _before(self) -> int:
        """The position before the oldest event that is held."""
        return self.head - len(self._events)

    def push(self, events: list[StoredEvent]) -> None:
        """Take in what was just committed, and let go of the oldest beyond the bound."""
        for event in events:
            assert event.seq == self.head + 1, "the log has a seq for every event, in order"
            self.head = event.seq
            self._events[event.seq] = event
            self._bytes += event.size
        while self._bytes > self._bytes_max and len(self._events) > 1:
            self._bytes -= self._events.pop(self._before + 1).size

    def forget(self, task_id: str, types: frozenset[str]) -> None:
        """Let go of the payloads of a task's events of these types."""
        for seq, event in self._events.items():
            if event.task_id == task_id and event.type in types:
                self._bytes -= len(event.body or b"")
                self._events[seq] = event._replace(body=None)

    def holds_after(self, seq: int) -> bool:
        """Whether everything after a position is here."""
        return seq >= self._before

    def read_after(self, seq: int, wanted: Filter) -> Page:
        """As `EventLog.read_after`; only where `holds_after`."""
        assert self.holds_after(seq), "what lies before the ring is read from the disk"
        found: list[StoredEvent] = []
        size, until = 0, min(self.head, seq + LOOKED_AT_MAX)
        for at in range(seq + 1, until + 1):
            event = self._events[at]
            if not wanted.matches(event.type, event.task_id, event.desktop_id):
                continue
            if len(found) == limits.EVENTS_READ_MAX or (found and size + event.size > limits.EVENTS_READ_BYTES_MAX):
                return Page(found, at - 1)
            found.append(event)
            size += event.size
        return Page(found, max(until, seq))

    def statistics(self) -> dict[str, int]:
        """Events and bytes held, and the bound in bytes."""
        return {"events": len(self._events), "bytes": self._bytes, "bytes_max": self._bytes_max}
