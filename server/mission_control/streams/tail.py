"""What a screen shows of output while it runs: the newest lines, and how many there are.

Pure. A tail forgets what it has shown, except the line that is not finished yet; what lies between two tails is
fetched by whoever looks at it, by the numbers of the lines. Output is decoded only when a frame is made, and only the
newest of it: a flood costs a tail next to nothing. The agent's text and tools appear as lines of a prompt's tail.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from ..domain.events import TaskProgress
from ..domain.lines import Line, LineReader
from ..domain.output import count_line_ends
from ..log import queries
from ..log.event_log import StoredEvent
from .lines import MARKS, part_of

TEXT_CHARACTERS_MAX = 64 * 1024  # of one task in one frame
LINES_MAX = 200
AGENT = "a"  # the mark of a line that an agent said; such lines are counted by themselves, and are none of the output

_RESPONSE = b'"stream":"response"'
_HEAD_BYTES = 100  # of a payload, in which its stream stands


class TailFrame(msgspec.Struct, frozen=True, rename="camel"):
    """The newest lines of one task: `from` is the number of the first, `streams` has a letter for each.

    `lines` are all that there are, `ms` is when the newest piece came, in milliseconds of the run. With `open` the last
    line has not ended: it will come again, longer.
    """

    task_id: str
    lines: int
    bytes: int
    start: int = msgspec.field(name="from")
    streams: str
    text: str
    ms: int
    open: bool


class _Waiting(NamedTuple):
    """An event of output that nobody has looked into yet."""

    event: StoredEvent
    line: int
    length: int


class Tail:
    """The newest lines of one task since the last frame."""

    def __init__(self, task_id: str, lines_max: int = LINES_MAX) -> None:
        self._task_id = task_id
        self._lines_max = lines_max
        self._waiting: deque[_Waiting] = deque()
        self._reader = LineReader()
        self._newest: deque[tuple[str, str]] = deque()
        self._size = 0  # characters in them
        self._total = 0
        self._bytes = 0
        self._ms = 0
        self._is_open = False
        self.seq = 0  # the newest event that was taken in
        self.waiting_bytes = 0  # of output that is kept until a frame is made
        self.is_new = False

    def output(self, event: StoredEvent) -> None:
        """Take in a piece of output. What newer pieces make superfluous is let go of, unseen."""
        assert event.body is not None, "removed output is not shown"
        place = queries.place_of(event.seq, event.body)
        assert place is not None, "a payload of output says where it stands"
        self._bytes = max(self._bytes, place.position + place.length)
        if _RESPONSE in event.body[:_HEAD_BYTES]:
            return
        waiting = self._waiting
        waiting.append(_Waiting(event, place.line, place.length))
        self.waiting_bytes += place.length
        self.is_new = True
        while len(waiting) > 1 and (
            place.line - waiting[1].line >= self._lines_max
            or self.waiting_bytes - waiting[0].length >= TEXT_CHARACTERS_MAX
        ):
            self.waiting_bytes -= waiting.popleft().length
            self._forget()
            self._reader = LineReader()

    def progress(self, event: TaskProgress) -> None:
        """Take in what an agent said or did."""
        match event.kind:
            case "text":
                self._say(str(event.text or ""))
            case "tool.started":
                detail = f" {event.input}" if event.input else ""
                self._end_line()
                self._say(f"▸ {event.name or 'tool'}{detail}\n")
            case "notice":
                self._end_line()
                self._say(f"{event.text}\n")
            case _:
                pass

    def settle(self) -> None:
        """Look into what waits, and keep only its newest lines."""
        parts = [part for waiting in self._waiting if (part := part_of(waiting.event))]
        self._waiting.clear()
        self.waiting_bytes = 0
        if not parts:
            return
        if self._is_open and self._newest:
            self._size -= len(self._newest.pop()[1])  # the reader has it
        last = parts[-1]
        self._reader.start = max(last.line + count_line_ends(last.data, last.line_bytes)[0] - self._lines_max, 0)
        is_cut = parts[0].line_bytes > 0 and self._reader.rest() is None  # the line's beginning was not seen
        lines = [line for part in parts for line in self._reader.feed(part)]
        if rest := self._reader.rest():
            lines.append(rest)
        if is_cut and len(lines) > 1 and lines[0].number == parts[0].line:
            del lines[0]
        for line in lines:
            self._show(line)
        self._ms = last.ms

    def _show(self, line: Line) -> None:
        if line.number != self._total - self._is_open:
            self._forget()
        self._is_open = not line.is_ended
        self._total = line.number + 1
        self._append(MARKS[line.stream], line.data.decode(errors="replace").removesuffix("\n"))

    def _say(self, text: str) -> None:
        """Text of an agent: lines that are no display lines of the output."""
        if not text:
            return
        *ended, rest = text.split("\n")
        for line in (*ended, *([rest] if rest else ())):
            before = ""
            if self._is_open and self._newest:
                before = self._newest.pop()[1]
                self._size -= len(before)
                self._total -= 1
            self._append(AGENT, (before + line)[-TEXT_CHARACTERS_MAX:])
            self._total += 1
            self._is_open = False
        self._is_open = bool(rest)
        self.is_new = True

    def _end_line(self) -> None:
        self._is_open = False

    def _append(self, mark: str, line: str) -> None:
        self._newest.append((mark, line))
        self._size += len(line)
        while len(self._newest) > self._lines_max or (self._size > TEXT_CHARACTERS_MAX and len(self._newest) > 1):
            self._size -= len(self._newest.popleft()[1])

    def _forget(self) -> None:
        self._newest.clear()
        self._size = 0

    def take(self) -> TailFrame:
        """The frame to send now."""
        self.settle()
        lines = list(self._newest)
        frame = TailFrame(
            task_id=self._task_id,
            lines=self._total,
            bytes=self._bytes,
            start=self._total - len(lines),
            streams="".join(mark for mark, _ in lines),
            text="\n".join(text for _, text in lines),
            ms=self._ms,
            open=self._is_open,
        )
        self._forget()
        if lines and self._is_open:
            self._append(*lines[-1])
        self.is_new = False
        return frame
