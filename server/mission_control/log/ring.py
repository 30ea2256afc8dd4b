"""The newest events in memory, bounded in bytes and shared by all readers near the head."""

from __future__ import annotations

from collections import deque
from itertools import islice

from ..domain import limits
from ..domain.filters import Filter
from .event_log import Page, StoredEvent


class Ring:
    """Holds a run of consecutive events that ends at the head."""

    def __init__(self, head: int, bytes_max: int = limits.RING_BYTES_MAX) -> None:
        self._events: deque[StoredEvent] = deque()
        self._bytes = 0
        self._bytes_max = bytes_max
        self.head = head

    def push(self, events: list[StoredEvent]) -> None:
        """Take in what was just committed, and let go of the oldest beyond the bound."""
        for event in events:
            assert event.seq == self.head + 1, "the log has a seq for every event, in order"
            self.head = event.seq
            self._events.append(event)
            self._bytes += event.size
        while self._bytes > self._bytes_max and len(self._events) > 1:
            self._bytes -= self._events.popleft().size

    def holds_after(self, seq: int) -> bool:
        """Whether everything after a position is here."""
        return seq >= self.head - len(self._events)

    def read_after(self, seq: int, wanted: Filter) -> Page:
        """As `EventLog.read_after`; only where `holds_after`."""
        assert self.holds_after(seq), "what lies before the ring is read from the disk"
        found: list[StoredEvent] = []
        size, first = 0, self.head - len(self._events)
        for event in islice(self._events, max(seq - first, 0), None):
            if not wanted.matches(event.type, event.task_id, event.desktop_id):
                continue
            if len(found) == limits.EVENTS_READ_MAX or (found and size + event.size > limits.EVENTS_READ_BYTES_MAX):
                return Page(found, found[-1].seq)
            found.append(event)
            size += event.size
        return Page(found, max(self.head, seq))

    def statistics(self) -> dict[str, int]:
        """Events and bytes held, and the bound in bytes."""
        return {"events": len(self._events), "bytes": self._bytes, "bytes_max": self._bytes_max}
