"""Frames of events that equal subscriptions share: built once for all who stand at the same place.

Under a flood to a hundred screens the joining of bytes, not the sending, would be the work. What is kept is small and
new: readers near the head ask for the same frame within moments, and others for none twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from ..domain.filters import Filter
from ..log.event_log import StoredEvent
from . import wire

FRAMES_BYTES_MAX = 4 * 1024 * 1024  # of all that are kept; one frame is at most a read of the log, 1 MiB, and an event


class Place(NamedTuple):
    """What decides a frame: whose it is, what it wants and how it looks at output, from where and to where."""

    id: str
    wanted: Filter
    output: wire.OutputView
    after: int
    cursor: int


class Frames:
    """The newest frames of one log, for all its sockets."""

    def __init__(self, bytes_max: int = FRAMES_BYTES_MAX) -> None:
        self._frames: OrderedDict[Place, bytes] = OrderedDict()
        self._bytes = 0
        self._bytes_max = bytes_max

    def of(self, place: Place, events: Sequence[StoredEvent]) -> bytes:
        """The frame of these events, which are all that there are for this place."""
        frame = self._frames.get(place)
        if frame is None:
            frame = self._frames[place] = wire.events_frame(place.id, events, place.cursor)
            self._bytes += len(frame)
            while self._bytes > self._bytes_max:
                self._bytes -= len(self._frames.popitem(last=False)[1])
        return frame

    def forget(self) -> None:
        """Let go of everything: output that frames may hold was removed."""
        self._frames.clear()
        self._bytes = 0

    def statistics(self) -> dict[str, int]:
        """Frames and bytes held, and the bound in bytes."""
        return {"frames": len(self._frames), "bytes": self._bytes, "bytes_max": self._bytes_max}
