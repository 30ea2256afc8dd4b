"""The bytes of a run are cut, counted, numbered and summed the same way, however they arrive."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain import output
from mission_control.domain.output import (
    LINE_BYTES_MAX,
    PARTIAL_AGE_MS_MAX,
    PARTIAL_QUIET_MS,
    PIECE_BYTES_MAX,
    OutputCutter,
    Piece,
    RunPosition,
    Stream,
    count_line_ends,
    decode_text,
    encode_text,
    whole_characters,
)

Arrival = list[tuple[Stream, bytes]]

STREAMS: tuple[Stream, ...] = ("stdout", "stderr", "response")
LETTERS = st.lists(st.sampled_from([b"a", b"\n", b"\n", b"\r", b"\0", b"\xff", "é".encode(), "🙂".encode()]))
LONG = st.integers(0, 3 * LINE_BYTES_MAX).flatmap(lambda count: st.sampled_from([b"x" * count, b"x" * count + b"\n"]))
BYTES = st.one_of(LETTERS.map(b"".join), LETTERS.map(b"".join), LONG)
ARRIVALS = st.lists(st.tuples(st.sampled_from(STREAMS[:2]), BYTES), max_size=8)


def cut(arrival: Iterable[tuple[Stream, bytes]], cutter: OutputCutter | None = None) -> list[Piece]:
    cutter = cutter or OutputCutter()
    pieces = [piece for stream, data in arrival for piece in cutter.feed(stream, data, 0)]
    return pieces + cutter.finish()


def split(arrival: Arrival, data: st.DataObject) -> Arrival:
    """The same bytes in the same order, in other chunks."""
    chunks: Arrival = []
    for stream, whole in arrival:
        chunk = whole
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(chunk)))
            chunks.append((stream, chunk[:at]))
            chunk = chunk[at:]
        chunks.append((stream, chunk))
    return chunks


def joined(pieces: Iterable[Piece], stream: Stream) -> bytes:
    return b"".join(piece.data for piece in pieces if piece.stream == stream)


def line_of_each_byte(arrival: Iterable[tuple[Stream, bytes]]) -> list[int]:
    """The definition of a display line, one byte at a time."""
    lines: list[int] = []
    line = length = 0
    last: Stream | None = None
    for stream, data in arrival:
        for byte in data:
            if last not in (None, stream) and length:
                line, length = line + 1, 0
            lines.append(line)
            last, length = stream, length + 1
            if byte == ord("\n") or length == LINE_BYTES_MAX:
                line, length = line + 1, 0
    return lines


@given(ARRIVALS, st.data())
def test_any_split_of_the_same_arrival_gives_the_same_bytes_at_the_same_places(arrival: Arrival, data: st.DataObject):
    pieces = cut(split(arrival, data))
    position, offsets, crcs = 0, dict.fromkeys(STREAMS, 0), dict.fromkeys(STREAMS, 0)
    for piece in pieces:
        assert piece.position == position
        assert piece.offset == offsets[piece.stream]
        assert 0 < piece.length <= PIECE_BYTES_MAX
        position += piece.length
        offsets[piece.stream] += piece.length
        crcs[piece.stream] = zlib.crc32(piece.data, crcs[piece.stream])
        assert piece.crc == crcs[piece.stream]
    for stream in STREAMS:
        assert joined(pieces, stream) == b"".join(chunk for name, chunk in arrival if name == stream)


@given(ARRIVALS, st.data())
def test_the_number_of_a_line_is_that_of_its_definition_in_any_split(arrival: Arrival, data: st.DataObject):
    expected = line_of_each_byte(arrival)
    cutter = OutputCutter()
    pieces = cut(split(arrival, data), cutter)
    assert [piece.line for piece in pieces] == [expected[piece.position] for piece in pieces]
    assert cutter.position.lines == (expected[-1] + 1 if expected else 0)


@given(ARRIVALS, st.data())
def test_going_on_from_a_stored_position_equals_never_having_stopped(arrival: Arrival, data: st.DataObject):
    chunks = split(arrival, data)
    pieces = cut(chunks)
    kept = data.draw(st.integers(0, len(pieces)))
    position = RunPosition()
    for piece in pieces[:kept]:
        position = position.after(piece.stream, piece.data)
    stored = msgspec.json.decode(msgspec.json.encode(position), type=RunPosition)
    assert stored == position

    rest: Arrival = []
    skip = position.position
    for stream, chunk in chunks:
        rest.append((stream, chunk[skip:]))
        skip = max(0, skip - len(chunk))
    uninterrupted, resumed = OutputCutter(), OutputCutter(stored)
    cut(chunks, uninterrupted)
    went_on = cut(rest, resumed)

    assert resumed.position == uninterrupted.position
    lines = line_of_each_byte(arrival)
    for piece in went_on:
        assert piece.line == lines[piece.position]
    for stream in STREAMS:
        assert joined(pieces[:kept], stream) + joined(went_on, stream) == joined(pieces, stream)


@given(BYTES, st.integers(0, LINE_BYTES_MAX - 1))
def test_line_ends_are_counted_as_one_byte_at_a_time_would(data: bytes, line_bytes: int):
    ended, length = 0, line_bytes
    for byte in data:
        length += 1
        if byte == ord("\n") or length == LINE_BYTES_MAX:
            ended, length = ended + 1, 0
    assert count_line_ends(data, line_bytes) == (ended, length)


def test_lines_that_arrive_together_travel_together_and_the_partial_one_waits():
    cutter = OutputCutter()
    [piece] = cutter.feed("stdout", b"one\ntwo\nthr", 7)
    assert (piece.data, piece.line, piece.ms) == (b"one\ntwo\n", 0, 7)
    assert cutter.has_partial
    [piece] = cutter.feed("stdout", b"ee\n", 9)
    assert (piece.data, piece.line, piece.offset, piece.ms) == (b"three\n", 2, 8, 9)
    assert not cutter.has_partial
    assert cutter.deadline is None


def test_a_prompt_travels_by_itself_when_it_has_been_quiet():
    cutter = OutputCutter()
    assert cutter.feed("stdout", b"Password: ", 50) == []
    assert cutter.deadline == 50 + PARTIAL_QUIET_MS
    assert cutter.flush(50 + PARTIAL_QUIET_MS - 1) == []
    [piece] = cutter.flush(50 + PARTIAL_QUIET_MS)
    assert (piece.data, piece.ms) == (b"Password: ", 50)
    [piece] = cutter.feed("stdout", b"\nok\n", 900)
    assert (piece.data, piece.line) == (b"\nok\n", 0)
    assert cutter.position.lines == 2


def test_a_progress_bar_that_is_never_quiet_is_still_seen_to_move():
    cutter, seen = OutputCutter(), 0
    for ms in range(0, 5 * PARTIAL_AGE_MS_MAX, PARTIAL_QUIET_MS // 2):
        seen += len(cutter.feed("stdout", b"\r%5d ms" % ms, ms)) + len(cutter.flush(ms))
    assert 3 <= seen <= 6


def test_a_partial_line_past_64_kib_travels_by_itself():
    cutter = OutputCutter()
    assert cutter.feed("stdout", b"x" * LINE_BYTES_MAX, 0) == []
    [piece] = cutter.feed("stdout", b"y", 1)
    assert piece.length == LINE_BYTES_MAX + 1
    assert cutter.position.lines == 2


def test_the_other_stream_sends_the_partial_line_ahead_and_ends_its_display_line():
    cutter = OutputCutter()
    assert cutter.feed("stdout", b"half", 1) == []
    [half, error] = cutter.feed("stderr", b"oh no\n", 2)
    assert (half.stream, half.data, half.line, half.position) == ("stdout", b"half", 0, 0)
    assert (error.stream, error.data, error.line, error.position) == ("stderr", b"oh no\n", 1, 4)
    [rest] = cutter.feed("stdout", b" more\n", 3)
    assert (rest.line, rest.offset, rest.position) == (2, 4, 10)


def test_a_character_is_not_cut_where_that_can_be_avoided():
    smile = "🙂".encode()
    cutter = OutputCutter()
    cutter.feed("stdout", b"so " + smile[:2], 0)
    [piece] = cutter.flush(PARTIAL_QUIET_MS)
    assert piece.data == b"so "
    assert cutter.feed("stdout", smile[2:], PARTIAL_QUIET_MS + 1) == []
    [piece] = cutter.flush(2 * PARTIAL_QUIET_MS + 1)
    assert piece.data == smile

    long = "é".encode() * PIECE_BYTES_MAX
    pieces = cut([("stdout", b"x" + long)])
    assert all(encode_text(piece.data)[0] for piece in pieces)


def test_half_a_character_whose_rest_never_comes_is_not_kept_for_ever():
    cutter = OutputCutter()
    cutter.feed("stdout", b"\xf0\x9f", 0)
    [piece] = cutter.flush(PARTIAL_QUIET_MS)
    assert piece.data == b"\xf0\x9f"


@given(st.text().map(str.encode), st.data())
def test_a_cut_before_an_incomplete_character_leaves_whole_ones(data: bytes, draw: st.DataObject):
    cut_at = draw.draw(st.integers(0, len(data)))
    whole = data[: whole_characters(data[:cut_at])]
    whole.decode()
    assert cut_at - len(whole) <= 3


@given(st.binary(max_size=200))
def test_bytes_that_cannot_become_a_character_are_left_where_they_are(data: bytes):
    assert len(data) - whole_characters(data) <= 3


@given(st.binary() | st.text().map(str.encode))
def test_text_or_base64_gives_the_same_bytes_back(data: bytes):
    text, base64 = encode_text(data)
    assert (text is None) != (base64 is None)
    assert decode_text(text, base64) == data


@pytest.mark.parametrize(("text", "base64"), [(None, None), ("a", "YQ==")])
def test_output_without_one_clear_form_is_refused(text: str | None, base64: str | None):
    with pytest.raises(ValueError, match="either text or base64"):
        decode_text(text, base64)


def test_no_line_of_a_flood_is_looked_at_by_itself(monkeypatch: pytest.MonkeyPatch):
    """A cost test: what is counted is the work, once for each piece and not once for each line."""
    calls = 0
    count_for_real = count_line_ends

    def counted(data: bytes, line_bytes: int = 0) -> tuple[int, int]:
        nonlocal calls
        calls += 1
        return count_for_real(data, line_bytes)

    monkeypatch.setattr(output, "count_line_ends", counted)
    cutter = OutputCutter()
    for _ in range(16):
        cutter.feed("stdout", b"\n" * 1024 * 1024, 0)
    assert calls == 16 * 1024 * 1024 // PIECE_BYTES_MAX
    assert cutter.position.lines == 16 * 1024 * 1024
