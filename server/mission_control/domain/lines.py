"""Display lines again from the pieces of a run, and what is found in them.

A display line ends at `\\n`, where the stream changes or bytes are lost, or after `LINE_BYTES_MAX`; each piece says the
number of the line of its first byte and how long that line is already, so reading can begin at any of them. Pure.

Invariant: however the bytes of a run were cut into pieces, its lines are the same, and the texts of a stream's lines,
joined, are its bytes as text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import AnyStr, NamedTuple

from .output import LINE_BYTES_MAX, Stream, count_line_ends, whole_characters
from .sgr import ESCAPE

SLICE_BYTES = 128 * 1024  # looked through in one go: what another thread may have to wait for
_HOP_BYTES = 4096  # looked at together while lines are counted off

_NEWLINE = ord("\n")


class Part(NamedTuple):
    """The bytes of one recorded piece, and where they stand: see `output.Piece`."""

    stream: Stream
    line: int
    line_bytes: int
    ms: int
    data: bytes


class Line(NamedTuple):
    """A display line, with its `\\n` when it has one. `ms` is when it began."""

    number: int
    stream: Stream
    ms: int
    data: bytes
    is_ended: bool = True


class LineReader:
    """Joins parts to lines, from the first one that is wanted. Parts come in order; some may be missing."""

    def __init__(self, start: int = 0) -> None:
        self.start = start  # the first line that is wanted; may grow
        self._open: Line | None = None  # the line that has not ended
        self._length = 0  # its bytes, also those from before the first part
        self.before: list[tuple[Stream, bytes]] = []  # what the parts have before the first wanted line

    def feed(self, part: Part) -> Generator[Line]:
        """The wanted lines that end with this part or before it."""
        stream, number, line_bytes, ms, data = part
        begun, self._open = self._open, None
        if begun is not None and (begun.stream, begun.number) != (stream, number):
            if begun.number >= self.start:
                yield begun._replace(is_ended=True)  # the stream changed, or bytes are lost
            begun = None
        room = LINE_BYTES_MAX - (line_bytes if begun is None else self._length)
        start, size = 0, len(data)
        if number < self.start:
            number, start, room = _skip(data, number, self.start, room)
            begun = None if start else begun
            self.before.append((stream, data[:start] if number == self.start else data))
        text = start  # where its text begins: a character of UTF-8 is not cut, but goes to where its last byte is
        if start and data[start - 1] != _NEWLINE:
            text = _before_character(data, start)
        while start < size:
            newline = data.find(b"\n", start, start + room)
            if newline < 0 and size - start < room:
                break
            start = newline + 1 if newline >= 0 else start + room
            room = LINE_BYTES_MAX
            end = start if newline >= 0 or start == size else _before_character(data, start)
            before, at = (begun.data, begun.ms) if begun else (b"", ms)
            if number >= self.start:
                yield Line(number, stream, at, before + data[text:end])
            text, begun, number = end, None, number + 1
        self._length = LINE_BYTES_MAX - room + size - start
        if text < size or begun:
            before, at = (begun.data, begun.ms) if begun else (b"", ms)
            self._open = Line(number, stream, at, before + data[text:], is_ended=False)

    def rest(self) -> Line | None:
        """The line that has not ended, if it is wanted."""
        return self._open if self._open and self._open.number >= self.start else None


def _skip(data: bytes, number: int, wanted: int, room: int) -> tuple[int, int, int]:
    """Number and place of the line that is wanted, or of the last one here, and how long that may become."""
    newlines = data.count(b"\n")
    if count_line_ends(data, LINE_BYTES_MAX - room)[0] == newlines:  # none is cut for its length
        start = _after_lines(data, min(wanted - number, newlines))
        return min(wanted, number + newlines), start, LINE_BYTES_MAX if start else room
    start, size = 0, len(data)
    while number < wanted:
        newline = data.find(b"\n", start, start + room)
        if newline < 0 and size - start < room:
            break
        number, start, room = number + 1, newline + 1 if newline >= 0 else start + room, LINE_BYTES_MAX
    return number, start, room


def _after_lines(data: bytes, count: int) -> int:
    """The place after so many `\n`, which are there."""
    start = 0
    while count > (ends := data.count(b"\n", start, start + _HOP_BYTES)):
        count, start = count - ends, start + _HOP_BYTES
    for _ in range(count):
        start = data.find(b"\n", start) + 1
    return start


def _before_character(data: bytes, end: int) -> int:
    """Where text is cut that is cut here: before a character that has only begun."""
    window = data[max(end - 4, 0) : end]
    return end - len(window) + whole_characters(window)


class Block(NamedTuple):
    """Whole display lines, each ended by exactly one `\n`, whatever ended it."""

    line: int  # the number of the first
    text: bytes

    def slices(self) -> Generator[Block]:
        """The same in blocks of about `SLICE_BYTES`."""
        line, text = self
        start = 0
        while len(text) - start > SLICE_BYTES:
            end = text.find(b"\n", start + SLICE_BYTES) + 1
            piece = text[start:end]
            yield Block(line, piece)
            line, start = line + piece.count(b"\n"), end
        if start < len(text):
            yield Block(line, text[start:])


class BlockReader:
    """Joins parts to blocks of lines of the wanted streams, from a line on: few large pieces, to look through."""

    def __init__(self, start: int, streams: frozenset[Stream]) -> None:
        self.line = start  # every wanted line before it was given
        self._start = start
        self._streams = streams
        self._begun = b""  # the line that has not ended
        self._open: tuple[Stream, int] | None = None  # its stream and number
        self._length = 0  # its bytes, also those from before the first part

    def feed(self, parts: Iterable[Part]) -> Generator[Block]:
        """The wanted lines that end with these parts or before them."""
        gathered: list[bytes] = []
        first = following = self.line
        for line, count, text in self._ended(parts):
            if line != following and gathered:
                yield Block(first, b"".join(gathered))
                gathered = []
            if not gathered:
                first = line
            gathered.append(text)
            following = line + count
        if gathered:
            yield Block(first, b"".join(gathered))

    def rest(self) -> Generator[Block]:
        """The line that has not ended, if it is wanted. Nothing can be fed after it."""
        for line, _, text in self._close():
            yield Block(line, text)

    def _ended(self, parts: Iterable[Part]) -> Generator[tuple[int, int, bytes]]:
        """Number of the first line, how many, and their text."""
        for stream, line, line_bytes, _, raw in parts:
            if self._open is not None and self._open != (stream, line):
                yield from self._close()
            length = line_bytes if self._open is None else self._length
            ended, rest = count_line_ends(raw, length)
            self.line = max(self.line, line + ended)
            if stream not in self._streams:
                continue
            data = raw if ended == raw.count(b"\n") else _cut(raw, length)
            end = data.rfind(b"\n") + 1
            if end:
                skipped = max(self._start - line, 0)
                if skipped < ended:
                    text = self._begun + data[:end]
                    yield line + skipped, ended - skipped, text[_after_lines(text, skipped) :] if skipped else text
                self._begun = b""
            self._begun += data[end:]
            self._open = (stream, line + ended) if self._begun else None
            self._length = rest

    def _close(self) -> Generator[tuple[int, int, bytes]]:
        """The line that has begun is over, since something else comes."""
        if self._open is not None and self._open[1] >= self._start:
            self.line = max(self.line, self._open[1] + 1)
            yield self._open[1], 1, self._begun + b"\n"
        self._begun, self._open = b"", None


def _cut(data: bytes, length: int) -> bytes:
    """The bytes with a `\n` wherever a display line is cut for its length."""
    pieces: list[bytes] = []
    start, size, room = 0, len(data), LINE_BYTES_MAX - length
    while start < size:
        newline = data.find(b"\n", start, start + room)
        if newline < 0 and size - start < room:
            break
        end = newline + 1 if newline >= 0 else start + room
        pieces += (data[start:end], b"") if newline >= 0 else (data[start:end], b"\n")
        start, room = end, LINE_BYTES_MAX
    return b"".join((*pieces, data[start:]))


class Needle:
    """A plain text to find in lines, with regard to case or without (by Unicode's case folding)."""

    def __init__(self, text: str, *, case: bool) -> None:
        self._bytes = text.encode() if case else None
        self._folded = text.casefold()
        self._folded_bytes = self._folded.encode() if self._folded.isascii() else None

    def lines_of(self, block: Block) -> Generator[int]:
        """The numbers of the lines that have it; their escapes for colour are no part of their text."""
        line, text = block
        if b"\x1b[" in text:
            text = ESCAPE.sub(b"", text)
        if self._bytes is not None:
            return _lines_with(text, self._bytes, b"\n", line)
        if not text.isascii():
            return _lines_with(text.decode(errors="replace").casefold(), self._folded, "\n", line)
        if self._folded_bytes is not None:
            return _lines_with(text.lower(), self._folded_bytes, b"\n", line)
        return _lines_with(b"", b"no ASCII text has it", b"\n", line)


def _lines_with(text: AnyStr, needle: AnyStr, newline: AnyStr, line: int) -> Generator[int]:
    counted = at = 0
    while (at := text.find(needle, at)) >= 0:
        line += text.count(newline, counted, at)
        yield line
        counted = at = text.find(newline, at) + 1
        line += 1
