"""A reader's way through the log: history first, then live, without a gap, a repeat or a queue.

WebSocket, SSE, the runner and the command line's streams all read through `follow`; there is no other way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

import anyio

from ..domain.filters import Filter
from ..log.event_log import EventLog, StoredEvent


class Step(NamedTuple):
    """What comes next: events in order, the position up to which nothing is missing, and whether that is the head."""

    events: list[StoredEvent]
    cursor: int
    is_live: bool


async def follow(log: EventLog, after: int, wanted: Filter) -> AsyncGenerator[Step, None]:
    """The events after a position that match, in order, without end.

    Between two steps nothing is held for the reader but its position: one that does not ask is served from the disk
    later, at its own pace. At the head it waits; a step may be empty, when only events that do not match have come.
    """
    cursor = after
    while True:
        page = await log.read_after(cursor, wanted)
        cursor = page.cursor
        is_live = cursor >= log.head
        yield Step(page.events, cursor, is_live)
        if is_live:
            await log.wait_beyond(cursor)
        else:
            await anyio.lowlevel.checkpoint()  # a long history from memory lets others have their turn
