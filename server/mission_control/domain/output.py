"""How the raw bytes of a run become pieces: where they are cut, counted, numbered and summed.

Invariants, for any way the same bytes arrive:
- the pieces of a stream, joined, are its bytes; `offset` and `crc` follow from them alone;
- pieces are in order of arrival, so `position` grows by each piece's length, over all streams;
- `line` is the number of complete display lines before the piece's first byte. A display line ends at `\\n`, where the
  stream changes, or after `LINE_BYTES_MAX`; its `\\n` belongs to it.

A piece ends at a line end wherever it can. Secrets in it are masked byte for byte (`masking.py`), so its offsets, lines
and sums are those of the raw bytes. Pure: time is an argument, in milliseconds since the run began.
"""

from __future__ import annotations

import base64 as b64
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from .masking import NOTHING, Given, Masker, Patterns, masked

Stream = Literal["stdout", "stderr", "response"]

PIECE_BYTES_MAX = 256 * 1024  # one event of the log; a larger one would delay what waits behind it
LINE_BYTES_MAX = 64 * 1024  # of one display line: what a screen can be asked to lay out at once
PARTIAL_QUIET_MS = 100  # a partial line that has been quiet this long is a prompt: it travels by itself
PARTIAL_AGE_MS_MAX = 1000  # a progress bar is never quiet; people still want to see it move

assert LINE_BYTES_MAX <= PIECE_BYTES_MAX, "the longest display line fits in one piece"
assert PARTIAL_QUIET_MS <= PARTIAL_AGE_MS_MAX, "quiet is the usual reason to send a partial line, age the last one"


class Piece(Struct, frozen=True):
    """Bytes of one stream that travel together: the facts of one `task.output` event and its bytes."""

    stream: Stream
    position: int  # raw bytes of the run before it, over all streams
    offset: int  # raw bytes of its stream before it
    line: int  # complete display lines before its first byte
    line_bytes: int  # bytes before it of the display line that it goes on with, 0 where one begins
    ms: int  # when its last byte arrived
    crc: int  # running CRC-32 of the raw stream, after it
    data: bytes  # as it may be shown
    masked: tuple[tuple[int, int], ...] = ()  # offset in the stream and length of each secret that was masked

    @property
    def length(self) -> int:
        return len(self.data)

    def __str__(self) -> str:
        return f"{self.stream} {self.offset}+{self.length} line {self.line} at {self.ms} ms: {self.data[:40]!r}"


class StreamPosition(Struct, frozen=True):
    """How far one stream has come: its raw bytes, and their CRC-32 (whose value is its whole state)."""

    offset: int = 0
    crc: int = 0


START = StreamPosition()


class RunPosition(Struct, frozen=True):
    """How far a run has come. Small, storable, and all that is needed to go on exactly here after a restart."""

    stdout: StreamPosition = START
    stderr: StreamPosition = START
    response: StreamPosition = START
    complete_lines: int = 0  # display lines that have ended
    line_bytes: int = 0  # bytes of the display line that has not
    line_stream: Stream | None = None  # the stream of the last byte
    masked: int = 0  # secrets so far that were masked

    @property
    def position(self) -> int:
        """Raw bytes of the run over all its streams."""
        return self.stdout.offset + self.stderr.offset + self.response.offset

    @property
    def lines(self) -> int:
        """Display lines so far, the unfinished one included."""
        return self.complete_lines + (1 if self.line_bytes else 0)

    def of(self, stream: Stream) -> StreamPosition:
        """How far this stream has come."""
        return self.stdout if stream == "stdout" else self.stderr if stream == "stderr" else self.response

    def after(self, stream: Stream, data: bytes) -> RunPosition:
        """The position after these bytes, which arrived next."""
        began = self.line_at(stream)
        ended, line_bytes = count_line_ends(data, self.line_bytes_at(stream))
        here = self.of(stream)
        there = StreamPosition(offset=here.offset + len(data), crc=zlib.crc32(data, here.crc))
        moved = replace(self, complete_lines=began + ended, line_bytes=line_bytes, line_stream=stream)
        if stream == "stdout":
            return replace(moved, stdout=there)
        if stream == "stderr":
            return replace(moved, stderr=there)
        return replace(moved, response=there)

    def known_by(self, stream: Stream, crc: int, *, masked: int) -> RunPosition:
        """The same position with the sum of a stream as it was said: of masked bytes it cannot be computed."""
        there = replace(self.of(stream), crc=crc)
        return replace(self, masked=self.masked + masked, **{stream: there})

    def moved(self, streams: Mapping[Stream, StreamPosition]) -> RunPosition:
        """The position after bytes that are lost: these streams go on there, and a display line begins."""
        lines = self.complete_lines + (1 if self.line_bytes else 0)
        moved = replace(self, complete_lines=lines, line_bytes=0, line_stream=None)
        return replace(moved, **streams)

    def line_at(self, stream: Stream) -> int:
        """The number of the display line that the next byte of this stream belongs to."""
        ends_here = self.line_bytes > 0 and self.line_stream != stream
        return self.complete_lines + (1 if ends_here else 0)

    def line_bytes_at(self, stream: Stream) -> int:
        """How long that display line is already."""
        return self.line_bytes if self.line_stream == stream else 0


def count_line_ends(data: bytes, line_bytes: int = 0) -> tuple[int, int]:
    """How many display lines end within these bytes of one stream, and how long the unfinished one then is.

    `line_bytes` is the length of the unfinished line before them. The work is one count and one search back for each
    64 KiB, both in C: a flood costs no loop over its lines.
    """
    ended = data.count(b"\n")
    size, start, room = len(data), 0, LINE_BYTES_MAX - line_bytes
    while size - start >= room:  # only a stretch this long can hold a line that is cut for its length
        newline = data.rfind(b"\n", start, start + room)
        if newline < 0:
            ended += 1
            start += room
        else:
            start = newline + 1
        room = LINE_BYTES_MAX
    newline = data.rfind(b"\n", start)
    if newline >= 0:
        return ended, size - newline - 1
    return ended, size - start + (LINE_BYTES_MAX - room)


class OutputCutter:
    """Cuts the bytes of one run into pieces, as they arrive.

    `feed` answers what can travel now. A partial line waits for its end until `deadline`; the caller then calls
    `flush`, and `finish` when no more will come. `position` is the position after everything that was answered; give
    it to a new cutter to go on from there (the bytes that wait are then to be fed again).
    """

    def __init__(
        self,
        position: RunPosition = RunPosition(),  # noqa: B008 - frozen
        patterns: Callable[[], Patterns] = lambda: NOTHING,
    ) -> None:
        """`patterns` tells, at each moment, the secrets that are to be masked."""
        self._masker = Masker(patterns)
        self._masked: list[tuple[int, int]] = []  # begin and end, in the stream of what waits
        self._position = position
        self._waiting = b""
        self._stream: Stream = "stdout"
        self._waiting_since_ms = 0
        self._last_ms = 0

    @property
    def position(self) -> RunPosition:
        """After every piece that was answered; what waits is not in it."""
        return self._position

    @property
    def has_partial(self) -> bool:
        """Whether a partial line waits for its end, or for what shows that it is no secret."""
        return bool(self._waiting) or self._masker.is_holding

    @property
    def deadline(self) -> int | None:
        """When `flush` will answer something that waits, in ms of the run; None when nothing will."""
        deadlines = [self._partial_deadline, self._masker.deadline]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def _partial_deadline(self) -> int | None:
        if not self._waiting:
            return None
        return min(self._last_ms + PARTIAL_QUIET_MS, self._waiting_since_ms + PARTIAL_AGE_MS_MAX)

    def jump(self, streams: Mapping[Stream, StreamPosition]) -> None:
        """Go on behind bytes that are lost. Nothing may be waiting: `finish` first."""
        assert not self.has_partial, "what waits comes before what is lost"
        self._position = self._position.moved(streams)

    def feed(self, stream: Stream, data: bytes, ms: int) -> list[Piece]:
        """Take the bytes that arrived at `ms`, and answer the pieces that can travel now, in order."""
        return self._feed(self._masker.feed(stream, data, ms)) if data else []

    def _feed(self, given: Iterable[Given]) -> list[Piece]:
        return [piece for one in given for piece in self._feed_one(one)]

    def _feed_one(self, given: Given) -> list[Piece]:
        stream, data, ms, ranges = given
        pieces: list[Piece] = []
        if self._waiting and stream != self._stream:
            pieces += self._finish()  # the order of arrival is worth more than a whole line
        known = len(self._waiting)
        if ranges:
            start = self._position.of(stream).offset + known
            self._masked += [(start + at, start + to) for at, to in ranges]
        if known:
            data = self._waiting + data
        if not self._waiting:
            self._waiting_since_ms = ms
        self._stream, self._last_ms = stream, ms
        end = data.rfind(b"\n") + 1
        if len(data) - end > LINE_BYTES_MAX:
            end = whole_characters(data)
        for at, to in ranges:  # who goes on from the middle of a secret would not know the rest of it; it may be at 0
            if (not at or known + at < end) and end < known + to:
                end = known + to
        if end:
            self._cut(data[:end], pieces)
            self._waiting_since_ms = ms
        self._waiting = data[end:]
        return pieces

    def flush(self, ms: int) -> list[Piece]:
        """The waiting partial line, if its deadline has come. A character of UTF-8 that is not whole yet goes on
        waiting, once, for its rest."""
        pieces = self._feed(self._masker.flush(ms))
        deadline = self._partial_deadline
        if deadline is None or ms < deadline:
            return pieces
        end = whole_characters(self._waiting) or len(self._waiting)
        self._cut(self._waiting[:end], pieces)
        self._waiting = self._waiting[end:]
        self._waiting_since_ms = self._last_ms = ms
        return pieces

    def finish(self) -> list[Piece]:
        """Everything that still waits: the run has ended, or its connection has."""
        return [*self._feed(self._masker.finish()), *self._finish()]

    def _finish(self) -> list[Piece]:
        pieces: list[Piece] = []
        self._cut(self._waiting, pieces)
        self._waiting = b""
        return pieces

    def _cut(self, data: bytes, pieces: list[Piece]) -> None:
        start, size = 0, len(data)
        while start < size:
            end = size
            if size - start > PIECE_BYTES_MAX:
                window = start + PIECE_BYTES_MAX
                end = data.rfind(b"\n", start, window) + 1 or start + whole_characters(data[start:window])
            pieces.append(self._piece(data if end - start == size else data[start:end]))
            start = end

    def _piece(self, data: bytes) -> Piece:
        before, stream = self._position, self._stream
        after, offset = before.after(stream, data), before.of(stream).offset
        here = self._masked_until(offset + len(data)) if self._masked else ()
        self._position = replace(after, masked=before.masked + len(here)) if here else after
        return Piece(
            stream=stream,
            position=before.position,
            offset=offset,
            line=before.line_at(stream),
            line_bytes=before.line_bytes_at(stream),
            ms=self._last_ms,
            crc=after.of(stream).crc,
            data=masked(data, ((at - offset, to - offset) for at, to in here)) if here else data,
            masked=tuple((at, to - at) for at, to in here),
        )

    def _masked_until(self, end: int) -> tuple[tuple[int, int], ...]:
        """Where this stream is masked up to an offset; what goes on behind it is for the next piece."""
        here = tuple((at, min(to, end)) for at, to in self._masked if at < end)
        self._masked = [(max(at, end), to) for at, to in self._masked if to > end]
        return here


def whole_characters(data: bytes) -> int:
    """The length of `data` without a character of UTF-8 that has begun at its end but is not complete.

    Bytes that cannot become UTF-8 are left alone: then this is the whole length.
    """
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue  # a continuation: its first byte is further back
        needed = 2 if 0xC2 <= byte <= 0xDF else 3 if 0xE0 <= byte <= 0xEF else 4 if 0xF0 <= byte <= 0xF4 else 1
        return len(data) - back if needed > back else len(data)
    return len(data)


def encode_text(data: bytes) -> tuple[str | None, str | None]:
    """The bytes as `(text, None)` when they are valid UTF-8, else as `(None, base64)`."""
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return None, b64.b64encode(data).decode("ascii")


def decode_text(text: str | None, base64: str | None) -> bytes:
    """The bytes that `encode_text` was given. Exactly one of the two is to be given; ValueError otherwise."""
    if (text is None) == (base64 is None):
        raise ValueError("output is either text or base64")
    return text.encode() if text is not None else b64.b64decode(base64 or "", validate=True)
