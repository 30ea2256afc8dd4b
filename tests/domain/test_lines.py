"""Display lines again from recorded pieces: the same ones however the bytes were cut, and what is found in them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_control.domain import lines as lines_module
from mission_control.domain import output as output_module
from mission_control.domain.lines import Block, BlockReader, Line, LineReader, Needle, Part
from mission_control.domain.output import LINE_BYTES_MAX, OutputCutter, Stream, StreamPosition

STREAMS: tuple[Stream, ...] = ("stdout", "stderr", "response")
Arrivals = list[tuple[Stream, bytes]]

streams = st.sampled_from(STREAMS)
arrivals = st.lists(st.tuples(streams, st.text("ab\nkK\u212aé", max_size=20).map(str.encode)), max_size=12)


@contextmanager
def short_lines(size: int) -> Generator[None]:
    """Lines are cut after so many bytes, so that a test has many that are."""
    with (
        mock.patch.object(lines_module, "LINE_BYTES_MAX", size),
        mock.patch.object(output_module, "LINE_BYTES_MAX", size),
    ):
        yield


def parts_of(arrivals: Arrivals) -> list[Part]:
    """The pieces of what arrived, each read recorded by itself."""
    cutter = OutputCutter()
    pieces = [piece for stream, data in arrivals for piece in (*cutter.feed(stream, data, 7), *cutter.finish())]
    return [Part(piece.stream, piece.line, piece.line_bytes, piece.ms, piece.data) for piece in pieces]


def by_the_rule(arrivals: Arrivals, size: int = LINE_BYTES_MAX) -> list[tuple[Stream, bytes]]:
    """Every display line, byte by byte as the glossary says."""
    found: list[tuple[Stream, bytes]] = []
    is_open = False
    for stream, data in arrivals:
        for byte in data:
            if is_open and found[-1][0] == stream:
                found[-1] = (stream, found[-1][1] + bytes([byte]))
            else:
                found.append((stream, bytes([byte])))
            is_open = byte != ord("\n") and len(found[-1][1]) < size
    return found


def read(parts: list[Part], start: int = 0) -> list[Line]:
    reader = LineReader(start)
    found = [line for part in parts for line in reader.feed(part)]
    rest = reader.rest()
    return [*found, rest] if rest else found


def begin_of(parts: list[Part], line: int) -> int:
    """Where one begins to read for a line: at the last part that has less lines before it, or at the first."""
    return max((at for at, part in enumerate(parts) if part.line < line), default=0)


@given(arrivals, st.integers(3, 9))
def test_lines_are_the_same_however_the_bytes_arrived(arrivals: Arrivals, size: int):
    with short_lines(size):
        parts = parts_of(arrivals)
        found = read(parts)
    wanted = by_the_rule(arrivals, size)
    assert [line.number for line in found] == list(range(len(wanted)))
    assert [line.stream for line in found] == [stream for stream, _ in wanted]
    ascii_only = all(data.isascii() for _, data in arrivals)
    if ascii_only:  # else a line that is cut leaves a character that is not whole to the next
        assert [(line.stream, line.data) for line in found] == wanted


@given(arrivals, st.integers(3, 9), st.data())
def test_lines_from_any_number_on_are_those_of_the_whole(arrivals: Arrivals, size: int, data: st.DataObject):
    with short_lines(size):
        parts = parts_of(arrivals)
        whole = read(parts)
        start = data.draw(st.integers(0, len(whole) + 1))
        assert read(parts[begin_of(parts, start) :], start)[1:] == whole[start:][1:]
        if arrivals and all(sent.isascii() for _, sent in arrivals):
            assert read(parts[begin_of(parts, start) :], start) == whole[start:]


@given(arrivals)
def test_the_texts_of_a_streams_lines_joined_are_its_output(arrivals: Arrivals):
    found = read(parts_of(arrivals))
    for stream in STREAMS:
        joined = "".join(line.data.decode(errors="replace") for line in found if line.stream == stream)
        assert joined == b"".join(data for of, data in arrivals if of == stream).decode()


def test_a_line_without_an_end_is_cut_and_its_characters_are_not():
    text = "x" + "é" * 5_000_000
    parts = parts_of([("stdout", text.encode())])
    found = read(parts)
    assert len(found) == len(text.encode()) // LINE_BYTES_MAX + 1
    assert "".join(line.data.decode() for line in found) == text
    for number in (1, 57, len(found) - 1):
        assert read(parts[begin_of(parts, number) :], number)[0] == found[number]


def test_a_line_ends_where_bytes_are_lost():
    cutter = OutputCutter()
    pieces = [*cutter.feed("stdout", b"before", 0), *cutter.finish()]
    cutter.jump({"stdout": StreamPosition(100, 0)})
    pieces += [*cutter.feed("stdout", b"after\n", 0)]
    found = read([Part(piece.stream, piece.line, piece.line_bytes, piece.ms, piece.data) for piece in pieces])
    assert [(line.number, line.data, line.is_ended) for line in found] == [(0, b"before", True), (1, b"after\n", True)]


def test_a_line_says_when_it_began():
    cutter = OutputCutter()
    pieces = [*cutter.feed("stdout", b"50 %", 3), *cutter.flush(500), *cutter.feed("stdout", b" done\n", 900)]
    (line,) = read([Part(piece.stream, piece.line, piece.line_bytes, piece.ms, piece.data) for piece in pieces])
    assert (line.data, line.ms) == (b"50 % done\n", 3)


def find(parts: list[Part], text: str, *, case: bool, start: int, wanted: frozenset[Stream], reads: int) -> list[int]:
    """Where a text is, with so many parts a read."""
    reader, needle = BlockReader(start, wanted), Needle(text, case=case)
    parts = parts[begin_of(parts, start) :]
    blocks: list[Block] = []
    for at in range(0, len(parts), reads):
        blocks += reader.feed(parts[at : at + reads])
    blocks += reader.rest()
    return [number for block in blocks for piece in block.slices() for number in needle.lines_of(piece)]


@given(
    arrivals,
    st.integers(3, 9),
    st.text("abkK\u212aÉé", min_size=1, max_size=2),
    st.booleans(),
    st.frozensets(streams, min_size=1),
    st.integers(1, 4),
    st.data(),
)
def test_a_find_is_what_looking_at_each_line_gives(
    arrivals: Arrivals, size: int, text: str, case: bool, wanted: frozenset[Stream], reads: int, data: st.DataObject
):
    with short_lines(size):
        parts = parts_of(arrivals)
        whole = by_the_rule(arrivals, size)
        start = data.draw(st.integers(0, len(whole)))
        found = find(parts, text, case=case, start=start, wanted=wanted, reads=reads)
    expected: list[int] = []
    for number, (stream, line) in enumerate(whole):
        shown = line.decode(errors="replace")
        is_there = text in shown if case else text.casefold() in shown.casefold()
        if number >= start and stream in wanted and is_there:
            expected.append(number)
    assert found == expected


def test_a_find_counts_lines_over_slices_and_reads():
    text = b"".join(b"line %d of many\n" % number for number in range(60_000))
    found = find(parts_of([("stdout", text)]), "99 OF", case=False, start=5000, wanted=frozenset(STREAMS), reads=1)
    assert found == [number for number in range(5000, 60_000) if number % 100 == 99]


@pytest.mark.parametrize(
    ("needle", "line", "is_there"),
    [
        ("STRASSE", "Die Straße", True),
        ("straße", "DIE STRASSE", True),
        ("\u212a", "5 k", True),
        ("ÄRGER", "viel ärger", True),
        ("ärger", "viel arger", False),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
    ],
)
def test_a_find_without_regard_to_case_knows_more_than_ascii(needle: str, line: str, is_there: bool):
    block = Block(3, f"first\n{line}\n".encode())
    assert list(Needle(needle, case=False).lines_of(block)) == ([4] if is_there else [])


def test_colours_inside_of_a_word_do_not_hide_it():
    block = Block(0, b"a \x1b[1;31mwo\x1b[0mrd\n\x1b[31mword\x1b[m\nother\n")
    assert list(Needle("word", case=True).lines_of(block)) == [0, 1]
