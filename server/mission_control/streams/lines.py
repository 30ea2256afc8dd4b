"""Pages of a run's display lines, from the log: any page costs a few bounded reads, however long the output is.

No transaction is held over a wait: a page is read in pieces, up to a position of the log that does not move.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import chain
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from ..domain.events import TaskOutput
from ..domain.lines import Line, LineReader, Part
from ..domain.output import Stream, decode_text
from ..domain.sgr import Style
from ..log import queries
from ..log.event_log import StoredEvent
from ..log.sqlite import SqliteLog

PAGE_LINES_MAX = 1024
PAGE_BYTES_MAX = 4 * 1024 * 1024  # of a page as it is sent; then the rest is asked for
STYLE_BYTES = 64 * 1024  # before a page that are looked at for colours in force, at least where there are so many …
STYLE_EVENTS_MAX = 200  # … in so many further events

MARKS: dict[Stream, str] = {"stdout": "o", "stderr": "e", "response": "r"}

_decode = msgspec.json.Decoder(TaskOutput).decode
_encode = msgspec.json.Encoder().encode


class Page(NamedTuple):
    """Rows `[stream, text, ms]` as JSON, one a line; which lines they are; the style in force at the first."""

    rows: bytes
    start: int
    lines: int
    is_closed: bool  # none of them can grow
    styles: dict[str, str]  # by mark of the stream


def part_of(event: StoredEvent) -> Part | None:
    """What a `task.output` event says of lines; None when its bytes were removed, or it is another."""
    if event.body is None or event.type != TaskOutput.TYPE:
        return None
    output = _decode(event.body)
    data = decode_text(None if output.text is UNSET else output.text, None if output.base64 is UNSET else output.base64)
    return Part(output.stream, output.line, output.line_bytes or 0, output.ms, data)


async def first_place(log: SqliteLog, task_id: str, line: int, until: int) -> int:
    """The seq of the event in which a display line begins, or of one shortly before it."""
    async with log.snapshot() as snapshot:
        last = await queries.last_output(snapshot, task_id, until, lambda place: place.line < line)
    return last.seq if last else 0


async def output_events(log: SqliteLog, task_id: str, start: int, until: int) -> AsyncGenerator[list[StoredEvent]]:
    """The events of a task's output and its gaps from one seq up to another, a bounded read at a time."""
    after = start - 1
    while True:
        query = queries.output_page(task_id, after, until)
        async with log.snapshot() as snapshot:
            events = await snapshot.events(query.sql, query.parameters)
        if not events:
            return
        yield events
        after = events[-1].seq


async def read_page(log: SqliteLog, task_id: str, start: int, count: int, *, until: int) -> Page:
    """The display lines from a number on, up to a position of the log; fewer where they are large."""
    place = await first_place(log, task_id, start, until)
    reader, rows = LineReader(start), _Rows(count)
    async with aclosing(output_events(log, task_id, place, until)) as reads:
        async for events in reads:
            for line in chain.from_iterable(map(reader.feed, filter(None, map(part_of, events)))):
                rows.add(line)
                if rows.is_full:
                    break
            if rows.is_full:
                break
    if not rows.is_full and (rest := reader.rest()):
        rows.add(rest)
    styles = await _styles(log, task_id, place, reader.before) if start else {}
    return Page(b"".join(rows.encoded), rows.start or start, len(rows.encoded), rows.is_closed, styles)


class _Rows:
    """Rows of a page, until it is full."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._size = 0
        self.encoded: list[bytes] = []
        self.start = 0
        self.is_closed = True
        self.is_full = False

    def add(self, line: Line) -> None:
        row = _encode((MARKS[line.stream], line.data.decode(errors="replace"), line.ms)) + b"\n"
        if self.encoded and self._size + len(row) > PAGE_BYTES_MAX:
            self.is_full = True
            return
        if not self.encoded:
            self.start = line.number
        self.encoded.append(row)
        self._size += len(row)
        self.is_closed = line.is_ended
        self.is_full = len(self.encoded) == self._count


async def _styles(log: SqliteLog, task_id: str, place: int, before: list[tuple[Stream, bytes]]) -> dict[str, str]:
    """The colours in force after these bytes. What was set further back than is looked at is not known."""
    if sum(len(data) for _, data in before) < STYLE_BYTES:
        query = queries.output_page_back(task_id, place, STYLE_EVENTS_MAX)
        async with log.snapshot() as snapshot:
            events = await snapshot.events(query.sql, query.parameters)
        parts = [part for part in map(part_of, reversed(events)) if part]
        before = [*((part.stream, part.data) for part in parts), *before]
    styles: dict[Stream, Style] = {stream: Style() for stream in MARKS}
    for stream, data in before:
        styles[stream].feed(data)
    return {MARKS[stream]: text for stream, style in styles.items() if (text := str(style))}
