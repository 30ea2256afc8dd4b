"""Secrets in what runs produce: found in whatever way the bytes arrive, and replaced by as many `*` as they have bytes.

- What is masked does not depend on how the bytes were split: from left to right, at each place the longest form of a
  secret that stands there. Line ends within it stay, so that offsets, lines and lengths are those of the raw bytes.
- What may still become a secret is held back: fewer bytes than the longest form has, and never anything that is
  decided. A new masker that begins where the given bytes end goes on as if it had seen them all.
- A secret is known in these forms: as it is, each long line of it, in base64 (wherever it begins, both alphabets, and
  wrapped as `base64` and PEM wrap it), as JSON and as URLs escape it.

Pure: time is an argument, in milliseconds since the run began.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick, MatchKind
from msgspec import UNSET, Struct
from msgspec.structs import replace

from .limits import SECRET_CHARACTERS_MIN
from .progress import Progress, continues, with_piece
from .progress import piece_of as text_of

Stream = Literal["stdout", "stderr", "response"]

LINE_CHARACTERS_MIN = 12  # of a line that is masked by itself: a shorter one stands elsewhere by chance
FORM_BYTES_MAX = 64 * 1024  # of one form of a secret; less than what a desktop sends ahead of the log
WRAPS = (76, 64)  # columns of `base64` and of PEM
HELD_MS_MAX = 1000  # for which another stream waits behind bytes that may become a secret
BEHIND_BYTES_MAX = 256 * 1024  # of what waits there
BEHIND_CHUNKS_MAX = 256
PROGRESS_BYTES_MAX = 128 * 1024  # of items of progress that are held back

_GROUP_MAX = 44  # forms in one look: up to here the search compares many bytes at once
_GROUPS_MAX = 10  # of more forms than these hold, one search for all of them is quicker
_RARE = tuple(bytes([byte]) * 8 for byte in (0xF8, 0xF9, 0xFA, 0xFB))
"""Never part of text. With these the search does not look for few single bytes, which would be slow where they are many
(with 4 forms in build logs 0.2 GB/s instead of 9)."""


class Patterns:
    """All forms of some secrets, ready to be looked for."""

    def __init__(self, secrets: Iterable[str] = (), *, lines_only: Iterable[str] = ()) -> None:
        """Of `lines_only`, which are long, only whole lines are looked for."""
        forms = {form for secret in secrets for form in forms_of(secret)}
        forms |= {line for secret in lines_only for line in _lines_of(secret)}
        self._forms = sorted(forms)
        self.longest = max(map(len, self._forms), default=0)
        self._head = min(map(len, self._forms), default=0)
        groups = [self._forms[start : start + _GROUP_MAX] for start in range(0, len(self._forms), _GROUP_MAX)]
        groups = groups if len(groups) <= _GROUPS_MAX else []
        self._looks = [BytesAhoCorasick([*group, *_RARE], MatchKind.LeftmostFirst) for group in groups]
        self._all = BytesAhoCorasick(self._forms, MatchKind.LeftmostLongest) if self._forms else None
        heads = {form[: self._head] for form in self._forms}
        self._heads = BytesAhoCorasick(sorted(heads), MatchKind.Standard) if heads else None

    def __bool__(self) -> bool:
        return bool(self._forms)

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Begin and end of what is to be masked, in order, none within another."""
        if self._all is None or (self._looks and not any(look.find_matches_as_indexes(data) for look in self._looks)):
            return []
        return [(start, end) for _, start, end in self._all.find_matches_as_indexes(data)]

    def beginnings(self, data: bytes) -> Iterator[int]:
        """Where, from left to right, a form may have begun whose end is yet to come."""
        if self._heads is None:
            return
        size = len(data)
        start = max(0, size - self.longest + 1)
        window = data[start:] if start else data
        for _, at, _ in self._heads.find_matches_as_indexes(window, overlapping=True):
            if self._begins(window[at:]):
                yield start + at
        for at in range(max(start, size - self._head + 1), size):
            if self._begins(data[at:]):
                yield at

    def _begins(self, data: bytes) -> bool:
        """Whether some form goes on after these bytes."""
        at = bisect_left(self._forms, data)
        at += at < len(self._forms) and self._forms[at] == data
        return at < len(self._forms) and self._forms[at].startswith(data)

    def mask(self, text: str) -> str:
        """A text with every secret in it masked."""
        return self.mask_counted(text)[0]

    def mask_counted(self, text: str) -> tuple[str, int]:
        """The same, and how many there were."""
        data = text.encode(errors="surrogatepass")
        found = self.find(data)
        if not found:
            return text, 0
        return masked(data, found).decode(errors="surrogatepass"), len(found)


NOTHING = Patterns()


def forms_of(secret: str) -> set[bytes]:
    """Every form in which a secret is looked for; none where it is too short to be told from other text."""
    secret = secret.strip()
    if len(secret) < SECRET_CHARACTERS_MIN:
        return set()
    raw = secret.encode(errors="surrogatepass")
    forms = {raw, *_lines_of(secret), *_base64_of(raw)}
    forms |= {json.dumps(secret, ensure_ascii=ascii)[1:-1].encode(errors="surrogatepass") for ascii in (True, False)}
    escapes = (quote, quote_plus)
    forms |= {
        escape(secret, safe=safe, errors="surrogatepass").encode() for escape in escapes for safe in ("", "/", "!'()*")
    }
    return {form for form in forms if len(form) <= FORM_BYTES_MAX}


def _lines_of(secret: str) -> Iterator[bytes]:
    """The lines of a secret that has several; what PEM writes around a key is no secret."""
    lines = [line.strip() for line in secret.strip().split("\n")]
    for line in lines if len(lines) > 1 else ():
        if len(line) >= LINE_CHARACTERS_MIN and not line.startswith("-----"):
            yield line.encode(errors="surrogatepass")


def _base64_of(raw: bytes) -> Iterator[bytes]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # bytes of something else ahead of it, in the same group of three
            bits = (before + len(raw)) * 8
            yield encode(bytes(before) + raw)[-(-before * 8 // 6) : bits // 6]  # what it alone says
    whole = base64.b64encode(raw).rstrip(b"=")
    for columns in WRAPS:
        if len(whole) > columns:
            lines = (whole[at : at + columns] for at in range(0, len(whole), columns))
            yield from (line for line in lines if len(line) >= LINE_CHARACTERS_MIN)


def masked(data: bytes, ranges: Iterable[tuple[int, int]]) -> bytes:
    """The bytes with `*` from each begin to its end, but for line ends."""
    shown = bytearray(data)
    for start, end in ranges:
        shown[start:end] = b"\n".join(b"*" * len(line) for line in data[start:end].split(b"\n"))
    return bytes(shown)


class Given(NamedTuple):
    """Raw bytes of a stream that are decided, and where in them something is to be masked, as begin and end."""

    stream: Stream
    data: bytes
    ms: int
    ranges: tuple[tuple[int, int], ...]


class _Chunk(Struct):
    """Bytes of one stream that arrived together, as far as they were not given yet."""

    stream: Stream
    size: int
    ms: int


class _Held:
    """One stream: what may become a secret, and what is decided and waits for its turn."""

    def __init__(self) -> None:
        self.held = b""
        self.shown_bytes = 0  # of what is held: given already, since something waited behind it for too long
        self.ready = b""
        self.ranges: list[tuple[int, int]] = []  # in what is ready

    def feed(self, data: bytes, patterns: Patterns, *, is_end: bool = False) -> None:
        """Take bytes, and decide on all that can be decided."""
        data = self.held + data if self.held else data
        found, cut = settled(data, patterns, is_end=is_end)
        shown, before = min(self.shown_bytes, cut), len(self.ready)
        self.ranges += [(before + max(at, shown) - shown, before + to - shown) for at, to in found if to > shown]
        self._make_ready(data[shown:cut] if shown or cut < len(data) else data)
        self.held = data[cut:]
        self.shown_bytes -= shown

    def show(self) -> None:
        """Give what is held. What follows is still looked at together with it."""
        self._make_ready(self.held[self.shown_bytes :])
        self.shown_bytes = len(self.held)

    def _make_ready(self, data: bytes) -> None:
        self.ready = self.ready + data if self.ready else data

    def take(self, size: int) -> tuple[bytes, tuple[tuple[int, int], ...]]:
        """The next decided bytes, at most so many."""
        data, rest = (self.ready, b"") if size >= len(self.ready) else (self.ready[:size], self.ready[size:])
        here = tuple((at, min(to, len(data))) for at, to in self.ranges if at < len(data))
        self.ranges = [(max(at - len(data), 0), to - len(data)) for at, to in self.ranges if to > len(data)]
        self.ready = rest
        return data, here


def settled(data: bytes, patterns: Patterns, *, is_end: bool = False) -> tuple[list[tuple[int, int]], int]:
    """What is to be masked for certain, and up to where that is all. Nothing that is found lies across that place."""
    found = patterns.find(data)
    if is_end:
        return found, len(data)
    taken, at = 0, 0
    for beginning in patterns.beginnings(data):
        while taken < len(found) and found[taken][0] < beginning:
            at = found[taken][1]
            taken += 1
        if beginning >= at:
            return found[:taken], beginning
    return found, len(data)


class Masker:
    """Decides what of a run's output is to be masked, in order of arrival over its streams.

    What comes from another stream than bytes that are held waits behind them until `deadline`, when they are given as
    they are; if they become a secret after all, the rest of it is masked.
    """

    def __init__(self, patterns: Callable[[], Patterns]) -> None:
        """`patterns` are asked for again and again: secrets come and go while a run goes on."""
        self._patterns = patterns
        self._streams: dict[Stream, _Held] = {"stdout": _Held(), "stderr": _Held(), "response": _Held()}
        self._order: list[_Chunk] = []

    @property
    def is_holding(self) -> bool:
        """Whether something was taken and not given."""
        return bool(self._order)

    @property
    def deadline(self) -> int | None:
        """When `flush` will give what another stream waits for; None when none does."""
        return self._order[1].ms + HELD_MS_MAX if len(self._order) > 1 else None

    def feed(self, stream: Stream, data: bytes, ms: int) -> list[Given]:
        """Take bytes; what is decided now, in order of arrival."""
        patterns = self._patterns()
        if not patterns and not self._order:
            return [Given(stream, data, ms, ())]
        if self._order and self._order[-1].stream == stream:
            last = self._order[-1]
            last.size += len(data)
            if len(self._order) == 1:
                last.ms = ms  # behind others it says since when it waits
        else:
            self._order.append(_Chunk(stream, len(data), ms))
        self._streams[stream].feed(data, patterns)
        given = self._give()
        while self._is_too_much:
            given += self._show_first()
        return given

    @property
    def _is_too_much(self) -> bool:
        behind = self._order[1:]
        return len(behind) > BEHIND_CHUNKS_MAX or sum(chunk.size for chunk in behind) > BEHIND_BYTES_MAX

    def flush(self, ms: int) -> list[Given]:
        """Give what another stream waits for, if it has waited long enough."""
        given: list[Given] = []
        while self.deadline is not None and ms >= self.deadline:
            given += self._show_first()
        return given

    def finish(self) -> list[Given]:
        """Everything that is held: nothing comes after it."""
        patterns = self._patterns()
        for held in self._streams.values():
            held.feed(b"", patterns, is_end=True)
        given = self._give()
        assert not self._order, "everything is decided"
        return given

    def _show_first(self) -> list[Given]:
        self._streams[self._order[0].stream].show()
        return self._give(is_late=True)

    def _give(self, *, is_late: bool = False) -> list[Given]:
        """What is decided, up to a place where another masker can go on; what `is_late` is given in any case."""
        decided = self._decided()
        if not is_late:
            decided = decided[: self._apart_from_secrets(decided)]
        given: list[Given] = []
        for chunk, size in decided:
            data, ranges = self._streams[chunk.stream].take(size)
            given.append(Given(chunk.stream, data, chunk.ms, ranges))
            chunk.size -= size
        self._order = [chunk for chunk in self._order if chunk.size]
        return given

    def _decided(self) -> list[tuple[_Chunk, int]]:
        """How much of each chunk is decided, in order of arrival, up to the first that is not wholly."""
        decided: list[tuple[_Chunk, int]] = []
        left = {stream: len(held.ready) for stream, held in self._streams.items()}
        for chunk in self._order:
            size = min(chunk.size, left[chunk.stream])
            left[chunk.stream] -= size
            if size:
                decided.append((chunk, size))
            if size < chunk.size:
                break
        return decided

    def _apart_from_secrets(self, decided: list[tuple[_Chunk, int]]) -> int:
        """How many of these end where no stream is within something masked: its rest may wait behind another stream."""
        if not any(held.ranges for held in self._streams.values()):
            return len(decided)
        count, within = 0, set[Stream]()
        taken: dict[Stream, int] = {"stdout": 0, "stderr": 0, "response": 0}
        for place, (chunk, size) in enumerate(decided, 1):
            stream = chunk.stream
            taken[stream] += size
            if any(at < taken[stream] < to for at, to in self._streams[stream].ranges):
                within.add(stream)
            else:
                within.discard(stream)
            if not within:
                count = place
        return count


class ProgressMasker:
    """Masks progress, of which one text comes in many items: an end that may become a secret waits for the next item.

    Items that come from the same bytes are given together, as progress promises, but for such an end, which the item
    before it tells of (`held`).
    """

    def __init__(self, patterns: Callable[[], Patterns]) -> None:
        self._patterns = patterns
        self._ready: list[Progress] = []
        self._joined: list[bool] = []  # for each of those: whether a secret goes on in the next one
        self._run: list[Progress] = []  # pieces of one text
        self.count = 0  # secrets that were masked

    def feed(self, items: Iterable[Progress]) -> list[Progress]:
        """Take items; those that are decided now, in order."""
        patterns = self._patterns()
        if not patterns and not self._run:
            return [*items]
        for item in items:
            if self._run and not continues(self._run[-1], item):
                self._settle(patterns, is_end=True)
            if text_of(item) is None:
                self._ready.append(self._mask(item, patterns))
                self._joined.append(False)
            else:
                self._run.append(item)
        self._settle(patterns)
        return self._take()

    def finish(self) -> list[Progress]:
        """Everything that is held: nothing comes after it."""
        self._settle(self._patterns(), is_end=True)
        return self._take()

    def _settle(self, patterns: Patterns, *, is_end: bool = False) -> None:
        """Decide on as many items as can be, the last of them perhaps in part."""
        pieces = [(text_of(item) or "").encode(errors="surrogatepass") for item in self._run]
        text = b"".join(pieces)
        found, cut = settled(text, patterns, is_end=is_end or len(text) > PROGRESS_BYTES_MAX)
        ends = [0]
        for piece in pieces:
            ends.append(ends[-1] + len(piece))
        count = bisect_right(ends, cut) - 1
        is_split = ends[count] < cut and self._may_be_split(count)
        while not is_split and count and any(at < ends[count] < to for at, to in found):
            count -= 1
        cut = cut if is_split else ends[count]
        found = [one for one in found if one[1] <= cut]
        shown = masked(text, found) if found else text
        self.count += len(found)
        for index, item in enumerate(self._run[:count]):
            piece = shown[ends[index] : ends[index + 1]]
            self._ready.append(with_piece(item, piece.decode(errors="surrogatepass")) if found else item)
            self._joined.append(any(at < ends[index + 1] < to for at, to in found))
        rest: list[Progress] = []
        if is_split:
            item, end = self._run[count], ends[count + 1]
            piece = shown[ends[count] : cut].decode(errors="surrogatepass")
            self._ready.append(replace(with_piece(item, piece), held=end - cut))
            self._joined.append(False)
            rest = [with_piece(item, text[cut:end].decode(errors="surrogatepass"))]
        self._run = [*rest, *self._run[count + len(rest) :]]

    def _may_be_split(self, index: int) -> bool:
        """Whether another server would find the rest of an item: it is the last one that comes from its bytes."""
        item, behind = self._run[index], self._run[index + 1 : index + 2]
        return all(item.up_to < one.up_to for one in behind)

    def _take(self) -> list[Progress]:
        """What is ready, but for what must come together with something that is not: another server may go on there."""
        up_to = [item.up_to for item in (*self._ready, *self._run[:1])]
        end = len(self._ready)
        while 0 < end < len(up_to) and self._goes_on(end - 1, up_to):
            end -= 1
        taken, self._ready, self._joined = self._ready[:end], self._ready[end:], self._joined[end:]
        return taken

    def _goes_on(self, index: int, up_to: list[int]) -> bool:
        """Whether what is ready must come together with what follows it."""
        if self._joined[index]:
            return True
        return up_to[index] >= up_to[index + 1] and self._ready[index].held is UNSET

    def _mask(self, item: Progress, patterns: Patterns) -> Progress:
        """An item that is a whole by itself."""

        def mask(text: str) -> str:
            shown, count = patterns.mask_counted(text)
            self.count += count
            return shown

        names = ("text", "name", "input", "output")
        given = {name: value for name in names if isinstance(value := getattr(item, name), str)}
        if item.items is not UNSET:
            return replace(item, items=tuple(replace(step, step=mask(step.step)) for step in item.items))
        return replace(item, **{name: mask(value) for name, value in given.items()})
