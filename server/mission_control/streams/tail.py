"""What a screen shows of output while it runs: the newest lines, and how many there are.

Pure. A tail forgets what it has shown, except the line that is not finished yet; what lies between two tails is
fetched by whoever looks at it. The agent's text and tools appear as lines of a prompt's tail.
"""

from __future__ import annotations

import base64
from collections import deque

import msgspec
from msgspec import UNSET

from ..domain.events import TaskOutput, TaskProgress

TEXT_CHARACTERS_MAX = 64 * 1024  # of one task in one frame
LINES_MAX = 200

_MARKS = {"stdout": "o", "stderr": "e", "response": "r"}


class TailFrame(msgspec.Struct, frozen=True, rename="camel"):
    """The newest lines of one task: `from` is the number of the first, `streams` has a letter for each."""

    task_id: str
    lines: int
    bytes: int
    start: int = msgspec.field(name="from")
    streams: str
    text: str


class Tail:
    """The newest lines of one task since the last frame."""

    def __init__(self, task_id: str, lines_max: int = LINES_MAX) -> None:
        self._task_id = task_id
        self._lines_max = lines_max
        self._newest: deque[tuple[str, str]] = deque()
        self._size = 0  # characters in them
        self._total = 0
        self._bytes = 0
        self._is_partial = False
        self.is_new = False

    def output(self, event: TaskOutput) -> None:
        """Take in a piece of output."""
        text = event.text if event.text is not UNSET else base64.b64decode(event.base64 or "").decode(errors="replace")
        self._bytes = max(self._bytes, event.position + event.length)
        continues = self._is_partial and event.line == self._total - 1
        self._add(_MARKS[event.stream], str(text), event.line, continues)

    def progress(self, event: TaskProgress) -> None:
        """Take in what an agent said or did."""
        match event.kind:
            case "text":
                start = self._total - 1 if self._is_partial else self._total
                self._add("o", str(event.text or ""), start, self._is_partial)
            case "tool.started":
                detail = f" {event.input}" if event.input else ""
                self._add("o", f"▸ {event.name or 'tool'}{detail}\n", self._total, False)
            case "notice":
                self._add("o", f"{event.text}\n", self._total, False)
            case _:
                pass

    def _add(self, mark: str, text: str, line: int, continues: bool) -> None:
        if not text:
            return
        ends = text.count("\n")
        pieces = text[-TEXT_CHARACTERS_MAX:].split("\n")
        is_partial = bool(pieces[-1])
        if not is_partial:
            pieces.pop()
        if continues and len(pieces) == ends + is_partial and self._newest:
            before_mark, before = self._newest.pop()
            self._size -= len(before)
            self._append(before_mark, (before + pieces.pop(0))[-TEXT_CHARACTERS_MAX:])
        for piece in pieces:
            self._append(mark, piece)
        self._total = line + ends + is_partial
        self._is_partial = is_partial
        self.is_new = True

    def _append(self, mark: str, line: str) -> None:
        self._newest.append((mark, line))
        self._size += len(line)
        while len(self._newest) > self._lines_max or (self._size > TEXT_CHARACTERS_MAX and len(self._newest) > 1):
            self._size -= len(self._newest.popleft()[1])

    def take(self) -> TailFrame:
        """The frame to send now."""
        lines = list(self._newest)
        frame = TailFrame(
            task_id=self._task_id,
            lines=self._total,
            bytes=self._bytes,
            start=self._total - len(lines),
            streams="".join(mark for mark, _ in lines),
            text="\n".join(text for _, text in lines),
        )
        last = self._newest[-1] if self._newest and self._is_partial else None
        self._newest.clear()
        self._size = 0
        if last:
            self._append(*last)
        self.is_new = False
        return frame
