"""Cuts a byte stream into server-sent events, however it was split (WHATWG HTML, 9.2 "Server-sent events").

The decoder does no I/O and never raises: what it cannot accept ends it, with the reason in `error`, after the events
before it were given out. The same bytes give the same events and the same error in any split.

It differs from a browser in two points. Invalid UTF-8 is an error, since a replaced byte inside an agent's answer
would be wrong in silence. And sizes are limited, since a browser may be killed by its user and a server may not.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

LINE_BYTES_MAX = 4 * 1024 * 1024  # one line; a chunk of an answer with a whole file in a tool's arguments fits
EVENT_BYTES_MAX = 8 * 1024 * 1024  # the data lines of one event together

assert LINE_BYTES_MAX <= EVENT_BYTES_MAX, "an event holds at least one line"

SseError = Literal["line_too_long", "event_too_large", "invalid_utf8"]

_LINE_END = re.compile(rb"[\r\n]")
_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """One dispatched event. `end` is the offset of the first byte that does not belong to it.

    An event is complete at the first byte of its blank line's end, so the LF of a CRLF there belongs to what follows.
    `id` is the last event id seen so far, as `EventSource.lastEventId` has it.
    """

    type: str
    data: str
    id: str
    end: int


class SseDecoder:
    """Bytes in by `feed()`, events out. `finish()` tells what the end of the stream left unfinished."""

    def __init__(self, *, line_bytes_max: int = LINE_BYTES_MAX, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.error: SseError | None = None
        self.retry_ms: int | None = None  # what the server asked to wait before reconnecting
        self.comment_count = 0
        self._line_bytes_max = line_bytes_max
        self._event_bytes_max = event_bytes_max
        self._line = bytearray()  # the line that has not ended yet
        self._offset = 0  # bytes consumed, the unfinished line included
        self._bom = bytearray()  # a beginning that may still turn out to be a byte order mark
        self._at_start = True
        self._skip_lf = False  # the last line ended with CR; an LF right after it belongs to that end
        self._type = ""
        self._id = ""
        self._data: list[str] = []
        self._data_bytes = 0

    @property
    def event_is_open(self) -> bool:
        """Whether part of an event or line has come that no blank line has ended."""
        return bool(self._line or self._data or self._bom)

    def feed(self, data: bytes) -> list[SseEvent]:
        """Take the next bytes and give out the events that they complete."""
        events: list[SseEvent] = []
        if self.error is not None:
            return events
        if self._at_start:
            data = self._without_bom(data)
        position = 0
        while position < len(data) and self.error is None:
            if self._skip_lf:
                self._skip_lf = False
                if data[position] == 0x0A:
                    position += 1
                    self._offset += 1
                    continue
            match = _LINE_END.search(data, position)
            stop = match.start() if match else len(data)
            self._line += memoryview(data)[position:stop]
            if len(self._line) > self._line_bytes_max:
                self.error = "line_too_long"
                break
            self._offset += stop - position
            position = stop
            if match:
                position += 1
                self._offset += 1
                self._skip_lf = data[stop] == 0x0D
                self._end_line(events)
        return events

    def finish(self) -> SseEvent | None:
        """The event that the end of the stream cut off before its blank line, if it has data.

        The specification drops it, since it may be half an event. A reader who can tell a whole one from a half one
        (whole JSON) may use it: some servers end without the last line end.
        """
        if self.error is None and self._at_start:
            self._at_start = False
            self._line += self._bom  # two bytes of a byte order mark, and then nothing
            self._offset += len(self._bom)
            self._bom.clear()
        events: list[SseEvent] = []
        if self.error is None and self._line:
            self._end_line(events)
        if self.error is None:
            self._end_line(events)
        return events[0] if events else None

    def _without_bom(self, data: bytes) -> bytes:
        self._bom += data
        if len(self._bom) < len(_BOM) and _BOM.startswith(self._bom):
            return b""
        data = bytes(self._bom)
        self._at_start = False
        self._bom.clear()
        if data.startswith(_BOM):
            self._offset += len(_BOM)
            data = data[len(_BOM) :]
        return data

    def _end_line(self, events: list[SseEvent]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if not line:
            self._dispatch(events)
            return
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.error = "invalid_utf8"
            return
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                self.comment_count += 1
            case "data":
                self._data_bytes += len(line)
                if self._data_bytes > self._event_bytes_max:
                    self.error = "event_too_large"
                    return
                self._data.append(value)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value[:12])
            case _:
                pass  # an unknown field is ignored

    def _dispatch(self, events: list[SseEvent]) -> None:
        if self._data:  # one empty data line is an event with empty data; none is no event
            events.append(SseEvent(self._type or "message", "\n".join(self._data), self._id, self._offset))
        self._type = ""
        self._data = []
        self._data_bytes = 0
